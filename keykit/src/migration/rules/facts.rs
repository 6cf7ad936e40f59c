//! What is known of a migration: the file, and what was read from domains, stores and keyrings. Plain data.

use crate::key::KeyId;
use crate::migration::file::{MigrationFile, PlacedDomain, Position};
use crate::migration::{MigrationPath, SourceDomain};
use crate::store::KeyRecord;
use crate::store::protection::Assessment;
use crate::tenant::{KeyStatus, TenantKeyring};
use crate::tpd::KeyDerivation;
use crate::xrml::Trust;

use super::Place;

/// What is known of a migration.
#[derive(Debug, Clone)]
pub struct Facts<'f> {
    /// The migration file.
    pub file: &'f MigrationFile,
    /// What the exported domains say, as far as they were opened.
    pub domains: Vec<DomainFacts>,
    /// What the source tokens say of the keys that are to move, as far as they were asked.
    pub source_keys: Vec<SourceKeyFacts>,
    /// What the tenant's keyring holds, if there is one.
    pub tenant: Option<TenantFacts>,
    /// What other tenants hold.
    pub other_tenants: Vec<OtherTenantFacts>,
}

/// What an exported domain says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainFacts {
    /// The file, as the migration file names it.
    pub file: String,
    /// Where the migration file names it.
    pub at: Position,
    /// Name of its cluster.
    pub cluster: String,
    /// Whether its key is to be the active one.
    pub active: bool,
    /// The path that the table of rule 41 gives it.
    pub path: Option<MigrationPath>,
    /// Identity of the key that its certificate names.
    pub key_id: KeyId,
    /// Size of that key in bits.
    pub modulus_bits: usize,
    /// Whether the key itself is in the file.
    pub has_key: bool,
    /// Whether it was exported for version 1.0.
    pub version_1: bool,
    /// Whether its chain ends in the production root.
    pub production_root: bool,
    /// Friendly name in its certificate.
    pub licensor_name: String,
    /// Whether others than its owner can read the file.
    pub readable_by_others: bool,
    /// Its templates.
    pub templates: Vec<TemplateFacts>,
}

/// What a template says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFacts {
    /// GUID, lower case, without braces.
    pub id: String,
    /// Name.
    pub name: String,
    /// Whether it grants rights to everybody.
    pub grants_anyone: bool,
}

/// What a source token says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceKeyFacts {
    /// The key; that of the domain's certificate.
    pub key_id: KeyId,
    /// The exported domain that was looked for.
    pub file: String,
    /// The store, without secrets.
    pub store: String,
    /// What the store has of it; `None` if it does not hold this key.
    pub found: Option<FoundKey>,
}

/// A key in a source token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundKey {
    /// How it is protected, with all the evidence.
    pub protection: Assessment,
    /// Whether it can be wrapped out.
    pub extractable: Option<bool>,
}

impl From<&KeyRecord> for FoundKey {
    fn from(record: &KeyRecord) -> Self {
        Self { protection: record.protection.clone(), extractable: record.attributes.extractable }
    }
}

/// What the tenant's keyring holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TenantFacts {
    /// Its keys, and whether each is the active one.
    pub keys: Vec<(KeyId, KeyStatus)>,
    /// GUIDs of its templates.
    pub templates: Vec<String>,
}

impl From<&TenantKeyring> for TenantFacts {
    fn from(keyring: &TenantKeyring) -> Self {
        Self {
            keys: keyring.keys().iter().map(|key| (key.key_id, key.status)).collect(),
            templates: keyring.templates().iter().map(|template| template.id.clone()).collect(),
        }
    }
}

/// What another tenant holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherTenantFacts {
    /// Its folder or name.
    pub name: String,
    /// Its keys.
    pub keys: Vec<KeyId>,
}

impl<'f> Facts<'f> {
    /// What the migration file alone says.
    #[must_use]
    pub fn of_file(file: &'f MigrationFile) -> Self {
        Self { file, domains: Vec::new(), source_keys: Vec::new(), tenant: None, other_tenants: Vec::new() }
    }

    /// Sizes of the keys of mode 1 are known from the domains; before those are opened, from the clusters.
    pub(super) fn has_active_key_of_mode_1(&self) -> bool {
        match self.domains.iter().find(|domain| domain.active) {
            Some(domain) => domain.modulus_bits == 1024,
            None => {
                let active = self.file.domains().find(|placed| placed.domain.is_active());
                active.and_then(|placed| placed.cluster.cryptographic_mode.as_ref()).is_some_and(|mode| mode.get().number() == 1)
            }
        }
    }
}

impl DomainFacts {
    /// What an opened domain says.
    #[must_use]
    pub fn of(placed: PlacedDomain<'_>, file: &MigrationFile, source: &SourceDomain, readable_by_others: bool) -> Self {
        Self {
            file: placed.domain.file.to_string(),
            at: placed.domain.file.at,
            cluster: placed.cluster.name.value.clone(),
            active: placed.domain.is_active(),
            path: placed.cluster.path(file.tenant.managed.value),
            key_id: source.key_id(),
            modulus_bits: source.licensor().modulus_bits(),
            has_key: source.key().is_some(),
            version_1: source.domain().derivation() == KeyDerivation::Pbkdf1Sha1,
            production_root: source.trust() == Trust::MicrosoftProductionRoot,
            licensor_name: source.licensor_name().to_owned(),
            readable_by_others,
            templates: source
                .templates()
                .iter()
                .map(|template| TemplateFacts { id: template.canonical_id(), name: template.name.clone(), grants_anyone: template.grants_anyone })
                .collect(),
        }
    }

    /// The place of findings about it.
    pub(super) fn place(&self) -> Place {
        Place { domain: Some(self.file.clone()), key: Some(self.key_id), ..Place::from(self.at) }
    }
}
