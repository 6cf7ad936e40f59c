//! The transcript: what happened in the room, line by line, each line bound to the one before.
//!
//! JSON Lines. Each line is canonical JSON ([`crate::canonical`]) with its number, the time, what happened, and the SHA-256 of the
//! line before, line feed included; so `sed -n 7p FILE | sha256sum` gives the member `previous` of line 8. A file only ever grows.
//! A line that a crash tore stays where it is, and the next line says how long it is and what its SHA-256 is. The format is
//! documented in `docs/transcript.md`.
//!
//! The chain of hashes finds accidents and clumsy hands. What binds a whole file is the [`Checkpoint`] that witnesses sign.

mod checkpoint;
mod entry;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;

use memchr::memmem;

pub use checkpoint::{Checkpoint, NAMESPACE, sign};
pub use entry::{Entry, Happening, MachineIdentity, ModuleIdentity, ProgramIdentity, TokenIdentity};
pub use writer::TranscriptWriter;

use crate::canonical;
use crate::durable;
use crate::error::{Error, Result};

const FORMAT: &str = "transcript";
/// Largest transcript that is read, in bytes.
const LIMIT: u64 = 64 << 20;
/// What the first line carries as the hash of the line before.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A line of a transcript, with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What stands in it.
    pub entry: Entry,
    /// SHA-256 of the line with its line feed, in hex: what the next line carries as `previous`.
    pub hash: String,
    /// Number of the line in the file, from 1. Greater than the number of the entry where a torn line stands before.
    pub line: u64,
}

/// A transcript in which every line is bound to the one before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    lines: Vec<Line>,
    state: State,
    /// Leaves of the Merkle tree.
    leaves: Vec<[u8; 32]>,
    torn_bytes: u64,
}

/// Where a transcript stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    plan: Option<String>,
    /// Number of the entry that began the session that has no end yet.
    open_session: Option<u64>,
    is_closed: bool,
}

impl State {
    /// Takes an entry in; says what is wrong with it at this place.
    fn take(&mut self, entry: &Entry) -> Result<(), &'static str> {
        if self.is_closed {
            return Err("something was added after the transcript was closed");
        }
        match &entry.what {
            Happening::Session { plan, .. } => {
                if !is_hash(plan) {
                    return Err("the hash of its plan is no SHA-256 in hex");
                }
                if self.open_session.is_some() {
                    return Err("a session begins while another has no end");
                }
                if self.plan.get_or_insert_with(|| plan.clone()) != plan {
                    return Err("a session of another plan begins");
                }
                self.open_session = Some(entry.number);
            }
            _ if self.plan.is_none() => return Err("the first line does not say on which machine and with which program it was written"),
            Happening::SessionEnded { .. } if self.open_session.take().is_none() => return Err("a session ends that did not begin"),
            Happening::CrashFound { session } if self.open_session.take() != Some(*session) => return Err("a crash of another session is found"),
            Happening::Closed {} if self.open_session.is_some() => return Err("it is closed in the middle of a session"),
            Happening::Closed {} => self.is_closed = true,
            _ => {}
        }
        Ok(())
    }
}

