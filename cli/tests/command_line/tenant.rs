//! What a tenant is after each of its commands.

use serde_json::Value;

use crate::support::{Desk, PASSWORD, contoso, fabrikam, woodgrove};

const TENANT: &str = "--format json tenant";

/// A tenant with all three keys, none of them active.
fn archived() -> Desk {
    let desk = Desk::new();
    desk.run("migrate software-to-software --password-source file:password --tenant tenant contoso.xml fabrikam.xml woodgrove.xml").exits(0);
    desk
}

/// The same with the key of contoso active.
fn tenant() -> Desk {
    let desk = archived();
    desk.run(&format!("tenant activate {} --tenant tenant --yes", contoso().key.id())).exits(0);
    desk
}

fn shown(desk: &Desk) -> Value {
    desk.run(&format!("{TENANT} show --tenant tenant")).exits(0).json("tenant")
}

fn active(value: &Value) -> Vec<&str> {
    let keys = value["keys"].as_array().unwrap().iter();
    keys.filter(|key| key["status"] == "active").map(|key| key["key_id"].as_str().unwrap()).collect()
}

fn all_signed_by(value: &Value, key: &str) -> bool {
    value["templates"].as_array().unwrap().iter().all(|template| template["signed_by"] == key)
}

/// The GUIDs of the templates that contoso brought: without and with ANYONE.
fn guids(desk: &Desk) -> [String; 2] {
    let value = shown(desk);
    [false, true].map(|anyone| {
        let templates = value["templates"].as_array().unwrap().iter();
        let found = templates.filter(|template| template["grants_anyone"] == anyone).map(|template| template["id"].as_str().unwrap());
        found.into_iter().find(|id| contoso().cluster.templates.iter().any(|text| text.contains(id))).unwrap().to_owned()
    })
}

fn rules(value: &Value) -> Vec<u64> {
    value["warnings"].as_array().unwrap().iter().map(|warning| warning["rule"].as_u64().unwrap()).collect()
}

#[test]
fn activation_archives_the_other_signs_all_templates_and_rolls_back() {
    let desk = tenant();
    let [contoso, fabrikam] = [contoso(), fabrikam()].map(|sample| sample.key.id().to_string());
    assert!(all_signed_by(&shown(&desk), &contoso));
    let done = desk.run(&format!("{TENANT} activate {} --tenant tenant", &fabrikam[..12])).exits(0).says("rule 119").json("tenant-activate");
    assert_eq!((&done["key_id"], &done["previous"], &done["changed"]), (&fabrikam.as_str().into(), &contoso.as_str().into(), &true.into()));
    assert_eq!((done["resigned"].as_array().unwrap().len(), done["left"].as_array().unwrap().len()), (6, 0));
    let value = shown(&desk);
    assert_eq!(active(&value), [fabrikam.as_str()]);
    assert!(all_signed_by(&value, &fabrikam));
    assert_eq!(value["previous_active"], contoso);
    let before = desk.snapshot();
    let again = desk.run(&format!("{TENANT} activate {fabrikam} --tenant tenant")).exits(0).says("nothing changed").json("tenant-activate");
    assert_eq!(again["changed"], false);
    assert_eq!(desk.snapshot(), before);
    let back = desk.run(&format!("{TENANT} rollback --tenant tenant")).exits(0).says("the key that was active before is").json("tenant-rollback");
    assert_eq!(back["key_id"], contoso);
    let value = shown(&desk);
    assert!(all_signed_by(&value, &contoso) && active(&value) == [contoso.as_str()]);
    desk.run("licence open fabrikam.pfile --tenant tenant").exits(0);
    // The oldest key is the tenant's own (rule 122).
    desk.run(&format!("{TENANT} activate default --tenant tenant")).exits(0);
    assert_eq!(shown(&desk)["keys"][0]["default"], true);
}

#[test]
fn activation_and_rollback_refuse_what_they_must() {
    let desk = archived();
    desk.run("tenant rollback --tenant tenant").exits(4).says("rule 121");
    desk.run("tenant activate ffffffffffff --tenant tenant").exits(2).says("no key begins with");
    desk.run("tenant rekey --tenant tenant").exits(4).says("rule 56");
    desk.write("wrong", "wrong password\n");
    desk.make_private("wrong");
    let id = contoso().key.id();
    desk.run(&format!("tenant activate {id} --tenant tenant --keyring-password-source file:wrong")).exits(6);
    assert!(active(&shown(&desk)).is_empty());
    // Another tenant that has the key; a copy of this one is none.
    std::fs::create_dir_all(desk.path("elsewhere/second")).unwrap();
    let text = String::from_utf8(desk.read("tenant/tenant.json")).unwrap();
    let own = shown(&desk)["tenant_id"].as_str().unwrap().to_owned();
    desk.write("elsewhere/second/tenant.json", text.replace(&own, &"0".repeat(32)));
    desk.run(&format!("tenant activate {id} --tenant tenant --other-tenant elsewhere/second")).exits(4).says("rule 4");
    desk.write("elsewhere/second/tenant.json", text);
    desk.run(&format!("tenant activate {id} --tenant tenant --other-tenant elsewhere/second")).exits(0);
    desk.run(&format!("tenant activate {} --tenant tenant", woodgrove().key.id())).exits(0).says("rule 33");
}

