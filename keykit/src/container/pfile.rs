//! Protected files (`.pfile`, `.ptxt`, `.ppdf`…): a readable notice, a header, the publishing licence, the content.
//!
//! ```text
//! ".pfile" ‖ u32 major ‖ u32 minor ‖ u32 length of notice ‖ notice
//! header   = u32 size of header ‖ u32 offset and u32 length of extension
//!          ‖ u32 offset and u32 length of publishing licence ‖ u32 offset of content
//! from 2.1 ‖ u64 size of the content in the clear ‖ u32 offset and u32 length of metadata
//! ```
//! Numbers are little-endian, offsets count from the start of the file. The content goes to the end of the file.

use crate::error::{Error, Result};

const FORMAT: &str = "protected file (.pfile)";
/// The first bytes of the file.
pub(super) const PREAMBLE: &[u8] = b".pfile";
/// Bytes of the header up to 2.0, and from 2.1 on.
const SHORT_HEADER: u32 = 24;
const LONG_HEADER: u32 = 40;
/// The size in the clear when it is not known.
const UNKNOWN_SIZE: u64 = u64::MAX;
/// Longest extension that is taken, in bytes: what file systems allow for a name.
const MAX_EXTENSION: usize = 255;
/// The newest layout that is known.
const NEWEST_MAJOR: u32 = 3;

/// Version of the layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PfileVersion {
    /// 1 to 3.
    pub major: u32,
    /// Any.
    pub minor: u32,
}

impl PfileVersion {
    /// The version that files of today have.
    pub const CURRENT: Self = Self { major: 3, minor: 0 };

    /// Whether the header has the size in the clear and the metadata: from 2.1 on.
    #[must_use]
    pub fn has_metadata(self) -> bool {
        self >= Self { major: 2, minor: 1 }
    }

    /// Whether the content is AES-CBC4K whatever the licence says: up to major version 2.
    #[must_use]
    pub fn forces_cbc4k(self) -> bool {
        self.major <= 2
    }

    fn header_bytes(self) -> u32 {
        if self.has_metadata() { LONG_HEADER } else { SHORT_HEADER }
    }

    fn check(self) -> Result<Self> {
        if (1..=NEWEST_MAJOR).contains(&self.major) {
            return Ok(self);
        }
        Err(Error::malformed(FORMAT, format!("version {}.{}; 1 to {NEWEST_MAJOR} are known", self.major, self.minor)).at(PREAMBLE.len() as u64))
    }
}

impl std::fmt::Display for PfileVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A protected file, with every part inside the file and no two parts overlapping.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ProtectedFile<'a> {
    version: PfileVersion,
    notice: &'a [u8],
    extension: &'a str,
    publishing_licence: &'a [u8],
    publishing_licence_offset: usize,
    original_size: Option<u64>,
    metadata: &'a [u8],
    content: &'a [u8],
    content_offset: usize,
}

impl<'a> ProtectedFile<'a> {
    /// Reads a protected file. Nothing is copied.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the offset of the field that is wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader { bytes, position: 0 };
        if reader.take(PREAMBLE.len())? != PREAMBLE {
            return Err(Error::malformed(FORMAT, "it does not begin with \".pfile\"").at(0));
        }
        let version = PfileVersion { major: reader.u32()?, minor: reader.u32()? }.check()?;
        let notice_bytes = reader.offset()?;
        let notice = reader.take(notice_bytes)?;

        let header_start = reader.position;
        let header_bytes = reader.u32()?;
        if header_bytes < version.header_bytes() {
            let problem = format!("a header of {header_bytes} bytes; version {version} has {}", version.header_bytes());
            return Err(Error::malformed(FORMAT, problem).at(header_start as u64));
        }
        let header_end = header_start.saturating_add(narrow(header_bytes)?);
        let extension = reader.part("extension")?;
        let licence = reader.part("publishing licence")?;
        let content_field = reader.position;
        let content_offset = reader.offset()?;
        let (original_size, metadata) = if version.has_metadata() {
            let size = reader.u64()?;
            ((size != UNKNOWN_SIZE).then_some(size), reader.part("metadata")?)
        } else {
            (None, Part { name: "metadata", field: content_field, start: header_end, length: 0 })
        };

