//! Archives (.zip, and everything that is one: unprotected Office documents too).
//!
//! The directory of an archive is read entry by entry, never as a whole: memory does not grow with it, and of two entries that
//! have one name both are looked at.

use std::io::BufReader;

use keykit::Error;
use zip::read::{Config, ZipReadOptions};
use zip::unstable::read::ZipIterable;

use super::{FORMAT, Input, Search, join};

/// The first bytes of an archive with entries, and of an empty one (APPNOTE 4.3.7, 4.3.16).
const MARKS: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

pub(super) fn is_zip(head: &[u8]) -> bool {
    MARKS.iter().any(|mark| head.starts_with(mark))
}

impl Search<'_> {
    pub(super) fn look_into_zip(&mut self, input: &mut dyn Input, inside: &str, depth: usize) {
        let damaged = |what: &str, error: zip::result::ZipError| Error::malformed(FORMAT, format!("the {what} can't be read: {error}"));
        let mut archive = match ZipIterable::try_new(BufReader::new(input), Config::default()) {
            Ok(archive) => archive,
            Err(error) => return self.not_read(inside, damaged("archive", error)),
        };
        // Known before the first of them is read.
        if archive.len() > self.limits.entries.saturating_sub(self.entries) {
            self.entries = self.limits.entries;
            return self.not_read(inside, self.too_many_entries());
        }
        let entries = match archive.files() {
            Ok(entries) => entries,
            Err(error) => return self.not_read(inside, damaged("archive", error)),
        };
        let mut number = 0_usize;
        while let Some(entry) = entries.next() {
            if !self.may_enter(inside) {
                return;
            }
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.not_read(inside, damaged("directory of the archive", error)),
            };
            if entry.is_dir() {
                continue;
            }
            let name = entry.name().map_or_else(|_| format!("entry {number}"), std::borrow::Cow::into_owned);
            number += 1;
            let name = join(inside, &name);
            match entry.with_reader(entries.reader_mut(), ZipReadOptions::new()) {
                Ok(mut entry) => self.look_at_stream(&mut entry, &name, depth + 1),
                // Under a password, or packed in a way that is not known.
                Err(error) => self.not_read(&name, damaged("entry", error)),
            }
        }
    }
}
