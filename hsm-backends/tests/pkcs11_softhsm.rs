//! The PKCS#11 store on SoftHSM.
//!
//! Each test runs its body in a process of its own, since SoftHSM reads its configuration from the environment once, and
//! on tokens of its own. Without SoftHSM the tests are skipped, and say so.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::Command;

use keykit::key::{EncryptionScheme, Hash, RsaPublicKey, RsaSecretKey};
use keykit::secret::Password;
use keykit::store::protection::Protection;
use keykit::store::{DecryptionFailed, KeyRecord, KeyRequest, KeyStore, Transferability, WrapPolicy, WrapRoute};
use keykit::transfer::{unwrap_rsa_aes, wrap_rsa_aes};
use keykit::{Error, Result};
use keykit_hsm_backends::pkcs11::{KwpVerdict, Pkcs11Options, Pkcs11Store, Pkcs11Uri, tokens};
use keykit_tests::softhsm::PIN;

const LABELS: [&str; 4] = ["accelerator", "PKCS11OCS", "softcard one", "target"];
const POLICY: WrapPolicy = WrapPolicy { oaep_hash: Hash::Sha1, allow_host_visible_ephemeral_key: false };

/// Runs `body` on fresh tokens with the labels that the tests here use.
fn on_softhsm(name: &str, body: impl FnOnce(&Path)) {
    keykit_tests::softhsm::on_softhsm(name, &LABELS, body);
}

fn uri(module: &Path, token: &str) -> Pkcs11Uri {
    Pkcs11Uri { token: Some(token.into()), module_path: Some(module.into()), ..Pkcs11Uri::default() }
}

fn open_with(module: &Path, token: &str, pin: Option<&str>) -> Result<Pkcs11Store> {
    Pkcs11Store::open(&uri(module, token), pin.map(|pin| Password::new(pin.into())), Pkcs11Options { sessions: 3, ..Pkcs11Options::default() })
}

fn open(module: &Path, token: &str) -> Pkcs11Store {
    open_with(module, token, Some(PIN)).unwrap()
}

fn wrappable(label: &str) -> KeyRequest {
    KeyRequest { transferability: Transferability::Wrapped, ..KeyRequest::labelled(label) }
}

fn generate(store: &Pkcs11Store, request: &KeyRequest) -> KeyRecord {
    store.as_generate().unwrap().generate(2048, request).unwrap()
}

fn software_key() -> RsaSecretKey {
    let pem = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/tpd/key.pem")).unwrap();
    RsaSecretKey::from_pem(&pem).unwrap()
}

fn sign_once(store: &dyn KeyStore, key: &RsaPublicKey, message: &[u8]) -> Vec<u8> {
    let signature = store.sign(&key.id(), &[Hash::Sha256.digest(message)]).unwrap().remove(0);
    assert!(key.verify(&Hash::Sha256.digest(message), &signature));
    signature
}

/// How many RSA objects, of either class, another program sees in the token.
fn rsa_objects(module: &Path, token: &str) -> usize {
    let listed = Command::new("pkcs11-tool").arg("--module").arg(module).args(["--token-label", token, "-O", "--login", "--pin", PIN]).output();
    let listed = listed.expect("pkcs11-tool of OpenSC");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8_lossy(&listed.stdout).matches("Key Object; RSA").count()
}

