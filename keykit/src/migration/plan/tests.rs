//! The plan as a file: one form, nothing changed, nothing added.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::ceremony::{Approver, CustodianPublicKey};

/// A plan with two keys and a step of every kind.
pub(crate) fn sample() -> Plan {
    let (first, second) = (KeyId::of_spki(b"first"), KeyId::of_spki(b"second"));
    let template = PlannedTemplate {
        id: "1c0a6e57-7e4f-4c58-9b9c-6f0a7a4d8a11".into(),
        name: "Confidential".into(),
        sha256: canonical::sha256_hex(b"<t/>"),
        terms: canonical::sha256_hex(b"t"),
    };
    let key = |key_id, file: &str, templates| PlannedKey {
        key_id,
        modulus_bits: 2048,
        mode: 2,
        path: MigrationPath::SoftwareToSoftware,
        domains: vec![file.into()],
        source: None,
        evidence: Vec::new(),
        licensor_name: "Contoso".into(),
        templates,
    };
    let step = |id: &str, action| Step {
        id: id.into(),
        documented: Documented::Keys,
        rules: Vec::new(),
        action,
        inputs: Vec::new(),
        effects: vec!["something".into()],
        undo: Undo::Stays("it stays".into()),
        approval: "1 of 2".into(),
    };
    let person = |name: &str, byte| Approver { name: name.into(), role: "custodian".into(), key: CustodianPublicKey::from_bytes([byte; 32]) };
    Plan {
        organisation: "Contoso".into(),
        tenant: PlannedTenant {
            name: "contoso.onmicrosoft.com".into(),
            id: "586b5746-aa26-4310-81b1-ea20d40cfc89".into(),
            region: "eu".into(),
            era: Era::Current,
            managed: Managed::Service,
            folder: "tenant".into(),
            keyring_password_source: Some("file:password".into()),
            store: None,
            transfer: None,
            other_tenants: Vec::new(),
        },
        approval: ApprovalPolicy {
            threshold: 1,
            danger_threshold: 2,
            roles: vec!["custodian".into()],
            valid_days: 30,
            people: vec![person("Ann", 1), person("Ben", 2)],
        },
        dangers: Vec::new(),
        files: ["a.xml", "b.xml"].map(|path| PlannedFile::of(FileKind::Domain, path, path.as_bytes(), None)).into(),
        keys: vec![key(first, "a.xml", vec![template.clone()]), key(second, "b.xml", Vec::new())],
        steps: vec![
            step("check-sources", Action::CheckSources),
            step("import-key/1", Action::ImportKey { key_id: first }),
            step("prove-key/1", Action::ProveKey { key_id: first, licences: Vec::new() }),
            step("import-templates/1", Action::ImportTemplates { key_id: first, templates: vec![template.clone()] }),
            step("import-key/2", Action::ImportKey { key_id: second }),
            step("activate/1", Action::Activate { key_id: first }),
            step("publish-templates", Action::PublishTemplates { templates: vec![template.id] }),
            step("verify/keys", Action::Verify { phase: Phase::Keys }),
            step("manual/users", Action::Manual { instruction: "move them".into() }),
            step("rekey", Action::Rekey { bits: 2048 }),
        ],
        omitted: Vec::new(),
        findings: vec![PlannedFinding::from(&Warning::of_rule(33, "old"))],
    }
}

#[test]
fn the_file_comes_back_and_its_hash_is_of_the_canonical_plan() {
    let plan = sample();
    let bytes = plan.to_bytes().unwrap();
    assert_eq!(Plan::parse(&bytes).unwrap(), plan);
    assert_eq!(plan.to_bytes().unwrap(), bytes);
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    let canonical = canonical::to_string(&value["plan"]).unwrap();
    assert!(String::from_utf8(bytes).unwrap().contains(&canonical), "the plan stands in the file as it is hashed");
    assert_eq!(value["hash"], canonical::sha256_hex(canonical.as_bytes()));
}

/// The file after a change to its JSON, with the hash made right if `honest`.
fn changed(honest: bool, change: impl Fn(&mut Value)) -> Error {
    let mut value: Value = serde_json::from_slice(&sample().to_bytes().unwrap()).unwrap();
    change(&mut value);
    if honest {
        value["hash"] = canonical::hash(&value["plan"]).unwrap().into();
    }
    let error = Plan::parse(format!("{}\n", canonical::to_string(&value).unwrap()).as_bytes()).unwrap_err();
    assert_eq!(error.code(), "malformed");
    error
}

