//! `message.rpmsg`, the attachment of a protected mail: a compound file in compressed pieces.
//!
//! ```text
//! 76 E8 04 60 C4 11 E3 86 ‖ pieces
//! piece = u32 4000 ‖ u32 length in the clear ‖ u32 length compressed ‖ zlib (RFC 1950)
//! ```
//! Numbers are little-endian. What comes out is bounded as a whole and piece by piece, before it is made.

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

use super::office::{self, NewProtectedDocument, ProtectedDocument};
use crate::error::{Error, Result};

const FORMAT: &str = "protected mail (message.rpmsg)";
/// The first bytes of the file.
pub(super) const PREAMBLE: [u8; 8] = [0x76, 0xe8, 0x04, 0x60, 0xc4, 0x11, 0xe3, 0x86];
/// What each piece begins with, and how many bytes a writer puts into one.
const PIECE: u32 = 4000;
/// Longest piece that is taken, in the clear or compressed, in bytes.
const MAX_PIECE: usize = 1 << 20;
/// Longest payload that is taken, in bytes: mail systems carry less.
const MAX_PAYLOAD: usize = 256 << 20;
/// zlib's usual level.
const LEVEL: u8 = 6;

/// Reads a protected mail: its payload is a protected document.
///
/// # Errors
/// [`Error::Malformed`] if it is none, is damaged, or is too large.
pub fn read_mail(bytes: &[u8]) -> Result<ProtectedDocument> {
    ProtectedDocument::parse(&inflate(bytes)?)
}

/// Writes a protected mail around a document.
///
/// # Errors
/// [`Error::Usage`] if a part is too long.
pub fn write_mail(document: &NewProtectedDocument<'_>) -> Result<Vec<u8>> {
    Ok(deflate(&document.to_bytes()?))
}

/// The same mail with another publishing licence.
///
/// # Errors
/// As for [`read_mail`].
pub(super) fn replace_licence(bytes: &[u8], licence: &[u8]) -> Result<Vec<u8>> {
    Ok(deflate(&office::replace_licence(&inflate(bytes)?, licence)?))
}

/// How long the payload says it is, in bytes; of a damaged mail, as far as its pieces can be followed. [`read_mail`] holds this
/// much, and refuses a mail that says less than it has.
#[must_use]
pub fn payload_length(bytes: &[u8]) -> u64 {
    let mut rest = bytes.strip_prefix(PREAMBLE.as_slice()).unwrap_or_default();
    let mut length = 0;
    while let (Some(_), Some(plain), Some(packed)) = (number(&mut rest), number(&mut rest), number(&mut rest)) {
        length += plain.min(MAX_PIECE) as u64;
        rest = rest.get(packed..).unwrap_or_default();
    }
    length.min(MAX_PAYLOAD as u64)
}

/// The payload: a compound file.
pub(crate) fn inflate(bytes: &[u8]) -> Result<Vec<u8>> {
    let malformed = |what: &str, rest: &[u8]| Error::malformed(FORMAT, what).at((bytes.len() - rest.len()) as u64);
    let mut rest = bytes.strip_prefix(PREAMBLE.as_slice()).ok_or_else(|| malformed("its first bytes are others", bytes))?;
    let mut payload = Vec::new();
    while !rest.is_empty() {
        let here = rest;
        let (Some(mark), Some(plain), Some(packed)) = (number(&mut rest), number(&mut rest), number(&mut rest)) else {
            return Err(malformed("the head of a piece is cut off", here));
        };
        if mark != PIECE as usize {
            return Err(malformed("a piece does not begin as pieces do", here));
        }
        if plain > MAX_PIECE || packed > MAX_PIECE {
            return Err(malformed("a piece says that it is longer than pieces are", here));
        }
        if payload.len() + plain > MAX_PAYLOAD {
            return Err(malformed(&format!("the payload is larger than {MAX_PAYLOAD} bytes"), here));
        }
        let (data, after) = rest.split_at_checked(packed).ok_or_else(|| malformed("a piece ends beyond the file", here))?;
        let piece =
            decompress_to_vec_zlib_with_limit(data, plain).map_err(|_| malformed("a piece does not decompress to the length it says", here))?;
        if piece.len() != plain {
            return Err(malformed("a piece does not decompress to the length it says", here));
        }
        payload.extend(piece);
        rest = after;
    }
    Ok(payload)
}