#[test]
fn generate_sign_and_list() {
    on_softhsm("generate_sign_and_list", |module| {
        let store = open(module, "accelerator");
        assert!(store.keys().unwrap().is_empty());
        assert_eq!((store.identity().manufacturer.as_str(), store.identity().label.as_str()), ("SoftHSM project", "accelerator"));
        let key = generate(&store, &KeyRequest::labelled("slc"));
        assert_eq!(key.attributes.label, "slc");
        assert_eq!(key.attributes.local_id, key.id().to_string()[..40]);
        assert_eq!((key.attributes.sensitive, key.attributes.extractable), (Some(true), Some(false)));
        assert_eq!((key.attributes.always_sensitive, key.attributes.never_extractable, key.attributes.local), (Some(true), Some(true), Some(true)));
        assert_eq!((key.attributes.can_sign, key.attributes.can_decrypt, key.attributes.can_unwrap), (Some(true), Some(true), Some(false)));
        assert_eq!(store.find(&key.id()).unwrap().public, key.public);
        for hash in Hash::ALL {
            let digests: Vec<_> = (0..20).map(|n: u8| hash.digest(&[n])).collect();
            let batch = store.sign(&key.id(), &digests).unwrap();
            assert_eq!(batch.len(), digests.len());
            for (digest, signature) in digests.iter().zip(&batch) {
                assert!(key.public.verify(digest, signature), "{hash}");
                assert_eq!(store.sign(&key.id(), &[*digest]).unwrap(), vec![signature.clone()], "{hash}");
            }
        }
        assert!(store.sign(&key.id(), &[]).unwrap().is_empty());
        let other = software_key().id();
        assert!(matches!(store.sign(&other, &[Hash::Sha1.digest(b"")]), Err(Error::NotFound { .. })));
        // The same label again, with and without another CKA_ID.
        for local_id in [None, Some(vec![7])] {
            let again = store.as_generate().unwrap().generate(2048, &KeyRequest { local_id, ..KeyRequest::labelled("slc") });
            assert!(matches!(again, Err(Error::Conflict { .. })));
        }
        let same_id = KeyRequest { local_id: Some(key.public.id().as_bytes()[..20].to_vec()), ..KeyRequest::labelled("other") };
        assert!(matches!(store.as_generate().unwrap().generate(2048, &same_id), Err(Error::Conflict { .. })));
        assert_eq!(store.keys().unwrap().len(), 1);
        // pkcs11-tool sees both halves.
        assert_eq!(rsa_objects(module, "accelerator"), 2);
        let by_label = Pkcs11Uri { object: Some("slc".into()), ..uri(module, "accelerator") };
        assert_eq!(store.keys_matching(&by_label).unwrap().len(), 1);
        let by_id = Pkcs11Uri { id: Some(vec![1]), ..by_label };
        assert!(store.keys_matching(&by_id).unwrap().is_empty());
        store.as_destroy().unwrap().destroy(&key.id()).unwrap();
        assert!(store.keys().unwrap().is_empty());
        assert_eq!(rsa_objects(module, "accelerator"), 0);
        assert!(matches!(store.as_destroy().unwrap().destroy(&key.id()), Err(Error::NotFound { .. })));
    });
}

#[test]
fn decrypt_both_schemes() {
    on_softhsm("decrypt_both_schemes", |module| {
        let store = open(module, "target");
        let key = generate(&store, &KeyRequest::labelled("k"));
        for scheme in [EncryptionScheme::Pkcs1v15, EncryptionScheme::oaep(Hash::Sha1)] {
            let messages: Vec<Vec<u8>> = (0..9).map(|n| vec![n; usize::from(n) + 1]).collect();
            let mut ciphertexts: Vec<Vec<u8>> = messages.iter().map(|message| key.public.encrypt(&scheme, message).unwrap()).collect();
            // PKCS#1 v1.5 has no checksum: a ciphertext of a message that is a digest opens as nothing only if its padding breaks.
            ciphertexts[3][100] ^= 1;
            ciphertexts[5].pop();
            ciphertexts[7].clear();
            let borrowed: Vec<&[u8]> = ciphertexts.iter().map(Vec::as_slice).collect();
            let batch = store.decrypt(&key.id(), &scheme, &borrowed).unwrap();
            for (index, (item, message)) in batch.iter().zip(&messages).enumerate() {
                match item {
                    Ok(plaintext) => assert!(![3, 5, 7].contains(&index) && plaintext.expose() == message, "{scheme} {index}"),
                    Err(DecryptionFailed) => assert!([3, 5, 7].contains(&index), "{scheme} {index}"),
                }
                let single = store.decrypt(&key.id(), &scheme, &borrowed[index..=index]).unwrap().remove(0);
                assert_eq!(single.is_ok(), item.is_ok());
            }
        }
        // SoftHSM takes OAEP with SHA-1 only: unsupported, not a ciphertext that failed.
        let ciphertext = key.public.encrypt(&EncryptionScheme::oaep(Hash::Sha256), b"x").unwrap();
        let refused = store.decrypt(&key.id(), &EncryptionScheme::oaep(Hash::Sha256), &[&ciphertext]);
        assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
        // The store still works.
        sign_once(&store, &key.public, b"after");
    });
}

