//! The content of one protected file, decrypted for somebody who wants to see it with their own eyes.
//!
//! | kind | content | in memory |
//! |---|---|---|
//! | `.pfile` and its like, versions 1 to 3 | from the header to the end; AES-CBC4K up to version 2, from 3 on what the licence says | 64 KiB, and the licence |
//! | Office Open XML in a compound file | stream `EncryptedPackage`: the package, a ZIP file | 64 KiB, and the tables of the compound file |
//! | binary Office in a compound file | stream `\x09DRMContent`: taken for a compound file | the same |
//! | `message.rpmsg` | stream `\x09DRMContent` of its payload: taken for a compound file | the payload, at most 256 MiB |
//!
//! Nobody has given us a protected file together with its key. The layouts are read from real files, AES-CBC4K has a published answer,
//! and the rest is tested on files that keykit makes itself, with OpenSSL as the judge of AES.

mod cipher;

pub use cipher::{EncryptedForm, decrypt, encrypt};

use std::borrow::Cow;
use std::io::{Cursor, Read, Seek, SeekFrom};

use crate::container::{self, CompoundInput, CompoundLayout, ContainerKind, ProtectedFile};
use crate::error::{Error, Result};
use crate::licence::{ContentCipher, ContentKey};

const FORMAT: &str = "protected content";
/// So much of a file tells what it is.
const HEAD: u64 = 1 << 10;
/// So much of a protected file holds its licence, as a rule; if not, up to the second number is read.
const SHORT_PREFIX: u64 = 1 << 20;
const LONG_PREFIX: u64 = 256 << 20;
/// Largest mail that is held, in bytes.
const MAX_MAIL: u64 = 256 << 20;
/// How a ZIP file begins, and a compound file (MS-CFB §2.2).
const ZIP: &[u8] = b"PK\x03\x04";
const COMPOUND: &[u8] = &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];

/// A protected file whose content has not been read yet.
#[derive(Debug)]
pub struct ProtectedContent<R> {
    /// What the file is.
    pub kind: ContainerKind,
    /// Its licences, as [`container::find_licences`] gives them.
    pub licences: Vec<u8>,
    /// How an Office document or the payload of a mail is laid out.
    pub layout: Option<CompoundLayout>,
    /// Extension of the file before it was protected, dot included; empty if it is not known.
    pub extension: String,
    /// Size of the content in the clear, in bytes, if the file says.
    pub original_size: Option<u64>,
    /// Size of the encrypted content, in bytes.
    pub encrypted_size: u64,
    forced_cipher: Option<ContentCipher>,
    source: Source<R>,
}

enum Source<R> {
    Plain { input: R, offset: u64 },
    Compound(Box<CompoundInput<R>>),
    Mail(Box<CompoundInput<Cursor<Vec<u8>>>>),
}

impl<R> std::fmt::Debug for Source<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain { .. } => "Plain",
            Self::Compound(_) => "Compound",
            Self::Mail(_) => "Mail",
        })
    }
}

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decrypted {
    /// Bytes in the clear.
    pub bytes: u64,
    /// How they were encrypted.
    pub cipher: ContentCipher,
    /// Whether the content begins as content of this kind does; `None` where it may be anything.
    pub begins_as_expected: Option<bool>,
}

impl<R: Read + Seek> ProtectedContent<R> {
    /// Reads all of a file but its content.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is no protected file, a licence alone, or damaged.
    pub fn open(mut input: R) -> Result<Self> {
        let head = prefix(&mut input, HEAD)?;
        match ContainerKind::of(&head) {
            Some(ContainerKind::Pfile) => Self::of_pfile(input),
            Some(ContainerKind::OfficeCompound) => {
                let input = CompoundInput::open(input)?;
                Self::of_compound(ContainerKind::OfficeCompound, input, Source::Compound)
            }
            Some(ContainerKind::Rpmsg) => {
                let mail = prefix(&mut input, MAX_MAIL + 1)?;
                if mail.len() as u64 > MAX_MAIL {
                    return Err(Error::malformed(FORMAT, format!("a mail of more than {MAX_MAIL} bytes")));
                }
                let payload = CompoundInput::open(Cursor::new(container::mail_payload(&mail)?))?;
                Self::of_compound(ContainerKind::Rpmsg, payload, Source::Mail)
            }
            Some(ContainerKind::Text) => {
                Err(Error::malformed(FORMAT, "a licence alone holds no content").with_hint("give the file that it protects"))
            }
            None => Err(Error::malformed(FORMAT, "its first bytes are those of no protected file")
                .at(0)
                .with_hint("give a .pfile, a protected Office document or a message.rpmsg; unpack archives and mail first")),
        }
    }

