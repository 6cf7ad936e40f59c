//! What a change that was cut off leaves, at every moment there is: the folder is made as it would be, and opened again.

use super::*;
use crate::durable::log_file::{Disk, RealDisk};

/// The folder's files.
fn files(folder: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for sub in ["", "chains", "templates"] {
        for entry in fs::read_dir(folder.join(sub)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && !path.ends_with(".lock") {
                all.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    all
}

fn restore(folder: &Path, to: &BTreeMap<std::path::PathBuf, Vec<u8>>) {
    for path in files(folder).keys().filter(|path| !to.contains_key(*path)) {
        fs::remove_file(folder.join(path)).unwrap();
    }
    for (path, bytes) in to {
        fs::write(folder.join(path), bytes).unwrap();
    }
}

/// Every state between `before` and `after`, as a killed process leaves them: the journal's lines one by one, the new files one by
/// one after their intent, and `tenant.json` last but for the outcome.
fn moments(
    before: &BTreeMap<std::path::PathBuf, Vec<u8>>,
    after: &BTreeMap<std::path::PathBuf, Vec<u8>>,
) -> Vec<(bool, BTreeMap<std::path::PathBuf, Vec<u8>>)> {
    let (journal, file) = (Path::new("journal.jsonl"), Path::new("tenant.json"));
    let mut state = before.clone();
    let mut states = Vec::new();
    let old = before[journal].len();
    let ends: Vec<usize> = after[journal].iter().enumerate().filter(|(at, byte)| **byte == b'\n' && *at >= old).map(|(at, _)| at + 1).collect();
    let (last, intents) = ends.split_last().unwrap();
    for end in intents {
        // A torn line, then the whole one.
        for cut in [end - 10, *end] {
            state.insert(journal.to_owned(), after[journal][..cut].to_vec());
            states.push((false, state.clone()));
        }
    }
    for (path, bytes) in after.iter().filter(|(path, _)| !before.contains_key(*path)) {
        state.insert(path.clone(), bytes.clone());
        states.push((false, state.clone()));
    }
    state.insert(file.to_owned(), after[file].clone());
    states.push((true, state.clone()));
    state.insert(journal.to_owned(), after[journal][..last - 10].to_vec());
    states.push((true, state));
    states
}

/// Makes every interrupted state of a change, opens it, and does the change again.
fn survives(action: &str, prepare: impl Fn(&mut TenantKeyring), change: impl Fn(&mut TenantKeyring)) {
    let folder = tempfile::tempdir().unwrap();
    let mut keyring = tenant(folder.path());
    prepare(&mut keyring);
    let path = keyring.folder().to_owned();
    let before = files(&path);
    let keys_before = keyring.keys().to_vec();
    change(&mut keyring);
    let (keys_after, templates_after) = (keyring.keys().to_vec(), keyring.templates().to_vec());
    drop(keyring);
    let states = moments(&before, &files(&path));
    assert!(states.len() >= 5, "{}", states.len());
    for (number, (took_effect, state)) in states.iter().enumerate() {
        restore(&path, state);
        let mut keyring = TenantKeyring::open(&path).unwrap();
        is_sound(&keyring);
        match keyring.recovery() {
            Some(Recovery::Completed(what)) => assert!(*took_effect && what.contains(action), "{action} {number}: {what}"),
            Some(Recovery::RolledBack(what)) => assert!(!*took_effect && what.contains(action), "{action} {number}: {what}"),
            // The very first line was torn: nothing was begun.
            None => assert_eq!(number, 0),
        }
        let statuses = |keys: &[TenantKey]| keys.iter().map(|key| (key.key_id, key.status)).collect::<Vec<_>>();
        assert_eq!(statuses(keyring.keys()), statuses(if *took_effect { &keys_after } else { &keys_before }), "{action} {number}");
        if !*took_effect {
            change(&mut keyring);
        }
        is_sound(&keyring);
        assert_eq!(statuses(keyring.keys()), statuses(&keys_after));
        let ids = |templates: &[TenantTemplate]| {
            templates.iter().map(|template| (template.id.clone(), template.status, template.signed_by)).collect::<Vec<_>>()
        };
        assert_eq!(ids(keyring.templates()), ids(&templates_after));
        assert!(keyring.journal().unsettled().is_none());
        drop(keyring);
        assert!(TenantKeyring::open(&path).unwrap().recovery().is_none());
    }
}

fn publish_all(keyring: &mut TenantKeyring) {
    keyring.activate_with(&id(0), &*STORE).unwrap();
    for n in [1, 2, 11, 12] {
        keyring.publish_template(&guid(n), &*STORE).unwrap();
    }
}

#[test]
fn an_activation() {
    survives("activate", publish_all, |keyring| assert!(keyring.activate_with(&id(1), &*STORE).unwrap().changed));
}

#[test]
fn a_rollback() {
    survives(
        "rollback",
        |keyring| {
            publish_all(keyring);
            keyring.activate_with(&id(1), &*STORE).unwrap();
        },
        |keyring| assert_eq!(keyring.rollback(&*STORE).unwrap().key_id, id(0)),
    );
}

#[test]
fn a_rekey_that_takes_its_key_up_again() {
    // The store makes one key only, whatever happens to the folder: a second one would panic.
    let maker = Maker::of("tpd/key.pem");
    survives("rekey", publish_all, |keyring| {
        let had = !maker.keys().unwrap().is_empty();
        let done = keyring.rekey(&rekey_in(&maker, 2048)).unwrap();
        assert_eq!((done.activation.key_id, done.taken_up), (id(3), had));
    });
}

#[test]
fn an_edit_and_an_import() {
    let grant = [RightsChange::Grant(RightHolder::Address("new@x".into()), vec![UsageRight::Print])];
    survives("template-edit", publish_all, |keyring| assert!(keyring.edit_template(&guid(1), &grant, &*STORE).unwrap().changed));
    let addition = template(0, 50, staff());
    survives("template-import", publish_all, |keyring| {
        keyring.import_templates(std::slice::from_ref(&addition), false).unwrap();
    });
}

/// What fails of the disk under the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    NothingWritten,
    HalfWritten,
    Sync,
}

/// A disk on which one call fails, and all that follow if it stays so.
#[derive(Debug)]
struct FailingDisk {
    fault: Fault,
    /// Calls of that kind before the one that fails.
    before: Mutex<usize>,
    for_ever: bool,
}

impl FailingDisk {
    /// Whether a call of this kind fails now.
    fn fails(&self, is_kind: bool) -> bool {
        let mut before = self.before.lock().unwrap();
        match (is_kind, *before) {
            // After the first failure there is none, or nothing but failures.
            (_, usize::MAX) => self.for_ever,
            (true, 0) => {
                *before = usize::MAX;
                true
            }
            (true, _) => {
                *before -= 1;
                false
            }
            (false, _) => false,
        }
    }
}

impl Disk for FailingDisk {
    fn append(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        if self.fails(self.fault != Fault::Sync) {
            if self.fault == Fault::HalfWritten {
                RealDisk.append(path, &bytes[..bytes.len() / 2])?;
            }
            return Err(std::io::Error::other("EIO"));
        }
        RealDisk.append(path, bytes)
    }

    fn overwrite(&self, path: &Path, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        if self.fails(false) { Err(std::io::Error::other("EIO")) } else { RealDisk.overwrite(path, offset, bytes) }
    }

    fn truncate(&self, path: &Path, length: u64) -> std::io::Result<()> {
        if self.fails(false) { Err(std::io::Error::other("EIO")) } else { RealDisk.truncate(path, length) }
    }

    fn sync(&self, path: &Path) -> std::io::Result<()> {
        if self.fails(self.fault == Fault::Sync) { Err(std::io::Error::other("EIO")) } else { RealDisk.sync(path) }
    }
}

#[test]
fn a_disk_that_fails_under_the_journal_leaves_a_tenant_that_opens() {
    let mut failures = 0;
    for fault in [Fault::NothingWritten, Fault::HalfWritten, Fault::Sync] {
        for (before, for_ever) in (0..4).flat_map(|before| [(before, false), (before, true)]) {
            let folder = tempfile::tempdir().unwrap();
            let maker = Maker::of("tpd/key.pem");
            let mut keyring = tenant(folder.path());
            publish_all(&mut keyring);
            let path = keyring.folder().to_owned();
            let lines = keyring.journal().entries().len();
            let disk = FailingDisk { fault, before: Mutex::new(before), for_ever };
            keyring.journal = Journal::open_on(&path.join("journal.jsonl"), Box::new(disk)).unwrap();
            let result = keyring.rekey(&rekey_in(&maker, 2048));
            if let Err(error) = &result {
                failures += 1;
                assert_eq!(error.code(), "write", "{error}");
                assert!(error.to_string().contains("EIO"), "the first failure is told: {error}");
                // Nothing is built on a file whose state is unknown.
                assert_eq!(keyring.archive_template(&guid(1)).unwrap_err().code(), "write");
            }
            drop(keyring);
            let mut keyring = TenantKeyring::open(&path).unwrap_or_else(|error| panic!("{fault:?} {before} {for_ever}: {error}"));
            is_sound(&keyring);
            if keyring.active().unwrap().key_id != id(3) {
                assert_eq!(keyring.rekey(&rekey_in(&maker, 2048)).unwrap().activation.key_id, id(3));
            }
            is_sound(&keyring);
            assert!(keyring.journal().entries().len() > lines);
            drop(keyring);
            assert!(TenantKeyring::open(&path).unwrap().recovery().is_none());
        }
    }
    assert!(failures >= 18, "{failures}");
}

#[test]
fn what_a_crash_leaves_of_a_last_line_is_cut_off_and_anything_else_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut keyring = tenant(folder.path());
    publish_all(&mut keyring);
    let path = keyring.folder().join("journal.jsonl");
    drop(keyring);
    let whole = fs::read(&path).unwrap();
    for damage in [&b"\0\0\0\0\n"[..], b"{\"number\":\0\0\n", b"\xff\xfe\n\xfd\n", b"{\"number\":99", b"\0\n\0"] {
        fs::write(&path, [whole.as_slice(), damage].concat()).unwrap();
        let mut keyring = TenantKeyring::open(path.parent().unwrap()).unwrap();
        keyring.archive_template(&guid(1)).unwrap();
        keyring.publish_template(&guid(1), &*STORE).unwrap();
        drop(keyring);
        assert!(fs::read(&path).unwrap().starts_with(&whole));
        assert!(TenantKeyring::open(path.parent().unwrap()).is_ok());
    }
    // What is a line of a journal, but not the next one of this journal, no crash has left.
    let last = whole.split_inclusive(|&byte| byte == b'\n').next_back().unwrap().to_vec();
    let another = String::from_utf8(last.clone()).unwrap().replace("\"number\":", "\"number\":1").into_bytes();
    for wrong in [last, another] {
        fs::write(&path, [whole.as_slice(), &wrong].concat()).unwrap();
        let error = TenantKeyring::open(path.parent().unwrap()).unwrap_err();
        assert!(error.code() == "malformed" && error.to_string().contains("line "), "{error}");
    }
}

#[test]
fn a_tenant_file_that_no_change_made_is_refused_with_the_line_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut keyring = tenant(folder.path());
    publish_all(&mut keyring);
    let (path, last) = (keyring.folder().to_owned(), keyring.journal().entries().len());
    drop(keyring);
    let file = path.join("tenant.json");
    let text = fs::read_to_string(&file).unwrap();
    for (from, to) in [
        ("\"managed\": \"service\"", "\"managed\": \"customer\""),
        ("\"transferable\": false", "\"transferable\": true"),
        ("\"licensor_id\": \"\"", "\"licensor_id\": \"x\""),
        ("\"status\": \"published\"", "\"status\": \"archived\""),
        ("\"status\": \"active\"", "\"status\": \"archived\""),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&file, text.replacen(from, to, 1)).unwrap();
        let error = TenantKeyring::open(&path).unwrap_err();
        assert_eq!(error.code(), "malformed");
        for word in ["tenant.json", &format!("line {}", last - 1), "edited"] {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
        // To look at it is allowed, and changes nothing.
        assert!(TenantView::open(&path).is_ok());
    }
    fs::write(&file, &text).unwrap();
    assert!(TenantKeyring::open(&path).is_ok());
    // A journal that lacks its last lines, or all of them.
    let journal = path.join("journal.jsonl");
    let lines = fs::read_to_string(&journal).unwrap();
    let fewer: String = lines.split_inclusive('\n').take(last - 2).collect();
    fs::write(&journal, fewer).unwrap();
    assert_eq!(TenantKeyring::open(&path).unwrap_err().code(), "malformed");
    fs::remove_file(&journal).unwrap();
    assert_eq!(TenantKeyring::open(&path).unwrap_err().code(), "malformed");
}

