//! Compound files (MS-CFB) from people whom one does not know: what decides how much memory and time the reader (package `cfb`)
//! takes is bounded before it is called. What is wrong otherwise the reader finds.
//!
//! | what | bound |
//! |---|---|
//! | sectors, of which the reader keeps a table | [`MAX_SECTORS`] |
//! | table sectors that are listed again and again | what the length of the file has room for |
//! | entries of the directory, each of which it keeps | [`MAX_ENTRIES`] |
//! | storages in each other, and the length of all paths together, which it makes on the way | [`MAX_DEPTH`], [`MAX_PATHS`] |

use std::io::{Read, Seek, SeekFrom};

use cfb::CompoundFile;

use crate::error::{Error, Result};

const FORMAT: &str = "compound file";
const HEADER: usize = 512;
/// Where the header begins to list the sectors of the allocation table (MS-CFB §2.2).
const LIST_IN_HEADER: usize = 76;
/// Numbers from here on are no sectors (MS-CFB §2.1).
const LAST_REGULAR: u32 = 0xffff_fffa;
/// Bytes of an entry of the directory (MS-CFB §2.6.1).
const ENTRY: usize = 128;
/// In the place of an entry's number: none.
const NO_ENTRY: u32 = u32::MAX;
/// Most sectors: 4 GiB in sectors of 512 bytes, 32 GiB in those of 4096. The reader takes about 20 bytes for each.
const MAX_SECTORS: u64 = 1 << 23;
/// Most entries of the directory. The reader takes about 500 bytes for each.
const MAX_ENTRIES: usize = 100_000;
/// Most storages in each other. A mail in a mail takes two.
const MAX_DEPTH: u32 = 64;
/// Longest all paths together, in bytes of UTF-8 at most.
const MAX_PATHS: u64 = 32 << 20;

/// Opens a compound file. It is read where it lies: memory is that of its tables.
///
/// # Errors
/// [`Error::Malformed`] if it is damaged, or beyond a bound.
pub fn open_compound<F: Read + Seek>(mut input: F) -> Result<CompoundFile<F>> {
    Tables::read(&mut input)?.check_directory()?;
    input.rewind().and_then(|()| CompoundFile::open(input)).map_err(|error| malformed(&error.to_string()))
}

fn malformed(what: &str) -> Error {
    Error::malformed(FORMAT, format!("the compound file is damaged: {what}"))
}

fn beyond(what: String) -> Error {
    Error::malformed(FORMAT, what).with_hint("no program writes such a file; if it matters, open it where it came from and save it anew")
}

/// The parts of a compound file that say where its other parts are.
struct Tables<'a, F> {
    input: &'a mut F,
    /// Bytes of a sector.
    sector: usize,
    /// Number of sectors.
    sectors: u64,
    /// The first sector of the directory.
    directory: u32,
    /// Where the allocation table is.
    table: Vec<u32>,
    /// The part of it that was read last, with its number in `table`.
    part: Option<(usize, Vec<u8>)>,
}

impl<'a, F: Read + Seek> Tables<'a, F> {
    /// Reads the header and the list of table sectors (MS-CFB §2.2, §2.5).
    fn read(input: &'a mut F) -> Result<Self> {
        let length = input.seek(SeekFrom::End(0)).map_err(|_| malformed("its length is not known"))?;
        let header = read_at(input, 0, HEADER)?;
        let number = |offset: usize| header.get(offset..offset + 4).map_or(0, little_endian);
        let shift = number(30) & 0xffff;
        if shift != 9 && shift != 12 {
            return Err(malformed("its sectors have neither 512 nor 4096 bytes"));
        }
        let sector = 1_usize << shift;
        let sectors = length.div_ceil(sector as u64);
        if sectors > MAX_SECTORS {
            return Err(beyond(format!("it has {sectors} sectors; compound files of up to {MAX_SECTORS} are read")));
        }
        // Each sector of the table describes a quarter of its length in sectors. Some room for files that have more than they need.
        let most = sectors / (sector as u64 / 4) + 8;
        let too_large = || malformed("its allocation table is larger than the file");
        if u64::from(number(44)) > most {
            return Err(too_large());
        }
        let mut listed = Listed::default();
        listed.take(header.get(LIST_IN_HEADER..).unwrap_or_default());
        let mut next = number(68);
        let most_lists = most / (sector as u64 / 4 - 1) + 8;
        let mut lists = 0;
        while next < LAST_REGULAR && listed.used as u64 <= most {
            lists += 1;
            if lists > most_lists {
                return Err(malformed("the list of its allocation table is longer than the file, or goes in a circle"));
            }
            let bytes = read_at(input, (u64::from(next) + 1) * sector as u64, sector)?;
            let (entries, last) = bytes.split_at(sector - 4);
            listed.take(entries);
            next = little_endian(last);
        }
        if listed.used as u64 > most {
            return Err(too_large());
        }
        Ok(Self { input, sector, sectors, directory: number(48), table: listed.sectors, part: None })
    }

