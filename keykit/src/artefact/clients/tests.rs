use proptest::prelude::*;

use super::*;
use crate::migration::file::ServerUrl;

const ORGANISATION: &str = include_str!("../../../../tests/organisations/single-forest.toml");

fn of(text: &str) -> Vec<Artefact> {
    artefacts(&MigrationFile::parse(text).unwrap(), 20_261_123).unwrap()
}

fn named<'a>(files: &'a [Artefact], name: &str) -> &'a [u8] {
    &files.iter().find(|file| file.name == format!("clients/{name}")).unwrap().bytes
}

fn script_text(files: &[Artefact], name: &str) -> String {
    String::from_utf8(named(files, name).to_vec()).unwrap()
}

/// The words between single quotes in a line of a script: an independent reading of PowerShell's rule.
fn literals(line: &str) -> Vec<String> {
    let is_quote = |character: char| character == '\'' || ('\u{2018}'..='\u{201b}').contains(&character);
    let mut found = Vec::new();
    let mut rest = line.chars().peekable();
    while let Some(character) = rest.next() {
        if !is_quote(character) {
            continue;
        }
        let mut word = String::new();
        while let Some(character) = rest.next() {
            if !is_quote(character) {
                word.push(character);
            } else if let Some(second) = rest.next_if(|&next| is_quote(next)) {
                word.push(second);
            } else {
                break;
            }
        }
        found.push(word);
    }
    found
}

#[test]
fn both_redirections_lead_from_ad_rms_to_the_tenant_with_and_without_the_port() {
    let files = of(ORGANISATION);
    let machine = RegistryFile::parse(named(&files, "migrate-machine.reg")).unwrap();
    let tenant = Data::Text("https://5c6bb73b-1038-4eec-863d-49bded473437.rms.eu.aadrm.com/_wmcs/licensing".into());
    for width in WIDTHS {
        let path = format!(r"HKEY_LOCAL_MACHINE\Software{width}\Microsoft\MSIPC\ServiceLocation\LicensingRedirection");
        let key = machine.keys.iter().find(|key| key.path() == path).unwrap();
        let names: Vec<_> = key.values().iter().filter_map(Value::name).collect();
        let hosts = ["rms.contoso.local", "rms.contoso.local:443", "rms.contoso.com", "rms.contoso.com:443"];
        assert_eq!(names, hosts.map(|host| format!("https://{host}/_wmcs/licensing")));
        assert!(key.values().iter().all(|value| value.data() == &tenant));
    }
    let user = RegistryFile::parse(named(&files, "migrate-user.reg")).unwrap();
    for office in ["15.0", "16.0"] {
        assert!(user.keys.iter().any(|key| key.path().ends_with(&format!(r"Office\{office}\Common\DRM"))), "{office}");
    }
    // No Office 2010 in this organisation: nothing for the MSDRM client.
    assert!(!machine.keys.iter().chain(&user.keys).any(|key| key.path().contains("MSDRM") || key.path().contains("14.0")));
    let older = of(&ORGANISATION.replace("\"office-2013\"", "\"office-2010\""));
    let machine = RegistryFile::parse(named(&older, "migrate-machine.reg")).unwrap();
    assert!(machine.keys.iter().any(|key| key.path().ends_with(r"MSDRM\ServiceLocation\Activation")));
    assert!(machine.keys.iter().any(|key| key.path().ends_with(r"WOW6432Node\Microsoft\Office\14.0\Common\DRM\LicenseServerRedirection")));
}

#[test]
fn preparing_leads_the_other_way_and_migrating_clears_it_first() {
    let files = of(ORGANISATION);
    let prepared = RegistryFile::parse(named(&files, "prepare-machine.reg")).unwrap();
    let redirection = prepared.keys.iter().find(|key| key.path().ends_with("LicensingRedirection")).unwrap();
    assert!(redirection.values()[0].name().unwrap().contains("aadrm.com"));
    assert_eq!(redirection.values()[0].data(), &Data::Text("https://rms.contoso.com/_wmcs/licensing".into()));
    let clean = RegistryFile::parse(named(&files, "clean-machine.reg")).unwrap();
    for key in &prepared.keys {
        assert!(clean.keys.iter().any(|cleared| cleared.is_deleted() && key.path().starts_with(cleared.path())), "{}", key.path());
    }
    let script = script_text(&files, "Migrate-Client.ps1");
    assert!(script.rfind("Remove-Key 'LocalMachine'").unwrap() < script.find("Set-Text 'LocalMachine'").unwrap());
}

