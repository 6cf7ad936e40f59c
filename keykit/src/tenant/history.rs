//! What the journal of a tenant says that was changed, to look at. Nothing is locked, settled or written.

use jiff::Timestamp;

use super::journal::{Journal, Moment, hash};
use super::keyring::LIMIT;
use super::view::TenantView;
use crate::durable;
use crate::error::{Error, Result};
use crate::key::KeyId;

/// A change that took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedChange {
    /// Number of the line that announced it.
    pub line: u64,
    /// When it was announced (UTC, whole seconds).
    pub time: Timestamp,
    /// The change: `template-edit`, `activate`, …
    pub action: String,
    /// The key that it was about.
    pub key_id: Option<KeyId>,
    /// What it was about otherwise: for changes of templates their GUIDs, with blanks between them.
    pub note: String,
    /// SHA-256 of the plan in whose run it was made, in hex; none for a change by a single command.
    pub plan: Option<String>,
}

impl TenantView {
    /// All changes that took effect, oldest first. The file of the tenant must be the one that the last of them made: a journal says
    /// nothing of a file that was changed without it.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a journal that was changed; [`Error::Negative`] if it did not record the file as it is; [`Error::Read`].
    pub fn recorded_changes(&self) -> Result<Vec<RecordedChange>> {
        let journal = Journal::open(&self.folder.join("journal.jsonl"))?;
        let found = hash(&durable::read(&self.folder.join("tenant.json"), LIMIT, "tenant file")?);
        let (settled, pending) = journal.recorded();
        let is_found = |recorded: &super::journal::Recorded| recorded.hash == found;
        let took_effect_unsettled = pending.as_ref().is_some_and(is_found);
        if !took_effect_unsettled && !settled.as_ref().is_some_and(is_found) {
            return Err(Error::negative("the journal of the tenant did not record its file as it is"));
        }
        let (mut changes, mut intent) = (Vec::new(), None);
        for entry in journal.entries() {
            match entry.moment {
                Moment::Intent => {
                    let time = entry.time.parse().map_err(|_| Error::malformed("journal", format!("line {}: its time is none", entry.number)))?;
                    let (action, note, plan) = (entry.action.clone(), entry.note.clone(), entry.plan.clone());
                    intent = Some(RecordedChange { line: entry.number, time, action, key_id: entry.key_id, note, plan });
                }
                Moment::Abandoned => intent = None,
                Moment::Done => changes.extend(intent.take()),
            }
        }
        changes.extend(intent.filter(|_| took_effect_unsettled));
        Ok(changes)
    }
}
