//! The real stores and files of a migration: how they are opened. What is done with them is in the modules below.

mod made_files;
mod seen;
mod steps;
mod verification;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use seen::{SeenKey, SeenPlace};

use crate::durable;
use crate::error::{Error, Result};
use crate::key::KeyId;
use crate::migration::plan::{FileKind, Plan, PlannedKey};
use crate::migration::{MigrationPath, ProtectedSample, SourceDomain};
use crate::secret::Password;
use crate::store::protection::Signal;
use crate::store::{KeyRecord, KeyRequest, KeyStore, Transferability};
use crate::tenant::TenantKeyring;
use crate::tpd::TrustedPublishingDomain;

/// How the keyring names its own folder of keys.
pub(in crate::migration) const OWN_FOLDER: &str = "file:keys";
/// Largest exported domain or evidence file that is read, in bytes.
const FILE_LIMIT: u64 = 16 << 20;
/// Largest protected file that is read, in bytes.
const LICENCE_LIMIT: u64 = 1 << 30;

/// What opens stores and reads files of kinds that this crate does not know.
pub trait Environment {
    /// The store in a folder of the tenant, made if it is not there; its password comes from `password_source`.
    ///
    /// # Errors
    /// What the source or the store says.
    fn folder_store(&self, folder: &Path, password_source: Option<&str>) -> Result<Box<dyn KeyStore>>;

    /// A token.
    ///
    /// # Errors
    /// What the token says.
    fn token(&self, uri: &str) -> Result<Box<dyn KeyStore>>;

    /// The name of a token as a keyring keeps it: without where its PIN comes from.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    fn lasting_name(&self, uri: &str) -> Result<String>;

    /// An empty store in this process's memory, which takes keys in the clear.
    ///
    /// # Errors
    /// What the store says.
    fn memory_store(&self) -> Result<Box<dyn KeyStore>>;

    /// The password of an exported domain.
    ///
    /// # Errors
    /// What the source says.
    fn domain_password(&self, file: &Path, password_source: Option<&str>) -> Result<Password>;

    /// What evidence says of a key in a token.
    ///
    /// # Errors
    /// [`Error::Malformed`] for evidence that can't be read.
    fn evidence(&self, evidence: &[(PathBuf, Vec<u8>)], domain: &SourceDomain, record: &KeyRecord) -> Result<Vec<Signal>>;

    /// The licences in a file, each with the key that it is sealed to.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    fn licences(&self, path: &Path, content: &[u8]) -> Result<Vec<ProtectedSample>>;
}

/// Stores and files, opened when they are first needed.
pub struct TenantWorld<'e> {
    environment: &'e dyn Environment,
    base: PathBuf,
    domains: Option<BTreeMap<KeyId, Vec<SourceDomain>>>,
    sources: BTreeMap<KeyId, Arc<dyn KeyStore>>,
    /// Tokens among the sources, by their names in the plan: keys of one token share it, and it is opened once.
    source_tokens: BTreeMap<String, Arc<dyn KeyStore>>,
    target: Option<Box<dyn KeyStore>>,
    /// Stores of the tenant that are not the plan's, by their names in the keyring.
    others: BTreeMap<String, Box<dyn KeyStore>>,
    tenant: Option<TenantKeyring>,
    patience: Duration,
}

impl std::fmt::Debug for TenantWorld<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantWorld").field("base", &self.base).finish_non_exhaustive()
    }
}

impl<'e> TenantWorld<'e> {
    /// The world of a plan whose relative paths count from `base`.
    #[must_use]
    pub fn new(environment: &'e dyn Environment, base: &Path) -> Self {
        Self {
            environment,
            base: base.to_owned(),
            domains: None,
            sources: BTreeMap::new(),
            source_tokens: BTreeMap::new(),
            target: None,
            others: BTreeMap::new(),
            tenant: None,
            patience: Duration::ZERO,
        }
    }

