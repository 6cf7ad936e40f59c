//! The files that licences live in, and how to find the licences in them.
//!
//! | kind | what | read |
//! |---|---|---|
//! | [`ContainerKind::Text`] | the XrML text itself: UTF-8 or UTF-16, with or without a byte order mark | yes |
//! | [`ContainerKind::Pfile`] | a protected file: `.pfile`, and `.ptxt`, `.ppdf`, `.pjpg`… which have the same layout | yes |
//! | [`ContainerKind::OfficeCompound`] | an Office document of either generation in a compound file | yes |
//! | [`ContainerKind::Rpmsg`] | the `message.rpmsg` attachment of a protected mail | yes |

mod compound;
mod data_spaces;
mod office;
mod pfile;
mod rpmsg;

pub use compound::open_compound;
pub use data_spaces::EndUserLicence;
pub(crate) use office::CompoundInput;
pub use office::{CompoundLayout, NewProtectedDocument, ProtectedDocument};
pub use pfile::{NewProtectedFile, PfileVersion, ProtectedFile};
pub(crate) use rpmsg::inflate as mail_payload;
pub use rpmsg::{payload_length, read_mail, write_mail};

use std::borrow::Cow;
use std::fmt;

use crate::error::{Error, Result};
use crate::xml::{self, Encoding};

const FORMAT: &str = "container of licences";
/// The first bytes of a compound file (MS-CFB §2.2).
const COMPOUND_FILE: [u8; 8] = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];

/// What a file is, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContainerKind {
    /// XrML text.
    Text,
    /// A protected file.
    Pfile,
    /// A compound file, which may be a protected Office document or something else.
    OfficeCompound,
    /// A protected mail.
    Rpmsg,
}

impl ContainerKind {
    /// The kind of a file; `None` if its first bytes are those of no container. The rest is not looked at.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let marks: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
        if bytes.starts_with(pfile::PREAMBLE) {
            Some(Self::Pfile)
        } else if bytes.starts_with(&COMPOUND_FILE) {
            Some(Self::OfficeCompound)
        } else if bytes.starts_with(&rpmsg::PREAMBLE) {
            Some(Self::Rpmsg)
        } else if marks.iter().any(|mark| bytes.starts_with(mark)) || bytes.trim_ascii_start().starts_with(b"<") {
            Some(Self::Text)
        } else {
            None
        }
    }

    /// The short name that `keykit inspect` prints.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "xrml",
            Self::Pfile => "pfile",
            Self::OfficeCompound => "office-irm",
            Self::Rpmsg => "rpmsg",
        }
    }
}

impl fmt::Display for ContainerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Licences that were found in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLicences<'a> {
    /// What the file is.
    pub kind: ContainerKind,
    /// One or more XrML documents, one after the other, as they are stored: see [`xml::decode`] for the encoding. A
    /// terminating NUL is left out. Borrowed from the file where they lie in it in one piece.
    pub licences: Cow<'a, [u8]>,
    /// Where they begin in the file, in bytes; `None` if they do not lie in it in one piece.
    pub offset: Option<usize>,
}

/// Finds the licences in a file.
///
/// # Errors
/// [`Error::Malformed`] if the file is no container, or is damaged.
pub fn find_licences(bytes: &[u8]) -> Result<FoundLicences<'_>> {
    let kind = ContainerKind::of(bytes).ok_or_else(|| {
        Error::malformed(FORMAT, "its first bytes are those of no file that holds licences")
            .at(0)
            .with_hint("give XrML text, a .pfile, or another file that was protected by rights management")
    })?;
    let (licences, offset) = match kind {
        ContainerKind::Text => (Cow::Borrowed(bytes), Some(0)),
        ContainerKind::Pfile => {
            let file = ProtectedFile::parse(bytes)?;
            (Cow::Borrowed(file.publishing_licence()), Some(file.publishing_licence_offset()))
        }
        ContainerKind::OfficeCompound => (Cow::Owned(ProtectedDocument::parse(bytes)?.publishing_licence), None),
        ContainerKind::Rpmsg => (Cow::Owned(read_mail(bytes)?.publishing_licence), None),
    };
    let licences = without_terminator(licences, offset)?;
    Ok(FoundLicences { kind, licences, offset })
}

/// Licences as they are stored, without the terminator that some writers store behind their strings. `offset` is where they
/// stand in their file, for the error.
///
/// # Errors
/// [`Error::Malformed`] if there is no `<XrML` in them, or they are in no known encoding.
pub fn without_terminator(licences: Cow<'_, [u8]>, offset: Option<usize>) -> Result<Cow<'_, [u8]>> {
    let (text, encoding) = xml::decode(&licences, FORMAT)?;
    if !text.contains("<XrML") {
        return Err(Error::malformed(FORMAT, "there is no <XrML> where the licence should be").at(offset.unwrap_or_default() as u64));
    }
    let terminator = text.len() - text.trim_end_matches('\0').len();
    let unit = if matches!(encoding, Encoding::Utf8 | Encoding::Utf8Bom) { 1 } else { 2 };
    let length = licences.len() - terminator * unit;
    Ok(match licences {
        Cow::Borrowed(licences) => Cow::Borrowed(licences.get(..length).unwrap_or_default()),
        Cow::Owned(mut licences) => {
            licences.truncate(length);
            Cow::Owned(licences)
        }
    })
}

/// The same, but `None` for a sound compound file that rights management does not protect: an Office document in the clear, or
/// under a password.
///
/// # Errors
/// As for [`find_licences`].
pub fn find_licences_if_protected(bytes: &[u8]) -> Result<Option<FoundLicences<'_>>> {
    if ContainerKind::of(bytes) == Some(ContainerKind::OfficeCompound) && ProtectedDocument::find(bytes)?.is_none() {
        return Ok(None);
    }
    find_licences(bytes).map(Some)
}

