//! Three organisations from their migration files to a verified tenant, all on SoftHSM; one thing wrong at a time is refused by the
//! right rule; and what an attacker or an accident may change afterwards is found.

use std::collections::BTreeSet;
use std::fs;

use keykit::migration::plan::{Action, FileKind, Plan};
use keykit::migration::rules::Step as Documented;
use keykit::store::{KeyStore as _, Transferability};
use keykit::tpd::KeyDerivation;
use keykit::transfer::{open_blob, open_envelope};
use keykit_tests::transfers::{kek, profile};
use serde_json::Value;

use crate::ceremony::{SMALL, apply_through, approve, planned, small, verified};
use crate::support::{Desk, Sample, contoso};
use crate::tokens::{Bench, on_tokens};

const SINGLE_FOREST: &str = include_str!("../../../tests/organisations/single-forest.toml");
const LICENSING_ONLY: &str = include_str!("../../../tests/organisations/licensing-only-clusters.toml");
const TWO_FORESTS: &str = include_str!("../../../tests/organisations/two-forests.toml");

/// The files that a migration file names: a domain of the cluster `name` and its password.
fn enter_domain(desk: &Desk, file: &str, name: &str, bits: usize, password_file: &str) -> Sample {
    let sample = Sample::make(name, bits, KeyDerivation::Sha256);
    desk.write(file, &sample.domain);
    desk.write(password_file, desk.read("password"));
    desk.make_private(file);
    desk.make_private(password_file);
    sample
}

fn single_forest(desk: &Desk) {
    enter_domain(desk, "headquarters.xml", "headquarters", 2048, "headquarters-password");
    enter_domain(desk, "headquarters-mode-1.xml", "headquarters", 1024, "headquarters-mode-1-password");
}

/// Plans again with the templates of the first key published: the one that grants to everybody has others put in its place.
fn publish_templates(desk: &Desk) {
    let mut migration = String::from_utf8(desk.read("migration.toml")).unwrap();
    for template in &Plan::read(&desk.path("plan.json")).unwrap().keys[0].templates {
        migration.push_str(&format!("\n[[template]]\nid = \"{}\"\npublish = true\n", template.id));
        if template.name.contains("Everybody") {
            migration.push_str("replace-anyone-with = [\"all-staff\", \"guests@contoso.com\"]\n");
        }
    }
    desk.write("migration.toml", migration);
    fs::remove_file(desk.path("plan.json")).unwrap();
    desk.run("plan migration.toml -o plan.json").exits(0);
}

/// The plan of a migration file in which one thing is wrong is refused by this rule, and nothing is made.
fn refused_one_by_one(desk: &Desk, wrong: &[(&str, &str, &str)]) {
    let migration = String::from_utf8(desk.read("migration.toml")).unwrap();
    for (from, to, rule) in wrong {
        assert!(migration.contains(from), "{from}");
        desk.write("wrong.toml", migration.replacen(from, to, 1));
        desk.run("plan wrong.toml -o wrong.json").exits(4).says(rule);
        assert!(!desk.path("wrong.json").exists(), "{rule}");
    }
}

