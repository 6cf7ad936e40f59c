//! The real stores and files of a migration.

mod made_files;
mod seen;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use seen::{SeenKey, SeenPlace};

use super::{Observed, TakenBack, World};
use crate::ceremony::Approval;
use crate::durable;
use crate::error::{Error, Result};
use crate::key::KeyId;
use crate::migration::paths::{hsm_to_hsm, software_to_hsm, software_to_software};
use crate::migration::plan::{Action, FileKind, Phase, Plan, PlannedKey, PlannedTemplate, Step};
use crate::migration::proof::{BeforeImage, Proof, sample_opens};
use crate::migration::verify::{self, Findings, LaterChanges, SeenText};
use crate::migration::{Migration, MigrationPath, ProtectedSample, SilentProgress, SourceDomain, rules};
use crate::secret::Password;
use crate::store::protection::Signal;
use crate::store::{KeyRecord, KeyRequest, KeyStore, Transferability};
use crate::tenant::{Managed, NewKey, TemplateAddition, TemplateStatus, TenantKeyring, TenantRekey, TenantView, sibling_tenants};
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
            let mut keyring = TenantKeyring::open_within(&folder, self.patience)?;
            if keyring.era() != plan.tenant.era {
                return Err(Error::Conflict {
                    what: format!("the tenant in {} was made under the import rules of the other era", folder.display()),
                    hint: Some("name its era in the migration file, or another folder, and make a new plan".into()),
                });
            }
            keyring.attribute_to(&plan.hash()?);
            self.tenant = Some(keyring);
        }
        Ok(self.tenant.as_mut())
    }

    fn tenant(&mut self, plan: &Plan) -> Result<&mut TenantKeyring> {
        if self.open_tenant(plan)?.is_none() {
            let mut keyring = TenantKeyring::init_within(&self.folder(plan), plan.tenant.era, self.patience)?;
            keyring.attribute_to(&plan.hash()?);
            self.tenant = Some(keyring);
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

    /// Makes a key the active one again, by the store that holds it.
    fn activate_again(&mut self, plan: &Plan, id: &KeyId) -> Result<TakenBack> {
        let Some(store) = self.open_tenant(plan)?.and_then(|tenant| tenant.key(id).map(|key| key.store.clone())) else {
            return Ok(TakenBack::Kept(format!("the key {id}, which was active before, is not in the keyring any more")));
        };
        self.open_other(plan, &store)?;
        let missing = || Error::Internal("a store is not open".into());
        let is_target = self.target_name(plan)? == store;
        let tenant = self.tenant.as_mut().ok_or_else(missing)?;
        let store = if is_target { self.target.as_deref() } else { self.others.get(&store).map(AsRef::as_ref) };
        tenant.activate_with(id, store.ok_or_else(missing)?)?;
        Ok(TakenBack::Undone(format!("key {id} is active again")))
    }

    /// Fixes the people of the plan, whose quorum was met, as those who must approve what changes this tenant.
    fn fix_custodians(&mut self, plan: &Plan) -> Result<()> {
        if !plan.approval.people.is_empty() {
            self.tenant(plan)?.fix_custodians(&plan.approval)?;
        }
        Ok(())
    }

    /// Whether a verification is reached with all effects before it there already, so that no step has fixed the people yet.
    fn is_adopted(&mut self, plan: &Plan, step: &Step) -> Result<bool> {
        let Action::Verify { phase } = step.action else { return Ok(false) };
        let changes = plan.steps_before(phase).any(|step| step.action.changes_the_tenant());
        Ok(changes && self.open_tenant(plan)?.is_some())
    }

    /// A new key takes over. A run that was cut off after the store had made it takes that one up.
    fn rekey(&mut self, plan: &Plan, bits: usize) -> Result<String> {
        let transferability = match plan.tenant.managed {
            // The folder store is software: the custodian can read it with the keyring password in any case.
            Managed::Service => Transferability::Wrapped,
            Managed::Customer if plan.allows("keep-transferable") => Transferability::UnderTrustedKey,
            Managed::Customer => Transferability::Never,
        };
        let (store_name, managed) = (self.target_name(plan)?, plan.tenant.managed);
        let (tenant, store) = self.tenant_and_target(plan)?;
        let done = tenant.rekey(&TenantRekey { store, store_name, managed, key: NewKey::Generated { bits, transferability } })?;
        Ok(format!("the new key {} is active, {} templates signed anew", done.activation.key_id, done.activation.resigned.len()))
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

    fn check_sources(&mut self, plan: &Plan) -> Result<String> {
        for file in plan.files.iter().filter(|file| file.kind != FileKind::MigrationFile) {
            self.planned_file(plan, &file.path)?;
        }
        for key in &plan.keys {
            self.open_source(plan, key)?;
            let store = self.sources.get(&key.key_id).ok_or_else(|| Error::Internal("a source is not open".into()))?;
            store.find(&key.key_id)?;
        }
        Ok(format!("{} files are as planned, {} keys are at their sources", plan.files.len() - 1, plan.keys.len()))
    }

    /// Brings a key across, or proves again the one that is there.
    fn import(&mut self, plan: &Plan, key: &PlannedKey) -> Result<String> {
        self.open_source(plan, key)?;
        // The folder of the tenant comes before the folder of its keys.
        self.tenant(plan)?;
        self.open_target(plan)?;
        let evidence_files = self.evidence(plan, key)?;
        let target_name = self.target_name(plan)?;
        let mut other_tenants: Vec<PathBuf> = plan.tenant.other_tenants.iter().map(|folder| self.base.join(folder)).collect();
        other_tenants.extend(sibling_tenants(&self.folder(plan)));
        self.refuse_other_versions(key)?;
        let environment = self.environment;
        let missing = || Error::Internal("a store is not open".into());
        let domains = self.domains.as_ref().and_then(|domains| domains.get(&key.key_id)).ok_or_else(missing)?;
        let source = self.sources.get(&key.key_id).ok_or_else(missing)?;
        // Evidence is read once, so that what can't be read is an error and no silence.
        let mut signals: Vec<(PathBuf, Vec<Signal>)> = Vec::new();
        if key.path == MigrationPath::HsmToHsm {
            let record = source.find(&key.key_id)?;
            for domain in domains {
                signals.push((domain.file().to_owned(), environment.evidence(&evidence_files, domain, &record)?));
            }
        }
        let evidence = |domain: &SourceDomain, _: &KeyRecord| {
            signals.iter().filter(|(file, _)| file == domain.file()).flat_map(|(_, signals)| signals.clone()).collect()
        };
        let mut migration = Migration {
            tenant: self.tenant.as_mut().ok_or_else(missing)?,
            domains,
            source: source.as_ref(),
            target: self.target.as_deref().ok_or_else(missing)?,
            target_name,
            keep_transferable: plan.allows("keep-transferable"),
            allow_host_visible_ephemeral_key: plan.allows("host-visible-ephemeral-key"),
            evidence: &evidence,
            samples: &[],
            other_tenants: &other_tenants,
            progress: &SilentProgress,
        };
        let outcome = match key.path {
            MigrationPath::SoftwareToSoftware => software_to_software(&mut migration)?,
            MigrationPath::SoftwareToHsm => software_to_hsm(&mut migration)?,
            MigrationPath::HsmToHsm => hsm_to_hsm(&mut migration)?,
        };
        let carried = outcome.keys.first().ok_or_else(|| Error::Internal("no key was moved".into()))?;
        Ok(format!("key {} in {}, carried: {}, {} proofs held", carried.key_id, carried.store, carried.route, carried.proofs.len()))
    }

    /// Refuses templates that the keyring has in another version (rules 137, 143). What a later key brings of a template that came
    /// with an earlier one is in the findings of the plan.
    fn refuse_other_versions(&self, key: &PlannedKey) -> Result<()> {
        let planned = |id: &str| key.templates.iter().any(|template| template.id == id);
        let domains = self.domains.iter().flat_map(|domains| domains.get(&key.key_id)).flatten();
        let templates: Vec<TemplateAddition> =
            domains.flat_map(SourceDomain::templates).filter(|template| planned(&template.canonical_id())).cloned().collect();
        // Of two files of one key the first counts, which the plan says too.
        let mut seen = BTreeSet::new();
        let first: Vec<TemplateAddition> = templates.into_iter().filter(|template| seen.insert(template.canonical_id())).collect();
        let Some(tenant) = &self.tenant else { return Ok(()) };
        match tenant.other_versions(&first)?.into_iter().next() {
            None => Ok(()),
            Some(other) => Err(Error::Conflict {
                what: format!("{other} (rule 143)"),
                hint: Some("look at it with `keykit tenant template show`; archive and export it, or import the other version with --overwrite, then resume. Nothing was overwritten".into()),
            }),
        }
    }

    /// A licence of the source key, made now, opens at the target; so do those of the organisation.
    fn prove(&mut self, plan: &Plan, key: &PlannedKey, licences: &[String]) -> Result<String> {
        self.open_source(plan, key)?;
        self.open_target(plan)?;
        let samples = self.samples(plan, &key.key_id, licences)?;
        let missing = || Error::Internal("a store is not open".into());
        let source = self.sources.get(&key.key_id).ok_or_else(missing)?;
        let target = self.target.as_deref().ok_or_else(missing)?;
        let licensor = source.find(&key.key_id)?.public;
        let before = BeforeImage::take(source.as_ref(), &licensor, rules::mode_of(&licensor)?, &key.licensor_name)?;
        let mut proofs = before.prove(target, &target.find(&key.key_id)?, &licensor)?;
        for sample in &samples {
            proofs.push(sample_opens(target, &key.key_id, &sample.name, &sample.sealed)?);
        }
        held(&proofs)
    }

    fn observe_key(&mut self, plan: &Plan, key: &PlannedKey) -> Result<Observed> {
        let Some(tenant) = self.open_tenant(plan)? else { return Ok(Observed::Absent) };
        let Some(entry) = tenant.key(&key.key_id).cloned() else { return Ok(Observed::Absent) };
        let name = self.target_name(plan)?;
        if entry.store != name {
            return Ok(Observed::Other(format!("the keyring has the key {} in {}, not in {name}", key.key_id.short(), entry.store)));
        }
        match self.open_target(plan)?.find(&key.key_id) {
            Ok(_) => Ok(Observed::Present(format!("key {} in {name}", key.key_id))),
            Err(Error::NotFound { .. }) => Ok(Observed::Absent),
            Err(error) => Err(error),
        }
    }

    fn observe_templates(&mut self, plan: &Plan, templates: &[PlannedTemplate]) -> Result<Observed> {
        let Some(tenant) = self.open_tenant(plan)? else { return Ok(Observed::Absent) };
        let active = tenant.active().map(|key| key.key_id);
        let (mut anew, mut changed) = (0, Vec::new());
        for template in templates {
            let Some(known) = tenant.templates().iter().find(|known| known.id == template.id) else { return Ok(Observed::Absent) };
            match verify::look_at_template(tenant, known, Some(template), active.as_ref()).map(|seen| seen.text) {
                Ok(SeenText::Exported | SeenText::NotPlanned) => {}
                Ok(SeenText::SignedAnew) => anew += 1,
                // The tenant lets its templates be edited, and signs them then. Another text is not ours.
                Ok(SeenText::Other(true)) => changed.push(template.id.as_str()),
                Ok(SeenText::Other(false)) => {
                    return Ok(Observed::Other(format!(
                        "the template '{}' ({}) says something else than the exported one (rules 137 and 143)",
                        known.name, template.id
                    )));
                }
                Err(error @ Error::Read { .. }) => return Err(error),
                Err(error) => return Ok(Observed::Other(format!("the template '{}' ({}): {error}", known.name, template.id))),
            }
        }
        let mut seen = format!("{} templates, text for text", templates.len() - anew - changed.len());
        if anew > 0 {
            seen.push_str(&format!("; {anew} signed anew, which say the same"));
        }
        if !changed.is_empty() {
            seen.push_str(&format!(
                "; {} edited in this tenant, which say something else than the exported ones: {}",
                changed.len(),
                changed.join(" ")
            ));
        }
        Ok(Observed::Present(seen))
    }

    /// Derives everything again; see [`verify`]. Nothing is locked or settled for it. `runs` is the folder of the journal of runs and
    /// `approvals` are all that were kept there: what was changed after the plan was carried out, by operations that recorded it, is
    /// told as changed later.
    ///
    /// # Errors
    /// What stores and files say. What is wrong with them is in the findings.
    pub fn verify_afterwards(&mut self, plan: &Plan, phase: Phase, runs: &Path, approvals: &[Approval]) -> Result<Findings> {
        self.verify_with(plan, phase, |tenant| LaterChanges::since(plan, tenant, runs, approvals))
    }

    /// As [`Self::verify_afterwards`], in the middle of a run: everything must be as planned, and no journal is read.
    ///
    /// # Errors
    /// As [`Self::verify_afterwards`].
    pub fn verify(&mut self, plan: &Plan, phase: Phase) -> Result<Findings> {
        self.verify_with(plan, phase, |_| LaterChanges::default())
    }

    fn verify_with(&mut self, plan: &Plan, phase: Phase, later: impl FnOnce(&TenantView) -> LaterChanges) -> Result<Findings> {
        let folder = self.folder(plan);
        let mut findings = Findings::default();
        if phase == Phase::Preparation {
            self.verify_sources(plan, false, &mut findings);
            return Ok(findings);
        }
        if plan.tenant.transfer.is_some() {
            self.verify_packages(plan, plan.is_decommissioned_before(phase), &mut findings);
            return Ok(findings);
        }
        let tenant = match TenantView::open(&folder) {
            Ok(tenant) => tenant,
            Err(Error::NotFound { .. }) => {
                findings.note("tenant-is-there", &plan.tenant.folder, false, "there is no tenant keyring in this folder");
                return Ok(findings);
            }
            Err(error @ Error::Malformed(_)) => {
                findings.note("tenant-file-is-sound", &plan.tenant.folder, false, error.to_string());
                return Ok(findings);
            }
            Err(error) => return Err(error),
        };
        findings.note("tenant-file-is-sound", &plan.tenant.folder, tenant.era() == plan.tenant.era, "read, without its journal");
        self.open_target(plan)?;
        let name = self.target_name(plan)?;
        let source_may_be_gone = plan.is_decommissioned_before(phase);
        let missing = || Error::Internal("a store is not open".into());
        for key in &plan.keys {
            let readable = self.open_domains(plan).map(drop);
            let opened = self.open_source(plan, key);
            let licences: Vec<String> = plan
                .steps
                .iter()
                .filter_map(|step| match &step.action {
                    Action::ProveKey { key_id, licences } if *key_id == key.key_id => Some(licences.clone()),
                    _ => None,
                })
                .flatten()
                .collect();
            let samples = self.samples(plan, &key.key_id, &licences);
            let target = self.target.as_deref().ok_or_else(missing)?;
            let source = opened.and_then(|()| self.sources.get(&key.key_id).map(AsRef::as_ref).ok_or_else(missing));
            let domains = readable.map(|()| self.domains.as_ref().and_then(|domains| domains.get(&key.key_id)).map_or(&[][..], Vec::as_slice));
            let keep_transferable = plan.allows("keep-transferable");
            let source_may_be_gone = source_may_be_gone && key.path == MigrationPath::HsmToHsm;
            let tenant = &tenant;
            let place =
                verify::KeyInPlace { key, domains, tenant, target, target_name: &name, source, source_may_be_gone, samples, keep_transferable };
            verify::key(&mut findings, place);
        }
        for entry in tenant.keys().iter().filter(|entry| plan.key(&entry.key_id).is_none()) {
            let store = self.open_other(plan, &entry.store);
            verify::other_key(&mut findings, &tenant, entry, store);
        }
        let target = self.target.as_deref().ok_or_else(missing)?;
        verify::tenant(&mut findings, (plan, phase), &tenant, (target, &name), &later(&tenant));
        Ok(findings)
    }

    /// Every file is as planned, and every key is at its source, unless that is a token that may be gone by now.
    fn verify_sources(&mut self, plan: &Plan, source_may_be_gone: bool, findings: &mut Findings) {
        for key in &plan.keys {
            let about = key.key_id.to_string();
            let opened = self.open_domains(plan).map(drop);
            let detail = opened.as_ref().map_or_else(ToString::to_string, |()| key.domains.join(", "));
            findings.note("domain-opens-and-is-as-planned", &about, opened.is_ok(), detail);
            let opened = self.open_source(plan, key);
            let is_open = opened.is_ok();
            let found = opened.and_then(|()| {
                let store = self.sources.get(&key.key_id).ok_or_else(|| Error::Internal("a source is not open".into()))?;
                let record = store.find(&key.key_id)?;
                BeforeImage::take(store.as_ref(), &record.public, rules::mode_of(&record.public)?, &key.licensor_name)?;
                Ok(store.identity().uri.clone())
            });
            match found {
                Ok(uri) => findings.note("source-key-still-works", &about, true, uri),
                Err(error) if source_may_be_gone && key.path == MigrationPath::HsmToHsm => {
                    findings.note("source-was-taken-out-of-service", &about, true, error.to_string());
                }
                Err(error) if !is_open => findings.note_not_opened("source-key-still-works", &about, error),
                Err(error) => findings.note_error("source-key-still-works", &about, error),
            }
        }
    }
}

fn held(proofs: &[Proof]) -> Result<String> {
    match proofs.iter().find(|proof| !proof.ok) {
        None => Ok(format!("{} proofs held", proofs.len())),
        Some(failed) => Err(Error::Negative {
            what: format!("the proof '{}' failed ({})", failed.name, failed.detail),
            hint: Some("nothing was lost: the source still works. Do not switch anything off".into()),
        }),
    }
}

fn planned<'a>(plan: &'a Plan, id: &KeyId) -> Result<&'a PlannedKey> {
    plan.key(id).ok_or_else(|| Error::Internal("a step about a key that the plan does not have".into()))
}