#[test]
fn a_roll_back_deletes_the_values_that_were_set_and_no_key() {
    let files = of(ORGANISATION);
    for (set, undone) in
        [("migrate-machine.reg", "rollback-machine.reg"), ("migrate-user.reg", "rollback-user.reg"), ("prepare-machine.reg", "unprepare-machine.reg")]
    {
        let (set, undone) = (RegistryFile::parse(named(&files, set)).unwrap(), RegistryFile::parse(named(&files, undone)).unwrap());
        assert_eq!(set.keys.len(), undone.keys.len());
        for (set, undone) in set.keys.iter().zip(&undone.keys) {
            assert!(!undone.is_deleted() && set.path() == undone.path());
            assert!(set.values().iter().map(Value::name).eq(undone.values().iter().map(Value::name)));
            assert!(undone.values().iter().all(|value| value.data() == &Data::Deleted));
        }
    }
}

#[test]
fn scripts_have_the_version_gate_and_what_if() {
    let files = of(ORGANISATION);
    for file in files.iter().filter(|file| file.name.ends_with(".ps1")) {
        let text = script_text(&files, file.name.strip_prefix("clients/").unwrap());
        assert!(
            text.starts_with("\u{feff}#Requires") && text.contains("SupportsShouldProcess") && text.contains("$Version = 20261123"),
            "{}",
            file.name
        );
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    }
    let (machine, user) = (script_text(&files, "Migrate-Client.ps1"), script_text(&files, "Migrate-User.ps1"));
    assert!(machine.trim_end().ends_with("Set-Number 'LocalMachine' $Record 'ClientVersion' $Version"));
    let gate = user.find("'ClientVersion') -ne $Version) { throw").unwrap();
    assert!(gate < user.find("Get-ChildItem").unwrap() && !user.contains("RunAsAdministrator"));
}

#[test]
fn urls_that_would_break_the_scripts_are_refused() {
    for (old, new, rule) in [
        ("\"https://rms.contoso.com/_wmcs/licensing\"", "\" https://rms.contoso.com/_wmcs/licensing\"", 154),
        ("\"https://rms.contoso.com/_wmcs/licensing\"", "\"https://rms.contoso.com/other\"", 166),
        ("url = \"https://5c6bb73b-1038-4eec-863d-49bded473437.rms.eu.aadrm.com\"\n", "", 160),
    ] {
        let file = MigrationFile::parse(&ORGANISATION.replace(old, new)).unwrap();
        assert!(artefacts(&file, 1).unwrap_err().to_string().contains(&format!("rule {rule}")), "{new}");
    }
}

proptest! {
    #[test]
    fn hostile_hosts_come_back_from_the_registry_file_and_the_script(host in "[a-z0-9.\"'%&$`;äé’\\\\]{1,20}", port in "(:443)?") {
        let mut file = MigrationFile::parse(ORGANISATION).unwrap();
        let url = format!("https://{host}{port}");
        let hostile = ORGANISATION.replace("\"https://rms.contoso.com/_wmcs/licensing\"", &toml::Value::from(url.clone()).to_string());
        let Ok(parsed) = MigrationFile::parse(&hostile) else { return Ok(()) };
        file.forest = parsed.forest;
        let expected = format!("https://{}/_wmcs/licensing", file.forest[0].cluster[0].extranet_url.as_ref().map(|url| ServerUrl::authority(&url.value)).unwrap());
        let files = artefacts(&file, 1).unwrap();
        let machine = RegistryFile::parse(named(&files, "migrate-machine.reg")).unwrap();
        let read: Vec<_> = machine.keys.iter().flat_map(Key::values).filter_map(Value::name).collect();
        prop_assert!(read.contains(&expected.as_str()), "{read:?}");
        let script = script_text(&files, "Migrate-Client.ps1");
        prop_assert!(script.lines().filter(|line| line.starts_with("Set-Text")).any(|line| literals(line).get(2) == Some(&expected)));
        prop_assert!(script.lines().filter(|line| line.starts_with("Set-Text")).all(|line| literals(line).len() == 4));
    }
}