#[test]
fn a_rekey_makes_a_new_active_key_and_old_licences_open_and_move() {
    let desk = tenant();
    let [_, with_anyone] = guids(&desk);
    desk.run(&format!("tenant template publish {with_anyone} --tenant tenant")).exits(0);
    desk.run("tenant rekey --tenant tenant --bits 1024").exits(4).says("rule 33");
    desk.run("tenant rekey --tenant tenant --bits 3072").exits(4).says("rule 32");
    let done = desk.run(&format!("{TENANT} rekey --tenant tenant")).exits(0).says("rule 219").says("rule 123").json("tenant-rekey");
    let new = done["key_id"].as_str().unwrap();
    assert_eq!((&done["previous"], &done["taken_up"]), (&contoso().key.id().to_string().into(), &false.into()));
    let value = shown(&desk);
    assert_eq!(active(&value), [new]);
    assert!(all_signed_by(&value, new));
    assert_eq!(value["keys"].as_array().unwrap().len(), 4);
    assert_eq!((&value["keys"][3]["modulus_bits"], &value["keys"][3]["managed"]), (&2048.into(), &"service".into()));
    for name in ["contoso", "fabrikam", "woodgrove"] {
        desk.run(&format!("licence open {name}.pfile --tenant tenant")).exits(0);
    }
    std::fs::create_dir(desk.path("old")).unwrap();
    desk.write("old/contoso.pfile", desk.read("contoso.pfile"));
    desk.run("licence rekey old --tenant tenant -o new").exits(0);
    desk.run("licence verify new/contoso.pfile").exits(0);
    let opened = desk.run("--format json licence open new/contoso.pfile --tenant tenant").exits(0).json("licence-open");
    assert_eq!(opened["key_id"], *new);
}

#[test]
fn a_key_can_be_brought_from_another_folder() {
    let desk = tenant();
    let made = desk.run("--format json store generate --store file:ceremony --label next").exits(0).json("store-generate");
    let id = made["keys"][0]["key_id"].as_str().unwrap().to_owned();
    let done = desk.run(&format!("{TENANT} rekey --tenant tenant --key file:ceremony#{}", &id[..16])).exits(0).json("tenant-rekey");
    assert_eq!(done["key_id"], id);
    assert_eq!(shown(&desk)["keys"][3]["store"], "file:keys");
    let before = desk.snapshot();
    desk.run(&format!("tenant rekey --tenant tenant --key file:ceremony#{id}")).exits(9).says("is the active key already");
    // The journal says that it was given up; nothing else changed.
    let changed: Vec<_> = desk.snapshot().into_iter().filter(|file| !before.contains(file)).map(|(path, _)| path).collect();
    assert!(changed.iter().all(|path| path.ends_with("journal.jsonl")), "{changed:?}");
}

#[test]
fn templates_are_published_archived_and_edited_and_keep_their_guids() {
    let desk = tenant();
    let [plain, with_anyone] = guids(&desk);
    let done =
        desk.run(&format!("{TENANT} template publish {with_anyone} --tenant tenant")).exits(0).says("rule 133").json("tenant-template-publish");
    assert_eq!((&done["id"], &done["status"], &done["changed"]), (&with_anyone.as_str().into(), &"published".into(), &true.into()));
    assert!(rules(&done).contains(&133));
    desk.run(&format!("{TENANT} template publish {with_anyone} --tenant tenant")).exits(0).says("nothing changed");
    let edited = desk
        .run(&format!("{TENANT} template edit {} --tenant tenant --grant all@rms.example:VIEW,print --revoke ANYONE", with_anyone.to_uppercase()))
        .exits(0)
        .says("rule 137")
        .json("tenant-template-edit");
    assert_eq!((&edited["grants_anyone"], &edited["status"], &edited["signature_ok"]), (&false.into(), &"published".into(), &true.into()));
    assert!(!rules(&edited).contains(&133));
    let rights: Vec<String> = edited["rights"]
        .as_array()
        .unwrap()
        .iter()
        .map(|right| format!("{}:{}", right["right"].as_str().unwrap(), right["holders"][0].as_str().unwrap()))
        .collect();
    assert_eq!(rights, ["OWNER:OWNER", "VIEW:all@rms.example", "PRINT:all@rms.example"]);
    let listed = desk.run(&format!("{TENANT} template list --tenant tenant")).exits(0).json("tenant-template-list");
    assert_eq!(listed["templates"].as_array().unwrap().len(), 6);
    // A published template follows the active key.
    desk.run(&format!("tenant activate {} --tenant tenant", fabrikam().key.id())).exits(0);
    let now = desk.run(&format!("{TENANT} template show {with_anyone} --tenant tenant")).exits(0).json("tenant-template-show");
    assert_eq!((&now["signed_by"], &now["status"]), (&fabrikam().key.id().to_string().into(), &"published".into()));
    let back = desk.run(&format!("{TENANT} template archive {with_anyone} --tenant tenant")).exits(0).json("tenant-template-archive");
    assert_eq!(back["status"], "archived");
    desk.run(&format!("tenant template edit {plain} --tenant tenant --grant a@x:COMMENT")).exits(4).says("rule 138");
    desk.run(&format!("tenant template edit {plain} --tenant tenant --revoke nobody@x")).exits(1).says("nothing to revoke");
    desk.run(&format!("tenant template edit {plain} --tenant tenant")).exits(2);
    desk.run("tenant template publish 00000000-0000-0000-0000-000000000000 --tenant tenant").exits(2).says("has no template");
}

