//! Golden files, misprints, and refusals.

use std::path::Path;

use proptest::prelude::*;

use super::*;

fn from_module() -> LegacyToolset {
    LegacyToolset {
        source: KeySource::Module { application: KeyApplication::Mscapi, domain: r"E:\Contoso TPD.xml".parse().unwrap() },
        identifier: "container-2c0afb5fd62d214dad1028bc6dfae81317d1b201".parse().unwrap(),
        friendly_name: "ContosoFirstHSMkey".parse().unwrap(),
        region: "EU".parse().unwrap(),
        subscription: "12345678-9abc-def0-1234-56789abcdef0".parse().unwrap(),
        vault: "contoso-byok-kv".parse().unwrap(),
        resource_group: "contoso-byok-rg".parse().unwrap(),
        new_security_world: false,
        organisation: "Contoso".into(),
    }
}

fn from_domain() -> LegacyToolset {
    LegacyToolset {
        source: KeySource::in_domain(r"E:\O'Brien & Söhne 100%.xml".parse().unwrap(), None, None).unwrap(),
        identifier: "contosobyok".parse().unwrap(),
        region: "GERMANY".parse().unwrap(),
        resource_group: "contoso (byok)_rg".replace(' ', "").parse().unwrap(),
        new_security_world: true,
        ..from_module()
    }
}

/// Compares with a file beside this one. With KEYKIT_WRITE_GOLDEN set it writes the file instead: look at the difference.
fn golden(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/artefact/golden").join(name);
    if std::env::var_os("KEYKIT_WRITE_GOLDEN").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap_or_default(), text, "{} is out of date", file.display());
}

#[test]
fn run_books_are_as_they_were_approved() {
    golden("legacy-toolset-module.md", &from_module().run_book().unwrap().to_markdown());
    golden("legacy-toolset-domain.md", &from_domain().run_book().unwrap().to_markdown());
}

#[test]
fn the_documentations_misprints_are_not_repeated() {
    for order in [from_module(), from_domain()] {
        let text = order.run_book().unwrap().to_markdown();
        for misprint in [
            "KeyVaultStringUrl",
            "xferacId",
            "-pka-",
            "nkminfo",
            "AipServiceService",
            "byok-ky",
            "/w: ",
            "-pkg-NA- ",
            " TransferPackage-",
            "Import -Tpd",
            "ImportRmsCentrallyManagedKey",
            "Add-AadrmKey",
            "TenantBposId",
        ] {
            assert!(!text.contains(misprint), "{misprint}");
        }
        assert!(text.contains("-KeyVaultKeyUrl $key.Id") && text.contains("key_xferacld_"));
        // Nothing is left for the reader to fill in.
        assert!(!text.contains("<Region>") && !text.contains("...") && !text.contains('…'));
    }
}

#[test]
fn both_transfers_need_success_and_the_packages_are_of_one_region() {
    for order in [from_module(), from_domain()] {
        let book = order.run_book().unwrap();
        let transfers: Vec<_> =
            book.steps.iter().filter(|step| step.commands.iter().any(|line| line.as_str().contains("KeyTransferRemote"))).collect();
        assert_eq!(transfers.len(), 2);
        assert!(transfers.iter().all(|step| step.expected[0] == "`Result: SUCCESS`"));
        let text = book.to_markdown();
        for other in Region::all().filter(|region| *region != order.region) {
            assert!(!text.contains(&other.exchange_key_package()) && !text.contains(&other.security_world_package()));
        }
        assert!(book.steps.iter().all(|step| !step.expected.is_empty()));
    }
}

#[test]
fn the_key_in_the_clear_is_erased_right_after_its_import() {
    let book = from_domain().run_book().unwrap();
    let position = |text: &str| book.steps.iter().position(|step| step.title.contains(text)).unwrap();
    assert_eq!(position("Erase the key"), position("Import the key") + 1);
    assert!(from_module().run_book().unwrap().steps.iter().all(|step| !step.title.contains("Erase")));
}

#[test]
fn one_file_for_two_purposes_is_refused() {
    let path = |text: &str| text.parse::<WindowsPath>().unwrap();
    let same = KeySource::in_domain(path("ContosoTPD.xml"), Some(path(".\\contosotpd.XML")), None).unwrap_err();
    assert!(same.to_string().contains("rule 75"), "{same}");
    assert!(KeySource::in_domain(path("a.xml"), Some(path("b.xml")), Some(path("B.XML"))).is_err());
    assert!(KeySource::in_domain(path("a.xml"), None, Some(path("a.xml"))).is_err());
    let world = LegacyToolset { new_security_world: true, ..from_module() };
    assert_eq!(world.run_book().unwrap_err().code(), "refused");
}

proptest! {
    #[test]
    fn any_file_name_makes_a_run_book_or_is_refused(name in "[ -~äé’]{1,20}") {
        let Ok(domain) = name.parse::<WindowsPath>() else { return Ok(()) };
        let Ok(source) = KeySource::in_domain(domain, None, None) else { return Ok(()) };
        let book = LegacyToolset { source, ..from_domain() }.run_book().unwrap();
        // A name that opened a quote or a block and did not close it would swallow the steps after it.
        for step in &book.steps {
            for line in &step.commands {
                prop_assert!(!line.as_str().contains('\n'));
            }
        }
        prop_assert_eq!(book.to_markdown().matches("\n## ").count(), book.steps.len());
    }
}
