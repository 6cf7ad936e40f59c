//! Licences in files of any kind.
//!
//! A file is known by its first bytes, never by its name. Archives (.zip, .tar, .gz) and mail (.eml, .mbox, .msg) are looked into, and what
//! lies in them again, up to [`Limits`]. What can't be looked into is a problem with a name, never left out: so are archives and
//! stores of kinds that are not read ([`foreign`]).

mod archive;
pub mod foreign;
mod mail;
mod memory;
mod outlook;
mod text;
mod unix;

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use keykit::container::{self, ContainerKind, ProtectedDocument, open_compound};
use keykit::{Error, Result};

use foreign::Foreign;
use mail::Header;
use memory::Held;
pub use memory::SharedMemory;

const FORMAT: &str = "protected content";
/// So much of a file tells what it is.
const HEAD: u64 = 8 << 10;
/// So much of a protected file holds its licence, as a rule.
const SHORT_PREFIX: u64 = 1 << 20;
/// Longest licence that is taken, with its chain, in bytes: real ones have some ten thousand.
const LONGEST_LICENCE: u64 = 16 << 20;
/// Longest header of a mail, in bytes. Servers take up to 256 KiB.
const LONGEST_HEADER: u64 = 1 << 20;

/// How far the search goes in one file.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How deep archives and mail may lie in each other. 6 by default.
    pub depth: usize,
    /// Entries of archives and attachments that are looked at in one file. 100,000 by default.
    pub entries: usize,
    /// Bytes that are held in memory at a time: a mail, what is unpacked, and what that lies in. 256 MiB by default.
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
    /// What it is.
    pub found: Found,
}

/// What was found.
#[derive(Debug)]
pub enum Found {
    /// Licences as they are stored, and the kind of what they were in.
    Licences(ContainerKind, Vec<u8>),
    /// A file of protected content whose licences can't be read.
    Damaged(ContainerKind, Error),
    /// Something that could not be looked into: what is in it is not known.
    NotRead(Error),
    /// An archive or a store of a kind that is not read.
    Foreign(Foreign),
}

impl Hit {
    /// The licences, or what stands in their place.
    ///
    /// # Errors
    /// Why there are none, in words.
    pub fn licences(&self) -> std::result::Result<&[u8], String> {
        match &self.found {
            Found::Licences(_, licences) => Ok(licences),
            Found::Damaged(_, error) | Found::NotRead(error) => Err(error.to_string()),
            Found::Foreign(foreign) => Err(foreign.to_string()),
        }
    }
}

/// Finds all licences in a file, and gives each to `take` as it is found. The file is read in parts; see [`Limits::held`].
///
/// # Errors
/// What `take` says: then the search ends.
pub fn search_with(path: &Path, limits: &Limits, memory: &SharedMemory, take: &mut dyn FnMut(Hit) -> Result<()>) -> Result<()> {
    let mut search = Search::new(limits, memory, take);
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    match opened {
        Ok((length, mut file)) => search.look(&mut file, length, "", 0),
        Err(source) => search.not_read("", Error::Read { path: path.to_owned(), source }),
    }
    search.ended()
}

/// Finds all licences in a file. All are held; [`search_with`] gives one after the other.
#[must_use]
pub fn search(path: &Path, limits: &Limits) -> Vec<Hit> {
    collect(|take| search_with(path, limits, &SharedMemory::default(), take))
}

/// Finds all licences in bytes.
#[must_use]
pub fn search_bytes(bytes: &[u8], limits: &Limits) -> Vec<Hit> {
    collect(|take| {
        let memory = SharedMemory::default();
        let mut search = Search::new(limits, &memory, take);
        search.look(&mut Cursor::new(bytes), bytes.len() as u64, "", 0);
        search.ended()
    })
}

