//! A tenant that goes on after a plan: what was changed on purpose is told by the verification of the plan, and is no damage; what
//! nothing recorded, or nobody who may have approved, stays a failure.

use std::fs;

use keykit::migration::plan::Plan;
use serde_json::Value;

use crate::ceremony::{SMALL, approve, planned, small, verified};
use crate::support::{Desk, contoso, fabrikam};

const CUSTODIANS: &str = "custodians-are-those-of-the-plan";
const TEMPLATE: &str = "template-says-what-was-exported";
const ACTIVE: &str = "active-key-is-the-planned-one";

/// Names and details of what was changed later; everything else must hold.
fn changed_later(desk: &Desk) -> Vec<(String, String)> {
    let value = verified(desk);
    let text = |check: &Value, member: &str| check[member].as_str().unwrap().to_owned();
    let later = value["checks"].as_array().unwrap().iter().filter(|check| check["reason"] == "changed-later");
    later.map(|check| (text(check, "name"), text(check, "detail"))).collect()
}

/// What failed.
fn failed(desk: &Desk) -> Vec<(String, String)> {
    let value = desk.run("--format json verify plan.json").exits(1).json("verify");
    assert_eq!(value["sound"], false);
    let failed = value["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false);
    failed.map(|check| (check["name"].as_str().unwrap().to_owned(), check["detail"].as_str().unwrap().to_owned())).collect()
}

#[track_caller]
fn only<'a>(found: &'a [(String, String)], name: &str) -> &'a str {
    assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), [name], "{found:?}");
    &found[0].1
}

fn applied() -> (Desk, String) {
    let (desk, people) = small();
    approve(&desk, &people[0]).exits(0);
    desk.run("apply plan.json --approval person-0.approval").exits(0);
    assert!(changed_later(&desk).is_empty());
    let id = Plan::read(&desk.path("plan.json")).unwrap().keys[0].templates[0].id.clone();
    (desk, id)
}

/// A second plan of the same tenant, with another policy, approved by the first person and applied.
fn second_plan(desk: &Desk, change: impl Fn(&str) -> String) {
    let migration = String::from_utf8(desk.read("migration.toml")).unwrap();
    desk.write("second.toml", change(&migration));
    desk.run("plan second.toml -o second.json").exits(0);
    desk.run("approve second.json --key person-0 --password-source file:key-password -o second.approval").exits(0);
    desk.run("approve second.json --key person-1 --password-source file:key-password -o second-b.approval").exits(0);
    desk.run("apply second.json --approval second.approval --approval second-b.approval").exits(0);
}

fn two_of_three(migration: &str) -> String {
    migration.replace("\nthreshold = 1", "\nthreshold = 2").replace("danger-threshold = 2", "danger-threshold = 3")
}

/// Changes the file of the tenant as somebody would who has an editor and no keykit.
fn edit_by_hand(desk: &Desk, change: impl FnOnce(&mut Value)) {
    let mut file: Value = serde_json::from_slice(&desk.read("tenant/tenant.json")).unwrap();
    change(&mut file);
    desk.write("tenant/tenant.json", serde_json::to_vec_pretty(&file).unwrap());
}

#[test]
fn a_template_that_was_edited_later_is_told_and_one_that_was_replaced_fails() {
    let (desk, id) = applied();
    desk.run(&format!("tenant template edit {id} --tenant tenant --grant new@contoso.com:VIEW")).exits(0);
    let later = changed_later(&desk);
    assert!(only(&later, TEMPLATE).contains("template-edit at "), "{later:?}");
    desk.run("verify plan.json").exits(0);
    // The journal is gone, or says nothing of it: the same text is damage.
    let journal = desk.read("tenant/journal.jsonl");
    fs::remove_file(desk.path("tenant/journal.jsonl")).unwrap();
    let gone = failed(&desk);
    assert!(only(&gone, TEMPLATE).contains("is not known"), "{gone:?}");
    desk.write("tenant/journal.jsonl", &journal);
    let lines = String::from_utf8(journal).unwrap();
    let before: Vec<&str> = lines.lines().take_while(|line| !line.contains("template-edit")).collect();
    desk.write("tenant/journal.jsonl", before.join("\n") + "\n");
    let cut = failed(&desk);
    assert!(only(&cut, TEMPLATE).contains("did not record its file"), "{cut:?}");
    desk.write("tenant/journal.jsonl", &lines);
    assert_eq!(changed_later(&desk), later);
    // One byte of the new text, which the journal knows of: it is not what the active key signed.
    let file = fs::read_dir(desk.path("tenant/templates")).unwrap().map(|entry| entry.unwrap().path());
    let file = file.filter(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).contains("new@contoso.com")).last().unwrap();
    fs::write(&file, String::from_utf8(fs::read(&file).unwrap()).unwrap().replace("new@contoso.com", "bad@contoso.com")).unwrap();
    only(&failed(&desk), "template-is-signed-by-a-key-of-the-tenant");
}

