//! `keykit inspect`: what files are, and whether they are sound.

use keykit::Result;
use keykit::secret::Password;
use serde::Serialize;
use serde_json::Value;

use crate::arguments::InspectArguments;
use crate::inspection::{FileReport, inspect};
use crate::output::Output;
use crate::{exit, secrets};

#[derive(Debug, Serialize)]
struct Reports {
    files: Vec<FileReport>,
}

/// Runs `keykit inspect`. The exit code is 3 if a file is malformed, 1 if a signature does not hold.
pub(super) fn run(arguments: &InspectArguments, output: Output) -> Result<u8> {
    let sources = &arguments.passwords.password_source;
    let passwords = if sources.is_empty() { Vec::new() } else { secrets::of_domains(sources, &arguments.files)? };
    let password_of = |number: usize| -> Option<&Password> { if passwords.len() == 1 { passwords.first() } else { passwords.get(number) } };
    let files = arguments.files.iter().enumerate().map(|(number, file)| inspect(file, password_of(number))).collect::<Result<Vec<_>>>()?;
    let reports = Reports { files };
    output.result("inspect", &reports, || reports.files.iter().map(text).collect::<Vec<_>>().join("\n"))?;
    Ok(exit_code(&reports.files))
}

/// 3 if a file is malformed, 1 if a signature does not hold.
pub(super) fn exit_code(files: &[FileReport]) -> u8 {
    let has = |signature: bool| files.iter().flat_map(|file| &file.problems).any(|problem| (problem.code == "signature") == signature);
    match (has(false), has(true)) {
        (true, _) => 3,
        (false, true) => exit::NEGATIVE,
        (false, false) => exit::DONE,
    }
}

pub(super) fn text(report: &FileReport) -> String {
    let mut lines = vec![format!("{}: {}, {}", report.path, report.kind, if report.sound { "sound" } else { "NOT SOUND" })];
    lines.extend(report.problems.iter().map(|problem| format!("  problem: {}", problem.message)));
    lines.extend(report.details.iter().flat_map(|(name, value)| describe(name, value)));
    lines.extend(report.notes.iter().map(|note| format!("  note: {note}")));
    lines.join("\n")
}

fn describe(name: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) if name == "documents" => items.iter().map(document).collect(),
        Value::Array(items) if items.iter().all(Value::is_object) => items.iter().map(|item| format!("  {name}: {}", flat(item))).collect(),
        other => vec![format!("  {name}: {}", flat(other))],
    }
}

fn document(value: &Value) -> String {
    let field = |name: &str| value.get(name).map(flat).unwrap_or_default();
    let verdict = match (value.get("digest_ok").and_then(Value::as_bool), value.get("signature_ok").and_then(Value::as_bool)) {
        (Some(true), Some(true)) => "signature verifies",
        (_, None) => "not signed",
        _ => "SIGNATURE DOES NOT VERIFY",
    };
    let kind = if field("descriptor").is_empty() { field("type") } else { field("descriptor") };
    let sealed: Vec<String> = value
        .get("sealed")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|sealed| {
            format!(", {} of {} bits", sealed.get("algorithm").map(flat).unwrap_or_default(), sealed.get("bits").map(flat).unwrap_or_default())
        })
        .collect();
    format!(
        "  document: {kind}, issued {} by {}: {verdict} ({}, {} bits){}",
        field("issued"),
        field("issuer"),
        field("hash"),
        field("key_bits"),
        sealed.concat()
    )
}

/// A value on one line, without quotes.
fn flat(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(flat).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => fields.iter().map(|(name, value)| format!("{name} {}", flat(value))).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
