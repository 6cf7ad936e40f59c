//! Arguments of `keykit report`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::KeyringPassword;

/// `keykit report`
#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// The plan
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) plan: PathBuf,
    /// The folder of the tenant; must be the one that the plan names
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) tenant: Option<PathBuf>,
    /// Approvals; without any, those that the run was begun with
    #[arg(long, visible_alias = "approvals", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) approval: Vec<PathBuf>,
    /// Output of `keykit prove-access --format json`; may be given several times
    #[arg(long, value_name = "ACCESS.json", value_hint = ValueHint::FilePath)]
    pub(crate) access: Vec<PathBuf>,
    /// The transcript of the ceremony; without this option that beside the plan, if one is there
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) transcript: Option<PathBuf>,
    /// Do not look at stores and files anew; the report says so, and that nothing is shown by it
    #[arg(long)]
    pub(crate) without_proofs: bool,
    /// Where the page goes; without it, the page goes to standard output
    #[arg(long, short, value_name = "REPORT.html", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keyring: KeyringPassword,
}
