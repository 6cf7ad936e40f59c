//! Writing a transcript: it only ever grows, and each line is on the disk before anything else happens.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Entry, FORMAT, Happening, LIMIT, Transcript};
use crate::canonical;
use crate::durable;
use crate::error::{Error, Result};
use crate::migration::apply::Record;

/// A transcript that is written to. Several processes may have it open; each line is written under a lock, after what others wrote.
#[derive(Debug)]
pub struct TranscriptWriter {
    path: PathBuf,
    file: File,
    transcript: Transcript,
    length: u64,
    is_broken: bool,
}

impl TranscriptWriter {
    /// Opens a transcript about the plan with this hash, and makes it if it is not there. A torn line at its end stays, and is
    /// recorded.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the line that was changed; [`Error::Conflict`] if it is about another plan or closed;
    /// [`Error::Write`].
    pub fn open(path: &Path, plan: &str) -> Result<Self> {
        let failed = |source| Error::Write { path: path.to_owned(), source };
        let file = File::options().create(true).read(true).append(true).open(path).map_err(failed)?;
        let mut writer = Self { path: path.to_owned(), file, transcript: Transcript::default(), length: 0, is_broken: false };
        writer.locked(|writer| {
            writer.catch_up()?;
            if writer.length == 0 {
                durable::sync_folder(durable::parent(&writer.path))?;
            }
            Ok(())
        })?;
        if let Some(other) = writer.transcript.plan().filter(|other| *other != plan) {
            return Err(Error::Conflict {
                what: format!("{} is the transcript of another plan, {other}", path.display()),
                hint: Some("name another file with --transcript".into()),
            });
        }
        writer.check_open()?;
        Ok(writer)
    }

    /// What stands in it.
    #[must_use]
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a line; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`Error::Write`]; after that nothing more is written, because the state of the file is unknown until it is opened anew.
    /// [`Error::Malformed`] or [`Error::Conflict`] if somebody changed or closed it meanwhile.
    pub fn append(&mut self, what: Happening) -> Result<()> {
        self.locked(|writer| {
            writer.catch_up()?;
            writer.check_open()?;
            writer.write(what)
        })
    }

    /// Begins a session. One before it that has no end has crashed: the caller sees to it that only one process works at a time.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn begin(&mut self, session: Happening) -> Result<()> {
        self.locked(|writer| {
            writer.catch_up()?;
            writer.check_open()?;
            if let Some(session) = writer.transcript.open_session() {
                writer.write(Happening::CrashFound { session })?;
            }
            writer.write(session)
        })
    }

    /// Adds the lines of the journal that a crash kept out of the transcript: those of the last run of the plan.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn add_late(&mut self, plan: &str, journal: &[Record]) -> Result<()> {
        use crate::migration::apply::Event;
        let begin = journal.iter().rposition(|record| matches!(&record.what, Event::Started { .. })).unwrap_or_default();
        let run = journal.get(begin..).unwrap_or_default();
        if !run.first().is_some_and(|record| matches!(&record.what, Event::Started { plan: started, .. } if started == plan)) {
            return Ok(());
        }
        for record in run {
            let is_known = self.transcript.entries().any(|entry| matches!(&entry.what, Happening::Run { hash, .. } if *hash == record.hash));
            if !is_known {
                self.append(Self::of_journal(record, true))?;
            }
        }
        Ok(())
    }

    /// What a line of the journal is in a transcript.
    #[must_use]
    pub fn of_journal(record: &Record, late: bool) -> Happening {
        Happening::Run { line: record.number, hash: record.hash.clone(), late, event: record.what.clone() }
    }

    fn check_open(&self) -> Result<()> {
        if !self.transcript.is_closed() {
            return Ok(());
        }
        Err(Error::Conflict {
            what: format!("the transcript {} is closed", self.path.display()),
            hint: Some("what happens after a ceremony belongs into a transcript of its own: name another file with --transcript".into()),
        })
    }

    fn locked<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.is_broken {
            return Err(Error::Write { path: self.path.clone(), source: std::io::Error::other("an earlier line could not be written") });
        }
        self.file.lock().map_err(|source| Error::Write { path: self.path.clone(), source })?;
        let result = work(self);
        // A lock that can't be given back now is given back when the process ends.
        drop(self.file.unlock());
        result
    }

    /// Takes in what is in the file and not known yet, and records a torn line. The lock is held.
    fn catch_up(&mut self) -> Result<()> {
        let failed = |source| Error::Read { path: self.path.clone(), source };
        let length = self.file.metadata().map_err(failed)?.len();
        if length == self.length {
            return Ok(());
        }
        if length > LIMIT {
            return Err(Error::malformed(FORMAT, format!("larger than {LIMIT} bytes")).in_file(&self.path));
        }
        let mut bytes = Vec::new();
        self.file.rewind().map_err(failed)?;
        (&self.file).take(LIMIT).read_to_end(&mut bytes).map_err(failed)?;
        let known = std::mem::take(&mut self.transcript);
        self.transcript = Transcript::parse(&bytes).map_err(|error| error.in_file(&self.path))?;
        self.length = bytes.len() as u64;
        if !self.transcript.lines().starts_with(known.lines()) {
            return Err(Error::malformed(FORMAT, "lines that this process has seen are not there any more").in_file(&self.path));
        }
        let torn = self.transcript.torn_bytes();
        if torn == 0 {
            // The last line of a process that died may be read and not on the disk.
            return if bytes.is_empty() { Ok(()) } else { self.file.sync_all().map_err(|source| Error::Write { path: self.path.clone(), source }) };
        }
        // Nothing but the line feed may be missing.
        bytes.push(b'\n');
        if Transcript::parse(&bytes).is_ok_and(|whole| whole.torn_bytes() == 0) {
            self.write_bytes(b"\n")?;
        } else {
            bytes.pop();
            let begin = usize::try_from(self.length.saturating_sub(torn)).unwrap_or(usize::MAX);
            let sha256 = canonical::sha256_hex(bytes.get(begin..).unwrap_or_default());
            let (_, text) = self.line_of(Happening::TornLine { bytes: torn, sha256 })?;
            self.write_bytes(format!("\n{text}").as_bytes())?;
        }
        // It is read again as anybody else would read it.
        self.catch_up()
    }

    fn line_of(&self, what: Happening) -> Result<(Entry, String)> {
        let now = Timestamp::now();
        let time = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let number = self.transcript.lines().len() as u64 + 1;
        let entry = Entry { number, time, what, previous: self.transcript.final_hash().to_owned() };
        let text = format!("{}\n", canonical::to_string(&entry)?);
        Ok((entry, text))
    }

    fn write(&mut self, what: Happening) -> Result<()> {
        let (entry, text) = self.line_of(what)?;
        // Nothing is written that would not be read.
        let after = self.transcript.state_after(&entry).map_err(|problem| Error::Internal(format!("writing a transcript: {problem}")))?;
        self.write_bytes(text.as_bytes())?;
        self.length += text.len() as u64;
        self.transcript.add_written(entry, &text, after);
        Ok(())
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_all());
        written.map_err(|source| {
            self.is_broken = true;
            Error::Write { path: self.path.clone(), source }
        })
    }
}
