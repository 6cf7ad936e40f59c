//! Arguments of `keykit store` and of `keykit nshield`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use keykit::artefact::legacy_toolset::{
    KeyApplication, KeyFriendlyName, KeyIdentifier, Region, ResourceGroup, SubscriptionId, VaultName, WindowsPath,
};

use super::{KeyringPassword, ProfileFile};

/// `keykit store`
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// List the keys of a store
    Keys(StoreArguments),
    /// Make a new RSA key in a store
    Generate {
        #[command(flatten)]
        store: StoreArguments,
        /// Size in bits
        #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u16).range(1024..=8192))]
        bits: u16,
        /// The key's name
        #[arg(long)]
        label: String,
        /// Allow the key to be wrapped out later (under any key)
        #[arg(long)]
        wrappable: bool,
    },
    /// Say what a store really does, which transfers it can serve, and what protects its keys; nothing is written to it
    ///
    /// With `--compare OLD.json NEW.json` two stored results are compared, and no store is opened.
    Doctor(DoctorArguments),
    /// Run published vectors and the suites of keykit on a store
    ///
    /// --format also takes `junit` and `html`. On a token only session objects are made, in memory only keys in memory, unless --allow-write names the store.
    Conformance(ConformanceArguments),
}

/// What both examinations of a store take.
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The store: `memory:`, `file:DIR`, or a PKCS#11 URI with `module-path` and `pin-source`; left out to compare two stored results
    #[arg(long, value_name = "URI", required_unless_present = "compare")]
    pub(crate) store: Option<String>,
    #[command(flatten)]
    pub(crate) keyring: KeyringPassword,
    /// Write the result into this file instead of standard output
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Compare with a result that was stored as JSON, or two stored results with each other; anything that got worse is a negative
    /// result
    #[arg(long, value_names = ["OLD.json", "NEW.json"], num_args = 1..=2, value_hint = ValueHint::FilePath)]
    pub(crate) compare: Vec<PathBuf>,
}

/// `keykit store doctor`
#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub(crate) common: CheckArguments,
    /// Evidence of what protects the keys of a token: output of nfkminfo or `nfkmattest verify`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) evidence: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) profiles: ProfileFile,
}

/// `keykit store conformance`
#[derive(Debug, Args)]
pub(crate) struct ConformanceArguments {
    #[command(flatten)]
    pub(crate) common: CheckArguments,
    /// Run these suites only: sign, oaep, pkcs1-decrypt, contract, attributes, verify, pss-verify, cbc, kw, kwp, nist-kw, nist-kwp
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub(crate) suite: Vec<String>,
    /// Allow token objects on the token with this serial number, or keys in the folder of this path
    #[arg(long, value_name = "SERIAL")]
    pub(crate) allow_write: Option<String>,
    /// Leave out keys above this size (default: 4096 for tokens, 8192 otherwise)
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u16).range(1024..=8192))]
    pub(crate) max_bits: Option<u16>,
}

/// A store.
#[derive(Debug, Args)]
pub(crate) struct StoreArguments {
    /// The store: `file:DIR`, or a PKCS#11 URI with `module-path` and `pin-source`
    #[arg(long, value_name = "URI")]
    pub(crate) store: String,
    #[command(flatten)]
    pub(crate) keyring: KeyringPassword,
}

/// `keykit nshield`
#[derive(Debug, Subcommand)]
pub(crate) enum NshieldCommand {
    /// Write the run book of the legacy toolset with your own names, in Markdown (deprecated by its makers; for those who must)
    RunBook(RunBookArguments),
}

/// `keykit nshield run-book`
#[derive(Debug, Args)]
pub(crate) struct RunBookArguments {
    /// Exported domain: the one that holds the key, or with --application the one whose key is in the module
    #[arg(long, value_name = "WINDOWS-PATH")]
    pub(crate) domain: WindowsPath,
    /// The key is in the module already, under this application: mscapi (AD RMS), caping or simple
    #[arg(long, value_name = "NAME", conflicts_with_all = ["keyless", "pem", "new_security_world"])]
    pub(crate) application: Option<KeyApplication>,
    /// Identifier of the key: lower-case letters, digits and dashes, at most 80
    #[arg(long, value_name = "IDENT")]
    pub(crate) identifier: KeyIdentifier,
    /// Name for the key in the package and in the key vault
    #[arg(long, value_name = "NAME")]
    pub(crate) friendly_name: KeyFriendlyName,
    /// Region of the tenant: NA, EU, AP, LATAM, JPN, KOREA, SA, UAE, AUS, USGOV, USDOD, CANADA, GERMANY, INDIA, FRANCE, UK or SUI
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Region,
    /// Subscription of the key vault
    #[arg(long, value_name = "GUID")]
    pub(crate) subscription: SubscriptionId,
    /// Key vault
    #[arg(long, value_name = "NAME")]
    pub(crate) vault: VaultName,
    /// Resource group of the key vault
    #[arg(long, value_name = "NAME")]
    pub(crate) resource_group: ResourceGroup,
    /// Organisation or tenant, for the title
    #[arg(long, value_name = "NAME")]
    pub(crate) organisation: String,
    /// Name for the domain without its key (default: NAME_keyless.xml)
    #[arg(long, value_name = "WINDOWS-PATH")]
    pub(crate) keyless: Option<WindowsPath>,
    /// Name for the key in the clear, which is erased in the course (default: NAME_key.pem)
    #[arg(long, value_name = "WINDOWS-PATH")]
    pub(crate) pem: Option<WindowsPath>,
    /// Make a new Security World first; this erases the module
    #[arg(long)]
    pub(crate) new_security_world: bool,
    /// File for the run book; without it, it goes to standard output
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}
