//! The keyring: additions, activations, and what interruptions leave.

use proptest::prelude::*;

use super::*;

/// Odd numbers of the right size: the keyring does no arithmetic with them.
fn public(n: u8) -> RsaPublicKey {
    let mut modulus = vec![0xc1; 256];
    modulus[100] = n;
    RsaPublicKey::from_components(&modulus, 65537).unwrap()
}

fn addition(n: u8, templates: &[&str]) -> KeyAddition {
    KeyAddition {
        public: public(n),
        managed: Managed::Service,
        store: "file:keys".into(),
        label: format!("key {n}"),
        transferable: false,
        licensor_id: String::new(),
        licensor_name: String::new(),
        path: "software-to-software".into(),
        chain: vec!["<XrML/>".into()],
        templates: templates
            .iter()
            .map(|id| TemplateAddition { id: (*id).into(), name: (*id).into(), signed_by: None, grants_anyone: false, text: format!("<{id}/>") })
            .collect(),
    }
}

#[test]
fn adding_twice_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut keyring = TenantKeyring::init(&folder.path().join("t"), Era::Current).unwrap();
    assert!(keyring.add_key(&addition(1, &["{A}"]), false).unwrap());
    let before = fs::read(keyring.folder().join("tenant.json")).unwrap();
    assert!(!keyring.add_key(&addition(1, &["a"]), false).unwrap());
    assert_eq!(fs::read(keyring.folder().join("tenant.json")).unwrap(), before);
    assert_eq!(keyring.template_text(&keyring.templates()[0].clone()).unwrap(), b"<{A}/>");
    assert_eq!(keyring.templates()[0].status, TemplateStatus::Archived);
}

#[test]
fn a_tenant_is_one_process_at_a_time_and_a_strange_folder_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    let first = TenantKeyring::init(&path, Era::Current).unwrap();
    assert_eq!(TenantKeyring::open(&path).unwrap_err().code(), "conflict");
    drop(first);
    let again = TenantKeyring::open(&path).unwrap();
    assert!(again.recovery().is_none());
    fs::write(folder.path().join("letter.txt"), "x").unwrap();
    assert_eq!(TenantKeyring::init(folder.path(), Era::Current).unwrap_err().code(), "conflict");
    assert_eq!(TenantKeyring::open(folder.path()).unwrap_err().code(), "not-found");
}

#[test]
fn an_interrupted_change_is_completed_or_rolled_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    let mut keyring = TenantKeyring::init(&path, Era::Current).unwrap();
    keyring.intend_import(public(1).id(), "x").unwrap();
    drop(keyring);
    let mut keyring = TenantKeyring::open(&path).unwrap();
    assert!(matches!(keyring.recovery(), Some(Recovery::RolledBack(_))));
    keyring.add_key(&addition(1, &[]), false).unwrap();
    keyring.journal.record(Moment::Intent, "import", Some(public(1).id()), "").unwrap();
    drop(keyring);
    let keyring = TenantKeyring::open(&path).unwrap();
    assert!(matches!(keyring.recovery(), Some(Recovery::Completed(_))));
    assert!(keyring.journal().unsettled().is_none());
}

#[test]
fn an_untouched_tenant_can_go_and_a_touched_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    TenantKeyring::init(&path, Era::Current).unwrap().remove_if_untouched().unwrap();
    assert!(!path.exists());
    let mut keyring = TenantKeyring::init(&path, Era::Current).unwrap();
    keyring.intend_import(public(1).id(), "x").unwrap();
    keyring.remove_if_untouched().unwrap();
    assert!(path.join("tenant.json").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_tenant_that_can_not_be_made_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    // The lock is a folder: the tenant can't be made, but its own folders can.
    for blocked in [".lock", "journal.jsonl"] {
        fs::create_dir_all(path.join(blocked)).unwrap();
        assert!(TenantKeyring::init(&path, Era::Current).is_err());
        let left: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [blocked], "what was there before stays, and nothing else");
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn more_than_500_templates_are_refused_and_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let mut keyring = TenantKeyring::init(&folder.path().join("t"), Era::Current).unwrap();
    let names: Vec<String> = (0..501).map(|n| format!("t{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(keyring.add_key(&addition(1, &names), false).unwrap_err().code(), "refused");
    assert!(keyring.keys().is_empty() && keyring.templates().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Whatever the order of additions and activations: at most one active key, none lost, the file reads back the same.
    #[test]
    fn at_most_one_active_and_nothing_lost(steps in proptest::collection::vec((0_u8..5, any::<bool>(), any::<bool>()), 1..12)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        let mut keyring = TenantKeyring::init(&path, Era::Of2016).unwrap();
        let mut expected = BTreeSet::new();
        for (n, activate, add) in steps {
            if add || !expected.contains(&n) {
                keyring.add_key(&addition(n, &[]), activate).unwrap();
                expected.insert(n);
            } else {
                keyring.activate(&public(n).id()).unwrap();
                prop_assert_eq!(keyring.active().unwrap().key_id, public(n).id());
            }
            prop_assert!(keyring.keys().iter().filter(|key| key.status == KeyStatus::Active).count() <= 1);
        }
        let keys = keyring.keys().to_vec();
        drop(keyring);
        let keyring = TenantKeyring::open(&path).unwrap();
        prop_assert_eq!(keyring.keys(), &keys[..]);
        prop_assert_eq!(keyring.keys().len(), expected.len());
    }
}
