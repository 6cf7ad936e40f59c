//! Transfer files, as `inspect` reports them.

use std::path::Path;

use keykit::transfer::AzureTransferFile;
use serde_json::json;

use super::{FileReport, Problem};

/// Reports on JSON that may be a `.byok` file.
pub(super) fn report(path: &Path, bytes: &[u8]) -> FileReport {
    let file = match AzureTransferFile::parse(bytes) {
        Ok(file) => file,
        Err(error) => {
            let is_transfer_file = bytes.windows(12).any(|window| window == b"\"ciphertext\"");
            let mut report = FileReport::new(path, if is_transfer_file { "byok" } else { "unknown" });
            report.problem(Problem::of_error(&error));
            return report;
        }
    };
    let mut report = FileReport::new(path, "byok");
    let sizes = file.possible_sizes();
    if sizes.is_empty() {
        report.problem(Problem::new("length", format!("{} bytes fit no key encryption key and RSA key", file.blob.len())));
    }
    if file.generator.contains("SoftHSM") && file.generator.contains("2.6") {
        report.notes.push("made on SoftHSM 2.6, which pads keys with zero bytes before it wraps them: strict receivers refuse that".to_owned());
    }
    report.detail("kid", file.kid);
    report.detail("kek_bits_possible", json!(sizes.iter().map(|(kek, _)| kek).collect::<Vec<_>>()));
    report.detail("target_bits", json!(sizes.first().map(|(_, target)| target)));
    report.detail("padding", file.padding);
    report.detail("generator", file.generator);
    report
}
