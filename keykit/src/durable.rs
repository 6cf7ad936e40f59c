//! Files that are either written whole or not at all.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::ops::Deref;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

pub(crate) mod log_file;

/// How often a waiting process looks again at a lock.
const PAUSE: Duration = Duration::from_millis(50);

/// Who may read a file that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// As the system's mask has it.
    Shared,
    /// The owner only (mode 0600).
    OwnerOnly,
}

/// What to do when the file exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Replace it, in one step.
    Replace,
    /// Leave it and fail with [`Error::Conflict`].
    Keep,
}

/// How the names of temporary files begin.
const PREFIX: &str = ".keykit-";
/// How they end.
const SUFFIX: &str = ".tmp";

/// The sole right to an open file among all processes, for as long as this lives.
#[derive(Debug)]
pub struct FileLock(File);

impl FileLock {
    /// Takes the lock; `None` if somebody else has it.
    ///
    /// # Errors
    /// If the system knows no locks here.
    pub fn take(file: File) -> io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// As [`Self::take`] of the file at `path`, which is made if it is not there; tries for as long as `patience`.
    ///
    /// # Errors
    /// As [`Self::take`], and if the file can't be opened.
    pub fn take_within(path: &Path, patience: Duration) -> io::Result<Option<Self>> {
        Self::take_opened_within(patience, || File::options().create(true).read(true).append(true).open(path))
    }

    /// As [`Self::take_within`] of what `open` opens, anew for every try.
    ///
    /// # Errors
    /// As [`Self::take`], and what `open` says.
    pub fn take_opened_within(patience: Duration, open: impl Fn() -> io::Result<File>) -> io::Result<Option<Self>> {
        let deadline = Instant::now().checked_add(patience);
        loop {
            match Self::take(open()?)? {
                Some(lock) => return Ok(Some(lock)),
                None if deadline.is_none_or(|deadline| Instant::now() < deadline) => thread::sleep(PAUSE),
                None => return Ok(None),
            }
        }
    }
}

impl Deref for FileLock {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for FileLock {
    /// Gives it up by name: a process that is being started elsewhere may hold a copy of the open file for a moment.
    fn drop(&mut self) {
        self.0.unlock().unwrap_or_default();
    }
}

/// Writes `bytes` to `path`: into a temporary file beside it, synced, renamed, and the folder synced.
///
/// # Errors
/// [`Error::Conflict`] if the file exists and is to be kept; [`Error::Write`] if the system refuses. The file
/// at `path` is then as it was, and no temporary file is left.
pub fn write(path: &Path, bytes: &[u8], access: Access, existing: Existing) -> Result<()> {
    write_with(path, access, existing, |sink| sink.put(bytes))
}

/// Writes many files below a folder, replacing those that are there; each is whole or as it was, and each folder is synced once.
///
/// # Errors
/// As for [`write()`]; some may be written then.
pub(crate) fn write_many<P: AsRef<Path>, B: AsRef<[u8]>>(base: &Path, files: impl IntoIterator<Item = (P, B)>, access: Access) -> Result<()> {
    let mut folders = BTreeSet::new();
    for (name, bytes) in files {
        let path = base.join(name);
        let (temporary, ()) = stage(&path, access, |sink| sink.put(bytes.as_ref()))?;
        rename(temporary, &path, Existing::Replace)?;
        folders.insert(parent(&path).to_owned());
    }
    folders.iter().try_for_each(|folder| sync_folder(folder))
}

/// Where [`write_with`] lets a file be filled.
#[derive(Debug)]
pub struct Sink<'a> {
    file: &'a mut File,
    path: &'a Path,
}

impl Sink<'_> {
    /// Adds bytes at the end.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|source| Error::Write { path: self.path.to_owned(), source })
    }
}

