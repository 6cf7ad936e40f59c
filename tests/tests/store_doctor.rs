//! What the doctor finds on the tokens of the tests, compared with the files in `vectors/tokens`: a token that changes its
//! behaviour is noticed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use keykit::secret::Password;
use keykit::store::{KeyRequest, KeyStore};
use keykit_conformance::doctor::{Direction, Doctor, Outcome, Served, Way, examine_keys, examine_software, examine_token};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_hsm_backends::pkcs11::{ObjectLifetime, Pkcs11Options, Pkcs11Store, Pkcs11Uri};
use keykit_hsm_backends::protection::nshield::Evidence;
use keykit_tests::kryoptic::{self, on_kryoptic};
use keykit_tests::nshield::{DescribedKey, TokenKind, on_nshield};
use keykit_tests::softhsm::{self, on_softhsm};
use keykit_tests::tokens::open_labelled;
use keykit_tests::transfers::profiles;

const LABEL: &str = "doctor";
/// Set this to have the files written instead of compared.
const WRITE: &str = "KEYKIT_WRITE_DOCUMENTATION";

fn examine(module: &Path, label: &str, pin: &str) -> Doctor {
    let uri = Pkcs11Uri { token: Some(label.into()), module_path: Some(module.into()), ..Pkcs11Uri::default() };
    let options = Pkcs11Options { objects: ObjectLifetime::Session, ..Pkcs11Options::default() };
    let store = Pkcs11Store::open(&uri, Some(Password::new(pin.into())), options).unwrap();
    examine_token(&store, &profiles(), &mut |_| {}).unwrap()
}

