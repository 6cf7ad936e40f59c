//! Test data of keykit, and how to load it. `README.md` beside this crate says where each file comes from.
//!
//! A test that reads vectors counts what it ran in a [`Report`] and ends with [`Report::assert_sound`], so that an empty
//! file, or a loop that skips everything, fails.
#![forbid(unsafe_code)]

mod hex;
mod report;
pub mod wycheproof;

use std::fmt;
use std::path::{Path, PathBuf};

pub use report::Report;

/// Password of the synthetic trusted publishing domains in `tpd/`.
pub const TPD_PASSWORD: &str = "Synthetic-Pa$$w0rd-é";

/// A vector could not be loaded.
#[derive(Debug)]
pub enum VectorError {
    /// The file could not be read.
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file does not have the form it must have; unknown fields count.
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl fmt::Display for VectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => write!(f, "can't read {}: {source}", path.display()),
            Self::Malformed { path, problem } => write!(f, "{}: {problem}", path.display()),
        }
    }
}

impl std::error::Error for VectorError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Malformed { .. } => None,
        }
    }
}

/// The folder that holds the vectors.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The path of a vector, by its path in the folder, for example `tpd/key.pem`.
#[must_use]
pub fn path(relative: &str) -> PathBuf {
    root().join(relative)
}

/// The bytes of a vector, by its path in the folder.
///
/// # Errors
/// [`VectorError::Read`].
pub fn read(relative: &str) -> Result<Vec<u8>, VectorError> {
    let path = path(relative);
    std::fs::read(&path).map_err(|source| VectorError::Read { path, source })
}

/// The text of a vector in UTF-8, by its path in the folder.
///
/// # Errors
/// [`VectorError::Read`], also for other text.
pub fn read_text(relative: &str) -> Result<String, VectorError> {
    let path = path(relative);
    std::fs::read_to_string(&path).map_err(|source| VectorError::Read { path, source })
}

/// A file of `tpd/`: a synthetic trusted publishing domain, or the key inside it.
///
/// # Errors
/// [`VectorError::Read`].
pub fn tpd(name: &str) -> Result<Vec<u8>, VectorError> {
    read(&format!("tpd/{name}"))
}

/// A file of `xrml/`: a real licence, chain or protected file.
///
/// # Errors
/// [`VectorError::Read`].
pub fn xrml(name: &str) -> Result<Vec<u8>, VectorError> {
    read(&format!("xrml/{name}"))
}

/// PEM of a file of `keys/`: private keys that were made for tests and protect nothing.
///
/// # Errors
/// [`VectorError::Read`].
pub fn key_pem(name: &str) -> Result<String, VectorError> {
    read_text(&format!("keys/{name}"))
}

/// The files of a folder of vectors, as paths in the folder of all vectors, sorted.
///
/// # Errors
/// [`VectorError::Read`].
pub fn list(folder: &str) -> Result<Vec<String>, VectorError> {
    let directory = path(folder);
    let failed = |source| VectorError::Read { path: directory.clone(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().map_err(failed)?.is_dir() {
            files.extend(list(&name)?);
        } else {
            files.push(name);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sha2::{Digest, Sha256};

    use super::*;

    const FOLDERS: [&str; 8] = ["keys", "nist", "nshield", "tokens", "tpd", "transfer", "wycheproof", "xrml"];
    const HOW: &str = "run the command in vectors/README.md that writes SHA256SUMS, and give the file its row in the table there";

    fn listed() -> BTreeMap<String, String> {
        let text = read_text("SHA256SUMS").unwrap();
        let sums: BTreeMap<_, _> = text
            .lines()
            .map(|line| line.split_once("  ").map(|(sum, name)| (name.to_owned(), sum.to_owned())).expect("a line of SHA256SUMS is `HASH  PATH`"))
            .collect();
        assert_eq!(sums.len(), text.lines().count(), "SHA256SUMS lists a file twice");
        sums
    }

    #[test]
    fn every_file_is_listed_with_its_hash_and_nothing_else_is() {
        let mut sums = listed();
        let mut checked = 0;
        for file in FOLDERS.iter().flat_map(|folder| list(folder).unwrap()) {
            let Some(sum) = sums.remove(&file) else { panic!("{file} is not in SHA256SUMS: {HOW}") };
            let found: String = Sha256::digest(read(&file).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(found, sum, "{file} is not what SHA256SUMS says: {HOW}");
            checked += 1;
        }
        assert!(sums.is_empty(), "listed, but not there: {:?}", sums.keys());
        assert!(checked >= 18, "{checked} files");
    }

    #[test]
    fn every_file_has_its_provenance() {
        let readme = read_text("README.md").unwrap();
        for file in listed().keys() {
            let row = match file.split_once('/') {
                Some(("keys", _)) => "| `keys/*.pem` |".to_owned(),
                Some(("nshield", _)) => "| `nshield/*` |".to_owned(),
                _ => format!("`{file}`"),
            };
            assert!(readme.contains(&row), "README.md does not say where {file} comes from");
        }
    }

    #[test]
    fn files_are_found_by_name() {
        assert!(tpd("tpd-v2.xml").unwrap().starts_with(b"<?xml"));
        assert!(xrml("CleanAlice.txt.pfile").unwrap().starts_with(b".pfile"));
        assert!(key_pem("licence-1024.pem").unwrap().starts_with("-----BEGIN RSA PRIVATE KEY-----"));
        assert_eq!(xrml("absent").unwrap_err().to_string().split(':').next(), Some(format!("can't read {}", path("xrml/absent").display()).as_str()));
    }
}