#[test]
fn pins_and_tokens() {
    on_softhsm("pins_and_tokens", |module| {
        let error = open_with(module, "target", Some("9999")).unwrap_err();
        assert!(matches!(&error, Error::WrongPin { tries, .. } if tries.contains("wrong PINs")), "{error}");
        assert!(!error.to_string().contains("9999"));
        assert!(matches!(open_with(module, "target", None), Err(Error::Usage { .. })));
        let store = open(module, "target");
        // A second store joins the login; another PIN does not, and the token is not asked.
        let second = open(module, "target");
        assert!(matches!(open_with(module, "target", Some("9999")), Err(Error::WrongPin { .. })));
        drop(store);
        let key = generate(&second, &KeyRequest::labelled("k"));
        sign_once(&second, &key.public, b"the login is still there");
        drop(second);
        // All stores are gone, and the login with them.
        assert!(matches!(open_with(module, "target", Some("9999")), Err(Error::WrongPin { .. })));
        assert_eq!(open(module, "target").keys().unwrap().len(), 1);

        let error = open_with(module, "nowhere", Some(PIN)).unwrap_err();
        assert!(matches!(&error, Error::NotFound { hint: Some(hint), .. } if hint.contains("accelerator")), "{error}");
        let any = Pkcs11Uri { token: None, ..uri(module, "") };
        let error = Pkcs11Store::open(&any, None, Pkcs11Options::default()).unwrap_err();
        assert!(matches!(&error, Error::Usage { .. }) && error.hint().unwrap().contains("softcard one"), "{error}");
        let without_module = Pkcs11Uri::parse("pkcs11:token=target").unwrap();
        assert!(matches!(Pkcs11Store::open(&without_module, None, Pkcs11Options::default()), Err(Error::Usage { .. })));

        let all = tokens(module).unwrap();
        assert_eq!(all.len(), LABELS.len());
        for token in &all {
            assert!(LABELS.contains(&token.label.as_str()) && token.login_required);
            // The token's own URI opens it.
            let store = Pkcs11Store::open(&Pkcs11Uri::parse(&token.uri).unwrap(), Some(Password::new(PIN.into())), Pkcs11Options::default()).unwrap();
            assert_eq!(store.identity().serial, token.serial);
        }
    });
}

#[test]
fn protection_follows_the_token_label() {
    on_softhsm("protection_follows_the_token_label", |module| {
        for (label, expected) in [
            ("accelerator", Protection::Module),
            ("softcard one", Protection::SoftCard { hash: None, name: Some("softcard one".into()) }),
            ("PKCS11OCS", Protection::CardSet { hash: None, name: Some("PKCS11OCS".into()) }),
        ] {
            let key = generate(&open(module, label), &KeyRequest::labelled("k"));
            assert_eq!(key.protection.protection, expected);
            assert!(key.protection.signals.iter().all(|signal| signal.bound_to_key) && !key.protection.signals.is_empty());
        }
    });
}

#[test]
fn abilities_are_measured() {
    on_softhsm("abilities_are_measured", |module| {
        let store = open(module, "target");
        let mechanisms = store.mechanisms().unwrap();
        let pad = mechanisms.iter().find(|mechanism| mechanism.code == 0x210A).unwrap();
        assert_eq!(pad.name, "CKM_AES_KEY_WRAP_PAD");
        assert!(pad.uses.contains(&"wrap") && pad.uses.contains(&"unwrap"));
        assert!(mechanisms.iter().any(|mechanism| mechanism.name == "CKM_RSA_PKCS" && mechanism.uses.contains(&"sign")));
        let abilities = store.key_wrap_abilities().unwrap();
        let ability = abilities.iter().find(|ability| ability.mechanism == 0x210A).unwrap();
        assert_eq!(ability.unwrap, KwpVerdict::Correct);
        let pads = store.identity().firmware.starts_with("2.6");
        assert_eq!(ability.wrap, if pads { KwpVerdict::ZeroPads } else { KwpVerdict::Correct });
        assert_eq!(store.warnings().iter().any(|warning| warning.contains("zero bytes")), pads);
        // The test leaves nothing behind.
        assert!(store.keys().unwrap().is_empty());
        assert_eq!(rsa_objects(module, "target"), 0);
    });
}

