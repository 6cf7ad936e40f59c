//! Arguments of the commands about one plan: making it, carrying it out, verifying it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::KeyringPassword;

/// `keykit artefacts`
#[derive(Debug, Args)]
pub(crate) struct ArtefactsArguments {
    /// The migration file
    #[arg(value_name = "MIGRATION.toml", value_hint = ValueHint::FilePath)]
    pub(crate) migration: PathBuf,
    /// Folder for the files; made if it is not there
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,
    /// Number of the scripts' version gate: a script runs again only under a higher one (rule 165). Many use YYYYMMDD
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=2_147_483_647))]
    pub(crate) script_version: u32,
}

/// `keykit plan`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct PlanArguments {
    #[command(subcommand)]
    pub(crate) command: Option<PlanCommand>,
    /// The migration file
    #[arg(value_name = "MIGRATION.toml", required_unless_present = "init", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// Where the plan goes, beside the migration file: paths in both count from their folder
    #[arg(long, short, required_unless_present_any = ["init", "check_only"], value_name = "PLAN.json", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Print a commented example of a migration file
    #[arg(long, conflicts_with_all = ["file", "output"])]
    pub(crate) init: bool,
    /// Say what the rules find, and make no plan
    #[arg(long, requires = "file", conflicts_with = "output")]
    pub(crate) check_only: bool,
    /// Look at the migration file only: open no exported domain, no token and no tenant
    #[arg(long, requires = "check_only")]
    pub(crate) file_only: bool,
}

/// `keykit plan show|diff`
#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// Show a plan to people
    Show {
        /// The plan
        #[arg(value_hint = ValueHint::FilePath)]
        plan: PathBuf,
    },
    /// Show what differs between two plans (exit code 1 if something does)
    Diff {
        /// One plan
        #[arg(value_hint = ValueHint::FilePath)]
        before: PathBuf,
        /// The other
        #[arg(value_hint = ValueHint::FilePath)]
        after: PathBuf,
    },
}

/// `keykit apply`, `keykit resume`
#[derive(Debug, Args)]
pub(crate) struct ApplyArguments {
    /// The plan
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) plan: PathBuf,
    /// Approvals; without any, those that the run was begun with
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) approval: Vec<PathBuf>,
    /// Steps that a person has done by hand
    #[arg(long, value_name = "STEP")]
    pub(crate) confirm: Vec<String>,
    /// Ask the room before each step, as the script of `keykit script` has it, and keep a transcript
    #[arg(long)]
    pub(crate) ceremony: bool,
    /// Keep a transcript here; without this option beside the plan, if one is there or with --ceremony
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) transcript: Option<PathBuf>,
    /// How long to wait for another process that works on the same tenant
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) wait: u64,
    #[command(flatten)]
    pub(crate) keyring: KeyringPassword,
}

/// `keykit abort`
#[derive(Debug, Args)]
pub(crate) struct AbortArguments {
    /// The plan
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) plan: PathBuf,
    /// Why, for the journal
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    /// The transcript of the run; without this option that beside the plan, if one is there
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) transcript: Option<PathBuf>,
    /// How long to wait for another process that works on the same tenant
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) wait: u64,
    #[command(flatten)]
    pub(crate) keyring: KeyringPassword,
}

/// `keykit verify`
#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// The plan
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) plan: PathBuf,
    /// Up to which verification of the plan everything must be as planned
    #[arg(long, value_enum, default_value_t = PhaseArgument::End)]
    pub(crate) phase: PhaseArgument,
    #[command(flatten)]
    pub(crate) keyring: KeyringPassword,
}

/// The phases of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PhaseArgument {
    /// Nothing has moved yet: the sources
    Preparation,
    /// The keys have moved
    Keys,
    /// Service and templates are ready
    Templates,
    /// Users have moved
    Clients,
    /// Servers have moved
    Services,
    /// All steps are done
    End,
}
