//! JSON Lines into JSON Lines: `{"id","licence"}` into `{"id","licence"}` or `{"id","error","code"}`.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::engine::{self, Feed};
use super::progress::{Meter, Observer, Report};
use super::resume::{LogFile, hex, to_line};
use super::{Item, ItemKind, Options, Output, Transform, transform_all};
use crate::error::{Error, Result};

const FORMAT: &str = "keykit/bulk-lines-resume/1";
/// How much is read at a time of what is thrown away.
const CHUNK: u64 = 64 << 10;

/// Where lines are written to.
pub struct LinesOutput<'a> {
    writer: Writer<'a>,
    written: u64,
    /// Lines that were answered with an error, by earlier runs too.
    failed: u64,
    log: Option<LogFile>,
    begun: Option<Place>,
}

enum Writer<'a> {
    Stream(Box<dyn Write + 'a>),
    File(File, PathBuf),
}

/// A place between two lines: everything before it is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    lines: u64,
    items: u64,
    input_bytes: u64,
    /// SHA-256 of that much of the input, in hex.
    input_sha256: String,
    output_bytes: u64,
    /// Of the items, those that were answered with an error.
    #[serde(default)]
    failed: u64,
}

impl Place {
    /// How many bytes of output, and how many errors, belong to what is before it.
    fn standing(begun: Option<&Self>) -> (u64, u64) {
        begun.map_or((0, 0), |place| (place.output_bytes, place.failed))
    }
}

impl std::fmt::Debug for LinesOutput<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinesOutput").field("begun", &self.begun).finish_non_exhaustive()
    }
}

impl<'a> LinesOutput<'a> {
    /// Lines to a stream. Nothing can be resumed.
    #[must_use]
    pub fn stream(writer: impl Write + 'a) -> Self {
        Self { writer: Writer::Stream(Box::new(writer)), written: 0, failed: 0, log: None, begun: None }
    }

    /// Lines to a stream, with a resume log.
    ///
    /// The stream is flushed before the log says that its lines are done. A run that was killed in between writes the
    /// lines of that group once more: the reader must tell them by their ids. See [`Self::file`] for exactly once.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the log is of another job or another run has it; [`Error::Write`].
    pub fn stream_with_log(writer: impl Write + 'a, log: &Path, job: &str) -> Result<Self> {
        let (log, begun) = open_log(log, job)?;
        let (written, failed) = Place::standing(begun.as_ref());
        Ok(Self { writer: Writer::Stream(Box::new(writer)), written, failed, log: Some(log), begun })
    }

    /// Lines to a file that does not exist yet or is empty; and with a resume log, to one that an earlier run began. What
    /// that run wrote and its log does not know is cut off and done again.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the file holds something else, the log is of another job, or another run has it;
    /// [`Error::Write`].
    pub fn file(path: &Path, log: Option<(&Path, &str)>) -> Result<Self> {
        let not_written = |source| Error::Write { path: path.to_owned(), source };
        let conflict = |why: &str| Error::Conflict {
            what: format!("{} {why}", path.display()),
            hint: Some("choose another name; keykit does not overwrite".into()),
        };
        // Looked at first: a log that is made now must not stand beside a file of somebody else.
        let has_log = log.is_some_and(|(log, _)| log.metadata().is_ok_and(|metadata| metadata.len() > 0));
        if !has_log && path.metadata().is_ok_and(|metadata| metadata.len() > 0) {
            return Err(conflict("exists already"));
        }
        let (log, begun) = match log {
            Some((log, job)) => open_log(log, job).map(|(log, begun)| (Some(log), begun))?,
            None => (None, None),
        };
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(not_written)?;
        let (written, failed) = Place::standing(begun.as_ref());
        if file.metadata().map_err(not_written)?.len() < written {
            return Err(conflict("is shorter than the resume log says: it is not the file that was begun"));
        }
        file.set_len(written).map_err(not_written)?;
        file.seek(SeekFrom::Start(written)).map_err(not_written)?;
        crate::durable::sync_folder(crate::durable::parent(path))?;
        Ok(Self { writer: Writer::File(file, path.to_owned()), written, failed, log, begun })
    }

    /// Writes what belongs to the lines before `place`, `failed` of which are errors, then says in the log that they are done.
    fn commit(&mut self, text: &[u8], failed: u64, place: Option<Place>) -> Result<()> {
        match &mut self.writer {
            Writer::Stream(writer) => {
                writer.write_all(text).and_then(|()| writer.flush()).map_err(|source| Error::Write { path: "the output".into(), source })?;
            }
            Writer::File(file, path) => {
                let synced = file.write_all(text).and_then(|()| if self.log.is_some() { file.sync_data() } else { Ok(()) });
                synced.map_err(|source| Error::Write { path: path.clone(), source })?;
            }
        }
        self.written += text.len() as u64;
        self.failed += failed;
        if let (Some(log), Some(place)) = (&mut self.log, place) {
            log.append(to_line(&Place { output_bytes: self.written, failed: self.failed, ..place })?.as_bytes())?;
            log.sync()?;
        }
        Ok(())
    }

