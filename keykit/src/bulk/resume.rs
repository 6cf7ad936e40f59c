//! The resume log of an output folder: one line per item, with the digests of its input and of its output.
//!
//! A line is on the disk before the file it speaks of is in place. So a file without a line is somebody else's, and a line
//! without a file is an item that is to be done again. Lines that a crash left torn or unreadable count as not there.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::engine::lock;
use crate::durable::{self, FileLock};
use crate::error::{Error, Result};

/// Longest line that is read back, in bytes.
const LINE_LIMIT: u64 = 1 << 20;

/// The first line of any resume log.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    keykit: String,
    job: String,
}

/// An item that was done, or was about to be put in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) id: String,
    /// SHA-256 of the input, in hex.
    pub(super) input: String,
    /// SHA-256 of the output, in hex.
    pub(super) output: String,
}

/// A file of JSON lines that this process alone appends to. Torn lines at its end are cut off when it is opened.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: FileLock,
    length: u64,
    /// Whether it is new: there is nothing to resume.
    pub(super) is_new: bool,
}

impl LogFile {
    /// Opens or makes a log and locks it. `each` is given every whole line after the header, with its offset.
    pub(super) fn open(path: &Path, format: &'static str, job: &str, mut each: impl FnMut(u64, &[u8])) -> Result<Self> {
        let failed = |source| Error::Write { path: path.to_owned(), source };
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
        let file = FileLock::take(file).map_err(failed)?.ok_or_else(|| Error::Conflict {
            what: format!("another keykit works with {}", path.display()),
            hint: Some("wait until it has ended".into()),
        })?;
        let whole = read_lines(&file, |offset, line| {
            if offset == 0 {
                return check_header(line, path, format, job);
            }
            each(offset, line);
            Ok(())
        })
        .map_err(|error| error.in_file(path))?;
        file.set_len(whole).map_err(failed)?;
        let mut log = Self { path: path.to_owned(), file, length: whole, is_new: whole == 0 };
        if log.is_new {
            let header = Header { keykit: format.to_owned(), job: job.to_owned() };
            log.append(to_line(&header)?.as_bytes())?;
            log.sync()?;
            durable::sync_folder(durable::parent(path))?;
        }
        Ok(log)
    }

    /// Gives every whole line after the header, with its offset.
    pub(super) fn read(&self, mut each: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        // A handle of its own: appending goes on at the end.
        let file = File::open(&self.path).map_err(|source| Error::Read { path: self.path.clone(), source })?;
        read_lines(&file, |offset, line| if offset == 0 { Ok(()) } else { each(offset, line) }).map(drop).map_err(|error| error.in_file(&self.path))
    }

    /// Its length in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Appends lines; they are on the disk only after [`Self::sync`].
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<()> {
        self.length += lines.len() as u64;
        (&*self.file).write_all(lines).map_err(|source| self.failed(source))
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: std::io::Error) -> Error {
        Error::Write { path: self.path.clone(), source }
    }
}

/// Gives every line that ends, with its offset. The result is the length of all of them.
fn read_lines(file: &File, mut each: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<u64> {
    let failed = |source| Error::Read { path: "the resume log".into(), source };
    let mut reader = BufReader::with_capacity(1 << 16, file);
    reader.seek(SeekFrom::Start(0)).map_err(failed)?;
    let mut offset = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader).take(LINE_LIMIT).read_until(b'\n', &mut line).map_err(failed)? as u64;
        match line.strip_suffix(b"\n") {
            Some(text) => each(offset, text)?,
            // A line that is too long is nobody's; its end is read as a line that can't be parsed.
            None if read == LINE_LIMIT => {}
            None => return Ok(offset),
        }
        offset += read;
    }
}

fn check_header(line: &[u8], path: &Path, format: &'static str, job: &str) -> Result<()> {
    let header: Header = serde_json::from_slice(line).map_err(|_| Error::malformed("resume log", "its first line is not that of a resume log"))?;
    if header.keykit != format {
        return Err(Error::malformed("resume log", format!("it is of the kind \"{}\", not \"{format}\"", header.keykit)));
    }
    if header.job != job {
        return Err(Error::Conflict {
            what: format!("{} is of another job: {}", path.display(), header.job),
            hint: Some(format!("choose another output for this one ({job})")),
        });
    }
    Ok(())
}

/// One line of JSON, with its end.
pub(super) fn to_line(value: &impl Serialize) -> Result<String> {
    let mut line = serde_json::to_string(value).map_err(|error| Error::Internal(format!("encoding a line: {error}")))?;
    line.push('\n');
    Ok(line)
}

/// What earlier runs did: 16 bytes of memory per line, the lines themselves stay in the file.
#[derive(Debug)]
pub(super) struct Earlier {
    /// The start of the digest of the id, and the offset of the line; sorted.
    index: Vec<(u64, u64)>,
    reader: Mutex<BufReader<File>>,
}

impl Earlier {
    /// Opens the log in `path` and learns what it holds.
    pub(super) fn open(path: &Path, format: &'static str, job: &str) -> Result<(LogFile, Self)> {
        let mut index = Vec::new();
        let log = LogFile::open(path, format, job, |offset, line| {
            if let Ok(entry) = serde_json::from_slice::<Entry>(line) {
                index.push((shorten(&entry.id), offset));
            }
        })?;
        index.sort_unstable();
        let reader = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Ok((log, Self { index, reader: Mutex::new(BufReader::with_capacity(1 << 10, reader)) }))
    }

    /// All lines about an item, oldest first.
    pub(super) fn entries(&self, id: &str) -> Result<Vec<Entry>> {
        let short = shorten(id);
        let start = self.index.partition_point(|(key, _)| *key < short);
        let same = self.index.get(start..).unwrap_or_default().iter().take_while(|(key, _)| *key == short);
        let mut entries = Vec::new();
        for (_, offset) in same {
            let mut line = Vec::new();
            let mut reader = lock(&self.reader);
            let read = reader.seek(SeekFrom::Start(*offset)).and_then(|_| reader.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line));
            read.map_err(|source| Error::Read { path: "the resume log".into(), source })?;
            if let Ok(entry) = serde_json::from_slice::<Entry>(&line)
                && entry.id == id
            {
                entries.push(entry);
            }
        }
        Ok(entries)
    }
}

fn shorten(id: &str) -> u64 {
    Sha256::digest(id).first_chunk().map_or(0, |start| u64::from_be_bytes(*start))
}

/// A digest as the log has it.
pub(super) fn hex(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::with_capacity(digest.len() * 2), |mut text, byte| {
        // Writing to a string can't fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// SHA-256 of bytes, as the log has it.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of a file, as the log has it; memory is bounded.
pub(super) fn digest_of_file(path: &Path) -> Result<String> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        match buffer.get(..read) {
            None | Some([]) => return Ok(hex(&hasher.finalize())),
            Some(bytes) => hasher.update(bytes),
        }
    }
}
