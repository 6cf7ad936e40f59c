//! Wycheproof and the store contract, on kryoptic. Keys go in wrapped, as in a migration.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use keykit::store::KeyStore;
use keykit_hsm_backends::pkcs11::Pkcs11Store;
use keykit_tests::conformance::report::table;
use keykit_tests::conformance::{Options, Report, Wrapped, run_all, run_token_key_wrap};
use keykit_tests::kryoptic::{PIN, on_kryoptic};
use keykit_tests::tokens::open_labelled;

const LABEL: &str = "conformance";

fn open(module: &Path) -> Pkcs11Store {
    open_labelled(module, LABEL, PIN).unwrap()
}

fn assert_success(reports: &[Report]) {
    println!("{}", table(reports));
    assert!(reports.iter().all(Report::is_success), "{}", table(reports));
}

/// Suites with how many cases ran, and how many of these deviated, so that a set that is lost is noticed.
fn counts(reports: &[Report]) -> Vec<(&str, usize, usize)> {
    reports.iter().map(|report| (report.suite.as_str(), report.ran(), report.deviated_count())).collect()
}

#[test]
fn keys() {
    on_kryoptic("keys", &[LABEL], |module| {
        let options = Options { max_modulus_bits: 2048, ..Options::default() };
        let reports = run_all(&open(module), &Wrapped::default(), &options);
        let expected =
            [("RSASSA-PKCS1-v1_5 sign", 104, 0), ("RSAES-OAEP decrypt", 494, 0), ("RSAES-PKCS1-v1_5 decrypt", 67, 0), ("store contract", 16, 0)];
        assert_success(&reports);
        assert_eq!(counts(&reports), expected);
    });
}

#[test]
fn key_wrap() {
    on_kryoptic("key_wrap", &[LABEL], |module| {
        let store = open(module);
        let reports = run_token_key_wrap(&store);
        assert_success(&reports);
        // Zero bytes that unwrap to an empty secret: nine cases for each size of key.
        assert_eq!(counts(&reports), [("AES-KW through CKM_AES_KEY_WRAP", 165, 27), ("AES-KWP through CKM_AES_KEY_WRAP_KWP", 254, 0)]);
        assert!(store.keys().unwrap().is_empty());
    });
}
