//! One process at a time works on a run.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use crate::durable::{self, FileLock};
use crate::error::{Error, Result};

/// Longest text about the holder that is read, in bytes.
const LIMIT: u64 = 200;

/// The exclusive lock of a folder, held until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct RunLock {
    _file: FileLock,
}

impl RunLock {
    /// Takes the lock of a folder, which is made if it is not there; waits for another process for as long as `patience`.
    ///
    /// # Errors
    /// [`Error::Conflict`] with who holds it; [`Error::Write`].
    pub fn take(folder: &Path, patience: Duration) -> Result<Self> {
        durable::make_folder(folder)?;
        let path = folder.join("lock");
        let failed = |source| Error::Write { path: path.clone(), source };
        let Some(lock) = FileLock::take_within(&path, patience).map_err(failed)? else {
            let mut holder = String::new();
            drop(File::open(&path).and_then(|file| file.take(LIMIT).read_to_string(&mut holder)));
            let holder = holder.trim();
            let holder = if holder.is_empty() { "another process" } else { holder };
            return Err(Error::Conflict {
                what: format!("{holder} works on {}", folder.display()),
                hint: Some("wait until it has ended, or give `--wait SECONDS`".into()),
            });
        };
        // For people only: who holds the lock is known to the system.
        let about = format!("process {} since {}\n", std::process::id(), jiff::Timestamp::now());
        lock.set_len(0).and_then(|()| (&*lock).write_all(about.as_bytes())).map_err(failed)?;
        Ok(Self { _file: lock })
    }
}