#[test]
fn software_to_token() {
    on_softhsm("software_to_token", |module| {
        let store = open(module, "target");
        let key = software_key();
        let digest = Hash::Sha256.digest(b"licence");
        {
            let transport = store.as_unwrap_in().unwrap().transport_key(2048).unwrap();
            assert_eq!(transport.oaep_hash(), Hash::Sha1);
            let blob = wrap_rsa_aes(&key, transport.public(), transport.oaep_hash()).unwrap();

            // What does not open, and what is cut short or too long, is one opaque error, and nothing stays behind.
            let last = blob.len() - 1;
            for position in [0, 128, 256, 300, last] {
                let mut tampered = blob.clone();
                tampered[position] ^= 1;
                let refused = transport.unwrap_in(&tampered, key.public(), &KeyRequest::labelled("slc"));
                assert!(matches!(refused, Err(Error::Crypto)), "{position}: {refused:?}");
            }
            for wrong in [&blob[..last], &blob[..256], &blob[..8], &[], &blob[..blob.len() - 8]] {
                assert!(matches!(transport.unwrap_in(wrong, key.public(), &KeyRequest::labelled("slc")), Err(Error::Crypto)), "{}", wrong.len());
            }
            assert!(store.keys().unwrap().is_empty());
            assert_eq!(rsa_objects(module, "target"), 0);

            // Another key than expected.
            let other = generate(&open(module, "accelerator"), &KeyRequest::labelled("k"));
            let refused = transport.unwrap_in(&blob, &other.public, &KeyRequest::labelled("slc"));
            assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
            assert!(store.keys().unwrap().is_empty());

            let record = transport.unwrap_in(&blob, key.public(), &KeyRequest::labelled("slc")).unwrap();
            assert_eq!(record.public, *key.public());
            assert_eq!((record.attributes.sensitive, record.attributes.extractable), (Some(true), Some(false)));
            assert_eq!(
                (record.attributes.can_sign, record.attributes.can_decrypt, record.attributes.can_unwrap),
                (Some(true), Some(true), Some(false))
            );
            assert_eq!(record.attributes.local, Some(false));

            // Twice is once; the label of the request does not matter then.
            let again = transport.unwrap_in(&blob, key.public(), &KeyRequest::labelled("another label")).unwrap();
            assert_eq!(again.attributes, record.attributes);
            assert_eq!(store.keys().unwrap().len(), 1);
            assert_eq!(rsa_objects(module, "target"), 2);
        }
        assert!(key.public().verify(&digest, &store.sign(&key.id(), &[digest]).unwrap()[0]));
        let sealed = key.public().encrypt(&EncryptionScheme::oaep(Hash::Sha1), b"content key").unwrap();
        let opened = store.decrypt(&key.id(), &EncryptionScheme::oaep(Hash::Sha1), &[&sealed]).unwrap().remove(0).unwrap();
        assert_eq!(opened.expose(), b"content key");
        // The transport key is gone.
        assert_eq!(store.keys().unwrap().len(), 1);
        assert_eq!(rsa_objects(module, "target"), 2);
    });
}

#[test]
fn another_key_in_the_way_is_a_conflict() {
    on_softhsm("another_key_in_the_way_is_a_conflict", |module| {
        let store = open(module, "target");
        let key = software_key();
        let present = generate(&store, &KeyRequest { local_id: Some(vec![1, 2]), ..KeyRequest::labelled("slc") });
        let transport = store.as_unwrap_in().unwrap().transport_key(2048).unwrap();
        let blob = wrap_rsa_aes(&key, transport.public(), transport.oaep_hash()).unwrap();
        for request in [KeyRequest::labelled("slc"), KeyRequest { local_id: Some(vec![1, 2]), ..KeyRequest::labelled("new") }] {
            assert!(matches!(transport.unwrap_in(&blob, key.public(), &request), Err(Error::Conflict { .. })));
        }
        assert_eq!(store.keys().unwrap().iter().map(KeyRecord::id).collect::<Vec<_>>(), [present.id()]);
        let record = transport.unwrap_in(&blob, key.public(), &wrappable("new")).unwrap();
        assert_eq!(record.attributes.extractable, Some(true));
    });
}