impl Transcript {
    /// Reads a transcript. A line without end at the end of the file is left out: see [`Self::torn_bytes`].
    ///
    /// # Errors
    /// [`Error::Malformed`] with the number and place of the first line that does not fit.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > LIMIT {
            return Err(Error::malformed(FORMAT, format!("larger than {LIMIT} bytes")));
        }
        let (mut transcript, mut at, mut line) = (Self::default(), 0, 1);
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
                transcript.torn_bytes = rest.len() as u64;
                break;
            };
            let text = rest.get(..=end).unwrap_or_default();
            match transcript.next(text, line, None) {
                Ok(next) => {
                    transcript.add(next, text)?;
                    at += text.len();
                    line += 1;
                }
                Err(problem) => match transcript.after_torn_line(rest, line) {
                    Some((next, begin, length)) => {
                        let text = rest.get(begin..begin + length).unwrap_or_default();
                        let number = next.line;
                        transcript.add(next, text)?;
                        at += begin + length;
                        line = number + 1;
                    }
                    None if transcript.is_torn(rest) => {
                        transcript.torn_bytes = rest.len() as u64;
                        break;
                    }
                    None => return Err(wrong(line, &problem).at(at as u64)),
                },
            }
        }
        Ok(transcript)
    }

    /// Reads a transcript.
    ///
    /// # Errors
    /// As [`Self::parse`], and [`Error::Read`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&durable::read(path, LIMIT, FORMAT)?).map_err(|error| error.in_file(path))
    }

    /// The lines, torn ones left out.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The entries in order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.lines.iter().map(|line| &line.entry)
    }

    /// Hash of the plan that it is about; `None` for an empty one.
    #[must_use]
    pub fn plan(&self) -> Option<&str> {
        self.state.plan.as_deref()
    }

    /// SHA-256 of the last line, in hex: it stands for the whole transcript.
    #[must_use]
    pub fn final_hash(&self) -> &str {
        self.lines.last().map_or(GENESIS, |line| &line.hash)
    }

    /// Whether it is closed: nothing may follow.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state.is_closed
    }

    /// Number of the entry that began the session that has no end, if there is one: its program runs, or has crashed.
    #[must_use]
    pub fn open_session(&self) -> Option<u64> {
        self.state.open_session
    }

    /// Length in bytes of a torn line at the end that no line speaks of yet.
    #[must_use]
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// What witnesses sign; `None` for an empty transcript.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        let plan = self.plan()?.to_owned();
        Some(Checkpoint { plan, size: self.lines.len() as u64, root: checkpoint::merkle_root(&self.leaves), last: self.final_hash().to_owned() })
    }

    /// Where the clock went back: line numbers. Clocks are set; it is no proof of anything, and worth a question.
    #[must_use]
    pub fn clock_went_back(&self) -> Vec<u64> {
        let pairs = self.lines.iter().zip(self.lines.iter().skip(1));
        pairs.filter(|(before, after)| after.entry.time < before.entry.time).map(|(_, after)| after.line).collect()
    }

    /// The line that follows, if `text` is it; `torn` is what stands between it and the line before.
    fn next(&self, text: &[u8], line: u64, torn: Option<&[u8]>) -> Result<Line, String> {
        let body = text.strip_suffix(b"\n").unwrap_or(text);
        let entry: Entry = serde_json::from_slice(body).map_err(|error| format!("it is no line of a transcript: {error}"))?;
        let number = self.lines.len() as u64 + 1;
        if entry.number != number {
            return Err(format!("it has the number {}, and {number} must follow here: a line is missing, was added or was moved", entry.number));
        }
        if entry.previous != self.final_hash() {
            return Err(match self.lines.last() {
                Some(before) => format!("it was not written after line {} as that line is now: one of the two was changed", before.line),
                None => "it was not the first line when it was written".to_owned(),
            });
        }
        if canonical::to_string(&entry).map_err(|error| error.to_string())?.as_bytes() != body {
            return Err("it is not in canonical form".to_owned());
        }
        let speaks_of_torn = match &entry.what {
            Happening::TornLine { bytes, sha256 } => Some((*bytes, sha256.as_str())),
            _ => None,
        };
        match (speaks_of_torn, torn) {
            (None, None) => {}
            (Some((bytes, sha256)), Some(torn)) if bytes == torn.len() as u64 && sha256 == canonical::sha256_hex(torn) => {}
            _ => return Err("it speaks of a torn line that is not there, or not as it was".to_owned()),
        }
        Ok(Line { entry, hash: canonical::sha256_hex(text), line })
    }

    /// Where it stands after an entry, or why that entry may not follow.
    fn state_after(&self, entry: &Entry) -> Result<State, &'static str> {
        let mut state = self.state.clone();
        state.take(entry)?;
        Ok(state)
    }

    /// Takes in a line that was written behind the last one.
    fn add_written(&mut self, entry: Entry, text: &str, state: State) {
        let line = self.lines.last().map_or(1, |line| line.line + 1);
        self.leaves.push(checkpoint::leaf(text.as_bytes()));
        self.lines.push(Line { entry, hash: canonical::sha256_hex(text.as_bytes()), line });
        self.state = state;
    }

    fn add(&mut self, line: Line, text: &[u8]) -> Result<()> {
        self.state.take(&line.entry).map_err(|problem| wrong(line.line, problem))?;
        self.leaves.push(checkpoint::leaf(text));
        self.lines.push(line);
        Ok(())
    }

    /// Looks behind a torn line for the line that speaks of it: that line, where it begins, and its length.
    fn after_torn_line(&self, rest: &[u8], line: u64) -> Option<(Line, usize, usize)> {
        let mut begin = 0;
        let mut number = line;
        while let Some(end) = rest.get(begin..)?.iter().position(|&byte| byte == b'\n') {
            let torn = rest.get(..begin + end)?;
            begin += end + 1;
            number += 1;
            let length = rest.get(begin..)?.iter().position(|&byte| byte == b'\n').map(|end| end + 1);
            let text = length.and_then(|length| rest.get(begin..begin + length));
            // Only lines that may speak of a torn one are looked at closely: a hostile file must not make this slow.
            if let Some(text) = text.filter(|text| memmem::find(text, entry::TORN_MARK).is_some())
                && let Ok(next) = self.next(text, number, Some(torn))
            {
                return Some((next, begin, text.len()));
            }
        }
        None
    }

    /// Whether what is left of a file is a line that a crash tore, perhaps with the torn beginnings of lines about it behind it.
    fn is_torn(&self, rest: &[u8]) -> bool {
        let is_text = |part: &[u8]| str::from_utf8(part).is_ok_and(|text| !text.chars().any(char::is_control));
        let is_whole = |part: &[u8]| serde_json::from_slice::<serde_json::Value>(part).is_ok();
        let mut parts: Vec<&[u8]> = rest.split(|&byte| byte == b'\n').collect();
        // What has no end may be whole but for its line feed.
        let last = if parts.len() > 1 { parts.pop().unwrap_or_default() } else { b"" };
        let (first, between) = parts.split_first().unwrap_or((&rest, &[]));
        if is_whole(first) || between.iter().any(|part| is_whole(part)) {
            return false;
        }
        let head = format!("{{\"number\":{},\"previous\":\"{}\",", self.lines.len() + 1, self.final_hash()).into_bytes();
        // Holes and remains of other files are no text. Where all is text, only beginnings of our own lines are torn lines.
        !is_text(first) || between.iter().chain([&last]).all(|part| part.starts_with(&head) || head.starts_with(part))
    }
}

fn wrong(line: u64, problem: &str) -> Error {
    Error::malformed(FORMAT, format!("line {line}: {problem}"))
        .with_hint("somebody or something changed the transcript: keep all files as they are, and find out")
}

/// Whether a text is a SHA-256 in lower-case hex.
fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}