    /// The sector that follows another one in its chain.
    fn after(&mut self, sector: u32) -> Result<u32> {
        let in_part = self.sector / 4;
        let (part, place) = (sector as usize / in_part, sector as usize % in_part);
        if self.part.as_ref().is_none_or(|(read, _)| *read != part) {
            let at = self.table.get(part).copied().ok_or_else(|| malformed("its allocation table is too short"))?;
            self.part = Some((part, self.read_sector(at)?));
        }
        let bytes = self.part.as_ref().and_then(|(_, bytes)| bytes.get(place * 4..place * 4 + 4));
        Ok(bytes.map_or(NO_ENTRY, little_endian))
    }

    fn read_sector(&mut self, sector: u32) -> Result<Vec<u8>> {
        if u64::from(sector) >= self.sectors {
            return Err(malformed("a chain of sectors leads beyond its end"));
        }
        read_at(self.input, (u64::from(sector) + 1) * self.sector as u64, self.sector)
    }

    /// Goes through the tree of storages without names, and bounds it.
    fn check_directory(&mut self) -> Result<()> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut sector = self.directory;
        while sector < LAST_REGULAR {
            entries.extend(self.read_sector(sector)?.chunks_exact(ENTRY).map(Entry::read));
            if entries.len() > MAX_ENTRIES {
                return Err(beyond(format!("its directory has more than {MAX_ENTRIES} entries, or goes in a circle")));
            }
            sector = self.after(sector)?;
        }
        let mut seen = vec![false; entries.len()];
        let mut paths = 0;
        let mut open = vec![(0, 0, 0)];
        while let Some((number, depth, above)) = open.pop() {
            let (Some(entry), Some(seen)) = (entries.get(number as usize), seen.get_mut(number as usize)) else {
                return Err(malformed("its directory names an entry that is not there"));
            };
            if std::mem::replace(seen, true) {
                return Err(malformed("its directory goes in a circle"));
            }
            let path = above + entry.name_bytes;
            paths += path;
            if depth > MAX_DEPTH {
                return Err(beyond(format!("it has more than {MAX_DEPTH} storages in each other")));
            }
            if paths > MAX_PATHS {
                return Err(beyond(format!("the paths in its directory have more than {MAX_PATHS} bytes together")));
            }
            let next = [(entry.left, depth, above), (entry.right, depth, above), (entry.child, depth + 1, path)];
            open.extend(next.into_iter().filter(|(number, ..)| *number != NO_ENTRY));
        }
        Ok(())
    }
}

/// What the bounds need of an entry of the directory.
struct Entry {
    /// Its name and a separator, in bytes of UTF-8 at most.
    name_bytes: u64,
    left: u32,
    right: u32,
    child: u32,
}

impl Entry {
    fn read(bytes: &[u8]) -> Self {
        let number = |offset: usize| bytes.get(offset..offset + 4).map_or(0, little_endian);
        // The length counts bytes of UTF-16, of which two become three at most. The name has room for 32 units.
        let name = u64::from((number(64) & 0xffff).min(64));
        Self { name_bytes: name / 2 * 3 + 1, left: number(68), right: number(72), child: number(76) }
    }
}

