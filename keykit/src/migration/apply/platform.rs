//! The disk and the clock of the journal.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use jiff::Timestamp;

use super::journal::Record;
use crate::error::Result;

/// What the journal needs of a computer. Tests put a simulated one in its place, in which every call can fail.
pub trait Platform: fmt::Debug {
    /// The time.
    fn now(&self) -> Timestamp;

    /// The content of a file, up to `limit` bytes; `None` if there is no such file.
    ///
    /// # Errors
    /// What the system says.
    fn read(&mut self, path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>>;

    /// Writes at the end of a file, which is made if it is not there. A part may be written when it fails.
    ///
    /// # Errors
    /// What the system says.
    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Writes over a part of a file. A part may be written when it fails.
    ///
    /// # Errors
    /// What the system says.
    fn overwrite(&mut self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts a file to a length.
    ///
    /// # Errors
    /// What the system says.
    fn truncate(&mut self, path: &Path, length: u64) -> io::Result<()>;

    /// Makes the content of a file last.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&mut self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder last.
    ///
    /// # Errors
    /// What the system says.
    fn sync_folder(&mut self, folder: &Path) -> io::Result<()>;

    /// A line of the journal is on the disk. A transcript is written from here.
    ///
    /// # Errors
    /// What the transcript says. The run stops then, and can be resumed.
    fn recorded(&mut self, record: &Record) -> Result<()> {
        let _ = record;
        Ok(())
    }
}

/// The computer that the program runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine;

impl Platform for Machine {
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }

    fn read(&mut self, path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path)?.write_all(bytes)
    }

    fn overwrite(&mut self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.seek(io::SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }

    fn truncate(&mut self, path: &Path, length: u64) -> io::Result<()> {
        OpenOptions::new().write(true).open(path)?.set_len(length)
    }

    fn sync(&mut self, path: &Path) -> io::Result<()> {
        OpenOptions::new().append(true).open(path)?.sync_all()
    }

    fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}
