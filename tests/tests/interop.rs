//! Keys on their way between independent implementations, in one process: SoftHSM, kryoptic, memory.
//!
//! After every journey the key is the same: signatures are equal byte by byte, what was sealed before opens after, and the
//! target says that the key is sensitive and cannot leave.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use keykit::Error;
use keykit::key::{CryptographicMode, EncryptionScheme, Hash, KeyId, RsaPublicKey};
use keykit::licence::{ContentCipher, ContentKey, SealAlgorithm, open, seal};
use keykit::secret::SecretBytes;
use keykit::store::{KeyRecord, KeyRequest, KeyStore, Transferability, WrapPolicy, WrapRoute};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_hsm_backends::pkcs11::Pkcs11Store;
use keykit_tests::tokens;

const LABEL: &str = "interop";
const BOUND: &str = "<ISSUEDPRINCIPALS></ISSUEDPRINCIPALS>";

/// Both tokens, open in one process.
struct Tokens {
    softhsm: Pkcs11Store,
    kryoptic: Pkcs11Store,
}

fn on_both(name: &str, body: impl FnOnce(Tokens)) {
    tokens::on_both(name, &[LABEL], |modules| body(Tokens { softhsm: modules.softhsm(LABEL).unwrap(), kryoptic: modules.kryoptic(LABEL).unwrap() }));
}

/// What a key does, before its journey: to be compared with what it does after.
struct Before {
    public: RsaPublicKey,
    signatures: Vec<Vec<u8>>,
    content_key: ContentKey,
    sealed: Vec<u8>,
    mode: CryptographicMode,
}

fn signatures(store: &dyn KeyStore, key: &KeyId) -> Vec<Vec<u8>> {
    let digests: Vec<_> = [Hash::Sha1, Hash::Sha256].into_iter().flat_map(|hash| (0..4_u8).map(move |number| hash.digest(&[number]))).collect();
    store.sign(key, &digests).unwrap()
}

impl Before {
    fn of(store: &dyn KeyStore, key: &KeyRecord) -> Self {
        let mode = CryptographicMode::of_modulus_bits(key.public.modulus_bits()).unwrap();
        let content_key = ContentKey::generate(ContentCipher::Cbc4k, 128).unwrap();
        let sealed = seal(&content_key, &key.public, mode, BOUND).unwrap();
        let before = Self { public: key.public.clone(), signatures: signatures(store, &key.id()), content_key, sealed, mode };
        before.check_use(store);
        before
    }

    /// The key does at this store what it did before.
    fn check_use(&self, store: &dyn KeyStore) {
        let id = self.public.id();
        assert_eq!(signatures(store, &id), self.signatures);
        let opened = open(store, &id, SealAlgorithm::for_mode(self.mode), &self.sealed).unwrap();
        assert!(opened.is_bound_to(BOUND) && opened.key == self.content_key);
        let mut damaged = self.sealed.clone();
        damaged[3] ^= 1;
        assert!(matches!(open(store, &id, SealAlgorithm::for_mode(self.mode), &damaged), Err(Error::Crypto)));
    }

    /// The record at the target says what was asked for, and the token says the same when it is asked again.
    fn check_record(&self, store: &dyn KeyStore, record: &KeyRecord, request: &KeyRequest) {
        let found = store.find(&self.public.id()).unwrap();
        assert_eq!((&record.public, &found.public, &found.attributes), (&self.public, &self.public, &record.attributes));
        let attributes = &found.attributes;
        assert_eq!(attributes.label, request.label);
        assert_eq!((attributes.sensitive, attributes.extractable, attributes.local), (Some(true), Some(false), Some(false)));
        assert_eq!((attributes.can_sign, attributes.can_decrypt, attributes.can_unwrap), (Some(true), Some(true), Some(false)));
        // It has been outside: it must not say that it never was.
        assert_ne!(attributes.never_extractable, Some(true));
    }
}

