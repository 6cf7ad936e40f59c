//! The result of a survey: per key, and the files that would be lost.

use std::collections::BTreeMap;
use std::io::Write;

use keykit::bulk::{Ledger, LedgerLine};
use keykit::key::KeyId;
use keykit::{Error, Result};
use serde::Serialize;

use crate::prove::{FileFinding, FileVerdict};

/// What a survey found, all runs of it together.
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
    /// Bytes of all files.
    pub bytes: u64,
    /// Licences by key, those that open and those that do not.
    pub keys: BTreeMap<KeyId, KeySummary>,
}

/// What a survey found about one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct KeySummary {
    /// Licences that open under it.
    pub opens: u64,
    /// Licences that are sealed to it and do not open, as far as files list them.
    pub fails: u64,
}

impl Summary {
    /// Sums a ledger up, and gives every bad file to `each`.
    ///
    /// # Errors
    /// As [`Ledger::lines`]; what `each` says.
    pub fn of(ledger: &Ledger, mut each: impl FnMut(&LedgerLine<FileFinding>) -> Result<()>) -> Result<Self> {
        let mut summary = Self::default();
        ledger.lines::<FileFinding>(|line, is_last| {
            if !is_last {
                return Ok(());
            }
            summary.add(&line);
            if line.settled { Ok(()) } else { each(&line) }
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
        }
        for (key, count) in &line.finding.opens {
            self.keys.entry(*key).or_default().opens += count;
        }
        for key in line.finding.problems.iter().filter_map(|problem| problem.key_id) {
            self.keys.entry(key).or_default().fails += 1;
        }
    }

    /// Whether every file was read and every licence opens.
    #[must_use]
    pub fn proves_access(&self) -> bool {
        self.lost == 0 && self.unknown == 0
    }
}

/// Writes bad files as CSV (RFC 4180): path, place in the file, verdict, key, problem.
#[derive(Debug)]
pub struct CsvOfProblems<W> {
    writer: W,
}

impl<W: Write> CsvOfProblems<W> {
    /// Begins with the header.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn new(mut writer: W) -> Result<Self> {
        writer.write_all(b"path,inside,verdict,key_id,problem\r\n").map_err(failed)?;
        Ok(Self { writer })
    }

    /// Writes the problems of one file.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn add(&mut self, line: &LedgerLine<FileFinding>) -> Result<()> {
        for problem in &line.finding.problems {
            let verdict = serde_name(&problem.verdict)?;
            let key = problem.key_id.map(|key| key.to_string()).unwrap_or_default();
            let fields = [line.id.as_str(), &problem.inside, &verdict, &key, &problem.problem].map(quote).join(",");
            self.writer.write_all(format!("{fields}\r\n").as_bytes()).map_err(failed)?;
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn finish(mut self) -> Result<()> {
        self.writer.flush().map_err(failed)
    }
}

fn failed(source: std::io::Error) -> Error {
    Error::Write { path: "the CSV file".into(), source }
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