#[test]
fn every_change_is_found() {
    assert!(changed(false, |file| file["plan"]["keys"][0]["mode"] = json!(1)).to_string().contains("claims"));
    assert!(changed(false, |file| file["hash"] = json!("00")).to_string().contains("claims 00"));
    assert!(changed(true, |file| file["schema"] = json!("keykit/plan/2")).to_string().contains("keykit/plan/2"));
    assert!(changed(true, |file| file["extra"] = json!(1)).to_string().contains("extra"));
    assert!(changed(true, |file| file["plan"]["extra"] = json!(1)).to_string().contains("extra"));
    assert!(changed(true, |file| file["plan"]["steps"][1]["action"]["extra"] = json!(1)).to_string().contains("extra"));
    assert!(changed(true, |file| file["plan"]["tenant"]["extra"] = json!(1)).to_string().contains("extra"));
    assert!(changed(true, |file| drop(file["plan"].as_object_mut().unwrap().remove("dangers"))).to_string().contains("dangers"));
}

#[test]
fn contradictions_are_refused_though_the_hash_is_right() {
    assert!(changed(true, |file| file["plan"]["steps"][1]["id"] = json!("check-sources")).to_string().contains("one name"));
    assert!(
        changed(true, |file| file["plan"]["keys"][1]["key_id"] = file["plan"]["keys"][0]["key_id"].clone()).to_string().contains("planned twice")
    );
    let strange = KeyId::of_spki(b"strange").to_string();
    assert!(changed(true, |file| file["plan"]["steps"][5]["action"]["key_id"] = json!(strange)).to_string().contains("activate/1"));
    assert!(changed(true, |file| file["plan"]["keys"][0]["domains"][0] = json!("c.xml")).to_string().contains("c.xml"));
    assert!(changed(true, |file| file["plan"]["approval"]["threshold"] = json!(3)).to_string().contains("3 people"));
    assert!(changed(true, |file| file["plan"]["tenant"]["store"] = json!("pkcs11:token=t?pin-value=1234")).to_string().contains("PIN"));
    assert!(changed(true, |file| file["plan"]["tenant"]["folder"] = json!("../tenant")).to_string().contains("'..'"));
    for (action, problem) in [
        (json!({ "kind": "write-artefacts", "folder": "../a", "files": [] }), "'..'"),
        (json!({ "kind": "write-artefacts", "folder": "a", "files": [{ "name": "../x", "sha256": "" }] }), "'..'"),
        (json!({ "kind": "make-package", "key_id": KeyId::of_spki(b"first"), "file": "a/../../b" }), "'..'"),
        (json!({ "kind": "make-package", "key_id": KeyId::of_spki(b"first"), "file": "a/b" }), "does not say for whom"),
    ] {
        assert!(changed(true, |file| file["plan"]["steps"][0]["action"] = action.clone()).to_string().contains(problem), "{action}");
    }
    // Something dangerous needs more people than anything else, and somebody.
    let danger = |needed: u32, danger_needed: u32, people: usize| {
        changed(true, |file| {
            file["plan"]["dangers"] = json!(["keep-transferable"]);
            file["plan"]["approval"]["threshold"] = needed.into();
            file["plan"]["approval"]["danger_threshold"] = danger_needed.into();
            file["plan"]["approval"]["people"].as_array_mut().unwrap().truncate(people);
            if people == 0 {
                file["plan"]["approval"]["roles"] = json!([]);
            }
        })
        .to_string()
    };
    assert!(danger(2, 2, 2).contains("needs more people"));
    assert!(danger(0, 0, 0).contains("needs more people"));
    assert!(danger(1, 1, 2).contains("needs more people than anything else"));
    assert!(changed(true, |file| file["plan"]["approval"]["people"][0]["key"] = json!("ssh-rsa AAAA")).to_string().contains("ssh-ed25519"));
}

#[test]
fn another_writing_of_the_same_plan_is_refused_with_its_place() {
    let bytes = sample().to_bytes().unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    for other in [text.replacen("{\"", "{ \"", 1), format!("{text}\n"), text.trim_end().to_owned(), text.replacen("Contoso", "\\u0043ontoso", 1)] {
        assert_ne!(other, text);
        let error = Plan::parse(other.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("not in canonical form (at byte "), "{error}");
    }
    // A member twice: readers disagree on which one counts.
    let twice = text.replacen("\"dangers\":[]", "\"dangers\":[\"host-visible-ephemeral-key\"],\"dangers\":[]", 1);
    assert!(Plan::parse(twice.as_bytes()).is_err());
}

#[test]
fn plans_are_compared_by_the_names_of_their_parts() {
    let before = sample();
    assert!(diff(&before, &before).unwrap().is_empty());
    let mut after = before.clone();
    after.steps.remove(0);
    after.steps[0].effects.push("more".into());
    after.keys[1].mode = 1;
    after.findings.clear();
    let changes = diff(&before, &after).unwrap();
    let at: Vec<&str> = changes.iter().map(|change| change.at.as_str()).collect();
    let second = format!("keys[{}].mode", before.keys[1].key_id);
    assert_eq!(at, ["findings", second.as_str(), "steps[check-sources]", "steps[import-key/1].effects"]);
    assert_eq!((changes[1].before.clone(), changes[1].after.clone()), (Some(json!(2)), Some(json!(1))));
    assert_eq!(changes[2].after, None);
    let mut swapped = before.clone();
    swapped.steps.swap(4, 5);
    let changes = diff(&before, &swapped).unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].at, "steps");
    assert_ne!(changes[0].before, changes[0].after);
}

