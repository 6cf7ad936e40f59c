//! Rules about the tenant, its vault, the toolset and the new key.

use super::*;

const ACTIVATED: Change<'_> = ("activated = false\nsubscribed", "activated = true\ncontent-protected = false\nsubscribed");

#[test]
fn rule_5() {
    warned(5, SINGLE, &[ACTIVATED]);
}

#[test]
fn rule_12() {
    refused(12, SINGLE, &[("\"AIPService\"", "\"AADRM\"")]);
    refused(12, LICENSING, &[("\"AADRM\"", "\"AIPService\"")]);
    refused(12, LICENSING, &[("2.4.0.0", "2.0.9.9")]);
    let vault = ("[[forest]]", "[tenant.vault]\nname = \"v\"\ntier = \"premium\"\npermissions = [\"get\", \"decrypt\", \"sign\"]\n\n[[forest]]");
    refused(12, LICENSING, &[vault]);
    still_kept(12, LICENSING, &[vault, ("2.4.0.0", "2.5.0.0")]);
    asked(12, LICENSING, &[("module-version = \"2.4.0.0\"\n", "")]);
    still_kept(12, LICENSING, &[("2.4.0.0", "2.10")]);
    asked(
        12,
        SINGLE,
        &[(
            "[workstation]\nmodule = \"AIPService\"\nmodule-version = \"1.0.0.3\"\npowershell-version = \"5.1\"\ndot-net-version = \"4.7.2\"\naccount = \"global-administrator\"\n",
            "",
        )],
    );
}

#[test]
fn rule_13() {
    refused(13, SINGLE, &[("\"5.1\"", "\"2.0\"")]);
    refused(13, LICENSING, &[("\"4.0\"", "\"1.0\"")]);
    still_kept(13, LICENSING, &[("\"4.0\"", "\"2.0\"")]);
    refused(13, LICENSING, &[("\"4.5\"", "\"4.0\"")]);
}

#[test]
fn rule_14() {
    for role in ["connector-administrator", "microsoft-account", "other-tenant"] {
        refused(14, SINGLE, &[("global-administrator", role)]);
    }
    refused(14, LICENSING, &[("global-administrator", "compliance-administrator")]);
    still_kept(14, SINGLE, &[("global-administrator", "service-administrator")]);
    let account = "account = \"global-administrator\"";
    refused(14, SINGLE, &[(account, "multi-factor = true\nuses-credential = true")]);
    still_kept(14, SINGLE, &[(account, "multi-factor = false\nuses-credential = true")]);
}

#[test]
fn rule_15() {
    refused(15, SINGLE, &[("inspects-tls = false", "inspects-tls = true")]);
    refused(15, TWO, &[("port-443 = true", "port-443 = false")]);
    refused(15, TWO, &[("proxy = \"integrated\"", "proxy = \"password\"")]);
    asked(15, LICENSING, &[("[network]\ninspects-tls = false\nport-443 = true\n", "")]);
}

#[test]
fn rule_20() {
    refused(20, SINGLE, &[("automatic-activation-off = true\n", "")]);
    refused(20, SINGLE, &[("automatic-activation-off = true", "automatic-activation-off = false"), ("2019-05-01", "2018-02-28")]);
    refused(20, TWO, &[("automatic-activation-off = true\n", "")]);
    let no_exchange = ("exchange-online = true", "exchange-online = false");
    still_kept(20, SINGLE, &[("automatic-activation-off = true\n", ""), ("2019-05-01", "2018-02-27"), no_exchange]);
    refused(20, SINGLE, &[("automatic-activation-off = true\n", ""), ("2019-05-01", "2018-02-28"), no_exchange]);
    asked(20, SINGLE, &[("subscribed = \"2019-05-01\"\nautomatic-activation-off = true\n", ""), no_exchange]);
    still_kept(20, SINGLE, &[("automatic-activation-off = true\n", ""), ACTIVATED]);
    kept(20, LICENSING);
}

