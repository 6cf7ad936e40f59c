//! `keykit migrate`: the three paths.

use std::path::Path;

use keykit::durable;
use keykit::migration::paths::{hsm_to_hsm, software_to_hsm, software_to_software};
use keykit::migration::{Migration, MigrationOutcome, MigrationPath, ProtectedSample, SourceDomain};
use keykit::store::protection::Signal;
use keykit::store::{KeyRecord, KeyRequest, KeyStore, Transferability};
use keykit::tenant::TenantKeyring;
use keykit::tpd::{self, TrustedPublishingDomain};
use keykit::{Error, Result};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_hsm_backends::pkcs11::Pkcs11Uri;
use keykit_hsm_backends::protection::nshield::{Evidence, KeyIdentifiers};

use crate::arguments::{HsmToHsmArguments, MigrateCommand, MigrationArguments, SoftwareToHsmArguments, SoftwareToSoftwareArguments};
use crate::inspection::samples;
use crate::output::{Output, say, table, warn};
use crate::progress::Steps;
use crate::stores::{self, OWN_FOLDER};
use crate::{exit, secrets};

/// Largest exported domain that is read, in bytes.
pub(super) const DOMAIN_LIMIT: u64 = 16 << 20;
/// Largest evidence file that is read, in bytes.
const EVIDENCE_LIMIT: u64 = 16 << 20;

/// Runs `keykit migrate …`.
pub(super) fn run(command: &MigrateCommand, output: Output) -> Result<u8> {
    let outcome = match command {
        MigrateCommand::SoftwareToSoftware(arguments) => to_software(arguments)?,
        MigrateCommand::HsmToHsm(arguments) => between_tokens(arguments)?,
        MigrateCommand::SoftwareToHsm(arguments) => to_token(arguments)?,
    };
    for warning in &outcome.warnings {
        match warning.rule {
            Some(rule) => warn(format!("{} (rule {rule})", warning.message)),
            None => warn(&warning.message),
        }
    }
    if outcome.keys.iter().all(|key| !key.changed) {
        say("nothing changed: everything was in place already, and was proved again");
    }
    output.result("migrate", &outcome, || text(&outcome))?;
    Ok(exit::DONE)
}

fn to_software(arguments: &SoftwareToSoftwareArguments) -> Result<MigrationOutcome> {
    let domains = read_domains(&arguments.common, MigrationPath::SoftwareToSoftware)?;
    let source = in_memory(&domains)?;
    let samples = samples::read(&arguments.common.licence, &domains)?;
    let password = stores::folder_password(&arguments.common.tenant.join("keys"), &arguments.keyring)?;
    with_tenant(&arguments.common, |tenant| {
        let target = stores::folder_store(&tenant.key_folder(), &password)?;
        let mut migration = Parts { common: &arguments.common, domains: &domains, samples: &samples, source: &source, target: &target };
        migration.run(tenant, OWN_FOLDER.to_owned(), &Settings::default(), software_to_software)
    })
}

fn between_tokens(arguments: &HsmToHsmArguments) -> Result<MigrationOutcome> {
    let domains = read_domains(&arguments.common, MigrationPath::HsmToHsm)?;
    let evidence = arguments.evidence.iter().map(|file| read_evidence(file)).collect::<Result<Vec<_>>>()?;
    evidence.iter().for_each(|evidence| warn(format!("{}: {}", evidence.file().display(), evidence.worth())));
    let samples = samples::read(&arguments.common.licence, &domains)?;
    let (source_uri, target_uri) = (Pkcs11Uri::parse(&arguments.source)?, Pkcs11Uri::parse(&arguments.target)?);
    let source = stores::token(&source_uri, None)?;
    let target = stores::token(&target_uri, None)?;
    if source.identity().uri == target.identity().uri && same_module(&source_uri, &target_uri) {
        return Err(Error::usage("source and target are the same token"));
    }
    let settings = Settings {
        evidence: &|domain, record| evidence.iter().flat_map(|evidence| signals(evidence, domain, record)).collect(),
        allow_host_visible_ephemeral_key: arguments.allow_host_visible_ephemeral_key,
        keep_transferable: arguments.keep_transferable,
    };
    with_tenant(&arguments.common, |tenant| {
        let mut migration = Parts { common: &arguments.common, domains: &domains, samples: &samples, source: &source, target: &target };
        migration.run(tenant, stores::lasting_name(&target_uri), &settings, hsm_to_hsm)
    })
}

fn to_token(arguments: &SoftwareToHsmArguments) -> Result<MigrationOutcome> {
    let domains = read_domains(&arguments.common, MigrationPath::SoftwareToHsm)?;
    let source = in_memory(&domains)?;
    let samples = samples::read(&arguments.common.licence, &domains)?;
    let target_uri = Pkcs11Uri::parse(&arguments.target)?;
    let target = stores::token(&target_uri, None)?;
    let settings = Settings { keep_transferable: arguments.keep_transferable, ..Settings::default() };
    with_tenant(&arguments.common, |tenant| {
        let mut migration = Parts { common: &arguments.common, domains: &domains, samples: &samples, source: &source, target: &target };
        migration.run(tenant, stores::lasting_name(&target_uri), &settings, software_to_hsm)
    })
}

/// What differs between the paths.
struct Settings<'a> {
    evidence: &'a dyn Fn(&SourceDomain, &KeyRecord) -> Vec<Signal>,
    allow_host_visible_ephemeral_key: bool,
    keep_transferable: bool,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self { evidence: &|_, _| Vec::new(), allow_host_visible_ephemeral_key: false, keep_transferable: false }
    }
}

/// What a migration is put together from.
struct Parts<'a> {
    common: &'a MigrationArguments,
    domains: &'a [SourceDomain],
    samples: &'a [ProtectedSample],
    source: &'a dyn KeyStore,
    target: &'a dyn KeyStore,
}

