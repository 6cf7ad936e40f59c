//! All transfer profiles by all routes of two independent tokens, with SHA-1 and SHA-256.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::PathBuf;

use keykit::Error;
use keykit::key::Hash;
use keykit::store::{KeyRecord, KeyRequest, KeyStore, Transferability, UnwrapIn as _, WrapRoute};
use keykit::transfer::{Package, PackageOptions, open_envelope, rehearse, wrap_rsa_aes};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_hsm_backends::pkcs11::Pkcs11Store;
use keykit_tests::tokens::{BothModules, on_both, open_labelled};
use keykit_tests::transfers::{KID, KeyInMemory, confirmed, kek, make_unwrapping_key, profile, profiles};
use keykit_tests::{kryoptic, softhsm};

fn wrappable(label: &str) -> KeyRequest {
    KeyRequest { transferability: Transferability::Wrapped, ..KeyRequest::labelled(label) }
}

fn generate(store: &Pkcs11Store) -> KeyRecord {
    store.as_generate().unwrap().generate(2048, &wrappable("slc")).unwrap()
}

/// The tokens, and whether each can do OAEP with SHA-256.
fn sources(modules: &BothModules) -> [(Pkcs11Store, bool); 2] {
    [(modules.softhsm("source").unwrap(), false), (modules.kryoptic("source").unwrap(), true)]
}

#[test]
fn tokens_wrap_for_every_profile() {
    on_both("tokens_wrap_for_every_profile", &["source"], |modules| {
        let mut routes = std::collections::BTreeMap::<(bool, WrapRoute), usize>::new();
        for (source, knows_sha256) in sources(modules) {
            let key = generate(&source);
            let digest = Hash::Sha256.digest(b"before and after");
            let before = source.sign(&key.id(), &[digest]).unwrap();
            for profile in profiles() {
                let kek = kek(*profile.kek.bits.last().unwrap());
                let confirmed = confirmed(&kek.public, &profile).unwrap();
                let make = |allow_host_visible_ephemeral_key| {
                    let options = PackageOptions { allow_host_visible_ephemeral_key, kid: profile.kek.kid.then(|| KID.to_owned()) };
                    Package::make(&source, &key.id(), &confirmed, &profile, &options)
                };
                let in_token = profile.oaep_hash == Hash::Sha1 || knows_sha256;
                let package = match make(false) {
                    Ok(package) if in_token => package,
                    Err(Error::Unsupported { mechanism, .. }) if !in_token => {
                        assert!(mechanism.contains("SHA-256"), "{mechanism}");
                        make(true).unwrap()
                    }
                    other => panic!("{} from {}: {other:?}", profile.name, source.identity().uri),
                };
                *routes.entry((knows_sha256, package.route)).or_default() += 1;
                let codes: Vec<&str> = package.findings.iter().map(|finding| finding.code).collect();
                assert_eq!(codes.contains(&"host-visible-ephemeral-key"), !in_token, "{codes:?}");
                // SoftHSM 2.6 adds zeros; that is said, and the file says who made it.
                assert_eq!(codes.contains(&"wrap"), !knows_sha256, "{codes:?}");
                if profile.kek.kid {
                    assert_eq!(codes.contains(&"softhsm-zero-padding"), !knows_sha256, "{codes:?}");
                }
                let receiver = MemoryStore::new();
                receiver.as_import_plaintext().unwrap().import_plaintext(&kek.secret, &KeyRequest::labelled("kek")).unwrap();
                let blob = open_envelope(&package.bytes, &profile).unwrap();
                let arrived =
                    receiver.unwrap_under(&kek.public.id(), profile.oaep_hash, &blob, Some(&key.public), &KeyRequest::labelled("slc")).unwrap();
                assert_eq!(arrived.record.public, key.public);
                assert_eq!(receiver.sign(&key.id(), &[digest]).unwrap(), before, "{}", profile.name);
                assert!(arrived.findings.iter().all(|finding| finding.code == "trailing-zeros" && !knows_sha256), "{:?}", arrived.findings);
            }
            assert_eq!(source.keys().unwrap().len(), 1, "nothing is left behind");
        }
        println!("routes (token knows SHA-256, route): {routes:?}");
        // Six profiles with SHA-1, five with SHA-256.
        assert_eq!(routes[&(true, WrapRoute::OaepAndKeyWrapWithPadding)], 11);
        assert_eq!(routes[&(false, WrapRoute::OaepAndKeyWrapWithPadding)], 6);
        assert_eq!(routes[&(false, WrapRoute::HostVisibleEphemeralKey)], 5);
    });
}

