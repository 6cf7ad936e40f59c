//! Rules about the source and about what is exported.

use super::*;

const WITHOUT_FIRST_DOMAIN: Change<'_> =
    ("[[forest.cluster.domain]]\nfile = \"headquarters.xml\"\npassword-source = \"file:headquarters-password\"\nactive = true\n", "");

#[test]
fn rule_1() {
    refused(1, SINGLE, &[("windows-server-2012-r2", "windows-server-2008-r2")]);
    refused(1, SINGLE, &[("windows-server-2012-r2", "windows-server-2003")]);
    refused(1, TWO, &[("operating-system = \"windows-server-2016\"\ncrypto", "operating-system = \"windows-server-2022\"\ncrypto")]);
    refused(1, LICENSING, &[("\"windows-server-2012\"", "\"windows-server-2016\"")]);
    still_kept(1, LICENSING, &[("\"windows-server-2008\"", "\"windows-server-2008-x86\"")]);
}

#[test]
fn rule_3() {
    refused(
        3,
        LICENSING,
        &[(
            "name = \"licensing-asia\"\nkind = \"licensing-only\"\n",
            "name = \"licensing-asia\"\nkind = \"root\"\ncryptographic-mode = 1\nprotection = \"database\"\nexportable = true\nintranet-url = \"http://a.woodgrove.local\"\nextranet-url = \"http://a.woodgrove.com\"\ndomains-in-console = 1\ndomain = [{ file = \"asia.xml\", active = false }]\n",
        )],
    );
    refused_by(
        &[3],
        TWO,
        &[(
            "",
            "[[forest]]\nname = \"empty.local\"\n[[forest.cluster]]\nname = \"alone\"\nkind = \"licensing-only\"\noperating-system = \"windows-server-2016\"",
        )],
    );
}

#[test]
fn rule_22() {
    refused(22, LICENSING, &[("cryptographic-mode = 1", "cryptographic-mode = 1\nupgrade-before-migration = true")]);
    still_kept(22, SINGLE, &[("cryptographic-mode = 2", "cryptographic-mode = 2\nupgrade-before-migration = true")]);
}

#[test]
fn rule_30() {
    refused(30, SINGLE, &[("protection = \"database\"", "protection = \"nshield\"")]);
    refused(30, SINGLE, &[("protection = \"database\"", "protection = \"other-hsm\"\nmoved-to-nshield = true")]);
    still_kept(30, SINGLE, &[("protection = \"database\"", "protection = \"database\"\nmoved-to-nshield = false")]);
}

#[test]
fn rule_31() {
    refused(31, TWO, &[("exportable = true", "exportable = false")]);
    let without_domain = (
        "domains-in-console = 1\n\n[[forest.cluster.domain]]\nfile = \"northwind.xml\"\npassword-source = \"file:northwind-password\"\nactive = true\nkey-url = \"https://northwind-byok.vault.azure.net/keys/northwind/aaaabbbbcccc111122223333\"\nidentifier = \"northwind-rms\"\n",
        "",
    );
    let active = ("file = \"tailspin.xml\"", "file = \"tailspin.xml\"\nactive = true");
    refused(31, TWO, &[("exportable = true", "exportable = false"), without_domain, active]);
    let mode = ("", "[read-only-mode]\ntested = true");
    still_kept(31, TWO, &[("exportable = true", "exportable = false"), without_domain, active, mode]);
    refused(31, TWO, &[("exportable = true", "exportable = false"), mode]);
}

#[test]
fn rule_38() {
    refused(38, SINGLE, &[("domains-in-console = 2", "domains-in-console = 2\nhold-your-own-key = true")]);
    still_kept(38, SINGLE, &[("domains-in-console = 2", "domains-in-console = 2\nhold-your-own-key = false")]);
}

#[test]
fn rule_41() {
    refused(41, LICENSING, &[("protection = \"database\"", "protection = \"other-hsm\"")]);
    refused(41, TWO, &[("protection = \"database\"", "protection = \"external-provider\"\nmoved-to-nshield = false")]);
    let moved = ("protection = \"database\"", "protection = \"external-provider\"\nmoved-to-nshield = true\nsource = \"pkcs11:token=accelerator\"");
    still_kept(41, TWO, &[moved]);
}

