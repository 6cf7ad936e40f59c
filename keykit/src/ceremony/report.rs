//! The report of a migration: whether the promise holds, and everything that it rests on, for people who were not there.
//!
//! The promise: every old document still opens, and new content uses the new service. [`Report::of`] derives the report from
//! what it is given and decides nothing else; [`Report::to_html`] renders it as one page that needs nothing from elsewhere.
//! The format is documented in `docs/report.md`.

mod access;
mod gather;
mod record;
mod render;
#[cfg(test)]
pub(crate) mod tests;
mod timeline;
mod verdict;

use jiff::Timestamp;
use serde::Serialize;

pub use access::{AcceptedFile, AccessKey, AccessProof, AccessVerdict, LostFile, LostFileProblem, SampleBound};
pub use record::{Deviation, ReportedSession, ReportedTranscript};
pub use timeline::{Moment, MomentKind, RunState, Timeline};

use super::Approval;
use super::transcript::Transcript;
use crate::error::Result;
use crate::key::KeyId;
use crate::migration::MigrationPath;
use crate::migration::apply::{Record, SeenKey};
use crate::migration::plan::Plan;
use crate::migration::verify::{Check, Findings};
use crate::store::StoreIdentity;
use crate::tenant::{Era, KeyStatus, Managed, TenantKey, TenantTemplate, TenantView};

/// What a report is made from.
#[derive(Debug)]
pub struct ReportInputs<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The approvals that are there.
    pub approvals: &'a [Approval],
    /// The keyring of the tenant, if there is one.
    pub tenant: Option<TenantState>,
    /// The journal of the runs.
    pub runs: RunsSeen,
    /// What a verification found just now; `None` if none was made.
    pub verification: Option<Findings>,
    /// Where the keys are, as the stores say.
    pub places: Vec<SeenKey>,
    /// Proofs of access to protected files.
    pub access: Vec<AccessProof>,
    /// The transcript of the ceremony, if one was kept.
    pub transcript: Option<&'a Transcript>,
    /// With what the report is made.
    pub program: Program,
    /// When it is made.
    pub now: Timestamp,
}

/// What a keyring says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantState {
    /// The tenant's own identity.
    pub tenant_id: String,
    /// Its keys.
    pub keys: Vec<TenantKey>,
    /// Its templates.
    pub templates: Vec<TenantTemplate>,
}

impl From<&TenantView> for TenantState {
    fn from(keyring: &TenantView) -> Self {
        Self { tenant_id: keyring.tenant_id().to_owned(), keys: keyring.keys().to_vec(), templates: keyring.templates().to_vec() }
    }
}

/// The journal of the runs of a tenant, read and not opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunsSeen {
    /// Its lines.
    pub records: Vec<Record>,
    /// Length of the torn line at its end, in bytes.
    pub torn_bytes: u64,
    /// Why it can't be read further, if it was changed.
    pub problem: Option<String>,
}

/// The program that makes the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Program {
    /// Name and version.
    pub name: String,
    /// SHA-256 of its file, in hex, if it can be read.
    pub sha256: Option<String>,
    /// Operating system and processor.
    pub system: String,
}

/// Whether something holds; the greater is the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It was shown.
    Holds,
    /// Nothing speaks against it, and it was not shown in full.
    Open,
    /// It was shown that it does not hold.
    Fails,
}

/// What failed or is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Point {
    /// Which of both.
    pub status: Status,
    /// What, in a sentence or two.
    pub what: String,
}

/// A sentence of the verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// The sentence, as it is when it holds.
    pub claim: &'static str,
    /// Whether it does.
    pub status: Status,
    /// What it rests on, in sentences.
    pub because: Vec<String>,
    /// What speaks against it: what failed, then what is open.
    pub but: Vec<Point>,
}

/// Which plan the report is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanSummary {
    /// Its hash.
    pub hash: String,
    /// The hash in words.
    pub words: String,
    /// Who migrates.
    pub organisation: String,
    /// Name of the tenant in the directory.
    pub tenant: String,
    /// Identity of the tenant in the directory.
    pub tenant_id: String,
    /// Region of the service.
    pub region: String,
    /// Who keeps the keys.
    pub managed: Managed,
    /// Which import rules hold.
    pub era: Era,
    /// Folder of the keyring, as the plan names it.
    pub folder: String,
    /// What it allows although it is dangerous.
    pub dangers: Vec<String>,
    /// How many steps it has.
    pub steps: usize,
}

/// A key at one end of its path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyPlace {
    /// What kind of place it is, in words: "exported file", "token", "folder of the tenant".
    pub kind: String,
    /// Its name: files, the label of a token, a folder.
    pub name: String,
    /// How the key is protected there, in words.
    pub protection: String,
    /// What that rests on, in sentences.
    pub evidence: Vec<String>,
}