fn failed_checks(value: &Value) -> BTreeSet<String> {
    let checks = value["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["ok"] == false).map(|check| check["name"].as_str().unwrap().to_owned()).collect()
}

/// What `keykit verify` finds wrong, which must be something.
fn wrong_now(desk: &Desk, options: &str) -> BTreeSet<String> {
    failed_checks(&desk.run(&format!("--format json verify plan.json {options}")).exits(1).json("verify"))
}

#[test]
fn the_nine_steps_of_2016_are_in_the_plan_in_their_order() {
    let desk = Desk::new();
    single_forest(&desk);
    planned(&desk, SINGLE_FOREST);
    publish_templates(&desk);
    let plan = Plan::read(&desk.path("plan.json")).unwrap();
    let numbers: BTreeSet<u8> = plan.steps.iter().filter_map(|step| step.documented.numbers().1).collect();
    assert_eq!(numbers, (1..=9).collect());
    assert_eq!(plan.omitted, []);
    let documented: Vec<Documented> = plan.steps.iter().map(|step| step.documented).collect();
    assert!(documented.is_sorted(), "{documented:?}");
    let place = |id: &str| plan.steps.iter().position(|step| step.id.starts_with(id)).unwrap_or_else(|| panic!("{id}"));
    // Rules 82 and 213, and a verification after each phase.
    let order = [
        "manual/module",
        "write-artefacts",
        "manual/onboarding",
        "manual/prepare-clients",
        "manual/prepare-exchange",
        "verify/preparation",
        "check-sources",
        "import-key/",
        "activate/",
        "verify/keys",
        "manual/activate-service",
        "publish-templates",
        "manual/template/",
        "verify/templates",
        "manual/users/pilot",
        "manual/macs",
        "verify/clients",
        "manual/exchange-online",
        "manual/connector",
        "manual/servers",
        "verify/services",
        "manual/decommission",
        "manual/onboarding-removal",
        "rekey",
        "verify/end",
    ];
    assert!(order.iter().map(|id| place(id)).is_sorted(), "{:?}", plan.steps.iter().map(|step| &step.id).collect::<Vec<_>>());
    assert_eq!(plan.steps.last().unwrap().id, "verify/end");
    for step in plan.steps.iter().filter(|step| matches!(step.action, Action::Manual { .. })) {
        assert!(!step.inputs.is_empty() && !step.effects.is_empty() && !step.rules.is_empty(), "{}", step.id);
    }
    let shown = desk.run("plan show plan.json").exits(0).stdout();
    for words in ["step 8 (6 in 2016): Exchange Online", "needs: ", "undo by hand: ", "manual/exchange-online (rules 25, 187"] {
        assert!(shown.contains(words), "{words} in {shown}");
    }
}

#[test]
fn a_file_that_leaves_steps_open_is_told_so_by_step() {
    let (desk, _) = small();
    let plan = Plan::read(&desk.path("plan.json")).unwrap();
    let open: Vec<Documented> = plan.omitted.iter().filter(|step| step.is_open).map(|step| step.documented).collect();
    assert!(open.contains(&Documented::Tools) && open.contains(&Documented::Decommission) && !open.contains(&Documented::Rekey), "{open:?}");
    fs::remove_file(desk.path("plan.json")).unwrap();
    let ran = desk.run("plan migration.toml -o plan.json").exits(0);
    let text = ran.stderr();
    let (before, after) = (text.find("step 1: get the module").unwrap(), text.find("step 10 (8 in 2016): decommission AD RMS").unwrap());
    assert!(before < after && text.contains("not stated: this plan does nothing for step 10"), "{text}");
    assert!(plan.findings.iter().any(|finding| finding.rule.is_some() && finding.step != Documented::Before));
}

#[test]
fn a_single_forest_goes_into_a_module_too() {
    on_tokens("examples::a_single_forest_goes_into_a_module_too", |bench| {
        let desk = &bench.desk;
        single_forest(desk);
        let store = format!("managed = \"customer\"\nstore = \"{}\"", bench.uri("target"));
        let migration = SINGLE_FOREST.replace("managed = \"service\"", &store).replace("key = \"automatic\"", "key = \"new\"");
        let people = planned(desk, &migration);
        publish_templates(desk);
        people.iter().for_each(|person| drop(approve(desk, person).exits(0)));
        let by_hand = apply_through(desk, &["person-0", "person-2"]);
        assert!(by_hand.len() > 10, "{by_hand:?}");
        verified(desk);
        for phase in ["preparation", "keys", "templates"] {
            // The active key was another one then.
            let ran = desk.run(&format!("verify plan.json --phase {phase}"));
            assert_eq!(ran.0.status.code(), Some(i32::from(phase != "preparation")), "{phase}");
        }
        assert_eq!(bench.keys("target").len(), 3, "two that came, and the new one");
        // The plan's files are those that the command makes.
        desk.run("artefacts migration.toml -o other").exits(0);
        let plan = Plan::read(&desk.path("plan.json")).unwrap();
        let written = plan.steps.iter().find_map(|step| match &step.action {
            Action::WriteArtefacts { folder, files } => Some((folder, files)),
            _ => None,
        });
        let (folder, files) = written.unwrap();
        assert!(files.iter().any(|file| file.name.ends_with("Migrate-Client.ps1")));
        for file in files {
            assert_eq!(desk.read(&format!("{folder}/{}", file.name)), desk.read(&format!("other/{}", file.name)), "{}", file.name);
        }
        // The new key, which the plan could not name, is gone from the token.
        let active = desk.run("--format json tenant show --tenant tenant").exits(0).json("tenant")["keys"].as_array().unwrap().clone();
        let active = active.iter().find(|key| key["status"] == "active").unwrap()["key_id"].as_str().unwrap().to_owned();
        bench.destroy("target", &active);
        assert_eq!(wrong_now(desk, ""), ["other-key-of-the-keyring-is-in-its-store".to_owned()].into());
        refused_one_by_one(
            desk,
            &[
                ("domains-in-console = 2", "domains-in-console = 3", "rule 43"),
                ("inspects-tls = false", "inspects-tls = true", "rule 15"),
                ("extranet-url = \"https://rms.contoso.com/_wmcs/licensing\"\n", "", "rule 166"),
                ("group-kind = \"security\"", "group-kind = \"distribution\"", "rule 150"),
                ("computers = 2", "computers = 1", "rule 196"),
            ],
        );
    });
}

#[test]
fn one_thing_wrong_is_refused_in_the_other_organisations_too() {
    on_tokens("examples::one_thing_wrong_is_refused_in_the_other_organisations_too", |bench| {
        let desk = &bench.desk;
        enter_domain(desk, "root-mode-1.xml", "root", 1024, "root-password");
        let store = LICENSING_ONLY.lines().find(|line| line.starts_with("store = ")).unwrap();
        planned(desk, &LICENSING_ONLY.replace(store, &format!("store = \"{}\"", bench.uri("target"))));
        refused_one_by_one(
            desk,
            &[
                ("protect = \"module\"", "protect = \"token\"", "rule 76"),
                ("bits = 2048", "bits = 4096", "rule 32"),
                ("[rekey]\nafter-migration = true", "[rekey]\nafter-migration = false", "rule 215"),
                ("package-region = \"NA-1\"", "package-region = \"EU-1\"", "rule 103"),
                ("file = \"root-mode-1.xml\"", "file = \"root-mode-1\"", "rule 45"),
            ],
        );
        for made in ["plan.json", "person-0", "person-0.pub"] {
            fs::remove_file(desk.path(made)).unwrap();
        }
        transfer_plan(bench);
        refused_one_by_one(
            desk,
            &[
                ("key-encryption-key-region = \"eu\"", "key-encryption-key-region = \"na\"", "rule 36"),
                ("tier = \"premium\"", "tier = \"standard\"", "rule 21"),
                ("permissions = [\"get\", \"decrypt\", \"sign\"]", "permissions = [\"get\", \"sign\"]", "rule 108"),
                ("key-encryption-key-operations = [\"import\"]", "key-encryption-key-operations = [\"import\", \"sign\"]", "rule 106"),
            ],
        );
    });
}

/// The two forests as their file has them: keys leave as transfer files. Gives the people back.
fn transfer_plan(bench: &Bench<'_>) -> Vec<String> {
    let desk = &bench.desk;
    bench.domain_around("accelerator", Transferability::Wrapped);
    desk.write("northwind.xml", desk.read("accelerator.xml"));
    desk.make_private("northwind.xml");
    desk.write("northwind-password", desk.read("password"));
    desk.make_private("northwind-password");
    enter_domain(desk, "tailspin.xml", "tailspin", 2048, "tailspin-password");
    desk.write("kek.pem", kek(4096).public.to_pem());
    let mut migration = String::new();
    for line in TWO_FORESTS.lines() {
        // The label of the source token stands for evidence.
        match line.split(" = ").next().unwrap_or_default() {
            "key-encryption-key-fingerprint" => {
                migration.push_str(&format!("key-encryption-key-fingerprint = \"{}\"\n", kek(4096).public.id()));
            }
            "evidence" => {}
            "other-tenants" => migration.push_str("other-tenants = []\n"),
            "friendly-name" if line.contains("northwind") => migration.push_str("friendly-name = \"accelerator\"\n"),
            "source" => migration.push_str(&format!("source = \"{}\"\n", bench.uri("accelerator"))),
            "keep-transferable" => migration.push_str("host-visible-ephemeral-key = true\n"),
            _ => migration.push_str(&format!("{line}\n")),
        }
    }
    planned(desk, &migration)
}

#[test]
fn two_forests_leave_as_transfer_files_for_their_vault() {
    on_tokens("examples::two_forests_leave_as_transfer_files_for_their_vault", |bench| {
        let desk = &bench.desk;
        let people = transfer_plan(bench);
        people.iter().for_each(|person| drop(approve(desk, person).exits(0)));
        let by_hand = apply_through(desk, &["person-0", "person-1", "person-2"]);
        let plan = Plan::read(&desk.path("plan.json")).unwrap();
        assert!(plan.files.iter().any(|file| file.kind == FileKind::KeyEncryptionKey && file.path == "kek.pem"));
        let mut files = Vec::new();
        for step in &plan.steps {
            let Action::MakePackage { key_id, file } = &step.action else { continue };
            assert!(by_hand.contains(&format!("manual/import-package/{}", key_id.short())), "{by_hand:?}");
            // The receiver opens it, and finds this key.
            let blob = open_envelope(&desk.read(file), &profile("azure-key-vault")).unwrap();
            let receiver = kek(4096);
            let opened = open_blob(&blob, &receiver.public, profile("azure-key-vault").oaep_hash, &|scheme, sealed| {
                receiver.store.decrypt(&receiver.public.id(), scheme, &[sealed])?.remove(0).map_err(|_| keykit::Error::Crypto)
            });
            assert_eq!(opened.unwrap().key.id(), *key_id);
            files.push(file.clone());
        }
        assert_eq!(files.len(), 2);
        assert_eq!(desk.run("--format json apply plan.json").exits(0).json("apply")["changed"], false);
        verified(desk);
        // The wrong file in the right place, a changed byte, a file that is gone.
        let (first, second) = (desk.read(&files[0]), desk.read(&files[1]));
        let mut damaged = first.clone();
        let middle = damaged.len() / 2;
        damaged[middle] = if damaged[middle] == b'A' { b'B' } else { b'A' };
        for content in [&second, &damaged] {
            desk.write(&files[0], content);
            assert_eq!(wrong_now(desk, ""), ["transfer-file-is-whole-and-for-its-receiver".to_owned()].into());
        }
        fs::remove_file(desk.path(&files[0])).unwrap();
        assert_eq!(wrong_now(desk, ""), ["transfer-file-is-whole-and-for-its-receiver".to_owned()].into());
        desk.write(&files[0], first);
        verified(desk);
    });
}

#[test]
fn an_edited_keyring_is_refused_by_runs_and_named_by_verify_which_needs_no_journal() {
    let desk = Desk::new();
    let people = planned(&desk, &format!("{SMALL}\n[decommission]\nactivity-watched = true\nconnection-point-removed = true\n"));
    approve(&desk, &people[0]).exits(0);
    desk.run("apply plan.json --approval person-0.approval").exits(8);
    let keyring = String::from_utf8(desk.read("tenant/tenant.json")).unwrap();
    let resume = "resume plan.json --confirm manual/decommission";
    let edits = [
        ("\"managed\": \"service\"".to_owned(), "\"managed\": \"customer\"".to_owned(), "keyring-says-how-the-key-is-kept"),
        ("\"transferable\": false".to_owned(), "\"transferable\": true".to_owned(), "keyring-says-how-the-key-is-kept"),
        ("\"licensor_id\": \"{".to_owned(), "\"licensor_id\": \"{0".to_owned(), "keyring-says-how-the-key-is-kept"),
        ("  \"era\":".to_owned(), format!("  \"previous_active\": \"{}\",\n  \"era\":", contoso().key.id()), "rollback-goes-to-a-key-of-the-tenant"),
        ("\"threshold\": 1".to_owned(), "\"threshold\": 0".to_owned(), ""),
    ];
    for (from, to, check) in edits {
        assert!(keyring.contains(&from), "{from} in");
        desk.write("tenant/tenant.json", keyring.replacen(&from, &to, 1));
        desk.run(resume).exits(3).says("tenant.json");
        let wrong = wrong_now(&desk, "");
        assert!(check.is_empty() || wrong.contains(check), "{check}: {wrong:?}");
    }
    desk.write("tenant/tenant.json", &keyring);
    // A damaged journal stops runs, and not the verification.
    let journal = desk.read("tenant/journal.jsonl");
    let text = String::from_utf8(journal.clone()).unwrap();
    desk.write("tenant/journal.jsonl", text.replacen("import", "imp0rt", 1));
    desk.run(resume).exits(3).says("journal");
    let before = desk.snapshot();
    verified(&desk);
    assert_eq!(desk.snapshot(), before, "verify writes nothing");
    desk.write("tenant/journal.jsonl", &journal);
    desk.run(resume).exits(0);
    verified(&desk);
}

#[test]
fn the_people_of_a_tenant_can_not_be_stripped_from_a_plan() {
    let (desk, people) = small();
    let strip = |to: &str, organisation: &str| {
        let mut plan = Plan::read(&desk.path("plan.json")).unwrap();
        plan.organisation = organisation.into();
        plan.approval.people.clear();
        plan.approval.roles.clear();
        (plan.approval.threshold, plan.approval.danger_threshold) = (0, 0);
        desk.write(to, plan.to_bytes().unwrap());
    };
    strip("stripped.json", "Another");
    // Fixed before the first run.
    let shown = desk.run("--format json tenant init --tenant tenant --custodians migration.toml").exits(0).json("tenant");
    assert_eq!(shown["custodians"]["people"][0], "A. Custodian (custodian)");
    desk.run("apply stripped.json").exits(4).says("quorum-of-the-tenant");
    fs::remove_dir_all(desk.path("tenant")).unwrap();
    // Fixed by the first run.
    approve(&desk, &people[0]).exits(0);
    desk.run("apply plan.json --approval person-0.approval").exits(0);
    desk.run("apply stripped.json").exits(4).says("quorum-of-the-tenant");
    let other = String::from_utf8(desk.read("migration.toml"))
        .unwrap()
        .replace("threshold = 1", "threshold = 2")
        .replace("danger-threshold = 2", "danger-threshold = 3");
    desk.write("other.toml", other);
    desk.run("tenant init --tenant tenant --custodians other.toml").exits(9).says("other people guard this tenant");
    verified(&desk);
}

#[test]
fn two_plans_side_by_side_do_not_bring_one_key_into_two_tenants() {
    let desk = Desk::new();
    let people = planned(&desk, SMALL);
    let migration = String::from_utf8(desk.read("migration.toml")).unwrap();
    desk.write("second.toml", migration.replace("folder = \"tenant\"", "folder = \"second\""));
    desk.run("plan second.toml -o second.json").exits(0);
    approve(&desk, &people[0]).exits(0);
    desk.run("approve second.json --key person-0 --password-source file:key-password -o second.approval").exits(0);
    desk.run("apply plan.json --approval person-0.approval").exits(0);
    desk.run("apply second.json --approval second.approval").exits(4).says("rule 4");
    let id = contoso().key.id().to_string();
    let second = String::from_utf8(desk.read("second/tenant.json")).unwrap();
    assert!(!second.contains(&id), "{second}");
    verified(&desk);
}

#[test]
fn a_rekey_that_was_rolled_back_or_lost_is_named() {
    let desk = Desk::new();
    let people = planned(&desk, &format!("{SMALL}\n[rekey]\nafter-migration = true\nkey = \"automatic\"\n"));
    approve(&desk, &people[0]).exits(0);
    desk.run("apply plan.json --approval person-0.approval").exits(0);
    verified(&desk);
    desk.run("tenant rollback --tenant tenant").exits(0);
    assert!(wrong_now(&desk, "").contains("active-key-is-the-planned-one"));
    desk.run("verify plan.json --phase keys").exits(0);
    // Another key than the one of the re-key, by the same name.
    desk.run("tenant rollback --tenant tenant").exits(0);
    verified(&desk);
    let keys = desk.run("--format json tenant show --tenant tenant").exits(0).json("tenant")["keys"].as_array().unwrap().clone();
    let new = keys.iter().find(|key| key["status"] == "active").unwrap()["key_id"].as_str().unwrap().to_owned();
    // The key, and what stands beside it.
    let files = fs::read_dir(desk.path("tenant/keys")).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.to_string_lossy().contains(&new[..16])).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    files.iter().for_each(|file| fs::remove_file(file).unwrap());
    let wrong = wrong_now(&desk, "");
    assert!(wrong.contains("other-key-of-the-keyring-is-in-its-store"), "{wrong:?}");
}