/// Every object of the token, as an independent program lists them: the lines in order, since tokens have none for objects.
fn objects(module: &Path, label: &str, pin: &str) -> Vec<String> {
    let listed =
        Command::new("pkcs11-tool").arg("--module").arg(module).args(["--token-label", label, "-O", "--login", "--pin", pin]).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let mut lines: Vec<String> = String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Examines a token with a key in it, and compares with the stored file.
fn check(module: &Path, label: &str, pin: &str, file: &str) -> Doctor {
    let resident = open_labelled(module, label, pin).unwrap();
    resident.as_generate().unwrap().generate(2048, &KeyRequest::labelled("resident")).unwrap();
    let before = objects(module, label, pin);
    assert_eq!(before.iter().filter(|line| line.contains("Object; RSA")).count(), 2, "{before:?}");
    let doctor = examine(module, label, pin);
    assert_eq!(objects(module, label, pin), before, "objects before and after");

    let path = keykit_vectors::path(file);
    let kept = doctor.clone().without_instance();
    if env::var_os(WRITE).is_some() {
        fs::write(&path, serde_json::to_string_pretty(&kept).unwrap() + "\n").unwrap();
    }
    let stored = Doctor::from_json(&fs::read(&path).unwrap()).unwrap();
    let changes = doctor.compare(&stored);
    let listed: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert!(changes.is_empty(), "the token no longer does what {file} says:\n{}", listed.join("\n"));
    // The sentences are made from the rest, and change with it only.
    assert_eq!(kept.meaning, stored.meaning);
    let json = serde_json::to_string(&kept).unwrap();
    for secret in [pin, label, &resident.identity().serial] {
        assert!(!json.contains(&format!("\"{secret}\"")) && !json.contains(&format!("token={secret}")), "'{secret}' is in the file");
    }
    doctor
}

fn served(doctor: &Doctor, profile: &str) -> Served {
    doctor.profiles.iter().find(|one| one.profile == profile).unwrap().served
}

fn wrong(doctor: &Doctor) -> Vec<(&str, &str)> {
    let wrong = doctor.measurements.iter().filter(|found| found.outcome == Outcome::Wrong);
    wrong.map(|found| (found.name.as_str(), found.known_as.as_deref().unwrap_or("nothing that is known"))).collect()
}

#[test]
fn softhsm_does_what_its_file_says() {
    on_softhsm("softhsm_does_what_its_file_says", &[LABEL], |module| {
        let doctor = check(module, LABEL, softhsm::PIN, "tokens/softhsm-2.6.1.json");
        assert_eq!(served(&doctor, "azure-key-vault"), Served::NeverInTheClear);
        // OAEP with SHA-1 only.
        assert_eq!(served(&doctor, "aws-kms-sha256"), Served::WithHostVisibleKey);
        assert!(doctor.profiles.iter().all(|profile| profile.may_pad_with_zeros));
        assert_eq!(wrong(&doctor), [("decrypt/CKM_RSA_PKCS_OAEP/label", "oaep-label-ignored"), ("wrap/CKM_AES_KEY_WRAP_PAD", "kwp-zero-padding")]);
    });
}

#[test]
fn kryoptic_does_what_its_file_says() {
    on_kryoptic("kryoptic_does_what_its_file_says", &[LABEL], |module| {
        let doctor = check(module, LABEL, kryoptic::PIN, "tokens/kryoptic-1.5.4.json");
        assert!(doctor.profiles.iter().all(|profile| profile.served == Served::NeverInTheClear && !profile.may_pad_with_zeros));
        let known = "kw-empty-secret";
        assert_eq!(wrong(&doctor), [("refuse/CKM_AES_KEY_WRAP/nothing", known), ("refuse/CKM_AES_KEY_WRAP_KWP/nothing", known)]);
    });
}

/// SoftHSM behind the face of an nShield module that has CKM_RSA_AES_KEY_WRAP too.
#[test]
fn the_nshield_shim_does_what_its_file_says() {
    const LABEL: &str = "doctor rsa-aes right";
    on_nshield("the_nshield_shim_does_what_its_file_says", &[LABEL], |modules| {
        let doctor = check(&modules.shim, LABEL, softhsm::PIN, "tokens/nshield-shim.json");
        let out: Vec<(Way, bool)> = doctor
            .routes
            .iter()
            .filter(|route| route.direction == Direction::Out && route.oaep_hash == "SHA-1")
            .map(|route| (route.way, route.may_pad_with_zeros))
            .collect();
        assert_eq!(out, [(Way::RsaAesKeyWrap, false); 3]);
        assert!(doctor.quirks.iter().any(|quirk| quirk.name == "kwp-under-both-numbers"));
        // With what the module's tools say of its key the verdict on it is certain, and it is not taken.
        let uri = Pkcs11Uri { token: Some(LABEL.into()), module_path: Some(modules.shim.clone()), ..Pkcs11Uri::default() };
        let options = Pkcs11Options { objects: ObjectLifetime::Session, ..Pkcs11Options::default() };
        let store = Pkcs11Store::open(&uri, Some(Password::new(softhsm::PIN.into())), options).unwrap();
        let resident = store.resident_keys().unwrap();
        let described = DescribedKey::new(LABEL, &resident[0].public);
        for text in [described.name_list(), described.key_info(), described.attestation()] {
            let evidence = Evidence::parse(&text, Path::new("evidence")).unwrap();
            let keys = examine_keys(&store, &[evidence]).unwrap();
            assert_eq!((keys.len(), keys[0].accepted, keys[0].protection.starts_with("operator card set")), (1, false, true), "{keys:?}");
            assert!(keys[0].evidence.len() > examine_keys(&store, &[]).unwrap()[0].evidence.len());
        }
        // Evidence of protection by the module contradicts the token.
        let lies = DescribedKey { kind: TokenKind::Accelerator, ..described };
        let evidence = Evidence::parse(&lies.attestation(), Path::new("evidence")).unwrap();
        assert_eq!(examine_keys(&store, &[evidence]).unwrap()[0].protection, "in conflict");
    });
}

#[test]
fn two_tokens_of_one_kind_do_not_differ() {
    on_softhsm("two_tokens_of_one_kind_do_not_differ", &[LABEL, "other"], |module| {
        let examine = |label: &str| {
            let uri = Pkcs11Uri { token: Some(label.into()), module_path: Some(module.into()), ..Pkcs11Uri::default() };
            let options = Pkcs11Options { objects: ObjectLifetime::Session, sessions: 1, ..Pkcs11Options::default() };
            let store = Pkcs11Store::open(&uri, Some(Password::new(softhsm::PIN.into())), options).unwrap();
            examine_token(&store, &profiles(), &mut |_| {}).unwrap()
        };
        let (one, other) = (examine(LABEL), examine("other"));
        assert_eq!(one.compare(&other), []);
        assert_ne!(one.instance, other.instance);
        assert_eq!(one.without_instance(), other.without_instance());
    });
}

#[test]
fn a_store_in_memory_says_what_applies() {
    let store = MemoryStore::new();
    let doctor = examine_software(store.identity(), &store, &profiles(), &mut |_| {}).unwrap();
    assert!(store.keys().unwrap().is_empty());
    assert!(doctor.mechanisms.is_empty() && doctor.says.is_empty() && doctor.not_measured.len() == 2);
    assert!(doctor.profiles.iter().all(|profile| profile.served == Served::InMemory), "{:?}", doctor.profiles);
    assert!(doctor.routes.iter().all(|route| route.way == Way::InMemory), "{:?}", doctor.routes);
    assert!(doctor.measurements.len() >= 16 && doctor.measurements.iter().all(|found| found.outcome == Outcome::Right), "{:?}", doctor.measurements);
}
