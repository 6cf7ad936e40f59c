//! The encrypted folder as the backing of a store.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keykit::durable::{self, Access, Existing, FileLock};
use keykit::key::{KeyId, RsaSecretKey};
use keykit::secret::Password;
use keykit::{Error, Result};
use sha2::{Digest as _, Sha256};

use super::encryption::{self, OpenError};
use super::{ScryptCost, files, metadata};
use crate::memory::{Backing, Metadata};

const FORMAT: &str = "encrypted private key";
/// No sound key file is larger, in bytes.
const LIMIT: u64 = 1 << 16;

/// A folder of encrypted keys: see [`super`].
#[derive(Debug)]
pub struct EncryptedFolder {
    folder: PathBuf,
    access: Mutex<AccessState>,
    /// SHA-256 of the key files that the password has opened. Another process that changes the password changes them all.
    opened: Mutex<HashMap<KeyId, [u8; 32]>>,
}

/// The password of the folder (none to list only), and the cost of keys that are written.
#[derive(Debug)]
struct AccessState {
    password: Option<Password>,
    cost: ScryptCost,
}

impl EncryptedFolder {
    pub(super) fn new(folder: PathBuf, password: Option<&Password>, cost: ScryptCost) -> Self {
        let access = Mutex::new(AccessState { password: password.map(copy), cost });
        Self { folder, access, opened: Mutex::default() }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Uses this password and cost from now on.
    pub(super) fn set_password(&self, password: &Password, cost: ScryptCost) {
        *self.access() = AccessState { password: Some(copy(password)), cost };
    }

    /// The password and the cost; an error if the folder was opened without.
    fn credentials(&self) -> Result<(Password, ScryptCost)> {
        let access = self.access();
        let password = access.password.as_ref().map(copy).ok_or_else(|| {
            Error::usage(format!("{} was opened without a password, to list its keys only", self.folder.display()))
                .with_hint("give the password of the folder")
        })?;
        Ok((password, access.cost))
    }

    fn access(&self) -> MutexGuard<'_, AccessState> {
        self.access.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes stand-ins for metadata that is missing, if nobody else is at it.
    fn rebuild(&self, id: &KeyId) -> Result<Metadata> {
        let rebuilt = metadata::stand_in(self.load(id)?.public());
        metadata::write(&files::metadata(&self.folder, id), &rebuilt)?;
        Ok(rebuilt)
    }

    /// Writes metadata that a crash left missing. Without the password it cannot be done.
    pub(super) fn rebuild_missing(&self) -> Result<()> {
        for id in files::keys(&self.folder)? {
            if !files::metadata(&self.folder, &id).exists() {
                self.rebuild(&id)?;
            }
        }
        Ok(())
    }

    /// Whether something that a crash left is to be put right.
    pub(super) fn has_missing_metadata(&self) -> Result<bool> {
        Ok(files::keys(&self.folder)?.iter().any(|id| !files::metadata(&self.folder, id).exists()))
    }

    /// One password for all keys of the folder: the one we have must open the files as they are now.
    fn prove_password(&self) -> Result<()> {
        let keys = files::keys(&self.folder)?;
        for id in &keys {
            let seen = self.opened().get(id).copied();
            if seen.is_some_and(|seen| self.read(id).is_ok_and(|pem| fingerprint(&pem) == seen)) {
                return Ok(());
            }
        }
        keys.first().map_or(Ok(()), |first| self.load(first).map(drop))
    }

    fn read(&self, id: &KeyId) -> Result<Vec<u8>> {
        durable::read(&files::key(&self.folder, id), LIMIT, FORMAT)
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<KeyId, [u8; 32]>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fingerprint(pem: &[u8]) -> [u8; 32] {
    Sha256::digest(pem).into()
}

impl Backing for EncryptedFolder {
    type Guard = FileLock;

    fn exclusive(&self) -> Result<FileLock> {
        let lock = files::lock(&self.folder)?;
        durable::remove_temporary_files(&self.folder)?;
        Ok(lock)
    }

    /// Keys whose metadata is missing are not listed: either another process is about to write it, or nobody has opened the
    /// folder with its password since a crash.
    fn list(&self) -> Result<Option<Vec<Metadata>>> {
        let mut all = Vec::new();
        for id in files::keys(&self.folder)? {
            let path = files::metadata(&self.folder, &id);
            if path.exists() {
                all.push(metadata::read(&path, &id)?);
            }
        }
        Ok(Some(all))
    }

    /// The metadata first: a key is never listed without the name by which a run that was cut off finds it again, and metadata
    /// without a key is not listed at all.
    fn persist(&self, key: &RsaSecretKey, metadata: &Metadata) -> Result<()> {
        self.prove_password()?;
        let (password, cost) = self.credentials()?;
        let (path, metadata_path) = (files::key(&self.folder, &key.id()), files::metadata(&self.folder, &key.id()));
        // A key file that is there is the same key: its name says so, and it has been listed or rebuilt.
        if path.exists() {
            return metadata::write(&metadata_path, metadata);
        }
        let sealed = encryption::seal(key, &password, cost)?;
        metadata::write(&metadata_path, metadata)?;
        if let Err(error) = durable::write(&path, sealed.as_bytes(), Access::OwnerOnly, Existing::Keep) {
            // What is left alone is of no use; if it stays, it does no harm.
            files::remove(&metadata_path).unwrap_or_default();
            return Err(error);
        }
        self.opened().insert(key.id(), fingerprint(sealed.as_bytes()));
        Ok(())
    }

    fn load(&self, id: &KeyId) -> Result<RsaSecretKey> {
        let path = files::key(&self.folder, id);
        let (password, _) = self.credentials()?;
        let pem = self.read(id)?;
        let key = encryption::open(&pem, &password).map_err(|error| match error {
            OpenError::File(error) => error.in_file(&path).with_hint("restore the file from a copy"),
            OpenError::Password => Error::WrongPassword {
                what: format!("the keys in {}", self.folder.display()),
                hint: if self.opened().is_empty() {
                    "check the password, which somebody may have changed; if you are sure of it, the files are damaged: restore them from a copy"
                        .into()
                } else {
                    format!("it opened keys there before: {} is damaged, or the password was changed since", path.display())
                },
            },
        })?;
        if key.id() != *id {
            return Err(Error::malformed(FORMAT, "it holds another key than the one it is named after").in_file(&path));
        }
        self.opened().insert(*id, fingerprint(&pem));
        Ok(key)
    }

    /// The key first: metadata that is left alone is of no use to anyone.
    fn remove(&self, id: &KeyId) -> Result<()> {
        files::remove(&files::key(&self.folder, id))?;
        files::sync(&self.folder)?;
        files::remove(&files::metadata(&self.folder, id))?;
        files::sync(&self.folder)
    }
}

fn copy(password: &Password) -> Password {
    Password::copy_of(password.expose())
}
