//! The folder as a whole: what OpenSSL reads of it, what crashes and damage do to it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use keykit::key::{Digest, Hash, KeyId, RsaSecretKey};
use keykit::store::{ImportPlaintext as _, KeyRequest, KeyStore as _, Transferability};
use keykit_tests::child::skip;

use super::*;
use crate::memory::{Backing as _, MemoryStore};

const CHEAP: fn() -> ScryptCost = || ScryptCost::new(12, 8, 1).unwrap();

fn password(text: &str) -> Password {
    Password::new(text.into())
}

/// Three keys, made once.
fn keys() -> &'static [RsaSecretKey; 3] {
    static KEYS: OnceLock<[RsaSecretKey; 3]> = OnceLock::new();
    KEYS.get_or_init(|| {
        use keykit::store::{ExportPlaintext as _, Generate as _};
        let store = MemoryStore::new();
        [1024, 2048, 2048].map(|bits| {
            let record = store.generate(bits, &KeyRequest::default()).unwrap();
            store.export_plaintext_danger(&record.id()).unwrap()
        })
    })
}

fn digest() -> Digest {
    Hash::Sha256.digest(b"licence")
}

/// A folder with the three keys under the password "old".
fn folder() -> (tempfile::TempDir, FolderStore) {
    let place = tempfile::tempdir().unwrap();
    let store = FolderStore::create_or_open(&place.path().join("keys"), &password("old"), CHEAP()).unwrap();
    for (index, key) in keys().iter().enumerate() {
        let request = KeyRequest { transferability: Transferability::Wrapped, ..KeyRequest::labelled(format!("key {index}")) };
        store.import_plaintext(key, &request).unwrap();
    }
    (place, store)
}

fn reopen(store: &FolderStore, text: &str) -> Result<FolderStore> {
    FolderStore::open(store.folder(), &password(text), CHEAP())
}

fn file(store: &FolderStore, id: &KeyId, ending: &str) -> PathBuf {
    store.folder().join(format!("{id}.{ending}"))
}

fn assert_all_work(store: &FolderStore) {
    assert_eq!(store.keys().unwrap().len(), 3);
    for key in keys() {
        let signature = store.sign(&key.id(), &[digest()]).unwrap();
        assert!(key.public().verify(&digest(), &signature[0]));
    }
}

#[test]
fn what_is_stored_is_there_again_with_its_metadata() {
    let (_place, store) = folder();
    let again = reopen(&store, "old").unwrap();
    assert_all_work(&again);
    for (before, after) in store.keys().unwrap().iter().zip(again.keys().unwrap()) {
        assert_eq!(before.attributes, after.attributes);
        assert_eq!(after.attributes.extractable, Some(true));
    }
    assert_eq!(again.identity().uri, format!("file:{}", store.folder().display()));
}

#[test]
fn listing_needs_no_password_and_signing_does() {
    let (_place, store) = folder();
    let listed = FolderStore::open_without_password(store.folder()).unwrap();
    assert_eq!(listed.keys().unwrap().len(), 3);
    assert_eq!(listed.sign(&keys()[0].id(), &[digest()]).unwrap_err().code(), "usage");
    let missing = FolderStore::open_without_password(&store.folder().join("none")).unwrap_err();
    assert_eq!(missing.code(), "not-found");
}