#[test]
fn people_see_everything_that_matters() {
    let mut plan = sample();
    plan.dangers = vec!["keep-transferable".into()];
    let text = show(&plan).unwrap();
    for expected in [
        "Contoso",
        "2 of 2",
        "Ann (custodian), key SHA256:",
        "DANGER",
        "keep-transferable",
        "by hand: move them",
        "no undo: it stays",
        "a.xml",
        "(rule 33)",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(text.contains(&plan.hash().unwrap()) && text.contains(&plan.keys[0].key_id.words()));
}

#[test]
fn a_file_that_changed_is_named_with_both_digests() {
    let file = PlannedFile::of(FileKind::Domain, "a.xml", b"a", None);
    assert!(file.check(b"a").is_ok());
    let error = file.check(b"b").unwrap_err();
    assert_eq!(error.code(), "conflict");
    assert!(error.to_string().contains("a.xml") && error.to_string().contains(&file.sha256));
}

#[test]
fn parts_of_a_plan_are_found_by_their_names() {
    let mut plan = sample();
    plan.files.insert(1, PlannedFile::of(FileKind::MigrationFile, "migration.toml", b"m", None));
    plan.dangers = vec!["keep-transferable".into()];
    assert!(plan.allows("keep-transferable") && !plan.allows("host-visible-ephemeral-key"));
    for key in &plan.keys {
        assert_eq!(plan.key(&key.key_id), Some(key));
    }
    assert_eq!(plan.key(&KeyId::of_spki(b"strange")), None);
    assert_eq!(plan.migration_file().map(|file| file.path.as_str()), Some("migration.toml"));
    assert_eq!(sample().migration_file(), None);
    assert_eq!(plan.file("b.xml").map(|file| file.path.as_str()), Some("b.xml"));
    assert_eq!(plan.file("migration.toml"), None, "no step reads it");
    assert_eq!(plan.step("rekey").map(|step| step.id.as_str()), Some("rekey"));
    assert_eq!(plan.step("nothing"), None);
}

#[test]
fn the_last_activation_decides_which_key_is_active() {
    let mut plan = sample();
    assert_eq!(plan.active_key(), Some(plan.keys[0].key_id));
    let later = Step { id: "activate/2".into(), action: Action::Activate { key_id: plan.keys[1].key_id }, ..plan.steps[5].clone() };
    plan.steps.push(later);
    assert_eq!(plan.active_key(), Some(plan.keys[1].key_id));
    plan.steps.retain(|step| !step.id.starts_with("activate/"));
    assert_eq!(plan.active_key(), None);
}

#[test]
fn steps_before_a_phase_end_at_its_verification() {
    let plan = sample();
    let before = |phase| plan.steps_before(phase).count();
    assert_eq!((before(Phase::Keys), before(Phase::End)), (7, 10));
}

#[test]
fn actions_have_the_names_of_the_file_and_say_what_they_change() {
    let key_id = KeyId::of_spki(b"first");
    let more = [
        Action::WriteArtefacts { folder: "a".into(), files: vec![PlannedArtefact { name: "b".into(), sha256: String::new() }] },
        Action::MakePackage { key_id, file: "c".into() },
    ];
    let actions: Vec<Action> = sample().steps.into_iter().map(|step| step.action).chain(more).collect();
    for action in &actions {
        assert_eq!(serde_json::to_value(action).unwrap()["kind"], action.kind());
    }
    let named = |holds: fn(&Action) -> bool| actions.iter().filter(|action| holds(action)).map(Action::kind).collect::<Vec<_>>();
    let changing = ["import-key", "import-templates", "import-key", "activate", "publish-templates", "rekey"];
    assert_eq!(named(Action::changes_the_tenant), changing);
    assert_eq!(named(Action::only_looks), ["check-sources", "prove-key", "verify"]);
    let about_a_key = ["import-key", "prove-key", "import-templates", "import-key", "activate", "make-package"];
    assert_eq!(named(|action| action.key_id().is_some()), about_a_key);
    let written: Vec<&str> = actions.iter().flat_map(Action::written).collect();
    assert_eq!(written, ["a", "b", "c"]);
}

#[test]
fn the_place_of_the_first_difference_is_told() {
    let text = String::from_utf8(sample().to_bytes().unwrap()).unwrap();
    let place = text.find("Contoso").unwrap();
    let error = Plan::parse(text.replacen("Contoso", "\\u0043ontoso", 1).as_bytes()).unwrap_err();
    assert!(error.to_string().contains(&format!("(at byte {place})")), "{error}");
    let longer = Plan::parse(format!("{text}\n").as_bytes()).unwrap_err();
    assert!(longer.to_string().contains(&format!("(at byte {})", text.len())), "{longer}");
}

#[test]
fn a_plan_file_is_read_and_named_in_its_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.json");
    std::fs::write(&path, sample().to_bytes().unwrap()).unwrap();
    assert_eq!(Plan::read(&path).unwrap(), sample());
    std::fs::write(&path, "{}").unwrap();
    assert!(Plan::read(&path).unwrap_err().to_string().contains("plan.json"));
    assert_eq!(Plan::read(&folder.path().join("none")).unwrap_err().code(), "read");
}

