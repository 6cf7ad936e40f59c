//! Whatever the order of operations.

use super::*;

#[derive(Debug, Clone)]
enum Step {
    AddKey(usize),
    Activate(usize),
    Rollback,
    Publish(u128),
    Archive(u128),
    Grant(u128),
    RevokeAnyone(u128),
    Import(usize, u128, bool),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let guid = prop::sample::select(vec![1_u128, 2, 11, 12, 50]);
    let step = prop_oneof![
        1 => (0_usize..5).prop_map(Step::AddKey),
        4 => (0_usize..4).prop_map(Step::Activate),
        2 => Just(Step::Rollback),
        4 => guid.clone().prop_map(Step::Publish),
        2 => guid.clone().prop_map(Step::Archive),
        2 => guid.clone().prop_map(Step::Grant),
        1 => guid.clone().prop_map(Step::RevokeAnyone),
        2 => (0_usize..4, guid, any::<bool>()).prop_map(|(key, guid, overwrite)| Step::Import(key, guid, overwrite)),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..14)
}

/// True if the step was done, false if it was refused.
fn take(keyring: &mut TenantKeyring, step: &Step) -> Result<()> {
    match step {
        Step::AddKey(n) => keyring.add_key(&addition(*n, vec![template(*n, 50, staff())]), false).map(drop),
        Step::Activate(n) => keyring.activate_with(&id(*n), &*STORE).map(drop),
        Step::Rollback => keyring.rollback(&*STORE).map(drop),
        Step::Publish(n) => keyring.publish_template(&guid(*n), &*STORE).map(drop),
        Step::Archive(n) => keyring.archive_template(&guid(*n)).map(drop),
        Step::Grant(n) => {
            let grant = [RightsChange::Grant(staff(), vec![UsageRight::View, UsageRight::Print])];
            keyring.edit_template(&guid(*n), &grant, &*STORE).map(drop)
        }
        Step::RevokeAnyone(n) => keyring.edit_template(&guid(*n), &[RightsChange::Revoke(RightHolder::Anyone, Vec::new())], &*STORE).map(drop),
        Step::Import(n, guid, overwrite) => keyring.import_templates(&[template(*n, *guid, staff())], *overwrite).map(drop),
        Step::Reopen => Ok(()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_invariants_hold_and_nothing_is_lost(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let mut keyring = tenant(folder.path());
        keyring.activate_with(&id(0), &*STORE).unwrap();
        for step in &steps {
            let keys: Vec<KeyId> = keyring.keys().iter().map(|key| key.key_id).collect();
            let templates: Vec<String> = keyring.templates().iter().map(|template| template.id.clone()).collect();
            let file = fs::read(keyring.folder().join("tenant.json")).unwrap();
            if let Err(error) = take(&mut keyring, step) {
                prop_assert!(matches!(error.code(), "refused" | "conflict" | "not-found" | "negative"), "{step:?}: {error}");
                prop_assert_eq!(fs::read(keyring.folder().join("tenant.json")).unwrap(), file);
            }
            prop_assert_eq!(keyring.keys().iter().filter(|key| key.status == KeyStatus::Active).count(), 1);
            prop_assert!(keys.iter().all(|key| keyring.key(key).is_some()));
            prop_assert!(templates.iter().all(|id| keyring.template(id).is_ok()));
            is_sound(&keyring);
            if matches!(step, Step::Reopen) {
                let (path, keys) = (keyring.folder().to_owned(), keyring.keys().to_vec());
                drop(keyring);
                keyring = TenantKeyring::open(&path).unwrap();
                prop_assert!(keyring.recovery().is_none());
                prop_assert_eq!(keyring.keys(), &keys[..]);
            }
        }
    }
}
