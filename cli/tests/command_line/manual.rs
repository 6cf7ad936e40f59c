//! Completions, manual pages, help.

use crate::support::Desk;

#[test]
fn completions_and_manual_pages_are_made() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(desk.run(&format!("completions {shell}")).exits(0).stdout().contains("software-to-hsm"), "{shell}");
    }
    assert!(desk.run("man").exits(0).stdout().contains(".TH"));
    desk.run("man -o pages").exits(0);
    for page in ["keykit.1", "keykit-migrate-hsm-to-hsm.1", "keykit-tpd-split.1"] {
        assert!(desk.path("pages").join(page).exists(), "{page}");
    }
}

#[test]
fn secrets_are_no_arguments() {
    let desk = Desk::new();
    let help = desk.run("migrate software-to-hsm --help").exits(0).stdout();
    assert!(!help.contains("--password ") && !help.contains("--pin "), "{help}");
    desk.run("store keys --store pkcs11:token=x?module-path=/x.so&pin-value=1234").exits(3).says("pin-source");
}