        let Some(content) = bytes.get(content_offset..).filter(|_| content_offset >= header_end) else {
            let problem = format!("the content is said to begin at byte {content_offset}, which is not between the header and the end");
            return Err(Error::malformed(FORMAT, problem).at(content_field as u64));
        };
        // Parts that are present lie in order of their offsets, apart from each other, between header and content.
        let mut parts = [extension, licence, metadata];
        parts.sort_by_key(|part| (part.start, part.length));
        let mut free = header_end;
        for part in parts.iter().filter(|part| part.length > 0) {
            let end = part.start.checked_add(part.length).filter(|&end| part.start >= free && end <= content_offset);
            free = end.ok_or_else(|| part.misplaced())?;
        }
        if licence.length == 0 {
            return Err(Error::malformed(FORMAT, "it has no publishing licence").at(licence.field as u64));
        }
        Ok(Self {
            version,
            notice,
            extension: extension_of(extension, bytes)?,
            publishing_licence: licence.of(bytes)?,
            publishing_licence_offset: licence.start,
            original_size,
            metadata: metadata.of(bytes)?,
            content,
            content_offset,
        })
    }

    /// Version of the layout.
    #[must_use]
    pub fn version(&self) -> PfileVersion {
        self.version
    }

    /// The notice for people who open the file in an editor.
    #[must_use]
    pub fn notice(&self) -> &'a [u8] {
        self.notice
    }

    /// Extension of the file before it was protected, dot included, for example `.txt`. May be empty.
    #[must_use]
    pub fn extension(&self) -> &'a str {
        self.extension
    }

    /// The publishing licence with the certificates that follow it, as stored: usually UTF-8 with a byte order mark.
    #[must_use]
    pub fn publishing_licence(&self) -> &'a [u8] {
        self.publishing_licence
    }

    /// Where the publishing licence begins, in bytes from the start of the file.
    #[must_use]
    pub fn publishing_licence_offset(&self) -> usize {
        self.publishing_licence_offset
    }

    /// Size of the content in the clear in bytes, if the file says.
    #[must_use]
    pub fn original_size(&self) -> Option<u64> {
        self.original_size
    }

    /// Metadata; empty before 2.1.
    #[must_use]
    pub fn metadata(&self) -> &'a [u8] {
        self.metadata
    }

    /// The encrypted content.
    #[must_use]
    pub fn content(&self) -> &'a [u8] {
        self.content
    }

    /// Where the content begins, in bytes from the start of the file.
    #[must_use]
    pub fn content_offset(&self) -> usize {
        self.content_offset
    }
}

impl std::fmt::Debug for ProtectedFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProtectedFile")
            .field("version", &self.version)
            .field("extension", &self.extension)
            .field("publishing_licence_bytes", &self.publishing_licence.len())
            .field("original_size", &self.original_size)
            .field("metadata_bytes", &self.metadata.len())
            .field("content_offset", &self.content_offset)
            .field("content_bytes", &self.content.len())
            .finish_non_exhaustive()
    }
}

/// What a new protected file is made of. For tests and demonstrations: keykit protects no documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProtectedFile<'a> {
    /// Version of the layout.
    pub version: PfileVersion,
    /// The notice for people.
    pub notice: &'a [u8],
    /// Extension of the file before, dot included.
    pub extension: &'a str,
    /// The publishing licence, as it is to be stored.
    pub publishing_licence: &'a [u8],
    /// Size of the content in the clear. Not stored before 2.1.
    pub original_size: Option<u64>,
    /// Metadata. Must be empty before 2.1.
    pub metadata: &'a [u8],
    /// The encrypted content.
    pub content: &'a [u8],
}

