//! What a change that was cut off leaves, at every moment there is: the folder is made as it would be, and opened again.

use super::*;

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
