//! Archives, images and stores of mail of kinds that are not read. Protected files may lie in them, so they are named.

use std::fmt;
use std::io::SeekFrom;

use super::Input;

/// A kind of archive or store that is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign {
    /// What it is, in words.
    pub name: &'static str,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it is {}, which is not looked into: take out what is in it, and go through that", self.name)
    }
}

/// Where a kind shows itself: offset, bytes, name.
const MARKS: [(usize, &[u8], &str); 28] = [
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"BZh", "a bzip2 file"),
    (0, b"\xfd7zXZ\0", "an xz file"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (0, b"\x04\x22\x4d\x18", "an LZ4 file"),
    (0, b"\x1f\x9d", "a compressed file (.Z)"),
    (0, b"LZIP", "an lzip file"),
    (0, b"MSCF", "a cabinet file"),
    (0, b"PK\x07\x08", "a part of a split ZIP archive"),
    (0, b"PK00PK", "a part of a split ZIP archive"),
    (2, b"-lh", "an LHA archive"),
    (0, b"\x60\xea", "an ARJ archive"),
    (7, b"**ACE**", "an ACE archive"),
    (0, b"SIT!", "a StuffIt archive"),
    (0, b"StuffIt ", "a StuffIt archive"),
    (0, b"xar!", "a xar archive"),
    (0, b"!BDN", "an Outlook data file (.pst or .ost)"),
    (0, b"\xcf\xad\x12\xfe", "an Outlook Express mail folder (.dbx)"),
    (0, b"\x78\x9f\x3e\x22", "an Outlook attachment in TNEF (winmail.dat)"),
    (4, b"\xef\xcd\xab\x89", "a database of Exchange or Windows (.edb)"),
    (0, b"MSWIM\0\0\0", "a Windows image (.wim)"),
    (0, b"vhdxfile", "a virtual disk (.vhdx)"),
    (0, b"conectix", "a virtual disk (.vhd)"),
    (0, b"KDMV", "a virtual disk (.vmdk)"),
    (0, b"QFI\xfb", "a virtual disk (.qcow2)"),
    (0, b"TAPE", "a Windows backup (.bkf)"),
    (0, b"\x1a\0\0\x04\0\0", "a Notes database (.nsf)"),
];

/// An image of a disc.
pub const DISC_IMAGE: Foreign = Foreign { name: "an image of a disc (.iso)" };
/// Where an image of a disc shows itself (ECMA-119 §8.1).
const DISC_MARK: (u64, &[u8]) = (16 * 2048 + 1, b"CD001");

/// The kind of a file, by its first bytes.
#[must_use]
pub fn of(head: &[u8]) -> Option<Foreign> {
    let is = |offset: usize, mark: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(mark));
    let (.., name) = MARKS.iter().find(|(offset, mark, _)| is(*offset, mark))?;
    // Two marks are short, and other files begin with them by chance.
    let is_one = match *name {
        "an ARJ archive" => head
            .get(2..4)
            .is_some_and(|size| (1..=2600).contains(&u16::from_le_bytes([size.first().copied().unwrap_or(0), size.last().copied().unwrap_or(0)]))),
        "a bzip2 file" => head.get(4..10) == Some(b"\x31\x41\x59\x26\x53\x59".as_slice()),
        _ => true,
    };
    is_one.then_some(Foreign { name })
}

pub(super) fn is_disc_image(input: &mut dyn Input, head: &[u8]) -> bool {
    // Its first sectors belong to the system that starts from it, and are as long as a head.
    let (offset, mark) = DISC_MARK;
    let mut bytes = [0; 5];
    head.len() as u64 == super::HEAD && input.seek(SeekFrom::Start(offset)).and_then(|_| input.read_exact(&mut bytes)).is_ok() && bytes == mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_their_first_bytes() {
        for (offset, mark, name) in MARKS {
            let tail: &[u8] = match name {
                "an ARJ archive" => b"\x20\0",
                "a bzip2 file" => b"9\x31\x41\x59\x26\x53\x59",
                _ => b"",
            };
            let head = [&vec![b' '; offset], mark, tail].concat();
            assert_eq!(of(&head), Some(Foreign { name }), "{name}");
            assert_eq!(of(&head[..offset + mark.len() - 1]), None, "{name}");
        }
        for other in [b"BZhello".as_slice(), b"\x60\xea\xff\xff", b"%PDF-1.7", b"MZ", b"", b"a letter"] {
            assert_eq!(of(other), None);
        }
    }
}