#[test]
fn rule_21() {
    refused(21, TWO, &[("managed = \"customer\"", "managed = \"customer\"\nindividuals-subscription = true")]);
    refused(21, TWO, &[("tier = \"premium\"", "tier = \"standard\"")]);
    refused(21, TWO, &[("paid-subscription = true", "paid-subscription = false")]);
    still_kept(21, SINGLE, &[("managed = \"service\"", "managed = \"service\"\nindividuals-subscription = true")]);
}

#[test]
fn rule_36() {
    refused(36, TWO, &[("key-encryption-key-region = \"eu\"", "key-encryption-key-region = \"na\"")]);
    refused(36, TWO, &[("tier = \"premium\"\nregion = \"eu\"", "tier = \"premium\"\nregion = \"ap\"")]);
}

#[test]
fn rule_37() {
    warned(37, LICENSING, &[("activated = false", "activated = true\ncontent-protected = false")]);
    still_kept(37, LICENSING, &[("activated = false", "activated = true\ncontent-protected = false"), ("\"office-2010\", ", "")]);
    still_kept(37, SINGLE, &[ACTIVATED, ("\"office-2013\"", "\"office-2010\"")]);
}

#[test]
fn rule_69() {
    refused(69, TWO, &[("key-url = \"https://northwind-byok.vault.azure.net/keys/tailspin/ddddeeeeffff444455556666\"\n", "")]);
    kept(69, SINGLE);
}

#[test]
fn rule_71() {
    refused_by(&[71, 90], LICENSING, &[("11.72", "11.61")]);
    still_kept(71, LICENSING, &[("11.72", "11.62")]);
    let toolset = ("", "[toolset]\nsoftware-version = \"11.55\"");
    refused(71, TWO, &[toolset]);
    let in_module = ("protection = \"database\"", "protection = \"nshield\"\nevidence = [\"e\"]");
    still_kept(71, TWO, &[toolset, in_module]);
}

#[test]
fn rule_72() {
    refused_by(&[72, 77], LICENSING, &[("woodgrove-rms-1", "Woodgrove")]);
    refused_by(&[72, 77], LICENSING, &[("woodgrove-rms-1", "wöodgrove")]);
    refused_by(&[72, 77], LICENSING, &[("woodgrove-rms-1", "wood grove")]);
    still_kept(72, TWO, &[("northwind-rms", "Northwind")]);
}

#[test]
fn rule_76() {
    refused(76, LICENSING, &[("protect = \"module\"", "protect = \"token\"")]);
    refused(76, LICENSING, &[("protect = \"module\"", "protect = \"softcard\"")]);
}

#[test]
fn rule_77() {
    refused(77, TWO, &[("northwind-rms", "Northwind-RMS")]);
    refused(77, TWO, &[("northwind-rms", "northwind_rms")]);
    refused(77, TWO, &[("northwind-rms", &"n".repeat(81))]);
    still_kept(77, TWO, &[("northwind-rms", &"n".repeat(80))]);
    still_kept(77, TWO, &[("northwind-rms", "0-9")]);
}

#[test]
fn rule_83() {
    warned(83, SINGLE, &[("activated = false\nsubscribed", "activated = true\ncontent-protected = true\nsubscribed")]);
    asked(83, SINGLE, &[("activated = false\nsubscribed", "activated = true\nsubscribed")]);
    still_kept(83, SINGLE, &[ACTIVATED]);
}

#[test]
fn rule_84() {
    let templates = ("managed = \"service\"", "managed = \"service\"\ncustom-templates = 7");
    refused(84, SINGLE, &[ACTIVATED, templates]);
    refused(84, SINGLE, &[ACTIVATED, templates, ("custom-templates = 7", "custom-templates = 7\ncustom-templates-exported = false")]);
    still_kept(84, SINGLE, &[ACTIVATED, templates, ("custom-templates = 7", "custom-templates = 7\ncustom-templates-exported = true")]);
    still_kept(84, SINGLE, &[templates]);
    still_kept(84, SINGLE, &[ACTIVATED, ("managed = \"service\"", "managed = \"service\"\ncustom-templates = 0")]);
}

