//! The PKCS#11 store on tokens that show themselves as an nShield module does, SoftHSM being behind them.

use std::path::Path;

use keykit::Error;
use keykit::key::{EncryptionScheme, Hash};
use keykit::secret::Password;
use keykit::store::protection::Protection;
use keykit::store::{KeyRequest, KeyStore, Transferability, WrapPolicy, WrapRoute};
use keykit::transfer::{unwrap_rsa_aes, wrap_rsa_aes};
use keykit_conformance::{Options, Subject, Suite, Wrapped, contract, report, run};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_hsm_backends::pkcs11::{Pkcs11Options, Pkcs11Store, Pkcs11Uri, tokens};
use keykit_hsm_backends::protection::nshield::{Evidence, KeyIdentifiers};
use keykit_tests::nshield::{DescribedKey, Modules};
use keykit_tests::softhsm::PIN;

const LABELS: [&str; 5] = ["accelerator", "loadshared accelerator", "PKCS11OCS", "softcard one", "softcard:hr keys"];

fn on_nshield(name: &str, body: impl FnOnce(&Modules)) {
    keykit_tests::nshield::on_nshield(name, &LABELS, body);
}

fn open(module: &Path, token: &str, pin: Option<&str>) -> keykit::Result<Pkcs11Store> {
    let uri = Pkcs11Uri { token: Some(token.into()), module_path: Some(module.into()), ..Pkcs11Uri::default() };
    Pkcs11Store::open(&uri, pin.map(|pin| Password::new(pin.into())), Pkcs11Options { sessions: 2, ..Pkcs11Options::default() })
}

fn wrappable() -> KeyRequest {
    KeyRequest { transferability: Transferability::Wrapped, ..KeyRequest::labelled("slc") }
}

#[test]
fn tokens_are_listed_as_the_module_shows_them() {
    on_nshield("tokens_are_listed_as_the_module_shows_them", |modules| {
        let all = tokens(&modules.shim).unwrap();
        let mut shown: Vec<_> = all.iter().map(|token| (token.label.as_str(), token.removable, token.login_required)).collect();
        shown.sort_unstable();
        // Without load sharing an accelerator does not say that it is initialised, and is there all the same.
        assert_eq!(
            shown,
            [
                ("PKCS11OCS", true, true),
                ("accelerator", false, false),
                ("hr keys", false, true),
                ("loadshared accelerator", false, false),
                ("softcard one", false, true)
            ]
        );
        assert!(all.iter().all(|token| token.manufacturer == "nCipher Corp. Ltd" && token.model.is_empty() && token.firmware == "12.50"));
    });
}

#[test]
fn an_accelerator_works_without_a_login() {
    on_nshield("an_accelerator_works_without_a_login", |modules| {
        for token in ["accelerator", "loadshared accelerator"] {
            // A PIN that is given is not used.
            for pin in [None, Some("0000")] {
                assert!(open(&modules.shim, token, pin).unwrap().keys().unwrap().is_empty());
            }
            let store = open(&modules.shim, token, None).unwrap();
            let key = store.as_generate().unwrap().generate(2048, &wrappable()).unwrap();
            assert_eq!((key.attributes.private, key.attributes.sensitive), (Some(false), Some(true)));
            assert_eq!(key.protection.protection, Protection::Module);
            let described = DescribedKey::new(token, &key.public);
            assert_eq!(key.attributes.nfkm_app.as_deref(), Some("pkcs11"));
            assert_eq!(key.attributes.nfkm_id.as_ref(), Some(&described.ident));
            assert_eq!(key.attributes.nfkm_hash.as_ref(), Some(&described.hash));
            let digests = [Hash::Sha1.digest(b"one"), Hash::Sha256.digest(b"two")];
            for (digest, signature) in digests.iter().zip(store.sign(&key.id(), &digests).unwrap()) {
                assert!(key.public.verify(digest, &signature));
            }
            let scheme = EncryptionScheme::oaep(Hash::Sha1);
            let ciphertext = key.public.encrypt(&scheme, b"content key").unwrap();
            assert_eq!(store.decrypt(&key.id(), &scheme, &[&ciphertext]).unwrap().remove(0).unwrap().expose(), b"content key");
            // Out under a key of ours, and in again under a transport key of the token.
            let receiver = MemoryStore::new();
            let kek = receiver.as_generate().unwrap().generate(2048, &wrappable()).unwrap().public;
            let policy = WrapPolicy { oaep_hash: Hash::Sha1, allow_host_visible_ephemeral_key: false };
            let wrapped = store.as_wrap_out().unwrap().wrap_out(&key.id(), &kek, &policy).unwrap();
            let open = |sealed: &[u8]| receiver.decrypt(&kek.id(), &scheme, &[sealed])?.remove(0).map_err(|_| Error::Crypto);
            let (secret, _) = unwrap_rsa_aes(&wrapped.blob, kek.modulus_bytes(), open).unwrap();
            assert_eq!(*secret.public(), key.public);
            store.as_destroy().unwrap().destroy(&key.id()).unwrap();
            {
                let transport = store.as_unwrap_in().unwrap().transport_key(2048).unwrap();
                let blob = wrap_rsa_aes(&secret, transport.public(), transport.oaep_hash()).unwrap();
                let record = transport.unwrap_in(&blob, &key.public, &KeyRequest::labelled("again")).unwrap();
                assert_eq!(record.protection.protection, Protection::Module);
                assert_eq!(record.attributes.private, Some(false));
            }
            assert_eq!(store.keys().unwrap().len(), 1);
        }
    });
}

