//! A file of lines that only grows: each line is on the disk before the next thing happens.
//!
//! Opening one changes nothing. The first line that is added settles what a crash left: a torn end is cut off, and the last whole
//! line is written once more before the sync, because after a sync that failed a system may take it for written. After a failure
//! nothing more is added: the state of the file is unknown until it is opened anew.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use memchr::memmem;

use super::parent;
use crate::error::{Error, Result};

/// What a log file needs of a disk. Tests put one in its place that fails.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// Writes at the end of a file, which is made if it is not there. A part may be written when it fails.
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Writes over a part of a file.
    fn overwrite(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts a file to a length.
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()>;

    /// Makes the content of a file last.
    fn sync(&self, path: &Path) -> io::Result<()>;
}

/// The disk of this computer.
#[derive(Debug)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        OpenOptions::new().create(true).append(true).open(path)?.write_all(bytes)
    }

    fn overwrite(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.seek(io::SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        OpenOptions::new().write(true).open(path)?.set_len(length)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        OpenOptions::new().append(true).open(path)?.sync_all()
    }
}

/// A file of lines, open for more.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    disk: Box<dyn Disk>,
    /// Length of the whole lines, in bytes.
    length: u64,
    /// What an earlier process left and nobody has made last yet: the last whole line, and how long the file is.
    unsettled: Option<(Vec<u8>, u64)>,
    is_broken: bool,
}

impl LogFile {
    /// A file whose content is `bytes`, of which the first `whole` are whole lines.
    pub(crate) fn new(path: &Path, bytes: &[u8], whole: usize, disk: Box<dyn Disk>) -> Self {
        let kept = bytes.get(..whole).unwrap_or_default();
        let body = kept.strip_suffix(b"\n").unwrap_or(kept);
        let last = body.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let unsettled = (!bytes.is_empty()).then(|| (kept.get(last..).unwrap_or_default().to_vec(), bytes.len() as u64));
        Self { path: path.to_owned(), disk, length: whole as u64, unsettled, is_broken: false }
    }

    /// Adds a line; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`Error::Write`]. The line is then taken back as far as that is possible, and no other is taken.
    pub(crate) fn append(&mut self, line: &str) -> Result<()> {
        let failed = |source| Error::Write { path: self.path.clone(), source };
        if self.is_broken {
            return Err(failed(io::Error::other("an earlier line could not be written")));
        }
        let line = format!("{line}\n");
        if let Err(source) = self.settle().and_then(|()| self.write(line.as_bytes())) {
            self.is_broken = true;
            // If this fails too, the line is torn or whole, and both are known when the file is opened anew.
            if self.unsettled.is_none() && self.disk.truncate(&self.path, self.length).is_ok() {
                drop(self.disk.sync(&self.path));
            }
            return Err(Error::Write { path: self.path.clone(), source });
        }
        self.length += line.len() as u64;
        Ok(())
    }

    fn settle(&mut self) -> io::Result<()> {
        let Some((last, found)) = &self.unsettled else { return Ok(()) };
        if *found > self.length {
            self.disk.truncate(&self.path, self.length)?;
        }
        self.disk.overwrite(&self.path, self.length.saturating_sub(last.len() as u64), last)?;
        self.disk.sync(&self.path)?;
        sync_folder(&self.path)?;
        self.unsettled = None;
        Ok(())
    }

    fn write(&self, line: &[u8]) -> io::Result<()> {
        self.disk.append(&self.path, line)?;
        self.disk.sync(&self.path)?;
        if self.length == 0 { sync_folder(&self.path) } else { Ok(()) }
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(parent(path))?.sync_all()
}

/// Whether what follows the last whole line is what a crash leaves of one line: no end, or holes and remains of other files in it.
/// Remains may be text, and even have ends of lines; a line of ours they are not. What reads as one, and is not as it was written, was
/// changed by somebody; and a whole line behind it speaks against a crash, for each is on the disk before the next is written.
/// `member` stands once in every line and nowhere else.
pub(crate) fn is_torn(rest: &[u8], member: &[u8], is_line: impl Fn(&[u8]) -> bool) -> bool {
    let is_text = |part: &[u8]| str::from_utf8(part).is_ok_and(|text| !text.chars().any(char::is_control));
    let parts = || rest.split(|&byte| byte == b'\n');
    // The second may begin in the first.
    let behind_first = memmem::find(rest, member).and_then(|place| rest.get(place + 1..));
    let is_one_line = behind_first.is_none_or(|behind| memmem::find(behind, member).is_none());
    let is_changed = || parts().next().is_some_and(&is_line) && parts().all(is_text);
    is_one_line && (!rest.contains(&b'\n') || (!is_changed() && !parts().skip(1).any(&is_line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_two_lines_is_no_torn_one() {
        let member = b"\"previous\":\"";
        let is_torn = |rest: &[u8]| is_torn(rest, member, |_| false);
        assert!(is_torn(b""));
        assert!(is_torn(b"{\"previous\":\"ab"));
        assert!(is_torn(b"{\"previous\":\"ab\0\0\n\"previous"));
        assert!(!is_torn(b"{\"previous\":\"ab{\"previous\":\"ab"));
        assert!(!is_torn(b"{\"previous\":\"previous\":\""), "the second begins in the first");
    }
}