#[test]
fn a_left_over_key_is_taken_up_only_if_it_is_what_the_store_would_make() {
    let wanted = KeyAttributes {
        sensitive: Some(true),
        extractable: Some(false),
        always_sensitive: Some(true),
        never_extractable: Some(true),
        local: Some(true),
        can_sign: Some(true),
        can_decrypt: Some(true),
        ..KeyAttributes::default()
    };
    let attempt = |attributes: &KeyAttributes, key: &'static str, count: usize| {
        let folder = tempfile::tempdir().unwrap();
        let mut keyring = tenant(folder.path());
        publish_all(&mut keyring);
        let maker = Maker { attributes: attributes.clone(), ..Maker::of(key) };
        for key in [key, "keys/licence-1024.pem"].iter().take(count) {
            maker.made.lock().unwrap().push((keyring.next_label(), secret_key(key)));
        }
        let key = NewKey::Generated { bits: 2048, transferability: Transferability::Never };
        keyring.rekey(&TenantRekey { store: &maker, store_name: "pkcs11:token=t".into(), managed: Managed::Customer, key })
    };
    assert!(attempt(&wanted, "tpd/key.pem", 1).unwrap().taken_up);
    type Change = fn(&mut KeyAttributes);
    let changes: [(Change, &str); 6] = [
        (|attributes| attributes.local = Some(false), "not made in this store"),
        (|attributes| attributes.sensitive = None, "can or could be read"),
        (|attributes| attributes.always_sensitive = Some(false), "can or could be read"),
        (|attributes| attributes.extractable = Some(true), "can be wrapped out"),
        (|attributes| attributes.never_extractable = Some(false), "could be wrapped out before"),
        (|attributes| attributes.can_decrypt = Some(false), "sign and decrypt"),
    ];
    for (change, problem) in changes {
        let mut attributes = wanted.clone();
        change(&mut attributes);
        let error = attempt(&attributes, "tpd/key.pem", 1).unwrap_err();
        assert!(error.code() == "conflict" && error.to_string().contains(problem), "{problem}: {error}");
    }
    assert!(attempt(&wanted, "keys/licence-1024.pem", 1).unwrap_err().to_string().contains("1024 bits"));
    assert!(attempt(&wanted, "tpd/key.pem", 2).unwrap_err().to_string().contains("2 keys bear it"));
}
