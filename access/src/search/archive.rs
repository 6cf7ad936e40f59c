//! Archives (.zip, and everything that is one: unprotected Office documents too).

use std::io::BufReader;

use keykit::Error;
use zip::ZipArchive;

use super::{FORMAT, Input, Search, join};

/// The first bytes of an archive with entries, and of an empty one (APPNOTE 4.3.7, 4.3.16).
const MARKS: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

pub(super) fn is_zip(head: &[u8]) -> bool {
    MARKS.iter().any(|mark| head.starts_with(mark))
}

impl Search<'_> {
    pub(super) fn look_into_zip(&mut self, input: &mut dyn Input, inside: &str, depth: usize) {
        let mut archive = match ZipArchive::new(BufReader::new(input)) {
            Ok(archive) => archive,
            Err(error) => return self.problem(inside, None, Error::malformed(FORMAT, format!("the archive can't be read: {error}"))),
        };
        for number in 0..archive.len() {
            if !self.may_enter(inside) {
                return;
            }
            let name = archive.name_for_index(number).and_then(Result::ok).map_or_else(|| format!("entry {number}"), Into::into);
            let name = join(inside, &name);
            match archive.by_index(number) {
                Ok(entry) if entry.is_dir() => {}
                Ok(mut entry) => self.look_at_stream(&mut entry, &name, depth + 1),
                // Under a password, or packed in a way that is not known.
                Err(error) => self.problem(&name, None, Error::malformed(FORMAT, format!("the entry can't be read: {error}"))),
            }
        }
    }
}
