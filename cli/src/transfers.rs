//! What commands that wrap keys share: profiles, sources, key encryption keys, the file that comes out.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use keykit::durable::{self, Access, Existing};
use keykit::key::RsaSecretKey;
use keykit::migration::SourceDomain;
use keykit::migration::file::MigrationFile;
use keykit::migration::plan::Plan;
use keykit::store::{ImportPlaintext as _, KeyRecord, KeyRequest, KeyStore, Transferability};
use keykit::tpd::TrustedPublishingDomain;
use keykit::transfer::{ConfirmedKey, Envelope, Finding, LintReport, OfferedKey, Package, Severity, TransferProfile};
use keykit::{Error, Result};
use keykit_hsm_backends::folder::FolderStore;
use keykit_hsm_backends::memory::MemoryStore;
use keykit_hsm_backends::pkcs11::Pkcs11Uri;

use crate::arguments::{ProfileFile, TransferSource};
use crate::output::{say, warn};
use crate::{secrets, stores};

/// Largest input that is read, in bytes.
pub(crate) const LIMIT: u64 = 16 << 20;

/// All profiles: those that keykit brings, and those of a file.
pub(crate) fn profiles(file: &ProfileFile) -> Result<Vec<TransferProfile>> {
    let mut profiles = TransferProfile::built_in()?;
    if let Some(file) = &file.profile_file {
        let format = "file of transfer profiles";
        let bytes = durable::read(file, LIMIT, format)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::malformed(format, "not UTF-8 text").in_file(file))?;
        profiles.extend(TransferProfile::parse_file(text).map_err(|error| error.in_file(file))?);
    }
    Ok(profiles)
}

/// The profile with this name.
pub(crate) fn profile(name: &str, file: &ProfileFile) -> Result<TransferProfile> {
    TransferProfile::named(profiles(file)?, name)
}

/// Reads a key encryption key, and confirms it.
pub(crate) fn confirmed_kek(file: &Path, kid: Option<&str>, fingerprint: Option<&str>, profile: &TransferProfile) -> Result<ConfirmedKey> {
    let bytes = durable::read(file, LIMIT, "key encryption key")?;
    let offered = OfferedKey::parse(&bytes, kid).map_err(|error| error.in_file(file))?;
    offered.confirm(fingerprint, profile, Timestamp::now())
}

/// What a plan says of a key encryption key.
#[derive(Debug)]
pub(crate) struct PlannedKek {
    /// Its fingerprint, as its owner read it out when the plan was made.
    pub(crate) fingerprint: String,
    /// Its identifier at its provider.
    pub(crate) kid: Option<String>,
}

/// The key encryption key of a plan, or of a migration file.
pub(crate) fn planned_kek(plan: &Path, profile: &TransferProfile) -> Result<PlannedKek> {
    let bytes = durable::read(plan, LIMIT, "plan")?;
    let (planned, fingerprint, kid) = if bytes.trim_ascii_start().starts_with(b"{") {
        let transfer = Plan::parse(&bytes).map_err(|error| error.in_file(plan))?.tenant.transfer.ok_or_else(|| names_no_kek(plan))?;
        (transfer.profile, transfer.fingerprint, transfer.kid)
    } else {
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::malformed("migration file", "not UTF-8 text").in_file(plan))?;
        let tenant = MigrationFile::parse(text).map_err(|error| error.in_file(plan))?.tenant;
        let (Some(planned), Some(fingerprint)) = (tenant.transfer_profile, tenant.key_encryption_key_fingerprint) else {
            return Err(names_no_kek(plan));
        };
        (planned.value.to_string(), fingerprint.value.to_string(), tenant.key_encryption_key_id.map(|kid| kid.value.to_string()))
    };
    if planned != profile.name {
        return Err(Error::refused_by_policy(
            format!("the plan is for the profile {planned}; this is {} [plan-profile]", profile.name),
            "take the profile of the plan, or make a new plan and have it approved",
        ));
    }
    Ok(PlannedKek { fingerprint, kid })
}

fn names_no_kek(plan: &Path) -> Error {
    Error::usage(format!("{} names no key encryption key with its fingerprint", plan.display()))
        .with_hint("`transfer-profile` and `key-encryption-key-fingerprint` stand in the migration file's [tenant]; or give --kek-fingerprint")
}

