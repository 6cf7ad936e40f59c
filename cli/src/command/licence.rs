//! `keykit licence`: verify, open, issue, re-key.

use std::path::{Path, PathBuf};

use keykit::container;
use keykit::durable::{self, Access, Existing};
use keykit::key::KeyId;
use keykit::licence::{self, ContentKey};
use keykit::migration::ProtectedSample;
use keykit::{Error, Result};
use serde::Serialize;

use crate::arguments::{KeyringPassword, LicenceCommand};
use crate::inspection::{DocumentReport, Problem, report_documents, samples};
use crate::output::{Output, say};
use crate::{exit, stores};

/// Largest protected file that is read, in bytes.
const LIMIT: u64 = 1 << 30;

#[derive(Debug, Serialize)]
struct Verified {
    files: Vec<VerifiedFile>,
}

#[derive(Debug, Serialize)]
struct VerifiedFile {
    path: String,
    verified: bool,
    trust: &'static str,
    problems: Vec<Problem>,
    notes: Vec<String>,
    documents: Vec<DocumentReport>,
}

#[derive(Debug, Serialize)]
struct Opened {
    opened: bool,
    key_id: KeyId,
    content_key_bits: usize,
    cipher: String,
}

/// Runs `keykit licence …`.
pub(super) fn run(command: &LicenceCommand, output: Output) -> Result<u8> {
    match command {
        LicenceCommand::Verify { files } => verify(files, output),
        LicenceCommand::Issue(arguments) => super::issue::run(arguments, output),
        LicenceCommand::Rekey(arguments) => super::rekey::run(arguments, output),
        LicenceCommand::Open { file, tenant, output: key_file, keyring, pin_source } => {
            let opened = open(file, tenant, key_file.as_deref(), keyring, pin_source.as_deref())?;
            output.result("licence-open", &opened, || {
                format!(
                    "{} opens with the key {}: content key of {} bits, {}",
                    file.display(),
                    opened.key_id.short(),
                    opened.content_key_bits,
                    opened.cipher
                )
            })?;
            Ok(exit::DONE)
        }
    }
}

fn verify(files: &[PathBuf], output: Output) -> Result<u8> {
    let verified = Verified { files: files.iter().map(|file| verify_one(file)).collect::<Result<_>>()? };
    output.result("licence-verify", &verified, || {
        let lines = verified.files.iter().map(|file| {
            let problems: String = file.problems.iter().map(|problem| format!("\n  {}", problem.message)).collect();
            format!(
                "{}: {} ({} documents, trust: {}){problems}",
                file.path,
                if file.verified { "verifies" } else { "DOES NOT VERIFY" },
                file.documents.len(),
                file.trust
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    })?;
    Ok(if verified.files.iter().all(|file| file.verified) { exit::DONE } else { exit::NEGATIVE })
}

fn verify_one(file: &Path) -> Result<VerifiedFile> {
    let bytes = durable::read(file, LIMIT, "licence")?;
    let found = container::find_licences(&bytes).map_err(|error| error.in_file(file))?;
    let report = report_documents(&found.licences).map_err(|error| error.in_file(file))?;
    let all_signed = report.documents.iter().all(|document| document.digest_ok && document.signature_ok == Some(true));
    Ok(VerifiedFile {
        path: file.display().to_string(),
        verified: report.problems.is_empty() && all_signed,
        trust: report.trust,
        problems: report.problems,
        notes: report.notes,
        documents: report.documents,
    })
}

fn open(file: &Path, tenant: &Path, key_file: Option<&Path>, keyring: &KeyringPassword, pin_source: Option<&str>) -> Result<Opened> {
    if let Some(path) = key_file
        && path.exists()
    {
        return Err(Error::Conflict {
            what: format!("{} exists already", path.display()),
            hint: Some("choose another name; keykit does not overwrite".into()),
        });
    }
    let (key_id, key) = open_sealed(&samples::sealed_in(file)?, tenant, keyring, pin_source)?;
    if let Some(path) = key_file {
        durable::write(path, key.key().expose(), Access::OwnerOnly, Existing::Keep)?;
        say(format!("{} holds the content key of this document: keep it as safe as the document", path.display()));
    }
    Ok(Opened { opened: true, key_id, content_key_bits: key.bits(), cipher: key.cipher().to_string() })
}

/// Opens the content key of the licences of a file with a key of the tenant; the result also says with which.
pub(super) fn open_sealed(
    sealed: &[ProtectedSample],
    tenant: &Path,
    keyring: &KeyringPassword,
    pin_source: Option<&str>,
) -> Result<(KeyId, ContentKey)> {
    let tenant = super::tenant::open(tenant)?;
    let sample = samples::for_key(sealed, |id| tenant.key(id).is_some()).ok_or_else(|| {
        let (name, key) = sealed.first().map(|sample| (sample.name.clone(), sample.key_id.short())).unwrap_or_default();
        Error::Negative {
            what: format!("{name} is sealed to the key {key}, which the tenant does not have"),
            hint: Some(
                "migrate the domain with that key too: all domains of all clusters are needed, archived ones as well (rules 43 and 44)".into(),
            ),
        }
    })?;
    let key = tenant.key(&sample.key_id).ok_or_else(|| Error::Internal("a key vanished from the keyring".into()))?;
    let store = stores::of_tenant_key(&tenant, key, keyring, pin_source)?;
    let mut last = Error::Crypto;
    for (algorithm, bytes) in &sample.sealed {
        match licence::open(store.as_ref(), &sample.key_id, *algorithm, bytes) {
            Ok(opened) => return Ok((sample.key_id, opened.key)),
            Err(error) => last = error,
        }
    }
    Err(last)
}
