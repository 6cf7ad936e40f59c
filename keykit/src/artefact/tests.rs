//! All artefacts together: golden files, and what is generated read back by grammars that others wrote.

pub(super) mod grammar;
mod quoting;

use std::collections::BTreeSet;
use std::path::Path;

use super::registry::RegistryFile;
use super::*;

pub(super) const EVERYTHING: &str = include_str!("tests/organisation.toml");
const SINGLE: &str = include_str!("../../../tests/organisations/single-forest.toml");
const TWO: &str = include_str!("../../../tests/organisations/two-forests.toml");
const LICENSING: &str = include_str!("../../../tests/organisations/licensing-only-clusters.toml");

/// An organisation of 2016, with the names that its files need.
fn of_2016() -> String {
    let text = LICENSING.replacen("managed = ", "url = \"https://5c6bb73b-1038-4eec-863d-49bded473437.rms.na.aadrm.com\"\nmanaged = ", 1);
    text.replacen("[connector]\n", "[connector]\nurl = \"http://connector.woodgrove.com\"\n", 1)
}

fn organisations() -> [(&'static str, String); 5] {
    let single_of_2016 = SINGLE.replace("era = \"current\"", "era = \"2016\"");
    [
        ("single-forest-of-2016", single_of_2016),
        ("everything", EVERYTHING.to_owned()),
        ("single-forest", SINGLE.to_owned()),
        ("two-forests", TWO.to_owned()),
        ("of-2016", of_2016()),
    ]
}

pub(super) fn of(text: &str) -> Vec<Artefact> {
    artefacts(&MigrationFile::parse(text).unwrap(), 20_261_123).unwrap()
}

pub(super) fn named<'a>(files: &'a [Artefact], name: &str) -> &'a Artefact {
    files
        .iter()
        .find(|file| file.name == name)
        .unwrap_or_else(|| panic!("no {name} in {:?}", files.iter().map(|file| &file.name).collect::<Vec<_>>()))
}

/// As text with LF: registry files are UTF-16, scripts have CR LF.
pub(super) fn text_of(file: &Artefact) -> String {
    let text = if file.name.ends_with(".reg") {
        String::from_utf16(&file.bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect::<Vec<_>>()).unwrap()
    } else {
        String::from_utf8(file.bytes.clone()).unwrap()
    };
    text.trim_start_matches('\u{feff}').replace("\r\n", "\n")
}

/// Golden files are text with LF. With KEYKIT_WRITE_GOLDEN set they are written instead: look at the difference.
#[test]
fn all_files_are_as_they_were_approved() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/artefact/golden");
    let mut wrong = Vec::new();
    for (organisation, text) in organisations() {
        let folder = golden.join(organisation);
        let files = of(&text);
        if std::env::var_os("KEYKIT_WRITE_GOLDEN").is_some() {
            drop(std::fs::remove_dir_all(&folder));
            for file in &files {
                let path = folder.join(&file.name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text_of(file)).unwrap();
            }
        }
        let there = paths_below(&folder);
        let made: BTreeSet<String> = files.iter().map(|file| file.name.clone()).collect();
        wrong.extend(there.symmetric_difference(&made).map(|name| format!("{organisation}/{name}")));
        wrong.extend(
            files
                .iter()
                .filter(|file| std::fs::read_to_string(folder.join(&file.name)).unwrap_or_default() != text_of(file))
                .map(|file| format!("{organisation}/{}", file.name)),
        );
    }
    assert!(wrong.is_empty(), "out of date, missing or too many: {wrong:#?}");
}

fn paths_below(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(paths_below(&path).into_iter().map(|below| format!("{name}/{below}")));
        } else {
            found.insert(name);
        }
    }
    found
}

#[test]
fn every_script_and_command_line_is_power_shell() {
    let (mut scripts, mut lines) = (0, 0);
    for (organisation, text) in organisations() {
        for file in of(&text) {
            let text = String::from_utf8(file.bytes.clone());
            if file.name.ends_with(".ps1") {
                let text = text.unwrap();
                assert!(text.starts_with("\u{feff}#Requires") && text.contains("SupportsShouldProcess"), "{}", file.name);
                assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{}", file.name);
                grammar::literals(&text).unwrap_or_else(|problem| panic!("{organisation}/{}: {problem}", file.name));
                scripts += 1;
            } else if file.name.ends_with(".md") {
                for (language, block) in grammar::markdown(&text.unwrap()).blocks {
                    assert_eq!(language, "powershell", "{organisation}/{}", file.name);
                    for line in block.lines() {
                        grammar::literals(line).unwrap_or_else(|problem| panic!("{organisation}/{}: {problem}", file.name));
                        lines += 1;
                    }
                }
            }
        }
    }
    assert!(scripts > 50 && lines > 300, "{scripts} scripts, {lines} lines");
}

