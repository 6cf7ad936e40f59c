//! `keykit plan FILE --check-only`: everything that the rules find, by step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use keykit::durable;
use keykit::key::KeyId;
use keykit::migration::file::{Cluster, FilePath, MigrationFile, PlacedDomain};
use keykit::migration::rules::facts::{DomainFacts, Facts, FoundKey, OtherTenantFacts, SourceKeyFacts, TenantFacts};
use keykit::migration::rules::{Finding, Findings, Severity, Step, examine};
use keykit::migration::{MigrationPath, SourceDomain};
use keykit::store::KeyStore;
use keykit::tpd::TrustedPublishingDomain;
use keykit::{Error, Result};
use keykit_hsm_backends::pkcs11::Pkcs11Uri;
use serde::Serialize;

use crate::command::migrate::{DOMAIN_LIMIT, read_evidence, signals};
use crate::output::{Output, say, warn};
use crate::{exit, secrets, stores};

/// Largest tenant file that is read, in bytes.
const TENANT_LIMIT: u64 = 64 << 20;

/// The findings, as `--format json` shows them.
#[derive(Debug, Serialize)]
struct Checked<'f> {
    file: &'f Path,
    /// Whether domains, tokens and keyrings were opened, or the file alone was looked at.
    opened: bool,
    refusals: usize,
    warnings: usize,
    unstated: usize,
    steps: Vec<StepFindings<'f>>,
}

/// The findings of one step.
#[derive(Debug, Serialize)]
struct StepFindings<'f> {
    step: Step,
    title: String,
    findings: Vec<&'f Finding>,
}

/// Says what the rules find. Nothing is opened that the file alone already forbids.
pub(super) fn run(path: &Path, file_only: bool, output: Output) -> Result<u8> {
    let file = MigrationFile::read(path)?;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let of_file = examine(&Facts::of_file(&file));
    let opened = !file_only && of_file.refusals().next().is_none();
    let findings = if opened { examine(&gather(&file, folder)?.0) } else { of_file };
    if !opened && !file_only {
        say("the file alone is refused: exported domains, tokens and keyrings were not opened");
    }
    let count = |severity| findings.all().iter().filter(|finding| finding.severity == severity).count();
    let checked = Checked {
        file: path,
        opened,
        refusals: count(Severity::Refusal),
        warnings: count(Severity::Warning),
        unstated: count(Severity::Unstated),
        steps: findings.by_step().into_iter().map(|(step, findings)| StepFindings { step, title: step.to_string(), findings }).collect(),
    };
    output.result("findings", &checked, || text(&checked))?;
    if checked.refusals > 0 {
        warn(format!("refused by {} this migration can't be planned as it is", refusals(&findings)));
        return Ok(exit::REFUSED);
    }
    Ok(exit::DONE)
}

fn refusals(findings: &Findings) -> String {
    let mut rules: Vec<u16> = findings.refusals().map(|finding| finding.rule).collect();
    rules.dedup();
    let rules: Vec<String> = rules.iter().map(u16::to_string).collect();
    format!("rule {}:", rules.join(", "))
}

/// Opens everything that the file names, and changes nothing. The opened domains are in the order of the file.
pub(in crate::command) fn gather<'f>(file: &'f MigrationFile, folder: &Path) -> Result<(Facts<'f>, Vec<SourceDomain>)> {
    let mut facts = Facts::of_file(file);
    let mut sources = Vec::new();
    for placed in file.domains() {
        let source = open_domain(placed, folder)?;
        facts.domains.push(DomainFacts::of(placed, file, &source, readable_by_others(&placed.domain.file.in_folder(folder))));
        sources.push((placed, source));
    }
    for (_, cluster) in file.clusters() {
        if cluster.path(file.tenant.managed.value) == Some(MigrationPath::HsmToHsm) {
            facts.source_keys.extend(ask_token(cluster, &sources, folder)?);
        }
    }
    let tenant = file.tenant.folder.in_folder(folder);
    if tenant.join("tenant.json").exists() {
        facts.tenant = Some(TenantFacts::from(&crate::command::tenant::open(&tenant)?));
    }
    facts.other_tenants = other_tenants(&tenant, &file.tenant.other_tenants.iter().map(|other| &other.value).collect::<Vec<_>>(), folder)?;
    Ok((facts, sources.into_iter().map(|(_, source)| source).collect()))
}

