//! `keykit byok`: keys for receivers of others.

mod profiles;
mod rehearse;
mod unwrap;
mod wrap;

use std::path::PathBuf;

use keykit::Result;
use serde::Serialize;

use super::inspect::{exit_code, text};
use crate::arguments::{ByokCommand, ProfileFile};
use crate::inspection::{FileReport, transfer};
use crate::output::Output;
use crate::{exit, transfers};

/// Runs `keykit byok …`.
pub(super) fn run(command: &ByokCommand, output: Output) -> Result<u8> {
    match command {
        ByokCommand::Profiles { name, file, toml } => profiles::run(name.as_deref(), file, *toml, output),
        ByokCommand::Wrap(arguments) => wrap::run(arguments, output),
        ByokCommand::Unwrap(arguments) => unwrap::run(arguments, output),
        ByokCommand::Rehearse(arguments) => rehearse::run(arguments, output),
        ByokCommand::Inspect { files, profile, file } => inspect(files, profile.as_deref(), file, output),
    }
}

#[derive(Debug, Serialize)]
struct Reports {
    files: Vec<FileReport>,
    /// Whether all files suit the profile that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    suits: Option<bool>,
}

/// The exit code is 3 if a file has problems, 1 if it is sound and does not suit the profile.
fn inspect(files: &[PathBuf], profile: Option<&str>, file: &ProfileFile, output: Output) -> Result<u8> {
    let mut profiles = transfers::profiles(file)?;
    if let Some(name) = profile {
        profiles = vec![transfers::profile(name, file)?];
    }
    let files = files.iter().map(|file| transfer::inspect(file, &profiles)).collect::<Result<Vec<_>>>()?;
    let suits = profile.map(|_| files.iter().all(transfer::suits_all));
    let reports = Reports { files, suits };
    output.result("byok-inspect", &reports, || reports.files.iter().map(text).collect::<Vec<_>>().join("\n"))?;
    let code = exit_code(&reports.files);
    Ok(if code == exit::DONE && suits == Some(false) { exit::NEGATIVE } else { code })
}

/// A hash by its name.
fn hash_name<S: serde::Serializer>(hash: &keykit::key::Hash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(hash)
}
