//! The journal of runs: what was about to be done and what was done, chained by hash, synced line by line.
//!
//! One file holds all runs of a tenant. Each line is canonical JSON with the hash of the line before (`previous`) and its own
//! (`hash`, over the line without that member). A last line that a crash tore is cut off: it has no line feed at its end, or holds
//! bytes that no line of ours holds. Anything else that does not fit was changed by somebody, and is refused with its line number.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::platform::Platform;
use crate::canonical;
use crate::durable::{self, log_file::is_torn};
use crate::error::{Error, Result};
use crate::migration::plan::Plan;

const FORMAT: &str = "journal of runs";
/// Largest journal that is read, in bytes.
const LIMIT: u64 = 256 << 20;
/// What the first line carries as the hash of the line before.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// What stands once in every line and nowhere else: quotes inside of texts are escaped.
const MEMBER: &[u8] = b"\"previous\":\"";
/// Name of the file in its folder.
const NAME: &str = "journal.jsonl";

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// A run begins.
    Started {
        /// Hash of the plan.
        plan: String,
        /// Name and version of the program.
        program: String,
        /// Who approved.
        approved_by: Vec<String>,
    },
    /// A run that was interrupted goes on.
    Resumed {
        /// The step in the middle of which it was interrupted, if it was in one.
        open: Option<String>,
        /// Length of the torn last line that was cut off, in bytes.
        cut_bytes: u64,
    },
    /// A step is about to be done.
    Intent {
        /// The step.
        step: String,
        /// What must be known to undo it.
        before: Option<String>,
    },
    /// A step is done.
    Done {
        /// The step.
        step: String,
        /// What was seen.
        seen: String,
        /// Whether its effect was there already.
        adopted: bool,
    },
    /// A step failed; it can be tried again.
    Failed {
        /// The step.
        step: String,
        /// Kind of the error.
        code: String,
        /// The error.
        message: String,
    },
    /// All steps are done.
    Finished {},
    /// The run is being given up.
    AbortStarted {
        /// Why.
        reason: String,
    },
    /// A step was undone.
    Undone {
        /// The step.
        step: String,
        /// What was seen.
        note: String,
    },
    /// A step could not be undone; what it did stays.
    Kept {
        /// The step.
        step: String,
        /// Why.
        note: String,
    },
    /// The run was given up.
    Aborted {},
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Counts from 1.
    pub number: u64,
    /// When (UTC, whole seconds).
    pub time: Timestamp,
    /// What.
    pub what: Event,
    /// Hash of the line before, in hex.
    pub previous: String,
    /// SHA-256 of the canonical JSON of the other members, in hex.
    pub hash: String,
}

impl Record {
    fn hash_of(number: u64, time: Timestamp, what: &Event, previous: &str) -> Result<String> {
        canonical::hash(&serde_json::json!({ "number": number, "time": time, "what": what, "previous": previous }))
    }

    fn new(number: u64, time: Timestamp, what: Event, previous: String) -> Result<Self> {
        let hash = Self::hash_of(number, time, &what, &previous)?;
        Ok(Self { number, time, what, previous, hash })
    }

    /// Why a line is not the one that follows, if it is not.
    fn problem(&self, number: u64, previous: &str, text: &[u8]) -> Result<Option<&'static str>> {
        if self.number != number || self.previous != previous {
            return Ok(Some("it does not follow the line before: a line is missing, was added or was moved"));
        }
        if Self::hash_of(self.number, self.time, &self.what, &self.previous)? != self.hash {
            return Ok(Some("its content is not what was written: its hash does not fit"));
        }
        Ok((canonical::to_string(self)?.as_bytes() != text).then_some("it is not in canonical form"))
    }
}

/// Where the last run in a journal stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segment {
    /// Hash of its plan.
    pub plan: String,
    /// Steps that are done, each with what was the case before.
    pub done: BTreeMap<String, Option<String>>,
    /// The step whose intent has no outcome, with what was the case before.
    pub open: Option<(String, Option<String>)>,
    /// Whether all is done.
    pub finished: bool,
    /// Whether it is being given up.
    pub aborting: bool,
    /// What was undone.
    pub undone: BTreeSet<String>,
    /// What could not be undone when that was tried, and why.
    pub kept: BTreeMap<String, String>,
    /// Whether it was given up.
    pub aborted: bool,
    /// How often it was resumed.
    pub resumed: usize,
}

