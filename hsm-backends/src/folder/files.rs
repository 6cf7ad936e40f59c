//! Names in the folder, and changes to it that last.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use keykit::durable::FileLock;
use keykit::key::KeyId;
use keykit::{Error, Result};

const KEY: &str = "p8";
const METADATA: &str = "json";
/// Ending of a key file under the new password.
const NEW: &str = "p8.new";
const LOCK: &str = ".lock";

pub(super) fn key(folder: &Path, id: &KeyId) -> PathBuf {
    folder.join(format!("{id}.{KEY}"))
}

pub(super) fn metadata(folder: &Path, id: &KeyId) -> PathBuf {
    folder.join(format!("{id}.{METADATA}"))
}

pub(super) fn new_key(folder: &Path, id: &KeyId) -> PathBuf {
    folder.join(format!("{id}.{NEW}"))
}

pub(super) fn password_change(folder: &Path) -> PathBuf {
    folder.join(".password-change")
}

/// The identities of all keys in the folder, sorted.
pub(super) fn keys(folder: &Path) -> Result<Vec<KeyId>> {
    with_ending(folder, KEY)
}

/// The identities of all keys that lie there under a new password, sorted.
pub(super) fn new_keys(folder: &Path) -> Result<Vec<KeyId>> {
    with_ending(folder, NEW)
}

/// Files that are not named after a key are not ours and are left alone.
fn with_ending(folder: &Path, ending: &str) -> Result<Vec<KeyId>> {
    let failed = |source| Error::Read { path: folder.to_owned(), source };
    let mut ids = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let id = name.to_str().and_then(|name| name.split_once('.')).filter(|(_, rest)| *rest == ending).map(|(id, _)| id.parse::<KeyId>());
        if let Some(Ok(id)) = id {
            ids.push(id);
        }
    }
    ids.sort();
    Ok(ids)
}

/// Takes the sole right to change the folder.
pub(super) fn lock(folder: &Path) -> Result<FileLock> {
    let path = folder.join(LOCK);
    let failed = |source| Error::Write { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    FileLock::take(file).map_err(failed)?.ok_or_else(|| Error::Conflict {
        what: format!("another process is changing {}", folder.display()),
        hint: Some("wait until it has ended, then run the command again".into()),
    })
}

/// Puts `from` in the place of `to`; [`sync`] makes it last.
pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|source| Error::Write { path: to.to_owned(), source })
}

/// Removes a file; one that is not there is fine. [`sync`] makes it last.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::Write { path: path.to_owned(), source }),
        _ => Ok(()),
    }
}

/// Makes what happened to the folder's names last.
pub(super) fn sync(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(|source| Error::Write { path: folder.to_owned(), source })
}
