//! `keykit plan`: the migration file, and what the rules find.

use crate::support::{Desk, PASSWORD, contoso};

/// The organisation with one forest, with the sample domains in place of its own.
fn organisation() -> String {
    include_str!("../../../tests/organisations/single-forest.toml")
        .replace("file = \"headquarters.xml\"", "file = \"contoso.xml\"")
        .replace("file = \"headquarters-mode-1.xml\"", "file = \"woodgrove.xml\"")
        .replace("file:headquarters-password", "file:password")
        .replace("file:headquarters-mode-1-password", "file:password-2")
        .replace("friendly-name = \"headquarters\"", "friendly-name = \"contoso\"")
}

fn desk(file: &str) -> Desk {
    let desk = Desk::new();
    desk.write("migration.toml", file);
    desk.write("password-2", PASSWORD);
    for name in ["password-2", "contoso.xml", "woodgrove.xml"] {
        desk.make_private(name);
    }
    desk
}

#[test]
fn the_example_is_printed_and_accepted() {
    let desk = Desk::new();
    let example = desk.run("plan --init").exits(0).stdout();
    assert!(example.starts_with("# A migration of keys"));
    desk.write("migration.toml", &example);
    let checked = desk.run("--format json plan migration.toml --check-only --file-only").exits(0).json("findings");
    assert_eq!((&checked["opened"], &checked["refusals"]), (&false.into(), &0.into()));
    desk.run("plan").exits(2);
    desk.run("plan migration.toml --init").exits(2);
}

#[test]
fn findings_stand_by_step_and_a_refusal_is_exit_code_4() {
    let desk = desk(
        &organisation().replace("windows-server-2012-r2\"\ncrypto", "windows-server-2019\"\ncrypto").replace("windows-10", "windows-vista-or-older"),
    );
    let ran = desk.run("plan migration.toml --check-only").exits(4).says("rule 1, 17").says("were not opened");
    let text = ran.stdout();
    assert!(
        text.starts_with(
            "migration.toml: 2 refused, 0 to know, 0 not stated (the file alone was looked at)\n\nbefore the first step\n  REFUSED, rule 1: "
        ),
        "{text}"
    );
    assert!(
        text.contains("step 7 (5 in 2016): reconfigure clients\n  REFUSED, rule 17: windows-vista-or-older is no supported client (line "),
        "{text}"
    );
    let checked = desk.run("--format json plan migration.toml --check-only").exits(4).json("findings");
    assert_eq!(checked["refusals"], 2);
    assert_eq!(checked["steps"][0]["step"], "before");
    assert_eq!(checked["steps"][0]["findings"][0]["rule"], 1);
    assert_eq!(checked["steps"][0]["findings"][0]["severity"], "refusal");
    let line = organisation().lines().position(|line| line.starts_with("operating-system")).unwrap() + 1;
    assert_eq!(checked["steps"][0]["findings"][0]["place"]["at"]["line"], line);
}

#[test]
fn domains_are_opened_and_what_is_in_them_is_told() {
    let desk = desk(&organisation());
    let before = desk.snapshot();
    let checked = desk.run("--format json plan migration.toml --check-only").exits(0).json("findings");
    assert_eq!((&checked["opened"], &checked["refusals"]), (&true.into(), &0.into()));
    let all: Vec<&serde_json::Value> = checked["steps"].as_array().unwrap().iter().flat_map(|step| step["findings"].as_array().unwrap()).collect();
    let rules: std::collections::BTreeSet<u64> = all.iter().map(|finding| finding["rule"].as_u64().unwrap()).collect();
    assert_eq!(rules, [33, 47, 133].into(), "a key of mode 1, an old export, and a template for everybody");
    assert!(all.iter().any(|finding| finding["place"]["template"] == "Everybody may read"));
    assert_eq!(desk.snapshot(), before, "nothing was changed");
    // In a plan each of them stands once, with what to do about it.
    let made = desk.run("--format json plan migration.toml -o plan.json").exits(0).json("plan-made");
    let planned = made["findings"].as_array().unwrap();
    for finding in all {
        let message = format!("{}; {}", finding["message"].as_str().unwrap(), finding["instead"].as_str().unwrap());
        let about: Vec<&str> = planned
            .iter()
            .filter(|planned| planned["rule"] == finding["rule"])
            .filter_map(|planned| planned["message"].as_str())
            .filter(|planned| planned.starts_with(finding["message"].as_str().unwrap()))
            .collect();
        assert_eq!(about, [message]);
    }
}

#[test]
fn a_key_of_another_tenant_is_refused_by_rule_4_before_anything_moves() {
    let desk = desk(&organisation());
    desk.run("migrate software-to-software contoso.xml --tenant other --password-source file:password").exits(0);
    let checked = desk.run("--format json plan migration.toml --check-only").exits(4).json("findings");
    let finding = checked["steps"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|step| step["findings"].as_array().unwrap())
        .find(|finding| finding["rule"] == 4)
        .unwrap();
    assert_eq!(finding["place"]["key"], contoso().key.id().to_string());
}

#[test]
fn every_problem_of_the_file_is_told_with_line_and_column() {
    let broken =
        organisation().replace("region = \"eu\"", "region = \"mars\"\npassword = \"hunter2\"").replace("activated = false\nsubscribed", "subscribed");
    let desk = desk(&broken);
    let ran = desk.run("plan migration.toml --check-only").exits(3).says("3 problems").says("`activated` is missing here");
    let line = broken.lines().position(|line| line.contains("mars")).unwrap() + 1;
    assert!(ran.stderr().contains(&format!("line {line}, column 10: `region` is \"mars\"")), "{}", ran.stderr());
    assert!(ran.stderr().contains(&format!("line {}, column 1: unknown key `password`", line + 1)), "{}", ran.stderr());
    assert!(!ran.stderr().contains("hunter2"));
    assert_eq!(desk.run("--format json plan migration.toml --check-only").exits(3).json("error")["code"], "malformed");
    desk.write("migration.toml", b"schema = \"keykit/migration-file/1\"\nera = \"\xff\"\n");
    desk.run("plan migration.toml --check-only").exits(3).says("not UTF-8");
    desk.run("plan nothing.toml --check-only").exits(2);
}

#[test]
fn a_file_in_another_folder_counts_its_paths_from_there() {
    let desk = desk(&organisation());
    std::fs::create_dir(desk.path("elsewhere")).unwrap();
    for name in ["migration.toml", "contoso.xml", "woodgrove.xml", "password", "password-2"] {
        std::fs::rename(desk.path(name), desk.path(&format!("elsewhere/{name}"))).unwrap();
    }
    desk.run("plan elsewhere/migration.toml --check-only").exits(0);
    desk.write("elsewhere/password-2", "another");
    desk.run("plan elsewhere/migration.toml --check-only").exits(6).says("woodgrove.xml");
    std::fs::remove_file(desk.path("elsewhere/contoso.xml")).unwrap();
    desk.run("plan elsewhere/migration.toml --check-only").exits(2).says("contoso.xml");
}
