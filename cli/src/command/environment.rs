//! Stores, passwords and evidence of a plan, opened for the library.

use std::path::{Path, PathBuf};

use keykit::migration::apply::Environment;
use keykit::migration::file::PasswordSource;
use keykit::migration::{ProtectedSample, SourceDomain};
use keykit::secret::Password;
use keykit::store::protection::Signal;
use keykit::store::{KeyRecord, KeyStore};
use keykit::{Error, Result};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_hsm_backends::pkcs11::Pkcs11Uri;
use keykit_hsm_backends::protection::nshield::Evidence;

use crate::arguments::KeyringPassword;
use crate::inspection::samples;
use crate::{secrets, stores};

/// What this program opens.
#[derive(Debug)]
pub(super) struct ProgramEnvironment<'a> {
    pub(super) keyring: &'a KeyringPassword,
    /// The folder of the plan, from which relative sources of passwords count.
    pub(super) base: &'a Path,
}

impl ProgramEnvironment<'_> {
    fn read(&self, source: &str, what: &str) -> Result<Password> {
        let source: PasswordSource = source.parse().map_err(|problem: String| Error::usage(format!("the source of the {what} {problem}")))?;
        secrets::read(&source.in_folder(self.base), what)
    }
}

impl Environment for ProgramEnvironment<'_> {
    fn folder_store(&self, folder: &Path, password_source: Option<&str>) -> Result<Box<dyn KeyStore>> {
        // An option on the command line goes before the source in the plan.
        let password = match (&self.keyring.keyring_password_source, password_source) {
            (None, Some(source)) => self.read(source, "keyring password")?,
            _ => stores::folder_password(folder, self.keyring)?,
        };
        Ok(Box::new(stores::folder_store(folder, &password)?))
    }

    fn token(&self, uri: &str) -> Result<Box<dyn KeyStore>> {
        Ok(Box::new(stores::token(&Pkcs11Uri::parse(uri)?, None)?))
    }

    fn lasting_name(&self, uri: &str) -> Result<String> {
        Ok(stores::lasting_name(&Pkcs11Uri::parse(uri)?))
    }

    fn memory_store(&self) -> Result<Box<dyn KeyStore>> {
        Ok(Box::new(MemoryStore::new()))
    }

    fn domain_password(&self, file: &Path, password_source: Option<&str>) -> Result<Password> {
        self.read(password_source.unwrap_or("prompt"), &format!("password of {}", file.display()))
    }

    fn evidence(&self, evidence: &[(PathBuf, Vec<u8>)], domain: &SourceDomain, record: &KeyRecord) -> Result<Vec<Signal>> {
        let mut signals = Vec::new();
        for (file, content) in evidence {
            let text = str::from_utf8(content).map_err(|_| Error::malformed("protection evidence", "not UTF-8 text").in_file(file))?;
            signals.extend(super::migrate::signals(&Evidence::parse(text, file)?, domain, record));
        }
        Ok(signals)
    }

    fn licences(&self, path: &Path, content: &[u8]) -> Result<Vec<ProtectedSample>> {
        samples::sealed_in_content(path, content)
    }
}
