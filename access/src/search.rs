//! Licences in files of any kind.
//!
//! A file is known by its first bytes, never by its name. Archives (.zip) and mail (.eml, .msg) are looked into, and what lies
//! in them again, up to [`Limits`]. What can't be looked into is a problem with a name, never left out.

mod archive;
mod mail;
mod outlook;

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use keykit::container::{self, ContainerKind};
use keykit::{Error, Result};

const FORMAT: &str = "protected content";
/// So much of a file tells what it is.
const HEAD: u64 = 8 << 10;
/// So much of a protected file holds its licence, as a rule.
const SHORT_PREFIX: u64 = 1 << 20;

/// How far the search goes in one file.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How deep archives and mail may lie in each other. 6 by default.
    pub depth: usize,
    /// Entries of archives and attachments that are looked at in one file. 100,000 by default.
    pub entries: usize,
    /// Bytes of one thing that is held in memory. 256 MiB by default.
    pub held: u64,
    /// Bytes that are unpacked in all. 1 GiB by default.
    pub unpacked: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 6, entries: 100_000, held: 256 << 20, unpacked: 1 << 30 }
    }
}

/// Something that was found in a file.
#[derive(Debug)]
pub struct Hit {
    /// Where in the file: empty for the file itself, otherwise the names of entries and attachments with ` / ` between them.
    pub inside: String,
    /// The kind of what holds the licences; `None` for archives and mail with a problem.
    pub kind: Option<ContainerKind>,
    /// The licences as they are stored, or why they can't be read.
    pub licences: Result<Vec<u8>>,
}

/// Finds all licences in a file. The file is read in parts; see [`Limits::held`].
#[must_use]
pub fn search(path: &Path, limits: &Limits) -> Vec<Hit> {
    let mut search = Search { limits, entries: 0, unpacked: 0, hits: Vec::new() };
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    match opened {
        Ok((length, mut file)) => search.look(&mut file, length, "", 0),
        Err(source) => search.problem("", None, Error::Read { path: path.to_owned(), source }),
    }
    search.hits
}

/// Finds all licences in bytes.
#[must_use]
pub fn search_bytes(bytes: &[u8], limits: &Limits) -> Vec<Hit> {
    let mut search = Search { limits, entries: 0, unpacked: 0, hits: Vec::new() };
    search.look(&mut Cursor::new(bytes), bytes.len() as u64, "", 0);
    search.hits
}

trait Input: Read + Seek {}
impl<T: Read + Seek> Input for T {}

/// What a thing is, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Container(ContainerKind),
    Zip,
    Mail,
}

fn kind_of(head: &[u8]) -> Option<Kind> {
    match ContainerKind::of(head) {
        Some(ContainerKind::Text) => mentions_xrml(head).then_some(Kind::Container(ContainerKind::Text)),
        Some(kind) => Some(Kind::Container(kind)),
        None if archive::is_zip(head) => Some(Kind::Zip),
        None if mail::is_mail(head) => Some(Kind::Mail),
        None => None,
    }
}

/// Whether text begins like XrML. Other XML and HTML is passed over.
fn mentions_xrml(head: &[u8]) -> bool {
    let wide: Vec<u8> = b"<XrML".iter().flat_map(|&byte| [byte, 0]).collect();
    let wide_swapped: Vec<u8> = b"<XrML".iter().flat_map(|&byte| [0, byte]).collect();
    [b"<XrML".as_slice(), &wide, &wide_swapped].iter().any(|mark| head.windows(mark.len()).any(|window| window == *mark))
}

struct Search<'a> {
    limits: &'a Limits,
    entries: usize,
    unpacked: u64,
    hits: Vec<Hit>,
}