#[test]
fn registry_files_are_read_back_and_say_where_they_lead() {
    for (_, text) in organisations() {
        for file in of(&text).iter().filter(|file| file.name.ends_with(".reg")) {
            let read = RegistryFile::parse(&file.bytes).unwrap();
            assert_eq!(read.to_bytes(), file.bytes, "{}", file.name);
            assert!(!read.comments().is_empty() || file.name.contains("/clean-"), "{}", file.name);
        }
    }
}

#[test]
fn whatever_is_done_has_its_way_back() {
    // These read, or clear what is only remembered, or come back with the step before.
    let without = ["README.md", "tenant/connect.md", "tenant/save-templates.md", "tenant/logs.md", "clients/clear-mac-caches.sh"];
    for (organisation, text) in organisations() {
        let files = of(&text);
        for stage in files.iter().map(|file| file.stage).collect::<BTreeSet<_>>() {
            let area = |file: &Artefact| file.name.split('/').next().unwrap().to_owned();
            let areas = |undoes: bool| {
                files
                    .iter()
                    .filter(|file| file.stage == stage && file.undoes == undoes && !without.contains(&file.name.as_str()))
                    .map(area)
                    .collect::<BTreeSet<_>>()
            };
            let missing: Vec<_> = areas(false).difference(&areas(true)).cloned().collect();
            // Nothing takes back a new key of 2016: the run book says so.
            let known = organisation.ends_with("of-2016") && stage == Stage::Rekey;
            assert!(missing.is_empty() || known, "{organisation}, {stage}: {missing:?}");
        }
    }
}

#[test]
fn the_read_me_lists_every_file_in_the_order_of_use_with_its_rules() {
    for (_, text) in organisations() {
        let files = of(&text);
        assert_eq!(files[0].name, "README.md");
        let index = text_of(&files[0]);
        let mut last = 0;
        for file in &files[1..] {
            let at = index.find(&format!("| `{}` |", file.name)).unwrap_or_else(|| panic!("{}", file.name));
            assert!(at > last, "{}", file.name);
            last = at;
            assert!(!file.rules.is_empty() || file.name.ends_with("disconnect.md"), "{}", file.name);
        }
        assert!(files[1..].windows(2).all(|pair| (pair[0].stage, pair[0].undoes) <= (pair[1].stage, pair[1].undoes)));
        let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names.len(), files.len());
    }
}

#[test]
fn only_what_is_in_use_is_written() {
    let areas = |text: &str| of(text).iter().filter_map(|file| file.name.split_once('/').map(|(area, _)| area.to_owned())).collect::<BTreeSet<_>>();
    let all = ["ad-rms", "clients", "connector", "dns", "exchange", "exchange-online", "file-classification", "key-vault", "sharepoint", "tenant"];
    assert_eq!(areas(EVERYTHING), all.map(str::to_owned).into());
    let small = "schema = \"keykit/migration-file/1\"\n[organisation]\nname = \"A\"\n[tenant]\nname = \"a.onmicrosoft.com\"\nid = \"586b5746-aa26-4310-81b1-ea20d40cfc89\"\n\
                 region = \"eu\"\nactivated = false\nurl = \"https://a.rms.eu.aadrm.com\"\nmanaged = \"service\"\nfolder = \"t\"\n[[forest]]\nname = \"f\"\n[[forest.cluster]]\n\
                 name = \"c\"\nkind = \"licensing-only\"\noperating-system = \"windows-server-2016\"\nextranet-url = \"https://rms.a.com\"\n";
    assert_eq!(areas(small), ["tenant".to_owned()].into());
    for (more, area) in [
        ("[clients]\n", "clients"),
        ("[services]\nexchange-online = true\n", "exchange-online"),
        ("[services]\nexchange-online = true\n", "dns"),
        ("[decommission]\n", "ad-rms"),
        ("[read-only-mode]\n", "ad-rms"),
        (
            "[services]\nsharepoint-server = [\"2016\"]\n[connector]\nurl = \"https://c.a.com\"\ncomputers = 2\noperating-system = \"windows-server-2016\"\n",
            "sharepoint",
        ),
    ] {
        assert!(areas(&format!("{small}{more}")).contains(area), "{more}");
    }
    // All users at once: nothing is prepared (rule 155). The DNS alone: nothing is set on computers (rule 162).
    let clients = |more: &str| of(&format!("{small}[clients]\n{more}")).iter().map(|file| file.name.clone()).collect::<Vec<_>>();
    assert!(!clients("").iter().any(|name| name.contains("prepare")) && clients("").contains(&"clients/migrate-machine.reg".to_owned()));
    assert!(
        !clients("redirection = \"dns\"").iter().any(|name| name.contains("migrate-"))
            && clients("redirection = \"dns\"").contains(&"dns/Add-Redirection.ps1".to_owned())
    );
}