#[test]
fn token_to_token() {
    on_softhsm("token_to_token", |module| {
        let (source, target) = (open(module, "accelerator"), open(module, "target"));
        for round in 0..3 {
            let key = generate(&source, &wrappable(&format!("slc {round}")));
            let transport = target.as_unwrap_in().unwrap().transport_key(2048).unwrap();
            let policy = WrapPolicy { oaep_hash: transport.oaep_hash(), ..POLICY };
            let wrapped = source.as_wrap_out().unwrap().wrap_out(&key.id(), transport.public(), &policy).unwrap();
            if source.identity().firmware.starts_with("2.6") {
                assert_eq!(wrapped.route, WrapRoute::OaepAndKeyWrapWithPadding);
                assert!(wrapped.warnings.iter().any(|warning| warning.contains("zero bytes")), "{:?}", wrapped.warnings);
            }
            let moved = transport.unwrap_in(&wrapped.blob, &key.public, &KeyRequest::labelled(format!("slc {round}"))).unwrap();
            assert_eq!(moved.public, key.public);
            assert_eq!(sign_once(&source, &key.public, b"licence"), sign_once(&target, &key.public, b"licence"));
            assert_eq!((moved.attributes.sensitive, moved.attributes.extractable), (Some(true), Some(false)));
        }
        assert_eq!(target.keys().unwrap().len(), 3);
        // Three keys with two halves on either side, and nothing of the transfer.
        assert_eq!((rsa_objects(module, "accelerator"), rsa_objects(module, "target")), (6, 6));
    });
}

#[test]
fn token_to_software() {
    on_softhsm("token_to_software", |module| {
        let source = open(module, "accelerator");
        let key = generate(&source, &wrappable("k"));
        let kek = software_key();
        let open_blob = |blob: &[u8], hash| {
            let kek = kek.to_rsa().unwrap();
            let opened = unwrap_rsa_aes(blob, 256, |sealed| {
                let plaintext = match hash {
                    Hash::Sha1 => kek.decrypt(rsa::Oaep::<sha1::Sha1>::new(), sealed),
                    _ => kek.decrypt(rsa::Oaep::<sha2::Sha256>::new(), sealed),
                };
                plaintext.map(keykit::secret::SecretBytes::take).map_err(|_| Error::Crypto)
            });
            opened.unwrap().0
        };
        let wrap_out = source.as_wrap_out().unwrap();
        let wrapped = wrap_out.wrap_out(&key.id(), kek.public(), &POLICY).unwrap();
        assert_eq!(open_blob(&wrapped.blob, Hash::Sha1).public(), &key.public);

        // SoftHSM cannot seal with SHA-256: only a key of this process can, and only if the policy allows that.
        let sha256 = WrapPolicy { oaep_hash: Hash::Sha256, ..POLICY };
        let refused = wrap_out.wrap_out(&key.id(), kek.public(), &sha256);
        assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
        let allowed = WrapPolicy { allow_host_visible_ephemeral_key: true, ..sha256 };
        let wrapped = wrap_out.wrap_out(&key.id(), kek.public(), &allowed).unwrap();
        assert_eq!(wrapped.route, WrapRoute::HostVisibleEphemeralKey);
        assert!(wrapped.warnings.iter().any(|warning| warning.contains("this process's memory")));
        assert_eq!(open_blob(&wrapped.blob, Hash::Sha256).public(), &key.public);
    });
}

#[test]
fn keys_that_may_not_leave_do_not() {
    on_softhsm("keys_that_may_not_leave_do_not", |module| {
        let store = open(module, "accelerator");
        let kek = software_key();
        for transferability in [Transferability::Never, Transferability::UnderTrustedKey] {
            let key = generate(&store, &KeyRequest { transferability, ..KeyRequest::labelled(format!("{transferability:?}")) });
            let refused = store.as_wrap_out().unwrap().wrap_out(&key.id(), kek.public(), &POLICY).unwrap_err();
            assert!(matches!(&refused, Error::Refused(refusal) if refusal.rule == Some(31)), "{refused}");
        }
        assert!(store.as_import_plaintext().is_err() && store.as_export_plaintext().is_err());
    });
}

