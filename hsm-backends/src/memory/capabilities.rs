//! What a store of our own can do beside signing and decrypting: everything.

use keykit::key::{EncryptionScheme, Hash, KeyId, RsaPublicKey, RsaSecretKey};
use keykit::secret::SecretBytes;
use keykit::store::{
    Destroy, ExportPlaintext, Generate, ImportPlaintext, KeyRecord, KeyRequest, KeyStore, Transferability, TransportKey, UnwrapIn, UnwrapOutcome,
    WrapOut, WrapOutcome, WrapPolicy, WrapRoute,
};
use keykit::transfer::{open_blob, unwrap_rsa_aes, wrap_rsa_aes};
use keykit::{Error, Result};

use super::engine::Engine;
use super::generate::generate;
use super::software::{Backing, SoftwareStore};

impl<B: Backing> Generate for SoftwareStore<B> {
    fn generate(&self, modulus_bits: usize, request: &KeyRequest) -> Result<KeyRecord> {
        self.add(generate(modulus_bits, &self.identity().uri)?, request, true)
    }
}

impl<B: Backing> ImportPlaintext for SoftwareStore<B> {
    fn import_plaintext(&self, key: &RsaSecretKey, request: &KeyRequest) -> Result<KeyRecord> {
        self.add(copy(key)?, request, false)
    }
}

impl<B: Backing> ExportPlaintext for SoftwareStore<B> {
    fn export_plaintext_danger(&self, id: &KeyId) -> Result<RsaSecretKey> {
        copy(self.engine(id)?.key())
    }
}

impl<B: Backing> WrapOut for SoftwareStore<B> {
    fn wrap_out(&self, key: &KeyId, kek: &RsaPublicKey, policy: &WrapPolicy) -> Result<WrapOutcome> {
        let refused = |why: &str| {
            let uri = &self.identity().uri;
            Err(Error::refused_by_policy(
                format!("the key {} of {uri} {why}", key.short()),
                "store the key as transferable, or name a key in the clear on purpose",
            ))
        };
        match self.transferability(key)? {
            Transferability::Never => return refused("was stored never to leave"),
            // A store in memory has no security officer who could mark a key as trusted.
            Transferability::UnderTrustedKey => return refused("may leave under a trusted key only, and this store knows none"),
            Transferability::Wrapped => {}
        }
        let blob = wrap_rsa_aes(self.engine(key)?.key(), kek, policy.oaep_hash)?;
        Ok(WrapOutcome { blob, route: WrapRoute::InMemory, warnings: Vec::new() })
    }
}

impl<B: Backing> UnwrapIn for SoftwareStore<B> {
    fn transport_key(&self, modulus_bits: usize) -> Result<Box<dyn TransportKey + '_>> {
        self.transport_key_with(modulus_bits, Hash::Sha256)
    }

    fn transport_key_with(&self, modulus_bits: usize, oaep_hash: Hash) -> Result<Box<dyn TransportKey + '_>> {
        let engine = Engine::new(generate(modulus_bits, &self.identity().uri)?, self.engine_choice())?;
        Ok(Box::new(SoftwareTransportKey { store: self, engine, oaep_hash }))
    }

    fn unwrap_under(
        &self,
        kek: &KeyId,
        oaep_hash: Hash,
        blob: &[u8],
        expected: Option<&RsaPublicKey>,
        request: &KeyRequest,
    ) -> Result<UnwrapOutcome> {
        let engine = self.engine(kek)?;
        let opened = open_blob(blob, engine.key().public(), oaep_hash, &|scheme, sealed| decrypt_one(&engine, scheme, sealed))?;
        check_expected(&opened.key, expected)?;
        Ok(UnwrapOutcome { record: self.add(opened.key, request, false)?, findings: opened.findings })
    }
}

impl<B: Backing> Destroy for SoftwareStore<B> {
    fn destroy(&self, id: &KeyId) -> Result<()> {
        self.forget(id)
    }
}

/// A key encryption key that lives as long as this value.
#[derive(Debug)]
struct SoftwareTransportKey<'store, B> {
    store: &'store SoftwareStore<B>,
    engine: Engine,
    oaep_hash: Hash,
}