impl Segment {
    /// Takes an event in; says what is wrong with it at this place.
    fn take(&mut self, event: &Event) -> Result<(), &'static str> {
        let over = self.finished || self.aborted;
        match event {
            Event::Started { .. } => return Err("a run begins while another is not over"),
            _ if over => return Err("something happens after the end of a run"),
            Event::Resumed { .. } => self.resumed += 1,
            Event::Intent { step, before } => {
                if self.open.is_some() || self.done.contains_key(step) || self.aborting {
                    return Err("a step begins that may not begin");
                }
                self.open = Some((step.clone(), before.clone()));
            }
            Event::Done { step, .. } => {
                let before = match self.open.take() {
                    Some((open, before)) if open == *step => before,
                    // Steps that a person does have no intent.
                    None if step.starts_with("manual/") => None,
                    _ => return Err("a step is done that was not begun"),
                };
                if self.done.insert(step.clone(), before).is_some() || self.aborting {
                    return Err("a step is done twice");
                }
            }
            Event::Failed { step, .. } => {
                if self.open.as_ref().is_none_or(|(open, _)| open != step) {
                    return Err("a step fails that was not begun");
                }
            }
            Event::Finished {} => {
                if self.open.is_some() || self.aborting {
                    return Err("a run ends in the middle of a step");
                }
                self.finished = true;
            }
            Event::AbortStarted { .. } => self.aborting = true,
            Event::Undone { .. } | Event::Kept { .. } | Event::Aborted {} if !self.aborting => return Err("a step is undone while nobody aborts"),
            Event::Undone { step, .. } => drop(self.undone.insert(step.clone())),
            Event::Kept { step, note } => drop(self.kept.insert(step.clone(), note.clone())),
            Event::Aborted {} => self.aborted = true,
        }
        Ok(())
    }

    /// Refuses a journal that speaks of steps that the plan does not have.
    ///
    /// # Errors
    /// [`Error::Conflict`].
    pub fn check_against(&self, plan: &Plan) -> Result<()> {
        let steps = self.done.keys().chain(self.open.iter().map(|(step, _)| step));
        match steps.into_iter().find(|step| plan.step(step).is_none()) {
            Some(step) => Err(Error::Conflict {
                what: format!("the journal speaks of the step {step}, which the plan does not have"),
                hint: Some("the journal was changed, or belongs to something else: keep both and find out".into()),
            }),
            None => Ok(()),
        }
    }
}

/// The journal of a tenant's runs, open for writing.
#[derive(Debug)]
pub struct RunJournal<'p> {
    platform: &'p mut dyn Platform,
    path: PathBuf,
    records: Vec<Record>,
    length: u64,
    cut: u64,
    is_broken: bool,
}

impl<'p> RunJournal<'p> {
    /// Opens the journal in a folder and checks every line. A torn last line is cut off.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the line that was changed; [`Error::Read`] or [`Error::Write`].
    pub fn open(platform: &'p mut dyn Platform, folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let bytes = platform.read(&path, LIMIT + 1).map_err(|source| Error::Read { path: path.clone(), source })?.unwrap_or_default();
        let (records, whole) = parse(&bytes).map_err(|error| error.in_file(&path))?;
        let cut = bytes.len().saturating_sub(whole) as u64;
        let failed = |source| Error::Write { path: path.clone(), source };
        if cut > 0 {
            platform.truncate(&path, whole as u64).map_err(failed)?;
        }
        // A process that died may have left a last line that is read and not on the disk. Nothing is built on that. It is written
        // again before the sync: after a sync that failed, the system may take it for written.
        if !bytes.is_empty() {
            let kept = bytes.get(..whole).unwrap_or_default();
            let body = kept.strip_suffix(b"\n").unwrap_or(kept);
            let last = body.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
            platform.overwrite(&path, last as u64, kept.get(last..).unwrap_or_default()).map_err(failed)?;
            platform.sync(&path).map_err(failed)?;
            platform.sync_folder(folder).map_err(failed)?;
        }
        Ok(Self { platform, path, records, length: whole as u64, cut, is_broken: false })
    }

    /// All lines.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Length of the torn line that was cut off when the journal was opened.
    #[must_use]
    pub fn cut_bytes(&self) -> u64 {
        self.cut
    }

    /// Where every run stands, in order. All but the last are over.
    ///
    /// # Errors
    /// As [`Self::segment`].
    pub fn segments(&self) -> Result<Vec<Segment>> {
        segments_of(&self.records).map_err(|error| error.in_file(&self.path))
    }

    /// Where the last run stands; `None` if there was none.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the lines contradict each other.
    pub fn segment(&self) -> Result<Option<Segment>> {
        segment_of(&self.records).map_err(|error| error.in_file(&self.path))
    }

