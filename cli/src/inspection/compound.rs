//! What `inspect` adds for protected Office documents and mail.

use keykit::container::{ContainerKind, ProtectedDocument, read_mail};
use serde_json::json;

use super::FileReport;

/// The report with what the container itself says.
pub(super) fn described(mut report: FileReport, bytes: &[u8], kind: ContainerKind) -> FileReport {
    let document = match kind {
        ContainerKind::OfficeCompound => ProtectedDocument::parse(bytes),
        ContainerKind::Rpmsg => read_mail(bytes),
        _ => return report,
    };
    // It was read before: its licences are in the report.
    let Ok(document) = document else { return report };
    report.detail("layout", document.layout.as_str());
    report.detail("content", json!({ "bytes": document.original_size, "encrypted_bytes": document.encrypted_size }));
    report.detail("end_user_licences", document.end_user_licences.len());
    if document.damaged_end_user_licences > 0 {
        report.notes.push(format!(
            "{} licences that a program keeps in it are damaged; the publishing licence does not depend on them",
            document.damaged_end_user_licences
        ));
    }
    report
}
