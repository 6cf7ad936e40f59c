//! Wycheproof and the store contract, on SoftHSM. Keys go in wrapped, as in a migration.

use std::path::Path;

use keykit_hsm_backends::pkcs11::Pkcs11Store;
use keykit_tests::conformance::report::table;
use keykit_tests::conformance::{Options, Report, Wrapped, run_all, run_token_key_wrap};
use keykit_tests::softhsm::{PIN, on_softhsm};
use keykit_tests::tokens::open_labelled;

const LABEL: &str = "conformance";

fn open(module: &Path) -> Pkcs11Store {
    open_labelled(module, LABEL, PIN).unwrap()
}

fn assert_success(reports: &[Report]) {
    println!("{}", table(reports));
    assert!(reports.iter().all(Report::is_success), "{}", table(reports));
}

#[test]
fn keys() {
    on_softhsm("keys", &[LABEL], |module| {
        let options = Options { max_modulus_bits: 2048, ..Options::default() };
        let reports = run_all(&open(module), &Wrapped::default(), &options);
        assert_success(&reports);
    });
}

#[test]
fn key_wrap() {
    on_softhsm("key_wrap", &[LABEL], |module| {
        let reports = run_token_key_wrap(&open(module));
        assert_success(&reports);
    });
}
