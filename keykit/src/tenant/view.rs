//! A tenant as its file has it, to look at. Nothing is locked, settled or written, and no journal is read.

use std::path::{Path, PathBuf};

use super::file::{Era, KeyStatus, TenantFile, TenantKey, TenantTemplate};
use super::keyring::LIMIT;
use crate::ceremony::ApprovalPolicy;
use crate::durable;
use crate::error::{Error, Result};
use crate::key::KeyId;

/// What a tenant folder holds, to look at.
#[derive(Debug, Clone)]
pub struct TenantView {
    pub(super) folder: PathBuf,
    pub(super) file: TenantFile,
}

impl TenantView {
    /// Reads a tenant folder. Another process may be at work in it: its file is replaced in one step, and is always whole.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no tenant; [`Error::Malformed`] for a file that is none; [`Error::Read`].
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("tenant.json");
        if !path.exists() {
            return Err(no_tenant(folder));
        }
        let file = TenantFile::parse(&durable::read(&path, LIMIT, "tenant file")?).map_err(|error| error.in_file(&path))?;
        Ok(Self { folder: folder.to_owned(), file })
    }

    /// The tenant's own identity: 32 hex digits, made at random.
    #[must_use]
    pub fn tenant_id(&self) -> &str {
        &self.file.tenant_id
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of software keys.
    #[must_use]
    pub fn key_folder(&self) -> PathBuf {
        self.folder.join("keys")
    }

    /// Which import rules hold.
    #[must_use]
    pub fn era(&self) -> Era {
        self.file.era
    }

    /// Who must approve plans that change this tenant, if that is fixed.
    #[must_use]
    pub fn custodians(&self) -> Option<&ApprovalPolicy> {
        self.file.custodians.as_ref()
    }

    /// All keys, in the order in which they came.
    #[must_use]
    pub fn keys(&self) -> &[TenantKey] {
        &self.file.keys
    }

    /// All templates.
    #[must_use]
    pub fn templates(&self) -> &[TenantTemplate] {
        &self.file.templates
    }

    /// The key with this identity.
    #[must_use]
    pub fn key(&self, id: &KeyId) -> Option<&TenantKey> {
        self.file.keys.iter().find(|key| key.key_id == *id)
    }

    /// The active key, if there is one yet.
    #[must_use]
    pub fn active(&self) -> Option<&TenantKey> {
        self.file.keys.iter().find(|key| key.status == KeyStatus::Active)
    }

    /// The key that was active before the active one, if the file names one.
    #[must_use]
    pub fn previous_active(&self) -> Option<KeyId> {
        self.file.previous_active
    }

    /// The XrML text of a template.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn template_text(&self, template: &TenantTemplate) -> Result<Vec<u8>> {
        durable::read(&self.folder.join("templates").join(&template.file), LIMIT, "rights template")
    }

    /// The certificate chain of a key, documents one after the other, leaf first.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn chain_text(&self, id: &KeyId) -> Result<Vec<u8>> {
        durable::read(&self.folder.join("chains").join(format!("{id}.xml")), LIMIT, "certificate chain")
    }
}

pub(super) fn no_tenant(folder: &Path) -> Error {
    Error::NotFound {
        what: format!("{} is no tenant folder", folder.display()),
        hint: Some("make one with `keykit tenant init --tenant DIR`".into()),
    }
}
