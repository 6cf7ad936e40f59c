//! Keys in a folder, encrypted under a password: the store `file:DIR`, and `keys/` of a tenant folder.
//!
//! | file | what it is |
//! |---|---|
//! | `<key identity>.p8` | PEM `ENCRYPTED PRIVATE KEY`: PKCS#8 EncryptedPrivateKeyInfo (RFC 5958 §3), PBES2 (RFC 8018 §6.2) with scrypt (RFC 7914) and AES-256-CBC |
//! | `<key identity>.json` | label, local id, public half and so on, `"schema": "keykit/key/1"` |
//! | `.lock` | held by the process that changes the folder |
//! | `*.p8.new`, `.password-change` | there while the password is changed; the next opening finishes or undoes it |
//!
//! OpenSSL reads the keys: `openssl pkey -in FILE -passin …`. All keys of a folder have one password. A key is decrypted on its
//! first use and kept, ready for work, in memory.
//!
//! # Security
//! The encryption protects what is in the files from who does not know the password. It does not protect them from being
//! changed: CBC has no integrity. What is read is therefore checked: the numbers of the key against each other, and its
//! identity against the file's name.

mod backing;
mod encryption;
mod files;
mod metadata;
mod password_change;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use keykit::secret::Password;
use keykit::{Error, Result, durable};

pub use self::backing::EncryptedFolder;
use crate::memory::{SoftwareStore, own_identity};

/// A store whose keys are in an encrypted folder.
pub type FolderStore = SoftwareStore<EncryptedFolder>;

/// What it costs to try one password (scrypt, RFC 7914 §2).
///
/// OpenSSL gives scrypt 32 MiB and refuses to open more: the memory is `128 · r · 2^log_n` bytes, so the cost is raised by `p`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScryptCost {
    log_n: u8,
    r: u16,
    p: u16,
}

impl ScryptCost {
    /// 16 MiB and about a third of a second for every try and for every key: what new folders get.
    pub const RECOMMENDED: Self = Self { log_n: 14, r: 8, p: 8 };

    /// A cost of one's own. Less than [`Self::RECOMMENDED`] is for tests.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is no cost at all, or more than OpenSSL opens.
    pub fn new(log_n: u8, r: u16, p: u16) -> Result<Self> {
        let memory = 1_u64.checked_shl(u32::from(log_n)).and_then(|n| n.checked_mul(128 * u64::from(r)));
        let possible = memory.is_some_and(|memory| (1 << 20..=1 << 24).contains(&memory)) && (1..=64).contains(&p);
        if !possible {
            return Err(Error::usage("scrypt must cost 1 to 16 MiB (128 · r · 2^log_n bytes) with p from 1 to 64, or OpenSSL does not open it"));
        }
        Ok(Self { log_n, r, p })
    }
}

impl Default for ScryptCost {
    fn default() -> Self {
        Self::RECOMMENDED
    }
}

impl FolderStore {
    /// Opens a folder; makes it first if it is not there.
    ///
    /// `cost` is for keys that are stored from now on.
    ///
    /// # Errors
    /// As for [`Self::open`], and [`Error::Write`].
    pub fn create_or_open(folder: &Path, password: &Password, cost: ScryptCost) -> Result<Self> {
        if !folder.exists() {
            durable::make_folder(folder)?;
        }
        Self::open(folder, password, cost)
    }

    /// Opens a folder. A change of the password that was cut off is finished or undone; one key, if there is one, is decrypted
    /// to check the password.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no folder; [`Error::WrongPassword`]; [`Error::Malformed`] for damaged files;
    /// [`Error::Conflict`] if another process is changing the password.
    pub fn open(folder: &Path, password: &Password, cost: ScryptCost) -> Result<Self> {
        if password.expose().is_empty() {
            return Err(Error::usage("an empty password protects nothing").with_hint("give the password of the folder"));
        }
        let store = Self::unopened(folder, Some(password), cost)?;
        store.backing().recover_and(|| {
            store.refresh()?;
            match keykit::store::KeyStore::keys(&store)?.first() {
                Some(first) => store.engine(&first.id()).map(drop),
                None => Ok(()),
            }
        })?;
        Ok(store)
    }

    /// Opens a folder to list its keys. Whatever needs a secret answers [`Error::Usage`].
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no folder, [`Error::Malformed`] for damaged files.
    pub fn open_without_password(folder: &Path) -> Result<Self> {
        let store = Self::unopened(folder, None, ScryptCost::RECOMMENDED)?;
        store.refresh()?;
        Ok(store)
    }

    /// Encrypts every key under another password, at this cost.
    ///
    /// All keys are opened and written anew beside the old ones before the first is replaced. A process that is killed leaves a
    /// folder that the next opening puts right: with the old password until everything was written, with the new one then.
    ///
    /// # Errors
    /// [`Error::Conflict`] if another process changes the folder; [`Error::WrongPassword`] or [`Error::Malformed`] if a key
    /// cannot be opened, [`Error::Write`]: the old password stays then. [`Error::Interrupted`] if it failed later: the new
    /// password counts, and opening the folder again finishes the work.
    pub fn change_password(&self, new: &Password, cost: ScryptCost) -> Result<()> {
        self.backing().change_password(new, cost)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.backing().folder()
    }

    fn unopened(folder: &Path, password: Option<&Password>, cost: ScryptCost) -> Result<Self> {
        if !folder.is_dir() {
            return Err(Error::NotFound {
                what: format!("there is no folder {}", folder.display()),
                hint: Some("check the path; a new key folder is made when the first key is stored".into()),
            });
        }
        let identity = own_identity(format!("file:{}", folder.display()), "encrypted folder");
        Ok(Self::with_backing(identity, EncryptedFolder::new(PathBuf::from(folder), password, cost)))
    }
}
