//! Published vectors, the store contract, attributes and errors, on kryoptic. Keys go in wrapped, as in a migration.

use keykit::secret::Password;
use keykit::store::KeyStore;
use keykit_conformance::document::Document;
use keykit_conformance::report::table;
use keykit_conformance::{Options, Report, Subject, Suite, Wrapped, render, run};
use keykit_hsm_backends::pkcs11::{ObjectLifetime, Pkcs11Options, Pkcs11Store, Pkcs11Uri};
use keykit_tests::documentation;
use keykit_tests::kryoptic::{PIN, on_kryoptic};
use keykit_tests::tokens::open_labelled;

const LABEL: &str = "conformance";

fn assert_success(reports: &[Report]) {
    println!("{}", table(reports));
    assert!(reports.iter().all(Report::is_success), "{}", table(reports));
}

/// Everything, with session objects only: the counts are those of docs/conformance.md, and the token is as it was.
#[test]
fn every_suite_with_session_objects() {
    on_kryoptic("every_suite_with_session_objects", &[LABEL], |module| {
        let uri = Pkcs11Uri { token: Some(LABEL.into()), module_path: Some(module.into()), ..Pkcs11Uri::default() };
        let options = Pkcs11Options { objects: ObjectLifetime::Session, ..Pkcs11Options::default() };
        let store = Pkcs11Store::open(&uri, Some(Password::new(PIN.into())), options).unwrap();
        let subject = Subject { store: &store, loader: &Wrapped::default(), token: Some(&store) };
        let options = Options { max_modulus_bits: 4096, ..Options::default() };
        let reports = run(&subject, &Suite::ALL, &options, &mut |_| {});
        assert_success(&reports);
        assert!(reports.iter().all(|report| report.skipped.keys().all(|reason| !reason.trim().is_empty())));
        let document = Document::new(store.identity(), "session-objects", options.max_modulus_bits, &reports, Vec::new());
        documentation::check_section("docs/conformance.md", "kryoptic", &render::markdown(&document));
        assert!(open_labelled(module, LABEL, PIN).unwrap().keys().unwrap().is_empty(), "nothing is left in the token");
    });
}

/// The same with keys that live in the token, as a migration leaves them.
#[test]
fn keys_with_token_objects() {
    on_kryoptic("keys_with_token_objects", &[LABEL], |module| {
        let store = open_labelled(module, LABEL, PIN).unwrap();
        let subject = Subject { store: &store, loader: &Wrapped::default(), token: Some(&store) };
        let options = Options { max_modulus_bits: 2048, ..Options::default() };
        let reports = run(&subject, &[Suite::Sign, Suite::Contract, Suite::Attributes], &options, &mut |_| {});
        assert_success(&reports);
        let ran: Vec<usize> = reports.iter().map(Report::ran).collect();
        assert_eq!(ran, [104, 16, 72]);
        assert!(store.keys().unwrap().is_empty());
    });
}