fn collect(search: impl FnOnce(&mut dyn FnMut(Hit) -> Result<()>) -> Result<()>) -> Vec<Hit> {
    let mut hits = Vec::new();
    // Taking a hit does not fail here, so the search does not either.
    search(&mut |hit| {
        hits.push(hit);
        Ok(())
    })
    .unwrap_or_default();
    hits
}

trait Input: Read + Seek {}
impl<T: Read + Seek> Input for T {}

/// What a thing is, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Container(ContainerKind),
    Zip,
    Gzip,
    Tar,
    Mail,
    Mailbox,
    Foreign(Foreign),
}

fn kind_of(head: &[u8]) -> Option<Kind> {
    match ContainerKind::of(head) {
        Some(ContainerKind::Text) => text::may_be_licence(head, false).then_some(Kind::Container(ContainerKind::Text)),
        Some(kind) => Some(Kind::Container(kind)),
        None if archive::is_zip(head) => Some(Kind::Zip),
        None if unix::is_gzip(head) => Some(Kind::Gzip),
        None if unix::is_tar(head) => Some(Kind::Tar),
        None if mail::header(head) == Header::OfMail => Some(Kind::Mail),
        None if mail::is_mailbox(head) => Some(Kind::Mailbox),
        None => foreign::of(head).map(Kind::Foreign),
    }
}

struct Search<'a> {
    limits: &'a Limits,
    entries: usize,
    unpacked: u64,
    held: Held<'a>,
    take: &'a mut dyn FnMut(Hit) -> Result<()>,
    stopped: Option<Error>,
}

impl<'a> Search<'a> {
    fn new(limits: &'a Limits, memory: &'a SharedMemory, take: &'a mut dyn FnMut(Hit) -> Result<()>) -> Self {
        Self { limits, entries: 0, unpacked: 0, held: Held::new(memory, limits.held), take, stopped: None }
    }

    fn ended(self) -> Result<()> {
        self.stopped.map_or(Ok(()), Err)
    }

    fn hit(&mut self, inside: &str, found: Found) {
        if self.stopped.is_none() {
            self.stopped = (self.take)(Hit { inside: inside.to_owned(), found }).err();
        }
    }

    fn not_read(&mut self, inside: &str, problem: Error) {
        self.hit(inside, Found::NotRead(problem));
    }

    /// Looks at one thing: the file, or an entry of an archive or a mail.
    fn look(&mut self, input: &mut dyn Input, length: u64, inside: &str, depth: usize) {
        let head = read_at_start(input, HEAD).and_then(|head| match mail::header(&head) {
            Header::Longer => read_at_start(input, LONGEST_HEADER),
            _ => Ok(head),
        });
        let head = match head {
            Ok(head) => head,
            Err(error) => return self.not_read(inside, error),
        };
        match kind_of(&head) {
            None if foreign::is_disc_image(input, &head) => self.hit(inside, Found::Foreign(foreign::DISC_IMAGE)),
            None => {}
            Some(Kind::Foreign(foreign)) => self.hit(inside, Found::Foreign(foreign)),
            Some(_) if depth > self.limits.depth => {
                self.not_read(inside, too_much(format!("it lies more than {} archives or mails deep", self.limits.depth), None));
            }
            Some(Kind::Zip) => self.look_into_zip(input, inside, depth),
            Some(Kind::Gzip) => self.look_into_gzip(input, inside, depth),
            Some(Kind::Tar) => self.look_into_tar(input, length, inside, depth),
            Some(Kind::Mail) => self.with_whole(input, length, inside, |search, bytes| search.look_into_mail(bytes, inside, depth)),
            Some(Kind::Mailbox) => self.look_into_mailbox(input, inside, depth),
            Some(Kind::Container(ContainerKind::OfficeCompound)) => self.look_into_compound(input, length, inside, depth),
            Some(Kind::Container(kind)) => self.look_into_container(input, kind, length, inside),
        }
    }

