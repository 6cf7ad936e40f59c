//! The journal: one JSON line for every intent and every outcome, synced before the next step, and chained by hash.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::durable;
use crate::error::{Error, Result};
use crate::key::KeyId;

const FORMAT: &str = "journal";
/// Largest journal that is read, in bytes.
const LIMIT: u64 = 256 << 20;
/// What the first line carries as the hash of the line before.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Where in a change a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// About to be done.
    Intent,
    /// Done.
    Done,
    /// Given up: the tenant is as it was. A store may hold the key all the same; the note says what is known.
    Abandoned,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts from 1.
    pub number: u64,
    /// RFC 3339, UTC.
    pub time: String,
    /// Where in a change this stands.
    pub moment: Moment,
    /// The change: `import`, `activate`, …
    pub action: String,
    /// The key it is about.
    pub key_id: Option<KeyId>,
    /// What happened, for people.
    pub note: String,
    /// For an intent: SHA-256 of the `tenant.json` that the change makes. It took effect if and only if that is the file there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// SHA-256 of the line before, in hex.
    pub previous: String,
}

/// The journal of a tenant.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    entries: Vec<Entry>,
    last_hash: String,
}

impl Journal {
    /// Reads a journal and checks its chain. A last line that was cut short by a crash is dropped from the file.
    ///
    /// # Errors
    /// [`Error::Malformed`] if a line was changed, removed or added by somebody else.
    pub fn open(path: &Path) -> Result<Self> {
        let mut journal = Self { path: path.to_owned(), entries: Vec::new(), last_hash: GENESIS.to_owned() };
        if !path.exists() {
            return Ok(journal);
        }
        let bytes = durable::read(path, LIMIT, FORMAT)?;
        let mut whole = 0;
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let malformed = |problem: String| Error::malformed(FORMAT, problem).at(whole as u64).in_file(path);
            let Some(text) = line.strip_suffix(b"\n") else {
                durable::write(path, bytes.get(..whole).unwrap_or_default(), durable::Access::OwnerOnly, durable::Existing::Replace)?;
                break;
            };
            let entry: Entry = serde_json::from_slice(text).map_err(|error| malformed(error.to_string()))?;
            if entry.previous != journal.last_hash || entry.number != journal.entries.len() as u64 + 1 {
                return Err(malformed("the chain of lines is broken: a line was changed or is missing".into())
                    .with_hint("stop and keep the folder as it is: somebody or something edited the journal"));
            }
            journal.last_hash = hash(text);
            journal.entries.push(entry);
            whole += line.len();
        }
        Ok(journal)
    }

    /// All lines.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The last line, if it is an intent that was never settled.
    #[must_use]
    pub fn unsettled(&self) -> Option<&Entry> {
        self.entries.last().filter(|entry| entry.moment == Moment::Intent)
    }

    /// Writes a line; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn record(&mut self, moment: Moment, action: &str, key_id: Option<KeyId>, note: impl Into<String>) -> Result<()> {
        self.append(moment, action, key_id, note.into(), None)
    }

    /// Writes an intent that makes `result` of the tenant file.
    pub(super) fn intend(&mut self, action: &str, key_id: Option<KeyId>, note: &str, result: &[u8]) -> Result<()> {
        self.append(Moment::Intent, action, key_id, note.to_owned(), Some(hash(result)))
    }

    fn append(&mut self, moment: Moment, action: &str, key_id: Option<KeyId>, note: String, result: Option<String>) -> Result<()> {
        let entry = Entry {
            number: self.entries.len() as u64 + 1,
            time: now(),
            moment,
            action: action.to_owned(),
            key_id,
            note,
            result,
            previous: self.last_hash.clone(),
        };
        let line = serde_json::to_string(&entry).map_err(|error| Error::Internal(format!("encoding a journal line: {error}")))?;
        durable::append_line(&self.path, &line)?;
        self.last_hash = hash(line.as_bytes());
        self.entries.push(entry);
        Ok(())
    }
}

/// The time, RFC 3339 in UTC, to the second.
pub(super) fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

pub(super) fn hash(line: &[u8]) -> String {
    Sha256::digest(line).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn sample(folder: &Path) -> PathBuf {
        let path = folder.join("journal.jsonl");
        let mut journal = Journal::open(&path).unwrap();
        journal.record(Moment::Intent, "import", Some(KeyId::of_spki(b"k")), "a").unwrap();
        journal.record(Moment::Done, "import", Some(KeyId::of_spki(b"k")), "b").unwrap();
        journal.record(Moment::Intent, "activate", None, "c").unwrap();
        path
    }

    #[test]
    fn lines_come_back_and_the_last_intent_is_unsettled() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&sample(folder.path())).unwrap();
        assert_eq!(journal.entries().len(), 3);
        assert_eq!(journal.unsettled().unwrap().note, "c");
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_the_rest_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = sample(folder.path());
        let whole = fs::read(&path).unwrap();
        let second_end = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1).unwrap().0;
        for cut in second_end + 1..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let mut journal = Journal::open(&path).unwrap();
            assert_eq!(journal.entries().len(), 2, "cut at {cut}");
            journal.record(Moment::Intent, "again", None, "").unwrap();
            assert_eq!(Journal::open(&path).unwrap().entries().len(), 3);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_changed_byte_before_the_last_line_is_caught(position in 0_usize..10_000, change in 1_u8..=255) {
            let folder = tempfile::tempdir().unwrap();
            let path = sample(folder.path());
            let mut bytes = fs::read(&path).unwrap();
            let last_start = bytes[..bytes.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
            let position = position % last_start;
            bytes[position] ^= change;
            fs::write(&path, &bytes).unwrap();
            prop_assert!(Journal::open(&path).is_err());
        }
    }
}