#[test]
fn openssl_reads_the_keys_at_the_recommended_cost_too() {
    if Command::new("openssl").arg("version").output().is_err() {
        return skip("folder::openssl_reads_the_keys_at_the_recommended_cost_too", "openssl is not installed");
    }
    let place = tempfile::tempdir().unwrap();
    for cost in [CHEAP(), ScryptCost::RECOMMENDED, ScryptCost::new(13, 8, 16).unwrap()] {
        let store = FolderStore::create_or_open(&place.path().join(format!("{}", cost.p)), &password("pass wörd"), cost).unwrap();
        let key = &keys()[1];
        store.import_plaintext(key, &KeyRequest::labelled("x")).unwrap();
        let path = file(&store, &key.id(), "p8");
        for arguments in [["pkcs8", "-in"], ["pkey", "-in"]] {
            let output = Command::new("openssl").args(arguments).arg(&path).args(["-passin", "pass:pass wörd"]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let read = RsaSecretKey::from_pem(std::str::from_utf8(&output.stdout).unwrap()).unwrap();
            assert_eq!(read.id(), key.id());
        }
    }
}

#[test]
fn a_key_that_openssl_encrypted_is_taken_in() {
    let (_place, store) = folder();
    let id = keys()[1].id();
    let plain = store.folder().join("plain.pem");
    fs::write(&plain, keys()[1].to_pkcs1_pem().unwrap().expose()).unwrap();
    let mut command = Command::new("openssl");
    command.args(["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:old", "-in"]).arg(&plain).arg("-out").arg(file(&store, &id, "p8"));
    match command.output() {
        Ok(output) => assert!(output.status.success()),
        Err(_) => return skip("folder::a_key_that_openssl_encrypted_is_taken_in", "openssl is not installed"),
    }
    assert_all_work(&reopen(&store, "old").unwrap());
}

#[test]
fn a_wrong_password_is_told_from_a_damaged_file() {
    let (_place, store) = folder();
    let error = reopen(&store, "wrong").unwrap_err();
    assert_eq!(error.code(), "wrong-password");
    assert!(error.to_string().contains(&store.folder().display().to_string()), "{error}");
    assert_eq!(reopen(&store, "").unwrap_err().code(), "usage");

    let id = keys().iter().map(RsaSecretKey::id).min().unwrap();
    let path = file(&store, &id, "p8");
    let sound = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = sound.lines().collect();
    let last = lines.len() - 2;
    let flip = |line: usize| {
        let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let other = if lines[line].starts_with('A') { "B" } else { "A" };
        lines[line].replace_range(0..1, other);
        lines.join("\n")
    };
    let cut = [&lines[..4], &lines[lines.len() - 1..]].concat().join("\n");
    for damaged in [flip(8), flip(last), cut, String::new(), sound.replace("ENCRYPTED ", "")] {
        fs::write(&path, &damaged).unwrap();
        let error = reopen(&store, "old").unwrap_err();
        assert_eq!(error.code(), "malformed", "{damaged}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
    fs::write(&path, &sound).unwrap();
    assert_all_work(&reopen(&store, "old").unwrap());
}

#[test]
fn a_key_under_the_name_of_another_is_refused() {
    let (_place, store) = folder();
    let [_, one, other] = keys();
    fs::copy(file(&store, &one.id(), "p8"), file(&store, &other.id(), "p8")).unwrap();
    // The first key is opened at once, any other when it is used.
    let error = reopen(&store, "old").and_then(|again| again.sign(&other.id(), &[digest()])).unwrap_err();
    assert_eq!(error.code(), "malformed");
}

#[test]
fn a_crash_between_key_and_metadata_leaves_a_key_that_the_next_import_completes() {
    let (_place, store) = folder();
    let key = &keys()[1];
    fs::remove_file(file(&store, &key.id(), "json")).unwrap();
    let again = reopen(&store, "old").unwrap();
    assert_all_work(&again);
    let rebuilt = again.find(&key.id()).unwrap();
    assert_eq!((rebuilt.attributes.label.as_str(), rebuilt.attributes.extractable), ("", Some(false)));
    again.import_plaintext(key, &KeyRequest::labelled("once more")).unwrap();
    assert_eq!(reopen(&store, "old").unwrap().find(&key.id()).unwrap().attributes.label, "once more");
    again.import_plaintext(key, &KeyRequest::labelled("and again")).unwrap();
    assert_eq!(again.find(&key.id()).unwrap().attributes.label, "once more");
}

#[test]
fn a_crash_while_a_key_is_destroyed_leaves_it_destroyed() {
    let (_place, store) = folder();
    fs::remove_file(file(&store, &keys()[1].id(), "p8")).unwrap();
    let again = reopen(&store, "old").unwrap();
    assert_eq!(again.keys().unwrap().len(), 2);
    again.import_plaintext(&keys()[1], &KeyRequest::labelled("key 1")).unwrap();
    assert_all_work(&again);
}

#[test]
fn two_processes_do_not_write_at_once() {
    let (_place, store) = folder();
    let guard = store.backing().exclusive().unwrap();
    let error = store.import_plaintext(&keys()[0], &KeyRequest::labelled("x")).unwrap_err();
    assert_eq!(error.code(), "conflict");
    assert!(error.to_string().contains("another process"));
    assert_eq!(store.change_password(&password("new"), CHEAP()).unwrap_err().code(), "conflict");
    drop(guard);
    store.import_plaintext(&keys()[0], &KeyRequest::labelled("x")).unwrap();
}

#[test]
fn what_another_process_stored_is_seen_before_a_change() {
    let place = tempfile::tempdir().unwrap();
    let one = FolderStore::create_or_open(place.path(), &password("old"), CHEAP()).unwrap();
    let other = FolderStore::create_or_open(place.path(), &password("old"), CHEAP()).unwrap();
    one.import_plaintext(&keys()[1], &KeyRequest::labelled("x")).unwrap();
    assert_eq!(other.import_plaintext(&keys()[2], &KeyRequest::labelled("x")).unwrap_err().code(), "conflict");
    let mistyped = FolderStore::create_or_open(place.path(), &password("odl"), CHEAP()).unwrap_err();
    assert_eq!(mistyped.code(), "wrong-password");
}

#[test]
fn keys_of_one_folder_have_one_password() {
    let place = tempfile::tempdir().unwrap();
    // Both are opened while the folder is empty, so that neither password is wrong yet.
    let one = FolderStore::create_or_open(place.path(), &password("one"), CHEAP()).unwrap();
    let two = FolderStore::create_or_open(place.path(), &password("two"), CHEAP()).unwrap();
    one.import_plaintext(&keys()[1], &KeyRequest::labelled("x")).unwrap();
    assert_eq!(two.import_plaintext(&keys()[2], &KeyRequest::labelled("y")).unwrap_err().code(), "wrong-password");
    // A change of the password elsewhere is noticed too.
    let elsewhere = FolderStore::open(place.path(), &password("one"), CHEAP()).unwrap();
    elsewhere.change_password(&password("three"), CHEAP()).unwrap();
    assert_eq!(one.import_plaintext(&keys()[2], &KeyRequest::labelled("y")).unwrap_err().code(), "wrong-password");
}

#[test]
fn the_password_is_changed_for_all_keys() {
    let (_place, store) = folder();
    store.change_password(&password("new"), CHEAP()).unwrap();
    assert_all_work(&store);
    assert_eq!(reopen(&store, "old").unwrap_err().code(), "wrong-password");
    assert_all_work(&reopen(&store, "new").unwrap());
    let names = fs::read_dir(store.folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().all(|name| name.ends_with(".p8") || name.ends_with(".json") || name == ".lock"));
}

/// Stops a change of the password at every point where a process can be killed between two files.
#[test]
fn a_password_change_that_was_cut_off_is_finished_or_undone() {
    let (place, store) = folder();
    let target = place.path().join("target");
    copy_folder(store.folder(), &target);
    FolderStore::open(&target, &password("old"), CHEAP()).unwrap().change_password(&password("new"), CHEAP()).unwrap();
    let mut ids: Vec<KeyId> = keys().iter().map(RsaSecretKey::id).collect();
    ids.sort();
    let marker = serde_json::json!({ "schema": "keykit/password-change/1", "keys": ids }).to_string();

    for written in 0..=3 {
        let cut_off = place.path().join(format!("written-{written}"));
        copy_folder(store.folder(), &cut_off);
        for id in &ids[..written] {
            fs::copy(target.join(format!("{id}.p8")), cut_off.join(format!("{id}.p8.new"))).unwrap();
        }
        assert_all_work(&FolderStore::open(&cut_off, &password("old"), CHEAP()).unwrap());
        assert!(!cut_off.join(format!("{}.p8.new", ids[0])).exists());
    }
    for renamed in 0..=3 {
        let cut_off = place.path().join(format!("renamed-{renamed}"));
        copy_folder(store.folder(), &cut_off);
        for (index, id) in ids.iter().enumerate() {
            let ending = if index < renamed { "p8" } else { "p8.new" };
            fs::copy(target.join(format!("{id}.p8")), cut_off.join(format!("{id}.{ending}"))).unwrap();
        }
        fs::write(cut_off.join(".password-change"), &marker).unwrap();
        assert_eq!(FolderStore::open(&cut_off, &password("old"), CHEAP()).unwrap_err().code(), "wrong-password");
        assert_all_work(&FolderStore::open(&cut_off, &password("new"), CHEAP()).unwrap());
        assert!(!cut_off.join(".password-change").exists());
    }
}

#[test]
fn a_key_that_does_not_open_stops_a_password_change_before_it_starts() {
    let (_place, store) = folder();
    let again = reopen(&store, "old").unwrap();
    let id = keys().iter().map(RsaSecretKey::id).max().unwrap();
    let sound = fs::read(file(&store, &id, "p8")).unwrap();
    fs::write(file(&store, &id, "p8"), b"damaged").unwrap();
    assert_eq!(again.change_password(&password("new"), CHEAP()).unwrap_err().code(), "malformed");
    fs::write(file(&store, &id, "p8"), sound).unwrap();
    assert_all_work(&reopen(&store, "old").unwrap());
}

#[test]
fn costs_that_openssl_does_not_open_are_refused() {
    for (log_n, r, p) in [(17, 8, 1), (14, 8, 0), (9, 8, 1), (64, 8, 1), (14, 8, 65), (14, 0, 1)] {
        assert_eq!(ScryptCost::new(log_n, r, p).unwrap_err().code(), "usage", "{log_n} {r} {p}");
    }
    assert_eq!(ScryptCost::new(14, 8, 8).unwrap(), ScryptCost::default());
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_the_folder() {
    use std::os::unix::fs::PermissionsExt;
    let (_place, store) = folder();
    assert_eq!(fs::metadata(store.folder()).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(store.folder()).unwrap().map(std::result::Result::unwrap) {
        let name = entry.file_name();
        assert!(name == ".lock" || entry.metadata().unwrap().permissions().mode() & 0o777 == 0o600, "{name:?}");
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(std::result::Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