/// As [`write()`], with content that `fill` makes piece by piece. If it fails, the temporary file is removed.
///
/// # Errors
/// As for [`write()`], and what `fill` says.
pub fn write_with<T>(path: &Path, access: Access, existing: Existing, fill: impl FnOnce(&mut Sink<'_>) -> Result<T>) -> Result<T> {
    let (temporary, filled) = stage(path, access, fill)?;
    put_in_place(temporary, path, existing)?;
    Ok(filled)
}

/// Writes several new files, for the owner only: all of them, or none.
///
/// All are written and synced beside their places before the first gets its name. A process that is killed while they get their
/// names may leave the first of them.
///
/// # Errors
/// As for [`write()`] with [`Existing::Keep`]; then none of them is there.
pub fn write_together(files: &[(&Path, &[u8])]) -> Result<()> {
    let staged = files
        .iter()
        .map(|(path, bytes)| stage(path, Access::OwnerOnly, |sink| sink.put(bytes)).map(|(temporary, ())| (*path, temporary)))
        .collect::<Result<Vec<_>>>()?;
    let mut placed: Vec<&Path> = Vec::new();
    for (path, temporary) in staged {
        if let Err(error) = put_in_place(temporary, path, Existing::Keep) {
            // A conflict is about a file of somebody else; otherwise the file may have its name already.
            let own = (!matches!(error, Error::Conflict { .. })).then_some(path);
            for path in placed.into_iter().chain(own) {
                fs::remove_file(path).unwrap_or_default();
            }
            return Err(error);
        }
        placed.push(path);
    }
    Ok(())
}

/// A file's content on the disk, under a temporary name beside its place.
fn stage<T>(path: &Path, access: Access, fill: impl FnOnce(&mut Sink<'_>) -> Result<T>) -> Result<(NamedTempFile, T)> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    let mut temporary = tempfile::Builder::new().prefix(PREFIX).suffix(SUFFIX).tempfile_in(parent(path)).map_err(failed)?;
    let filled = fill(&mut Sink { file: temporary.as_file_mut(), path })?;
    if access == Access::Shared {
        make_shared(temporary.as_file()).map_err(failed)?;
    }
    temporary.as_file().sync_all().map_err(failed)?;
    Ok((temporary, filled))
}

fn put_in_place(temporary: NamedTempFile, path: &Path, existing: Existing) -> Result<()> {
    rename(temporary, path, existing)?;
    let synced = sync_folder(parent(path));
    if synced.is_err() && existing == Existing::Keep {
        // It was not there before, and may not be there after a crash: it goes, so that the command can be run again.
        fs::remove_file(path).unwrap_or_default();
    }
    synced
}

/// Gives a file its name. The folder is not synced.
fn rename(temporary: NamedTempFile, path: &Path, existing: Existing) -> Result<()> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    match existing {
        Existing::Replace => temporary.persist(path).map(drop).map_err(|error| failed(error.error)),
        Existing::Keep => temporary.persist_noclobber(path).map(drop).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => Error::Conflict {
                what: format!("{} exists already", path.display()),
                hint: Some("choose another name; keykit does not overwrite".into()),
            },
            _ => failed(error.error),
        }),
    }
}

/// Whether a file of this name is a temporary one of [`write()`]: a process that is killed leaves it behind.
#[must_use]
pub fn is_temporary(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
}

/// Removes the temporary files that killed processes left in a folder. The caller holds the lock of the folder, so that none
/// of them is being written.
///
/// # Errors
/// [`Error::Read`] or [`Error::Write`]; some may be removed then.
pub fn remove_temporary_files(folder: &Path) -> Result<()> {
    let failed = |source| Error::Read { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if is_temporary(&entry.file_name()) && entry.file_type().map_err(failed)?.is_file() {
            fs::remove_file(entry.path()).map_err(|source| Error::Write { path: entry.path(), source })?;
        }
    }
    Ok(())
}

/// Makes a folder (and those above it), with access for the owner only, and syncs its parent.
///
/// # Errors
/// [`Error::Write`].
pub fn make_folder(path: &Path) -> Result<()> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(failed)?;
    sync_folder(parent(path))
}