impl NewProtectedFile<'_> {
    /// The file.
    ///
    /// # Errors
    /// [`Error::Malformed`] for what [`ProtectedFile::parse`] would refuse, and for parts of 4 GiB and more.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.version.check()?;
        check_extension(self.extension)?;
        if self.publishing_licence.is_empty() {
            return Err(Error::malformed(FORMAT, "it has no publishing licence"));
        }
        if !self.version.has_metadata() && (!self.metadata.is_empty() || self.original_size.is_some()) {
            return Err(Error::malformed(FORMAT, format!("version {} stores neither metadata nor the original size", self.version)));
        }
        if self.original_size == Some(UNKNOWN_SIZE) {
            return Err(Error::malformed(FORMAT, "an original size that means \"unknown\""));
        }
        let header_start = PREAMBLE.len() + 12 + self.notice.len();
        let extension_start = header_start + narrow::<_, usize>(self.version.header_bytes())?;
        let licence_start = extension_start + self.extension.len();
        let metadata_start = licence_start + self.publishing_licence.len();
        let content_start = metadata_start + self.metadata.len();

        let mut bytes = Vec::with_capacity(content_start + self.content.len());
        let mut put = |field: u32| bytes.extend_from_slice(&field.to_le_bytes());
        put(self.version.major);
        put(self.version.minor);
        put(narrow(self.notice.len())?);
        bytes.splice(0..0, PREAMBLE.iter().copied());
        bytes.extend_from_slice(self.notice);
        let mut put = |field: u32| bytes.extend_from_slice(&field.to_le_bytes());
        put(self.version.header_bytes());
        for field in [extension_start, self.extension.len(), licence_start, self.publishing_licence.len(), content_start] {
            put(narrow(field)?);
        }
        if self.version.has_metadata() {
            bytes.extend_from_slice(&self.original_size.unwrap_or(UNKNOWN_SIZE).to_le_bytes());
            for field in [metadata_start, self.metadata.len()] {
                bytes.extend_from_slice(&narrow::<_, u32>(field)?.to_le_bytes());
            }
        }
        for part in [self.extension.as_bytes(), self.publishing_licence, self.metadata, self.content] {
            bytes.extend_from_slice(part);
        }
        Ok(bytes)
    }
}

/// A part of the file, as its header places it.
#[derive(Clone, Copy)]
struct Part {
    name: &'static str,
    field: usize,
    start: usize,
    length: usize,
}

impl Part {
    /// The part itself; an absent one is empty wherever it is said to be.
    fn of<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8]> {
        if self.length == 0 {
            return Ok(&[]);
        }
        let end = self.start.checked_add(self.length);
        end.and_then(|end| bytes.get(self.start..end)).ok_or_else(|| self.misplaced())
    }

    fn misplaced(&self) -> Error {
        let problem = format!(
            "the {} is said to be {} bytes at byte {}, which is not free space between the header and the content",
            self.name, self.length, self.start
        );
        Error::malformed(FORMAT, problem).at(self.field as u64)
    }
}

fn extension_of(part: Part, bytes: &[u8]) -> Result<&str> {
    let extension = std::str::from_utf8(part.of(bytes)?).map_err(|_| Error::malformed(FORMAT, "the extension is not UTF-8"));
    extension.and_then(|extension| check_extension(extension).map(|()| extension)).map_err(|error| error.at(part.field as u64))
}

/// An extension becomes part of file names and is printed.
fn check_extension(extension: &str) -> Result<()> {
    if extension.len() > MAX_EXTENSION {
        return Err(Error::malformed(FORMAT, format!("an extension of {} bytes; {MAX_EXTENSION} are possible", extension.len())));
    }
    if extension.chars().any(|character| character.is_control() || matches!(character, '/' | '\\' | ':')) {
        return Err(Error::malformed(FORMAT, "the extension holds a character that no extension has"));
    }
    Ok(())
}

/// Reads fields one after the other.
struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let end = self.position.checked_add(length);
        let taken = end
            .and_then(|end| self.bytes.get(self.position..end))
            .ok_or_else(|| Error::malformed(FORMAT, format!("it ends early: {length} bytes are needed here")).at(self.position as u64))?;
        self.position += length;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(self.take(4)?.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(self.take(8)?.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)))
    }

    fn offset(&mut self) -> Result<usize> {
        narrow(self.u32()?)
    }

    fn part(&mut self, name: &'static str) -> Result<Part> {
        Ok(Part { name, field: self.position, start: self.offset()?, length: self.offset()? })
    }
}

fn narrow<N: Copy + std::fmt::Display, T: TryFrom<N>>(number: N) -> Result<T> {
    T::try_from(number).map_err(|_| Error::malformed(FORMAT, format!("{number} does not fit its field")))
}

#[cfg(test)]
mod tests;