/// Moves a new key and comes back with the route and the warnings.
fn journey(source: &dyn KeyStore, target: &dyn KeyStore, modulus_bits: usize, label: &str) -> (WrapRoute, Vec<String>) {
    let request = KeyRequest { transferability: Transferability::Wrapped, ..KeyRequest::labelled(label) };
    let key = source.as_generate().unwrap().generate(modulus_bits, &request).unwrap();
    let before = Before::of(source, &key);
    let transport = target.as_unwrap_in().unwrap().transport_key(2048).unwrap();
    let policy = WrapPolicy { oaep_hash: transport.oaep_hash(), allow_host_visible_ephemeral_key: false };
    let wrapped = source.as_wrap_out().unwrap().wrap_out(&key.id(), transport.public(), &policy).unwrap();
    let request = KeyRequest::labelled(label);
    for position in [0, transport.public().modulus_bytes(), wrapped.blob.len() - 1] {
        let mut tampered = wrapped.blob.clone();
        tampered[position] ^= 0x80;
        let refused = transport.unwrap_in(&tampered, &key.public, &request);
        assert!(matches!(refused, Err(Error::Crypto)), "{position}: {refused:?}");
    }
    let record = transport.unwrap_in(&wrapped.blob, &key.public, &request).unwrap();
    before.check_record(target, &record, &request);
    before.check_use(target);
    // The source still works, and the key does not leave the target.
    before.check_use(source);
    let refused = target.as_wrap_out().unwrap().wrap_out(&key.id(), transport.public(), &policy);
    assert!(matches!(&refused, Err(Error::Refused(refusal)) if refusal.rule == Some(31)), "{refused:?}");
    (wrapped.route, wrapped.warnings)
}

#[test]
fn softhsm_to_kryoptic() {
    on_both("softhsm_to_kryoptic", |tokens| {
        // More than one: the length of a PKCS#8 key differs from key to key, and with it the padding.
        for number in 0..4 {
            let (route, warnings) = journey(&tokens.softhsm, &tokens.kryoptic, 2048, &format!("slc {number}"));
            assert_eq!(route, WrapRoute::OaepAndKeyWrapWithPadding);
            let pads = tokens.softhsm.identity().firmware.starts_with("2.6");
            assert_eq!(warnings.iter().any(|warning| warning.contains("zero bytes")), pads, "{warnings:?}");
        }
        assert_eq!((tokens.softhsm.keys().unwrap().len(), tokens.kryoptic.keys().unwrap().len()), (4, 4));
    });
}

#[test]
fn kryoptic_to_softhsm() {
    on_both("kryoptic_to_softhsm", |tokens| {
        for number in 0..4 {
            let (route, warnings) = journey(&tokens.kryoptic, &tokens.softhsm, 2048, &format!("slc {number}"));
            assert_eq!(route, WrapRoute::OaepAndKeyWrapWithPadding);
            assert!(warnings.is_empty(), "{warnings:?}");
        }
        assert_eq!((tokens.softhsm.keys().unwrap().len(), tokens.kryoptic.keys().unwrap().len()), (4, 4));
    });
}

#[test]
fn memory_to_both() {
    on_both("memory_to_both", |tokens| {
        let memory = MemoryStore::new();
        for (name, target) in [("softhsm", &tokens.softhsm), ("kryoptic", &tokens.kryoptic)] {
            for modulus_bits in [1024, 2048] {
                let (route, warnings) = journey(&memory, target, modulus_bits, &format!("{name} {modulus_bits}"));
                assert_eq!(route, WrapRoute::InMemory);
                assert!(warnings.is_empty(), "{warnings:?}");
            }
        }
        assert_eq!(memory.keys().unwrap().len(), 4);
    });
}

/// The label of OAEP is part of what is sealed. SoftHSM ignores it, so keykit does not use it there.
#[test]
fn labels_of_oaep() {
    on_both("labels_of_oaep", |tokens| {
        let scheme = |label: &[u8]| EncryptionScheme::Oaep { hash: Hash::Sha1, mgf1: Hash::Sha1, label: label.to_vec() };
        let key = tokens.kryoptic.as_generate().unwrap().generate(2048, &KeyRequest::labelled("k")).unwrap();
        let sealed = key.public.encrypt(&scheme(b"one"), b"secret").unwrap();
        let opened = tokens.kryoptic.decrypt(&key.id(), &scheme(b"one"), &[&sealed]).unwrap().remove(0);
        assert_eq!(opened.as_ref().map(SecretBytes::expose), Ok(&b"secret"[..]));
        for other in [&b"two"[..], b""] {
            assert!(tokens.kryoptic.decrypt(&key.id(), &scheme(other), &[&sealed]).unwrap().remove(0).is_err());
        }
        let key = tokens.softhsm.as_generate().unwrap().generate(2048, &KeyRequest::labelled("k")).unwrap();
        let without = key.public.encrypt(&scheme(b""), b"secret").unwrap();
        let refused = tokens.softhsm.decrypt(&key.id(), &scheme(b"one"), &[&without]);
        assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
        assert!(tokens.softhsm.decrypt(&key.id(), &scheme(b""), &[&without]).unwrap().remove(0).is_ok());
        // The test of it leaves nothing behind.
        assert_eq!((tokens.softhsm.keys().unwrap().len(), tokens.kryoptic.keys().unwrap().len()), (1, 1));
    });
}