/// Reads a file whole, up to `limit` bytes.
///
/// # Errors
/// [`Error::Read`], or [`Error::Malformed`] for a file above the limit.
pub fn read(path: &Path, limit: u64, format: &'static str) -> Result<Vec<u8>> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let read = io::Read::read_to_end(&mut io::Read::take(&mut file, limit.saturating_add(1)), &mut bytes).map_err(failed)?;
    if u64::try_from(read).map_or(true, |read| read > limit) {
        return Err(Error::malformed(format, format!("larger than {limit} bytes")).in_file(path));
    }
    Ok(bytes)
}

pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(|source| Error::Write { path: folder.to_owned(), source })
}

/// Temporary files are born private; the default for others is what the mask would have given.
#[cfg(unix)]
pub(crate) fn make_shared(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
pub(crate) fn make_shared(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_temporary_files_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".keykit-a1B2c3.tmp", ".keykit-.txt", "keykit-1.tmp", "tenant.json"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        fs::create_dir(folder.path().join(".keykit-folder.tmp")).unwrap();
        remove_temporary_files(folder.path()).unwrap();
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".keykit-.txt", ".keykit-folder.tmp", "keykit-1.tmp", "tenant.json"]);
        assert!(remove_temporary_files(&folder.path().join("none")).is_err());
    }

    #[test]
    fn keep_leaves_the_old_file_and_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"old", Access::OwnerOnly, Existing::Keep).unwrap();
        assert!(matches!(write(&path, b"new", Access::OwnerOnly, Existing::Keep), Err(Error::Conflict { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        write(&path, b"new", Access::Shared, Existing::Replace).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn many_files_are_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("b"), "old").unwrap();
        fs::create_dir(folder.path().join("c")).unwrap();
        write_many(folder.path(), [("a", "1"), ("b", "2"), ("c/d", "3")], Access::OwnerOnly).unwrap();
        assert_eq!((fs::read(folder.path().join("a")).unwrap(), fs::read(folder.path().join("b")).unwrap()), (b"1".to_vec(), b"2".to_vec()));
        assert_eq!(fs::read(folder.path().join("c/d")).unwrap(), b"3");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
        assert!(write_many(&folder.path().join("none"), [("a", "1")], Access::OwnerOnly).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn private_files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"x", Access::OwnerOnly, Existing::Keep).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn files_that_belong_together_are_all_there_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second, third] = ["a", "b", "c"].map(|name| folder.path().join(name));
        let nowhere = folder.path().join("missing/d");
        let count = || fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(write_together(&[(&first, b"1"), (&nowhere, b"2")]).unwrap_err().code(), "write");
        assert_eq!(count(), 0);
        // A place that is taken only once the first file has its name.
        fs::write(&second, "somebody else's").unwrap();
        assert_eq!(write_together(&[(&first, b"1"), (&second, b"2"), (&third, b"3")]).unwrap_err().code(), "conflict");
        assert_eq!((count(), fs::read(&second).unwrap().as_slice()), (1, &b"somebody else's"[..]));
        fs::remove_file(&second).unwrap();
        write_together(&[(&first, b"1"), (&second, b"2"), (&third, b"3")]).unwrap();
        assert_eq!([first, second, third].map(|path| fs::read(path).unwrap()), [b"1", b"2", b"3"]);
    }

    #[test]
    fn a_failed_write_says_where() {
        let error = write(Path::new("/proc/keykit/nowhere"), b"x", Access::Shared, Existing::Replace).unwrap_err();
        assert_eq!(error.code(), "write");
    }

    #[test]
    fn reading_stops_at_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, [0; 11]).unwrap();
        assert_eq!(read(&path, 11, "x").unwrap().len(), 11);
        assert_eq!(read(&path, 10, "x").unwrap_err().code(), "malformed");
    }
}
