//! Files examined, with one line about each in a ledger. Nothing but the ledger is written.

use std::path::Path;

use jiff::Timestamp;
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

/// The line with which a run begins, and the one with which it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct RunLine {
    run: RunMark,
    time: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RunMark {
    Begun,
    Ended,
}

/// A ledger: a header, then runs. A run is a line that says when it began, one line for each file, appended in the order of the
/// survey and synced in groups, and a line that says when it ended.
///
/// A run that was killed goes on behind the last whole group. A file that was examined again has a second line: the later
/// one counts. After a run that ended the next one begins from nothing: what was found out then may be true no more.
#[derive(Debug)]
pub struct Ledger {
    log: LogFile,
    /// What the run has settled: 16 bytes for each line, sorted.
    settled: Vec<u128>,
    /// The files that the last [`survey()`] came by: 16 bytes for each, sorted.
    seen: Vec<u128>,
    /// When the run began, and the offset of the line that says so.
    begun: (Timestamp, u64),
}

impl Ledger {
    /// Opens or makes a ledger and locks it: to go on with the run that did not end, or to begin one `now`. `format` is the kind
    /// of the ledger, `job` what was surveyed for what.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is of another job or another run has it; [`Error::Malformed`] if it is no such ledger;
    /// [`Error::Write`].
    pub fn open(path: &Path, format: &'static str, job: &str, now: Timestamp) -> Result<Self> {
        let mut settled = Vec::new();
        let mut begun = None;
        let mut log = LogFile::open(path, format, job, |offset, line| {
            if let Ok(run) = serde_json::from_slice::<RunLine>(line) {
                settled.clear();
                begun = (run.run == RunMark::Begun).then_some((run.time, offset));
            } else if let Ok(line) = serde_json::from_slice::<LedgerLine<serde::de::IgnoredAny>>(line)
                && line.settled
            {
                settled.push(stamp(&line.id, line.bytes, line.changed));
            }
        })?;
        settled.sort_unstable();
        let begun = match begun {
            Some(begun) => begun,
            None => {
                settled.clear();
                let offset = log.length();
                log.append(to_line(&RunLine { run: RunMark::Begun, time: now })?.as_bytes())?;
                log.sync()?;
                (now, offset)
            }
        };
        Ok(Self { log, settled, seen: Vec::new(), begun })
    }

    /// When the run began.
    #[must_use]
    pub fn begun(&self) -> Timestamp {
        self.begun.0
    }

    /// Writes that the run has ended: the next one begins from nothing.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn finish(mut self, now: Timestamp) -> Result<()> {
        self.log.append(to_line(&RunLine { run: RunMark::Ended, time: now })?.as_bytes())?;
        self.log.sync()
    }

    /// Gives every line of the run to `each`, oldest first, and whether it counts: it is the last about its file, and the last
    /// [`survey()`] came by that file. So a file that was removed while the run was interrupted counts no more. Memory is 24
    /// bytes a line.
    ///
    /// # Errors
    /// What `each` says; [`Error::Read`]; [`Error::Malformed`] for a line that is not one of this ledger.
    pub fn lines<F: serde::de::DeserializeOwned>(&self, mut each: impl FnMut(LedgerLine<F>, bool) -> Result<()>) -> Result<()> {
        let mut last: Vec<(u128, u64)> = Vec::new();
        self.log.read(|offset, line| {
            if offset <= self.begun.1 {
                return Ok(());
            }
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
            if offset <= self.begun.1 {
                return Ok(());
            }
            let line: LedgerLine<F> = parse(line, offset)?;
            let name = name(&line.id);
            let counts = self.seen.binary_search(&name).is_ok() && last.binary_search(&(name, offset)).is_ok();
            each(line, counts)
        })
    }
}

/// Examines all `files` that the run of the ledger has not settled.
pub fn survey<S: Survey>(files: Files, ledger: &mut Ledger, survey: &S, options: &Options<'_>, observer: &mut dyn Observer) -> Report {
    let mut meter = Meter::new(files.total(), observer);
    let Ledger { log, settled, seen, .. } = ledger;
    seen.clear();
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
        Ok((known.into_iter().map(|(_, input)| name(&input.id)).collect::<Vec<_>>(), lines.collect::<Vec<_>>()))
    };
    let mut newly_settled = Vec::new();
    let ended = engine::run(files, options, work, |group| {
        let mut text = String::new();
        let mut told = Vec::new();
        for ((known, lines), ()) in group {
            meter.counts.skipped += known.len() as u64;
            seen.extend(known);
            for (line, problem) in lines {
                seen.push(name(&line.id));
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
    seen.sort_unstable();
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
