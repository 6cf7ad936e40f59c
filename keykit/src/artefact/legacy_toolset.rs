//! The run book of the legacy nShield toolset, with the custodian's own names.
//!
//! It follows the documented process of the Key Vault era in its order (rules 21, 36, 41–48, 55–58, 66–81, 90–110 and 117), for a
//! key that AD RMS keeps in an nShield module already, or for one of an exported domain that is put there first. The names that the
//! public documentation misprints are printed as the tools have them. The toolset is deprecated by its makers since 30 June 2021.
//!
//! No step has been tried with the tools themselves: what must be seen is what the documentation prints.

mod names;
mod region;
mod steps;

pub use names::{KeyApplication, KeyFriendlyName, KeyIdentifier, ResourceGroup, SubscriptionId, VaultName, WindowsPath};
pub use region::Region;

use serde::Serialize;

use super::run_book::RunBook;
use crate::error::{Error, Result};

/// Where the key is when the work begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum KeySource {
    /// In the nShield module that AD RMS uses (rules 66–70).
    Module {
        /// Application of the key file: `mscapi` for AD RMS (rule 67).
        application: KeyApplication,
        /// Exported domain, which holds no key.
        domain: WindowsPath,
    },
    /// In an exported domain, under its password (rules 71–79).
    Domain {
        /// Exported domain, which holds the key.
        domain: WindowsPath,
        /// The domain without its key, which is written.
        keyless: WindowsPath,
        /// The key in the clear, which is written, imported and erased.
        pem: WindowsPath,
    },
}

impl KeySource {
    /// A key in an exported domain. Names of the other files are those of the documented tool unless they are given.
    ///
    /// # Errors
    /// [`Error::Refused`] by rule 75 if two of the three are the same file.
    pub fn in_domain(domain: WindowsPath, keyless: Option<WindowsPath>, pem: Option<WindowsPath>) -> Result<Self> {
        let keyless = keyless.map_or_else(|| domain.with_suffix("_keyless", "xml"), Ok)?;
        let pem = pem.map_or_else(|| domain.with_suffix("_key", "pem"), Ok)?;
        if domain.is_same_file(&keyless) || domain.is_same_file(&pem) || keyless.is_same_file(&pem) {
            return Err(Error::refused(
                75,
                format!("{domain}, {keyless} and {pem} must be three files: the tool's behaviour is not known when it is to overwrite its input"),
                "give the domain without its key and the PEM names of their own, or leave them away",
            ));
        }
        Ok(Self::Domain { domain, keyless, pem })
    }

    /// The domain that is imported at the end: it holds no key.
    fn imported_domain(&self) -> &WindowsPath {
        match self {
            Self::Module { domain, .. } => domain,
            Self::Domain { keyless, .. } => keyless,
        }
    }

    fn application(&self) -> KeyApplication {
        match self {
            Self::Module { application, .. } => *application,
            Self::Domain { .. } => KeyApplication::Simple,
        }
    }
}

/// Everything that a run book names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LegacyToolset {
    /// Where the key is.
    pub source: KeySource,
    /// Identifier of the key file (rules 68 and 77).
    pub identifier: KeyIdentifier,
    /// Name of the key in the package and in Azure Key Vault.
    pub friendly_name: KeyFriendlyName,
    /// Region of the tenant, whose packages are used throughout (rule 103).
    pub region: Region,
    /// Subscription of the key vault.
    pub subscription: SubscriptionId,
    /// Key vault.
    pub vault: VaultName,
    /// Resource group of the key vault.
    pub resource_group: ResourceGroup,
    /// Make a new Security World first (rules 94–97). This erases the module.
    pub new_security_world: bool,
    /// Name of the organisation or tenant, for the title.
    pub organisation: String,
}

impl LegacyToolset {
    /// The run book.
    ///
    /// # Errors
    /// [`Error::Refused`] for a new Security World where the key is in the present one; [`Error::Malformed`] for a name that no
    /// command line can hold.
    pub fn run_book(&self) -> Result<RunBook> {
        if self.new_security_world && matches!(self.source, KeySource::Module { .. }) {
            return Err(Error::refused(
                94,
                "a new Security World erases the module, and the key of AD RMS is under the present one",
                "leave the new Security World away, or export the key's domain and take the path from software",
            ));
        }
        if self.organisation.chars().any(|character| character.is_control() || "<>`*_[]#\\".contains(character)) {
            return Err(Error::malformed("name of the organisation", "it has control characters or marks of Markdown"));
        }
        steps::run_book(self)
    }
}

#[cfg(test)]
mod tests;