#[test]
fn everybody_sees_who_approves_what_is_omitted_and_numbers_of_rules() {
    let mut plan = sample();
    plan.omitted = vec![
        OmittedStep { documented: Documented::Tools, is_open: true, why: "nothing is said".into() },
        OmittedStep { documented: Documented::Activate, is_open: false, why: "it is active".into() },
    ];
    plan.steps[0].rules = vec![4, 41];
    plan.steps[1].rules = vec![33];
    plan.steps[5].undo = Undo::Automatic("the one before".into());
    plan.steps[6].inputs = vec!["one".into(), "two".into()];
    let text = show(&plan).unwrap();
    for expected in [
        "approvals: 1 of 2, among them custodian; each holds for at most 30 days",
        "  step 1: get the module and the tenant's URL: nothing is said (OPEN)\n",
        ": it is active\n",
        "1. check-sources (rules 4, 41)\n",
        "2. import-key/1 (rule 33)\n",
        "3. prove-key/1\n",
        "     undo: the one before\n",
        "     undo by hand: it stays\n",
        "     needs: one, two\n",
        "keys kept by the service, import rules of current\n",
        "keyring in tenant, keys in the same folder\n",
        "a.xml (domain, 5 bytes)\n",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert_eq!(text.matches("step 4 (2 in 2016)").count(), 2, "the head of the steps, and that of the finding");
    plan.approval.roles.clear();
    assert!(show(&plan).unwrap().contains("approvals: 1 of 2; each"));
    plan.approval.people.clear();
    (plan.omitted, plan.findings) = (Vec::new(), Vec::new());
    let bare = show(&plan).unwrap();
    assert!(bare.contains("approvals: none are needed") && !bare.contains("nothing is done for") && !bare.contains("to know before"));
}

#[test]
fn findings_are_shown_by_step_with_their_severity() {
    let finding = |rule, severity, step, message: &str| PlannedFinding { rule, severity, step, message: message.into() };
    let text = show_findings(&[
        finding(Some(1), Severity::Refusal, Documented::Before, "no"),
        finding(Some(2), Severity::Warning, Documented::Before, "perhaps"),
        finding(None, Severity::Unstated, Documented::Rekey, "what?"),
    ]);
    let expected = "\n  before the first step\n  REFUSED: no (rule 1)\n  warning: perhaps (rule 2)\n\n  step 12 (9 in 2016): make a new key\n  not stated: what?\n";
    assert_eq!(text, expected);
}

#[test]
fn lists_are_compared_by_name_only_where_every_name_is_there_once() {
    let before = sample();
    let change = |change: &dyn Fn(&mut Plan)| {
        let mut after = before.clone();
        change(&mut after);
        diff(&before, &after).unwrap().into_iter().map(|change| change.at).collect::<Vec<_>>()
    };
    assert_eq!(change(&|plan| plan.dangers.push("x".into())), ["dangers"], "texts have no names");
    assert_eq!(change(&|plan| plan.steps[1].id = "check-sources".into()), ["steps"], "a name twice");
    assert_eq!(change(&|plan| drop(plan.files.pop())), ["files[b.xml]"]);
    assert_eq!(change(&|plan| plan.files.push(PlannedFile::of(FileKind::Domain, "c.xml", b"", None))), ["files[c.xml]"]);
    assert_eq!(change(&|plan| plan.tenant.store = Some("pkcs11:".into())), ["tenant.store"]);
    assert_eq!(change(&|plan| plan.approval.people[0].name = "Eve".into()).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn one_changed_byte_is_always_refused(position in any::<prop::sample::Index>(), change in 1_u8..=255) {
        let mut bytes = sample().to_bytes().unwrap();
        let position = position.index(bytes.len());
        bytes[position] ^= change;
        prop_assert!(Plan::parse(&bytes).is_err());
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), text in "\\{\"schema\":\"keykit/plan/1\",.{0,200}\\}") {
        prop_assert!(Plan::parse(&bytes).is_err());
        prop_assert!(Plan::parse(text.as_bytes()).is_err());
    }
}
