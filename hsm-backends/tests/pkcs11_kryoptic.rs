//! The PKCS#11 store on kryoptic, an independent software token: it has RFC 5649 as CKM_AES_KEY_WRAP_KWP (0x210B) and OAEP
//! with SHA-256, where SoftHSM has neither.
//!
//! `KEYKIT_KRYOPTIC_MODULE` names the library; without it the test is skipped, and says so. The body runs in a process of
//! its own, since the module reads its configuration from the environment once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use keykit::Error;
use keykit::key::{EncryptionScheme, Hash, RsaSecretKey};
use keykit::secret::Password;
use keykit::store::protection::Protection;
use keykit::store::{KeyRequest, KeyStore, Transferability, WrapPolicy, WrapRoute};
use keykit::transfer::wrap_rsa_aes;
use keykit_hsm_backends::pkcs11::{KwpVerdict, Pkcs11Options, Pkcs11Store, Pkcs11Uri, tokens};
use keykit_tests::kryoptic::PIN;

const LABELS: [&str; 2] = ["source", "target"];

fn on_kryoptic(name: &str, body: impl FnOnce(&Path)) {
    keykit_tests::kryoptic::on_kryoptic(name, &LABELS, body);
}

fn open(module: &Path, token: &str, transport_oaep_hash: Option<Hash>) -> Pkcs11Store {
    let uri = Pkcs11Uri { token: Some(token.into()), module_path: Some(module.into()), ..Pkcs11Uri::default() };
    Pkcs11Store::open(&uri, Some(Password::new(PIN.into())), Pkcs11Options { sessions: 2, transport_oaep_hash, ..Pkcs11Options::default() }).unwrap()
}

#[test]
fn kryoptic_goes_the_same_ways() {
    on_kryoptic("kryoptic_goes_the_same_ways", |module| {
        assert_eq!(tokens(module).unwrap().len(), LABELS.len());
        let source = open(module, "source", None);
        let abilities = source.key_wrap_abilities().unwrap();
        let ability = abilities.iter().find(|ability| ability.mechanism == 0x210B).unwrap();
        assert_eq!((ability.wrap, ability.unwrap), (KwpVerdict::Correct, KwpVerdict::Correct));
        assert!(abilities.iter().all(|ability| ability.mechanism == 0x210B), "{abilities:?}");

        let request = |label: &str| KeyRequest { transferability: Transferability::Wrapped, ..KeyRequest::labelled(label) };
        let digests: Vec<_> = (0..10).map(|n: u8| Hash::Sha256.digest(&[n])).collect();
        for hash in [Hash::Sha1, Hash::Sha256] {
            let target = open(module, "target", Some(hash));
            let key = source.as_generate().unwrap().generate(2048, &request(&format!("{hash}"))).unwrap();
            assert_eq!(key.protection.protection, Protection::Software);
            let transport = target.as_unwrap_in().unwrap().transport_key(2048).unwrap();
            assert_eq!(transport.oaep_hash(), hash);
            let policy = WrapPolicy { oaep_hash: hash, allow_host_visible_ephemeral_key: false };
            let wrapped = source.as_wrap_out().unwrap().wrap_out(&key.id(), transport.public(), &policy).unwrap();
            assert_eq!(wrapped.route, WrapRoute::OaepAndKeyWrapWithPadding);
            assert!(wrapped.warnings.is_empty());
            for position in [0, 255, 256, wrapped.blob.len() - 1] {
                let mut tampered = wrapped.blob.clone();
                tampered[position] ^= 1;
                let refused = transport.unwrap_in(&tampered, &key.public, &KeyRequest::labelled("moved"));
                assert!(matches!(refused, Err(Error::Crypto)), "{position}: {refused:?}");
            }
            let moved = transport.unwrap_in(&wrapped.blob, &key.public, &KeyRequest::labelled(format!("{hash}"))).unwrap();
            assert_eq!((moved.attributes.sensitive, moved.attributes.extractable), (Some(true), Some(false)));
            assert_eq!(source.sign(&key.id(), &digests).unwrap(), target.sign(&key.id(), &digests).unwrap());
            let scheme = EncryptionScheme::oaep(hash);
            let good = key.public.encrypt(&scheme, b"content key").unwrap();
            let mut bad = good.clone();
            bad[7] ^= 1;
            let items = target.decrypt(&key.id(), &scheme, &[&bad, &good, &bad]).unwrap();
            assert!(items[0].is_err() && items[1].as_ref().is_ok_and(|plaintext| plaintext.expose() == b"content key") && items[2].is_err());
            let refused = target.as_wrap_out().unwrap().wrap_out(&key.id(), transport.public(), &policy).unwrap_err();
            assert!(matches!(&refused, Error::Refused(refusal) if refusal.rule == Some(31)), "{refused}");
        }
        assert_eq!(open(module, "target", None).keys().unwrap().len(), 2);
    });
}

#[test]
fn software_to_kryoptic() {
    on_kryoptic("software_to_kryoptic", |module| {
        let pem = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/tpd/key.pem")).unwrap();
        let key = RsaSecretKey::from_pem(&pem).unwrap();
        let target = open(module, "target", None);
        let transport = target.as_unwrap_in().unwrap().transport_key(2048).unwrap();
        let blob = wrap_rsa_aes(&key, transport.public(), transport.oaep_hash()).unwrap();
        let record = transport.unwrap_in(&blob, key.public(), &KeyRequest::labelled("slc")).unwrap();
        assert_eq!(record.public, *key.public());
        assert_eq!(transport.unwrap_in(&blob, key.public(), &KeyRequest::labelled("slc")).unwrap().attributes, record.attributes);
        target.as_destroy().unwrap().destroy(&key.id()).unwrap();
        assert!(target.keys().unwrap().is_empty());
    });
}
