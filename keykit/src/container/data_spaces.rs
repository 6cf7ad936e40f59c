//! The structures of data spaces that carry licences (MS-OFFCRYPTO §2.1 and §2.2): the transform's own stream, the streams of
//! end-user licences, and what a writer must put beside them. Numbers are little-endian.

use base64ct::{Base64, Encoding as _};

use crate::error::{Error, Result};
use crate::xml::{self, Encoding};

const FORMAT: &str = "data spaces of a protected document";
/// The transform of rights management (MS-OFFCRYPTO §2.2.6).
const TRANSFORM_ID: &str = "{C73DFACD-061F-43B0-8B64-0C620D2A8B50}";
const TRANSFORM_NAME: &str = "Microsoft.Metadata.DRMTransform";
/// Bytes of the header before the transform's name: length, type, identity.
const HEADER_BYTES: u32 = 0x58;
const TRANSFORM_TYPE: u32 = 1;
/// Longest name or identity that is taken, in bytes.
const MAX_NAME: usize = 4096;

/// A licence to use the document, which the author's program keeps in it (MS-OFFCRYPTO §2.2.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndUserLicence {
    /// Whose it is, as it is stored: base64 of `Windows:NAME` or `Passport:NAME`.
    pub id: String,
    /// The licence and its chain as XrML texts, in the order of the file.
    pub certificates: Vec<String>,
}

/// What the stream of a transform says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transform<'a> {
    /// Rights management, with the publishing licence and its chain.
    RightsManagement(&'a [u8]),
    /// Another: encryption under a password, compression.
    Other,
}

/// Reads the stream `\x06Primary` of a transform.
pub(super) fn read_transform(bytes: &[u8]) -> Result<Transform<'_>> {
    let mut reader = Reader::new(bytes);
    let header = reader.number("length of the header")?;
    let kind = reader.number("type of the transform")?;
    let id = reader.wide_text("identity of the transform")?;
    if !id.eq_ignore_ascii_case(TRANSFORM_ID) {
        return Ok(Transform::Other);
    }
    if header != HEADER_BYTES || kind != TRANSFORM_TYPE {
        return Err(reader.malformed("the header of the transform has an unknown form"));
    }
    reader.wide_text("name of the transform")?;
    for version in ["reader", "updater", "writer"] {
        let number = reader.number("version")?;
        if number & 0xffff != 1 {
            return Err(reader.malformed(&format!("the {version} version is {}.{}; 1.0 is known", number & 0xffff, number >> 16)));
        }
    }
    let extension = reader.number("length of the extension")?;
    if extension != 4 {
        return Err(reader.malformed("an extension of the header that is not known"));
    }
    Ok(Transform::RightsManagement(reader.narrow("publishing licence")?))
}

/// Writes the stream `\x06Primary` of the transform of rights management.
pub(super) fn write_transform(publishing_licence: &[u8]) -> Result<Vec<u8>> {
    let mut writer = Writer::default();
    writer.number(HEADER_BYTES);
    writer.number(TRANSFORM_TYPE);
    writer.wide_text(TRANSFORM_ID)?;
    writer.wide_text(TRANSFORM_NAME)?;
    writer.versions();
    writer.number(4);
    writer.narrow(publishing_licence)?;
    Ok(writer.bytes)
}

impl EndUserLicence {
    /// Reads a stream `EUL-…`.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        reader.number("length of the header")?;
        let id = reader.narrow_text("identity of the user")?.to_owned();
        let text = reader.narrow_text("end-user licence")?.trim_end_matches('\0');
        let root = xml::parse(text, FORMAT)?;
        let certificates = root.children_named("CERTIFICATE").map(|certificate| decode_certificate(certificate.trimmed())).collect::<Result<_>>()?;
        Ok(Self { id, certificates })
    }

    /// The stream.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut text = String::from("<?xml version=\"1.0\"?><CERTIFICATECHAIN>");
        for certificate in &self.certificates {
            text.push_str(&format!("<CERTIFICATE>{}</CERTIFICATE>", Base64::encode_string(&xml::encode(certificate, Encoding::Utf16Le))));
        }
        text.push_str("</CERTIFICATECHAIN>");
        let mut id = Writer::default();
        id.narrow(self.id.as_bytes())?;
        let mut writer = Writer::default();
        writer.number(length_of(id.bytes.len() + 4)?);
        writer.bytes.extend(id.bytes);
        writer.narrow(text.as_bytes())?;
        Ok(writer.bytes)
    }
}

/// Base64 of XrML in UTF-16LE.
fn decode_certificate(text: &str) -> Result<String> {
    let malformed = |what: &str| Error::malformed(FORMAT, format!("a certificate of an end-user licence {what}"));
    let plain: String = text.chars().filter(|character| !character.is_whitespace()).collect();
    let bytes = Base64::decode_vec(&plain).map_err(|_| malformed("is no base64"))?;
    if bytes.len() % 2 != 0 {
        return Err(malformed("has half a character"));
    }
    let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair.first().copied().unwrap_or(0), pair.get(1).copied().unwrap_or(0)]));
    let text: String = char::decode_utf16(units).collect::<std::result::Result<_, _>>().map_err(|_| malformed("is no UTF-16"))?;
    Ok(text.trim_start_matches('\u{feff}').trim_end_matches('\0').to_owned())
}