#[test]
fn card_sets_and_softcards_are_told_apart_as_far_as_the_module_says() {
    on_nshield("card_sets_and_softcards_are_told_apart_as_far_as_the_module_says", |modules| {
        for (label, shown) in [("PKCS11OCS", "PKCS11OCS"), ("softcard one", "softcard one"), ("softcard:hr keys", "hr keys")] {
            assert!(matches!(open(&modules.shim, shown, None), Err(Error::Usage { .. })));
            assert!(matches!(open(&modules.shim, shown, Some("9999")), Err(Error::WrongPin { .. })));
            let store = open(&modules.shim, shown, Some(PIN)).unwrap();
            let key = store.as_generate().unwrap().generate(2048, &wrappable()).unwrap();
            let described = DescribedKey::new(label, &key.public);
            let (hash, name) = (described.token_hash.clone(), Some(shown.to_owned()));
            let expected = match label {
                "PKCS11OCS" => Protection::CardSet { hash, name },
                "softcard one" => Protection::SoftCard { hash, name },
                _ => Protection::LogicalToken { hash, name },
            };
            assert_eq!(key.protection.protection, expected);
            assert_eq!(key.attributes.nfkm_id.as_ref(), Some(&described.ident));
            // The module's tools know which it is.
            let identifiers = KeyIdentifiers {
                app: key.attributes.nfkm_app.clone(),
                ident: key.attributes.nfkm_id.clone(),
                label: None,
                nfkm_hash: key.attributes.nfkm_hash.clone(),
            };
            for text in [described.name_list(), described.key_info(), described.attestation()] {
                let evidence = Evidence::parse(&text, Path::new("evidence")).unwrap();
                let verdict = key.protection.clone().with(evidence.signals_for(&key.public, &identifiers)).protection;
                match (label, verdict) {
                    ("PKCS11OCS", Protection::CardSet { .. }) | ("softcard one" | "softcard:hr keys", Protection::SoftCard { .. }) => {}
                    (label, verdict) => assert_eq!(label, verdict.to_string(), "{text}"),
                }
            }
        }
    });
}

#[test]
fn the_accelerator_keeps_the_contract_of_stores() {
    on_nshield("the_accelerator_keeps_the_contract_of_stores", |modules| {
        let store = open(&modules.shim, "accelerator", None).unwrap();
        let report = contract::run(&store, &Wrapped::default(), &Options { max_modulus_bits: 2048, contract_modulus_bits: 2048 });
        assert!(report.is_success(), "{report:?}");
    });
}