/// A key before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedKey {
    /// Its identity.
    pub key_id: KeyId,
    /// The identity in words.
    pub words: String,
    /// Friendly name of its server licensor certificate.
    pub name: String,
    /// Size in bits.
    pub modulus_bits: usize,
    /// Cryptographic mode.
    pub mode: u8,
    /// How it came, if the plan moved it.
    pub path: Option<MigrationPath>,
    /// How it came, in words.
    pub how: String,
    /// Where it was; `None` for a key that was made in the tenant.
    pub before: Option<KeyPlace>,
    /// Where it is; `None` if it is not there.
    pub after: Option<KeyPlace>,
    /// Its state in the keyring, if it is there.
    pub status: Option<KeyStatus>,
    /// Since when it is in the keyring.
    pub since: Option<String>,
}

/// What one rule had to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleFindings {
    /// Its number; `None` for what no numbered rule covers.
    pub rule: Option<u16>,
    /// What the rule says.
    pub subject: String,
    /// What was found.
    pub messages: Vec<String>,
}

/// An approval, and whether it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedApproval {
    /// Who.
    pub name: String,
    /// In which role.
    pub role: String,
    /// Fingerprint of the key that signed.
    pub fingerprint: String,
    /// When.
    pub approved: Timestamp,
    /// Until when it counted.
    pub expires: Timestamp,
    /// Why it does not count, if it does not.
    pub problem: Option<String>,
}

/// Who had to approve, and who did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Approvals {
    /// How many were needed.
    pub needed: u32,
    /// Of how many people.
    pub people: usize,
    /// Roles of which one person each was needed.
    pub roles: Vec<String>,
    /// Whether enough count.
    pub met: bool,
    /// The approvals.
    pub given: Vec<ReportedApproval>,
}

/// A store that the report rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedStore {
    /// What it is to the migration: `source` or `target`.
    pub role: &'static str,
    /// Who it says it is.
    pub identity: StoreIdentity,
}

/// With what the migration was carried out and the report made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedEnvironment {
    /// The program that made the report.
    pub program: Program,
    /// Programs that carried out runs, by their own account.
    pub programs_of_runs: Vec<String>,
    /// The stores.
    pub stores: Vec<ReportedStore>,
    /// The files that the plan was made from: path, and SHA-256 in hex.
    pub files: Vec<(String, String)>,
}

/// A template of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedTemplate {
    /// GUID.
    pub id: String,
    /// Name.
    pub name: String,
    /// Whether users are offered it.
    pub published: bool,
    /// The key that signed it.
    pub signed_by: Option<KeyId>,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// When it was made.
    pub made: Timestamp,
    /// The worst of the statements.
    pub status: Status,
    /// What it comes to, in one sentence.
    pub headline: String,
    /// What was looked at, in numbers.
    pub summary: String,
    /// The plan.
    pub plan: PlanSummary,
    /// The promise, sentence by sentence.
    pub statements: Vec<Statement>,
    /// The keys: those of the plan, then others of the keyring.
    pub keys: Vec<ReportedKey>,
    /// The templates of the tenant.
    pub templates: Vec<ReportedTemplate>,
    /// Whether a verification was made for this report.
    pub verified: bool,
    /// What it looked at.
    pub checks: Vec<Check>,
    /// Proofs of access to protected files.
    pub access: Vec<AccessProof>,
    /// What was not proven, in sentences.
    pub not_proven: Vec<String>,
    /// Who approved.
    pub approvals: Approvals,
    /// What the rules had to say.
    pub findings: Vec<RuleFindings>,
    /// What happened, and when.
    pub timeline: Timeline,
    /// What the transcript of the ceremony says.
    pub transcript: Option<ReportedTranscript>,
    /// With what.
    pub environment: ReportedEnvironment,
}

impl Report {
    /// Derives the report.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] never in practice.
    pub fn of(inputs: ReportInputs<'_>) -> Result<Self> {
        let hash = inputs.plan.hash()?;
        let mut timeline = timeline::of(inputs.plan, &hash, &inputs.runs);
        let approvals = gather::approvals(&inputs, &hash, &timeline);
        let transcript = inputs.transcript.map(|transcript| record::of(transcript, &hash, &inputs.runs)).transpose()?;
        timeline.enter(&approvals, transcript.as_ref());
        let mut report = Self {
            made: inputs.now,
            status: Status::Open,
            headline: String::new(),
            summary: String::new(),
            plan: gather::plan(inputs.plan, hash)?,
            statements: Vec::new(),
            keys: gather::keys(&inputs),
            templates: gather::templates(&inputs),
            verified: inputs.verification.is_some(),
            checks: inputs.verification.map(|findings| findings.checks).unwrap_or_default(),
            environment: gather::environment(inputs.plan, &inputs.places, &timeline, inputs.program),
            access: inputs.access,
            not_proven: Vec::new(),
            approvals,
            findings: gather::findings(inputs.plan),
            timeline,
            transcript,
        };
        verdict::pronounce(&mut report, inputs.plan);
        Ok(report)
    }

    /// Whether everything was shown.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.status == Status::Holds
    }

    /// The report as one HTML page: no script, nothing from elsewhere, light and dark, fit for paper.
    #[must_use]
    pub fn to_html(&self) -> String {
        render::page(self)
    }
}
