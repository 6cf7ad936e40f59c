//! All transfer profiles by all routes of two independent tokens, with SHA-1 and SHA-256.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::PathBuf;

use keykit::Error;
use keykit::key::{EncryptionScheme, Hash, RsaPublicKey};
use keykit::store::{KeyRecord, KeyRequest, KeyStore, Transferability, UnwrapIn as _, WrapOut as _, WrapPolicy, WrapRoute};
use keykit::transfer::{KeyEncryptionKey, Package, PackageOptions, open_envelope, rehearse, strip_token_padding, wrap_rsa_aes};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_hsm_backends::pkcs11::Pkcs11Store;
use keykit_tests::child::skip;
use keykit_tests::tokens::{BothModules, on_both, open_labelled};
use keykit_tests::transfers::{KID, KeyInMemory, OpenSsl, confirmed, kek, make_unwrapping_key, profile, profiles};
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
                    let options = PackageOptions {
                        allow_host_visible_ephemeral_key,
                        kid: profile.kek.kid.then(|| KID.to_owned()),
                        ..PackageOptions::default()
                    };
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
        let options = PackageOptions { allow_host_visible_ephemeral_key: true, ..PackageOptions::default() };
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

/// A blob around any plaintext.
fn blob_around(plaintext: &[u8], kek: &RsaPublicKey, hash: Hash) -> Vec<u8> {
    let ephemeral = KeyEncryptionKey::random().unwrap();
    let mut blob = kek.encrypt(&EncryptionScheme::oaep(hash), ephemeral.expose().expose()).unwrap();
    blob.extend(ephemeral.wrap_with_padding(plaintext).unwrap());
    blob
}

/// A token that holds a key encryption key, and whether it can do OAEP with SHA-256.
fn receivers() -> [(Pkcs11Store, KeyRecord, bool); 2] {
    let tokens: [(PathBuf, &str, bool); 2] = [(softhsm::module().unwrap(), softhsm::PIN, false), (kryoptic::module().unwrap(), kryoptic::PIN, true)];
    tokens.map(|(module, pin, knows_sha256)| {
        make_unwrapping_key(&module, "receiver", pin, "kek", 2048);
        let store = open_labelled(&module, "receiver", pin).unwrap();
        let kek = store.keys().unwrap().remove(0);
        (store, kek, knows_sha256)
    })
}

/// A key that is there already proves nothing about a file: the file is opened all the same.
#[test]
fn a_file_is_opened_though_its_key_is_there_already() {
    on_both("a_file_is_opened_though_its_key_is_there_already", &["receiver"], |_| {
        for (store, kek, _) in receivers() {
            let key = KeyInMemory::make(2048).unwrap();
            let blob = wrap_rsa_aes(&key.secret, &kek.public, Hash::Sha1).unwrap();
            let unwrap = |blob: &[u8]| store.unwrap_under(&kek.id(), Hash::Sha1, blob, Some(&key.public), &KeyRequest::labelled("slc"));
            unwrap(&blob).unwrap();
            for position in [0, 255, 256, 300, blob.len() - 1] {
                let mut tampered = blob.clone();
                tampered[position] ^= 1;
                assert!(matches!(unwrap(&tampered), Err(Error::Crypto)), "{position} in {}", store.identity().uri);
            }
            let other = wrap_rsa_aes(&KeyInMemory::make(2048).unwrap().secret, &kek.public, Hash::Sha1).unwrap();
            assert_eq!(unwrap(&other).unwrap_err().code(), "conflict");
            let again = unwrap(&blob).unwrap();
            let codes: Vec<&str> = again.findings.iter().map(|finding| finding.code).collect();
            assert_eq!((codes, again.record.attributes.label.as_str()), (vec!["already-there"], "slc"));
            assert_eq!(store.keys().unwrap().len(), 2, "nothing more is stored");
        }
    });
}

