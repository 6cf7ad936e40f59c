//! The suites that every store must pass, whatever it is made of.
//!
//! ```no_run
//! use keykit_hsm_backends::memory::MemoryStore;
//! use keykit_tests::conformance::{InTheClear, Options, report, run_all};
//!
//! let reports = run_all(&MemoryStore::new(), &InTheClear, &Options::default());
//! println!("{}", report::table(&reports));
//! assert!(reports.iter().all(|report| report.is_success()));
//! ```
//!
//! [`run_all`] needs an empty store, or one whose keys are not those of Wycheproof. It destroys what it made where the store can.
//! The suites that need no store are in [`run_without_store`]: run them once.

pub mod contract;
pub mod loader;
pub mod report;
pub mod wycheproof;

use keykit::store::KeyStore;
use keykit_hsm_backends::pkcs11::Pkcs11Store;
pub use loader::{InTheClear, Loader, Wrapped};
pub use report::Report;

/// What to leave out. What is left out is counted, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Largest modulus to test with, in bits: large keys are slow on tokens.
    pub max_modulus_bits: usize,
    /// Size in bits of the keys that the store contract is tested with.
    pub contract_modulus_bits: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_modulus_bits: 4096, contract_modulus_bits: 2048 }
    }
}

/// Every suite that is about a store: signatures, both kinds of decryption, the contract.
///
/// `loader` is the way that given private keys take into the store. What the store answers with [`keykit::Error::Unsupported`]
/// is counted as skipped; every other error is a failure. A suite that ran nothing is no success.
#[must_use]
pub fn run_all(store: &dyn KeyStore, loader: &dyn Loader, options: &Options) -> Vec<Report> {
    vec![
        wycheproof::signatures(store, loader, options),
        wycheproof::oaep_decryption(store, loader, options),
        wycheproof::pkcs1_decryption(store, loader, options),
        contract::run(store, loader, options),
    ]
}

/// Every suite that needs no store: verification of signatures, AES key wrap with and without padding.
#[must_use]
pub fn run_without_store() -> Vec<Report> {
    vec![wycheproof::verification(), wycheproof::key_wrap(), wycheproof::key_wrap_with_padding()]
}

/// Every suite that is about a token alone: AES key wrap with and without padding, through its own mechanisms.
#[must_use]
pub fn run_token_key_wrap(store: &Pkcs11Store) -> Vec<Report> {
    vec![wycheproof::token_key_wrap(store), wycheproof::token_key_wrap_with_padding(store)]
}
