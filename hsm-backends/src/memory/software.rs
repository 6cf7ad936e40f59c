//! The store of our own, whatever keeps its keys.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use keykit::key::{Digest, EncryptionScheme, KeyId, RsaPublicKey, RsaSecretKey};
use keykit::secret::SecretBytes;
use keykit::store::protection::Assessment;
use keykit::store::{
    DecryptionFailed, Destroy, ExportPlaintext, Generate, ImportPlaintext, KeyAttributes, KeyRecord, KeyRequest, KeyStore, StoreIdentity,
    Transferability, UnwrapIn, WrapOut,
};
use keykit::{Error, Result};

use super::engine::{Engine, EngineChoice};

/// What a store keeps of a key beside the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The public half.
    pub public: RsaPublicKey,
    /// CKA_LABEL; may be empty.
    pub label: String,
    /// CKA_ID.
    pub local_id: Vec<u8>,
    /// How the key may leave wrapped.
    pub transferability: Transferability,
    /// Whether it was made in this store.
    pub local: bool,
    /// When it was stored, in seconds since 1970.
    pub created: i64,
    /// Whether these are stand-ins for metadata that was lost. The next import of the same key replaces them.
    pub rebuilt: bool,
}

impl Metadata {
    /// The metadata of a key that is stored now.
    #[must_use]
    pub fn new(public: RsaPublicKey, request: &KeyRequest, local: bool) -> Self {
        Self {
            local_id: request.local_id_for(&public.id()),
            public,
            label: request.label.clone(),
            transferability: request.transferability,
            local,
            created: jiff::Timestamp::now().as_second(),
            rebuilt: false,
        }
    }
}

/// What keeps the keys of a [`SoftwareStore`].
pub trait Backing: fmt::Debug + Send + Sync {
    /// Holds other processes off while it lives.
    type Guard;

    /// Waits for nothing: takes the sole right to change the keys.
    ///
    /// # Errors
    /// [`Error::Conflict`] if another process has it.
    fn exclusive(&self) -> Result<Self::Guard>;

    /// The keys that are kept; `None` if the store itself is all there is.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Malformed`].
    fn list(&self) -> Result<Option<Vec<Metadata>>>;

    /// Keeps a key, so that a crash leaves it whole or not there.
    ///
    /// # Errors
    /// [`Error::Write`].
    fn persist(&self, key: &RsaSecretKey, metadata: &Metadata) -> Result<()>;

    /// Reads a key.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::WrongPassword`], [`Error::Malformed`].
    fn load(&self, id: &KeyId) -> Result<RsaSecretKey>;

    /// Forgets a key.
    ///
    /// # Errors
    /// [`Error::Write`].
    fn remove(&self, id: &KeyId) -> Result<()>;
}

/// A key of the store; its engine is made on first use. Slots of the same key share it, so that an engine that is made while the keys
/// are read anew is kept, with what it counted.
#[derive(Debug)]
struct Slot {
    metadata: Metadata,
    engine: Arc<OnceLock<Arc<Engine>>>,
}

type Keys = BTreeMap<KeyId, Arc<Slot>>;

/// A store whose keys are used in this process, in order of their identity.
#[derive(Debug)]
pub struct SoftwareStore<B> {
    identity: StoreIdentity,
    backing: B,
    choice: EngineChoice,
    keys: RwLock<Keys>,
}

impl<B: Backing> SoftwareStore<B> {
    /// A store with nothing read yet.
    pub(crate) fn with_backing(identity: StoreIdentity, backing: B) -> Self {
        Self { identity, backing, choice: EngineChoice::default(), keys: RwLock::default() }
    }

    /// The same store with another engine for its keys, save those that were used before.
    #[must_use]
    pub fn with_engine(self, choice: EngineChoice) -> Self {
        Self { choice, ..self }
    }

    pub(super) fn engine_choice(&self) -> EngineChoice {
        self.choice
    }

    /// Results of lane engines that were withheld since the keys were opened, because their check with the public exponent
    /// failed. Each was computed again by a library. Anything but 0 means that this machine computes wrongly: replace it.
    #[must_use]
    pub fn withheld_results(&self) -> u64 {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.values().filter_map(|slot| slot.engine.get()).map(|engine| engine.withheld()).sum()
    }

