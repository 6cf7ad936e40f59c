//! Plan files: make, show, compare.

use std::path::Path;

use keykit::durable::{self, Access, Existing};
use keykit::migration::file::MigrationFile;
use keykit::migration::plan::{self, Change, FileKind, Plan, PlanInputs, PlannedFile, PlannedFinding};
use keykit::migration::rules::{self, facts};
use keykit::migration::SourceDomain;
use keykit::{Error, Result};
use serde::Serialize;

use super::plan::check;
use crate::exit;
use crate::inspection::samples;
use crate::output::{Output, say, warn};

/// Largest file that a plan is made from, in bytes.
const LIMIT: u64 = 1 << 30;

#[derive(Debug, Serialize)]
struct Made<'a> {
    plan: &'a str,
    words: String,
    output: String,
    keys: Vec<String>,
    steps: Vec<&'a str>,
    findings: &'a [PlannedFinding],
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    plan: &'a str,
    content: &'a Plan,
}

#[derive(Debug, Serialize)]
struct Compared<'a> {
    before: String,
    after: String,
    changes: &'a [Change],
}

/// `keykit plan show`
pub(super) fn show(path: &Path, output: Output) -> Result<u8> {
    let plan = Plan::read(path)?;
    let text = plan::show(&plan)?;
    output.result("plan-show", &Shown { plan: &plan.hash()?, content: &plan }, || text)?;
    Ok(exit::DONE)
}

/// `keykit plan diff`
pub(super) fn diff(before: &Path, after: &Path, output: Output) -> Result<u8> {
    let (before, after) = (Plan::read(before)?, Plan::read(after)?);
    let changes = plan::diff(&before, &after)?;
    let compared = Compared { before: before.hash()?, after: after.hash()?, changes: &changes };
    output.result("plan-diff", &compared, || differences(&changes))?;
    Ok(if changes.is_empty() { exit::DONE } else { exit::NEGATIVE })
}

/// `keykit plan MIGRATION.toml -o PLAN.json`
pub(super) fn make(migration_path: &Path, to: &Path, output: Output) -> Result<u8> {
    if parent(migration_path) != parent(to) {
        return Err(Error::Usage {
            what: "the plan is to lie in another folder than the migration file".into(),
            hint: Some("put them side by side: the paths in both count from there".into()),
        });
    }
    let migration_bytes = durable::read(migration_path, LIMIT, "migration file")?;
    let migration = MigrationFile::read(migration_path)?;
    let base = parent(migration_path);
    // What the file alone forbids is told before anything is opened.
    rules::examine(&facts::Facts::of_file(&migration)).require_none_refused()?;
    let (known, opened) = check::gather(&migration, base)?;
    let found = rules::examine(&known);
    for finding in found.refusals() {
        warn(format!("refused by rule {}: {}\nkeykit: hint: {}", finding.rule, finding.message, finding.instead));
    }
    found.require_none_refused()?;
    let findings = found.all().iter().map(PlannedFinding::from).collect();
    let mut domains: Vec<(PlannedFile, SourceDomain)> = Vec::new();
    for (place, domain) in migration.domains().zip(opened) {
        let content = durable::read(&place.domain.file.value.in_folder(base), LIMIT, "trusted publishing domain")?;
        let source = place.domain.password_source.as_ref().map(|source| source.value.to_string());
        domains.push((PlannedFile::of(FileKind::Domain, place.domain.file.value.to_string(), &content, source), domain));
    }
    let mut evidence = Vec::new();
    for (_, cluster) in migration.clusters() {
        for file in &cluster.evidence {
            let content = durable::read(&file.value.in_folder(base), LIMIT, "protection evidence")?;
            evidence.push(PlannedFile::of(FileKind::Evidence, file.value.to_string(), &content, None));
        }
    }
    let key_encryption_key = match migration.tenant.key_encryption_key.as_ref().filter(|_| migration.tenant.transfer_profile.is_some()) {
        Some(file) => {
            let content = durable::read(&file.value.in_folder(base), LIMIT, "key encryption key")?;
            Some(PlannedFile::of(FileKind::KeyEncryptionKey, file.value.to_string(), &content, None))
        }
        None => None,
    };
    let mut licences = Vec::new();
    for file in migration.proof.iter().flat_map(|proof| &proof.licences) {
        let path = file.value.in_folder(base);
        let content = durable::read(&path, LIMIT, "protected file")?;
        let sealed_to: Vec<_> = samples::sealed_in_content(&path, &content)?.iter().map(|sample| sample.key_id).collect();
        if !domains.iter().any(|(_, domain)| sealed_to.contains(&domain.key_id())) {
            return Err(Error::Negative {
                what: format!("{} is sealed to none of the keys of these domains", path.display()),
                hint: Some("export all domains of the cluster, archived ones too: a licence needs the key it was sealed to (rules 43 and 44)".into()),
            });
        }
        licences.push((PlannedFile::of(FileKind::Licence, file.value.to_string(), &content, None), sealed_to));
    }
    let name = migration_path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let plan = plan::build(PlanInputs {
        migration: &migration,
        migration_file: PlannedFile::of(FileKind::MigrationFile, name, &migration_bytes, None),
        domains: domains.iter().map(|(file, domain)| (file.clone(), domain)).collect(),
        evidence,
        licences,
        key_encryption_key,
        findings,
    })?;
    let (hash, bytes) = (plan.hash()?, plan.to_bytes()?);
    match durable::write(to, &bytes, Access::Shared, Existing::Keep) {
        Err(Error::Conflict { .. }) if durable::read(to, LIMIT, "plan").is_ok_and(|old| old == bytes) => say("the same plan was there already"),
        other => other?,
    }
    if !plan.findings.is_empty() {
        say(format!("to know before anybody approves:{}", plan::show_findings(&plan.findings).trim_end().replace('\n', "\nkeykit: ")));
    }
    let made = Made {
        plan: &hash,
        words: words_of(&hash)?,
        output: to.display().to_string(),
        keys: plan.keys.iter().map(|key| key.key_id.to_string()).collect(),
        steps: plan.steps.iter().map(|step| step.id.as_str()).collect(),
        findings: &plan.findings,
    };
    output.result("plan-made", &made, || {
        format!("plan {hash}\nwords: {}\n{} keys, {} steps, in {}", made.words, made.keys.len(), made.steps.len(), made.output)
    })?;
    Ok(exit::DONE)
}

/// A hash as words, for reading aloud.
pub(super) fn words_of(hash: &str) -> Result<String> {
    Ok(hash.parse::<keykit::key::KeyId>()?.words())
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn differences(changes: &[Change]) -> String {
    let value = |value: &Option<serde_json::Value>| value.as_ref().map_or("(nothing)".to_owned(), ToString::to_string);
    match changes {
        [] => "the plans are the same".to_owned(),
        changes => changes
            .iter()
            .map(|change| format!("{}\n  before: {}\n  after:  {}", change.at, value(&change.before), value(&change.after)))
            .collect::<Vec<_>>()
            .join("\n"),
    }
}