/// Opens the store of the key that is to be wrapped.
pub(crate) fn open_source(source: &TransferSource) -> Result<(Box<dyn KeyStore>, KeyRecord)> {
    if let Some(rest) = source.source.strip_prefix("file:") {
        let (folder, start) = rest.split_once('#').unwrap_or((rest, ""));
        let start = source.key.as_deref().unwrap_or(start);
        let store = FolderStore::open(Path::new(folder), &secrets::of_keyring(&source.keyring)?, stores::scrypt_cost()?)?;
        let record = stores::key_by_start(&store, start)?;
        if record.attributes.extractable == Some(false) || record.attributes.wrap_with_trusted == Some(true) {
            if !source.danger_wrap_key_that_must_stay {
                return Err(Error::refused_by_policy(
                    format!("the key {} was stored in {folder} to stay there [key-must-stay]", record.id().short()),
                    "leave it where it is; or say --danger-wrap-key-that-must-stay, if the policy allows that: the folder's password opens it in any case",
                ));
            }
            warn("the key was stored in its folder to stay there; it leaves wrapped, since that was asked for");
        }
        // Whoever opens a folder can read its keys: it is wrapped like the key of an exported domain.
        let key = store.as_export_plaintext()?.export_plaintext_danger(&record.id())?;
        return Ok((Box::new(in_memory(&key)?), record));
    }
    if source.source.starts_with("pkcs11:") {
        let uri = Pkcs11Uri::parse(&source.source)?;
        let store = stores::token(&uri, None)?;
        let record = stores::one_by_start(&store.identity().uri, store.keys_matching(&uri)?, source.key.as_deref().unwrap_or_default())?;
        return Ok((Box::new(store), record));
    }
    let file = Path::new(&source.source);
    let bytes = durable::read(file, LIMIT, "trusted publishing domain")?;
    let password = secrets::read(&source.password_source, &format!("password of {}", file.display()))?;
    let domain = TrustedPublishingDomain::open(&bytes, &password).map_err(|error| error.in_file(file))?;
    let examined = SourceDomain::examine(file, domain)?;
    examined.warnings().iter().for_each(|warning| warn(&warning.message));
    let key = examined.key().ok_or_else(|| {
        Error::refused(41, format!("{} holds no key", file.display()), "its key is in a module: name the token that holds it (pkcs11:…)")
    })?;
    let store = in_memory(key)?;
    let record = stores::key_by_start(&store, source.key.as_deref().unwrap_or_default())?;
    Ok((Box::new(store), record))
}

/// A key in a store of this process's memory, from which it may be wrapped.
pub(crate) fn in_memory(key: &RsaSecretKey) -> Result<MemoryStore> {
    let store = MemoryStore::new();
    store.import_plaintext(key, &KeyRequest { transferability: Transferability::Wrapped, ..KeyRequest::labelled(key.id().short()) })?;
    Ok(store)
}

/// Writes a package to a new file, reads it back and lints it. A file that does not stand the check is removed.
pub(crate) fn write(path: &Path, package: &Package, profile: &TransferProfile) -> Result<()> {
    durable::write(path, &package.bytes, Access::OwnerOnly, Existing::Keep)?;
    let checked = check_written(path, package, profile);
    if checked.is_err() {
        fs::remove_file(path).map_err(|source| Error::Write { path: path.to_owned(), source })?;
    }
    checked?;
    tell(&package.findings);
    Ok(())
}

/// Reads a package back that was written, and lints it.
pub(crate) fn check_written(path: &Path, package: &Package, profile: &TransferProfile) -> Result<()> {
    let bytes = durable::read(path, LIMIT, "transfer file")?;
    package.verify_written(&bytes)?;
    match LintReport::of(&bytes, profile.envelope == Envelope::AzureByok, &[]).findings.into_iter().find(Finding::is_problem) {
        None => Ok(()),
        Some(problem) => Err(problem.into_malformed("transfer file").in_file(path)),
    }
}

/// Says warnings and notes to people.
pub(crate) fn tell(findings: &[Finding]) {
    for finding in findings {
        match finding.severity {
            Severity::Note => say(format!("note: {}", finding.message)),
            _ => warn(&finding.message),
        }
        if let Some(hint) = &finding.hint {
            say(format!("hint: {hint}"));
        }
    }
}
