//! The plan: everything that a migration will do, in one file that people read, approve and carry out.
//!
//! The same inputs give the same file, byte for byte: no time and no machine is in it. No secret is in it either; passwords and PINs
//! are named by their sources. The file is canonical JSON ([`crate::canonical`]) with the SHA-256 of the plan beside it, and is
//! refused in any other form. The format is documented in `docs/plan.md`.

mod build;
mod diff;
mod show;
mod steps;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

pub(in crate::migration) use build::SCRIPT_VERSION;
pub use build::{PlanInputs, approval_policy, build};
pub use diff::{Change, diff};
pub use show::{show, show_findings};
pub use steps::{Action, Phase, PlannedArtefact, Step, Undo};

use super::rules::{Finding, Severity, Step as Documented, catalogue};
use super::{MigrationPath, Warning};
use crate::canonical;
use crate::ceremony::ApprovalPolicy;
use crate::durable;
use crate::error::{Error, Result};
use crate::key::KeyId;
use crate::tenant::{Era, Managed, TemplateAddition, terms};

const FORMAT: &str = "plan";
const SCHEMA: &str = "keykit/plan/1";
/// The step in which AD RMS is taken out of service.
const DECOMMISSION: &str = "manual/decommission";
/// Largest file that is read, in bytes.
const LIMIT: u64 = 64 << 20;

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Who migrates.
    pub organisation: String,
    /// Where the keys go.
    pub tenant: PlannedTenant,
    /// Who must approve.
    pub approval: ApprovalPolicy,
    /// What is allowed although it is dangerous: keys of `[danger]` in the migration file.
    pub dangers: Vec<String>,
    /// Every file that the plan was made from, with its digest.
    pub files: Vec<PlannedFile>,
    /// The keys that move.
    pub keys: Vec<PlannedKey>,
    /// What is done, in this order.
    pub steps: Vec<Step>,
    /// The steps of the documented process for which nothing is done, and why.
    pub omitted: Vec<OmittedStep>,
    /// What the people who approve must know, by step of the documented process.
    pub findings: Vec<PlannedFinding>,
}

/// A step of the documented process for which a plan does nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OmittedStep {
    /// The step.
    pub documented: Documented,
    /// Whether it is left open, because the migration file does not say what there is to do, and not because nothing is.
    pub is_open: bool,
    /// Why.
    pub why: String,
}

/// Stands in a finding between what is so and what to do about it.
const BEFORE_INSTEAD: &str = "; ";

/// Something that the people who approve must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedFinding {
    /// The rule behind it, if one is.
    pub rule: Option<u16>,
    /// A warning, or something that the migration file does not say. What refuses makes no plan.
    pub severity: Severity,
    /// The step of the documented process that it belongs to.
    pub step: Documented,
    /// What to know, in a sentence or two.
    pub message: String,
}

impl From<&Warning> for PlannedFinding {
    fn from(warning: &Warning) -> Self {
        let step = warning.rule.and_then(catalogue::entry).map_or(Documented::Before, |entry| entry.step);
        Self { rule: warning.rule, severity: Severity::Warning, step, message: warning.message.clone() }
    }
}

impl From<&Finding> for PlannedFinding {
    fn from(finding: &Finding) -> Self {
        let (rule, severity, step) = (Some(finding.rule), finding.severity, finding.step);
        Self { rule, severity, step, message: format!("{}{BEFORE_INSTEAD}{}", finding.message, finding.instead) }
    }
}

impl PlannedFinding {
    /// Whether it says what a warning says: as that has it, or with what to do instead behind it.
    pub(super) fn says(&self, warning: &Warning) -> bool {
        let behind = self.message.strip_prefix(warning.message.as_str());
        self.rule == warning.rule && behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(BEFORE_INSTEAD))
    }
}

/// Where keys go that leave as transfer files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedTransfer {
    /// The profile of the receiver.
    pub profile: String,
    /// Its public key encryption key; a path from [`Plan::files`].
    pub key_encryption_key: String,
    /// SHA-256 of that key's SubjectPublicKeyInfo, as its owner read it out.
    pub fingerprint: String,
    /// Its identifier at its owner.
    pub kid: Option<String>,
}

/// Where the keys go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedTenant {
    /// Name in the directory.
    pub name: String,
    /// Identity in the directory.
    pub id: String,
    /// Region of the service.
    pub region: String,
    /// Which import rules hold.
    pub era: Era,
    /// Who keeps the keys.
    pub managed: Managed,
    /// Folder of the tenant keyring, as given.
    pub folder: String,
    /// Where the password of that folder comes from, if the file says so.
    pub keyring_password_source: Option<String>,
    /// The token that holds the keys, as given, or nothing for the folder itself. It holds no PIN.
    pub store: Option<String>,
    /// The receiver of transfer files, where keys leave in that way and not into a store.
    pub transfer: Option<PlannedTransfer>,
    /// Folders of other tenants, which must not hold these keys.
    pub other_tenants: Vec<String>,
}