impl Search<'_> {
    fn problem(&mut self, inside: &str, kind: Option<ContainerKind>, problem: Error) {
        self.hits.push(Hit { inside: inside.to_owned(), kind, licences: Err(problem) });
    }

    /// Looks at one thing: the file, or an entry of an archive or a mail.
    fn look(&mut self, input: &mut dyn Input, length: u64, inside: &str, depth: usize) {
        let head = match read_at_start(input, HEAD) {
            Ok(head) => head,
            Err(error) => return self.problem(inside, None, error),
        };
        match kind_of(&head) {
            None => {}
            Some(_) if depth > self.limits.depth => {
                self.problem(inside, None, too_much(format!("it lies more than {} archives or mails deep", self.limits.depth)));
            }
            Some(Kind::Zip) => self.look_into_zip(input, inside, depth),
            Some(Kind::Mail) => match self.read_whole(input, length) {
                Ok(bytes) => self.look_into_mail(&bytes, inside, depth),
                Err(error) => self.problem(inside, None, error),
            },
            Some(Kind::Container(kind)) => self.look_into_container(input, kind, length, inside, depth),
        }
    }

    fn look_into_container(&mut self, input: &mut dyn Input, kind: ContainerKind, length: u64, inside: &str, depth: usize) {
        if kind == ContainerKind::OfficeCompound && self.look_into_outlook_message(input, inside, depth) {
            return;
        }
        let licences = match kind {
            // The licence stands before the content, which can be as long as it likes.
            ContainerKind::Pfile => self.licences_in_prefix(input, length),
            _ => self.read_whole(input, length).and_then(|bytes| licences_in(&bytes)),
        };
        match licences {
            Ok(None) => {}
            Ok(Some(licences)) => self.hits.push(Hit { inside: inside.to_owned(), kind: Some(kind), licences: Ok(licences) }),
            Err(error) => self.problem(inside, Some(kind), error),
        }
    }

    fn licences_in_prefix(&self, input: &mut dyn Input, length: u64) -> Result<Option<Vec<u8>>> {
        match licences_in(&read_at_start(input, SHORT_PREFIX)?) {
            Err(_) if length > SHORT_PREFIX => licences_in(&read_at_start(input, self.limits.held)?),
            short => short,
        }
    }

    /// Reads everything, if it may be held.
    fn read_whole(&self, input: &mut dyn Input, length: u64) -> Result<Vec<u8>> {
        let bytes = if length > self.limits.held { Vec::new() } else { read_at_start(input, self.limits.held.saturating_add(1))? };
        if length.max(bytes.len() as u64) > self.limits.held {
            return Err(too_much(format!("it has {length} bytes; {} are held at most", self.limits.held)));
        }
        Ok(bytes)
    }

    /// Counts an entry; false, with a problem, if there were too many.
    fn may_enter(&mut self, inside: &str) -> bool {
        self.entries += 1;
        if self.entries == self.limits.entries.saturating_add(1) {
            self.problem(inside, None, too_much(format!("it has more than {} entries and attachments", self.limits.entries)));
        }
        self.entries <= self.limits.entries
    }

    /// Looks at an entry that is read from a stream of unknown length.
    fn look_at_stream(&mut self, stream: &mut dyn Read, inside: &str, depth: usize) {
        let mut bytes = Vec::new();
        if let Err(error) = self.unpack(stream, HEAD, &mut bytes) {
            return self.problem(inside, None, error);
        }
        let Some(kind) = kind_of(&bytes) else { return };
        let rest = self.unpack(stream, self.limits.held.saturating_sub(HEAD), &mut bytes);
        // A protected file has its licence before its content.
        let is_pfile = kind == Kind::Container(ContainerKind::Pfile);
        match rest {
            Ok(true) => self.look(&mut Cursor::new(&bytes), bytes.len() as u64, inside, depth),
            Ok(false) if is_pfile => self.look(&mut Cursor::new(&bytes), bytes.len() as u64, inside, depth),
            Ok(false) => self.problem(inside, None, too_much(format!("it unpacks to more than {} bytes", self.limits.held))),
            Err(error) => self.problem(inside, None, error),
        }
    }

    /// Appends up to `limit` bytes of a stream. True if it ended.
    fn unpack(&mut self, stream: &mut dyn Read, limit: u64, bytes: &mut Vec<u8>) -> Result<bool> {
        let budget = self.limits.unpacked.saturating_sub(self.unpacked);
        let read = stream.take(limit.min(budget)).read_to_end(bytes);
        let read = read.map_err(|error| Error::malformed(FORMAT, format!("it can't be unpacked: {error}")))? as u64;
        self.unpacked = self.unpacked.saturating_add(read);
        if read < limit && self.unpacked >= self.limits.unpacked {
            return Err(too_much(format!("the file unpacks to more than {} bytes", self.limits.unpacked)));
        }
        Ok(read < limit)
    }
}

/// The licences of a container, if it is a protected one.
fn licences_in(bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    Ok(container::find_licences_if_protected(bytes)?.map(|found| found.licences.into_owned()))
}

fn read_at_start(input: &mut dyn Input, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = input.seek(SeekFrom::Start(0)).and_then(|_| input.take(limit).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|error| Error::malformed(FORMAT, format!("it can't be read: {error}")))
}

fn too_much(problem: String) -> Error {
    Error::malformed(FORMAT, problem).with_hint("unpack it and give the parts, or raise the limit; until then nothing is proven about it")
}

fn join(inside: &str, name: &str) -> String {
    // Names come from outside: control characters would reach terminals.
    let name: String = name.chars().take(200).map(|character| if character.is_control() { char::REPLACEMENT_CHARACTER } else { character }).collect();
    if inside.is_empty() { name } else { format!("{inside} / {name}") }
}

#[cfg(test)]
mod tests;
