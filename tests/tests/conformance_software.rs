//! Wycheproof and the store contract, on the stores of our own.

use keykit::Result;
use keykit::key::{Digest, EncryptionScheme, KeyId};
use keykit::secret::{Password, SecretBytes};
use keykit::store::{DecryptionFailed, Destroy, ImportPlaintext, KeyRecord, KeyStore, StoreIdentity};
use keykit_conformance::document::Document;
use keykit_conformance::report::table;
use keykit_conformance::{InTheClear, Loader, Options, Report, Subject, Suite, Wrapped, render, run};
use keykit_hsm_backends::folder::{FolderStore, ScryptCost};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_tests::documentation;

/// The suites that are about the store.
fn run_all(store: &dyn KeyStore, loader: &dyn Loader, options: &Options) -> Vec<Report> {
    let suites = [Suite::Sign, Suite::Oaep, Suite::Pkcs1Decrypt, Suite::Contract, Suite::Attributes];
    run(&Subject { store, loader, token: None }, &suites, options, &mut |_| {})
}

fn assert_success(reports: &[Report]) {
    println!("{}", table(reports));
    assert!(reports.iter().all(Report::is_success), "{}", table(reports));
}

/// Every published case, on the store in memory: the counts are those of docs/conformance.md, and no skip lacks its reason.
#[test]
fn memory() {
    let (store, options) = (MemoryStore::new(), Options::default());
    let subject = Subject { store: &store, loader: &InTheClear, token: None };
    let reports = run(&subject, &Suite::ALL, &options, &mut |_| {});
    assert_success(&reports);
    let document = Document::new(store.identity(), "memory", options.max_modulus_bits, &reports, Vec::new());
    assert!(document.passed && reports.iter().all(|report| report.skipped.keys().all(|reason| !reason.trim().is_empty())));
    // The published sets, case by case: what was not run was left out for a reason.
    let published: usize = reports.iter().filter(|report| !["contract", "attributes"].contains(&report.name)).map(Report::seen).sum();
    assert_eq!(published, 6202 + 158 + 1208 + 201 + 165 + 254 + 3497 + 216 + 12 * 500);
    documentation::check_section("docs/conformance.md", "memory", &render::markdown(&document));
    assert!(store.keys().unwrap().is_empty(), "what was made is destroyed again");
}

#[test]
fn memory_by_wrapped_keys() {
    let reports = run_all(&MemoryStore::new(), &Wrapped::default(), &Options { max_modulus_bits: 2048, ..Options::default() });
    assert_success(&reports);
}

#[test]
fn memory_in_mode_1() {
    let reports = run_all(&MemoryStore::new(), &InTheClear, &Options { max_modulus_bits: 2048, contract_modulus_bits: 1024 });
    assert_success(&reports);
}

#[test]
fn folder() {
    let place = tempfile::tempdir().unwrap();
    let cost = ScryptCost::new(12, 8, 1).unwrap();
    let store = FolderStore::create_or_open(&place.path().join("keys"), &Password::new("conformance".into()), cost).unwrap();
    let reports = run_all(&store, &InTheClear, &Options { max_modulus_bits: 2048, ..Options::default() });
    assert_success(&reports);
    let left: Vec<_> = std::fs::read_dir(store.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".lock"], "what was made is destroyed again");
}

/// A store that signs wrongly and opens everything.
#[derive(Debug)]
struct Broken(MemoryStore);

impl KeyStore for Broken {
    fn identity(&self) -> &StoreIdentity {
        self.0.identity()
    }

    fn keys(&self) -> Result<Vec<KeyRecord>> {
        self.0.keys()
    }

    fn sign(&self, key: &KeyId, digests: &[Digest]) -> Result<Vec<Vec<u8>>> {
        let mut signatures = self.0.sign(key, digests)?;
        signatures.iter_mut().flat_map(|signature| signature.first_mut()).for_each(|byte| *byte ^= 1);
        Ok(signatures)
    }

    fn decrypt(&self, key: &KeyId, scheme: &EncryptionScheme, sealed: &[&[u8]]) -> Result<Vec<Result<SecretBytes, DecryptionFailed>>> {
        let opened = self.0.decrypt(key, scheme, sealed)?;
        Ok(opened.into_iter().map(|result| result.or_else(|_| Ok(SecretBytes::copy_of(b"random")))).collect())
    }

    fn as_import_plaintext(&self) -> Result<&dyn ImportPlaintext> {
        self.0.as_import_plaintext()
    }

    fn as_destroy(&self) -> Result<&dyn Destroy> {
        self.0.as_destroy()
    }
}

#[test]
fn a_broken_store_is_found_out() {
    let options = Options { max_modulus_bits: 2048, ..Options::default() };
    let reports = run_all(&Broken(MemoryStore::new()), &InTheClear, &options);
    assert!(reports.iter().all(|report| !report.is_success()), "{}", table(&reports));
    assert!(reports.iter().take(4).all(|report| report.failed.len() >= 3), "{}", table(&reports));
    // What it does not offer is no failure.
    assert_eq!(reports[3].skipped_count(), 6, "{}", table(&reports));
}
