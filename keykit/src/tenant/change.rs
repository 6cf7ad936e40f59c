//! One change of a tenant: intent, effects, outcome.
//!
//! Every file that a change makes has a name of its own, and `tenant.json` names the files that count. So there is one moment
//! at which a change takes effect, the rename of `tenant.json`: a process that is killed before it has changed nothing, one
//! that is killed after it has changed everything. The intent in the journal carries the hash of the new `tenant.json`, by
//! which [`TenantKeyring::open`] knows which of the two it was.

use std::path::PathBuf;

use super::TenantKeyring;
use super::file::{TenantFile, TenantTemplate};
use super::journal::{Moment, hash};
use crate::durable::{self, Access};
use crate::error::Result;
use crate::key::KeyId;

/// Hex digits of a text's SHA-256 in the name of a template's file.
const DIGITS: usize = 16;

/// What is to be done.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) action: &'static str,
    pub(super) key_id: Option<KeyId>,
    /// For people who read the journal.
    pub(super) note: String,
    /// What the tenant is afterwards.
    pub(super) file: TenantFile,
    /// Files that `file` names and that are not there yet, under the tenant's folder.
    pub(super) writes: Vec<(PathBuf, Vec<u8>)>,
}

impl TenantKeyring {
    /// Carries a change out. Returns whether there was anything to do.
    pub(super) fn carry_out(&mut self, change: Change) -> Result<bool> {
        if self.journal.unsettled().is_some_and(|entry| entry.result.is_some()) {
            // An earlier change of this process ended in an error: the disk says what became of it.
            self.view.file = TenantFile::parse(&durable::read(&self.folder.join("tenant.json"), super::keyring::LIMIT, "tenant file")?)?;
            self.recover()?;
        }
        if change.file == self.file {
            return Ok(false);
        }
        self.journal.intend(change.action, change.key_id, &change.note, &change.file.to_bytes()?)?;
        durable::write_many(&self.folder, change.writes, Access::OwnerOnly)?;
        self.write_file(&change.file)?;
        self.view.file = change.file;
        self.journal.record(Moment::Done, change.action, change.key_id, "")?;
        Ok(true)
    }
}

/// Gives a template a new text, in a file of its own. The earlier file stays.
pub(super) fn replace_text(template: &mut TenantTemplate, text: &[u8], writes: &mut Vec<(PathBuf, Vec<u8>)>) {
    let digest = hash(text);
    template.file = format!("{}-{}.xml", file_stem(&template.id), digest.get(..DIGITS).unwrap_or(&digest));
    writes.push((PathBuf::from("templates").join(&template.file), text.to_vec()));
}

/// An identity as the beginning of a file name.
pub(super) fn file_stem(id: &str) -> String {
    let stem: String = id.chars().map(|character| if character.is_ascii_alphanumeric() || character == '-' { character } else { '-' }).collect();
    if stem.is_empty() { "template".to_owned() } else { stem }
}
