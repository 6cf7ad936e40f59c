//! Keys between two independent tokens, both ways, in one process; and from memory into both.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use keykit::key::{CryptographicMode, Hash};
use keykit::licence::{ContentCipher, ContentKey, SealAlgorithm, open, seal};
use keykit::secret::Password;
use keykit::store::{KeyRequest, KeyStore, Transferability, WrapPolicy};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_hsm_backends::pkcs11::{Pkcs11Options, Pkcs11Store, Pkcs11Uri};
use keykit_tests::child::{in_child, is_child, skip};
use keykit_tests::kryoptic::{self, Kryoptic};
use keykit_tests::softhsm::{self, SoftHsm};

const LABELS: [&str; 2] = ["source", "target"];

/// Runs `body` in a child process in which both modules have tokens.
fn on_both(name: &str, body: impl FnOnce(&Path, &Path)) {
    let (Some(softhsm), Some(kryoptic)) = (softhsm::module(), kryoptic::module()) else {
        return skip(name, "SoftHSM or kryoptic is missing (`cargo xtask setup`)");
    };
    if is_child() {
        return body(&softhsm, &kryoptic);
    }
    let (one, other) = (SoftHsm::make(&LABELS), Kryoptic::make(&kryoptic, &LABELS));
    in_child(name, &[("SOFTHSM2_CONF", &one.configuration()), ("KRYOPTIC_CONF", &other.configuration())]);
}

fn token(module: &Path, label: &str, pin: &str) -> Pkcs11Store {
    let uri = Pkcs11Uri { token: Some(label.into()), module_path: Some(module.into()), ..Pkcs11Uri::default() };
    Pkcs11Store::open(&uri, Some(Password::new(pin.into())), Pkcs11Options::default()).unwrap()
}

/// Moves a new key, and shows that everything it did before it does after.
fn moves(source: &dyn KeyStore, target: &dyn KeyStore, bits: usize) {
    let label = format!("from {} {bits}", source.identity().manufacturer);
    let request = KeyRequest { transferability: Transferability::Wrapped, ..KeyRequest::labelled(&label) };
    let public = source.as_generate().unwrap().generate(bits, &request).unwrap().public;
    let mode = CryptographicMode::of_modulus_bits(bits).unwrap();
    let content_key = ContentKey::generate(ContentCipher::Cbc4k, 128).unwrap();
    let sealed = seal(&content_key, &public, mode, "<ISSUEDPRINCIPALS></ISSUEDPRINCIPALS>").unwrap();
    let digests: Vec<_> = (0..5).map(|n: u8| mode.signature_hash().digest(&[n])).collect();
    let before = source.sign(&public.id(), &digests).unwrap();

    let transport = target.as_unwrap_in().unwrap().transport_key(2048).unwrap();
    let policy = WrapPolicy { oaep_hash: transport.oaep_hash(), allow_host_visible_ephemeral_key: false };
    let wrapped = source.as_wrap_out().unwrap().wrap_out(&public.id(), transport.public(), &policy).unwrap();
    let record = transport.unwrap_in(&wrapped.blob, &public, &KeyRequest::labelled(&label)).unwrap();
    assert_eq!((record.attributes.sensitive, record.attributes.extractable), (Some(true), Some(false)), "{label}");
    assert_eq!((record.attributes.can_sign, record.attributes.can_decrypt), (Some(true), Some(true)), "{label}");
    assert_eq!(target.sign(&public.id(), &digests).unwrap(), before, "{label}");
    assert!(digests.iter().zip(&before).all(|(digest, signature)| public.verify(digest, signature)), "{label}");
    let opened = open(target, &public.id(), SealAlgorithm::for_mode(mode), &sealed).unwrap();
    assert_eq!(opened.key, content_key, "{label}");
    assert_eq!(opened.bound_hash.hash(), if bits == 1024 { Hash::Sha1 } else { Hash::Sha256 });
}

#[test]
fn softhsm_and_kryoptic_give_each_other_keys() {
    on_both("softhsm_and_kryoptic_give_each_other_keys", |softhsm, kryoptic| {
        // SoftHSM pads with zeros; several keys, so that some of them are padded and some are not.
        for _ in 0..3 {
            moves(&token(softhsm, "source", softhsm::PIN), &token(kryoptic, "target", kryoptic::PIN), 2048);
            moves(&token(kryoptic, "source", kryoptic::PIN), &token(softhsm, "target", softhsm::PIN), 2048);
            for (module, pin) in [(softhsm, softhsm::PIN), (kryoptic, kryoptic::PIN)] {
                for label in LABELS {
                    let store = token(module, label, pin);
                    for key in store.keys().unwrap() {
                        store.as_destroy().unwrap().destroy(&key.id()).unwrap();
                    }
                }
            }
        }
    });
}

#[test]
fn memory_gives_keys_of_both_modes_to_both_tokens() {
    on_both("memory_gives_keys_of_both_modes_to_both_tokens", |softhsm, kryoptic| {
        for bits in [1024, 2048] {
            moves(&MemoryStore::new(), &token(softhsm, "target", softhsm::PIN), bits);
        }
        moves(&MemoryStore::new(), &token(kryoptic, "target", kryoptic::PIN), 2048);
    });
}
