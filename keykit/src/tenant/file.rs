//! `tenant.json`, version 1.

use serde::{Deserialize, Serialize};

use crate::ceremony::ApprovalPolicy;
use crate::error::{Error, Result};
use crate::key::KeyId;

/// Schema of the file; the number after the last slash is the major version.
const SCHEMA: &str = "keykit/tenant-file/1";

/// Which import rules hold (rules 51–56).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Era {
    /// 2016: the first key of an import becomes active, the others archived (rule 54).
    #[serde(rename = "2016")]
    Of2016,
    /// Since 2017: every imported key is archived, activation is a step of its own (rule 55).
    #[default]
    #[serde(rename = "current")]
    Current,
}

/// State of a key (rule 117).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyStatus {
    /// Protects new content and signs.
    Active,
    /// Opens what was protected with it.
    Archived,
}

/// Who keeps a key (rule 122).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Managed {
    /// The service, in software.
    Service,
    /// The customer, in a hardware security module (BYOK).
    Customer,
}

/// State of a template (rules 60, 131).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TemplateStatus {
    /// Opens old content only.
    Archived,
    /// Offered to users.
    Published,
}

/// A key of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantKey {
    /// The key's identity.
    pub key_id: KeyId,
    /// Active or archived.
    pub status: KeyStatus,
    /// Cryptographic mode, 1 or 2.
    pub mode: u8,
    /// Size in bits.
    pub modulus_bits: usize,
    /// Who keeps it.
    pub managed: Managed,
    /// When it came into the keyring (RFC 3339, UTC).
    pub created: String,
    /// Where it lives: `file:keys` for the folder of the tenant, or a PKCS#11 URI without secrets.
    pub store: String,
    /// Its name there.
    pub label: String,
    /// Whether it was left wrappable under a trusted key, for a later transfer.
    pub transferable: bool,
    /// GUID of the server licensor certificate it came with.
    pub licensor_id: String,
    /// Friendly name of the server licensor certificate (rule 58).
    pub licensor_name: String,
    /// The path it came by.
    pub path: String,
}

/// A rights template of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantTemplate {
    /// GUID, lower case, without braces.
    pub id: String,
    /// Name, in the language with the lowest LCID.
    pub name: String,
    /// Archived or published.
    pub status: TemplateStatus,
    /// The key that signed it.
    pub signed_by: Option<KeyId>,
    /// Whether it grants rights to everybody (rule 133).
    pub grants_anyone: bool,
    /// Its file under `templates/`.
    pub file: String,
}

/// What the tenant is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TenantFile {
    schema: String,
    pub(super) tenant_id: String,
    pub(super) era: Era,
    /// The key that was active before the active one: where a rollback goes (rule 121).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous_active: Option<KeyId>,
    /// Who must approve plans that change this tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) custodians: Option<ApprovalPolicy>,
    pub(super) keys: Vec<TenantKey>,
    pub(super) templates: Vec<TenantTemplate>,
}

impl TenantFile {
    pub(super) fn new(tenant_id: String, era: Era) -> Self {
        Self { schema: SCHEMA.to_owned(), tenant_id, era, previous_active: None, custodians: None, keys: Vec::new(), templates: Vec::new() }
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        const FORMAT: &str = "tenant file";
        let malformed = |error: serde_json::Error| Error::malformed(FORMAT, error.to_string());
        let head: Head = serde_json::from_slice(bytes).map_err(malformed)?;
        if head.schema != SCHEMA {
            return Err(Error::malformed(FORMAT, format!("its schema is {}, this program knows {SCHEMA}", head.schema))
                .with_hint("use the version of keykit that wrote it, or a newer one"));
        }
        let file: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        file.check()?;
        Ok(file)
    }

    /// Makes a key the active one and archives all others (rule 117).
    pub(super) fn make_active(&mut self, id: &KeyId) {
        let before = self.keys.iter().find(|key| key.status == KeyStatus::Active).map(|key| key.key_id);
        if before.is_some_and(|before| before != *id) {
            self.previous_active = before;
        }
        for key in &mut self.keys {
            key.status = if key.key_id == *id { KeyStatus::Active } else { KeyStatus::Archived };
        }
    }

    /// What must hold of every tenant file.
    fn check(&self) -> Result<()> {
        let malformed = |problem: &str| Err(Error::malformed("tenant file", problem));
        if self.keys.iter().filter(|key| key.status == KeyStatus::Active).count() > 1 {
            return malformed("more than one key is active");
        }
        let mut ids: Vec<_> = self.keys.iter().map(|key| key.key_id).collect();
        ids.sort();
        if ids.windows(2).any(|pair| matches!(pair, [left, right] if left == right)) {
            return malformed("a key is listed twice");
        }
        let safe =
            |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)) && !name.starts_with('.');
        if let Some(Err(problem)) = self.custodians.as_ref().map(ApprovalPolicy::check) {
            return malformed(&problem);
        }
        if self.templates.iter().any(|template| !safe(&template.file)) {
            return malformed("the file name of a template leaves its folder");
        }
        Ok(())
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|error| Error::Internal(format!("encoding the tenant file: {error}")))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_versions_are_refused() {
        let text = String::from_utf8(TenantFile::new("t".into(), Era::Current).to_bytes().unwrap()).unwrap();
        assert!(TenantFile::parse(text.as_bytes()).is_ok());
        let error = TenantFile::parse(text.replace("tenant-file/1", "tenant-file/2").as_bytes()).unwrap_err();
        assert!(error.to_string().contains("tenant-file/2"), "{error}");
    }

    #[test]
    fn two_active_keys_are_refused() {
        let key = |n: u8| TenantKey {
            key_id: KeyId::of_spki(&[n]),
            status: KeyStatus::Active,
            mode: 2,
            modulus_bits: 2048,
            managed: Managed::Service,
            created: String::new(),
            store: "file:keys".into(),
            label: String::new(),
            transferable: false,
            licensor_id: String::new(),
            licensor_name: String::new(),
            path: String::new(),
        };
        let mut file = TenantFile::new("t".into(), Era::Current);
        file.keys = vec![key(1), key(2)];
        assert!(TenantFile::parse(&file.to_bytes().unwrap()).is_err());
        file.keys[1].status = KeyStatus::Archived;
        assert!(TenantFile::parse(&file.to_bytes().unwrap()).is_ok());
        file.keys[1].key_id = file.keys[0].key_id;
        assert!(TenantFile::parse(&file.to_bytes().unwrap()).is_err());
    }
}