/// The file around a payload.
pub(super) fn deflate(payload: &[u8]) -> Vec<u8> {
    let mut bytes = PREAMBLE.to_vec();
    for piece in payload.chunks(PIECE as usize) {
        let packed = compress_to_vec_zlib(piece, LEVEL);
        // A piece has at most 4000 bytes, and zlib adds a few.
        for number in [PIECE as usize, piece.len(), packed.len()] {
            bytes.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
        }
        bytes.extend(packed);
    }
    bytes
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    let (bytes, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece(mark: u32, plain: u32, packed: u32, data: &[u8]) -> Vec<u8> {
        let numbers = [mark, plain, packed].map(u32::to_le_bytes).concat();
        [&PREAMBLE[..], &numbers, data].concat()
    }

    #[test]
    fn pieces_that_lie_are_refused() {
        let data = compress_to_vec_zlib(&[7; 100], LEVEL);
        let length = u32::try_from(data.len()).unwrap();
        assert_eq!(inflate(&piece(PIECE, 100, length, &data)).unwrap(), [7; 100]);
        assert!(inflate(&PREAMBLE).unwrap().is_empty());
        for (what, bytes) in [
            ("cut off", piece(PIECE, 100, length, &[])[..15].to_vec()),
            ("begin as pieces do", piece(4096, 100, length, &data)),
            ("longer than pieces", piece(PIECE, u32::MAX, length, &data)),
            ("longer than pieces", piece(PIECE, 100, u32::MAX, &data)),
            ("beyond the file", piece(PIECE, 100, length + 1, &data)),
            ("the length it says", piece(PIECE, 99, length, &data)),
            ("the length it says", piece(PIECE, 101, length, &data)),
            ("the length it says", piece(PIECE, 100, length - 1, &data[..data.len() - 1])),
            ("first bytes", b"Rar!".to_vec()),
        ] {
            let error = inflate(&bytes).unwrap_err();
            assert!(error.to_string().contains(what), "{what}: {error}");
        }
        // A bomb: a megabyte of zeros in a piece that says it has a hundred bytes. Nothing of it is kept.
        let bomb = compress_to_vec_zlib(&vec![0; 1 << 20], LEVEL);
        assert!(inflate(&piece(PIECE, 100, u32::try_from(bomb.len()).unwrap(), &bomb)).is_err());
    }

    #[test]
    fn a_payload_beyond_the_limit_is_refused_before_it_is_made() {
        let zeros = vec![0; MAX_PIECE];
        let data = compress_to_vec_zlib(&zeros, LEVEL);
        let head = [PIECE, u32::try_from(MAX_PIECE).unwrap(), u32::try_from(data.len()).unwrap()].map(u32::to_le_bytes).concat();
        let one = [head, data].concat();
        let bytes = [PREAMBLE.to_vec(), one.repeat(MAX_PAYLOAD / MAX_PIECE + 1)].concat();
        assert!(inflate(&bytes).unwrap_err().to_string().contains("larger than"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(payload in prop::collection::vec(any::<u8>(), 0..10_000)) {
            prop_assert_eq!(inflate(&deflate(&payload)).unwrap(), payload);
        }

        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), position in 0..1000_usize, value: u8, cut in 0..1000_usize) {
            drop(inflate(&[&PREAMBLE[..], &bytes].concat()));
            let mut changed = deflate(&bytes);
            let length = changed.len();
            changed[position % length] = value;
            changed.truncate(length - cut % length);
            if let Ok(payload) = inflate(&changed) {
                prop_assert!(payload.len() <= MAX_PAYLOAD);
            }
        }
    }
}
