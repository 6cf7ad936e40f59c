//! Protected Office documents, and the payload of protected mail: compound files (MS-CFB) whose data spaces (MS-OFFCRYPTO §2.2)
//! hold the publishing licence, beside a stream of encrypted content.
//!
//! | layout | content stream | transform |
//! |---|---|---|
//! | Office Open XML (`.docx`, `.xlsx`…) | `EncryptedPackage` | `DRMEncryptedTransform` |
//! | binary Office (`.doc`, `.xls`, `.ppt`), and mail | `\x09DRMContent` | `\x09DRMTransform` |
//!
//! A transform is known by its identity, whatever it is called. Lengths are checked before anything is allocated, chains of sectors
//! that go in circles are refused, and no part larger than its limit is read.

use std::io::{Cursor, Read, Seek, SeekFrom, Write};

use cfb::{CompoundFile, Version};

use super::compound::open_compound;
use super::data_spaces::{self, EndUserLicence, Transform};
use crate::error::{Error, Result};

const FORMAT: &str = "protected Office document";
/// Longest stream of licences, in bytes.
const MAX_LICENCE: u64 = 16 << 20;
/// Most entries of a storage that are looked at.
const MAX_ENTRIES: usize = 1000;
/// Bytes before the encrypted content: its size in the clear.
const SIZE_BYTES: u64 = 8;
const TRANSFORMS: &str = "/\u{6}DataSpaces/TransformInfo";
const PRIMARY: &str = "\u{6}Primary";
const END_USER_LICENCE: &str = "EUL-";

/// How a document is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompoundLayout {
    /// Office Open XML in a compound file.
    OpenXml,
    /// A binary document, or mail.
    Binary,
}

impl CompoundLayout {
    /// The name that reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenXml => "open-xml",
            Self::Binary => "binary",
        }
    }

    fn content(self) -> &'static str {
        match self {
            Self::OpenXml => "EncryptedPackage",
            Self::Binary => "\u{9}DRMContent",
        }
    }

    fn data_space(self) -> &'static str {
        match self {
            Self::OpenXml => "DRMEncryptedDataSpace",
            Self::Binary => "\u{9}DRMDataSpace",
        }
    }

    fn transform(self) -> &'static str {
        match self {
            Self::OpenXml => "DRMEncryptedTransform",
            Self::Binary => "\u{9}DRMTransform",
        }
    }
}

/// A protected document. Its content is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedDocument {
    /// How it is laid out.
    pub layout: CompoundLayout,
    /// The publishing licence and its chain, as they are stored: XrML texts one after the other, UTF-8.
    pub publishing_licence: Vec<u8>,
    /// Licences of users, as far as they are understood.
    pub end_user_licences: Vec<EndUserLicence>,
    /// How many licences of users are not understood.
    pub damaged_end_user_licences: usize,
    /// Size of the content in the clear, as it says, in bytes.
    pub original_size: u64,
    /// Size of the encrypted content without its length field, in bytes.
    pub encrypted_size: u64,
}

impl ProtectedDocument {
    /// Reads a document.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is no compound file, not protected by rights management, or damaged.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Self::find(bytes)?.ok_or_else(not_protected)
    }

    /// Reads a compound file that may be a protected document; `None` if it is sound and rights management does not protect it:
    /// it may be in the clear, or under a password.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is no compound file, or damaged.
    pub fn find(bytes: &[u8]) -> Result<Option<Self>> {
        Self::find_in(&mut open(bytes)?)
    }

    /// The same in a compound file that [`open_compound`] opened; it is not held in memory.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is damaged.
    pub fn find_in<F: Read + Seek>(file: &mut CompoundFile<F>) -> Result<Option<Self>> {
        let Some((path, primary)) = find_transform(file)? else { return Ok(None) };
        let publishing_licence = match data_spaces::read_transform(&primary)? {
            Transform::RightsManagement(licence) => licence.to_vec(),
            Transform::Other => return Err(Error::Internal("a transform that was found is another".into())),
        };
        let layout = [CompoundLayout::OpenXml, CompoundLayout::Binary]
            .into_iter()
            .find(|layout| file.is_stream(format!("/{}", layout.content())))
            .ok_or_else(|| Error::malformed(FORMAT, "it has a publishing licence, but no stream of encrypted content"))?;
        let (mut end_user_licences, mut damaged_end_user_licences) = (Vec::new(), 0);
        for name in names_in(file, &path)?.into_iter().filter(|name| name.starts_with(END_USER_LICENCE)) {
            match read_stream(file, &format!("{path}/{name}")).and_then(|bytes| EndUserLicence::parse(&bytes)) {
                Ok(licence) => end_user_licences.push(licence),
                // The publishing licence decides about access; a licence that a program keeps for later may be missing.
                Err(_) => damaged_end_user_licences += 1,
            }
        }
        let (original_size, encrypted_size) = sizes(file, layout)?;
        Ok(Some(Self { layout, publishing_licence, end_user_licences, damaged_end_user_licences, original_size, encrypted_size }))
    }
}

