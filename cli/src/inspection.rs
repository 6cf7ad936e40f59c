//! What a file is, and whether it is sound.

mod compound;
mod documents;
mod domain;
mod nshield;
pub(crate) mod samples;
pub(crate) mod transfer;

use std::path::Path;

use keykit::container::{self, ContainerKind};
use keykit::durable;
use keykit::key::{RsaPublicKey, RsaSecretKey};
use keykit::secret::Password;
use keykit::tpd::is_trusted_publishing_domain;
use keykit::{Error, Result};
use keykit_hsm_backends::protection::nshield::{Evidence, is_attestation_bundle};
use serde::Serialize;
use serde_json::{Map, Value, json};

pub(crate) use documents::{DocumentReport, report as report_documents};

/// Largest file that is looked at, in bytes.
const LIMIT: u64 = 256 << 20;

/// What is wrong with a file.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<u64>,
}

impl Problem {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), offset: None }
    }

    fn of_error(error: &Error) -> Self {
        let offset = if let Error::Malformed(malformed) = error { malformed.offset } else { None };
        Self { code: error.code(), message: error.to_string(), offset }
    }
}

/// A file, as `inspect` reports it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FileReport {
    pub(crate) path: String,
    pub(crate) kind: &'static str,
    pub(crate) sound: bool,
    pub(crate) problems: Vec<Problem>,
    /// What to know that is no fault.
    pub(crate) notes: Vec<String>,
    /// What only files of this kind have.
    #[serde(flatten)]
    pub(crate) details: Map<String, Value>,
}

impl FileReport {
    fn new(path: &Path, kind: &'static str) -> Self {
        Self { path: path.display().to_string(), kind, sound: true, problems: Vec::new(), notes: Vec::new(), details: Map::new() }
    }

    fn problem(&mut self, problem: Problem) {
        self.sound = false;
        self.problems.push(problem);
    }

    fn detail(&mut self, name: &str, value: impl Into<Value>) {
        self.details.insert(name.to_owned(), value.into());
    }
}

/// Looks at a file. What is wrong with it is in the report; an error means that it could not be read, or that the password is
/// wrong.
pub(crate) fn inspect(path: &Path, password: Option<&Password>) -> Result<FileReport> {
    let bytes = durable::read(path, LIMIT, "file")?;
    if is_trusted_publishing_domain(&bytes) {
        return domain::report(path, &bytes, password);
    }
    match container::find_licences(&bytes) {
        Ok(found) => return Ok(compound::described(licences(path, &found), &bytes, found.kind)),
        Err(error) => {
            if let Some(kind) = ContainerKind::of(&bytes) {
                let mut report = FileReport::new(path, kind.as_str());
                report.problem(Problem::of_error(&error));
                return Ok(report);
            }
        }
    }
    let text = std::str::from_utf8(&bytes).ok();
    if text.is_some_and(|text| text.contains("-----BEGIN ")) {
        return Ok(pem(path, text.unwrap_or_default()));
    }
    if text.is_some_and(is_attestation_bundle) {
        return Ok(nshield::attestation_bundle(path));
    }
    if let Some(Ok(evidence)) = text.map(|text| Evidence::parse(text, path)) {
        return Ok(nshield::evidence(path, &evidence));
    }
    if let Some(report) = transfer::recognise(path, &bytes)? {
        return Ok(report);
    }
    if nshield::is_legacy_package(path, &bytes) {
        return Ok(nshield::legacy_package(path, bytes.len()));
    }
    let mut report = FileReport::new(path, "unknown");
    report.problem(Problem::new("unknown", "this is no file that keykit knows"));
    Ok(report)
}

fn licences(path: &Path, found: &container::FoundLicences<'_>) -> FileReport {
    let mut report = FileReport::new(path, found.kind.as_str());
    match report_documents(&found.licences) {
        Ok(documents) => {
            for problem in &documents.problems {
                report.problem(problem.clone());
            }
            report.notes.extend(documents.notes.iter().cloned());
            report.detail("trust", documents.trust);
            report.detail("documents", json!(documents.documents));
        }
        Err(error) => report.problem(Problem::of_error(&error)),
    }
    report
}

fn pem(path: &Path, text: &str) -> FileReport {
    let mut report = FileReport::new(path, "pem");
    if text.contains("ENCRYPTED PRIVATE KEY") {
        report.notes.push("an encrypted private key (PKCS#8)".to_owned());
    } else if text.contains("PRIVATE KEY") {
        report.notes.push("A PRIVATE KEY IN THE CLEAR: erase this file as soon as the key is where it must be (rule 79)".to_owned());
        match RsaSecretKey::from_pem(text) {
            Ok(key) => describe_key(&mut report, key.public()),
            Err(error) => report.problem(Problem::of_error(&error)),
        }
    } else {
        match RsaPublicKey::from_pem(text) {
            Ok(key) => describe_key(&mut report, &key),
            Err(error) => report.problem(Problem::of_error(&error)),
        }
    }
    report
}

fn describe_key(report: &mut FileReport, key: &RsaPublicKey) {
    report.detail(
        "key",
        json!({ "key_id": key.id(), "words": key.id().words(), "modulus_bits": key.modulus_bits(), "public_exponent": key.exponent() }),
    );
}