#[test]
fn an_edit_before_the_run_is_over_is_no_later_change() {
    let (desk, id) = applied();
    desk.run(&format!("tenant template edit {id} --tenant tenant --grant new@contoso.com:VIEW")).exits(0);
    assert_eq!(changed_later(&desk).len(), 1);
    // The same tenant, and a plan that never was carried out here.
    let plan = String::from_utf8(desk.read("migration.toml")).unwrap().replace("name = \"Contoso\"", "name = \"Contoso Ltd\"");
    desk.write("other.toml", plan);
    desk.run("plan other.toml -o other.json").exits(0);
    let value = desk.run("--format json verify other.json").exits(1).json("verify");
    let wrong: Vec<&Value> = value["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false).collect();
    assert!(wrong.iter().any(|check| check["name"] == TEMPLATE), "{wrong:?}");
}

#[test]
fn custodians_that_a_later_approved_plan_fixed_are_told_and_others_fail() {
    let (desk, _) = applied();
    second_plan(&desk, two_of_three);
    let later = changed_later(&desk);
    let detail = only(&later, CUSTODIANS);
    let second = Plan::read(&desk.path("second.json")).unwrap().hash().unwrap();
    assert!(detail.contains("2 of 3") && detail.contains(&second) && detail.contains("those of this plan approved"), "{detail}");
    desk.run("verify second.json").exits(0);
    // Without the signatures of those who could approve it, the journals are not enough.
    let approvals = desk.path("tenant/migration/approvals");
    let kept: Vec<_> = fs::read_dir(&approvals).unwrap().map(|entry| entry.unwrap().path()).collect();
    let second_ones: Vec<_> = kept.iter().filter(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).contains(&second)).collect();
    assert_eq!(second_ones.len(), 2);
    second_ones.iter().for_each(|path| fs::remove_file(path).unwrap());
    only(&failed(&desk), CUSTODIANS);
}

#[test]
fn custodians_that_somebody_wrote_into_the_file_fail() {
    let (desk, _) = applied();
    edit_by_hand(&desk, |file| file["custodians"]["people"].as_array_mut().unwrap().truncate(2));
    let wrong = failed(&desk);
    assert!(only(&wrong, CUSTODIANS).contains("did not record its file"), "{wrong:?}");
}

#[test]
fn a_later_new_key_is_told_and_a_key_that_nothing_made_active_fails() {
    let (desk, _) = applied();
    desk.run("tenant rekey --tenant tenant --yes").exits(0);
    let later = changed_later(&desk);
    assert!(only(&later, ACTIVE).contains("rekey at "), "{later:?}");
    // Active by a later plan that the people approved.
    let before = desk.read("tenant/tenant.json");
    second_plan(&desk, |migration| {
        migration
            .replace("contoso.xml", "fabrikam.xml")
            .replace("contoso.pfile", "fabrikam.pfile")
            .replace("friendly-name = \"contoso\"", "friendly-name = \"fabrikam\"")
    });
    let later = changed_later(&desk);
    let detail = only(&later, ACTIVE);
    assert!(detail.contains(&fabrikam().key.id().short()) && detail.contains("activate at ") && detail.contains("by the plan"), "{detail}");
    // The same command without a plan: nobody approved it.
    desk.run("tenant rollback --tenant tenant").exits(0);
    only(&failed(&desk), ACTIVE);
    desk.run(&format!("tenant activate {} --tenant tenant", contoso().key.id())).exits(0);
    assert!(changed_later(&desk).is_empty());
    desk.run(&format!("tenant activate {} --tenant tenant", fabrikam().key.id())).exits(0);
    only(&failed(&desk), ACTIVE);
    // An older file of the tenant: nothing recorded that it is the one now.
    desk.write("tenant/tenant.json", before);
    let wrong = failed(&desk);
    assert!(wrong.iter().any(|(name, detail)| name == ACTIVE && detail.contains("did not record its file")), "{wrong:?}");
}

#[test]
fn a_plan_that_names_nobody_leaves_the_people_of_the_tenant() {
    let desk = Desk::new();
    planned(&desk, SMALL);
    let migration = String::from_utf8(desk.read("migration.toml")).unwrap();
    desk.write("nobody.toml", crate::ceremony::strip_approvals(&migration));
    desk.run("plan nobody.toml -o nobody.json").exits(0);
    desk.run("tenant init --tenant tenant --custodians migration.toml").exits(0);
    desk.run("approve nobody.json --key person-0 --password-source file:key-password -o nobody.approval").exits(4);
    // Nobody can approve it, so nobody applies it; what is in the tenant is looked at all the same.
    let value = desk.run("--format json verify nobody.json").exits(1).json("verify");
    let check = value["checks"].as_array().unwrap().iter().find(|check| check["name"] == CUSTODIANS).unwrap();
    assert!(check["ok"] == true && check["detail"].as_str().unwrap().contains("names nobody"), "{check}");
}