/// The stream `Version` (MS-OFFCRYPTO §2.1.5).
pub(super) fn version_stream() -> Result<Vec<u8>> {
    let mut writer = Writer::default();
    writer.wide_text("Microsoft.Container.DataSpaces")?;
    writer.versions();
    Ok(writer.bytes)
}

/// The stream `DataSpaceMap`: one stream of content in one data space (MS-OFFCRYPTO §2.1.6).
pub(super) fn map_stream(content: &str, data_space: &str) -> Result<Vec<u8>> {
    let mut entry = Writer::default();
    entry.number(1);
    entry.number(0);
    entry.wide_text(content)?;
    entry.wide_text(data_space)?;
    let mut writer = Writer::default();
    writer.number(8);
    writer.number(1);
    writer.number(length_of(entry.bytes.len() + 4)?);
    writer.bytes.extend(entry.bytes);
    Ok(writer.bytes)
}

/// The stream of a data space with one transform (MS-OFFCRYPTO §2.1.7).
pub(super) fn definition_stream(transform: &str) -> Result<Vec<u8>> {
    let mut writer = Writer::default();
    writer.number(8);
    writer.number(1);
    writer.wide_text(transform)?;
    Ok(writer.bytes)
}

/// Reads fields one after the other, none beyond the end.
struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    fn malformed(&self, what: &str) -> Error {
        Error::malformed(FORMAT, what).at(self.position as u64)
    }

    fn take(&mut self, length: usize, what: &str) -> Result<&'a [u8]> {
        let end = self.position.checked_add(length);
        let taken =
            end.and_then(|end| self.bytes.get(self.position..end)).ok_or_else(|| self.malformed(&format!("the {what} ends beyond its stream")))?;
        self.position += length;
        Ok(taken)
    }

    fn number(&mut self, what: &str) -> Result<u32> {
        let bytes = self.take(4, what)?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte)))
    }

    /// Length, bytes, padding to a multiple of four; the padding may be missing at the end.
    fn narrow(&mut self, what: &str) -> Result<&'a [u8]> {
        let length = self.number(what)?;
        let length = usize::try_from(length).map_err(|_| self.malformed(&format!("the {what} is too long")))?;
        let taken = self.take(length, what)?;
        self.position = self.position.checked_next_multiple_of(4).unwrap_or(usize::MAX).min(self.bytes.len());
        Ok(taken)
    }

    fn narrow_text(&mut self, what: &str) -> Result<&'a str> {
        let bytes = self.narrow(what)?;
        std::str::from_utf8(bytes).map_err(|_| self.malformed(&format!("the {what} is no UTF-8")))
    }

    fn wide_text(&mut self, what: &str) -> Result<String> {
        let bytes = self.narrow(what)?;
        if bytes.len() > MAX_NAME || bytes.len() % 2 != 0 {
            return Err(self.malformed(&format!("the {what} has an impossible length")));
        }
        let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair.first().copied().unwrap_or(0), pair.get(1).copied().unwrap_or(0)]));
        Ok(char::decode_utf16(units).map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
    }
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn number(&mut self, number: u32) {
        self.bytes.extend(number.to_le_bytes());
    }

    fn narrow(&mut self, bytes: &[u8]) -> Result<()> {
        self.number(length_of(bytes.len())?);
        self.bytes.extend(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        Ok(())
    }

    fn wide_text(&mut self, text: &str) -> Result<()> {
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        self.narrow(&bytes)
    }

    /// Reader, updater and writer: 1.0 each.
    fn versions(&mut self) {
        (0..3).for_each(|_| self.number(1));
    }
}

fn length_of(length: usize) -> Result<u32> {
    u32::try_from(length).map_err(|_| Error::usage("a part of a protected document is longer than 4 GiB"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_transform_has_the_documented_layout() {
        let bytes = write_transform(b"<XrML/>").unwrap();
        assert_eq!(bytes[..12], [0x58, 0, 0, 0, 1, 0, 0, 0, 76, 0, 0, 0]);
        // Length, type and identity take 0x58 bytes, as the header says of itself.
        assert_eq!(bytes[0x58..0x5c], [62, 0, 0, 0]);
        assert_eq!(read_transform(&bytes).unwrap(), Transform::RightsManagement(b"<XrML/>"));
        let mut password = Writer::default();
        password.number(HEADER_BYTES);
        password.number(1);
        password.wide_text("{FF9A3F03-56EF-4613-BDD5-5A41C1D07246}").unwrap();
        assert_eq!(read_transform(&password.bytes).unwrap(), Transform::Other);
        for cut in 0..bytes.len() - 1 {
            assert!(read_transform(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(licence in prop::collection::vec(any::<u8>(), 0..200), id in "[A-Za-z0-9+/=]{0,40}", texts in prop::collection::vec("[^\\x00\\x{feff}]{0,40}", 0..4)) {
            let bytes = write_transform(&licence).unwrap();
            prop_assert_eq!(read_transform(&bytes).unwrap(), Transform::RightsManagement(&licence));
            let eul = EndUserLicence { id, certificates: texts };
            prop_assert_eq!(EndUserLicence::parse(&eul.to_bytes().unwrap()).unwrap(), eul);
        }

        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), position in 0..200_usize, value: u8) {
            drop(read_transform(&bytes));
            drop(EndUserLicence::parse(&bytes));
            let mut changed = write_transform(b"licence").unwrap();
            let position = position % changed.len();
            changed[position] = value;
            if let Ok(Transform::RightsManagement(licence)) = read_transform(&changed) {
                prop_assert!(licence.len() <= changed.len());
            }
        }
    }
}