    /// The file is on the disk.
    fn finish(&mut self) -> Result<()> {
        match &self.writer {
            Writer::Stream(_) => Ok(()),
            Writer::File(file, path) => file.sync_all().map_err(|source| Error::Write { path: path.clone(), source }),
        }
    }
}

fn open_log(path: &Path, job: &str) -> Result<(LogFile, Option<Place>)> {
    let mut begun = None;
    let log = LogFile::open(path, FORMAT, job, |_, line| {
        if let Ok(place) = serde_json::from_slice(line) {
            begun = Some(place);
        }
    })?;
    Ok((log, begun))
}

/// Takes lines from `input` through `transform` to `output`, one line for each, in the same order. Empty lines are left out.
///
/// The id is a string or a number and is given back as it was. A line without one gets `"id":null` and its number, as
/// `"line"`. If the output has a resume log, what was done earlier is read over (and must be what it was) and counted as
/// skipped; the input must be given from its beginning. A line that was answered with an error is answered: it is not tried
/// again, and counts as failed in every later run.
///
/// For standard input give `BufReader::new(stdin())`: its lock can't go to another thread. A batch is worked on when it is
/// full or the input ends, so a writer that waits for an answer to each line waits for ever. A run that stops while the
/// input gives nothing ends when it gives the next line.
pub fn lines(
    input: impl BufRead + Send,
    mut output: LinesOutput<'_>,
    transform: &dyn Transform,
    options: &Options<'_>,
    observer: &mut dyn Observer,
) -> Report {
    let mut meter = Meter::new(None, observer);
    let mut feed = LineFeed { input, limit: options.item_limit, hasher: output.log.is_some().then(Sha256::new), place: Place::default() };
    if let Some(begun) = &output.begun {
        if let Err(error) = feed.skip(begun) {
            return meter.report(Err(error));
        }
        meter.begin_after(begun.items, begun.failed);
    }
    let ended = engine::run(
        feed,
        options,
        |raws| work(raws, transform),
        |group| {
            let mut text = Vec::new();
            let (mut done, mut unchanged, mut place) = (0, 0, None);
            let mut failures = Vec::new();
            for (batch, mark) in group {
                done += batch.done;
                unchanged += batch.unchanged;
                text.extend_from_slice(&batch.text);
                failures.extend(batch.failures);
                place = mark;
            }
            output.commit(&text, failures.len() as u64, place)?;
            meter.counts.done += done;
            meter.counts.unchanged += unchanged;
            failures.iter().for_each(|(id, error)| meter.failed(id, error));
            meter.tell();
            Ok(())
        },
    );
    meter.report(ended.and_then(|()| output.finish()))
}

/// One line as it was read.
struct RawLine {
    number: u64,
    /// `None` if it is longer than the limit.
    bytes: Option<Vec<u8>>,
}

struct LineFeed<R> {
    input: R,
    limit: u64,
    /// There if there is a resume log.
    hasher: Option<Sha256>,
    place: Place,
}

impl<R: BufRead + Send> Feed for LineFeed<R> {
    type Raw = RawLine;
    type Mark = Option<Place>;

    fn next(&mut self) -> Result<Option<RawLine>> {
        loop {
            let mut line = Vec::new();
            let ended = self.read(&mut line, self.limit.saturating_add(1))?;
            let number = self.place.lines + 1;
            let is_too_long = !ended && line.len() as u64 > self.limit;
            if line.is_empty() {
                return Ok(None);
            }
            self.place.lines = number;
            if is_too_long {
                self.skip_line()?;
            } else if line.trim_ascii().is_empty() {
                continue;
            }
            self.place.items += 1;
            return Ok(Some(RawLine { number, bytes: (!is_too_long).then_some(line) }));
        }
    }

    fn size(raw: &RawLine) -> u64 {
        raw.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)
    }

    fn mark(&self) -> Option<Place> {
        let hasher = self.hasher.clone()?;
        Some(Place { input_sha256: hex(&hasher.finalize()), ..self.place.clone() })
    }
}