fn read_at(input: &mut (impl Read + Seek), offset: u64, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let done = input.seek(SeekFrom::Start(offset)).and_then(|_| input.read_exact(&mut bytes));
    done.map(|()| bytes).map_err(|_| malformed("a part of its tables is beyond its end"))
}

/// The list of table sectors, up to the last one that is used: some writers fill the end with zeros.
#[derive(Default)]
struct Listed {
    sectors: Vec<u32>,
    used: usize,
}

impl Listed {
    fn take(&mut self, bytes: &[u8]) {
        for entry in bytes.chunks_exact(4).map(little_endian) {
            self.sectors.push(entry);
            if !matches!(entry, 0 | u32::MAX) {
                self.used = self.sectors.len();
            }
        }
    }
}

fn little_endian(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use super::*;

    /// Where entry `number` of the directory begins, if the directory begins in `bytes` and lies in one piece.
    fn entry_at(bytes: &[u8], number: usize) -> usize {
        (little_endian(&bytes[48..52]) as usize + 1) * 512 + number * ENTRY
    }

    /// `depth` storages in each other.
    fn nested(depth: usize) -> Vec<u8> {
        let mut file = CompoundFile::create_with_version(cfb::Version::V3, Cursor::new(Vec::new())).unwrap();
        let mut path = String::new();
        for _ in 0..depth {
            path.push_str("/s");
            file.create_storage(&path).unwrap();
        }
        file.create_stream(format!("{path}/x")).unwrap().write_all(b"text").unwrap();
        file.flush().unwrap();
        file.into_inner().into_inner()
    }

    fn problem(bytes: &[u8]) -> String {
        open_compound(Cursor::new(bytes)).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn storages_in_each_other_are_bounded() {
        let most = MAX_DEPTH as usize - 1;
        assert!(open_compound(Cursor::new(nested(most))).unwrap().is_stream(format!("{}/x", "/s".repeat(most))));
        assert!(problem(&nested(most + 1)).contains("more than 64 storages"));
    }

    #[test]
    fn long_paths_are_bounded_together() {
        let mut file = CompoundFile::create_with_version(cfb::Version::V3, Cursor::new(Vec::new())).unwrap();
        let mut path = String::new();
        for _ in 0..60 {
            path.push_str(&format!("/{}", "s".repeat(31)));
            file.create_storage(&path).unwrap();
        }
        for number in 0..6000 {
            file.create_storage(format!("{path}/{number}")).unwrap();
        }
        file.flush().unwrap();
        assert!(problem(file.into_inner().get_ref()).contains("paths in its directory"));
    }

    #[test]
    fn a_directory_that_goes_in_a_circle_is_refused() {
        let good = nested(3);
        for (entry, field) in [(1, 68), (1, 72), (2, 76)] {
            let mut bytes = good.clone();
            let at = entry_at(&bytes, entry) + field;
            bytes[at..at + 4].copy_from_slice(&1_u32.to_le_bytes());
            assert!(problem(&bytes).contains("goes in a circle"), "{entry} {field}");
        }
        // The chain of its sectors.
        let mut bytes = good;
        let (table, directory) = (little_endian(&bytes[76..80]) as usize, little_endian(&bytes[48..52]) as usize);
        let at = (table + 1) * 512 + directory * 4;
        bytes[at..at + 4].copy_from_slice(&u32::try_from(directory).unwrap().to_le_bytes());
        assert!(problem(&bytes).contains("more than 100000 entries, or goes in a circle"));
    }

    #[test]
    fn a_file_with_more_sectors_than_are_kept_is_refused_by_its_length() {
        let file = tempfile::tempfile().unwrap();
        (&file).write_all(&nested(1)).unwrap();
        // Of which the system stores nothing.
        file.set_len(5 << 30).unwrap();
        assert!(open_compound(&file).map(drop).unwrap_err().to_string().contains("8388608 are read"));
    }
}
