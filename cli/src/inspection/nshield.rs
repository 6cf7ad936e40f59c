//! What the tools of nShield modules write, as `inspect` reports it.

use std::path::Path;

use keykit_hsm_backends::protection::nshield::Evidence;
use serde_json::{Value, json};

use super::{FileReport, Problem};

/// What the names of packages begin with, as the legacy toolset makes them.
const PACKAGE: &str = "keytransferpackage-";

/// Reports on outputs of `nfkminfo` and `nfkmattest verify`: every statement, and what it is worth.
pub(super) fn evidence(path: &Path, evidence: &Evidence) -> FileReport {
    let mut report = FileReport::new(path, "nfkminfo");
    report.notes.push(evidence.worth().to_owned());
    report.detail("entries", evidence.len());
    let statements = evidence.statements();
    let keys = statements.iter().map(|statement| {
        let mut value = json!(statement);
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
            fields.insert("protection".to_owned(), statement.protection.to_string().into());
        }
        value
    });
    report.detail("keys", Value::Array(keys.collect()));
    report
}

/// Reports on an attestation bundle.
pub(super) fn attestation_bundle(path: &Path) -> FileReport {
    let mut report = FileReport::new(path, "nfkminfo");
    report.problem(Problem::new(
        "attestation-bundle",
        "an attestation bundle, whose signatures keykit cannot verify: run `nfkmattest verify FILE` with the vendor's tools, and use its output",
    ));
    report
}

/// Whether a file that is no transfer file by its extension is a package of the legacy toolset, as far as that can be told: its
/// format is not public. It is no text, and has the name that the toolset gives.
pub(super) fn is_legacy_package(path: &Path, bytes: &[u8]) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    name.starts_with(PACKAGE) && !bytes.is_empty() && bytes.iter().any(|byte| !matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'))
}

/// Reports on a package of the legacy toolset.
pub(super) fn legacy_package(path: &Path, length: usize) -> FileReport {
    let mut report = FileReport::new(path, "byok-legacy-nshield");
    report.detail("bytes", length);
    report.notes.push("the format of these packages is not public: that it is one is told by its name and by what it is not".to_owned());
    report.problem(Problem::new(
        "legacy",
        "a transfer file of the legacy nShield toolset (no JSON): today's services do not take it; wrap the key again for the new format",
    ));
    report
}