#[test]
fn servers_without_the_connectors_url_are_refused() {
    let file = MigrationFile::parse(&EVERYTHING.replace("url = \"https://connector.contoso.com\"\n", "")).unwrap();
    assert!(artefacts(&file, 1).unwrap_err().to_string().contains("rule 202"));
}

#[test]
fn the_prepared_value_goes_before_exchange_gets_the_connector_and_comes_back() {
    let files = of(EVERYTHING);
    let tenant = "https://5c6bb73b-1038-4eec-863d-49bded473437.rms.aadrm.us/_wmcs/licensing";
    for generation in ["v14", "v15"] {
        let read = |name: &str| RegistryFile::parse(&named(&files, &format!("exchange/{name}-{generation}.reg")).bytes).unwrap();
        let (prepare, redirect, unredirect) = (read("prepare"), read("redirect"), read("unredirect"));
        let key = format!(r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\ExchangeServer\{generation}\IRM\LicenseServerRedirection");
        for file in [&prepare, &redirect, &unredirect] {
            assert!(file.keys.len() == 1 && file.keys[0].path() == key);
        }
        let value = &prepare.keys[0].values()[0];
        assert_eq!((value.name(), value.data()), (Some(tenant), &registry::Data::Text("https://rms.contoso.com:443/_wmcs/licensing".into())));
        // First it is deleted, then every old URL leads to the connector.
        let values = redirect.keys[0].values();
        assert_eq!((values[0].name(), values[0].data()), (Some(tenant), &registry::Data::Deleted));
        let connector = registry::Data::Text("https://connector.contoso.com/_wmcs/licensing".into());
        assert!(values[1..].iter().all(|value| value.data() == &connector));
        let old: Vec<_> = values[1..].iter().filter_map(registry::Value::name).collect();
        for url in
            ["http://rms.contoso.local", "https://rms.contoso.com:443", "https://rms.contoso.com", "http://rms", "https://rms.emea.contoso.com:443"]
        {
            assert!(old.contains(&format!("{url}/_wmcs/licensing").as_str()), "{url} in {old:?}");
        }
        assert!(
            redirect.comments().iter().any(|comment| comment.starts_with("Trap:"))
                && prepare.comments().iter().any(|comment| comment.starts_with("Trap:"))
        );
        // The way back ends in the prepared state.
        let back = unredirect.keys[0].values();
        assert_eq!(back.last(), Some(value));
        assert!(back[..back.len() - 1].iter().all(|value| value.data() == &registry::Data::Deleted) && back.len() == values.len());
    }
    // In 2016 nothing was prepared, and nothing is put back.
    let files = of(&of_2016());
    assert!(!files.iter().any(|file| file.name.starts_with("exchange/prepare")));
    let back = RegistryFile::parse(&named(&files, "exchange/unredirect-v14.reg").bytes).unwrap();
    assert!(back.keys[0].values().iter().all(|value| value.data() == &registry::Data::Deleted));
}

#[test]
fn exchange_is_configured_in_the_documented_order() {
    let book = text_of(named(&of(SINGLE), "exchange/connect.md"));
    let places = [
        "S-1-5-18",
        "LicensingLocation $list",
        "InternalLicensingEnabled $false",
        "ClientAccessServerEnabled $false",
        "RefreshServerCertificates",
        "\niisreset",
        "GenConnectorConfig.ps1 -ConnectorUri 'https://connector.contoso.com' -SetExchange2013",
        "redirect-v15.reg",
        "InternalLicensingEnabled $true",
        "ClientAccessServerEnabled $true",
        "Restart the servers",
    ];
    let at: Vec<usize> = places.iter().map(|place| book.find(place).unwrap_or_else(|| panic!("{place}"))).collect();
    assert!(at.is_sorted(), "{at:?}");
}

#[test]
fn names_are_those_of_the_era_and_misprints_are_not_repeated() {
    let all = |text: &str| of(text).iter().map(text_of).collect::<String>();
    let (now, then) = (all(EVERYTHING), all(&of_2016()));
    for misprint in
        ["KeyVaultStringUrl", "AipServiceService", "license.asmx", "Get-AzKeyVaultKey -VaultName 'contoso-byok-kv' -KeyName", "/_wmcs\\licensing"]
    {
        assert!(!now.contains(misprint) && !then.contains(misprint), "{misprint}");
    }
    assert!(now.contains("-KeyVaultKeyUrl 'https://contoso-byok-kv.vault.azure.net/keys/contoso-rms/aaaabbbbcccc111122223333'"));
    assert!(now.contains("-EnvironmentName AzureUSGovernment") && now.contains("Set-AzKeyVaultAccessPolicy") && now.contains("decrypt,sign,get"));
    assert!(!now.contains("-Aadrm") && !now.contains("Msol") && !now.contains("AzureRm") && !now.contains("-HsmKeyFile"));
    assert!(!then.contains("AipService") && !then.contains("-FriendlyName") && !then.contains("MgGroup"));
    assert!(then.contains("Import-AadrmTpd -TpdFile '.\\root-mode-1_keyless.xml' -ProtectionPassword $password -HsmKeyFile '.\\KeyTransferPackage-woodgrove-rms-1.byok' -Active $True"));
    for cmdlet in ["Connect-AadrmService", "Disconnect-AadrmService", "Enable-Aadrm\n", "Get-Aadrm\n", "Get-AadrmConfiguration", "Add-AadrmKey"] {
        assert!(then.contains(cmdlet), "{cmdlet}");
    }
}

#[test]
fn a_managed_module_gets_a_role_for_each_key() {
    let files = of(&EVERYTHING.replace("\"azure-key-vault\"", "\"azure-managed-hsm\""));
    let (forth, back) = (text_of(named(&files, "key-vault/access-policy.md")), text_of(named(&files, "key-vault/rollback-access-policy.md")));
    let rest =
        "--hsm-name contoso-byok-kv --role 'Managed HSM Crypto User' --assignee '00000012-0000-0000-c000-000000000000' --scope '/keys/contoso-rms'";
    assert!(forth.contains(&format!("az keyvault role assignment create {rest}")), "{forth}");
    assert!(back.contains(&format!("az keyvault role assignment delete {rest}")), "{back}");
}

/// Its key is not in the tenant: sent there, its old content would open nowhere (rule 31).
#[test]
fn nothing_of_a_cluster_that_stays_leads_to_the_tenant() {
    let files = of(EVERYTHING);
    let naming: BTreeSet<&str> = files.iter().filter(|file| text_of(file).contains("rms.vault.contoso.com")).map(|file| file.name.as_str()).collect();
    // What is left: records of the mobile extension that go, and the check of what clients know.
    let known = ["ad-rms/decommission.md", "dns/Remove-MobileExtension.ps1", "dns/Restore-MobileExtension.ps1", "dns/mobile-extension.zone"];
    assert_eq!(naming, known.into());
    let moved = of(&EVERYTHING.replace("exportable = false\n", ""));
    assert!(text_of(named(&moved, "clients/migrate-machine.reg")).contains("rms.vault.contoso.com"));
}

#[test]
fn batch_files_hold_no_name_of_the_organisation() {
    let batch = |text: &str| of(text).iter().filter(|file| file.name.ends_with(".cmd")).map(text_of).collect::<Vec<_>>();
    assert_eq!((batch(EVERYTHING), batch(EVERYTHING).len()), (batch(SINGLE), 3));
    let user = &batch(SINGLE)[2];
    let gate = user.find("if not %Client% EQU %Version%").unwrap();
    assert!(gate < user.find("rd /s /q").unwrap() && user.find("rd /s /q").unwrap() < user.find("migrate-user.reg").unwrap());
    assert!(user.contains("set /a Version=20261123\n") && user.trim_end().ends_with("exit /b 0"));
}

#[test]
fn the_shell_script_for_macs_is_read_by_a_shell() {
    let script = text_of(named(&of(EVERYTHING), "clients/clear-mac-caches.sh"));
    let check =
        |script: &str| std::process::Command::new("sh").args(["-n", "-c", script]).stderr(std::process::Stdio::null()).status().unwrap().success();
    assert!(check(&script) && !check("if true; then"));
}
