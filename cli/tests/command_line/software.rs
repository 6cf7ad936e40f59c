//! Software to software, and what the tenant is afterwards.

use keykit::tpd::KeyDerivation;
use serde_json::Value;

use crate::support::{Desk, Sample, contoso, fabrikam, woodgrove};

const MIGRATE: &str = "--format json migrate software-to-software --password-source file:password --tenant tenant";

fn proofs_hold(key: &Value) {
    let proofs = key["proofs"].as_array().unwrap();
    assert!(proofs.len() >= 4, "{proofs:?}");
    assert!(proofs.iter().all(|proof| proof["ok"] == true), "{proofs:?}");
    for name in
        ["modulus-is-that-of-the-certificate", "signature-verifies", "signatures-before-and-after-are-equal", "licence-sealed-before-opens-after"]
    {
        assert!(proofs.iter().any(|proof| proof["name"] == name), "{name}");
    }
}

#[test]
fn three_domains_go_into_a_new_tenant_and_their_licences_open() {
    let desk = Desk::new();
    let ran = desk.run(&format!("{MIGRATE} contoso.xml fabrikam.xml woodgrove.xml --licence contoso.pfile --licence woodgrove.pfile")).exits(0);
    let value = ran.json("migrate");
    assert_eq!(value["path"], "software-to-software");
    let keys = value["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 3);
    for (key, sample) in keys.iter().zip([contoso(), fabrikam(), woodgrove()]) {
        assert_eq!(key["key_id"], sample.key.id().to_string());
        assert_eq!(key["status"], "archived");
        assert_eq!(key["store"], "file:keys");
        proofs_hold(key);
    }
    assert_eq!(keys[2]["mode"], 1);
    assert_eq!(keys[0]["proofs"].as_array().unwrap().iter().filter(|proof| proof["name"] == "given-licence-opens").count(), 1);
    let rules: Vec<&Value> = value["warnings"].as_array().unwrap().iter().map(|warning| &warning["rule"]).collect();
    for rule in [33, 47, 55, 133] {
        assert!(rules.iter().any(|found| **found == rule), "rule {rule} in {rules:?}");
    }
    for (name, sample) in [("contoso", contoso()), ("fabrikam", fabrikam()), ("woodgrove", woodgrove())] {
        let opened = desk.run(&format!("--format json licence open {name}.pfile --tenant tenant -o {name}.key")).exits(0).json("licence-open");
        assert_eq!(opened["opened"], true);
        assert_eq!(opened["content_key_bits"], 128);
        assert_eq!(desk.read(&format!("{name}.key")), sample.cluster.licences[0].content_key.key().expose(), "{name}");
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(desk.path(&format!("{name}.key"))).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn the_same_migration_twice_changes_nothing_and_says_so() {
    let desk = Desk::new();
    desk.run(&format!("{MIGRATE} contoso.xml")).exits(0);
    let before = desk.snapshot();
    let again = desk.run(&format!("{MIGRATE} contoso.xml")).exits(0).says("nothing changed");
    assert_eq!(again.json("migrate")["keys"][0]["changed"], false);
    proofs_hold(&again.json("migrate")["keys"][0]);
    assert_eq!(desk.snapshot(), before);
}

#[test]
fn the_era_of_2016_makes_the_first_key_active_and_activation_moves_it() {
    let desk = Desk::new();
    desk.run(&format!("{MIGRATE} --era 2016 contoso.xml fabrikam.xml")).exits(0);
    let active = |desk: &Desk| -> Vec<String> {
        let shown = desk.run("--format json tenant show --tenant tenant").exits(0).json("tenant");
        let keys = shown["keys"].as_array().unwrap().iter();
        keys.filter(|key| key["status"] == "active").map(|key| key["key_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(active(&desk), [contoso().key.id().to_string()]);
    desk.run(&format!("tenant activate {} --tenant tenant", fabrikam().key.id().short())).exits(0);
    assert_eq!(active(&desk), [fabrikam().key.id().to_string()]);
    // An archived key goes on opening, and a key that comes later does not take over.
    desk.run("licence open contoso.pfile --tenant tenant").exits(0);
    desk.run(&format!("{MIGRATE} woodgrove.xml")).exits(0);
    assert_eq!(active(&desk), [fabrikam().key.id().to_string()]);
    desk.run(&format!("tenant activate {} --tenant tenant", woodgrove().key.id().short())).exits(0).says("rule 33");
    assert_eq!(active(&desk), [woodgrove().key.id().to_string()]);
}

#[test]
fn templates_arrive_archived_with_their_guids_and_are_not_doubled() {
    let desk = Desk::new();
    desk.run(&format!("{MIGRATE} contoso.xml")).exits(0);
    let shown = desk.run("--format json tenant show --tenant tenant").exits(0).json("tenant");
    let templates = shown["templates"].as_array().unwrap();
    assert_eq!(templates.len(), 2);
    for template in templates {
        assert_eq!(template["status"], "archived");
        assert_eq!(template["signed_by"], contoso().key.id().to_string());
        let id = template["id"].as_str().unwrap();
        assert!(contoso().cluster.templates.iter().any(|text| text.contains(id)), "{id}");
    }
    assert!(templates.iter().any(|template| template["grants_anyone"] == true));
}

#[test]
fn one_password_for_each_file_in_order() {
    let desk = Desk::new();
    let sources = "--password-source file:password --password-source file:password";
    desk.run(&format!("migrate software-to-software --tenant tenant contoso.xml fabrikam.xml {sources}")).exits(0);
    desk.run(&format!("migrate software-to-software --tenant other contoso.xml fabrikam.xml woodgrove.xml {sources}"))
        .exits(2)
        .says("2 password sources for 3 files");
}

#[test]
fn a_key_may_not_go_into_a_second_tenant() {
    let desk = Desk::new();
    desk.run(&format!("{MIGRATE} contoso.xml")).exits(0);
    let before = desk.snapshot();
    desk.run("migrate software-to-software --password-source file:password --tenant second contoso.xml").exits(4).says("rule 4");
    assert_eq!(desk.snapshot(), before);
}

#[test]
fn a_tenant_elsewhere_that_has_the_key_is_named_with_other_tenant() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("elsewhere")).unwrap();
    desk.run("migrate software-to-software --password-source file:password --tenant elsewhere/first contoso.xml").exits(0);
    let before = desk.snapshot();
    desk.run(&format!("{MIGRATE} contoso.xml --other-tenant elsewhere/first")).exits(4).says("rule 4");
    assert_eq!(desk.snapshot(), before);
    // Nothing else links the two.
    desk.run(&format!("{MIGRATE} fabrikam.xml --other-tenant elsewhere/first")).exits(0);
}

#[test]
fn a_key_of_3072_bits_is_refused_on_every_path() {
    let desk = Desk::new();
    desk.write("large.xml", &Sample::make("large", 3072, KeyDerivation::Sha256).domain);
    let before = desk.snapshot();
    let target = "pkcs11:token=target?module-path=/nonexistent.so";
    for path in
        ["software-to-software".to_owned(), format!("software-to-hsm --target {target}"), format!("hsm-to-hsm --source {target} --target {target}")]
    {
        desk.run(&format!("migrate {path} --password-source file:password --tenant tenant large.xml")).exits(4).says("rule 32").says("3072 bits");
    }
    assert_eq!(desk.snapshot(), before);
}

#[test]
fn long_commands_say_what_they_are_at() {
    let desk = Desk::new();
    desk.run(&format!("{MIGRATE} contoso.xml fabrikam.xml")).exits(0).says("[1/");
    desk.run(&format!("tenant activate {} --tenant tenant", contoso().key.id())).exits(0).says("[1/2]").says("[2/2]");
    desk.run(&format!("tenant activate {} --tenant tenant", fabrikam().key.id())).exits(0);
    desk.run("tenant rollback --tenant tenant").exits(0).says("[1/2]").says("[2/2]");
    desk.run("tenant rekey --tenant tenant").exits(0).says("[1/2]").says("[2/2]");
    desk.run("tenant export --all -o out --tenant tenant --password-source file:password").exits(0).says("[1/4]").says("[4/4]");
    desk.run("tenant repassword --tenant tenant --new-password-source file:password").exits(0).says("[1/2]").says("[2/2]");
    desk.run("byok rehearse contoso.xml --profile azure-key-vault --password-source file:password").exits(0).says("[1/3]").says("[3/3]");
    // It is said before a store is opened: also where that fails.
    desk.run("tenant repassword --tenant tenant --new-password-source file:password").exits(6).says("[1/2]");
}

#[test]
fn a_licence_of_a_key_that_was_not_migrated_does_not_open() {
    let desk = Desk::new();
    desk.run(&format!("{MIGRATE} contoso.xml")).exits(0);
    desk.run("licence open fabrikam.pfile --tenant tenant").exits(1).says("rules 43 and 44");
    desk.run(&format!("{MIGRATE} contoso.xml --licence fabrikam.pfile")).exits(1);
}

#[test]
fn the_keyring_password_is_needed_and_can_be_changed() {
    let desk = Desk::new();
    desk.run(&format!("{MIGRATE} contoso.xml")).exits(0);
    desk.write("other", "another password\n");
    desk.make_private("other");
    desk.run("licence open contoso.pfile --tenant tenant --keyring-password-source file:other").exits(6);
    desk.run("--format json tenant repassword --tenant tenant --new-password-source file:other").exits(0).json("tenant-repassword");
    desk.run("licence open contoso.pfile --tenant tenant").exits(6);
    desk.run("licence open contoso.pfile --tenant tenant --keyring-password-source file:other").exits(0);
}

#[test]
fn openssl_reads_the_keys_of_the_tenant() {
    let desk = Desk::new();
    desk.run(&format!("{MIGRATE} contoso.xml woodgrove.xml")).exits(0);
    for sample in [contoso(), woodgrove()] {
        let file = desk.path(&format!("tenant/keys/{}.p8", sample.key.id()));
        let Ok(output) = std::process::Command::new("openssl")
            .args(["pkey", "-passin", "file:keyring-password", "-pubout", "-in"])
            .arg(&file)
            .current_dir(desk.path(""))
            .output()
        else {
            println!("skipped: openssl is not installed");
            return;
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), sample.key.public().to_pem().trim());
    }
}

#[test]
fn no_key_is_in_the_clear_in_any_file() {
    let desk = Desk::new();
    desk.run(&format!("{MIGRATE} contoso.xml")).exits(0);
    contoso()
        .key
        .with_components(|key| {
            for (path, bytes) in desk.snapshot() {
                for secret in [key.d, key.p, key.q] {
                    let secret: Vec<u8> = secret.iter().copied().skip_while(|&byte| byte == 0).take(32).collect();
                    assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{}", path.display());
                }
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn licences_move_to_the_active_key_and_open_there() {
    let desk = Desk::new();
    desk.run(&format!("{MIGRATE} contoso.xml fabrikam.xml woodgrove.xml")).exits(0);
    std::fs::create_dir(desk.path("old")).unwrap();
    for (name, sample) in [("contoso", contoso()), ("fabrikam", fabrikam()), ("woodgrove", woodgrove())] {
        desk.write(&format!("old/{name}.pfile"), &sample.cluster.licences[0].pfile);
        desk.write(&format!("old/{name}.xrml"), &sample.cluster.licences[1].text);
        desk.write(&format!("old/{name}.docx"), &sample.cluster.licences[0].document);
        desk.write(&format!("old/{name}.rpmsg"), &sample.cluster.licences[0].mail);
    }
    desk.write("old/letter.txt", "Dear all");
    desk.run("licence rekey old --tenant tenant -o new").exits(2).says("no active key");
    desk.run(&format!("tenant activate {} --tenant tenant", fabrikam().key.id())).exits(0);
    let before = desk.read("old/contoso.pfile");
    let value = desk.run("--format json licence rekey old --tenant tenant -o new").exits(1).says("letter.txt").json("licence-rekey");
    assert_eq!((&value["done"], &value["unchanged"], &value["failed"]), (&8.into(), &4.into(), &1.into()));
    // The originals are untouched; the results open with the new key alone, and give the same content keys.
    assert_eq!(desk.read("old/contoso.pfile"), before);
    for (name, sample) in [("contoso", contoso()), ("fabrikam", fabrikam()), ("woodgrove", woodgrove())] {
        desk.run(&format!("licence verify new/{name}.pfile new/{name}.xrml new/{name}.docx new/{name}.rpmsg")).exits(0);
        for kind in ["pfile", "docx", "rpmsg"] {
            let opened =
                desk.run(&format!("--format json licence open new/{name}.{kind} --tenant tenant -o {name}.{kind}.key")).exits(0).json("licence-open");
            assert_eq!(opened["key_id"], fabrikam().key.id().to_string(), "{name}.{kind}");
            assert_eq!(desk.read(&format!("{name}.{kind}.key")), sample.cluster.licences[0].content_key.key().expose(), "{name}.{kind}");
        }
    }
    // Again: nothing is done twice.
    let again = desk.run("--format json licence rekey old --tenant tenant -o new").exits(1).json("licence-rekey");
    assert_eq!((&again["done"], &again["skipped"]), (&0.into(), &12.into()));
    desk.run("licence rekey old --tenant tenant -o old/inside").exits(4);
}