    fn look_into_container(&mut self, input: &mut dyn Input, kind: ContainerKind, length: u64, inside: &str) {
        match kind {
            // The licence stands before the content, which can be as long as it likes.
            ContainerKind::Pfile => {
                let prefix = read_at_start(input, SHORT_PREFIX).map(|bytes| licences_in(&bytes));
                match prefix {
                    Ok(Err(_)) if length > SHORT_PREFIX => match read_at_start(input, SHORT_PREFIX + LONGEST_LICENCE) {
                        Ok(bytes) => self.licences(kind, inside, licences_in(&bytes)),
                        Err(error) => self.not_read(inside, error),
                    },
                    Ok(licences) => self.licences(kind, inside, licences),
                    Err(error) => self.not_read(inside, error),
                }
            }
            ContainerKind::Text if length > LONGEST_LICENCE => {
                self.not_read(
                    inside,
                    too_much(format!("it begins as licences do, and is longer than {LONGEST_LICENCE} bytes, which no licence is"), None),
                );
            }
            ContainerKind::Text => self.with_whole(input, length, inside, |search, bytes| {
                if text::may_be_licence(bytes, true) {
                    search.licences(kind, inside, licences_in(bytes));
                }
            }),
            _ => self.with_whole(input, length, inside, |search, bytes| {
                // A mail unpacks to a document that is held beside it.
                let payload = container::payload_length(bytes);
                match search.held.add(payload) {
                    Ok(()) => search.licences(kind, inside, licences_in(bytes)),
                    Err(error) => search.not_read(inside, error),
                }
                search.held.give_back(payload);
            }),
        }
    }

    /// A compound file is read where it lies, as large as it may be: it may be an Outlook message, a protected document or neither.
    fn look_into_compound(&mut self, input: &mut dyn Input, length: u64, inside: &str, depth: usize) {
        let tables = memory::of_compound_tables(length);
        if let Err(error) = self.held.add(tables) {
            return self.not_read(inside, error);
        }
        match open_compound(input) {
            // Nobody can say whether it was protected.
            Err(error) => self.not_read(inside, error),
            Ok(mut file) => {
                self.look_into_outlook_message(&mut file, inside, depth);
                let kind = ContainerKind::OfficeCompound;
                match ProtectedDocument::find_in(&mut file) {
                    Ok(None) => {}
                    Ok(Some(document)) => {
                        let licences = container::without_terminator(document.publishing_licence.into(), None);
                        self.licences(kind, inside, licences.map(std::borrow::Cow::into_owned));
                    }
                    Err(error) => self.not_read(inside, error),
                }
            }
        }
        self.held.give_back(tables);
    }

    fn licences(&mut self, kind: ContainerKind, inside: &str, licences: Result<Vec<u8>>) {
        match licences {
            Ok(licences) => self.hit(inside, Found::Licences(kind, licences)),
            // Its content is encrypted, and how far a compound file's is nobody can say.
            Err(error) if kind == ContainerKind::OfficeCompound => self.not_read(inside, error),
            Err(error) => self.hit(inside, Found::Damaged(kind, error)),
        }
    }

    /// Reads everything, if it may be held.
    fn with_whole(&mut self, input: &mut dyn Input, length: u64, inside: &str, work: impl FnOnce(&mut Self, &[u8])) {
        let mut bytes = Vec::new();
        let read = match input.seek(SeekFrom::Start(0)) {
            // A file may have grown since its length was asked for; one that shrank is as it is.
            Ok(_) if length <= self.limits.held => self.held.read(input, &mut bytes, can_not_be_read),
            Ok(_) => Err(memory::too_much_to_hold(self.limits.held)),
            Err(error) => Err(can_not_be_read(&error)),
        };
        match read {
            Ok(_) => work(self, &bytes),
            Err(error) => self.not_read(inside, error),
        }
        self.held.give_back(bytes.len() as u64);
    }

    /// Counts an entry; false, with a problem, if there were too many, and if the search is to end.
    fn may_enter(&mut self, inside: &str) -> bool {
        self.entries += 1;
        if self.entries == self.limits.entries.saturating_add(1) {
            self.not_read(inside, self.too_many_entries());
        }
        self.stopped.is_none() && self.entries <= self.limits.entries
    }