#[test]
fn the_path_table_has_five_rows_and_nothing_else() {
    use crate::migration::MigrationPath::{HsmToHsm, SoftwareToHsm, SoftwareToSoftware};
    let rows = [
        ("database", false, Some(SoftwareToSoftware), Some(SoftwareToHsm)),
        ("nshield", false, None, Some(HsmToHsm)),
        ("other-hsm", false, None, None),
        ("other-hsm", true, None, Some(HsmToHsm)),
        ("external-provider", false, None, None),
        ("external-provider", true, None, Some(HsmToHsm)),
    ];
    for (protection, moved, service, customer) in rows {
        let text = changed(SINGLE, &[("protection = \"database\"", &format!("protection = \"{protection}\"\nmoved-to-nshield = {moved}"))]);
        let file = read(&text);
        let cluster = &file.forest[0].cluster[0];
        assert_eq!(cluster.path(crate::tenant::Managed::Service), service, "{protection} {moved}");
        assert_eq!(cluster.path(crate::tenant::Managed::Customer), customer, "{protection} {moved}");
    }
}

#[test]
fn rule_43() {
    refused(43, SINGLE, &[("domains-in-console = 2", "domains-in-console = 3")]);
    refused(43, SINGLE, &[("domains-in-console = 2", "domains-in-console = 1")]);
    refused(
        43,
        LICENSING,
        &[(
            "operating-system = \"windows-server-2012\"",
            "operating-system = \"windows-server-2012\"\ndomain = [{ file = \"asia.xml\", active = false }]",
        )],
    );
    let nothing = (
        "domains-in-console = 1\n\n[[forest.cluster.domain]]\nfile = \"root-mode-1.xml\"\npassword-source = \"file:root-password\"\nactive = true\nidentifier = \"woodgrove-rms-1\"\n",
        "",
    );
    refused(43, LICENSING, &[nothing]);
    asked(43, SINGLE, &[("domains-in-console = 2\n", "")]);
}

#[test]
fn rule_44() {
    warned(44, TWO, &[("cryptographic-mode = 2", "cryptographic-mode = 2\nupgraded-from-mode-1 = true")]);
    still_kept(44, TWO, &[("cryptographic-mode = 2", "cryptographic-mode = 2\nupgraded-from-mode-1 = false")]);
}

#[test]
fn rule_45() {
    refused(45, SINGLE, &[("headquarters.xml", "headquarters")]);
    refused(45, SINGLE, &[("headquarters.xml", "headquarters.xml.bak")]);
    still_kept(45, SINGLE, &[("headquarters.xml", "HEADQUARTERS.XML")]);
}

#[test]
fn rule_46() {
    refused(46, SINGLE, &[("file:headquarters-mode-1-password", "file:headquarters-password")]);
    let prompt = [("file:headquarters-mode-1-password", "prompt"), ("file:headquarters-password", "prompt")];
    still_kept(46, SINGLE, &prompt);
}

#[test]
fn rule_51() {
    refused_by(&[51, 56], LICENSING, &[("active = true\n", "")]);
    kept(51, SINGLE);
}

#[test]
fn rule_56() {
    refused(56, SINGLE, &[("active = true\n", "")]);
    refused(56, SINGLE, &[("file:headquarters-mode-1-password\"", "file:headquarters-mode-1-password\"\nactive = true")]);
    refused(56, TWO, &[("file:tailspin-password\"", "file:tailspin-password\"\nactive = true")]);
    refused_by(&[43, 56], SINGLE, &[WITHOUT_FIRST_DOMAIN]);
    still_kept(56, SINGLE, &[("file:headquarters-mode-1-password\"", "file:headquarters-mode-1-password\"\nactive = false")]);
}

#[test]
fn rule_58() {
    warned(58, SINGLE, &[("friendly-name = \"headquarters\"\n", "")]);
    still_kept(58, TWO, &[("friendly-name = \"northwind\"\n", "")]);
    // A cluster of which nothing is exported is looked up by nobody.
    let nothing = [
        ("[[forest.cluster.domain]]\nfile = \"headquarters.xml\"\npassword-source = \"file:headquarters-password\"\nactive = true\n", ""),
        ("[[forest.cluster.domain]]\nfile = \"headquarters-mode-1.xml\"\npassword-source = \"file:headquarters-mode-1-password\"\n", ""),
        ("friendly-name = \"headquarters\"\n", ""),
    ];
    still_kept(58, SINGLE, &nothing);
}