/// What a token takes and a strict reader does not is named, or refused, without the key being seen.
#[test]
fn traps_in_a_blob_are_named_by_tokens_too() {
    on_both("traps_in_a_blob_are_named_by_tokens_too", &["receiver"], |_| {
        for (store, kek, is_kryoptic) in receivers() {
            let key = KeyInMemory::make(2048).unwrap();
            let pkcs8 = key.secret.to_pkcs8_der().unwrap();
            let unwrap = |plaintext: &[u8]| {
                let blob = blob_around(plaintext, &kek.public, Hash::Sha1);
                let outcome = store.unwrap_under(&kek.id(), Hash::Sha1, &blob, None, &KeyRequest::labelled("slc"));
                let codes = outcome.map(|outcome| outcome.findings.iter().map(|finding| finding.code).collect::<Vec<_>>());
                assert_eq!(store.keys().unwrap().len(), if codes.is_ok() { 2 } else { 1 });
                if codes.is_ok() {
                    store.as_destroy().unwrap().destroy(&key.public.id()).unwrap();
                }
                codes
            };
            assert_eq!(unwrap(pkcs8.expose()).unwrap(), Vec::<&str>::new());
            for zeros in 1..=16 {
                let outcome = unwrap(&[pkcs8.expose(), &vec![0; zeros]].concat());
                // SoftHSM 2.6 adds zeros itself, up to a multiple of eight: it does not see those, and counts from there.
                let unseen = if is_kryoptic { 0 } else { pkcs8.expose().len().next_multiple_of(8) - pkcs8.expose().len() };
                match zeros.saturating_sub(unseen) {
                    0 => assert_eq!(outcome.unwrap(), Vec::<&str>::new(), "{zeros}"),
                    1..=7 => assert_eq!(outcome.unwrap(), ["trailing-zeros"], "{zeros}"),
                    _ => {
                        let error = outcome.unwrap_err();
                        assert!(error.code() == "malformed" && error.to_string().contains("[trailing-bytes]"), "{zeros}: {error}");
                    }
                }
            }
            for tail in [&[1][..], &[0, 1], &[0; 20]] {
                let outcome = unwrap(&[pkcs8.expose(), tail].concat());
                match (tail.len(), is_kryoptic) {
                    (20, _) => assert!(outcome.unwrap_err().to_string().contains("[trailing-bytes]")),
                    (_, true) => assert_eq!(outcome.unwrap_err().code(), "crypto"),
                    (_, false) => assert_eq!(outcome.unwrap(), ["encoding-differs"]),
                }
            }
            // PrivateKeyInfo with [0] attributes: keyUsage as CryptoAPI writes it (OID 2.5.29.15, a SET with a BIT STRING).
            let attributes = [0xa0, 0x0d, 0x30, 0x0b, 0x06, 0x03, 0x55, 0x1d, 0x0f, 0x31, 0x04, 0x03, 0x02, 0x00, 0x10];
            let content = [&pkcs8.expose()[4..], &attributes].concat();
            let with = [&[0x30, 0x82], &u16::try_from(content.len()).unwrap().to_be_bytes()[..], &content].concat();
            assert_eq!(unwrap(&with).unwrap(), ["encoding-differs"], "{}", store.identity().uri);
            // An EC key that is as long as an RSA key by what stands in it.
            let ec = keykit_vectors::read("transfer/ec-private.p8").unwrap();
            let attribute = [0x30, 0x82, 0x04, 0x37, 0x06, 0x03, 0x55, 0x1d, 0x0f, 0x31, 0x82, 0x04, 0x2e, 0x04, 0x82, 0x04, 0x2a];
            let content = [&ec[3..], &[0xa0, 0x82, 0x04, 0x3b], &attribute, &[0; 1066][..]].concat();
            let long = [&[0x30, 0x82], &u16::try_from(content.len()).unwrap().to_be_bytes()[..], &content].concat();
            let error = unwrap(&long).unwrap_err();
            println!("\nan EC key in {}: {error}", store.identity().uri);
            // The other hash, where the token knows both.
            if is_kryoptic {
                for (made, wanted) in [(Hash::Sha1, Hash::Sha256), (Hash::Sha256, Hash::Sha1), (Hash::Sha512, Hash::Sha256)] {
                    let blob = wrap_rsa_aes(&key.secret, &kek.public, made).unwrap();
                    let error = store.unwrap_under(&kek.id(), wanted, &blob, None, &KeyRequest::labelled("x")).unwrap_err();
                    assert!(error.to_string().contains(&format!("OAEP with {made}; the profile wants {wanted} [oaep-hash]")), "{error}");
                }
            }
        }
    });
}

