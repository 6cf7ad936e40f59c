//! File servers that protect classified files: to the connector (rules 202, 207).

use super::names::Names;
use super::power_shell::CommandLine;
use super::registry_script::{pair, undo};
use super::run_book::{Place, RunBook, Step};
use super::share_point::older_client;
use super::{Artefact, Stage};
use crate::error::Result;
use crate::migration::file::MigrationFile;

/// All files for such servers; none if there are none.
///
/// # Errors
/// [`crate::Error::Refused`] by rule 202 without a connector's URL.
pub(super) fn artefacts(file: &MigrationFile, names: &Names) -> Result<Vec<Artefact>> {
    if file.services.as_ref().is_none_or(|services| services.file_classification.is_empty()) {
        return Ok(Vec::new());
    }
    let (set, stage) = (older_client(names)?, Stage::Servers);
    let back = undo(&set)?
        .with_comments(&["Takes away what connector.reg, or GenConnectorConfig.ps1, set: the server finds AD RMS by the directory again."])?;
    let forth = set.with_comments(&[
        "Direction: from this file server to the connector, which speaks to the tenant (rule 202).",
        "This is what GenConnectorConfig.ps1 sets: use that tool or this file, not both.",
    ])?;
    let purpose = "file servers speak to the connector; instead of the connector's own tool";
    let mut files = pair(stage, "file-classification/connector", "file-classification/Connect.ps1", &forth, purpose, &[202])?.to_vec();
    let restart = |step: Step| step.say("File servers are always restarted.").run(CommandLine::starting("Restart-Computer", &[]));
    let connect = Step::new(Place::EveryFileServer, "Configure for the connector")
        .say("With the connector's own tool, in the folder that it was unpacked to; connector.reg does the same. Not on computers of the connector.")
        .run(CommandLine::filled(r".\GenConnectorConfig.ps1 -ConnectorUri {} -SetFCI2012", &[names.connector()?])?)
        .expect("under `HKLM\\SOFTWARE\\Microsoft\\MSDRM\\ServiceLocation`: `EnterprisePublishing` and `Activation` with the connector");
    let book = RunBook::new("Run book: file servers use the connector")
        .note("The connector is installed and its servers are authorised (connector/install.md).")
        .step(connect.rules(&[198, 202]))
        .step(restart(Step::new(Place::EveryFileServer, "Restart")).expect("a file management task protects a test file").rules(&[207]));
    files.push(Artefact::run_book(stage, "file-classification/connect.md", "file servers use the connector", &book));
    files.extend(
        pair(stage, "file-classification/disconnect", "file-classification/Disconnect.ps1", &back, "what the connector's tool set goes", &[202])?
            .map(Artefact::undoing),
    );
    let book = RunBook::new("Run book: file servers go back to AD RMS")
        .step(Step::new(Place::EveryFileServer, "Take the connector away").say("`disconnect.reg`, or `Disconnect.ps1`.").rules(&[202]))
        .step(restart(Step::new(Place::EveryFileServer, "Restart")).rules(&[207]));
    files.push(Artefact::run_book(stage, "file-classification/rollback-connect.md", "file servers go back to AD RMS", &book).undoing());
    Ok(files)
}
