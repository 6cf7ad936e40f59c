//! Files that a plan makes: those for other people and systems, and transfer files.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::TenantWorld;
use crate::artefact::artefacts;
use crate::canonical;
use crate::durable::{self, Access, Existing};
use crate::error::{Error, Result};
use crate::key::KeyId;
use crate::migration::MigrationPath;
use crate::migration::apply::Observed;
use crate::migration::file::MigrationFile;
use crate::migration::plan::{Plan, PlannedArtefact, PlannedKey, PlannedTransfer, SCRIPT_VERSION};
use crate::migration::rules;
use crate::migration::verify::Findings;
use crate::transfer::{ConfirmedKey, Envelope, LintReport, OfferedKey, Package, PackageOptions, TransferProfile};

/// Largest file that is read, in bytes.
const LIMIT: u64 = 16 << 20;
const SCHEMA: &str = "keykit/package-record/1";

/// What stands beside a transfer file: nobody can see from outside what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackageRecord {
    schema: String,
    /// Hash of the plan.
    plan: String,
    /// The key in it.
    key_id: KeyId,
    /// The profile of the receiver.
    profile: String,
    /// The key that it is wrapped under.
    key_encryption_key: KeyId,
    /// SHA-256 of the transfer file, in hex.
    sha256: String,
    /// What the custodian does with it.
    next: Vec<String>,
}

/// The content of a file, if it is there.
fn content(path: &Path) -> Result<Option<Vec<u8>>> {
    if path.try_exists().map_err(|source| Error::Read { path: path.to_owned(), source })? {
        durable::read(path, LIMIT, "file of the plan").map(Some)
    } else {
        Ok(None)
    }
}

fn record_of(package: &Path) -> PathBuf {
    let mut name = package.as_os_str().to_owned();
    name.push(".json");
    PathBuf::from(name)
}

