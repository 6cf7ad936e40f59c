//! Another password for all keys, so that a killed process leaves nothing that the next one cannot put right.
//!
//! 1. Every key is written under the new password, as `*.p8.new`.
//! 2. The marker `.password-change` names the keys. From here on the new password counts.
//! 3. Every new file takes the place of the old one.
//! 4. The marker goes.
//!
//! Without the marker new files are thrown away (the old password counts); with it they are put in place.

use keykit::durable::{self, Access, Existing};
use keykit::key::KeyId;
use keykit::secret::Password;
use keykit::{Error, Result};
use serde::{Deserialize, Serialize};

use super::backing::EncryptedFolder;
use super::{ScryptCost, encryption, files};
use crate::memory::Backing;

const FORMAT: &str = "marker of a password change";
const SCHEMA: &str = "keykit/password-change/1";
/// No sound marker is larger, in bytes.
const LIMIT: u64 = 1 << 24;

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    schema: String,
    keys: Vec<KeyId>,
}

impl EncryptedFolder {
    pub(super) fn change_password(&self, new: &Password, cost: ScryptCost) -> Result<()> {
        if new.expose().is_empty() {
            return Err(Error::usage("an empty password protects nothing"));
        }
        let _guard = self.exclusive()?;
        let keys = files::keys(self.folder())?;
        let prepared = self.write_new(&keys, new, cost);
        // The marker decides, even if the system was of two minds about writing it.
        if !files::password_change(self.folder()).exists() {
            // What stays behind now is thrown away by the next opening.
            self.recover_locked().unwrap_or_default();
            return prepared.and_then(|()| Err(Error::Internal("the marker of a password change is gone".into())));
        }
        self.set_password(new, cost);
        self.recover_locked().map_err(|error| Error::Interrupted {
            what: format!(
                "the password of {} is changed, but not all files are in place ({error}): open the folder with the new password to finish",
                self.folder().display()
            ),
        })
    }

    /// Puts right what a killed process left: a change of the password, missing metadata. Then does `open`, which tries the
    /// password; if that is wrong because a change was finished just now, the error says so.
    pub(super) fn recover_and(&self, open: impl FnOnce() -> Result<()>) -> Result<()> {
        let marker = files::password_change(self.folder());
        if !marker.exists() && files::new_keys(self.folder())?.is_empty() && !self.has_missing_metadata()? {
            return open();
        }
        let mut finished = false;
        let recovered = match self.exclusive() {
            Ok(_guard) => {
                // The marker is looked for again: another process may have finished in between.
                finished = marker.exists();
                self.recover_locked().and_then(|()| self.rebuild_missing())
            }
            // Another process is at work, and the old files are still the ones that count.
            Err(Error::Conflict { .. }) if !marker.exists() => Ok(()),
            Err(error) => Err(error),
        };
        recovered.and_then(|()| open()).map_err(|error| match error {
            Error::WrongPassword { what, .. } if finished => Error::WrongPassword {
                what,
                hint: "an earlier change of the password was cut off after it had taken effect, and is finished now: the new password counts".into(),
            },
            other => other,
        })
    }

    fn write_new(&self, keys: &[KeyId], password: &Password, cost: ScryptCost) -> Result<()> {
        for id in keys {
            let sealed = encryption::seal(&self.load(id)?, password, cost)?;
            durable::write(&files::new_key(self.folder(), id), sealed.as_bytes(), Access::OwnerOnly, Existing::Replace)?;
        }
        let marker = Marker { schema: SCHEMA.into(), keys: keys.to_vec() };
        let marker = serde_json::to_vec(&marker).map_err(|error| Error::Internal(format!("writing a marker: {error}")))?;
        durable::write(&files::password_change(self.folder()), &marker, Access::OwnerOnly, Existing::Keep)
    }

    fn recover_locked(&self) -> Result<()> {
        let folder = self.folder();
        let path = files::password_change(folder);
        let new = files::new_keys(folder)?;
        if !path.exists() {
            new.iter().try_for_each(|id| files::remove(&files::new_key(folder, id)))?;
            return if new.is_empty() { Ok(()) } else { files::sync(folder) };
        }
        let bytes = durable::read(&path, LIMIT, FORMAT)?;
        let marker: Marker = serde_json::from_slice(&bytes).map_err(|error| Error::malformed(FORMAT, error.to_string()).in_file(&path))?;
        if marker.schema != SCHEMA {
            return Err(Error::malformed(FORMAT, format!("the schema '{}', not {SCHEMA}", marker.schema)).in_file(&path));
        }
        for id in new.iter().filter(|id| marker.keys.contains(id)) {
            files::rename(&files::new_key(folder, id), &files::key(folder, id))?;
        }
        files::sync(folder)?;
        files::remove(&path)?;
        files::sync(folder)
    }
}