#[test]
fn threads_share_a_store() {
    on_softhsm("threads_share_a_store", |module| {
        let store = open(module, "target");
        let keys = [generate(&store, &KeyRequest::labelled("a")), generate(&store, &KeyRequest::labelled("b"))];
        std::thread::scope(|scope| {
            for key in &keys {
                let store = &store;
                scope.spawn(move || {
                    for round in 0..10_u8 {
                        let digests: Vec<_> = (0..8).map(|n: u8| Hash::Sha256.digest(&[round, n])).collect();
                        let signatures = store.sign(&key.id(), &digests).unwrap();
                        assert!(digests.iter().zip(&signatures).all(|(digest, signature)| key.public.verify(digest, signature)));
                    }
                });
            }
        });
    });
}

#[test]
fn a_public_half_that_is_missing_is_stored_again() {
    on_softhsm("a_public_half_that_is_missing_is_stored_again", |module| {
        let store = open(module, "target");
        let key = software_key();
        let unwrap = |store: &Pkcs11Store| {
            let transport = store.as_unwrap_in().unwrap().transport_key(2048).unwrap();
            let blob = wrap_rsa_aes(&key, transport.public(), transport.oaep_hash()).unwrap();
            transport.unwrap_in(&blob, key.public(), &KeyRequest::labelled("slc")).unwrap()
        };
        let first = unwrap(&store);
        assert_eq!(rsa_objects(module, "target"), 2);
        // What a process leaves that is killed between the two halves.
        let deleted = Command::new("pkcs11-tool")
            .arg("--module")
            .arg(module)
            .args(["--token-label", "target", "--login", "--pin", PIN, "--delete-object", "--type", "pubkey", "--label", "slc"])
            .output()
            .unwrap();
        assert!(deleted.status.success(), "{}", String::from_utf8_lossy(&deleted.stderr));
        assert_eq!(rsa_objects(module, "target"), 1);
        let again = unwrap(&open(module, "target"));
        assert_eq!((again.id(), again.attributes), (first.id(), first.attributes));
        assert_eq!(rsa_objects(module, "target"), 2);
    });
}

#[test]
fn a_token_that_is_taken_away_is_a_clear_error() {
    on_softhsm("a_token_that_is_taken_away_is_a_clear_error", |module| {
        let store = open(module, "target");
        let key = generate(&store, &KeyRequest::labelled("slc"));
        let configuration = std::fs::read_to_string(std::env::var_os("SOFTHSM2_CONF").unwrap()).unwrap();
        let tokens = configuration.lines().find_map(|line| line.strip_prefix("directories.tokendir = ")).unwrap();
        std::fs::remove_dir_all(tokens).unwrap();
        let lost = store
            .sign(&key.id(), &[Hash::Sha256.digest(b"")])
            .err()
            .or_else(|| store.keys().err().or_else(|| open_with(module, "target", Some(PIN)).err()));
        // What is gone is noticed by one of them at the latest, and none of them panics.
        let lost = lost.unwrap();
        assert!(matches!(&lost, Error::Token(_) | Error::NotFound { .. } | Error::WrongPin { .. }), "{lost}");
        assert!(
            matches!(store.as_generate().unwrap().generate(2048, &KeyRequest::labelled("new")), Err(Error::Token(error)) if error.code.starts_with("CKR_"))
        );
    });
}

#[test]
fn what_a_generation_that_was_cut_off_left_goes_if_the_label_is_ours() {
    on_softhsm("what_a_generation_that_was_cut_off_left_goes_if_the_label_is_ours", |module| {
        let store = open(module, "target");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("public.der");
        std::fs::write(&file, software_key().public().to_spki_der()).unwrap();
        for label in ["keykit-01234567-rekey-2", "somebody else's"] {
            let mut tool = Command::new("pkcs11-tool");
            tool.arg("--module").arg(module).args(["--token-label", "target", "--login", "--pin", PIN, "--type", "pubkey", "--label", label]);
            let written = tool.arg("--write-object").arg(&file).output().unwrap();
            assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
        }
        // A public half without a key under a label of others is none of ours.
        let refused = store.as_generate().unwrap().generate(2048, &KeyRequest::labelled("somebody else's"));
        assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
        let made = generate(&store, &KeyRequest::labelled("keykit-01234567-rekey-2"));
        sign_once(&store, &made.public, b"x");
        assert_eq!(rsa_objects(module, "target"), 3, "the pair, and the one of others");
        // With a private key it is no remainder.
        let again = store.as_generate().unwrap().generate(2048, &KeyRequest::labelled("keykit-01234567-rekey-2"));
        assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
    });
}