    pub(crate) fn backing(&self) -> &B {
        &self.backing
    }

    /// Reads what the backing keeps; engines that exist stay.
    pub(crate) fn refresh(&self) -> Result<()> {
        self.refresh_locked(&mut self.write())
    }

    /// The prepared engine of a key.
    pub(crate) fn engine(&self, id: &KeyId) -> Result<Arc<Engine>> {
        let slot = self.slot(id)?;
        if let Some(engine) = slot.engine.get() {
            return Ok(Arc::clone(engine));
        }
        let key = self.backing.load(id)?;
        if key.id() != *id {
            return Err(Error::Conflict {
                what: format!("{} has another key, {}, where {} should be", self.identity.uri, key.id().short(), id.short()),
                hint: Some("restore the store from a copy".into()),
            });
        }
        let engine = Arc::new(Engine::new(key, self.choice)?);
        Ok(Arc::clone(slot.engine.get_or_init(|| engine)))
    }

    /// How a key may leave.
    pub(super) fn transferability(&self, id: &KeyId) -> Result<Transferability> {
        self.slot(id).map(|slot| slot.metadata.transferability)
    }

    /// Stores a key, or finds that it is there.
    pub(super) fn add(&self, key: RsaSecretKey, request: &KeyRequest, local: bool) -> Result<KeyRecord> {
        let mut keys = self.write();
        let _guard = self.backing.exclusive()?;
        self.refresh_locked(&mut keys)?;
        let id = key.id();
        if let Some(slot) = keys.get(&id).filter(|slot| !slot.metadata.rebuilt) {
            return Ok(record(&slot.metadata));
        }
        let metadata = Metadata::new(key.public().clone(), request, local);
        self.check_conflict(&keys, &metadata)?;
        let engine = Engine::new(key, self.choice)?;
        self.backing.persist(engine.key(), &metadata)?;
        let record = record(&metadata);
        keys.insert(id, Arc::new(Slot { metadata, engine: Arc::new(OnceLock::from(Arc::new(engine))) }));
        Ok(record)
    }

    /// Forgets a key.
    pub(super) fn forget(&self, id: &KeyId) -> Result<()> {
        let mut keys = self.write();
        let _guard = self.backing.exclusive()?;
        self.refresh_locked(&mut keys)?;
        if !keys.contains_key(id) {
            return Err(self.no_such_key(id));
        }
        self.backing.remove(id)?;
        keys.remove(id);
        Ok(())
    }

    fn check_conflict(&self, keys: &Keys, new: &Metadata) -> Result<()> {
        let others = || keys.values().map(|slot| &slot.metadata).filter(|other| other.public != new.public);
        let (other, what) = if let Some(other) = others().find(|other| !new.label.is_empty() && other.label == new.label) {
            (other, format!("the label '{}'", new.label))
        } else if let Some(other) = others().find(|other| other.local_id == new.local_id) {
            (other, format!("the local id {}", hex(&new.local_id)))
        } else {
            return Ok(());
        };
        Err(Error::Conflict {
            what: format!("{} already holds another key, {}, under {what}", self.identity.uri, other.public.id().short()),
            hint: Some("choose another label; keykit does not overwrite keys".into()),
        })
    }

    fn refresh_locked(&self, keys: &mut Keys) -> Result<()> {
        let Some(list) = self.backing.list()? else { return Ok(()) };
        let fresh = list.into_iter().map(|metadata| {
            let id = metadata.public.id();
            let engine = keys.get(&id).map(|slot| Arc::clone(&slot.engine)).unwrap_or_default();
            (id, Arc::new(Slot { metadata, engine }))
        });
        *keys = fresh.collect();
        Ok(())
    }

    fn slot(&self, id: &KeyId) -> Result<Arc<Slot>> {
        self.read().get(id).cloned().ok_or_else(|| self.no_such_key(id))
    }

