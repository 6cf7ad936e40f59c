//! What a migration hands to other people and systems: run books, registry files, scripts and records, as typed data and as text.
//!
//! [`artefacts`] gathers everything that a migration file asks for. Only what the file says is in use is written.
//!
//! | module | what |
//! |---|---|
//! | `tenant`, `key_vault` | run books for the tenant, its keys and their vault |
//! | [`clients`] | registry files and scripts for clients, batches, what completes the migration |
//! | `dns` | records to add and to take away |
//! | `exchange_online`, `exchange`, `share_point`, `file_classification`, `connector` | run books and registry files for servers |
//! | `read_only_mode`, `decommission` | run books for AD RMS itself |
//! | [`legacy_toolset`] | the run book of the legacy nShield toolset |
//! | [`run_book`] | steps, command lines, what must be seen; as Markdown |
//! | [`markdown`] | text from outside that Markdown shows unchanged |
//! | [`power_shell`] | words and command lines that PowerShell reads back as they were meant |
//! | [`registry`] | `.reg` files, written and read |

pub mod clients;
mod connector;
mod decommission;
mod dialect;
mod dns;
mod domain_names;
mod exchange;
mod exchange_online;
mod file_classification;
mod index;
mod key_vault;
pub mod legacy_toolset;
pub mod markdown;
mod names;
pub mod power_shell;
mod read_only_mode;
pub mod registry;
mod registry_script;
pub mod run_book;
mod share_point;
mod tenant;

use crate::error::Result;
use crate::migration::file::MigrationFile;
use crate::migration::rules::catalogue::Step as Stage;

/// A file for other people or systems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artefact {
    /// Path below the folder of all artefacts, with `/` between its parts.
    pub name: String,
    /// Content.
    pub bytes: Vec<u8>,
    /// What it is for.
    pub purpose: String,
    /// The migration rules behind it.
    pub rules: Vec<u16>,
    /// The step of the documented process in which it is used.
    pub stage: Stage,
    /// Whether it takes back what another one does.
    pub undoes: bool,
}

impl Artefact {
    fn new(stage: Stage, name: impl Into<String>, bytes: impl Into<Vec<u8>>, purpose: impl Into<String>, rules: &[u16]) -> Self {
        Self { name: name.into(), bytes: bytes.into(), purpose: purpose.into(), rules: rules.to_vec(), stage, undoes: false }
    }

    /// A run book; its rules are those of its steps.
    fn run_book(stage: Stage, name: &str, purpose: &str, book: &run_book::RunBook) -> Self {
        Self::new(stage, name, book.to_markdown(), purpose, &book.rules())
    }

    fn undoing(mut self) -> Self {
        self.undoes = true;
        self
    }
}

/// Everything that a migration file asks for, in the order of use; a `README.md` that lists it comes first. Within a step, what takes
/// it back comes last.
///
/// `version` is the number of the clients' version gate (rule 165): a script runs again only under a higher one.
///
/// # Errors
/// [`crate::Error::Refused`] where the file names something in use and leaves out a name that its files need, by the rule that asks for
/// it: URLs that are missing or have another form (rules 154, 160, 166). [`crate::Error::Malformed`] for a name that no file can hold.
pub fn artefacts(file: &MigrationFile, version: u32) -> Result<Vec<Artefact>> {
    let names = names::Names::of(file)?;
    // The service may use the keys of the vault before they are imported.
    let mut files = key_vault::artefacts(file)?;
    files.extend(tenant::artefacts(file, &names)?);
    files.extend(clients::artefacts(file, version)?);
    files.extend(dns::artefacts(file, &names)?);
    files.extend(exchange_online::artefacts(file, &names)?);
    files.extend(connector::artefacts(file, &names)?);
    files.extend(exchange::artefacts(file, &names)?);
    files.extend(share_point::artefacts(file, &names)?);
    files.extend(file_classification::artefacts(file, &names)?);
    files.extend(read_only_mode::artefacts(file)?);
    files.extend(decommission::artefacts(file, &names)?);
    files.sort_by_key(|file| (file.stage, file.undoes));
    files.insert(0, index::read_me(file, &files));
    Ok(files)
}

#[cfg(test)]
mod tests;