/// OpenSSL's view of a PKCS#8 key: its public half, DER.
fn public_by_openssl(openssl: &OpenSsl, pkcs8: &[u8]) -> Vec<u8> {
    std::fs::write(openssl.path("judged.p8"), pkcs8).unwrap();
    openssl.run("pkey -inform DER -in judged.p8 -pubout -outform DER")
}

/// OpenSSL opens what tokens wrap, by both routes, under every size of key encryption key and with both hashes.
#[test]
fn openssl_judges_what_tokens_wrap() {
    on_both("openssl_judges_what_tokens_wrap", &["source"], |modules| {
        let Some(openssl) = OpenSsl::find() else { return skip("openssl_judges_what_tokens_wrap", "openssl is not installed") };
        for (source, knows_sha256) in sources(modules) {
            let key = generate(&source);
            for bits in [2048, 3072, 4096] {
                for hash in [Hash::Sha1, Hash::Sha256] {
                    let policy = WrapPolicy { oaep_hash: hash, allow_host_visible_ephemeral_key: true };
                    let outcome = source.wrap_out(&key.id(), &kek(bits).public, &policy).unwrap();
                    let in_token = hash == Hash::Sha1 || knows_sha256;
                    let route = if in_token { WrapRoute::OaepAndKeyWrapWithPadding } else { WrapRoute::HostVisibleEphemeralKey };
                    assert_eq!(outcome.route, route, "{bits} {hash}");
                    let inside = openssl.unwrap(&outcome.blob, &kek(bits).secret, hash);
                    let (pkcs8, zeros) = strip_token_padding(&inside).unwrap();
                    assert!(!knows_sha256 || zeros == 0);
                    assert_eq!(public_by_openssl(&openssl, pkcs8), key.public.to_spki_der(), "{bits} {hash}");
                }
            }
        }
    });
}

/// Tokens open what OpenSSL wraps, under key encryption keys of every size and with both hashes.
#[test]
fn tokens_open_what_openssl_wraps() {
    on_both("tokens_open_what_openssl_wraps", &["receiver"], |_| {
        let Some(openssl) = OpenSsl::find() else { return skip("tokens_open_what_openssl_wraps", "openssl is not installed") };
        let key = KeyInMemory::make(2048).unwrap();
        let pkcs8 = key.secret.to_pkcs8_der().unwrap();
        let tokens: [(PathBuf, &str, bool); 2] =
            [(softhsm::module().unwrap(), softhsm::PIN, false), (kryoptic::module().unwrap(), kryoptic::PIN, true)];
        for (module, pin, knows_sha256) in tokens {
            for bits in [2048, 3072, 4096] {
                make_unwrapping_key(&module, "receiver", pin, &format!("kek {bits}"), bits);
            }
            let store = open_labelled(&module, "receiver", pin).unwrap();
            let keks = store.keys().unwrap();
            assert_eq!(keks.len(), 3);
            for kek in keks {
                for hash in [Hash::Sha1, Hash::Sha256] {
                    let blob = openssl.wrap(pkcs8.expose(), &kek.public, hash);
                    let outcome = store.unwrap_under(&kek.id(), hash, &blob, Some(&key.public), &KeyRequest::labelled("by openssl"));
                    if hash == Hash::Sha256 && !knows_sha256 {
                        assert_eq!(outcome.unwrap_err().code(), "unsupported");
                        continue;
                    }
                    let outcome = outcome.unwrap();
                    assert_eq!((outcome.record.public, outcome.findings), (key.public.clone(), Vec::new()));
                    store.as_destroy().unwrap().destroy(&key.public.id()).unwrap();
                }
            }
        }
    });
}
