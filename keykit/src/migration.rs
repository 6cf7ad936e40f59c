//! The migration of keys: what comes in, by which of the three paths it goes, and the proofs at the end.
//!
//! | path | source | carried as | target |
//! |---|---|---|---|
//! | [`paths::software_to_software`] | trusted publishing domains | secret key in locked memory | encrypted folder of the tenant |
//! | [`paths::hsm_to_hsm`] | token, and keyless trusted publishing domains | wrapped by the source token under a key of the target | token |
//! | [`paths::software_to_hsm`] | trusted publishing domains | wrapped in memory under a key of the target | token |
//!
//! Every path has the same shape: all checks of all domains first, then key by key *before-image, journal, transfer, proofs,
//! keyring*. A run that is repeated changes nothing and proves everything again.

pub mod apply;
pub mod file;
pub mod inventory;
pub mod paths;
pub mod plan;
pub mod proof;
pub mod rules;
mod run;
pub mod verify;

pub use inventory::SourceDomain;
pub use proof::Proof;
pub use run::{Migration, MigrationOutcome, Progress, ProtectedSample, SilentProgress, TransferredKey};

use serde::{Deserialize, Serialize};

/// One of the three paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MigrationPath {
    /// Rules 65: the key goes from the exported file into the tenant's folder.
    SoftwareToSoftware,
    /// Rules 66–70: the key goes from token to token.
    HsmToHsm,
    /// Rules 71–81: the key goes from the exported file into a token.
    SoftwareToHsm,
}

impl MigrationPath {
    /// The name that commands and files use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SoftwareToSoftware => "software-to-software",
            Self::HsmToHsm => "hsm-to-hsm",
            Self::SoftwareToHsm => "software-to-hsm",
        }
    }
}

/// Something that the operator must know and that does not stop the migration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warning {
    /// The migration rule behind it, if one is.
    pub rule: Option<u16>,
    /// What to know, in a sentence or two.
    pub message: String,
}

impl Warning {
    /// A warning under a numbered rule.
    #[must_use]
    pub fn of_rule(rule: u16, message: impl Into<String>) -> Self {
        Self { rule: Some(rule), message: message.into() }
    }

    /// A warning that no numbered rule covers.
    #[must_use]
    pub fn plain(message: impl Into<String>) -> Self {
        Self { rule: None, message: message.into() }
    }
}