/// A protected document whose content is read too, from a file that is not held in memory. About one byte in a hundred of the file
/// is: its tables.
pub(crate) struct CompoundInput<F> {
    file: CompoundFile<F>,
    /// What the document says of itself.
    pub(crate) document: ProtectedDocument,
}

impl<F: Read + Seek> CompoundInput<F> {
    /// Reads all but the content.
    ///
    /// # Errors
    /// As for [`ProtectedDocument::parse`].
    pub(crate) fn open(mut input: F) -> Result<Self> {
        let length = input.seek(SeekFrom::End(0)).map_err(|error| read(&error))?;
        let mut file = open_compound(input)?;
        let document = ProtectedDocument::find_in(&mut file)?.ok_or_else(not_protected)?;
        // Sectors that are listed twice would make a small file a large content.
        if document.encrypted_size > length {
            return Err(Error::malformed(FORMAT, "its content is said to be longer than the file"));
        }
        Ok(Self { file, document })
    }

    /// The encrypted content, without the size before it.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub(crate) fn content(&mut self) -> Result<impl Read> {
        let mut stream = self.file.open_stream(format!("/{}", self.document.layout.content())).map_err(|error| read(&error))?;
        stream.seek(SeekFrom::Start(SIZE_BYTES)).map_err(|error| read(&error))?;
        Ok(stream)
    }
}

/// A protected document that is to be written.
#[derive(Debug, Clone, Copy)]
pub struct NewProtectedDocument<'a> {
    /// How it is laid out.
    pub layout: CompoundLayout,
    /// The publishing licence and its chain, UTF-8.
    pub publishing_licence: &'a [u8],
    /// Licences of users.
    pub end_user_licences: &'a [EndUserLicence],
    /// Size of the content in the clear, in bytes.
    pub original_size: u64,
    /// The encrypted content.
    pub content: &'a [u8],
}

impl NewProtectedDocument<'_> {
    /// The file.
    ///
    /// # Errors
    /// [`Error::Usage`] if a part is too long.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let layout = self.layout;
        let mut file = CompoundFile::create_with_version(Version::V3, Cursor::new(Vec::new())).map_err(|error| written(&error))?;
        let transform = format!("{TRANSFORMS}/{}", layout.transform());
        file.create_storage_all(&transform).map_err(|error| written(&error))?;
        file.create_storage("/\u{6}DataSpaces/DataSpaceInfo").map_err(|error| written(&error))?;
        put(&mut file, "/\u{6}DataSpaces/Version", &data_spaces::version_stream()?)?;
        put(&mut file, "/\u{6}DataSpaces/DataSpaceMap", &data_spaces::map_stream(layout.content(), layout.data_space())?)?;
        put(&mut file, &format!("/\u{6}DataSpaces/DataSpaceInfo/{}", layout.data_space()), &data_spaces::definition_stream(layout.transform())?)?;
        put(&mut file, &format!("{transform}/{PRIMARY}"), &data_spaces::write_transform(self.publishing_licence)?)?;
        for (number, licence) in self.end_user_licences.iter().enumerate() {
            put(&mut file, &format!("{transform}/{END_USER_LICENCE}{number:026}"), &licence.to_bytes()?)?;
        }
        let content = [&self.original_size.to_le_bytes(), self.content].concat();
        put(&mut file, &format!("/{}", layout.content()), &content)?;
        file.flush().map_err(|error| written(&error))?;
        Ok(file.into_inner().into_inner())
    }
}