/// CKM_RSA_AES_KEY_WRAP, which neither token of the tests has, as a module may offer it: right, with zeros behind the key, and for
/// secrets only. It is used where it is right, and two steps where it is not.
#[test]
fn one_call_wraps_where_it_is_right() {
    let labels = ["rsa-aes right", "rsa-aes padding", "rsa-aes secrets only"];
    keykit_tests::nshield::on_nshield("one_call_wraps_where_it_is_right", &labels, |modules| {
        let receiver = MemoryStore::new();
        let kek = receiver.as_generate().unwrap().generate(2048, &wrappable()).unwrap().public;
        let policy = |oaep_hash| WrapPolicy { oaep_hash, allow_host_visible_ephemeral_key: false };
        for (label, route, right) in [
            ("rsa-aes right", WrapRoute::RsaAesKeyWrap, true),
            ("rsa-aes padding", WrapRoute::OaepAndKeyWrapWithPadding, false),
            ("rsa-aes secrets only", WrapRoute::OaepAndKeyWrapWithPadding, false),
        ] {
            let store = open(&modules.shim, label, Some(PIN)).unwrap();
            assert!(store.mechanisms().unwrap().iter().any(|mechanism| mechanism.name == "CKM_RSA_AES_KEY_WRAP"));
            // SoftHSM adds zeros to seven keys of eight: several keys show it.
            for number in 0..6 {
                let key = store.as_generate().unwrap().generate(2048, &KeyRequest { label: number.to_string(), ..wrappable() }).unwrap();
                let outcome = store.as_wrap_out().unwrap().wrap_out(&key.id(), &kek, &policy(Hash::Sha1)).unwrap();
                assert_eq!(outcome.route, route, "{label}");
                assert_eq!(outcome.warnings.is_empty(), right, "{label}: {:?}", outcome.warnings);
                let opens =
                    |sealed: &[u8]| receiver.decrypt(&kek.id(), &EncryptionScheme::oaep(Hash::Sha1), &[sealed])?.remove(0).map_err(|_| Error::Crypto);
                let (secret, zeros) = unwrap_rsa_aes(&outcome.blob, kek.modulus_bytes(), opens).unwrap();
                assert_eq!(*secret.public(), key.public);
                assert!(!right || zeros == 0, "{label}: {zeros}");
                // SoftHSM seals with SHA-1 only, in one call as in two.
                let other_hash = store.as_wrap_out().unwrap().wrap_out(&key.id(), &kek, &policy(Hash::Sha256));
                assert_eq!(other_hash.unwrap_err().code(), "unsupported");
                let stays = store.as_generate().unwrap().generate(2048, &KeyRequest::labelled(format!("stays {number}"))).unwrap();
                let refused = store.as_wrap_out().unwrap().wrap_out(&stays.id(), &kek, &policy(Hash::Sha1)).unwrap_err();
                assert_eq!(refused.code(), "refused");
                if !right {
                    break;
                }
            }
        }
    });
}

/// The suites that are about the store, on an accelerator without a login and on a card set.
#[test]
fn nshield_tokens_pass_the_suites() {
    on_nshield("nshield_tokens_pass_the_suites", |modules| {
        for (token, pin) in [("accelerator", None), ("PKCS11OCS", Some(PIN))] {
            let store = open(&modules.shim, token, pin).unwrap();
            let subject = Subject { store: &store, loader: &Wrapped::default(), token: Some(&store) };
            let options = Options { max_modulus_bits: 2048, contract_modulus_bits: 2048 };
            let suites = [Suite::Sign, Suite::Pkcs1Decrypt, Suite::Contract, Suite::Attributes];
            let reports = run(&subject, &suites, &options, &mut |_| {});
            assert!(reports.iter().all(|report| report.is_success() && report.ran() > 10), "{token}: {}", report::table(&reports));
            // What is known of SoftHSM excuses nothing of another maker's token.
            let reports = run(&subject, &[Suite::KeyWrapWithPadding], &options, &mut |_| {});
            assert!(!reports[0].is_success() && reports[0].failed.len() == 44, "{token}: {}", report::table(&reports));
            assert!(store.keys().unwrap().is_empty());
        }
    });
}