#[test]
fn no_template_is_published_without_an_active_key() {
    let desk = archived();
    let [plain, _] = guids(&desk);
    desk.run(&format!("tenant template publish {plain} --tenant tenant")).exits(2).says("no active key");
    desk.run(&format!("tenant template archive {plain} --tenant tenant")).exits(0).says("nothing changed");
}

#[test]
fn an_import_overwrites_only_when_told_and_says_what() {
    let desk = tenant();
    let [plain, _] = guids(&desk);
    let original = contoso().cluster.templates.iter().find(|text| text.contains(&plain)).unwrap();
    desk.write("template.xml", original);
    desk.run("tenant template import template.xml --tenant tenant").exits(0).says("nothing changed");
    desk.run(&format!("tenant template publish {plain} --tenant tenant")).exits(0);
    desk.run(&format!("tenant template edit {plain} --tenant tenant --grant new@rms.example:EDIT")).exits(0);
    desk.run("tenant template import template.xml --tenant tenant").exits(9).says("rule 143").says("new@rms.example");
    let done = desk
        .run(&format!("{TENANT} template import template.xml --tenant tenant --overwrite"))
        .exits(0)
        .says("was overwritten")
        .json("tenant-template-import");
    assert_eq!(done["templates"][0]["outcome"], "overwritten");
    assert_eq!(done["templates"][0]["id"], plain);
    let now = desk.run(&format!("{TENANT} template show {plain} --tenant tenant")).exits(0).json("tenant-template-show");
    assert_eq!((&now["status"], &now["rights"].as_array().unwrap().len()), (&"archived".into(), &2));
    desk.write("damaged.xml", original.replace("staff@", "stuff@"));
    desk.run("tenant template import damaged.xml --tenant tenant --overwrite").exits(1);
    desk.run("tenant template import password --tenant tenant").exits(3);
    // The same templates into a tenant that does not have the key.
    desk.run("tenant init --tenant far/away").exits(0);
    let done =
        desk.run(&format!("{TENANT} template import template.xml --tenant far/away")).exits(0).says("does not have").json("tenant-template-import");
    assert_eq!(done["templates"][0]["outcome"], "added");
}

#[test]
fn the_way_out_is_a_domain_that_migrates_again() {
    let desk = tenant();
    desk.run("tenant rekey --tenant tenant").exits(0);
    let new = active(&shown(&desk))[0].to_owned();
    let done = desk.run(&format!("{TENANT} export --tenant tenant -o out.xml --password-source file:password")).exits(0).json("tenant-export");
    assert_eq!((&done["domains"][0]["key_id"], &done["domains"][0]["holds_key"]), (&new.as_str().into(), &true.into()));
    assert_eq!(done["domains"][0]["templates"], 6);
    desk.run("tenant export --tenant tenant -o out.xml --password-source file:password").exits(9);
    let all = desk.run(&format!("{TENANT} export --tenant tenant --all -o all --password-source file:password")).exits(0).json("tenant-export");
    assert_eq!(all["domains"].as_array().unwrap().len(), 4);
    let files: Vec<&str> = all["domains"].as_array().unwrap().iter().map(|domain| domain["file"].as_str().unwrap()).collect();
    std::fs::create_dir(desk.path("elsewhere")).unwrap();
    let migrate = "migrate software-to-software --password-source file:password --tenant elsewhere/tenant --licence woodgrove.pfile";
    desk.run(&format!("{migrate} {}", files.join(" "))).exits(0);
    let domain = keykit::tpd::TrustedPublishingDomain::open(&desk.read("out.xml"), &keykit::secret::Password::new(PASSWORD.into())).unwrap();
    assert_eq!(domain.key().unwrap().id().to_string(), new);
    desk.run("tenant init --tenant far/away").exits(0);
    desk.run("tenant export --tenant far/away -o none.xml --password-source file:password").exits(2).says("no active key");
}
