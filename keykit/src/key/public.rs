//! The public half of an RSA key: encodings, verification, encryption.

mod batch;
mod prepared;
mod recorded;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rsa as aws;
use pkcs8::der::asn1::{BitStringRef, UintRef};
use pkcs8::der::pem::LineEnding;
use pkcs8::der::{Decode, Document, Encode};
use pkcs8::spki::SubjectPublicKeyInfoRef;
use rsa::rand_core::UnwrapErr;
use rsa::traits::PaddingScheme;
use rsa::{BoxedUint, Oaep, Pkcs1v15Encrypt, Pkcs1v15Sign};

use self::prepared::Prepared;
pub(crate) use self::recorded::{Encryption, Recorded};
use super::{Digest, EncryptionScheme, Hash, KeyId};
use crate::error::{Error, Result};

const FORMAT: &str = "RSA public key";
const PEM_LABEL: &str = "PUBLIC KEY";

/// Smallest modulus that is accepted, in bits: cryptographic mode 1.
const MIN_MODULUS_BITS: usize = 1024;
/// Largest modulus that is accepted, in bits.
const MAX_MODULUS_BITS: usize = 8192;

/// An RSA public key: 1024 to 8192 bits, odd modulus, odd exponent from 3 to 2³²−1.
///
/// The first operation prepares the key for the library; the key and all its clones keep that.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RsaPublicKey {
    modulus: Arc<[u8]>,
    exponent: u32,
    spki: Arc<[u8]>,
    id: KeyId,
    prepared: Prepared,
}

impl RsaPublicKey {
    /// A key from its big-endian modulus (leading zeros allowed) and exponent.
    ///
    /// # Errors
    /// [`Error::Malformed`] if a value is out of the range above.
    pub fn from_components(modulus: &[u8], exponent: u32) -> Result<Self> {
        let modulus: Vec<u8> = modulus.iter().copied().skip_while(|&byte| byte == 0).collect();
        let bits = modulus.len() * 8 - modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
        if !(MIN_MODULUS_BITS..=MAX_MODULUS_BITS).contains(&bits) {
            return Err(Error::malformed(FORMAT, format!("a modulus of {bits} bits; {MIN_MODULUS_BITS} to {MAX_MODULUS_BITS} are possible")));
        }
        if modulus.last().is_none_or(|byte| byte % 2 == 0) {
            return Err(Error::malformed(FORMAT, "the modulus is even"));
        }
        if exponent < 3 || exponent.is_multiple_of(2) {
            return Err(Error::malformed(FORMAT, format!("the public exponent {exponent} is not an odd number from 3 on")));
        }
        let spki = encode_spki(&modulus, exponent).map_err(|error| Error::Internal(format!("encoding a public key: {error}")))?;
        Ok(Self { id: KeyId::of_spki(&spki), modulus: modulus.into(), exponent, spki: spki.into(), prepared: Prepared::default() })
    }

    /// A key from its DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7, RFC 8017 §A.1).
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_spki_der(der: &[u8]) -> Result<Self> {
        let failed = |error: pkcs8::der::Error| Error::malformed(FORMAT, error.to_string());
        let spki = SubjectPublicKeyInfoRef::from_der(der).map_err(failed)?;
        spki.algorithm.assert_algorithm_oid(pkcs1::ALGORITHM_OID).map_err(|_| Error::malformed(FORMAT, "not the key of RSA"))?;
        let bits = spki.subject_public_key.as_bytes().ok_or_else(|| Error::malformed(FORMAT, "an odd bit string"))?;
        let key = pkcs1::RsaPublicKeyRef::try_from(bits).map_err(|error| Error::malformed(FORMAT, error.to_string()))?;
        let exponent = exponent_from_be(key.public_exponent.as_bytes())?;
        Self::from_components(key.modulus.as_bytes(), exponent)
    }

    /// A key from PEM: `PUBLIC KEY` (SubjectPublicKeyInfo).
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_pem(pem: &str) -> Result<Self> {
        let (label, document) = Document::from_pem(pem).map_err(|error| Error::malformed(FORMAT, error.to_string()))?;
        if label != PEM_LABEL {
            return Err(Error::malformed(FORMAT, format!("PEM of a {label}, not of a {PEM_LABEL}")));
        }
        Self::from_spki_der(document.as_bytes())
    }

    /// The DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn to_spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The PEM form (`PUBLIC KEY`).
    #[must_use]
    pub fn to_pem(&self) -> String {
        Document::try_from(&*self.spki).and_then(|spki| spki.to_pem(PEM_LABEL, LineEnding::LF)).unwrap_or_default()
    }

    /// The key's identity.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The modulus, big-endian, without leading zeros.
    #[must_use]
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// The public exponent.
    #[must_use]
    pub fn exponent(&self) -> u32 {
        self.exponent
    }

    /// Size of the modulus in bits.
    #[must_use]
    pub fn modulus_bits(&self) -> usize {
        self.modulus.len() * 8 - self.modulus.first().map_or(0, |byte| byte.leading_zeros() as usize)
    }

    /// Size of a signature or ciphertext in bytes.
    #[must_use]
    pub fn modulus_bytes(&self) -> usize {
        self.modulus.len()
    }