/// The same compound file or mail with another publishing licence; everything else in it stays as it is.
///
/// # Errors
/// [`Error::Malformed`] if the file is neither, or is damaged.
pub fn replace_compound_licence(bytes: &[u8], licence: &[u8]) -> Result<Vec<u8>> {
    match ContainerKind::of(bytes) {
        Some(ContainerKind::OfficeCompound) => office::replace_licence(bytes, licence),
        Some(ContainerKind::Rpmsg) => rpmsg::replace_licence(bytes, licence),
        _ => Err(Error::malformed(FORMAT, "it is neither a compound file nor a protected mail").at(0)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LICENCE: &str = "<XrML xmlns=\"\" version=\"1.2\"><BODY></BODY></XrML>";

    fn vector(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/../vectors/xrml/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn real_files_give_their_licences() {
        for (name, kind, documents) in [
            ("AliceBvt.txt.pfile", ContainerKind::Pfile, 1),
            ("CleanAlice.txt.pfile", ContainerKind::Pfile, 1),
            ("android_template_01.ptxt", ContainerKind::Pfile, 1),
            ("LicenseParserTest_PL_0101right_ECB_xml.bin", ContainerKind::Text, 2),
            ("LicenseParserTest_PL_0101right_CBC_xml.bin", ContainerKind::Text, 2),
            ("ca-chain-mode1.xml", ContainerKind::Text, 4),
        ] {
            let bytes = vector(name);
            let found = find_licences(&bytes).unwrap();
            assert_eq!(found.kind, kind, "{name}");
            let offset = found.offset.unwrap();
            assert_eq!(&bytes[offset..offset + found.licences.len()], &*found.licences);
            let (text, _) = xml::decode(&found.licences, "test").unwrap();
            let roots = xml::parse_all(&text, "test").unwrap();
            assert!(roots.iter().all(|root| root.name == "XrML"), "{name}");
            assert_eq!(roots.len(), documents, "{name}");
            assert!(text.ends_with("</XrML>"), "{name}");
        }
    }

    #[test]
    fn every_encoding_of_text_is_text() {
        for encoding in [Encoding::Utf8, Encoding::Utf8Bom, Encoding::Utf16Le, Encoding::Utf16LeBom, Encoding::Utf16BeBom] {
            let bytes = xml::encode(LICENCE, encoding);
            let terminated = xml::encode(&format!("{LICENCE}\0"), encoding);
            assert_eq!(&*find_licences(&terminated).unwrap().licences, bytes, "{encoding:?}");
            let found = find_licences(&bytes).unwrap();
            assert_eq!((found.kind, &*found.licences, found.offset), (ContainerKind::Text, bytes.as_slice(), Some(0)), "{encoding:?}");
        }
    }

    #[test]
    fn office_documents_and_mail_give_their_licences() {
        let chain = vector("ca-chain-mode1.xml");
        let new = NewProtectedDocument {
            layout: CompoundLayout::OpenXml,
            publishing_licence: &chain,
            end_user_licences: &[],
            original_size: 3,
            content: &[0; 16],
        };
        for (bytes, kind) in [(new.to_bytes().unwrap(), ContainerKind::OfficeCompound), (write_mail(&new).unwrap(), ContainerKind::Rpmsg)] {
            let found = find_licences(&bytes).unwrap();
            assert_eq!((found.kind, &*found.licences, found.offset), (kind, chain.as_slice(), None));
            let other = replace_compound_licence(&bytes, LICENCE.as_bytes()).unwrap();
            assert_eq!(&*find_licences(&other).unwrap().licences, LICENCE.as_bytes());
            let none = replace_compound_licence(&bytes, b"no licence\0").unwrap();
            assert!(find_licences(&none).unwrap_err().to_string().contains("no <XrML>"));
        }
        assert!(replace_compound_licence(b"<XrML/>", b"").is_err());
        let office = [COMPOUND_FILE.as_slice(), &[0; 504]].concat();
        assert!(find_licences(&office).unwrap_err().to_string().contains("compound file"));
        let mail = [rpmsg::PREAMBLE.as_slice(), &[0; 12]].concat();
        assert!(find_licences(&mail).unwrap_err().to_string().contains("message.rpmsg"));
        assert_eq!(ContainerKind::of(&office).unwrap().to_string(), "office-irm");
        assert_eq!(ContainerKind::of(&mail).unwrap().to_string(), "rpmsg");
    }

    #[test]
    fn other_files_are_refused() {
        for bytes in [b"".as_slice(), b"%PDF-1.7", b"PK\x03\x04", b"<html></html>", b"\xef\xbb\xbf", b"-----BEGIN", b"<XrML\xff"] {
            assert_eq!(find_licences(bytes).unwrap_err().code(), "malformed", "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_input_panics(start in prop::sample::select(vec![b"".as_slice(), b".pfile", &COMPOUND_FILE, &rpmsg::PREAMBLE, b"<", b"<\0", b"\xff\xfe<\0"]), rest in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [start, &rest].concat();
            if let Ok(FoundLicences { licences, offset: Some(offset), .. }) = find_licences(&bytes) {
                prop_assert_eq!(Some(&*licences), bytes.get(offset..offset + licences.len()));
            }
        }
    }
}