#[test]
fn tokens_play_the_receiver_for_every_profile() {
    on_both("tokens_play_the_receiver_for_every_profile", &["source", "target"], |modules| {
        let key = KeyInMemory::make(2048).unwrap();
        let options = PackageOptions { allow_host_visible_ephemeral_key: true, kid: None };
        for (receiver, knows_sha256) in [(modules.softhsm("target").unwrap(), false), (modules.kryoptic("target").unwrap(), true)] {
            for profile in profiles() {
                let rehearsed = rehearse(&key.store, &key.public.id(), &receiver, &profile, profile.kek.bits.first().copied(), &options);
                match rehearsed {
                    Ok(_) if profile.oaep_hash == Hash::Sha1 || knows_sha256 => {}
                    Err(Error::Unsupported { .. }) if profile.oaep_hash == Hash::Sha256 && !knows_sha256 => {}
                    other => panic!("{} in {}: {other:?}", profile.name, receiver.identity().uri),
                }
                assert!(receiver.keys().unwrap().is_empty(), "nothing is left behind");
            }
        }
        // From token to token, both ways.
        let (softhsm, kryoptic) = (modules.softhsm("source").unwrap(), modules.kryoptic("source").unwrap());
        for (source, receiver) in [(&softhsm, modules.kryoptic("target").unwrap()), (&kryoptic, modules.softhsm("target").unwrap())] {
            let record = generate(source);
            rehearse(source, &record.id(), &receiver, &profile("azure-key-vault"), Some(2048), &options).unwrap();
            assert!(receiver.keys().unwrap().is_empty());
            let refused = rehearse(source, &record.id(), source, &profile("pkcs11"), Some(2048), &options).unwrap_err();
            assert_eq!(refused.code(), "refused");
            assert_eq!(source.keys().unwrap().len(), 1, "the key that was there is still there");
        }
    });
}

#[test]
fn tokens_unwrap_under_a_key_that_they_keep() {
    on_both("tokens_unwrap_under_a_key_that_they_keep", &["receiver"], |_| {
        let tokens: [(PathBuf, &str, bool); 2] =
            [(softhsm::module().unwrap(), softhsm::PIN, false), (kryoptic::module().unwrap(), kryoptic::PIN, true)];
        for (module, pin, knows_sha256) in tokens {
            make_unwrapping_key(&module, "receiver", pin, "kek", 2048);
            let store = open_labelled(&module, "receiver", pin).unwrap();
            let kek = store.keys().unwrap().remove(0);
            assert_eq!(kek.attributes.can_unwrap, Some(true));
            let key = KeyInMemory::make(2048).unwrap();
            let digest = Hash::Sha256.digest(b"x");
            for hash in [Hash::Sha1, Hash::Sha256] {
                let blob = wrap_rsa_aes(&key.secret, &kek.public, hash).unwrap();
                let unwrap = |blob: &[u8], expected| store.unwrap_under(&kek.id(), hash, blob, expected, &KeyRequest::labelled("arrived"));
                if hash == Hash::Sha256 && !knows_sha256 {
                    assert_eq!(unwrap(&blob, None).unwrap_err().code(), "unsupported");
                    continue;
                }
                for expected in [None, Some(&key.public)] {
                    for position in [0, 255, 256, blob.len() - 1] {
                        let mut tampered = blob.clone();
                        tampered[position] ^= 1;
                        assert!(matches!(unwrap(&tampered, expected), Err(Error::Crypto)), "{position}");
                    }
                    assert_eq!(unwrap(&blob[..blob.len() - 1], expected).unwrap_err().code(), "malformed");
                    assert_eq!(store.keys().unwrap().len(), 1, "a refused blob leaves nothing");
                    let record = unwrap(&blob, expected).unwrap().record;
                    assert_eq!(record.public, key.public);
                    assert_eq!((record.attributes.sensitive, record.attributes.extractable), (Some(true), Some(false)));
                    assert_eq!(record.attributes.local_id, key.public.id().to_string()[..40]);
                    assert_eq!(store.sign(&key.public.id(), &[digest]).unwrap(), key.store.sign(&key.public.id(), &[digest]).unwrap());
                    // Again, under another label: the same key, once.
                    let again = store.unwrap_under(&kek.id(), hash, &blob, expected, &KeyRequest::labelled("again")).unwrap();
                    assert_eq!(again.record.attributes.label, "arrived");
                    assert_eq!(store.keys().unwrap().len(), 2);
                    store.as_destroy().unwrap().destroy(&key.public.id()).unwrap();
                }
                let other = KeyInMemory::make(1024).unwrap();
                assert_eq!(unwrap(&blob, Some(&other.public)).unwrap_err().code(), "conflict");
                assert_eq!(store.keys().unwrap().len(), 1);
            }
            // A key that may not unwrap.
            let stays = store.as_generate().unwrap().generate(2048, &KeyRequest::labelled("no kek")).unwrap();
            let blob = wrap_rsa_aes(&key.secret, &stays.public, Hash::Sha1).unwrap();
            let refused = store.unwrap_under(&stays.id(), Hash::Sha1, &blob, None, &KeyRequest::labelled("x")).unwrap_err();
            assert!(refused.to_string().contains("[kek-cannot-unwrap]"), "{refused}");
        }
    });
}
