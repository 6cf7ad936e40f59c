//! The encodings that XML of rights management is stored in.

use std::borrow::Cow;

use crate::error::{Error, Result};

/// How a text is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8 without a byte order mark.
    Utf8,
    /// UTF-8 with a byte order mark.
    Utf8Bom,
    /// UTF-16, little-endian, without a byte order mark.
    Utf16Le,
    /// UTF-16, little-endian, with a byte order mark.
    Utf16LeBom,
    /// UTF-16, big-endian, with a byte order mark.
    Utf16BeBom,
}

/// Decodes a text, finding its encoding by the byte order mark or by its first `<`. The mark is left out.
///
/// # Errors
/// [`Error::Malformed`] under the name `format`, with the offset of the first byte that is no text.
pub fn decode<'a>(bytes: &'a [u8], format: &'static str) -> Result<(Cow<'a, str>, Encoding)> {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest, 3, format).map(|text| (text, Encoding::Utf8Bom)),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes, 2, format).map(|text| (text, Encoding::Utf16LeBom)),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes, 2, format).map(|text| (text, Encoding::Utf16BeBom)),
        [b'<', 0, ..] => utf16(bytes, u16::from_le_bytes, 0, format).map(|text| (text, Encoding::Utf16Le)),
        _ => utf8(bytes, 0, format).map(|text| (text, Encoding::Utf8)),
    }
}

/// Encodes a text.
#[must_use]
pub fn encode(text: &str, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Utf8 => text.as_bytes().to_vec(),
        Encoding::Utf8Bom => [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat(),
        Encoding::Utf16Le => widened(text, &[], u16::to_le_bytes),
        Encoding::Utf16LeBom => widened(text, &[0xff, 0xfe], u16::to_le_bytes),
        Encoding::Utf16BeBom => widened(text, &[0xfe, 0xff], u16::to_be_bytes),
    }
}

/// UTF-16 behind a mark. Every signature and every check passes here: nearly all texts are ASCII, which is quick to widen.
fn widened(text: &str, mark: &[u8], order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    if !text.is_ascii() {
        return mark.iter().copied().chain(text.encode_utf16().flat_map(order)).collect();
    }
    let mut bytes = vec![0; mark.len() + text.len() * 2];
    let (start, rest) = bytes.split_at_mut(mark.len());
    start.copy_from_slice(mark);
    let units = rest.as_chunks_mut::<2>().0.iter_mut().zip(text.bytes());
    // The order is asked once and not for each unit, so that the loops are made of wide registers.
    if order(1) == [1, 0] {
        units.for_each(|(unit, byte)| *unit = [byte, 0]);
    } else {
        units.for_each(|(unit, byte)| *unit = [0, byte]);
    }
    bytes
}

fn utf8<'a>(bytes: &'a [u8], skipped: usize, format: &'static str) -> Result<Cow<'a, str>> {
    std::str::from_utf8(bytes)
        .map(Cow::Borrowed)
        .map_err(|error| Error::malformed(format, "not UTF-8 text").at((error.valid_up_to() + skipped) as u64))
}

fn utf16<'a>(bytes: &[u8], order: fn([u8; 2]) -> u16, skipped: usize, format: &'static str) -> Result<Cow<'a, str>> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Error::malformed(format, "UTF-16 text with half a character").at((bytes.len() + skipped) as u64));
    }
    // Nearly all texts are ASCII, which is quick to narrow.
    if pairs.iter().fold(0, |all, &pair| all | order(pair)) < 0x80
        && let Ok(text) = String::from_utf8(pairs.iter().map(|&[first, second]| first | second).collect())
    {
        return Ok(Cow::Owned(text));
    }
    let mut position = skipped;
    char::decode_utf16(pairs.iter().map(|&pair| order(pair)))
        .map(|character| {
            let character = character.map_err(|_| Error::malformed(format, "not UTF-16 text").at(position as u64))?;
            position += character.len_utf16() * 2;
            Ok(character)
        })
        .collect::<Result<String>>()
        .map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_encoding_comes_back(text in "<[^\\x00\\u{feff}]{0,30}") {
            for encoding in [Encoding::Utf8, Encoding::Utf8Bom, Encoding::Utf16Le, Encoding::Utf16LeBom, Encoding::Utf16BeBom] {
                let bytes = encode(&text, encoding);
                let (decoded, found) = decode(&bytes, "test").unwrap();
                prop_assert_eq!(decoded.as_ref(), text.as_str());
                prop_assert_eq!(found, encoding);
            }
        }
    }

    #[test]
    fn encodings_are_those_of_the_standard() {
        for text in ["<a>", "<\u{e4}>"] {
            let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            assert_eq!(encode(text, Encoding::Utf16Le), le);
            assert_eq!(encode(text, Encoding::Utf16LeBom), [b"\xff\xfe", le.as_slice()].concat());
            assert_eq!(encode(text, Encoding::Utf16BeBom), [b"\xfe\xff", be.as_slice()].concat());
        }
    }

    #[test]
    fn damage_is_located() {
        let Err(Error::Malformed(error)) = decode(b"\xef\xbb\xbfab\xff", "test") else { panic!() };
        assert_eq!(error.offset, Some(5));
        let Err(Error::Malformed(error)) = decode(&[b'<', 0, 0x00, 0xd8, b'x', 0], "test") else { panic!() };
        assert_eq!(error.offset, Some(2));
        assert!(decode(&[b'<', 0, 1], "test").is_err());
    }
}
