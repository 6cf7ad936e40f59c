//! Files examined, with one line about each in a ledger. Nothing but the ledger is written.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Options;
use super::engine::{self, Feed as _};
use super::inputs::{FileInput, Files};
use super::progress::{Meter, Observer, Report};
use super::resume::{LogFile, to_line};
use crate::error::{Error, Result};

/// What is found out about files.
pub trait Survey: Sync {
    /// What there is to say of one file.
    type Finding: Serialize + Send;

    /// Examines files, and gives one finding for each, in the same order. Called from several threads at a time.
    ///
    /// # Errors
    /// Only what stops the run: the token does not answer. What is wrong with a file is a finding.
    fn examine(&self, files: &[FileInput]) -> Result<Vec<Self::Finding>>;

    /// The error in a finding, if it is a bad one. Files with bad findings are examined again by the next run.
    fn problem(finding: &Self::Finding) -> Option<Error>;
}

/// One line of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerLine<F> {
    /// The path under the folder that was surveyed, with `/` between its parts.
    pub id: String,
    /// Length of the file in bytes when it was examined.
    pub bytes: u64,
    /// When the file was last changed before it was examined, in nanoseconds since 1970, if the system says so.
    pub changed: Option<u64>,
    /// Whether a later run need not look again unless the file is another then.
    pub settled: bool,
    /// What was found.
    #[serde(flatten)]
    pub finding: F,
}

/// A ledger: a header, then one line for each file, appended in the order of the survey and synced in groups.
///
/// A run that was killed goes on behind the last whole group. A file that was examined again has a second line: the later
/// one counts.
#[derive(Debug)]
pub struct Ledger {
    log: LogFile,
    /// What is settled: 16 bytes for each line, sorted.
    settled: Vec<u128>,
}

impl Ledger {
    /// Opens or makes a ledger and locks it. `format` is the kind of the ledger, `job` what was surveyed for what.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is of another job or another run has it; [`Error::Malformed`] if it is no such ledger;
    /// [`Error::Write`].
    pub fn open(path: &Path, format: &'static str, job: &str) -> Result<Self> {
        let mut settled = Vec::new();
        let log = LogFile::open(path, format, job, |_, line| {
            if let Ok(line) = serde_json::from_slice::<LedgerLine<serde::de::IgnoredAny>>(line)
                && line.settled
            {
                settled.push(stamp(&line.id, line.bytes, line.changed));
            }
        })?;
        settled.sort_unstable();
        Ok(Self { log, settled })
    }

    /// Gives every line to `each`, oldest first, and whether it is the last about its file. Memory is 24 bytes a line.
    ///
    /// # Errors
    /// What `each` says; [`Error::Read`]; [`Error::Malformed`] for a line that is not one of this ledger.
    pub fn lines<F: serde::de::DeserializeOwned>(&self, mut each: impl FnMut(LedgerLine<F>, bool) -> Result<()>) -> Result<()> {
        let mut last: Vec<(u128, u64)> = Vec::new();
        self.log.read(|offset, line| {
            let line: LedgerLine<serde::de::IgnoredAny> = parse(line, offset)?;
            last.push((name(&line.id), offset));
            Ok(())
        })?;
        last.sort_unstable();
        // Of several lines about one file only the last stays.
        last.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 = later.1;
            }
            same
        });
        self.log.read(|offset, line| {
            let line: LedgerLine<F> = parse(line, offset)?;
            let is_last = last.binary_search(&(name(&line.id), offset)).is_ok();
            each(line, is_last)
        })
    }
}

/// Examines all `files` that the ledger has not settled.
pub fn survey<S: Survey>(files: Files, ledger: &mut Ledger, survey: &S, options: &Options<'_>, observer: &mut dyn Observer) -> Report {
    let mut meter = Meter::new(files.total(), observer);
    let Ledger { log, settled } = ledger;
    let work = |inputs: Vec<FileInput>| {
        let (known, fresh): (Vec<_>, Vec<_>) = inputs
            .into_iter()
            .map(|input| (changed_at(&input.path), input))
            .partition(|(changed, input)| settled.binary_search(&stamp(&input.id, Files::size(input), *changed)).is_ok());
        let (times, fresh): (Vec<_>, Vec<_>) = fresh.into_iter().unzip();
        let findings = if fresh.is_empty() { Vec::new() } else { survey.examine(&fresh)? };
        if findings.len() != fresh.len() {
            return Err(Error::Internal(format!("{} files gave {} findings", fresh.len(), findings.len())));
        }
        let lines = fresh.into_iter().zip(times).zip(findings).map(|((input, changed), finding)| {
            let problem = S::problem(&finding);
            (LedgerLine { settled: problem.is_none(), bytes: input.bytes, id: input.id, changed, finding }, problem)
        });
        Ok((known.len() as u64, lines.collect::<Vec<_>>()))
    };
    let mut newly_settled = Vec::new();
    let ended = engine::run(files, options, work, |group| {
        let mut text = String::new();
        let mut told = Vec::new();
        for ((known, lines), ()) in group {
            meter.counts.skipped += known;
            for (line, problem) in lines {
                text.push_str(&to_line(&line)?);
                if line.settled {
                    newly_settled.push(stamp(&line.id, line.bytes, line.changed));
                }
                told.push((line.id, problem));
            }
        }
        if !text.is_empty() {
            log.append(text.as_bytes())?;
            log.sync()?;
        }
        for (id, problem) in told {
            match problem {
                None => meter.counts.done += 1,
                Some(problem) => meter.failed(&id, &problem),
            }
        }
        meter.tell();
        Ok(())
    });
    settled.append(&mut newly_settled);
    settled.sort_unstable();
    meter.report(ended)
}

fn parse<F: serde::de::DeserializeOwned>(line: &[u8], offset: u64) -> Result<LedgerLine<F>> {
    serde_json::from_slice(line).map_err(|error| Error::malformed("ledger", error.to_string()).at(offset))
}

fn changed_at(path: &Path) -> Option<u64> {
    let time = path.metadata().ok()?.modified().ok()?;
    u64::try_from(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_nanos()).ok()
}

/// A file in the state in which it was examined. 128 bits: no two of them are ever the same by chance.
fn stamp(id: &str, bytes: u64, changed: Option<u64>) -> u128 {
    let mut hasher = Sha256::new();
    hasher.update(bytes.to_be_bytes());
    hasher.update(changed.map_or([0xff; 8], u64::to_be_bytes));
    hasher.update(id);
    shorten(&hasher.finalize())
}

fn name(id: &str) -> u128 {
    shorten(&Sha256::digest(id))
}

fn shorten(digest: &[u8]) -> u128 {
    digest.first_chunk().map_or(0, |start| u128::from_be_bytes(*start))
}
