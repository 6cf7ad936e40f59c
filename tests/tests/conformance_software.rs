//! Wycheproof and the store contract, on the stores of our own.

use keykit::Result;
use keykit::key::{Digest, EncryptionScheme, KeyId};
use keykit::secret::{Password, SecretBytes};
use keykit::store::{DecryptionFailed, Destroy, ImportPlaintext, KeyRecord, KeyStore, StoreIdentity};
use keykit_hsm_backends::folder::{FolderStore, ScryptCost};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_tests::conformance::report::table;
use keykit_tests::conformance::{InTheClear, Options, Report, Wrapped, run_all, run_without_store};

fn assert_success(reports: &[Report]) {
    println!("{}", table(reports));
    assert!(reports.iter().all(Report::is_success), "{}", table(reports));
}

/// How many ran, so that a set that is lost is noticed.
fn assert_ran(reports: &[Report], expected: &[(&str, usize)]) {
    let ran: Vec<(&str, usize)> = reports.iter().map(|report| (report.suite.as_str(), report.ran())).collect();
    assert_eq!(ran, expected);
}

#[test]
fn what_needs_no_store() {
    let reports = run_without_store();
    assert_success(&reports);
    assert_ran(&reports, &[("RSASSA-PKCS1-v1_5 verify", 3364), ("AES-KW", 110), ("AES-KWP", 169)]);
}

#[test]
fn memory() {
    let reports = run_all(&MemoryStore::new(), &InTheClear, &Options::default());
    assert_success(&reports);
    let expected = [("RSASSA-PKCS1-v1_5 sign", 152), ("RSAES-OAEP decrypt", 918), ("RSAES-PKCS1-v1_5 decrypt", 201), ("store contract", 17)];
    assert_ran(&reports, &expected);
    let three_primes = reports[1].skipped.iter().find(|(reason, _)| reason.contains("more than two primes"));
    assert_eq!(three_primes.map(|(_, count)| *count), Some(110), "keys with three primes are refused, all of them");
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
    assert!(reports.iter().all(|report| report.failed.len() >= 3), "{}", table(&reports));
    // What it does not offer is no failure.
    assert_eq!(reports[3].skipped_count(), 6, "{}", table(&reports));
}