impl World for TenantWorld<'_> {
    fn before(&mut self, plan: &Plan, step: &Step) -> Result<Option<String>> {
        match &step.action {
            Action::Activate { .. } | Action::Rekey { .. } => {
                Ok(self.open_tenant(plan)?.and_then(|tenant| tenant.active().map(|key| key.key_id.to_string())))
            }
            Action::PublishTemplates { templates } => Ok(self.open_tenant(plan)?.map(|tenant| {
                let published = tenant.templates().iter().filter(|known| known.status == TemplateStatus::Published && templates.contains(&known.id));
                published.map(|known| known.id.as_str()).collect::<Vec<_>>().join(" ")
            })),
            _ => Ok(None),
        }
    }

    fn observe(&mut self, plan: &Plan, step: &Step) -> Result<Observed> {
        if self.open_tenant(plan)?.is_some() {
            // What a killed process left is read below; from here on it is on the disk too.
            for folder in ["", "keys", "chains", "templates"] {
                durable::sync_folder(&self.folder(plan).join(folder))?;
            }
        }
        match &step.action {
            Action::ImportKey { key_id } => self.observe_key(plan, planned(plan, key_id)?),
            Action::ImportTemplates { templates, .. } => self.observe_templates(plan, templates),
            Action::Activate { key_id } => {
                let active = self.open_tenant(plan)?.and_then(|tenant| tenant.active().map(|key| key.key_id));
                Ok(if active == Some(*key_id) { Observed::Present(format!("key {key_id} is active")) } else { Observed::Absent })
            }
            Action::PublishTemplates { templates } => {
                let Some(tenant) = self.open_tenant(plan)? else { return Ok(Observed::Absent) };
                let is_published = |id: &String| tenant.templates().iter().any(|known| known.id == *id && known.status == TemplateStatus::Published);
                Ok(if templates.iter().all(is_published) {
                    Observed::Present(format!("{} templates are published", templates.len()))
                } else {
                    Observed::Absent
                })
            }
            Action::Rekey { .. } => {
                // A key that no domain brought and that is active: the one that this step makes.
                let active = self.open_tenant(plan)?.and_then(|tenant| tenant.active().map(|key| (key.key_id, key.path == "rekey")));
                match active {
                    Some((id, true)) if plan.key(&id).is_none() => Ok(Observed::Present(format!("the new key {id} is active"))),
                    _ => Ok(Observed::Absent),
                }
            }
            Action::WriteArtefacts { folder, files } => self.observe_artefacts(folder, files),
            Action::MakePackage { key_id, file } => self.observe_package(plan, key_id, file),
            Action::CheckSources | Action::ProveKey { .. } | Action::Verify { .. } | Action::Manual { .. } => Ok(Observed::Absent),
        }
    }

    fn perform(&mut self, plan: &Plan, step: &Step) -> Result<String> {
        if step.action.changes_the_tenant() || self.is_adopted(plan, step)? {
            self.fix_custodians(plan)?;
        }
        match &step.action {
            Action::CheckSources => self.check_sources(plan),
            Action::ImportKey { key_id } | Action::ImportTemplates { key_id, .. } => self.import(plan, planned(plan, key_id)?),
            Action::ProveKey { key_id, licences } => self.prove(plan, planned(plan, key_id)?, licences),
            Action::Activate { key_id } => {
                let (tenant, target) = self.tenant_and_target(plan)?;
                let done = tenant.activate_with(key_id, target)?;
                Ok(format!("key {key_id} is active, {} templates signed anew", done.resigned.len()))
            }
            Action::Verify { phase } => self.verify(plan, *phase)?.require(),
            Action::PublishTemplates { templates } => {
                let (tenant, target) = self.tenant_and_target(plan)?;
                templates.iter().try_for_each(|id| tenant.publish_template(id, target).map(drop))?;
                Ok(format!("{} templates are published", templates.len()))
            }
            Action::Rekey { bits } => self.rekey(plan, *bits),
            Action::WriteArtefacts { folder, files } => self.write_artefacts(plan, folder, files),
            Action::MakePackage { key_id, file } => self.make_package(plan, planned(plan, key_id)?, file),
            Action::Manual { .. } => Err(Error::Internal("a step by hand reached the stores".into())),
        }
    }

    fn undo(&mut self, plan: &Plan, step: &Step, before: Option<&str>) -> Result<TakenBack> {
        match (&step.action, before) {
            (Action::Activate { .. } | Action::Rekey { .. }, Some(before)) => self.activate_again(plan, &before.parse()?),
            (Action::Activate { .. } | Action::Rekey { .. }, None) => {
                Ok(TakenBack::Kept("no key was active before, and a tenant does not go back to none: the key stays active".into()))
            }
            (Action::PublishTemplates { templates }, _) => {
                // Those that were published before stay so.
                let before: Vec<&str> = before.unwrap_or_default().split(' ').collect();
                let Some(tenant) = self.open_tenant(plan)? else {
                    return Ok(TakenBack::Kept("there is no tenant any more".into()));
                };
                for id in templates.iter().filter(|id| !before.contains(&id.as_str())) {
                    tenant.archive_template(id)?;
                }
                Ok(TakenBack::Undone(format!("{} templates are archived again", templates.len())))
            }
            _ => Err(Error::Internal(format!("the step {} can't be undone here", step.id))),
        }
    }
}