    /// Writes a line; it is on the disk when this returns. After a failure nothing more is written: the state of the file is
    /// unknown until it is opened anew.
    ///
    /// # Errors
    /// [`Error::Write`]; what [`Platform::recorded`] says, after which the line is on the disk nevertheless.
    pub fn record(&mut self, what: Event) -> Result<()> {
        let failed = |path: &Path, source| Error::Write { path: path.to_owned(), source };
        if self.is_broken {
            return Err(failed(&self.path, std::io::Error::other("an earlier line could not be written")));
        }
        let previous = self.records.last().map_or(GENESIS, |record| &record.hash).to_owned();
        let record = Record::new(self.records.len() as u64 + 1, self.platform.now(), what, previous)?;
        let line = format!("{}\n", canonical::to_string(&record)?);
        let written = self.write(line.as_bytes());
        if let Err(source) = written {
            self.is_broken = true;
            // A line that may never reach the disk is taken back, lest the next process builds on it. If this fails too, the
            // line is torn or whole, and both are known when the journal is opened anew.
            if self.platform.truncate(&self.path, self.length).is_ok() {
                drop(self.platform.sync(&self.path));
            }
            return Err(failed(&self.path, source));
        }
        self.length += line.len() as u64;
        let told = self.platform.recorded(&record);
        self.records.push(record);
        told
    }

    fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        self.platform.append(&self.path, line)?;
        self.platform.sync(&self.path)?;
        if self.records.is_empty() {
            self.platform.sync_folder(self.path.parent().unwrap_or(Path::new(".")))?;
        }
        Ok(())
    }
}

/// The lines of the journal in a folder as they are now; nothing is changed, and a torn line is left out.
///
/// # Errors
/// [`Error::Malformed`] with the line that was changed; [`Error::Read`].
pub fn read(folder: &Path) -> Result<Vec<Record>> {
    let path = folder.join(NAME);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let bytes = durable::read(&path, LIMIT, FORMAT)?;
    parse(&bytes).map(|(records, _)| records).map_err(|error| error.in_file(&path))
}

/// Reads the lines of a journal: the records, and how many bytes they take. What follows is a torn line.
///
/// # Errors
/// [`Error::Malformed`] with the number and place of the line that was changed.
pub fn parse(bytes: &[u8]) -> Result<(Vec<Record>, usize)> {
    parse_within(bytes, LIMIT)
}

/// The same, of at most this many bytes.
pub(super) fn parse_within(bytes: &[u8], limit: u64) -> Result<(Vec<Record>, usize)> {
    if bytes.len() as u64 > limit {
        return Err(Error::malformed(FORMAT, format!("larger than {limit} bytes")));
    }
    let (mut records, mut whole) = (Vec::<Record>::new(), 0);
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| byte == b'\n');
        let line = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
        let number = records.len() as u64 + 1;
        let previous = records.last().map_or(GENESIS, |record| record.hash.as_str());
        let wrong = match serde_json::from_slice::<Record>(line) {
            Err(error) => Some(error.to_string()),
            Ok(record) => match (end.is_some(), record.problem(number, previous, line)?) {
                (true, None) => {
                    records.push(record);
                    None
                }
                (true, Some(problem)) => Some(problem.to_owned()),
                (false, _) => Some("it has no end".to_owned()),
            },
        };
        if let Some(problem) = wrong {
            if is_torn(rest, MEMBER, |line| serde_json::from_slice::<Record>(line).is_ok()) {
                break;
            }
            return Err(Error::malformed(FORMAT, format!("line {number}: {problem}"))
                .at(whole as u64)
                .with_hint("somebody or something changed the journal: stop, keep all files as they are, and find out"));
        }
        whole += line.len() + 1;
        rest = bytes.get(whole..).unwrap_or_default();
    }
    Ok((records, whole))
}

/// Where the last run of these lines stands.
///
/// # Errors
/// [`Error::Malformed`] if the lines contradict each other.
pub fn segment_of(records: &[Record]) -> Result<Option<Segment>> {
    segments_of(records).map(|mut segments| segments.pop())
}

/// Where every run of these lines stands, in order. All but the last are over.
///
/// # Errors
/// [`Error::Malformed`] if the lines contradict each other.
pub fn segments_of(records: &[Record]) -> Result<Vec<Segment>> {
    let mut segments: Vec<Segment> = Vec::new();
    for record in records {
        let wrong = |problem: &str| Error::malformed(FORMAT, format!("line {}: {problem}", record.number));
        match (&record.what, segments.last_mut()) {
            (Event::Started { .. }, Some(segment)) if !segment.finished && !segment.aborted => segment.take(&record.what).map_err(wrong)?,
            (Event::Started { plan, .. }, _) => segments.push(Segment { plan: plan.clone(), ..Segment::default() }),
            (_, None) => return Err(wrong("something happens before a run begins")),
            (event, Some(segment)) => segment.take(event).map_err(wrong)?,
        }
    }
    Ok(segments)
}