#[test]
fn rule_90() {
    refused(90, LICENSING, &[("[toolset]\noperating-system = \"windows-7\"", "[toolset]\noperating-system = \"windows-vista-or-older\"")]);
    refused(90, LICENSING, &[("drive-mib = 1024", "drive-mib = 15")]);
    still_kept(90, LICENSING, &[("drive-mib = 1024", "drive-mib = 16")]);
    refused(
        90,
        TWO,
        &[("protection = \"database\"", "protection = \"nshield\"\nevidence = [\"e\"]"), ("", "[toolset]\nsoftware-version = \"11.49\"")],
    );
    still_kept(90, TWO, &[("", "[toolset]\nsoftware-version = \"11.50\"")]);
    warned(90, LICENSING, &[("networked = false", "networked = true")]);
}

#[test]
fn rule_95() {
    refused(95, LICENSING, &[("cards-needed = 2", "cards-needed = 4")]);
    refused(95, LICENSING, &[("cards-needed = 2", "cards-needed = 0")]);
    still_kept(95, LICENSING, &[("cards-needed = 2", "cards-needed = 3")]);
}

#[test]
fn rule_96() {
    warned(96, TWO, &[("", "[toolset]\nsoftware-version = \"12.50.4\"")]);
    still_kept(96, TWO, &[("", "[toolset]\nsoftware-version = \"12.60\"")]);
    still_kept(96, TWO, &[("", "[toolset]\nsoftware-version = \"12.40.2\"\nfirmware-version = \"12.40.2\"")]);
    warned(96, TWO, &[("", "[toolset]\nfirmware-version = \"12.40.1\"")]);
    still_kept(96, LICENSING, &[("networked = false", "firmware-version = \"2.50\"")]);
}

#[test]
fn rule_97() {
    warned(97, LICENSING, &[("card-holders = 3", "card-holders = 2")]);
    still_kept(97, LICENSING, &[("card-holders = 3", "card-holders = 4")]);
}

#[test]
fn rule_98() {
    refused(98, LICENSING, &[("package-verified = true", "package-verified = false")]);
}

#[test]
fn rule_103() {
    refused(103, LICENSING, &[("NA-1", "EU-1")]);
    refused(103, TWO, &[("", "[toolset]\npackage-region = \"JPN-1\"")]);
    still_kept(103, TWO, &[("", "[toolset]\npackage-region = \"UK-1\"")]);
}

#[test]
fn the_packages_of_every_region_are_known_or_left_alone() {
    use super::super::vault::region_of_package;
    use crate::migration::file::{PackageRegion, Region};
    let unknown: Vec<&str> = PackageRegion::ALL.iter().map(|region| region.word()).filter(|word| region_of_package(word).is_none()).collect();
    assert_eq!(unknown, ["SA-1", "UAE-1"]);
    for (word, region) in [
        ("NA-1", Region::NorthAmerica),
        ("EU-1", Region::Europe),
        ("AP-1", Region::AsiaPacific),
        ("LATAM-1", Region::SouthAmerica),
        ("USGOV-1", Region::GovernmentUs),
    ] {
        assert_eq!(region_of_package(word), Some(region));
    }
}

#[test]
fn rule_106() {
    refused(106, TWO, &[("[\"import\"]", "[\"import\", \"encrypt\"]")]);
    refused(106, TWO, &[("key-encryption-key-bits = 4096", "key-encryption-key-bits = 1024")]);
    still_kept(106, TWO, &[("key-encryption-key-bits = 4096", "key-encryption-key-bits = 2048")]);
    still_kept(106, TWO, &[("key-encryption-key-bits = 4096", "key-encryption-key-bits = 3072")]);
}

#[test]
fn rule_107() {
    refused(107, TWO, &[("/aaaabbbbcccc111122223333", "")]);
    refused(107, TWO, &[("/aaaabbbbcccc111122223333", "/")]);
}