impl<R: BufRead + Send> LineFeed<R> {
    /// Reads up to the end of the line, or `limit` bytes; whether the line ended.
    fn read(&mut self, line: &mut Vec<u8>, limit: u64) -> Result<bool> {
        line.clear();
        let read = (&mut self.input).take(limit).read_until(b'\n', line).map_err(|source| Error::Read { path: "the input".into(), source })?;
        self.place.input_bytes += read as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&line);
        }
        Ok(line.last() == Some(&b'\n'))
    }

    fn skip_line(&mut self) -> Result<()> {
        let mut scratch = Vec::new();
        while !self.read(&mut scratch, CHUNK)? && !scratch.is_empty() {}
        Ok(())
    }

    /// Reads over what an earlier run did.
    fn skip(&mut self, begun: &Place) -> Result<()> {
        let mut scratch = Vec::new();
        while self.place.input_bytes < begun.input_bytes {
            self.read(&mut scratch, CHUNK.min(begun.input_bytes - self.place.input_bytes))?;
            if scratch.is_empty() {
                break;
            }
        }
        self.place.lines = begun.lines;
        self.place.items = begun.items;
        if self.mark().is_none_or(|mark| mark.input_sha256 != begun.input_sha256) {
            return Err(Error::Conflict {
                what: format!("the first {} bytes of the input are not those of the run that was begun", begun.input_bytes),
                hint: Some("give the same input again from its beginning, or another output and resume log".into()),
            });
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct InputLine {
    id: serde_json::Value,
    licence: String,
}

/// Only the id, of a line that is not right otherwise.
#[derive(Deserialize)]
struct InputId {
    id: serde_json::Value,
}

#[derive(Serialize)]
struct OutputLine<'a> {
    id: &'a serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(flatten)]
    result: OutputResult<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OutputResult<'a> {
    Licence { licence: &'a str },
    Error { error: String, code: &'static str },
}

/// A batch after the work: its lines, and what to count.
#[derive(Default)]
struct Batch {
    text: Vec<u8>,
    done: u64,
    unchanged: u64,
    failures: Vec<(String, Error)>,
}

/// A line after it was parsed.
struct Parsed {
    id: serde_json::Value,
    number: u64,
    /// Whether there is an item for it.
    problem: Option<Error>,
}

fn work(raws: Vec<RawLine>, transform: &dyn Transform) -> Result<Batch> {
    let mut items = Vec::with_capacity(raws.len());
    let mut lines = Vec::with_capacity(raws.len());
    for raw in raws {
        let (id, result) = parse(&raw);
        let problem = match result {
            Ok(licence) => {
                items.push(Item { id: name_of(&id, raw.number), bytes: licence.into_bytes(), kind: ItemKind::Text });
                None
            }
            Err(error) => Some(error),
        };
        lines.push(Parsed { id, number: raw.number, problem });
    }
    let outputs = transform_all(transform, &items)?;
    let mut results = items.iter().zip(outputs);
    let mut batch = Batch::default();
    for Parsed { id, number, problem } in lines {
        let error: Error = match problem {
            Some(error) => error,
            None => match results.next() {
                Some((item, Ok(Output::Unchanged))) => {
                    batch.unchanged += 1;
                    batch.write(&id, number, OutputResult::Licence { licence: str::from_utf8(&item.bytes).unwrap_or_default() })?;
                    continue;
                }
                Some((_, Ok(Output::Changed(bytes)))) => match str::from_utf8(&bytes) {
                    Ok(licence) => {
                        batch.done += 1;
                        batch.write(&id, number, OutputResult::Licence { licence })?;
                        continue;
                    }
                    Err(_) => Error::Internal("the new licence is not UTF-8".into()),
                },
                Some((_, Err(error))) => error,
                None => Error::Internal("an item has no result".into()),
            },
        };
        batch.write(&id, number, OutputResult::Error { error: error.to_string(), code: error.code() })?;
        batch.failures.push((name_of(&id, number), error));
    }
    Ok(batch)
}

impl Batch {
    fn write(&mut self, id: &serde_json::Value, number: u64, result: OutputResult<'_>) -> Result<()> {
        let line = OutputLine { id, line: id.is_null().then_some(number), result };
        serde_json::to_writer(&mut self.text, &line).map_err(|error| Error::Internal(format!("encoding a line: {error}")))?;
        self.text.push(b'\n');
        Ok(())
    }
}

fn parse(raw: &RawLine) -> (serde_json::Value, Result<String>) {
    let malformed = |problem: String| Error::malformed("JSON line", format!("line {}: {problem}", raw.number));
    let Some(bytes) = &raw.bytes else {
        return (serde_json::Value::Null, Err(malformed("longer than an item may be".into())));
    };
    let parsed = match serde_json::from_slice::<InputLine>(bytes) {
        Ok(line) => (line.id, Ok(line.licence)),
        Err(error) => {
            let id = serde_json::from_slice::<InputId>(bytes).map_or(serde_json::Value::Null, |line| line.id);
            (id, Err(malformed(error.to_string()).with_hint("a line is {\"id\":…,\"licence\":\"<XrML…\"}")))
        }
    };
    if parsed.0.is_string() || parsed.0.is_number() {
        parsed
    } else {
        (serde_json::Value::Null, parsed.1.and_then(|_| Err(malformed("the id is neither a string nor a number".into()))))
    }
}

fn name_of(id: &serde_json::Value, number: u64) -> String {
    match id {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => format!("line {number}"),
        other => other.to_string(),
    }
}
