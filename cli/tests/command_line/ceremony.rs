//! From a migration file to a verified tenant: plan, quorum, apply, resume, abort, verify; and everything that is refused.

use std::fs;
use std::process::Command;

use keykit::migration::plan::{Action, Plan};
use keykit::store::Transferability;
use keykit::tpd::KeyDerivation;
use keykit_tests::child::skip;
use serde_json::{Value, json};

use crate::support::{Desk, Ran, Sample, contoso};
use crate::tokens::{Bench, on_tokens};

/// One cluster in mode 2, one person of three who must approve, nothing to do by hand.
pub(crate) const SMALL: &str = include_str!("ceremony/small.toml");
const SINGLE_FOREST: &str = include_str!("../../../tests/organisations/single-forest.toml");
const LICENSING_ONLY: &str = include_str!("../../../tests/organisations/licensing-only-clusters.toml");
const TWO_FORESTS: &str = include_str!("../../../tests/organisations/two-forests.toml");

/// Makes a key of a person, and puts it into the migration file in the place of the next example.
fn enter_people(desk: &Desk, migration: &str) -> (String, Vec<String>) {
    desk.write("key-password", "key password\n");
    desk.make_private("key-password");
    let (mut text, mut names) = (String::new(), Vec::new());
    for line in migration.lines() {
        if line.starts_with("key = \"ssh-ed25519") {
            let name = format!("person-{}", names.len());
            let made = desk.run(&format!("--format json ceremony keygen -o {name} --password-source file:key-password")).exits(0);
            text.push_str(&format!("key = {}\n", made.json("ceremony-keygen")["public_key"]));
            names.push(name);
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    (text, names)
}

/// A desk with a migration file, its people, and a plan.
pub(crate) fn planned(desk: &Desk, migration: &str) -> Vec<String> {
    let (text, people) = enter_people(desk, migration);
    desk.write("migration.toml", text);
    desk.run("plan migration.toml -o plan.json").exits(0);
    people
}

pub(crate) fn small() -> (Desk, Vec<String>) {
    let desk = Desk::new();
    let people = planned(&desk, SMALL);
    (desk, people)
}

pub(crate) fn approve(desk: &Desk, person: &str) -> Ran {
    desk.run(&format!("--format json approve plan.json --key {person} --password-source file:key-password -o {person}.approval"))
}

/// Applies with the approvals of these people, and confirms every step by hand that the run waits for. Gives the steps back.
pub(crate) fn apply_through(desk: &Desk, people: &[&str]) -> Vec<String> {
    let approvals: String = people.iter().map(|person| format!(" --approval {person}.approval")).collect();
    let mut ran = desk.run(&format!("apply plan.json{approvals}"));
    let mut confirmed = Vec::new();
    while ran.0.status.code() == Some(8) {
        let text = ran.stderr();
        let step = text.split("--confirm ").nth(1).unwrap_or_else(|| panic!("{text}")).trim().trim_end_matches('`').to_owned();
        assert!(!confirmed.contains(&step), "{text}");
        ran = desk.run_with(&["resume", "plan.json", "--confirm", &step]);
        confirmed.push(step);
    }
    ran.exits(0);
    confirmed
}

pub(crate) fn verified(desk: &Desk) -> Value {
    let value = desk.run("--format json verify plan.json").exits(0).says("[1/1]").json("verify");
    assert_eq!(value["sound"], true);
    value
}

fn check_names(value: &Value) -> Vec<&str> {
    value["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect()
}

#[test]
fn a_plan_is_made_approved_carried_out_and_verified() {
    let (desk, people) = small();
    approve(&desk, &people[0]).exits(0);
    let applied = desk.run(&format!("--format json apply plan.json --approval {}.approval", people[0])).exits(0).json("apply");
    assert_eq!((&applied["changed"], &applied["approved_by"]), (&json!(true), &json!(["A. Custodian (custodian)"])));
    let value = verified(&desk);
    for name in [
        "key-is-in-the-keyring",
        "key-is-at-its-target-once",
        "licence-sealed-before-opens-after",
        "given-licence-opens",
        "chain-is-the-exported-one",
        "active-key-is-the-planned-one",
        "template-is-signed-by-a-key-of-the-tenant",
    ] {
        assert!(check_names(&value).contains(&name), "{name}");
    }
    // A finished plan changes nothing.
    let before = desk.snapshot();
    assert_eq!(desk.run("--format json apply plan.json").exits(0).says("nothing changed").json("apply")["changed"], false);
    let without_lock = |files: Vec<(std::path::PathBuf, Vec<u8>)>| files.into_iter().filter(|(path, _)| !path.ends_with("lock")).collect::<Vec<_>>();
    assert_eq!(without_lock(desk.snapshot()), without_lock(before));
    // What it did can be read.
    let journal = String::from_utf8(desk.read("tenant/migration/journal.jsonl")).unwrap();
    let events: Vec<Value> = journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.first().unwrap()["what"]["event"], "started");
    assert_eq!(events.last().unwrap()["what"]["event"], "finished");
}

#[test]
fn the_same_inputs_give_the_same_plan_wherever_they_lie() {
    let (desk, _) = small();
    let first = desk.read("plan.json");
    let other = Desk::new();
    for file in ["migration.toml", "contoso.xml", "contoso.pfile"] {
        other.write(file, desk.read(file));
    }
    other.run("plan migration.toml -o plan.json").exits(0);
    assert_eq!(other.read("plan.json"), first);
    other.run("plan migration.toml -o plan.json").exits(0).says("the same plan was there already");
    // No secret, no machine.
    let text = String::from_utf8(first).unwrap();
    for word in ["Pa$$w0rd", "keyring password", "PRIVATE", desk.path("").to_str().unwrap()] {
        assert!(!text.contains(word), "{word}");
    }
    desk.run("plan diff plan.json plan.json").exits(0);
    let shown = desk.run("plan show plan.json").exits(0).stdout();
    assert!(shown.contains("approvals: 1 of 3") && shown.contains(&contoso().key.id().to_string()), "{shown}");
    // Another migration file, another plan: the difference is named.
    let migration = String::from_utf8(desk.read("migration.toml")).unwrap().replace("name = \"Contoso\"", "name = \"Contoso Ltd\"");
    desk.write("migration.toml", migration);
    desk.run("plan migration.toml -o plan.json").exits(9);
    desk.run("plan migration.toml -o second.json").exits(0);
    let compared = desk.run("--format json plan diff plan.json second.json").exits(1).json("plan-diff");
    let at: Vec<&str> = compared["changes"].as_array().unwrap().iter().map(|change| change["at"].as_str().unwrap()).collect();
    assert!(at.contains(&"organisation"), "{at:?}");
}

#[test]
fn the_quorum_is_demanded_and_every_other_approval_refused() {
    let (desk, people) = small();
    desk.run("apply plan.json").exits(4).says("quorum-too-small");
    desk.run("resume plan.json").exits(4).says("quorum-too-small");
    assert!(!desk.path("tenant").exists());
    approve(&desk, &people[0]).exits(0);
    // Somebody else's key.
    desk.run("ceremony keygen -o stranger --password-source file:key-password").exits(0);
    approve(&desk, "stranger").exits(4).says("approval-foreign");
    assert!(!desk.path("stranger.approval").exists());
    desk.run("approve plan.json --key person-0 --password-source file:password -o x").exits(6);
    // The same person twice.
    desk.run("approve plan.json --key person-0 --password-source file:key-password --valid-days 3 -o again").exits(0);
    desk.run("apply plan.json --approval person-0.approval --approval again").exits(4).says("approval-repeated");
    // For longer than allowed.
    desk.run("approve plan.json --key person-0 --password-source file:key-password --valid-days 31 -o long").exits(4).says("approval-holds-too-long");
    // Over already.
    desk.run("approve plan.json --key person-0 --password-source file:key-password --valid-days 0 -o over").exits(4).says("approval-expired");
    // For another plan.
    let migration = String::from_utf8(desk.read("migration.toml")).unwrap().replace("name = \"Contoso\"", "name = \"Contoso Ltd\"");
    desk.write("migration.toml", migration);
    desk.run("plan migration.toml -o other.json").exits(0);
    desk.run("apply other.json --approval person-0.approval").exits(4).says("approval-of-another-plan");
    // Changed.
    let approval = String::from_utf8(desk.read("person-0.approval")).unwrap();
    desk.write("changed.approval", approval.replace("A. Custodian", "B. Custodian"));
    desk.run("apply plan.json --approval changed.approval").exits(4).says("approval-bad-signature");
    desk.write("broken.approval", &approval[..approval.len() / 2]);
    desk.run("apply plan.json --approval broken.approval").exits(3);
    assert!(!desk.path("tenant").exists(), "nothing was done");
}

#[test]
fn a_key_of_openssh_approves_by_its_own_program() {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        return skip("ceremony::a_key_of_openssh_approves_by_its_own_program", "ssh-keygen is not installed");
    }
    let desk = Desk::new();
    let ssh_keygen = |arguments: &[&str]| {
        let output = Command::new("ssh-keygen").args(arguments).current_dir(desk.path("")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    ssh_keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "own"]);
    let (text, _) = enter_people(&desk, SMALL);
    let public = String::from_utf8(desk.read("own.pub")).unwrap();
    let ours = text.lines().find(|line| line.starts_with("key = ")).unwrap();
    desk.write("migration.toml", text.replace(ours, &format!("key = \"{}\"", public.trim())));
    desk.run("plan migration.toml -o plan.json").exits(0);
    desk.run_with(&["approve", "plan.json", "--statement-for", "A. Custodian", "-o", "statement"]).exits(0).says("ssh-keygen -Y sign");
    ssh_keygen(&["-q", "-Y", "sign", "-f", "own", "-n", "keykit-plan", "statement"]);
    desk.run("approve plan.json --statement statement --signature statement.sig -o approval").exits(0);
    desk.run("apply plan.json --approval approval").exits(0);
    verified(&desk);
}

#[test]
fn changed_plans_journals_and_keyrings_are_refused_with_their_place() {
    let (desk, people) = small();
    approve(&desk, &people[0]).exits(0);
    let plan = String::from_utf8(desk.read("plan.json")).unwrap();
    desk.write("changed.json", plan.replace("Contoso", "Contosa"));
    desk.run("apply changed.json --approval person-0.approval").exits(3).says("claims");
    desk.run("plan show changed.json").exits(3);
    desk.run("approve changed.json --key person-0 --password-source file:key-password -o y").exits(3);
    // A domain that is not the one that was planned with.
    let domain = desk.read("contoso.xml");
    desk.write("contoso.xml", [domain.as_slice(), b" "].concat());
    desk.run("apply plan.json --approval person-0.approval").exits(9).says("contoso.xml is not the file of the plan");
    desk.write("contoso.xml", domain);
    desk.run("apply plan.json").exits(0);
    // One line of the journal.
    let journal = String::from_utf8(desk.read("tenant/migration/journal.jsonl")).unwrap();
    let third = journal.lines().nth(2).unwrap();
    for changed in [
        journal.replace(third, &third.replace("\"number\":3", "\"number\":4")),
        journal.replace(&format!("{third}\n"), ""),
        journal.replacen("0 keys", "1 keys", 1).replacen("1 keys are", "9 keys are", 1),
    ] {
        assert_ne!(changed, journal);
        desk.write("tenant/migration/journal.jsonl", changed);
        desk.run("apply plan.json").exits(3).says("journal of runs: line");
    }
    desk.write("tenant/migration/journal.jsonl", &journal);
    // The keyring: a key less, another store, two active.
    let keyring = String::from_utf8(desk.read("tenant/tenant.json")).unwrap();
    let id = contoso().key.id().to_string();
    for (from, to, check) in [
        (id.as_str(), &*"0".repeat(64), "key-is-in-the-keyring"),
        ("\"file:keys\"", "\"pkcs11:token=other\"", "keyring-names-the-planned-store"),
        ("\"status\": \"active\"", "\"status\": \"archived\"", "exactly-one-key-is-active"),
        ("\"mode\": 2", "\"mode\": 1", "key-is-in-the-keyring"),
    ] {
        desk.write("tenant/tenant.json", keyring.replace(from, to));
        let value = desk.run("--format json verify plan.json").exits(1).json("verify");
        assert_eq!(value["sound"], false);
        let failed: Vec<&str> =
            value["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false).map(|check| check["name"].as_str().unwrap()).collect();
        assert!(failed.contains(&check), "{check}: {failed:?}");
    }
    desk.write("tenant/tenant.json", &keyring);
    // A template, a chain, the key itself.
    let inside = |folder: &str| {
        let mut files = fs::read_dir(desk.path("tenant").join(folder)).unwrap().map(|entry| entry.unwrap().path());
        files.find(|path| path.extension().is_some_and(|extension| extension == "xml" || extension == "p8")).unwrap()
    };
    for (folder, check) in
        [("templates", "template-is-signed-by-a-key-of-the-tenant"), ("chains", "chain-is-the-exported-one"), ("keys", "key-is-at-its-target-once")]
    {
        let path = inside(folder);
        let content = fs::read(&path).unwrap();
        if folder == "keys" {
            fs::remove_file(&path).unwrap();
        } else {
            let text = String::from_utf8(content.clone()).unwrap().replacen("contoso", "c0ntoso", 1);
            let text = if text.as_bytes() == content {
                text.replacen("Confidential", "Confidentia1", 1).replacen("Everybody", "Everyb0dy", 1)
            } else {
                text
            };
            assert_ne!(text.as_bytes(), content, "{folder}");
            fs::write(&path, text).unwrap();
        }
        let ran = desk.run("--format json verify plan.json").exits(1);
        assert!(ran.stdout().contains(check), "{folder}: {}", ran.stdout());
        fs::write(&path, content).unwrap();
    }
    verified(&desk);
}

#[test]
fn two_processes_do_not_work_on_one_tenant() {
    let (desk, people) = small();
    approve(&desk, &people[0]).exits(0);
    fs::create_dir_all(desk.path("tenant/migration")).unwrap();
    let held = keykit::migration::apply::RunLock::take(&desk.path("tenant/migration"), std::time::Duration::ZERO).unwrap();
    let me = format!("process {}", std::process::id());
    desk.run("apply plan.json --approval person-0.approval").exits(9).says(&me);
    assert!(!desk.path("tenant/tenant.json").exists());
    // One that waits gets its turn, and both of two at once end well.
    drop(held);
    let outcomes: Vec<Option<i32>> = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..2).map(|_| scope.spawn(|| desk.run("apply plan.json --approval person-0.approval --wait 300").0.status.code())).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(outcomes, [Some(0), Some(0)]);
    verified(&desk);
}

#[test]
fn a_run_can_be_given_up_and_begun_anew() {
    let desk = Desk::new();
    let people = planned(&desk, &format!("{SMALL}\n[decommission]\nactivity-watched = true\nconnection-point-removed = true\n"));
    desk.run("abort plan.json").exits(2).says("no run of this plan");
    approve(&desk, &people[0]).exits(0);
    desk.run("apply plan.json --approval person-0.approval").exits(8).says("manual/decommission");
    desk.run("resume plan.json --confirm nothing").exits(2).says("'nothing'");
    let given_up = desk.run_with(&["--format", "json", "abort", "plan.json", "--reason", "a rehearsal"]).exits(0).json("abort");
    let steps = |name: &str| given_up[name].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    // The first key of a tenant stays active: that is not undone, and not said to be.
    assert!(steps("undone").is_empty() && steps("kept").iter().any(|step| step.starts_with("activate/")));
    assert!(steps("kept").iter().any(|step| step.starts_with("import-key/")));
    // The source is as it was, and so is what was kept: the plan can be applied anew.
    desk.run("resume plan.json").exits(2);
    assert_eq!(apply_through(&desk, &["person-0"]), ["manual/decommission"]);
    verified(&desk);
    desk.run("abort plan.json").exits(9).says("finished");
}

#[test]
fn a_single_forest_goes_from_plan_to_verified() {
    let desk = Desk::new();
    for (file, bits) in [("headquarters", 2048), ("headquarters-mode-1", 1024)] {
        let sample = Sample::make("headquarters", bits, KeyDerivation::Sha256);
        desk.write(&format!("{file}.xml"), &sample.domain);
        desk.make_private(&format!("{file}.xml"));
        desk.write(&format!("{file}-password"), format!("{}\n", crate::support::PASSWORD));
        desk.make_private(&format!("{file}-password"));
    }
    let people = planned(&desk, SINGLE_FOREST);
    approve(&desk, &people[0]).exits(0);
    approve(&desk, &people[1]).exits(0);
    approve(&desk, &people[2]).exits(0);
    desk.run("apply plan.json --approval person-0.approval --approval person-1.approval").exits(4).says("quorum-lacks-a-role");
    let by_hand = apply_through(&desk, &["person-0", "person-2"]);
    assert!(by_hand.contains(&"manual/users/pilot".to_owned()) && by_hand.contains(&"manual/decommission".to_owned()), "{by_hand:?}");
    verified(&desk);
    let keys = desk.run("--format json tenant show --tenant tenant").exits(0).json("tenant")["keys"].as_array().unwrap().clone();
    // A key of mode 1 was among them, so the tenant was re-keyed (rule 215).
    assert_eq!(
        keys.iter().map(|key| (key["mode"].as_u64().unwrap(), key["status"].as_str().unwrap())).collect::<Vec<_>>(),
        [(2, "archived"), (1, "archived"), (2, "active")]
    );
    // One thing wrong at a time.
    let migration = String::from_utf8(desk.read("migration.toml")).unwrap();
    for (from, to, rule) in [
        ("domains-in-console = 2", "domains-in-console = 3", "rule 43"),
        ("protection = \"database\"", "protection = \"nshield\"", "rule 30"),
        ("intranet-url = \"https://rms.contoso.local/_wmcs/licensing\"\n", "", "rule 166"),
    ] {
        assert!(migration.contains(from), "{from}");
        desk.write("wrong.toml", migration.replacen(from, to, 1));
        desk.run("plan wrong.toml -o wrong.json").exits(4).says(rule);
    }
}

#[test]
fn licensing_only_clusters_go_into_a_module() {
    on_tokens("ceremony::licensing_only_clusters_go_into_a_module", |bench| {
        let desk = &bench.desk;
        let sample = Sample::make("root", 1024, KeyDerivation::Sha256);
        desk.write("root-mode-1.xml", &sample.domain);
        desk.make_private("root-mode-1.xml");
        desk.write("root-password", desk.read("password"));
        desk.make_private("root-password");
        let store = LICENSING_ONLY.lines().find(|line| line.starts_with("store = ")).unwrap();
        let people = planned(desk, &LICENSING_ONLY.replace(store, &format!("store = \"{}\"", bench.uri("target"))));
        approve(desk, &people[0]).exits(0);
        apply_through(desk, &["person-0"]);
        let value = verified(desk);
        assert!(check_names(&value).contains(&"sensitive-and-not-extractable"));
        assert_eq!(
            bench.keys("target").len(),
            desk.run("--format json tenant show --tenant tenant").exits(0).json("tenant")["keys"].as_array().unwrap().len()
        );
        // The key is gone from the token: verify names it, and a run that says it is done is in conflict with that.
        bench.empty("target");
        let ran = desk.run("--format json verify plan.json").exits(1);
        assert!(ran.stdout().contains("key-is-at-its-target-once"), "{}", ran.stdout());
    });
}

/// Two forests on one desk: the key of one is in a module, that of the other in a file. Gives the people back.
pub(crate) fn two_forests(bench: &Bench<'_>) -> Vec<String> {
    let desk = &bench.desk;
    bench.domain_around("accelerator", Transferability::Wrapped);
    desk.write("northwind.xml", desk.read("accelerator.xml"));
    let tailspin = Sample::make("tailspin", 2048, KeyDerivation::Sha256);
    desk.write("tailspin.xml", &tailspin.domain);
    desk.write("tailspin.pfile", &tailspin.cluster.licences[0].pfile);
    desk.write("northwind.nfkmattest", "");
    for secret in ["northwind.xml", "tailspin.xml"] {
        desk.make_private(secret);
    }
    for name in ["northwind-password", "tailspin-password"] {
        desk.write(name, desk.read("password"));
        desk.make_private(name);
    }
    let mut migration = String::new();
    for line in TWO_FORESTS.lines() {
        // A token in the place of the provider; the label of the source token stands for evidence.
        match line.split(" = ").next().unwrap_or_default() {
            "transfer-profile" => migration.push_str(&format!("store = \"{}\"\n", bench.uri("target"))),
            "key-encryption-key" | "key-encryption-key-fingerprint" | "key-encryption-key-region" | "key-encryption-key-id" | "evidence" => {}
            "other-tenants" => migration.push_str("other-tenants = []\n"),
            "friendly-name" if line.contains("northwind") => migration.push_str("friendly-name = \"accelerator\"\n"),
            "source" => migration.push_str(&format!("source = \"{}\"\n", bench.uri("accelerator"))),
            _ => migration.push_str(&format!("{line}\n")),
        }
    }
    planned(desk, &migration)
}

#[test]
fn two_forests_one_with_a_module_go_into_one_tenant() {
    on_tokens("ceremony::two_forests_one_with_a_module_go_into_one_tenant", |bench| {
        let desk = &bench.desk;
        let people = two_forests(bench);
        for person in &people {
            approve(desk, person).exits(0);
        }
        // Something dangerous needs all three.
        desk.run("apply plan.json --approval person-0.approval --approval person-1.approval").exits(4).says("quorum-too-small: 2 of the 3");
        apply_through(desk, &["person-0", "person-1", "person-2"]);
        let value = verified(desk);
        assert!(check_names(&value).contains(&"sensitive-and-wrappable-under-a-trusted-key"));
        assert_eq!(bench.keys("target").len(), 3, "two that came, and the new one");
        assert_eq!(bench.keys("accelerator").len(), 1, "the source keeps its key");
    });
}

/// The small plan with nobody to approve it, for runs that are killed.
pub(crate) fn unguarded(desk: &Desk) -> Plan {
    desk.write("migration.toml", strip_approvals(SMALL));
    desk.run("plan migration.toml -o plan.json").exits(0);
    let plan = Plan::read(&desk.path("plan.json")).unwrap();
    assert!(plan.steps.iter().all(|step| !matches!(step.action, Action::Manual { .. })));
    plan
}

/// A migration file without its people: nobody has to approve.
pub(crate) fn strip_approvals(migration: &str) -> String {
    migration.split("[approval]").next().unwrap_or_default().to_owned()
}
