//! A store that keeps the time of its private operations.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keykit::Result;
use keykit::key::{Digest, EncryptionScheme, KeyId};
use keykit::secret::SecretBytes;
use keykit::store::{DecryptionFailed, KeyRecord, KeyStore, StoreIdentity};

/// Another store, with the sum of the time that its private operations take on the clock.
#[derive(Debug)]
pub struct Timed<S> {
    store: S,
    nanoseconds: AtomicU64,
}

impl<S: KeyStore> Timed<S> {
    /// Nothing is counted yet.
    pub fn new(store: S) -> Self {
        Self { store, nanoseconds: AtomicU64::new(0) }
    }

    /// The time since the last call, or since the start.
    pub fn take(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.swap(0, Ordering::Relaxed))
    }

    fn timed<T>(&self, operation: impl FnOnce(&S) -> T) -> T {
        let start = Instant::now();
        let result = operation(&self.store);
        self.nanoseconds.fetch_add(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        result
    }
}

impl<S: KeyStore> KeyStore for Timed<S> {
    fn identity(&self) -> &StoreIdentity {
        self.store.identity()
    }

    fn keys(&self) -> Result<Vec<KeyRecord>> {
        self.store.keys()
    }

    fn find(&self, id: &KeyId) -> Result<KeyRecord> {
        self.store.find(id)
    }

    fn sign(&self, key: &KeyId, digests: &[Digest]) -> Result<Vec<Vec<u8>>> {
        self.timed(|store| store.sign(key, digests))
    }

    fn verifies_what_it_signs(&self) -> bool {
        self.store.verifies_what_it_signs()
    }

    fn decrypt(&self, key: &KeyId, scheme: &EncryptionScheme, items: &[&[u8]]) -> Result<Vec<Result<SecretBytes, DecryptionFailed>>> {
        self.timed(|store| store.decrypt(key, scheme, items))
    }

    fn refused_after_decryption(&self, key: &KeyId, scheme: &EncryptionScheme, failed: usize, refused: &[&[u8]]) {
        self.store.refused_after_decryption(key, scheme, failed, refused);
    }
}
