//! Transfer files and key encryption keys, as `inspect` and `byok inspect` report them.

use std::path::Path;

use jiff::Timestamp;
use keykit::transfer::{Envelope, Finding, LintReport, OfferedKey, ProfileVerdict, Severity, TransferKind, TransferProfile};
use keykit::{Result, durable};
use serde_json::{Value, json};

use super::{FileReport, LIMIT, Problem, nshield};

/// Looks at a file that should be a transfer file or a key encryption key.
pub(crate) fn inspect(path: &Path, profiles: &[TransferProfile]) -> Result<FileReport> {
    let bytes = durable::read(path, LIMIT, "transfer file")?;
    let lint = lint(path, &bytes, profiles);
    let is_wrapped = lint.kind != TransferKind::Unknown || lint.findings.iter().any(|finding| finding.code == "key-in-the-clear");
    if let (false, Ok(offered)) = (is_wrapped, OfferedKey::parse(&bytes, None)) {
        return Ok(offered_key(path, &offered, profiles));
    }
    if lint.kind == TransferKind::Unknown && nshield::is_legacy_package(path, &bytes) {
        return Ok(nshield::legacy_package(path, bytes.len()));
    }
    Ok(of_lint(path, lint, bytes.len()))
}

/// Reports on a file if it is a transfer file, sound or not.
pub(super) fn recognise(path: &Path, bytes: &[u8]) -> Result<Option<FileReport>> {
    let lint = lint(path, bytes, &TransferProfile::built_in()?);
    let recognised = lint.kind != TransferKind::Unknown || lint.findings.iter().any(|finding| finding.code == "key-in-the-clear");
    Ok(recognised.then(|| of_lint(path, lint, bytes.len())))
}

/// Whether nothing in a report speaks against its profiles.
pub(crate) fn suits_all(report: &FileReport) -> bool {
    let verdicts = report.details.get("profiles").and_then(Value::as_array);
    report.sound && verdicts.is_some_and(|verdicts| verdicts.iter().all(|verdict| verdict.get("suits") == Some(&Value::Bool(true))))
}

fn lint(path: &Path, bytes: &[u8], profiles: &[TransferProfile]) -> LintReport {
    let named_byok = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("byok"));
    LintReport::of(bytes, named_byok, profiles)
}

fn of_lint(path: &Path, lint: LintReport, length: usize) -> FileReport {
    if lint.kind == TransferKind::LegacyNShield {
        return nshield::legacy_package(path, length);
    }
    let sizes = lint.possible_sizes();
    let mut report = FileReport::new(
        path,
        match lint.kind {
            TransferKind::WrappedKey(_) => "byok",
            _ => "unknown",
        },
    );
    if lint.kind == TransferKind::Unknown && lint.findings.is_empty() {
        report.problem(Problem::new("unknown", "this is no transfer file that keykit knows"));
    }
    add_findings(&mut report, lint.findings);
    if let TransferKind::WrappedKey(envelope) = lint.kind {
        report.detail("envelope", envelope.name());
        if envelope == Envelope::AzureByok {
            report.detail("kid", lint.kid);
            report.detail("generator", lint.generator);
        }
        report.detail("padding", lint.padding);
        report.detail("blob_bytes", lint.blob.len());
        report.detail("kek_bits_possible", json!(sizes.iter().map(|(kek, _)| kek).collect::<Vec<_>>()));
        report.detail("target_bits", json!(sizes.first().map(|(_, target)| target)));
        report.detail("profiles", json!(lint.profiles));
        if report.sound {
            report
                .notes
                .push("the hash of OAEP cannot be seen without the key encryption key: Azure takes SHA-1, the others what the profile says".into());
        }
    }
    report
}

fn offered_key(path: &Path, offered: &OfferedKey, profiles: &[TransferProfile]) -> FileReport {
    let mut report = FileReport::new(path, "key-encryption-key");
    super::describe_key(&mut report, &offered.public);
    report.detail("form", json!(offered.form));
    report.detail("kid", json!(offered.kid));
    report.detail("operations", json!(offered.operations));
    report.detail("expires", json!(offered.expires.map(|time| time.to_string())));
    let now = Timestamp::now();
    let mut common: Option<Vec<Finding>> = None;
    let mut verdicts = Vec::new();
    for profile in profiles {
        let findings = offered.check(profile, now);
        let reasons: Vec<String> = findings.iter().filter(|finding| finding.is_problem()).map(ToString::to_string).collect();
        verdicts.push(ProfileVerdict { profile: profile.name.clone(), suits: reasons.is_empty(), reasons });
        // What all profiles find is wrong with the key itself.
        common = Some(match common {
            None => findings,
            Some(common) => common.into_iter().filter(|finding| findings.iter().any(|other| other.code == finding.code)).collect(),
        });
    }
    add_findings(&mut report, common.unwrap_or_default());
    report.detail("profiles", json!(verdicts));
    report
}

/// Problems are problems, warnings are listed with their codes, and both warnings and notes are said.
fn add_findings(report: &mut FileReport, findings: Vec<Finding>) {
    let warnings: Vec<&Finding> = findings.iter().filter(|finding| finding.severity == Severity::Warning).collect();
    if !warnings.is_empty() {
        report.detail("warnings", json!(warnings));
    }
    for finding in findings {
        if finding.is_problem() {
            let message = finding.hint.as_ref().map_or_else(|| finding.message.clone(), |hint| format!("{}; {hint}", finding.message));
            report.problem(Problem { code: finding.code, message, offset: finding.offset });
        } else {
            report.notes.push(finding.message);
        }
    }
}
