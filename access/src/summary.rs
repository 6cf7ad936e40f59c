//! The result of a survey: per key, and the files that would be lost.

use std::collections::BTreeMap;

use keykit::bulk::{Ledger, LedgerLine};
use keykit::key::KeyId;
use keykit::{Error, Result};
use serde::Serialize;

use crate::accepted::{AcceptedFile, AcceptedFiles};
use crate::prove::{FileFinding, FileVerdict, NamedServer};

/// So many bytes are given to the writer at a time.
const BUFFER: usize = 64 << 10;

/// What a survey found, also the parts of a run that was stopped and went on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Files that were looked at.
    pub files: u64,
    /// Files without a licence.
    pub not_protected: u64,
    /// Files whose licences all open.
    pub opens: u64,
    /// Files with a licence that does not open.
    pub lost: u64,
    /// Files that could not be read whole.
    pub unknown: u64,
    /// Files that are or hold archives or stores of kinds that are not looked into.
    pub not_looked_into: u64,
    /// Files of the last two that a custodian accepted, by name.
    pub accepted: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Licences by key, those that open and those that do not.
    pub keys: BTreeMap<KeyId, KeySummary>,
}

/// What a survey found about one key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KeySummary {
    /// Licences that open under it.
    pub opens: u64,
    /// Licences that are sealed to it and do not open, as far as files list them.
    pub fails: u64,
    /// Whose key it is, as the first licence that does not open names it.
    #[serde(flatten)]
    pub server: NamedServer,
}

impl Summary {
    /// Sums a ledger up, and gives every bad file to `each`, with what the list says of it if it is accepted.
    ///
    /// # Errors
    /// As [`Ledger::lines`]; what `each` says.
    pub fn of<F>(ledger: &Ledger, accepted: &AcceptedFiles, mut each: F) -> Result<Self>
    where
        F: FnMut(&LedgerLine<FileFinding>, Option<AcceptedFile>) -> Result<()>,
    {
        let mut summary = Self::default();
        ledger.lines::<FileFinding>(|line, counts| {
            if !counts {
                return Ok(());
            }
            summary.add(&line);
            let accepted = accepted.of(&line);
            summary.accepted += u64::from(accepted.is_some());
            if line.settled { Ok(()) } else { each(&line, accepted) }
        })?;
        Ok(summary)
    }

    fn add(&mut self, line: &LedgerLine<FileFinding>) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(line.bytes);
        match line.finding.verdict {
            FileVerdict::NotProtected => self.not_protected += 1,
            FileVerdict::Opens => self.opens += 1,
            FileVerdict::Lost => self.lost += 1,
            FileVerdict::Unknown => self.unknown += 1,
            FileVerdict::NotLookedInto => self.not_looked_into += 1,
        }
        for (key, count) in &line.finding.opens {
            self.keys.entry(*key).or_default().opens += count;
        }
        for (key, server) in line.finding.problems.iter().filter_map(|problem| Some((problem.key_id?, &problem.server))) {
            let summary = self.keys.entry(key).or_default();
            summary.fails += 1;
            if summary.server == NamedServer::default() {
                summary.server = server.clone();
            }
        }
    }

    /// Files of which nothing good is known: lost, unknown, or not looked into.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.lost + self.unknown + self.not_looked_into
    }

    /// Whether there are protected files, every file was read but those that are accepted, and every licence opens. Where nothing was
    /// found nothing is proven: the share may not have been there.
    #[must_use]
    pub fn proves_access(&self) -> bool {
        self.bad() == self.accepted && self.opens > 0
    }
}

/// Writes bad files as CSV (RFC 4180): path, place in the file, verdict, key, whose it is and where that gives licences, problem.
#[derive(Debug)]
pub struct CsvOfProblems<W> {
    writer: W,
    buffer: Vec<u8>,
}

impl<W: FnMut(&[u8]) -> Result<()>> CsvOfProblems<W> {
    /// Begins with the header. `writer` takes the bytes.
    ///
    /// # Errors
    /// What the writer says.
    pub fn new(writer: W) -> Result<Self> {
        let mut csv = Self { writer, buffer: Vec::new() };
        csv.put(b"path,inside,verdict,key_id,licensor,licensing_url,problem\r\n")?;
        Ok(csv)
    }

    /// Writes the problems of one file.
    ///
    /// # Errors
    /// What the writer says.
    pub fn add(&mut self, line: &LedgerLine<FileFinding>) -> Result<()> {
        for problem in &line.finding.problems {
            let verdict = serde_name(&problem.verdict)?;
            let key = problem.key_id.map(|key| key.to_string()).unwrap_or_default();
            let NamedServer { licensor, licensing_url } = &problem.server;
            let [licensor, url] = [licensor, licensing_url].map(|name| name.as_deref().unwrap_or_default());
            let fields = [line.id.as_str(), &problem.inside, &verdict, &key, licensor, url, &problem.problem].map(quote).join(",");
            self.put(format!("{fields}\r\n").as_bytes())?;
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(mut self) -> Result<()> {
        (self.writer)(&self.buffer)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER {
            (self.writer)(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}

/// The name of a value as JSON has it.
fn serde_name(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string(value).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(text.trim_matches('"').to_owned())
}

/// A field of CSV. Spreadsheets run what begins with `=`, `+`, `-` or `@`: such a field gets an apostrophe before it.
fn quote(field: &str) -> String {
    let guard = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{guard}{}\"", field.replace('"', "\"\""))
}