#[test]
fn rule_108() {
    refused(108, TWO, &[("[\"get\", \"decrypt\", \"sign\"]", "[\"get\", \"decrypt\"]")]);
    refused(108, TWO, &[("[\"get\", \"decrypt\", \"sign\"]", "[\"sign\"]")]);
    let findings = of(&changed(TWO, &[("[\"get\", \"decrypt\", \"sign\"]", "[\"sign\"]")]));
    assert!(findings.iter().any(|finding| finding.message.ends_with("lacks the permission to get, decrypt")), "{findings:#?}");
    asked(108, TWO, &[("permissions = [\"get\", \"decrypt\", \"sign\"]\n", "")]);
}

#[test]
fn rule_109() {
    refused(109, TWO, &[("\"sign\", \"verify\"]", "\"sign\"]")]);
    still_kept(109, TWO, &[("key-operations = [\"encrypt\", \"decrypt\", \"wrapkey\", \"unwrapkey\", \"sign\", \"verify\"]\n", "")]);
}

#[test]
fn rule_110() {
    refused(110, TWO, &[("blocks-trusted-services = false", "blocks-trusted-services = true")]);
}

#[test]
fn rule_111() {
    warned(111, TWO, &[("dedicated = true", "dedicated = false")]);
}

#[test]
fn rule_123() {
    refused(123, SINGLE, &[("key = \"automatic\"", "key = \"new\"")]);
    kept(123, TWO);
    kept(123, LICENSING);
    still_kept(123, SINGLE, &[("key = \"automatic\"", "key = \"new\""), ("era = \"current\"", "era = \"2016\"")]);
}

#[test]
fn rule_160() {
    refused(160, SINGLE, &[(".rms.eu.aadrm.com", ".rms.na.aadrm.com")]);
    refused(160, SINGLE, &[("5c6bb73b-1038-4eec-863d-49bded473437", "contoso")]);
    refused(160, SINGLE, &[(".rms.eu.aadrm.com", ".rms.eu.example.com")]);
    still_kept(160, SINGLE, &[(".rms.eu.aadrm.com", ".RMS.eu.aadrm.com/_wmcs/licensing")]);
    let sovereign = |region: &str, host: &str| {
        let region = format!("region = \"{region}\"");
        still_kept(160, SINGLE, &[("region = \"eu\"", &region), (".rms.eu.aadrm.com", &format!(".rms.{host}"))]);
    };
    sovereign("cn", "aadrm.cn");
    sovereign("us", "aadrm.us");
}

#[test]
fn rule_213() {
    refused(213, SINGLE, &[("before-rekey = true", "before-rekey = false")]);
    still_kept(213, SINGLE, &[("before-rekey = true", "before-rekey = false"), ("after-migration = true", "after-migration = false")]);
}

#[test]
fn rule_215() {
    refused(215, LICENSING, &[("after-migration = true", "after-migration = false")]);
    refused(215, LICENSING, &[("[rekey]\nafter-migration = true\nkey = \"new\"\nbits = 2048\n", "")]);
    warned(215, SINGLE, &[("[rekey]\nafter-migration = true\nkey = \"automatic\"\n", "")]);
    still_kept(215, SINGLE, &[("after-migration = true", "after-migration = false")]);
}

#[test]
fn rule_216() {
    refused(216, TWO, &[("key = \"new\"", "key = \"automatic\"")]);
    kept(216, SINGLE);
}

#[test]
fn rule_219() {
    warned(
        219,
        SINGLE,
        &[("\"office-2013\"", "\"office-2010\""), ("redirection = ", "sign-in-client = true\ntemplate-task-disabled = true\nredirection = ")],
    );
    still_kept(219, SINGLE, &[("\"office-2013\"", "\"office-2010\""), ("after-migration = true", "after-migration = false")]);
}

#[test]
fn rule_222() {
    refused(222, LICENSING, &[("backed-up = true", "backed-up = false")]);
    let findings = of(&changed(LICENSING, &[("backed-up = true", "backed-up = false")]));
    assert!(rules_of(&findings, Severity::Warning).contains(&97), "the world file and the cards are not backed up either");
    still_kept(222, LICENSING, &[("backed-up = true\n", "")]);
}