/// What a file is to the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// The migration file itself.
    MigrationFile,
    /// An exported trusted publishing domain.
    Domain,
    /// Evidence of the protection of a key.
    Evidence,
    /// A licence that was protected before.
    Licence,
    /// The public key encryption key of a receiver.
    KeyEncryptionKey,
}

/// A file that the plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedFile {
    /// What it is.
    pub kind: FileKind,
    /// Its path, as given; what is not absolute counts from the folder of the plan.
    pub path: String,
    /// SHA-256 of its content, in hex.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Where its password comes from, for a domain.
    pub password_source: Option<String>,
}

impl PlannedFile {
    /// A file with this content.
    #[must_use]
    pub fn of(kind: FileKind, path: impl Into<String>, content: &[u8], password_source: Option<String>) -> Self {
        let bytes = u64::try_from(content.len()).unwrap_or(u64::MAX);
        Self { kind, path: path.into(), sha256: canonical::sha256_hex(content), bytes, password_source }
    }

    /// Refuses content that is not what was planned with.
    ///
    /// # Errors
    /// [`Error::Conflict`].
    pub fn check(&self, content: &[u8]) -> Result<()> {
        let found = canonical::sha256_hex(content);
        if found == self.sha256 {
            return Ok(());
        }
        Err(Error::Conflict {
            what: format!("{} is not the file of the plan: its SHA-256 is {found}, the plan has {}", self.path, self.sha256),
            hint: Some("bring the very file back, or make a new plan and have it approved".into()),
        })
    }
}

/// A template that comes with a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedTemplate {
    /// GUID, lower case, without braces.
    pub id: String,
    /// Name.
    pub name: String,
    /// SHA-256 of its text, in hex.
    pub sha256: String,
    /// SHA-256 of what it says, whoever signed it: of its text without the signature and the issuer, in hex.
    pub terms: String,
}

impl PlannedTemplate {
    /// A template as it was exported.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a text that is no template.
    pub fn of(template: &TemplateAddition) -> Result<Self> {
        let terms = terms(&template.document()?).ok_or_else(|| Error::malformed("rights template", "it names no issuer"))?;
        Ok(Self {
            id: template.canonical_id(),
            name: template.name.clone(),
            sha256: canonical::sha256_hex(template.text.as_bytes()),
            terms: canonical::sha256_hex(terms.as_bytes()),
        })
    }
}

/// A key that moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedKey {
    /// Its identity.
    pub key_id: KeyId,
    /// Its size in bits.
    pub modulus_bits: usize,
    /// Cryptographic mode, 1 or 2.
    pub mode: u8,
    /// By which path it goes.
    pub path: MigrationPath,
    /// The exported domains that it is the key of; paths from [`Plan::files`].
    pub domains: Vec<String>,
    /// The token that holds it now, if one does.
    pub source: Option<String>,
    /// Evidence of its protection; paths from [`Plan::files`].
    pub evidence: Vec<String>,
    /// Friendly name of its server licensor certificate.
    pub licensor_name: String,
    /// Templates that come with it.
    pub templates: Vec<PlannedTemplate>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanFile {
    schema: String,
    hash: String,
    plan: Plan,
}

impl Plan {
    /// The hash that is approved: SHA-256 of the canonical JSON of the plan, 64 hex digits.
    ///
    /// # Errors
    /// [`Error::Internal`] never in practice.
    pub fn hash(&self) -> Result<String> {
        canonical::hash(self)
    }

