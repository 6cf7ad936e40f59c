//! Keys in the memory of this process: for tests, rehearsals and keys that are on their way.
//!
//! [`SoftwareStore`] is the whole store, whatever keeps its keys; [`MemoryStore`] keeps them in locked memory only,
//! [`crate::folder::FolderStore`] in an encrypted folder.
//!
//! # Engines
//! | work | engine |
//! |---|---|
//! | modulus of 2048 bits or more: sign SHA-256/384/512, decrypt PKCS#1 v1.5, OAEP with one hash | aws-lc-rs |
//! | batches of these, on processors with AVX2 (from two or three on) or AVX-512 IFMA (from four or five on) | lanes (`keykit-rsa-lanes`), padding of our own |
//! | what aws-lc-rs does not do: 1024 bits, SHA-1 and SHA-224 signatures, OAEP with mixed hashes | lanes, also for a single item; padding of our own |
//! | the same without lanes, and other sizes that aws-lc-rs refuses | `rsa`, raw operation with blinding, padding of our own |
//!
//! [`EngineChoice`] overrides this, for comparisons and for machines whose lanes are not trusted.
//!
//! Every result of a private key is checked with the public exponent before anyone sees it: a fault in one of the two primes
//! would give the key away (Boneh, DeMillo and Lipton, 1997). The lanes do it themselves, aws-lc does
//! (`rsa_default_private_transform` in `crypto/fipsmodule/rsa/rsa_impl.c`), and so does `rsa` (`rsa_decrypt_and_check`).
//!
//! # Security
//! `rsa` is under RUSTSEC-2023-0071 (Marvin): its big-number arithmetic is blinded here and its padding code is not used,
//! but it does not wipe all its intermediate values. Every failure of a decryption is the same opaque error, reported after
//! the whole batch. There is no implicit rejection: licences are opened offline, and a wrong content key is worse than none.

mod aws_lc;
mod capabilities;
#[cfg(all(test, target_arch = "x86_64"))]
mod constant_time;
mod engine;
#[cfg(test)]
mod faults;
mod generate;
mod lanes;
mod padding;
mod parallel;
mod portable;
mod software;

pub use engine::EngineChoice;
use keykit::Result;
use keykit::key::{KeyId, RsaSecretKey};
use keykit::store::StoreIdentity;
pub(crate) use software::hex;
pub use software::{Backing, Metadata, SoftwareStore};

/// A store that forgets its keys when it is dropped.
pub type MemoryStore = SoftwareStore<Ephemeral>;

/// Keeps nothing outside the process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ephemeral;

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_backing(own_identity("memory:".into(), "memory"), Ephemeral)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Backing for Ephemeral {
    type Guard = ();

    fn exclusive(&self) -> Result<()> {
        Ok(())
    }

    fn list(&self) -> Result<Option<Vec<Metadata>>> {
        Ok(None)
    }

    fn persist(&self, _: &RsaSecretKey, _: &Metadata) -> Result<()> {
        Ok(())
    }

    fn load(&self, _: &KeyId) -> Result<RsaSecretKey> {
        Err(keykit::Error::Internal("a key in memory has no engine".into()))
    }

    fn remove(&self, _: &KeyId) -> Result<()> {
        Ok(())
    }
}

/// The identity of a store of our own.
pub(crate) fn own_identity(uri: String, model: &str) -> StoreIdentity {
    StoreIdentity {
        uri,
        manufacturer: "keykit".into(),
        model: model.into(),
        serial: String::new(),
        firmware: env!("CARGO_PKG_VERSION").into(),
        label: String::new(),
    }
}
