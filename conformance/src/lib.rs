//! What every key store must do, whatever it is made of: published vectors, the store contract, attributes and errors; and
//! what a store really does (`keykit store doctor`).
//!
//! ```no_run
//! use keykit_conformance::{InTheClear, Options, Subject, Suite, report, run};
//! use keykit_hsm_backends::memory::MemoryStore;
//!
//! let subject = Subject { store: &MemoryStore::new(), loader: &InTheClear, token: None };
//! let reports = run(&subject, &Suite::ALL, &Options::default(), &mut |_| {});
//! println!("{}", report::table(&reports));
//! assert!(reports.iter().all(|report| report.is_success()));
//! ```
//!
//! The vectors are packed into the library (`build.rs`), so a program that links it needs no files beside it.
//!
//! | module | what it knows |
//! |---|---|
//! | `wycheproof`, `nist`, `contract`, `attributes` | the suites |
//! | `loader` | how a given key comes into a store |
//! | `report`, `document`, `render` | counts, the result file `keykit/store-conformance/1`, its forms for people and programs |
//! | `doctor` | what a store says and what it does, `keykit/store-doctor/1` |
//! | `change` | what differs between two results, and whether it got worse |
#![forbid(unsafe_code)]

pub mod attributes;
pub mod change;
pub mod contract;
pub mod doctor;
pub mod document;
pub mod loader;
pub mod nist;
pub mod render;
pub mod report;
mod vectors;
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
        Self { max_modulus_bits: 8192, contract_modulus_bits: 2048 }
    }
}

/// What is tested.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The store: empty, or one whose keys are not those of the vectors. What is made is destroyed again where the store can.
    pub store: &'a dyn KeyStore,
    /// The way that given private keys take into the store.
    pub loader: &'a dyn Loader,
    /// The same store, if it is a token: then its own mechanisms for key wrap and the attributes of its objects are tested too.
    pub token: Option<&'a Pkcs11Store>,
}

/// A suite, by the name that the command line knows it under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suite {
    /// RSASSA-PKCS1-v1_5 signatures of the store.
    Sign,
    /// RSAES-OAEP decryption by the store.
    Oaep,
    /// RSAES-PKCS1-v1_5 decryption by the store.
    Pkcs1Decrypt,
    /// The contract of `KeyStore`.
    Contract,
    /// Attributes and errors.
    Attributes,
    /// RSASSA-PKCS1-v1_5 verification by this program.
    Verify,
    /// RSASSA-PSS verification: a token's, or that of this program.
    PssVerify,
    /// AES-CBC with PKCS#5 padding: a token's, or that of this program.
    Cbc,
    /// AES key wrap (RFC 3394): a token's, or that of this program.
    KeyWrap,
    /// AES key wrap with padding (RFC 5649): a token's, or that of this program.
    KeyWrapWithPadding,
    /// AES key wrap with the vectors of NIST.
    NistKeyWrap,
    /// AES key wrap with padding with the vectors of NIST.
    NistKeyWrapWithPadding,
}

impl Suite {
    /// Every suite, in the order in which they run.
    pub const ALL: [Self; 12] = [
        Self::Sign,
        Self::Oaep,
        Self::Pkcs1Decrypt,
        Self::Contract,
        Self::Attributes,
        Self::Verify,
        Self::PssVerify,
        Self::Cbc,
        Self::KeyWrap,
        Self::KeyWrapWithPadding,
        Self::NistKeyWrap,
        Self::NistKeyWrapWithPadding,
    ];

    /// The name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Oaep => "oaep",
            Self::Pkcs1Decrypt => "pkcs1-decrypt",
            Self::Contract => "contract",
            Self::Attributes => "attributes",
            Self::Verify => "verify",
            Self::PssVerify => "pss-verify",
            Self::Cbc => "cbc",
            Self::KeyWrap => "kw",
            Self::KeyWrapWithPadding => "kwp",
            Self::NistKeyWrap => "nist-kw",
            Self::NistKeyWrapWithPadding => "nist-kwp",
        }
    }

    /// What it shows, for people who do not know the words of cryptography.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Sign => "The store signs as everybody else does: for published examples it gives exactly the published signature.",
            Self::Oaep => "The store opens what was sealed to its keys in the newer way, and refuses what was tampered with or is not for it.",
            Self::Pkcs1Decrypt => "The same for the older way of sealing, which protected documents of the years before 2013 have.",
            Self::Contract => {
                "The store does what the migration relies on: keys are found again, nothing is mixed up, several requests at once are answered rightly, and what was refused leaves nothing behind."
            }
            Self::Attributes => {
                "Keys that must not leave do not leave, their protection cannot be weakened, and keys in damaged wrapping are refused."
            }
            Self::Verify => "Forged and damaged signatures are told from good ones, by this program.",
            Self::PssVerify => "The same for a newer kind of signature, which the migration itself does not use.",
            Self::Cbc => "The encryption of files that protected documents use is done right, and damaged ones are refused.",
            Self::KeyWrap => "Keys are wrapped for transport as the standard says, in its simple form, and damaged ones are refused.",
            Self::KeyWrapWithPadding => "The same for the form of the standard that carries private keys to a cloud.",
            Self::NistKeyWrap => "The simple form again, with the examples by which the American standards office validates products.",
            Self::NistKeyWrapWithPadding => "The form for private keys again, with those examples.",
        }
    }

    /// The suite of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    fn run(self, subject: &Subject<'_>, options: &Options) -> Report {
        let Subject { store, loader, token } = *subject;
        match (self, token) {
            (Self::Sign, _) => wycheproof::signatures(store, loader, options),
            (Self::Oaep, _) => wycheproof::oaep_decryption(store, loader, options),
            (Self::Pkcs1Decrypt, _) => wycheproof::pkcs1_decryption(store, loader, options),
            (Self::Contract, _) => contract::run(store, loader, options),
            (Self::Attributes, _) => attributes::run(subject, options),
            (Self::Verify, _) => wycheproof::verification(),
            (Self::PssVerify, None) => wycheproof::pss_verification(),
            (Self::PssVerify, Some(token)) => wycheproof::token_pss_verification(token),
            (Self::Cbc, None) => wycheproof::cbc(),
            (Self::Cbc, Some(token)) => wycheproof::token_cbc(token),
            (Self::KeyWrap, None) => wycheproof::key_wrap(),
            (Self::KeyWrap, Some(token)) => wycheproof::token_key_wrap(token),
            (Self::KeyWrapWithPadding, None) => wycheproof::key_wrap_with_padding(),
            (Self::KeyWrapWithPadding, Some(token)) => wycheproof::token_key_wrap_with_padding(token),
            (Self::NistKeyWrap, None) => nist::key_wrap(),
            (Self::NistKeyWrap, Some(token)) => nist::token_key_wrap(token),
            (Self::NistKeyWrapWithPadding, None) => nist::key_wrap_with_padding(),
            (Self::NistKeyWrapWithPadding, Some(token)) => nist::token_key_wrap_with_padding(token),
        }
    }
}

/// Runs suites. `step` is told the name of each before it starts.
///
/// What the store answers with [`keykit::Error::Unsupported`] is counted as skipped; every other error is a failure. A suite
/// that ran nothing is no success.
#[must_use]
pub fn run(subject: &Subject<'_>, suites: &[Suite], options: &Options, step: &mut dyn FnMut(Suite)) -> Vec<Report> {
    let mut reports = Vec::with_capacity(suites.len());
    for suite in suites {
        step(*suite);
        let mut report = suite.run(subject, options);
        report.name = suite.name();
        reports.push(report);
    }
    reports
}
