//! One process at a time brings keys into the tenants of a neighbourhood, so that what it saw of the others still holds when its
//! key is entered (rule 4).
//!
//! Locked are the folders that hold the tenants: processes that bring keys into tenants which lie side by side, or which name each
//! other, have one of them in common. This holds on one machine; another machine on the same files sees the lock only if their file
//! system shares locks.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::registry::sibling_tenants;
use crate::durable::{self, FileLock};
use crate::error::{Error, Result};

/// How long another process may take to bring one key.
const PATIENCE: Duration = Duration::from_mins(2);
/// Locked where a folder can't be.
const FILE: &str = ".keykit-tenants";

/// The sole right to bring a key into one of the tenants beside a tenant, for as long as this lives.
#[derive(Debug)]
pub struct NeighbourLock {
    tenant: PathBuf,
    named: Vec<PathBuf>,
    _locks: Vec<FileLock>,
}

impl NeighbourLock {
    /// Waits for two minutes at most for other processes. `named` are tenants that lie elsewhere.
    ///
    /// # Errors
    /// [`Error::Conflict`] if another process still has one of the folders; [`Error::Write`] if one can't be locked.
    pub fn take(tenant: &Path, named: &[PathBuf]) -> Result<Self> {
        Self::take_within(tenant, named, PATIENCE)
    }

    /// As [`Self::take`], for as long as `patience`.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn take_within(tenant: &Path, named: &[PathBuf], patience: Duration) -> Result<Self> {
        let deadline = Instant::now() + patience;
        // In one order for all processes, so that none waits for another in a circle.
        let folders: BTreeSet<PathBuf> = std::iter::once(tenant)
            .chain(named.iter().map(PathBuf::as_path))
            .map(|tenant| fs::canonicalize(tenant).map_or_else(|_| durable::parent(tenant).to_owned(), |place| durable::parent(&place).to_owned()))
            .collect();
        let mut locks = Vec::new();
        for folder in folders {
            let patience = deadline.saturating_duration_since(Instant::now());
            let lock = lock_folder(&folder, patience).map_err(|source| Error::Write { path: folder.clone(), source })?;
            locks.push(lock.ok_or_else(|| Error::Conflict {
                what: format!("another process brings a key into a tenant in {}", folder.display()),
                hint: Some("wait until it has ended, then run the same command again".into()),
            })?);
        }
        Ok(Self { tenant: tenant.to_owned(), named: named.to_vec(), _locks: locks })
    }

    /// The tenants that must not hold a key which comes into this one, as they are now.
    #[must_use]
    pub fn others(&self) -> Vec<PathBuf> {
        let mut others = sibling_tenants(&self.tenant);
        others.extend(self.named.iter().cloned());
        others
    }
}

/// The folder itself is locked, so that nothing is left in it; where a system can't do that, a file in it.
fn lock_folder(folder: &Path, patience: Duration) -> io::Result<Option<FileLock>> {
    FileLock::take_opened_within(patience, || File::open(folder)).or_else(|_| FileLock::take_within(&folder.join(FILE), patience))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenants(folder: &Path, names: &[&str]) -> Vec<PathBuf> {
        let paths: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
        paths.iter().for_each(|path| fs::create_dir_all(path).unwrap());
        paths
    }

    fn take(tenant: &Path, named: &[PathBuf]) -> Result<NeighbourLock> {
        NeighbourLock::take_within(tenant, named, Duration::ZERO)
    }

    #[test]
    fn tenants_side_by_side_are_one_process_at_a_time_and_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let paths = tenants(folder.path(), &["a", "b"]);
        let first = take(&paths[0], &[]).unwrap();
        assert_eq!(take(&paths[1], &[]).unwrap_err().code(), "conflict");
        drop(first);
        take(&paths[1], &[]).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn tenants_apart_are_so_if_one_names_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let paths = tenants(folder.path(), &["x/a", "y/b", "z/c"]);
        let first = take(&paths[0], std::slice::from_ref(&paths[1])).unwrap();
        assert_eq!(take(&paths[1], &[]).unwrap_err().code(), "conflict");
        // Named twice, or also a neighbour: the same folder is locked once.
        take(&paths[2], &[paths[2].clone(), folder.path().join("z/none")]).unwrap();
        drop(first);
        take(&paths[1], std::slice::from_ref(&paths[0])).unwrap();
    }

    #[test]
    fn others_are_those_that_are_there_now() {
        let folder = tempfile::tempdir().unwrap();
        let paths = tenants(folder.path(), &["t/a", "t/b", "elsewhere"]);
        let lock = take(&paths[0], std::slice::from_ref(&paths[2])).unwrap();
        assert_eq!(lock.others(), [paths[2].clone()]);
        fs::write(paths[1].join("tenant.json"), "{}").unwrap();
        assert_eq!(lock.others(), [paths[1].clone(), paths[2].clone()]);
    }
}
