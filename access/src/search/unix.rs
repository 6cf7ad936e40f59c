//! Archives of Unix: gzip (RFC 1952) and tar (POSIX.1-2017 `pax`, ustar and GNU), mostly one in the other.
//!
//! A tar archive is read member by member as its headers lie in it: long names and other extensions are members of their own there,
//! which nothing holds. So a name may be cut at 100 characters; it is for people only. What would need an extension to be found
//! (the parts of sparse files, of archives on several tapes) is a problem with a name.

use std::io::{BufReader, Read as _, SeekFrom};

use flate2::bufread::MultiGzDecoder;
use keykit::Error;
use memchr::memmem;
use tar::{Archive, EntryType};

use super::{FORMAT, Input, Search, can_not_be_read, join};

/// What a compressed file is called within.
const UNPACKED: &str = "unpacked";
/// Where a tar archive shows itself, in the header of its first member: ustar and GNU.
const TAR: (usize, &[u8]) = (257, b"ustar");
/// An extension as long as this is none that a program writes; only so much of it is looked at.
const LONGEST_EXTENSION: u64 = 1 << 20;

pub(super) fn is_gzip(head: &[u8]) -> bool {
    // The only method that there is, and no reserved flag (§2.3.1).
    head.starts_with(b"\x1f\x8b\x08") && head.get(3).is_some_and(|flags| flags & 0xe0 == 0)
}

pub(super) fn is_tar(head: &[u8]) -> bool {
    head.get(TAR.0..).is_some_and(|rest| rest.starts_with(TAR.1))
}

impl Search<'_> {
    pub(super) fn look_into_gzip(&mut self, input: &mut dyn Input, inside: &str, depth: usize) {
        if !self.may_enter(inside) {
            return;
        }
        match input.seek(SeekFrom::Start(0)) {
            Ok(_) => self.look_at_stream(&mut MultiGzDecoder::new(BufReader::new(input)), &join(inside, UNPACKED), depth + 1),
            Err(error) => self.not_read(inside, can_not_be_read(&error)),
        }
    }

    pub(super) fn look_into_tar(&mut self, input: &mut dyn Input, length: u64, inside: &str, depth: usize) {
        let damaged = |error: &std::io::Error| Error::malformed(FORMAT, format!("the archive can't be read: {error}"));
        if let Err(error) = input.seek(SeekFrom::Start(0)) {
            return self.not_read(inside, can_not_be_read(&error));
        }
        let mut archive = Archive::new(input);
        // Archives that were appended to others have the end of the first in the middle.
        archive.set_ignore_zeros(true);
        let members = match archive.entries_with_seek() {
            Ok(members) => members.raw(true),
            Err(error) => return self.not_read(inside, damaged(&error)),
        };
        let mut number = 0_usize;
        for member in members {
            if !self.may_enter(inside) {
                return;
            }
            let mut member = match member {
                Ok(member) => member,
                Err(error) => return self.not_read(inside, damaged(&error)),
            };
            number += 1;
            let name = match String::from_utf8_lossy(&member.path_bytes()) {
                name if name.is_empty() => format!("member {number}"),
                name => name.into_owned(),
            };
            let name = join(inside, &name);
            let ends = member.raw_file_position().checked_add(member.size());
            if ends.is_none_or(|ends| ends > length) {
                return self.not_read(&name, Error::malformed(FORMAT, "the archive is cut off in it"));
            }
            match member.header().entry_type() {
                EntryType::Regular | EntryType::Continuous => self.look_at_stream(&mut member, &name, depth + 1),
                EntryType::Directory
                | EntryType::Link
                | EntryType::Symlink
                | EntryType::Char
                | EntryType::Block
                | EntryType::Fifo
                | EntryType::GNULongName
                | EntryType::GNULongLink
                | EntryType::XGlobalHeader => {}
                EntryType::XHeader => {
                    let mut extension = Vec::new();
                    match member.take(LONGEST_EXTENSION).read_to_end(&mut extension) {
                        // Sizes here are those of members that are larger than their header can say.
                        Ok(_) if ["GNU.sparse.", " size="].iter().any(|key| memmem::find(&extension, key.as_bytes()).is_some()) => {
                            self.not_read(&name, Error::malformed(FORMAT, "it belongs to a sparse or very large member, which is not read"));
                        }
                        Ok(_) => {}
                        Err(error) => self.not_read(&name, damaged(&error)),
                    }
                }
                other => {
                    let kind = other.as_byte().escape_ascii();
                    self.not_read(&name, Error::malformed(FORMAT, format!("it is a member of a kind that is not read ({kind})")));
                }
            }
        }
    }
}