/// The same file with another publishing licence. All other streams stay as they are, licences of users too.
///
/// # Errors
/// As for [`ProtectedDocument::parse`]; [`Error::Usage`] if the licence is too long.
pub(super) fn replace_licence(bytes: &[u8], licence: &[u8]) -> Result<Vec<u8>> {
    let mut file = open(bytes)?;
    let (path, _) = find_transform(&mut file)?.ok_or_else(not_protected)?;
    // Written into a copy: a compound file is changed in place.
    let mut copy = open(bytes.to_vec())?;
    put(&mut copy, &format!("{path}/{PRIMARY}"), &data_spaces::write_transform(licence)?)?;
    copy.flush().map_err(|error| written(&error))?;
    Ok(copy.into_inner().into_inner())
}

fn open<B: AsRef<[u8]>>(bytes: B) -> Result<CompoundFile<Cursor<B>>>
where
    Cursor<B>: Read + Seek,
{
    open_compound(Cursor::new(bytes))
}

fn not_protected() -> Error {
    Error::malformed(FORMAT, "it is a compound file that rights management does not protect")
        .with_hint("it is in the clear, or encrypted under a password: either way no key of rights management is needed for it")
}

/// The path of the transform of rights management, and its stream; `None` if there is none.
fn find_transform<F: Read + Seek>(file: &mut CompoundFile<F>) -> Result<Option<(String, Vec<u8>)>> {
    if !file.is_storage(TRANSFORMS) {
        return Ok(None);
    }
    let mut damaged = None;
    for name in names_in(file, TRANSFORMS)? {
        let path = format!("{TRANSFORMS}/{name}");
        let stream = format!("{path}/{PRIMARY}");
        if !file.is_stream(&stream) {
            continue;
        }
        let primary = read_stream(file, &stream)?;
        match data_spaces::read_transform(&primary) {
            Ok(Transform::RightsManagement(_)) => return Ok(Some((path, primary))),
            Ok(Transform::Other) => {}
            // Transforms of other kinds have forms of their own.
            Err(error) => damaged = damaged.or(Some(error)),
        }
    }
    damaged.map_or(Ok(None), Err)
}

fn names_in<F>(file: &CompoundFile<F>, storage: &str) -> Result<Vec<String>> {
    let names: Vec<String> =
        file.read_storage(storage).map_err(|error| read(&error))?.take(MAX_ENTRIES + 1).map(|entry| entry.name().to_owned()).collect();
    if names.len() > MAX_ENTRIES {
        return Err(Error::malformed(FORMAT, format!("more than {MAX_ENTRIES} entries where licences are")));
    }
    Ok(names)
}

fn read_stream<F: Read + Seek>(file: &mut CompoundFile<F>, path: &str) -> Result<Vec<u8>> {
    let stream = file.open_stream(path).map_err(|error| read(&error))?;
    if stream.len() > MAX_LICENCE {
        return Err(Error::malformed(FORMAT, format!("a stream of licences has {} bytes; {MAX_LICENCE} are the limit", stream.len())));
    }
    let mut bytes = Vec::new();
    stream.take(MAX_LICENCE).read_to_end(&mut bytes).map_err(|error| read(&error))?;
    Ok(bytes)
}

/// Size in the clear and encrypted size, from the content stream.
fn sizes<F: Read + Seek>(file: &mut CompoundFile<F>, layout: CompoundLayout) -> Result<(u64, u64)> {
    let mut stream = file.open_stream(format!("/{}", layout.content())).map_err(|error| read(&error))?;
    let mut size = [0; 8];
    let encrypted = stream.len().checked_sub(SIZE_BYTES).ok_or_else(|| Error::malformed(FORMAT, "the encrypted content has no length"))?;
    stream.read_exact(&mut size).map_err(|error| read(&error))?;
    Ok((u64::from_le_bytes(size), encrypted))
}

fn put<F: Read + Write + Seek>(file: &mut CompoundFile<F>, path: &str, bytes: &[u8]) -> Result<()> {
    file.create_stream(path).and_then(|mut stream| stream.write_all(bytes)).map_err(|error| written(&error))
}

fn read(error: &std::io::Error) -> Error {
    Error::malformed(FORMAT, format!("the compound file is damaged: {error}"))
}

fn written(error: &std::io::Error) -> Error {
    Error::Internal(format!("writing a compound file into memory: {error}"))
}

#[cfg(test)]
mod tests;
