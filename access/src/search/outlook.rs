//! Outlook messages (.msg): the attachments, in compound files (MS-OXMSG §2.2.2).

use std::io::Read as _;
use std::path::PathBuf;

use cfb::CompoundFile;
use keykit::Error;

use super::{FORMAT, Input, Search, join};

/// The stream that every message has (MS-OXMSG §2.4).
const PROPERTIES: &str = "/__properties_version1.0";
/// PidTagAttachDataBinary as a stream: the bytes of an attachment.
const ATTACHMENT_DATA: &str = "__substg1.0_37010102";
/// PidTagAttachLongFilename, in UTF-16LE.
const ATTACHMENT_NAME: &str = "__substg1.0_3707001F";
/// Longest name that is read, in bytes.
const NAME_LIMIT: u64 = 1 << 10;

impl Search<'_> {
    /// Does nothing if the compound file is no message. The paths in it are bounded: see [`keykit::container::open_compound`].
    pub(super) fn look_into_outlook_message(&mut self, file: &mut CompoundFile<&mut dyn Input>, inside: &str, depth: usize) {
        if !file.is_stream(PROPERTIES) {
            return;
        }
        // Messages in messages have their attachments in the same file, further down: all are found.
        let mut attachments: Vec<PathBuf> = Vec::new();
        for entry in file.walk() {
            if entry.is_stream() && entry.name() == ATTACHMENT_DATA {
                if !self.may_enter(inside) {
                    break;
                }
                attachments.push(entry.path().to_owned());
            }
        }
        for path in attachments {
            if self.stopped.is_some() {
                return;
            }
            let mut name = Vec::new();
            if let Ok(stream) = file.open_stream(path.with_file_name(ATTACHMENT_NAME)) {
                // A name that can't be read is no reason to leave the attachment out.
                stream.take(NAME_LIMIT).read_to_end(&mut name).unwrap_or_default();
            }
            let units: Vec<u16> = name.chunks_exact(2).filter_map(|unit| Some(u16::from_le_bytes(unit.try_into().ok()?))).collect();
            let name = if units.is_empty() { path.display().to_string() } else { String::from_utf16_lossy(&units) };
            let name = join(inside, &name);
            match file.open_stream(&path) {
                Ok(mut stream) => self.look_at_stream(&mut stream, &name, depth + 1),
                Err(error) => self.not_read(&name, Error::malformed(FORMAT, format!("the attachment can't be read: {error}"))),
            }
        }
    }
}