    /// Verifies an RSASSA-PKCS1-v1_5 signature (RFC 8017 §8.2.2) over a digest. The caller hashes.
    #[must_use]
    pub fn verify(&self, digest: &Digest, signature: &[u8]) -> bool {
        if signature.len() != self.modulus_bytes() {
            return false;
        }
        let (prepared, hash) = match digest.hash() {
            Hash::Sha1 => (self.prepared.sha1(&self.spki), &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY),
            Hash::Sha256 => (self.prepared.sha256(&self.spki), &aws_lc_rs::digest::SHA256),
            _ => return self.verify_any_hash(digest, signature),
        };
        let Ok(digest) = aws_lc_rs::digest::Digest::import_less_safe(digest.as_bytes(), hash) else { return false };
        prepared.is_some_and(|key| key.verify_digest_sig(&digest, signature).is_ok())
    }

    fn verify_any_hash(&self, digest: &Digest, signature: &[u8]) -> bool {
        let padding = Pkcs1v15Sign { hash_len: Some(digest.hash().output_bytes()), prefix: digest.hash().digest_info_prefix().into() };
        self.to_rsa().is_some_and(|key| key.verify(padding, digest.as_bytes(), signature).is_ok())
    }

    /// Encrypts a short message to the key.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the message is too long for the key and scheme, or the scheme mixes hashes.
    pub fn encrypt(&self, scheme: &EncryptionScheme, message: &[u8]) -> Result<Vec<u8>> {
        if self.modulus_bits() >= 2048 {
            let mut ciphertext = vec![0; self.modulus_bytes()];
            let length = match scheme {
                EncryptionScheme::Pkcs1v15 => {
                    let key = self.prepared.pkcs1(&self.spki).ok_or(Error::Crypto)?;
                    key.encrypt(message, &mut ciphertext).map(|output| output.len())
                }
                EncryptionScheme::Oaep { hash, mgf1, label } if hash == mgf1 && oaep_algorithm(*hash).is_some() => {
                    let algorithm = oaep_algorithm(*hash).ok_or(Error::Crypto)?;
                    let key = self.prepared.oaep(&self.spki).ok_or(Error::Crypto)?;
                    key.encrypt(algorithm, message, &mut ciphertext, Some(label)).map(|output| output.len())
                }
                EncryptionScheme::Oaep { .. } => return self.encrypt_small(scheme, message),
            }
            .map_err(|_| Error::Crypto)?;
            ciphertext.truncate(length);
            return Ok(ciphertext);
        }
        self.encrypt_small(scheme, message)
    }

    /// Keys and hashes that aws-lc-rs does not take: mode 1.
    fn encrypt_small(&self, scheme: &EncryptionScheme, message: &[u8]) -> Result<Vec<u8>> {
        let key = self.prepared.portable(|| self.to_rsa()).ok_or(Error::Crypto)?;
        match scheme {
            EncryptionScheme::Pkcs1v15 => encrypt_with(key, Pkcs1v15Encrypt, message),
            EncryptionScheme::Oaep { hash, mgf1, label } if hash == mgf1 => {
                let label = label.clone();
                match hash {
                    Hash::Sha1 => encrypt_with(key, Oaep::<sha1::Sha1>::new_with_label(label), message),
                    Hash::Sha224 => encrypt_with(key, Oaep::<sha2::Sha224>::new_with_label(label), message),
                    Hash::Sha256 => encrypt_with(key, Oaep::<sha2::Sha256>::new_with_label(label), message),
                    Hash::Sha384 => encrypt_with(key, Oaep::<sha2::Sha384>::new_with_label(label), message),
                    Hash::Sha512 => encrypt_with(key, Oaep::<sha2::Sha512>::new_with_label(label), message),
                }
            }
            EncryptionScheme::Oaep { .. } => Err(Error::Crypto),
        }
    }

    fn to_rsa(&self) -> Option<rsa::RsaPublicKey> {
        let modulus = BoxedUint::from_be_slice_vartime(&self.modulus);
        rsa::RsaPublicKey::new(modulus, BoxedUint::from(u64::from(self.exponent))).ok()
    }
}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaPublicKey({} bits, {})", self.modulus_bits(), self.id.short())
    }
}

/// A public exponent from big-endian bytes.
pub(crate) fn exponent_from_be(bytes: &[u8]) -> Result<u32> {
    let too_large = || Error::malformed(FORMAT, "the public exponent is larger than 32 bits");
    bytes
        .iter()
        .try_fold(0_u64, |value, &byte| value.checked_mul(256).map(|value| value + u64::from(byte)))
        .and_then(|value| u32::try_from(value).ok())
        .ok_or_else(too_large)
}

fn encrypt_with(key: &rsa::RsaPublicKey, padding: impl PaddingScheme, message: &[u8]) -> Result<Vec<u8>> {
    key.encrypt(&mut UnwrapErr(getrandom::SysRng), padding, message).map_err(|_| Error::Crypto)
}

fn oaep_algorithm(hash: Hash) -> Option<&'static aws::OaepAlgorithm> {
    match hash {
        Hash::Sha1 => Some(&aws::OAEP_SHA1_MGF1SHA1),
        Hash::Sha256 => Some(&aws::OAEP_SHA256_MGF1SHA256),
        Hash::Sha384 => Some(&aws::OAEP_SHA384_MGF1SHA384),
        Hash::Sha512 => Some(&aws::OAEP_SHA512_MGF1SHA512),
        Hash::Sha224 => None,
    }
}

fn encode_spki(modulus: &[u8], exponent: u32) -> pkcs8::der::Result<Vec<u8>> {
    let exponent = exponent.to_be_bytes();
    let key = pkcs1::RsaPublicKeyRef { modulus: UintRef::new(modulus)?, public_exponent: UintRef::new(&exponent)? }.to_der()?;
    SubjectPublicKeyInfoRef { algorithm: pkcs1::ALGORITHM_ID, subject_public_key: BitStringRef::from_bytes(&key)? }.to_der()
}
