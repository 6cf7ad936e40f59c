//! The journal: one JSON line for every intent and every outcome, synced before the next step, and chained by hash.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::durable::{
    self,
    log_file::{Disk, LogFile, RealDisk, is_torn},
};
use crate::error::{Error, Result};
use crate::key::KeyId;

const FORMAT: &str = "journal";
/// Largest journal that is read, in bytes.
const LIMIT: u64 = 256 << 20;
/// What the first line carries as the hash of the line before.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// What stands once in every line and nowhere else: quotes inside of texts are escaped.
const MEMBER: &[u8] = b"\"previous\":\"";
/// What the outcome says of a change that was there already.
pub(super) const UNCHANGED: &str = "was there already";

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
    /// SHA-256 of the plan whose run made the change, in hex; none for a change by a single command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// For an intent: SHA-256 of the `tenant.json` that the change makes. It took effect if and only if that is the file there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// SHA-256 of the line before, in hex.
    pub previous: String,
}

/// A line of the journal and the SHA-256 of the `tenant.json` that its change made or was to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recorded {
    /// Number of the line.
    pub(super) line: u64,
    /// The hash, in hex.
    pub(super) hash: String,
}

/// The journal of a tenant.
#[derive(Debug)]
pub struct Journal {
    file: LogFile,
    entries: Vec<Entry>,
    last_hash: String,
    /// What the lines to come say of the plan.
    plan: Option<String>,
}

impl Journal {
    /// Reads a journal and checks its chain. A last line that a crash tore is left out, and cut off when the next one is written.
    ///
    /// # Errors
    /// [`Error::Malformed`] if a line was changed, removed or added by somebody else.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_on(path, Box::new(RealDisk))
    }

    pub(super) fn open_on(path: &Path, disk: Box<dyn Disk>) -> Result<Self> {
        let bytes = if path.exists() { durable::read(path, LIMIT, FORMAT)? } else { Vec::new() };
        let (entries, last_hash, whole) = parse(&bytes).map_err(|error| error.in_file(path))?;
        Ok(Self { file: LogFile::new(path, &bytes, whole, disk), entries, last_hash, plan: None })
    }

    /// From now on every line says that the run of this plan made it.
    pub(super) fn attribute_to(&mut self, plan: &str) {
        self.plan = Some(plan.to_owned());
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

    /// Which `tenant.json` the last change that took effect made, and which one a change that was never settled was to make.
    /// The first is not known for changes of versions of keykit that did not write it down.
    pub(super) fn recorded(&self) -> (Option<Recorded>, Option<Recorded>) {
        let (mut settled, mut pending) = (None, None);
        for entry in &self.entries {
            match entry.moment {
                Moment::Intent => pending = entry.result.clone().map(|hash| Recorded { line: entry.number, hash }),
                Moment::Abandoned => pending = None,
                Moment::Done if pending.is_some() => settled = pending.take(),
                Moment::Done if entry.note == UNCHANGED => {}
                Moment::Done => settled = None,
            }
        }
        (settled, pending)
    }

    /// Writes a line; it is on the disk when this returns. After a failure nothing more is written.
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
            plan: self.plan.clone(),
            result,
            previous: self.last_hash.clone(),
        };
        let line = serde_json::to_string(&entry).map_err(|error| Error::Internal(format!("encoding a journal line: {error}")))?;
        self.file.append(&line)?;
        self.last_hash = hash(line.as_bytes());
        self.entries.push(entry);
        Ok(())
    }
}

/// The lines, the hash of the last, and how many bytes they take. What follows is a torn line.
fn parse(bytes: &[u8]) -> Result<(Vec<Entry>, String, usize)> {
    let (mut entries, mut last_hash, mut whole) = (Vec::<Entry>::new(), GENESIS.to_owned(), 0);
    loop {
        let rest = bytes.get(whole..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        let end = rest.iter().position(|&byte| byte == b'\n');
        let text = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
        let number = entries.len() as u64 + 1;
        let problem = match (end, serde_json::from_slice::<Entry>(text)) {
            (None, _) => "it has no end".to_owned(),
            (_, Err(error)) => error.to_string(),
            (Some(_), Ok(entry)) if entry.previous == last_hash && entry.number == number => {
                last_hash = hash(text);
                entries.push(entry);
                whole += text.len() + 1;
                continue;
            }
            _ => "the chain of lines is broken: a line was changed or is missing".to_owned(),
        };
        if is_torn(rest, MEMBER, |line| serde_json::from_slice::<Entry>(line).is_ok()) {
            break;
        }
        return Err(Error::malformed(FORMAT, format!("line {number}: {problem}"))
            .at(whole as u64)
            .with_hint("stop and keep the folder as it is: somebody or something edited the journal"));
    }
    Ok((entries, last_hash, whole))
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
    use std::path::PathBuf;

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