/// The file of a template's newest version in a tenant's folder.
fn newest_version(desk: &Desk, folder: &str, id: &str) -> Vec<u8> {
    let mut files: Vec<_> = fs::read_dir(desk.path(folder).join("templates"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(id))
        .collect();
    files.sort_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
    fs::read(files.pop().unwrap()).unwrap()
}

#[test]
fn a_template_that_something_overwrote_is_refused_or_named() {
    let (desk, people) = small();
    let plan = Plan::read(&desk.path("plan.json")).unwrap();
    let id = plan.keys[0].templates[0].id.clone();
    approve(&desk, &people[0]).exits(0);
    // Another version of it, signed by the same key: what an older export would bring.
    fs::create_dir(desk.path("elsewhere")).unwrap();
    desk.run("migrate software-to-software contoso.xml --tenant elsewhere/tenant --password-source file:password").exits(0);
    desk.run(&format!("tenant activate {} --tenant elsewhere/tenant", contoso().key.id())).exits(0);
    desk.run(&format!("tenant template edit {id} --tenant elsewhere/tenant --grant new@contoso.com:VIEW")).exits(0);
    desk.write("other-version.xml", newest_version(&desk, "elsewhere/tenant", &id));
    desk.run("tenant init --tenant tenant").exits(0);
    desk.run("tenant template import other-version.xml --tenant tenant").exits(0);
    desk.run("apply plan.json --approval person-0.approval").exits(9).says("rule 143").says("new@contoso.com");
    let keys = desk.run("--format json tenant show --tenant tenant").exits(0).json("tenant")["keys"].clone();
    assert_eq!(keys.as_array().unwrap().len(), 0, "refused before the key was entered");
    // Without it the plan is carried out; a later change is named, though the active key signed it.
    fs::remove_dir_all(desk.path("tenant")).unwrap();
    desk.run("apply plan.json --approval person-0.approval").exits(0);
    verified(&desk);
    desk.run("tenant template import other-version.xml --tenant tenant --overwrite").exits(0);
    assert_eq!(wrong_now(&desk, ""), ["template-says-what-was-exported".to_owned()].into());
}

#[test]
fn a_run_waits_for_whoever_works_on_the_keyring() {
    let (desk, people) = small();
    approve(&desk, &people[0]).exits(0);
    desk.run("tenant init --tenant tenant").exits(0);
    let held = keykit::tenant::TenantKeyring::open(&desk.path("tenant")).unwrap();
    desk.run("apply plan.json --approval person-0.approval").exits(9).says("another process works on");
    std::thread::scope(|scope| {
        let run = scope.spawn(|| desk.run("resume plan.json --wait 300").0.status.code());
        std::thread::sleep(std::time::Duration::from_secs(2));
        drop(held);
        assert_eq!(run.join().unwrap(), Some(0));
    });
    verified(&desk);
}

#[test]
fn a_source_token_that_is_gone_after_the_decommissioning_is_not_missed() {
    on_tokens("examples::a_source_token_that_is_gone_after_the_decommissioning_is_not_missed", |bench| {
        let desk = &bench.desk;
        let people = crate::ceremony::two_forests(bench);
        people.iter().for_each(|person| drop(approve(desk, person).exits(0)));
        let approvals: String = people.iter().map(|person| format!(" --approval {person}.approval")).collect();
        let mut ran = desk.run(&format!("apply plan.json{approvals}"));
        while ran.0.status.code() == Some(8) && !ran.stderr().contains("--confirm manual/decommission") {
            let step = ran.stderr().split("--confirm ").nth(1).unwrap().trim().trim_end_matches('`').to_owned();
            ran = desk.run_with(&["resume", "plan.json", "--confirm", &step]);
        }
        ran.exits(8).says("manual/decommission");
        bench.empty("accelerator");
        // Before the step it is missed, after it not.
        assert!(wrong_now(desk, "--phase services").contains("source-key-still-works"));
        desk.run("resume plan.json --confirm manual/decommission").exits(0);
        let value = verified(desk);
        let names: Vec<&str> = value["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
        assert!(names.contains(&"source-was-taken-out-of-service") && names.contains(&"key-signs-and-opens-under-its-certificate"), "{names:?}");
        // What is at the target is still asked for.
        let id = Plan::read(&desk.path("plan.json")).unwrap().keys[0].key_id.to_string();
        bench.destroy("target", &id);
        assert!(wrong_now(desk, "").contains("key-is-at-its-target-once"));
    });
}

#[test]
fn giving_up_goes_back_to_a_key_that_lives_elsewhere() {
    on_tokens("examples::giving_up_goes_back_to_a_key_that_lives_elsewhere", |bench| {
        let desk = &bench.desk;
        // A tenant whose active key is in its own folder, and a plan that brings another into a token.
        desk.run("migrate software-to-software fabrikam.xml --tenant tenant --password-source file:password").exits(0);
        let former = crate::support::fabrikam().key.id();
        desk.run(&format!("tenant activate {former} --tenant tenant")).exits(0);
        let store = format!("managed = \"customer\"\nstore = \"{}\"", bench.uri("target"));
        let migration =
            SMALL.replace("managed = \"service\"", &store) + "\n[decommission]\nactivity-watched = true\nconnection-point-removed = true\n";
        let people = planned(desk, &migration);
        approve(desk, &people[0]).exits(0);
        desk.run("apply plan.json --approval person-0.approval").exits(8);
        let given_up = desk.run("--format json abort plan.json --reason rehearsal").exits(0).json("abort");
        assert!(given_up["undone"][0]["note"].as_str().unwrap().contains(&former.to_string()), "{given_up}");
        let keys = desk.run("--format json tenant show --tenant tenant").exits(0).json("tenant")["keys"].as_array().unwrap().clone();
        let active: Vec<&str> = keys.iter().filter(|key| key["status"] == "active").map(|key| key["key_id"].as_str().unwrap()).collect();
        assert_eq!(active, [former.to_string()]);
    });
}