    fn of_pfile(mut input: R) -> Result<Self> {
        let failed = |error: std::io::Error| Error::malformed(FORMAT, format!("it can't be read: {error}"));
        let length = input.seek(SeekFrom::End(0)).map_err(failed)?;
        let mut bytes = prefix(&mut input, SHORT_PREFIX)?;
        if length > SHORT_PREFIX && ProtectedFile::parse(&bytes).is_err() {
            bytes = prefix(&mut input, LONG_PREFIX)?;
        }
        let file = ProtectedFile::parse(&bytes)?;
        let licences = container::without_terminator(Cow::Borrowed(file.publishing_licence()), Some(file.publishing_licence_offset()))?;
        let offset = file.content_offset() as u64;
        Ok(Self {
            kind: ContainerKind::Pfile,
            licences: licences.into_owned(),
            layout: None,
            extension: file.extension().to_owned(),
            original_size: file.original_size(),
            encrypted_size: length.saturating_sub(offset),
            forced_cipher: file.version().forces_cbc4k().then_some(ContentCipher::Cbc4k),
            source: Source::Plain { input, offset },
        })
    }

    fn of_compound<F: Read + Seek>(
        kind: ContainerKind,
        mut input: CompoundInput<F>,
        source: impl FnOnce(Box<CompoundInput<F>>) -> Source<R>,
    ) -> Result<Self> {
        let licences = std::mem::take(&mut input.document.publishing_licence);
        Ok(Self {
            kind,
            licences: container::without_terminator(Cow::Owned(licences), None)?.into_owned(),
            layout: Some(input.document.layout),
            extension: String::new(),
            original_size: Some(input.document.original_size),
            encrypted_size: input.document.encrypted_size,
            forced_cipher: None,
            source: source(Box::new(input)),
        })
    }

    /// Decrypts the content; `put` takes what comes out, piece by piece.
    ///
    /// # Errors
    /// As for [`decrypt`].
    pub fn decrypt(self, key: &ContentKey, mut put: impl FnMut(&[u8]) -> Result<()>) -> Result<Decrypted> {
        let form = EncryptedForm {
            cipher: self.forced_cipher.unwrap_or(key.cipher()),
            encrypted_size: self.encrypted_size,
            original_size: self.original_size,
        };
        let expected = self.layout.map(|layout| match layout {
            CompoundLayout::OpenXml => ZIP,
            CompoundLayout::Binary => COMPOUND,
        });
        let mut begins = None;
        let mut taken = |bytes: &[u8]| {
            begins.get_or_insert_with(|| expected.is_none_or(|expected| bytes.starts_with(expected)));
            put(bytes)
        };
        let bytes = match self.source {
            Source::Plain { mut input, offset } => {
                input.seek(SeekFrom::Start(offset)).map_err(|error| Error::malformed(FORMAT, format!("it can't be read: {error}")))?;
                decrypt(key, &form, &mut input, &mut taken)?
            }
            Source::Compound(mut file) => decrypt(key, &form, &mut file.content()?, &mut taken)?,
            Source::Mail(mut file) => decrypt(key, &form, &mut file.content()?, &mut taken)?,
        };
        Ok(Decrypted { bytes, cipher: form.cipher, begins_as_expected: expected.map(|_| begins.unwrap_or(false)) })
    }
}

fn prefix(input: &mut (impl Read + Seek), limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = input.rewind().and_then(|()| input.take(limit).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|error| Error::malformed(FORMAT, format!("it can't be read: {error}")))
}

#[cfg(test)]
mod tests;