    /// The plan file: canonical JSON and a line feed.
    ///
    /// # Errors
    /// [`Error::Internal`] never in practice.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let file = PlanFile { schema: SCHEMA.to_owned(), hash: self.hash()?, plan: self.clone() };
        Ok(format!("{}\n", canonical::to_string(&file)?).into_bytes())
    }

    /// Reads a plan file. It must be, byte for byte, what [`Self::to_bytes`] writes.
    ///
    /// # Errors
    /// [`Error::Malformed`] for anything else: unknown members, another version, a hash that does not fit, a contradiction.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let changed = |problem: String| {
            Error::malformed(FORMAT, problem)
                .with_hint("somebody changed the plan after it was made: make it again from its migration file, and compare with `keykit plan diff`")
        };
        let head: Head = serde_json::from_slice(bytes).map_err(|error| Error::malformed(FORMAT, error.to_string()))?;
        if head.schema != SCHEMA {
            return Err(Error::malformed(FORMAT, format!("its schema is {}, this program knows {SCHEMA}", head.schema))
                .with_hint("use the version of keykit that wrote it, or a newer one"));
        }
        let file: PlanFile = serde_json::from_slice(bytes).map_err(|error| Error::malformed(FORMAT, error.to_string()))?;
        let hash = file.plan.hash()?;
        if hash != file.hash {
            return Err(changed(format!("its content has the hash {hash}, and it claims {}", file.hash)));
        }
        let written = file.plan.to_bytes()?;
        if let Some(offset) = first_difference(&written, bytes) {
            return Err(changed("it is not in canonical form".into()).at(offset));
        }
        file.plan.check()?;
        Ok(file.plan)
    }

    /// Reads a plan file.
    ///
    /// # Errors
    /// As [`Self::parse`], and [`Error::Read`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&durable::read(path, LIMIT, FORMAT)?).map_err(|error| error.in_file(path))
    }

    /// Whether the plan allows something that needs the higher quorum.
    #[must_use]
    pub fn is_dangerous(&self) -> bool {
        !self.dangers.is_empty()
    }

    /// Whether this danger is allowed.
    #[must_use]
    pub fn allows(&self, danger: &str) -> bool {
        self.dangers.iter().any(|allowed| allowed == danger)
    }

    /// The step with this name.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == id)
    }

    /// The steps before the verification of a phase; all of them if it has none.
    pub fn steps_before(&self, phase: Phase) -> impl Iterator<Item = &Step> {
        self.steps.iter().take_while(move |step| step.action != Action::Verify { phase })
    }

    /// Whether AD RMS is out of service before the verification of a phase: what its tokens say can't be asked for then.
    #[must_use]
    pub fn is_decommissioned_before(&self, phase: Phase) -> bool {
        self.steps_before(phase).any(|step| step.id == DECOMMISSION)
    }

    /// The key with this identity.
    #[must_use]
    pub fn key(&self, id: &KeyId) -> Option<&PlannedKey> {
        self.keys.iter().find(|key| key.key_id == *id)
    }

    /// The migration file.
    #[must_use]
    pub fn migration_file(&self) -> Option<&PlannedFile> {
        self.files.iter().find(|file| file.kind == FileKind::MigrationFile)
    }

    /// The file with this path.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&PlannedFile> {
        self.files.iter().find(|file| file.path == path && file.kind != FileKind::MigrationFile)
    }

    /// The keys that are to be in the tenant and that the plan names (not the one that a re-key makes).
    #[must_use]
    pub fn active_key(&self) -> Option<KeyId> {
        self.steps.iter().rev().find_map(|step| match &step.action {
            Action::Activate { key_id } => Some(*key_id),
            _ => None,
        })
    }

    /// What must hold of every plan.
    fn check(&self) -> Result<()> {
        let wrong = |problem: String| Err(Error::malformed(FORMAT, problem));
        if let Err(problem) = self.approval.check() {
            return wrong(problem);
        }
        if self.is_dangerous() && !self.approval.allows_danger() {
            return wrong(format!(
                "it allows {}, which needs more people than anything else, and {} of {} must approve",
                self.dangers.join(", "),
                self.approval.danger_threshold,
                self.approval.people.len()
            ));
        }
        let ids: BTreeSet<&str> = self.steps.iter().map(|step| step.id.as_str()).collect();
        if ids.len() != self.steps.len() {
            return wrong("two of its steps have one name".into());
        }
        let keys: BTreeSet<KeyId> = self.keys.iter().map(|key| key.key_id).collect();
        if keys.len() != self.keys.len() {
            return wrong("a key is planned twice".into());
        }
        if let Some(step) = self.steps.iter().find(|step| step.action.key_id().is_some_and(|id| !keys.contains(&id))) {
            return wrong(format!("the step {} is about a key that the plan does not have", step.id));
        }
        let kek = self.tenant.transfer.iter().map(|transfer| &transfer.key_encryption_key);
        let named = self.keys.iter().flat_map(|key| key.domains.iter().chain(&key.evidence)).chain(kek);
        if let Some(path) = named.into_iter().find(|path| self.file(path).is_none()) {
            return wrong(format!("{path} is used and not among its files"));
        }
        let written = self.steps.iter().flat_map(|step| step.action.written());
        if let Some(path) = [self.tenant.folder.as_str()].into_iter().chain(written).find(|path| leaves_its_place(path)) {
            return wrong(format!("{path}, which is written to, leaves its place with '..'"));
        }
        if self.tenant.transfer.is_none() && self.steps.iter().any(|step| matches!(step.action, Action::MakePackage { .. })) {
            return wrong("it makes transfer files, and does not say for whom".into());
        }
        let stores = self.tenant.store.iter().chain(self.keys.iter().filter_map(|key| key.source.as_ref()));
        if stores.into_iter().any(|store| store.contains("pin-value")) {
            return wrong("a PIN stands in it".into());
        }
        Ok(())
    }
}

fn leaves_its_place(path: &str) -> bool {
    Path::new(path).components().any(|component| component == Component::ParentDir)
}

fn first_difference(written: &[u8], found: &[u8]) -> Option<u64> {
    if written == found {
        return None;
    }
    let same = written.iter().zip(found).take_while(|(left, right)| left == right).count();
    u64::try_from(same).ok()
}