impl Parts<'_> {
    fn run(
        &mut self,
        tenant: &mut TenantKeyring,
        target_name: String,
        settings: &Settings<'_>,
        path: fn(&mut Migration<'_>) -> Result<MigrationOutcome>,
    ) -> Result<MigrationOutcome> {
        let mut other_tenants = keykit::tenant::sibling_tenants(&self.common.tenant);
        other_tenants.extend(self.common.other_tenant.iter().cloned());
        let progress = Steps::new();
        path(&mut Migration {
            tenant,
            domains: self.domains,
            source: self.source,
            target: self.target,
            target_name,
            keep_transferable: settings.keep_transferable,
            allow_host_visible_ephemeral_key: settings.allow_host_visible_ephemeral_key,
            evidence: settings.evidence,
            samples: self.samples,
            other_tenants: &other_tenants,
            progress: &progress,
        })
    }
}

/// Opens or makes the tenant. One that was made here and to which nothing came is taken away again.
fn with_tenant(arguments: &MigrationArguments, work: impl FnOnce(&mut TenantKeyring) -> Result<MigrationOutcome>) -> Result<MigrationOutcome> {
    let is_new = !arguments.tenant.join("tenant.json").exists();
    let era = arguments.era.map(Into::into).unwrap_or_default();
    let mut tenant = if is_new { TenantKeyring::init(&arguments.tenant, era)? } else { super::tenant::open(&arguments.tenant)? };
    if !is_new && arguments.era.is_some_and(|asked| keykit::tenant::Era::from(asked) != tenant.era()) {
        return Err(Error::usage("this tenant was made under the import rules of the other era"));
    }
    let outcome = work(&mut tenant);
    if is_new
        && outcome.is_err()
        && let Err(error) = tenant.remove_if_untouched()
    {
        // The first error is the one that matters.
        warn(format!("the new tenant folder, to which nothing came, stays: {error}"));
    }
    outcome
}

/// Opens and examines all domains before anything else happens.
fn read_domains(arguments: &MigrationArguments, path: MigrationPath) -> Result<Vec<SourceDomain>> {
    let files = arguments
        .domains
        .iter()
        .map(|file| Ok((file.clone(), durable::read(file, DOMAIN_LIMIT, "trusted publishing domain")?)))
        .collect::<Result<Vec<_>>>()?;
    let passwords = secrets::of_domains(&arguments.password_source, &arguments.domains)?;
    let opened: Vec<TrustedPublishingDomain> = tpd::open_all(&files, &passwords)?;
    let domains = opened.into_iter().zip(&arguments.domains).map(|(domain, file)| SourceDomain::examine(file, domain)).collect::<Result<Vec<_>>>()?;
    domains.iter().try_for_each(|domain| domain.check_path(path))?;
    Ok(domains)
}

/// The keys of the domains, in a store of this process's memory.
fn in_memory(domains: &[SourceDomain]) -> Result<MemoryStore> {
    let store = MemoryStore::new();
    for domain in domains {
        if let Some(key) = domain.key() {
            let request = KeyRequest { label: domain.key_id().short(), local_id: None, transferability: Transferability::Wrapped };
            store.as_import_plaintext()?.import_plaintext(key, &request)?;
        }
    }
    Ok(store)
}

/// Reads a file with evidence of how keys are protected.
pub(super) fn read_evidence(file: &Path) -> Result<Evidence> {
    let bytes = durable::read(file, EVIDENCE_LIMIT, "protection evidence")?;
    let text = String::from_utf8(bytes).map_err(|_| Error::malformed("protection evidence", "not UTF-8 text").in_file(file))?;
    Evidence::parse(&text, file)
}

/// What a file says of the key of a domain.
pub(super) fn signals(evidence: &Evidence, domain: &SourceDomain, record: &KeyRecord) -> Vec<Signal> {
    // An nShield token names the key file itself; else the domain's key container is the file's identifier (rule 68).
    let container = Some(domain.domain().information.key_container.clone()).filter(|container| !container.is_empty());
    let attributes = record.attributes.clone();
    let identifiers = KeyIdentifiers {
        app: attributes.nfkm_id.is_some().then(|| attributes.nfkm_app.unwrap_or_else(|| "pkcs11".to_owned())),
        ident: attributes.nfkm_id.or(container),
        label: Some(attributes.label),
        nfkm_hash: attributes.nfkm_hash,
    };
    evidence.signals_for(&record.public, &identifiers)
}

fn same_module(left: &Pkcs11Uri, right: &Pkcs11Uri) -> bool {
    left.module_path == right.module_path
}

fn text(outcome: &MigrationOutcome) -> String {
    let mut parts = vec![format!("{}: {} key{}", outcome.path.name(), outcome.keys.len(), if outcome.keys.len() == 1 { "" } else { "s" })];
    for key in &outcome.keys {
        let files: Vec<String> = key.files.iter().map(|file| file.display().to_string()).collect();
        let status = if key.status == keykit::tenant::KeyStatus::Active { "active" } else { "archived" };
        parts.push(format!(
            "\nkey {} ({} bits, mode {}) from {}\n  now {status} in {}\n  carried: {}\n  words: {}",
            key.key_id.short(),
            key.modulus_bits,
            key.mode,
            files.join(", "),
            key.store,
            key.route,
            key.key_id.words(),
        ));
        let rows: Vec<Vec<String>> = key
            .proofs
            .iter()
            .map(|proof| vec![format!("  {}", if proof.ok { "held" } else { "FAILED" }), proof.name.to_owned(), proof.detail.clone()])
            .collect();
        parts.push(table(&["  PROOF", "", ""], &rows));
    }
    parts.join("\n")
}
