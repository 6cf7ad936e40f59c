//! A public key as the libraries want it: parsed once, with what they precompute.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use aws_lc_rs::rsa::{OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY as PKCS1_SHA1, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY as PKCS1_SHA256,
};

/// Filled as it is needed; shared by all clones of a key. It follows from the key, so any two are equal.
///
/// `None` inside stands for a key that the library refuses.
#[derive(Debug, Clone, Default)]
pub(super) struct Prepared(Arc<Engines>);

#[derive(Debug, Default)]
struct Engines {
    sha1: OnceLock<Option<ParsedPublicKey>>,
    sha256: OnceLock<Option<ParsedPublicKey>>,
    pkcs1: OnceLock<Option<Pkcs1PublicEncryptingKey>>,
    oaep: OnceLock<Option<OaepPublicEncryptingKey>>,
    portable: OnceLock<Option<rsa::RsaPublicKey>>,
    lanes: OnceLock<Option<keykit_rsa_lanes::PublicKey>>,
}

impl Prepared {
    /// Verifies PKCS#1 v1.5 with SHA-1.
    pub(super) fn sha1(&self, spki: &[u8]) -> Option<&ParsedPublicKey> {
        self.0.sha1.get_or_init(|| ParsedPublicKey::new(&PKCS1_SHA1, spki).ok()).as_ref()
    }

    /// Verifies PKCS#1 v1.5 with SHA-256.
    pub(super) fn sha256(&self, spki: &[u8]) -> Option<&ParsedPublicKey> {
        self.0.sha256.get_or_init(|| ParsedPublicKey::new(&PKCS1_SHA256, spki).ok()).as_ref()
    }

    /// Encrypts with PKCS#1 v1.5.
    pub(super) fn pkcs1(&self, spki: &[u8]) -> Option<&Pkcs1PublicEncryptingKey> {
        self.0.pkcs1.get_or_init(|| Pkcs1PublicEncryptingKey::new(PublicEncryptingKey::from_der(spki).ok()?).ok()).as_ref()
    }

    /// Encrypts with OAEP.
    pub(super) fn oaep(&self, spki: &[u8]) -> Option<&OaepPublicEncryptingKey> {
        self.0.oaep.get_or_init(|| OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(spki).ok()?).ok()).as_ref()
    }

    /// Many operations at once, where the processor can.
    pub(super) fn lanes(&self, modulus: &[u8], exponent: u32) -> Option<&keykit_rsa_lanes::PublicKey> {
        self.0.lanes.get_or_init(|| keykit_rsa_lanes::PublicKey::new(modulus, exponent)).as_ref()
    }

    /// For the keys and schemes that the others do not take.
    pub(super) fn portable(&self, make: impl FnOnce() -> Option<rsa::RsaPublicKey>) -> Option<&rsa::RsaPublicKey> {
        self.0.portable.get_or_init(make).as_ref()
    }
}

impl PartialEq for Prepared {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Prepared {}

impl Hash for Prepared {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