    /// Waits for as long as `patience` for another process that works on the keyring.
    #[must_use]
    pub fn waiting(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Reads a file of the plan, which must be the one that was planned with.
    fn planned_file(&self, plan: &Plan, path: &str) -> Result<(PathBuf, Vec<u8>)> {
        let file = plan.file(path).ok_or_else(|| Error::Internal(format!("{path} is not among the files of the plan")))?;
        let limit = if file.kind == FileKind::Licence { LICENCE_LIMIT } else { FILE_LIMIT };
        let full = self.base.join(path);
        let content = durable::read(&full, limit, "file of the plan")?;
        file.check(&content)?;
        Ok((full, content))
    }

    /// Opens all domains; each must be the file that was planned with and hold the key that was planned.
    fn open_domains(&mut self, plan: &Plan) -> Result<&BTreeMap<KeyId, Vec<SourceDomain>>> {
        if self.domains.is_none() {
            let mut domains: BTreeMap<KeyId, Vec<SourceDomain>> = BTreeMap::new();
            for key in &plan.keys {
                for path in &key.domains {
                    let (full, content) = self.planned_file(plan, path)?;
                    let source = plan.file(path).and_then(|file| file.password_source.as_deref());
                    let password = self.environment.domain_password(&full, source)?;
                    let opened = TrustedPublishingDomain::open(&content, &password).map_err(|error| error.in_file(&full))?;
                    let domain = SourceDomain::examine(Path::new(path), opened)?;
                    if domain.key_id() != key.key_id {
                        return Err(Error::Conflict {
                            what: format!("{path} holds the key {}, the plan has {}", domain.key_id().short(), key.key_id.short()),
                            hint: Some("make a new plan and have it approved".into()),
                        });
                    }
                    domain.check_path(key.path)?;
                    domains.entry(key.key_id).or_default().push(domain);
                }
            }
            self.domains = Some(domains);
        }
        self.domains.as_ref().ok_or_else(|| Error::Internal("domains were not opened".into()))
    }

    /// Opens the store that holds a key now.
    fn open_source(&mut self, plan: &Plan, key: &PlannedKey) -> Result<()> {
        if self.sources.contains_key(&key.key_id) {
            return Ok(());
        }
        self.open_domains(plan)?;
        let store: Arc<dyn KeyStore> = match (&key.source, key.path) {
            (Some(uri), MigrationPath::HsmToHsm) => match self.source_tokens.get(uri) {
                Some(token) => Arc::clone(token),
                None => {
                    let token: Arc<dyn KeyStore> = self.environment.token(uri)?.into();
                    self.source_tokens.insert(uri.clone(), Arc::clone(&token));
                    token
                }
            },
            _ => {
                let store = self.environment.memory_store()?;
                let secret = self.domains.iter().flat_map(|domains| domains.get(&key.key_id)).flatten().find_map(SourceDomain::key);
                let secret = secret.ok_or_else(|| Error::Internal("a software domain without a key".into()))?;
                let request = KeyRequest { label: key.key_id.short(), local_id: None, transferability: Transferability::Wrapped };
                store.as_import_plaintext()?.import_plaintext(secret, &request)?;
                store.into()
            }
        };
        self.sources.insert(key.key_id, store);
        Ok(())
    }

    fn folder(&self, plan: &Plan) -> PathBuf {
        self.base.join(&plan.tenant.folder)
    }

    /// Opens the keyring if there is one. Until the first key comes there is none.
    fn open_tenant(&mut self, plan: &Plan) -> Result<Option<&mut TenantKeyring>> {
        let folder = self.folder(plan);
        if self.tenant.is_none() && folder.join("tenant.json").exists() {
            let keyring = TenantKeyring::open_within(&folder, self.patience)?;
            if keyring.era() != plan.tenant.era {
                return Err(Error::Conflict {
                    what: format!("the tenant in {} was made under the import rules of the other era", folder.display()),
                    hint: Some("name its era in the migration file, or another folder, and make a new plan".into()),
                });
            }
            self.enter(plan, keyring)?;
        }
        Ok(self.tenant.as_mut())
    }

    /// Keeps the keyring, whose journal says from now on that this plan's run made its changes.
    fn enter(&mut self, plan: &Plan, mut keyring: TenantKeyring) -> Result<()> {
        keyring.attribute_to(&plan.hash()?);
        self.tenant = Some(keyring);
        Ok(())
    }

    fn tenant(&mut self, plan: &Plan) -> Result<&mut TenantKeyring> {
        if self.open_tenant(plan)?.is_none() {
            let keyring = TenantKeyring::init_within(&self.folder(plan), plan.tenant.era, self.patience)?;
            self.enter(plan, keyring)?;
        }
        self.tenant.as_mut().ok_or_else(|| Error::Internal("the tenant was not opened".into()))
    }

    fn target_name(&self, plan: &Plan) -> Result<String> {
        plan.tenant.store.as_ref().map_or_else(|| Ok(OWN_FOLDER.to_owned()), |uri| self.environment.lasting_name(uri))
    }

    fn open_target(&mut self, plan: &Plan) -> Result<&dyn KeyStore> {
        if self.target.is_none() {
            self.target = Some(match &plan.tenant.store {
                Some(uri) => self.environment.token(uri)?,
                None => self.environment.folder_store(&self.folder(plan).join("keys"), plan.tenant.keyring_password_source.as_deref())?,
            });
        }
        self.target.as_deref().ok_or_else(|| Error::Internal("the target was not opened".into()))
    }

    fn tenant_and_target(&mut self, plan: &Plan) -> Result<(&mut TenantKeyring, &dyn KeyStore)> {
        self.tenant(plan)?;
        self.open_target(plan)?;
        let missing = || Error::Internal("a store is not open".into());
        Ok((self.tenant.as_mut().ok_or_else(missing)?, self.target.as_deref().ok_or_else(missing)?))
    }

    /// Opens a store of the tenant by its name in the keyring.
    fn open_other(&mut self, plan: &Plan, name: &str) -> Result<&dyn KeyStore> {
        if name == self.target_name(plan)? {
            return self.open_target(plan);
        }
        if !self.others.contains_key(name) {
            let store = if name == OWN_FOLDER {
                self.environment.folder_store(&self.folder(plan).join("keys"), plan.tenant.keyring_password_source.as_deref())?
            } else {
                self.environment.token(name)?
            };
            self.others.insert(name.to_owned(), store);
        }
        self.others.get(name).map(AsRef::as_ref).ok_or_else(|| Error::Internal("a store was not opened".into()))
    }

    fn evidence(&self, plan: &Plan, key: &PlannedKey) -> Result<Vec<(PathBuf, Vec<u8>)>> {
        key.evidence.iter().map(|path| self.planned_file(plan, path)).collect()
    }

    fn samples(&self, plan: &Plan, key: &KeyId, paths: &[String]) -> Result<Vec<ProtectedSample>> {
        let mut samples = Vec::new();
        for path in paths {
            let (full, content) = self.planned_file(plan, path)?;
            samples.extend(self.environment.licences(&full, &content)?.into_iter().filter(|sample| sample.key_id == *key));
        }
        Ok(samples)
    }
}