impl TenantWorld<'_> {
    pub(super) fn observe_artefacts(&self, folder: &str, files: &[PlannedArtefact]) -> Result<Observed> {
        let folder = self.base.join(folder);
        let mut present = 0;
        for file in files {
            let path = folder.join(&file.name);
            match content(&path)? {
                None => {}
                Some(bytes) if canonical::sha256_hex(&bytes) == file.sha256 => present += 1,
                Some(_) => return Ok(Observed::Other(format!("{} has other content than planned", path.display()))),
            }
        }
        Ok(if present == files.len() { Observed::Present(format!("{present} files in {}", folder.display())) } else { Observed::Absent })
    }

    /// Makes the files from the migration file again: they must be those that were approved.
    pub(super) fn write_artefacts(&self, plan: &Plan, folder: &str, files: &[PlannedArtefact]) -> Result<String> {
        let planned = plan.migration_file().ok_or_else(|| Error::Internal("a plan without its migration file".into()))?;
        let path = self.base.join(&planned.path);
        let bytes = durable::read(&path, LIMIT, "migration file")?;
        planned.check(&bytes)?;
        let text = str::from_utf8(&bytes).map_err(|_| Error::malformed("migration file", "not UTF-8 text").in_file(&path))?;
        let made = artefacts(&MigrationFile::parse(text).map_err(|error| error.in_file(&path))?, SCRIPT_VERSION)?;
        let to = self.base.join(folder);
        for file in files {
            let found = made.iter().find(|made| made.name == file.name.as_str()).filter(|made| canonical::sha256_hex(&made.bytes) == file.sha256);
            let found = found.ok_or_else(|| Error::Conflict {
                what: format!("this program makes another {} than the one that was approved", file.name),
                hint: Some("carry the plan out with the version of keykit that made it, or make a new plan and have it approved".into()),
            })?;
            let path = to.join(&file.name);
            if let Some(folder) = path.parent() {
                durable::make_folder(folder)?;
                durable::remove_temporary_files(folder)?;
            }
            if content(&path)?.is_none() {
                durable::write(&path, &found.bytes, Access::Shared, Existing::Keep)?;
            }
        }
        match self.observe_artefacts(folder, files)? {
            Observed::Present(seen) => Ok(seen),
            Observed::Other(seen) => Err(Error::Conflict { what: seen, hint: Some("keykit does not overwrite: put that file away".into()) }),
            Observed::Absent => Err(Error::Internal("a file that was written is not there".into())),
        }
    }

    fn key_encryption_key(&self, plan: &Plan, transfer: &PlannedTransfer) -> Result<(ConfirmedKey, TransferProfile)> {
        let profile = TransferProfile::named(TransferProfile::built_in()?, &transfer.profile)?;
        let (path, bytes) = self.planned_file(plan, &transfer.key_encryption_key)?;
        let offered = OfferedKey::parse(&bytes, transfer.kid.as_deref()).map_err(|error| error.in_file(&path))?;
        Ok((offered.confirm(Some(&transfer.fingerprint), &profile, jiff::Timestamp::now())?, profile))
    }

    /// Whether a transfer file is there, and is the one that its record says was made for this key.
    pub(super) fn observe_package(&self, plan: &Plan, key: &KeyId, file: &str) -> Result<Observed> {
        let path = self.base.join(file);
        let Some(bytes) = content(&path)? else { return Ok(Observed::Absent) };
        Ok(match self.package_problem(plan, key, &path, &bytes) {
            Ok(sha256) => Observed::Present(format!("{file}, SHA-256 {sha256}")),
            Err(problem) => Observed::Other(problem.to_string()),
        })
    }

    fn package_problem(&self, plan: &Plan, key: &KeyId, path: &Path, bytes: &[u8]) -> Result<String> {
        let transfer = plan.tenant.transfer.as_ref().ok_or_else(|| Error::Internal("a transfer file without a receiver".into()))?;
        let planned = plan.key(key).ok_or_else(|| Error::Internal("a transfer file of an unknown key".into()))?;
        let beside = record_of(path);
        let negative = |problem: String| Error::negative(format!("{}: {problem}", path.display()));
        let record = content(&beside)?.ok_or_else(|| negative("the record of what is in it is missing".into()))?;
        let record: PackageRecord =
            serde_json::from_slice(&record).map_err(|error| Error::malformed("record of a transfer file", error.to_string()).in_file(&beside))?;
        let sha256 = canonical::sha256_hex(bytes);
        let (kek, profile) = self.key_encryption_key(plan, transfer)?;
        if (record.key_id, record.profile.as_str(), record.key_encryption_key) != (*key, profile.name.as_str(), kek.public().id()) {
            return Err(negative("its record names another key, receiver or key encryption key".into()));
        }
        if record.sha256 != sha256 {
            return Err(negative(format!("its SHA-256 is {sha256}, and the file that was made had {}", record.sha256)));
        }
        let report = LintReport::of(bytes, profile.envelope == Envelope::AzureByok, std::slice::from_ref(&profile));
        if let Some(problem) = report.findings.iter().find(|finding| finding.is_problem()) {
            return Err(negative(problem.to_string()));
        }
        if !report.possible_sizes().contains(&(kek.public().modulus_bits(), planned.modulus_bits)) {
            return Err(negative("its length is not that of this key under that key encryption key".into()));
        }
        if report.kid.is_some() && report.kid.as_deref() != kek.offered().kid.as_deref().or(transfer.kid.as_deref()) {
            return Err(negative("it names another key encryption key".into()));
        }
        Ok(sha256)
    }

    /// Wraps a key for its receiver. The record comes first: a file without one is not ours.
    pub(super) fn make_package(&mut self, plan: &Plan, key: &PlannedKey, file: &str) -> Result<String> {
        let transfer = plan.tenant.transfer.as_ref().ok_or_else(|| Error::Internal("a transfer file without a receiver".into()))?;
        self.open_source(plan, key)?;
        self.require_that_it_may_leave(plan, key)?;
        let (kek, profile) = self.key_encryption_key(plan, transfer)?;
        let source = self.sources.get(&key.key_id).ok_or_else(|| Error::Internal("a source is not open".into()))?;
        let options = PackageOptions {
            allow_host_visible_ephemeral_key: plan.allows("host-visible-ephemeral-key"),
            kid: transfer.kid.clone(),
            ..PackageOptions::default()
        };
        let package = Package::make(source.as_ref(), &key.key_id, &kek, &profile, &options)?;
        let path = self.base.join(file);
        let folder = durable::parent(&path);
        durable::make_folder(folder)?;
        durable::remove_temporary_files(folder)?;
        let mut values = package.values.clone();
        values.insert("file".into(), file.to_owned());
        let record = PackageRecord {
            schema: SCHEMA.to_owned(),
            plan: plan.hash()?,
            key_id: key.key_id,
            profile: profile.name.clone(),
            key_encryption_key: kek.public().id(),
            sha256: canonical::sha256_hex(&package.bytes),
            next: profile.next_commands(&values),
        };
        let text = format!("{}\n", canonical::to_string(&record)?);
        durable::write(&record_of(&path), text.as_bytes(), Access::OwnerOnly, Existing::Replace)?;
        durable::write(&path, &package.bytes, Access::OwnerOnly, Existing::Keep)?;
        package.verify_written(&durable::read(&path, LIMIT, "transfer file")?)?;
        let sha256 = self.package_problem(plan, &key.key_id, &path, &package.bytes)?;
        Ok(format!("{file}, SHA-256 {sha256}, carried: {}; next: {}", package.route, record.next.join(" ; ")))
    }

    /// The same conditions as for a key that goes to a token: protected by its module, and able to leave it.
    fn require_that_it_may_leave(&self, plan: &Plan, key: &PlannedKey) -> Result<()> {
        if key.path != MigrationPath::HsmToHsm {
            return Ok(());
        }
        let evidence = self.evidence(plan, key)?;
        let missing = || Error::Internal("a source is not open".into());
        let record = self.sources.get(&key.key_id).ok_or_else(missing)?.find(&key.key_id)?;
        let mut assessment = record.protection.clone();
        for domain in self.domains.iter().flat_map(|domains| domains.get(&key.key_id)).flatten() {
            assessment = assessment.with(self.environment.evidence(&evidence, domain, &record)?);
        }
        rules::require_module_protection(&assessment, &key.key_id)?;
        rules::not_extractable(&record).map_or(Ok(()), Err)
    }

    /// Looks at the transfer files again: whole, for the right receiver, and of keys that still are at their sources.
    pub(super) fn verify_packages(&mut self, plan: &Plan, source_may_be_gone: bool, findings: &mut Findings) {
        use crate::migration::plan::Action;
        self.verify_sources(plan, source_may_be_gone, findings);
        for step in &plan.steps {
            let Action::MakePackage { key_id, file } = &step.action else { continue };
            let path = self.base.join(file);
            let seen = content(&path).and_then(|bytes| {
                let bytes = bytes.ok_or_else(|| Error::negative(format!("{file} is not there")))?;
                self.package_problem(plan, key_id, &path, &bytes)
            });
            let (ok, detail) = match seen {
                Ok(sha256) => (true, format!("{file}, SHA-256 {sha256}")),
                Err(error) => (false, error.to_string()),
            };
            findings.note("transfer-file-is-whole-and-for-its-receiver", &key_id.to_string(), ok, detail);
        }
    }
}
