//! Transfer profiles: what a receiver of wrapped keys wants, as data.
//!
//! The profiles that keykit brings are in `profiles.toml`; a user's file has the same form. Everything else in keykit that
//! differs between providers is derived from here.

mod file;
mod template;

use std::fmt;

use serde::Serialize;

pub use template::{Template, Values};

use super::layout::list;
use crate::error::{Error, Result};
use crate::key::Hash;

/// What a receiver wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TransferProfile {
    /// How it is named on the command line.
    pub name: String,
    /// The receiver.
    pub title: String,
    /// Where this is written down.
    pub reference: String,
    /// Hash of the OAEP step.
    #[serde(serialize_with = "file::serialize_hash")]
    pub oaep_hash: Hash,
    /// Hash inside MGF1; always that of OAEP, which is all that tokens and keykit do.
    #[serde(serialize_with = "file::serialize_hash")]
    pub mgf1_hash: Hash,
    /// What is wrapped.
    pub plaintext: Plaintext,
    /// What is around the blob.
    pub envelope: Envelope,
    /// Sizes of RSA keys that the receiver takes, in bits.
    pub target_bits: Vec<usize>,
    /// The key encryption key.
    pub kek: KeyEncryptionKeyRules,
    /// How the owner gets the key encryption key.
    pub fetch: Vec<Template>,
    /// What the custodian does with the file.
    pub next: Vec<Template>,
}

/// What a receiver's key encryption key is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyEncryptionKeyRules {
    /// What the receiver calls it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its possible sizes in bits, ascending.
    pub bits: Vec<usize>,
    /// The operations it must have, all of them and no other; empty if the receiver knows none.
    pub operations: Vec<String>,
    /// How long after its making it is good for an import, if the receiver limits that.
    pub lifetime_hours: Option<u32>,
    /// Whether the file must name it by URL.
    pub kid: bool,
    /// How the host in that URL ends, if the receiver has fixed names.
    pub kid_hosts: Vec<String>,
}

/// What is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Plaintext {
    /// DER PrivateKeyInfo (PKCS#8, RFC 5208 §5) without attributes, around RSAPrivateKey (RFC 8017 §A.1.2).
    Pkcs8,
}

/// What is around the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Envelope {
    /// The JSON of Azure (`.byok`).
    AzureByok,
    /// Nothing: the bytes themselves.
    Raw,
    /// Base64 (RFC 4648 §4) in one line.
    Base64,
}

impl Envelope {
    /// The name in profiles and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AzureByok => "azure-byok",
            Self::Raw => "raw",
            Self::Base64 => "base64",
        }
    }
}

impl fmt::Display for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AzureByok => "JSON (.byok)",
            Self::Raw => "raw bytes",
            Self::Base64 => "base64",
        })
    }
}

impl TransferProfile {
    /// The profiles that keykit brings, as TOML.
    pub const BUILT_IN: &str = include_str!("profiles.toml");

    /// The profiles that keykit brings, in the order of its documentation.
    ///
    /// # Errors
    /// [`Error::Internal`] never in practice: a test reads them.
    pub fn built_in() -> Result<Vec<Self>> {
        file::parse(Self::BUILT_IN).map_err(|error| Error::Internal(format!("the built-in profiles: {error}")))
    }

    /// Reads profiles of one's own from TOML.
    ///
    /// # Errors
    /// [`Error::Malformed`] naming line and column, for unknown keys too; for a name that a built-in profile has.
    pub fn parse_file(text: &str) -> Result<Vec<Self>> {
        let profiles = file::parse(text)?;
        for own in Self::built_in()? {
            if profiles.iter().any(|profile| profile.name == own.name) {
                return Err(Error::malformed(file::FORMAT, format!("'{}' is the name of a profile that keykit brings", own.name))
                    .with_hint("choose another name, so that nobody takes one for the other"));
            }
        }
        Ok(profiles)
    }

    /// The profile with this name among `profiles`.
    ///
    /// # Errors
    /// [`Error::Usage`] naming those there are.
    pub fn named(profiles: Vec<Self>, name: &str) -> Result<Self> {
        let known: Vec<String> = profiles.iter().map(|profile| profile.name.clone()).collect();
        profiles
            .into_iter()
            .find(|profile| profile.name == name)
            .ok_or_else(|| Error::usage(format!("there is no profile '{name}'")).with_hint(format!("the profiles are {}", known.join(", "))))
    }

    /// Refuses a key of a size that the receiver does not take.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn check_target_bits(&self, bits: usize) -> Result<()> {
        if self.target_bits.contains(&bits) {
            return Ok(());
        }
        Err(Error::refused_by_policy(
            format!("a key of {bits} bits: {} takes {} bits [target-size]", self.name, list(&self.target_bits)),
            "keep the key in a tenant keyring in software, or move to a new key of 2048 bits (rule 34)",
        ))
    }

    /// The commands of the custodian, with everything filled in that is known.
    #[must_use]
    pub fn next_commands(&self, values: &Values) -> Vec<String> {
        self.next.iter().map(|template| template.fill(values)).collect()
    }
}

#[cfg(test)]
mod tests;