impl<B: Backing> TransportKey for SoftwareTransportKey<'_, B> {
    fn public(&self) -> &RsaPublicKey {
        self.engine.key().public()
    }

    fn oaep_hash(&self) -> Hash {
        self.oaep_hash
    }

    fn unwrap_in(&self, blob: &[u8], expected: &RsaPublicKey, request: &KeyRequest) -> Result<KeyRecord> {
        let scheme = EncryptionScheme::oaep(self.oaep_hash);
        let (key, _) = unwrap_rsa_aes(blob, self.public().modulus_bytes(), |sealed| decrypt_one(&self.engine, &scheme, sealed))?;
        check_expected(&key, Some(expected))?;
        self.store.add(key, request, false)
    }
}

fn decrypt_one(engine: &Engine, scheme: &EncryptionScheme, sealed: &[u8]) -> Result<SecretBytes> {
    engine.decrypt(scheme, &[sealed])?.into_iter().next().and_then(Result::ok).ok_or(Error::Crypto)
}

fn check_expected(key: &RsaSecretKey, expected: Option<&RsaPublicKey>) -> Result<()> {
    match expected.filter(|expected| *expected != key.public()) {
        None => Ok(()),
        Some(expected) => Err(Error::Conflict {
            what: format!("the blob holds the key {}, not {}", key.id().short(), expected.id().short()),
            hint: Some("take the blob that was made from the expected key; nothing was stored".into()),
        }),
    }
}

/// A second copy in locked memory: [`RsaSecretKey`] is not cloned by accident.
fn copy(key: &RsaSecretKey) -> Result<RsaSecretKey> {
    RsaSecretKey::from_pkcs1_der(key.to_pkcs1_der().expose())
}

#[cfg(test)]
mod tests {
    use super::super::MemoryStore;
    use super::*;

    #[test]
    fn a_key_for_trusted_keys_only_stays_because_there_are_none() {
        let store = MemoryStore::new();
        let request = KeyRequest { transferability: Transferability::UnderTrustedKey, ..KeyRequest::labelled("x") };
        let record = store.generate(1024, &request).unwrap();
        assert_eq!((record.attributes.wrap_with_trusted, record.attributes.extractable), (Some(true), Some(false)));
        let kek = store.transport_key(2048).unwrap();
        let policy = WrapPolicy { oaep_hash: Hash::Sha1, allow_host_visible_ephemeral_key: false };
        let error = store.wrap_out(&record.id(), kek.public(), &policy).unwrap_err();
        assert_eq!(error.code(), "refused");
        assert!(error.to_string().contains("trusted") && error.hint().is_some());
    }

    #[test]
    fn odd_sizes_are_not_generated() {
        let store = MemoryStore::new();
        for bits in [0, 512, 1536, 2047, 1 << 40] {
            assert_eq!(store.generate(bits, &KeyRequest::default()).unwrap_err().code(), "unsupported", "{bits}");
            assert_eq!(store.transport_key(bits).unwrap_err().code(), "unsupported", "{bits}");
        }
    }

    #[test]
    fn keys_without_a_label_do_not_conflict_and_come_in_the_order_of_their_identity() {
        let store = MemoryStore::default();
        for _ in 0..4 {
            store.generate(1024, &KeyRequest::default()).unwrap();
        }
        let ids: Vec<KeyId> = store.keys().unwrap().iter().map(KeyRecord::id).collect();
        assert_eq!(ids.len(), 4);
        assert!(ids.is_sorted());
    }

    #[test]
    fn nothing_secret_is_printed() {
        let store = MemoryStore::new();
        let record = store.generate(1024, &KeyRequest::labelled("x")).unwrap();
        let key = store.export_plaintext_danger(&record.id()).unwrap();
        let text = format!("{store:?} {:?}", store.transport_key(2048).unwrap());
        assert!(text.contains("Engine(RsaSecretKey(1024 bits"), "{text}");
        let der = format!("{:?}", key.to_pkcs1_der().expose());
        assert!(!text.contains(&der[200..260]));
    }
}
