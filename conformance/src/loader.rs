//! The ways of a given private key into a store.

use std::fmt;

use keykit::Result;
use keykit::key::{KeyId, RsaSecretKey};
use keykit::store::{KeyRecord, KeyRequest, KeyStore};
use keykit::transfer::wrap_rsa_aes;

/// A way of a given private key into a store.
pub trait Loader: fmt::Debug {
    /// Puts the key into the store, or finds it there.
    ///
    /// # Errors
    /// What the store says. [`keykit::Error::Unsupported`] makes the cases that need the key skipped.
    fn load(&self, store: &dyn KeyStore, key: &RsaSecretKey, request: &KeyRequest) -> Result<KeyRecord>;
}

/// Import of the key itself: for stores in memory and in folders.
#[derive(Debug, Clone, Copy, Default)]
pub struct InTheClear;

impl Loader for InTheClear {
    fn load(&self, store: &dyn KeyStore, key: &RsaSecretKey, request: &KeyRequest) -> Result<KeyRecord> {
        store.as_import_plaintext()?.import_plaintext(key, request)
    }
}

/// The key wrapped in this process, under a key encryption key of the store: for tokens, and the way of a migration.
#[derive(Debug, Clone, Copy)]
pub struct Wrapped {
    /// Size of the key encryption key in bits.
    pub kek_modulus_bits: usize,
}

impl Default for Wrapped {
    fn default() -> Self {
        Self { kek_modulus_bits: 2048 }
    }
}

impl Loader for Wrapped {
    fn load(&self, store: &dyn KeyStore, key: &RsaSecretKey, request: &KeyRequest) -> Result<KeyRecord> {
        let transport = store.as_unwrap_in()?.transport_key(self.kek_modulus_bits)?;
        let blob = wrap_rsa_aes(key, transport.public(), transport.oaep_hash())?;
        transport.unwrap_in(&blob, key.public(), request)
    }
}

/// A key that is in the store while this lives, and destroyed then if the store can and it was not there before.
#[derive(Debug)]
pub(crate) struct Loaded<'store> {
    store: &'store dyn KeyStore,
    pub(crate) record: KeyRecord,
    was_there: bool,
}

impl<'store> Loaded<'store> {
    pub(crate) fn new(store: &'store dyn KeyStore, loader: &dyn Loader, key: &RsaSecretKey, request: &KeyRequest) -> Result<Self> {
        let was_there = store.find(&key.id()).is_ok();
        Ok(Self { store, record: loader.load(store, key, request)?, was_there })
    }

    pub(crate) fn id(&self) -> KeyId {
        self.record.id()
    }
}

impl Drop for Loaded<'_> {
    fn drop(&mut self) {
        if !self.was_there {
            // A store that cannot destroy keys keeps it.
            self.store.as_destroy().and_then(|destroy| destroy.destroy(&self.id())).unwrap_or_default();
        }
    }
}