    fn read(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Keys> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Backing> KeyStore for SoftwareStore<B> {
    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    fn keys(&self) -> Result<Vec<KeyRecord>> {
        Ok(self.read().values().map(|slot| record(&slot.metadata)).collect())
    }

    fn find(&self, id: &KeyId) -> Result<KeyRecord> {
        self.slot(id).map(|slot| record(&slot.metadata))
    }

    fn sign(&self, key: &KeyId, digests: &[Digest]) -> Result<Vec<Vec<u8>>> {
        self.engine(key)?.sign(digests)
    }

    fn verifies_what_it_signs(&self) -> bool {
        // The lanes here, the libraries inside of their operation: see `Engine`.
        true
    }

    fn withheld_results(&self) -> u64 {
        // The method of the same name above: one of the type itself goes first.
        self.withheld_results()
    }

    fn decrypt(&self, key: &KeyId, scheme: &EncryptionScheme, ciphertexts: &[&[u8]]) -> Result<Vec<Result<SecretBytes, DecryptionFailed>>> {
        self.engine(key)?.decrypt(scheme, ciphertexts)
    }

    fn as_generate(&self) -> Result<&dyn Generate> {
        Ok(self)
    }

    fn as_import_plaintext(&self) -> Result<&dyn ImportPlaintext> {
        Ok(self)
    }

    fn as_export_plaintext(&self) -> Result<&dyn ExportPlaintext> {
        Ok(self)
    }

    fn as_wrap_out(&self) -> Result<&dyn WrapOut> {
        Ok(self)
    }

    fn as_unwrap_in(&self) -> Result<&dyn UnwrapIn> {
        Ok(self)
    }

    fn as_destroy(&self) -> Result<&dyn Destroy> {
        Ok(self)
    }
}

/// The key in the contract's terms. Whoever can use a key of this store can read it, and the record says so.
fn record(metadata: &Metadata) -> KeyRecord {
    let attributes = KeyAttributes {
        label: metadata.label.clone(),
        local_id: hex(&metadata.local_id),
        sensitive: Some(false),
        extractable: Some(metadata.transferability == Transferability::Wrapped),
        always_sensitive: Some(false),
        never_extractable: Some(false),
        wrap_with_trusted: Some(metadata.transferability == Transferability::UnderTrustedKey),
        private: None,
        local: Some(metadata.local),
        can_sign: Some(true),
        can_decrypt: Some(true),
        can_unwrap: Some(false),
        nfkm_app: None,
        nfkm_id: None,
        nfkm_hash: None,
    };
    KeyRecord { public: metadata.public.clone(), attributes, protection: Assessment::software() }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::super::generate::generate;
    use super::super::own_identity;
    use super::*;

    /// Keeps one key, as a folder does.
    #[derive(Debug)]
    struct OneKey(RsaSecretKey);

    impl OneKey {
        fn copy(&self) -> RsaSecretKey {
            RsaSecretKey::from_pkcs1_der(self.0.to_pkcs1_der().expose()).unwrap()
        }
    }

    impl Backing for OneKey {
        type Guard = ();

        fn exclusive(&self) -> Result<()> {
            Ok(())
        }

        fn list(&self) -> Result<Option<Vec<Metadata>>> {
            Ok(Some(vec![Metadata::new(self.0.public().clone(), &KeyRequest::labelled("one"), false)]))
        }

        fn persist(&self, _: &RsaSecretKey, _: &Metadata) -> Result<()> {
            Ok(())
        }

        fn load(&self, _: &KeyId) -> Result<RsaSecretKey> {
            Ok(self.copy())
        }

        fn remove(&self, _: &KeyId) -> Result<()> {
            Ok(())
        }
    }

    /// One thread has found a key and makes its engine; another reads the keys anew before it is ready.
    #[test]
    fn an_engine_that_is_made_while_keys_are_read_anew_is_kept() {
        let backing = OneKey(generate(1024, "test").unwrap());
        let id = backing.0.id();
        let store = SoftwareStore::with_backing(own_identity("memory:".into(), "test"), backing);
        store.refresh().unwrap();
        let found_before = store.slot(&id).unwrap();
        store.refresh().unwrap();
        let made = Arc::new(Engine::new(store.backing.copy(), EngineChoice::Fastest).unwrap());
        assert!(found_before.engine.set(Arc::clone(&made)).is_ok());
        assert!(Arc::ptr_eq(&store.engine(&id).unwrap(), &made), "another engine was made, and what the first withholds is not counted");
        store.refresh().unwrap();
        assert!(Arc::ptr_eq(&store.engine(&id).unwrap(), &made));
    }
}