    fn too_many_entries(&self) -> Error {
        too_much(format!("it has more than {} entries and attachments", self.limits.entries), None)
    }

    /// Looks at an entry that is read from a stream of unknown length.
    fn look_at_stream(&mut self, stream: &mut dyn Read, inside: &str, depth: usize) {
        let mut bytes = Vec::new();
        if let Err(error) = self.read_entry(stream, &mut bytes, depth, inside) {
            self.not_read(inside, error);
        }
        self.held.give_back(bytes.len() as u64);
    }

    fn read_entry(&mut self, stream: &mut dyn Read, bytes: &mut Vec<u8>, depth: usize, inside: &str) -> Result<()> {
        self.unpack(stream, HEAD, bytes)?;
        if mail::header(bytes) == Header::Longer {
            self.unpack(stream, LONGEST_HEADER, bytes)?;
        }
        let enough = match kind_of(bytes) {
            None | Some(Kind::Foreign(_)) => bytes.len() as u64,
            // A protected file has its licence before its content.
            Some(Kind::Container(ContainerKind::Pfile)) => SHORT_PREFIX + LONGEST_LICENCE,
            Some(Kind::Container(ContainerKind::Text)) => LONGEST_LICENCE + 1,
            Some(_) => u64::MAX,
        };
        if enough > bytes.len() as u64 {
            self.unpack(stream, enough, bytes)?;
        }
        self.look(&mut Cursor::new(bytes.as_slice()), bytes.len() as u64, inside, depth);
        Ok(())
    }

    /// Reads a stream on, until so many bytes of it are there in all.
    fn unpack(&mut self, stream: &mut dyn Read, in_all: u64, bytes: &mut Vec<u8>) -> Result<()> {
        let before = bytes.len() as u64;
        let wanted = in_all.saturating_sub(before);
        let budget = self.limits.unpacked.saturating_sub(self.unpacked);
        let unpack = |error: &std::io::Error| Error::malformed(FORMAT, format!("it can't be unpacked: {error}"));
        let ended = self.held.read(&mut stream.take(wanted.min(budget)), bytes, unpack);
        let read = bytes.len() as u64 - before;
        self.unpacked = self.unpacked.saturating_add(read);
        ended?;
        if read < wanted && self.unpacked >= self.limits.unpacked {
            let problem = format!("the file unpacks to more than {} bytes", self.limits.unpacked);
            return Err(too_much(problem, Some("--unpack-limit")));
        }
        Ok(())
    }
}

/// The licences of a protected file, a mail or a text.
fn licences_in(bytes: &[u8]) -> Result<Vec<u8>> {
    Ok(container::find_licences(bytes)?.licences.into_owned())
}

fn read_at_start(input: &mut dyn Input, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = input.seek(SeekFrom::Start(0)).and_then(|_| input.take(limit).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|error| can_not_be_read(&error))
}

fn can_not_be_read(error: &std::io::Error) -> Error {
    Error::malformed(FORMAT, format!("it can't be read: {error}"))
}

/// `option` is that of `keykit prove-access` which raises the limit.
fn too_much(problem: String, option: Option<&str>) -> Error {
    let raise = option.map(|option| format!(", or raise the limit ({option})")).unwrap_or_default();
    Error::malformed(FORMAT, problem).with_hint(format!("unpack it and give the parts{raise}; until then nothing is proven about it"))
}

fn join(inside: &str, name: &str) -> String {
    let name = printable(name);
    if inside.is_empty() { name } else { format!("{inside} / {name}") }
}

/// A text from outside, cut at 200 characters: control characters would reach terminals.
pub(crate) fn printable(text: &str) -> String {
    text.chars().take(200).map(|character| if character.is_control() { char::REPLACEMENT_CHARACTER } else { character }).collect()
}

#[cfg(test)]
mod tests;
