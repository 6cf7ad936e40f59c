//! `keykit artefacts`: the files for others, written once and never over what is there.

use crate::support::Desk;

const ORGANISATION: &str = include_str!("../../../tests/organisations/single-forest.toml");

#[test]
fn files_are_written_once_kept_when_they_are_the_same_and_refused_when_not() {
    let desk = Desk::new();
    desk.write("migration.toml", ORGANISATION);
    let made = desk.run("--format json artefacts migration.toml -o out").exits(0).says(" files in out, ").json("artefacts");
    let files = made["files"].as_array().unwrap();
    assert_eq!(files[0]["path"], "README.md");
    for (path, undoes) in
        [("tenant/import.md", false), ("dns/redirection.zone", false), ("exchange/redirect-v15.reg", false), ("exchange/unredirect-v15.reg", true)]
    {
        let file = files.iter().find(|file| file["path"] == path).unwrap_or_else(|| panic!("{path}"));
        assert_eq!(file["undoes"], undoes, "{path}");
    }
    assert!(files.iter().all(|file| file["sha256"].as_str().unwrap().len() == 64 && file["rules"].is_array()));
    let before = desk.read("out/clients/migrate-machine.reg");
    assert!(before.starts_with(&[0xff, 0xfe]));
    let index = String::from_utf8(desk.read("out/README.md")).unwrap();
    assert!(files[1..].iter().all(|file| index.contains(file["path"].as_str().unwrap())));

    desk.run("artefacts migration.toml -o out").exits(0).says("0 of them new");
    // Another version changes the scripts only; nothing is written, not even what is missing.
    std::fs::remove_file(desk.path("out/clients/clean-user.reg")).unwrap();
    desk.run("artefacts migration.toml -o out --script-version 20261123").exits(9).says("Prepare-Client.ps1").says("nothing was written");
    assert!(!desk.path("out/clients/clean-user.reg").exists());
    assert_eq!(desk.read("out/clients/migrate-machine.reg"), before);
}

#[test]
fn a_file_without_the_tenants_url_is_refused() {
    let desk = Desk::new();
    desk.write("migration.toml", ORGANISATION.replace("url = \"https://5c6bb73b-1038-4eec-863d-49bded473437.rms.eu.aadrm.com\"\n", ""));
    desk.run("artefacts migration.toml -o out").exits(4).says("rule 160");
    assert!(!desk.path("out").exists());
}