fn open_domain(placed: PlacedDomain<'_>, folder: &Path) -> Result<SourceDomain> {
    let path = placed.domain.file.in_folder(folder);
    let bytes = durable::read(&path, DOMAIN_LIMIT, "trusted publishing domain")?;
    let what = format!("password of {}", path.display());
    let password = match &placed.domain.password_source {
        Some(source) => secrets::read(&source.in_folder(folder), &what)?,
        None => secrets::prompt(&what)?,
    };
    let domain = TrustedPublishingDomain::open(&bytes, &password).map_err(|error| match error {
        Error::WrongPassword { hint, .. } => Error::WrongPassword { what: path.display().to_string(), hint },
        other => other.in_file(&path),
    })?;
    // The file is named as the migration file names it: a plan may not depend on where it is made.
    SourceDomain::examine(placed.domain.file.as_path(), domain)
}

/// What the source token of a cluster says of the keys of its domains.
fn ask_token(cluster: &Cluster, sources: &[(PlacedDomain<'_>, SourceDomain)], folder: &Path) -> Result<Vec<SourceKeyFacts>> {
    let Some(uri) = &cluster.source else { return Ok(Vec::new()) };
    let evidence = cluster.evidence.iter().map(|file| read_evidence(&file.in_folder(folder))).collect::<Result<Vec<_>>>()?;
    let uri = Pkcs11Uri::parse(uri.as_str())?;
    let token = stores::token(&uri, None)?;
    let records: BTreeMap<KeyId, _> = token.keys()?.into_iter().map(|record| (record.id(), record)).collect();
    let of_cluster = sources.iter().filter(|(placed, _)| placed.cluster.name == cluster.name);
    Ok(of_cluster
        .map(|(placed, source)| SourceKeyFacts {
            key_id: source.key_id(),
            file: placed.domain.file.to_string(),
            store: token.identity().uri.clone(),
            found: records.get(&source.key_id()).map(|record| {
                let mut found = FoundKey::from(record);
                found.protection = found.protection.with(evidence.iter().flat_map(|evidence| signals(evidence, source, record)));
                found
            }),
        })
        .collect())
}

/// The keys of other tenants: those that the file names, and those beside the tenant's folder.
fn other_tenants(tenant: &Path, named: &[&FilePath], folder: &Path) -> Result<Vec<OtherTenantFacts>> {
    let mut folders: Vec<PathBuf> = named.iter().map(|other| other.in_folder(folder)).collect();
    folders.extend(keykit::tenant::sibling_tenants(tenant));
    let own = tenant.canonicalize().ok();
    folders.retain(|other| own.is_none() || other.canonicalize().ok() != own);
    folders.iter().map(|other| Ok(OtherTenantFacts { name: other.display().to_string(), keys: keys_of_tenant(other)? })).collect()
}

/// The keys of a tenant, without its lock: another process may work on it.
fn keys_of_tenant(folder: &Path) -> Result<Vec<KeyId>> {
    #[derive(serde::Deserialize)]
    struct Keys {
        keys: Vec<Key>,
    }
    #[derive(serde::Deserialize)]
    struct Key {
        key_id: KeyId,
    }
    let path = folder.join("tenant.json");
    let bytes = durable::read(&path, TENANT_LIMIT, "tenant file")?;
    let file: Keys = serde_json::from_slice(&bytes).map_err(|error| Error::malformed("tenant file", error.to_string()).in_file(&path))?;
    Ok(file.keys.into_iter().map(|key| key.key_id).collect())
}

#[cfg(unix)]
fn readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
}

#[cfg(not(unix))]
fn readable_by_others(_: &Path) -> bool {
    false
}

fn text(checked: &Checked<'_>) -> String {
    let mut text = format!(
        "{}: {} refused, {} to know, {} not stated{}\n",
        checked.file.display(),
        checked.refusals,
        checked.warnings,
        checked.unstated,
        if checked.opened { "" } else { " (the file alone was looked at)" },
    );
    for step in &checked.steps {
        text.push_str(&format!("\n{}\n", step.title));
        for finding in &step.findings {
            let word = match finding.severity {
                Severity::Refusal => "REFUSED",
                Severity::Warning => "warning",
                Severity::Unstated => "not stated",
            };
            let mut place: Vec<String> = finding.place.at.iter().map(ToString::to_string).collect();
            place.extend(finding.place.domain.clone());
            place.extend(finding.place.template.iter().map(|name| format!("template '{name}'")));
            let place = if place.is_empty() { String::new() } else { format!(" ({})", place.join(", ")) };
            text.push_str(&format!("  {word}, rule {}: {}{place}\n    → {}\n", finding.rule, finding.message, finding.instead));
        }
    }
    text
}
