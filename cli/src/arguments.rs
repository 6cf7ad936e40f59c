//! The command line, as data.

mod byok;
mod ceremony;
mod content;
#[cfg(test)]
mod documentation;
mod domain;
mod issue;
mod licence;
mod plan;
mod report;
mod store;
mod tenant;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

pub(crate) use byok::*;
pub(crate) use ceremony::{
    ApproveArguments, CeremonyCommand, CloseArguments, NoteArguments, ScriptArguments, TranscriptCommand, VerifyTranscriptArguments,
};
pub(crate) use content::{ContentCommand, OpenContentArguments};
pub(crate) use domain::{
    BuildArguments, EraArgument, HsmToHsmArguments, InspectArguments, MigrateCommand, MigrationArguments, SoftwareToHsmArguments,
    SoftwareToSoftwareArguments, SplitArguments, TpdCommand,
};
pub(crate) use issue::{CipherArgument, IssueArguments, PublishingArguments, UseArguments};
pub(crate) use licence::{LicenceCommand, ProveAccessArguments, RekeyArguments};
pub(crate) use plan::{AbortArguments, ApplyArguments, ArtefactsArguments, PhaseArgument, PlanArguments, PlanCommand, VerifyArguments};
pub(crate) use report::ReportArguments;
pub(crate) use store::{CheckArguments, ConformanceArguments, DoctorArguments, NshieldCommand, RunBookArguments, StoreCommand};
pub(crate) use tenant::{ActivateArguments, ExportArguments, RekeyTenantArguments, TemplateCommand, TenantCommand, TokenSecrets};

/// Moves the keys of a rights-management service to where they must live next, and proves that nothing was lost.
#[derive(Debug, Parser)]
#[command(name = "keykit", version, propagate_version = true, max_term_width = 110)]
#[command(
    after_help = "Text for people goes to standard error, data to standard output.\n\nExit codes: 0 done, 1 negative result, 2 usage, 3 malformed input, 4 refused,\n5 token error, 6 wrong PIN or password, 7 unsupported, 8 interrupted, 9 conflict, 70 bug."
)]
pub(crate) struct Arguments {
    /// How results are printed on standard output
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[value(alias = "table")]
    Text,
    /// One JSON object, for programs
    Json,
    /// JUnit XML, for build servers
    #[value(hide = true)]
    Junit,
    /// One HTML page
    #[value(hide = true)]
    Html,
    /// Markdown
    #[value(hide = true)]
    Markdown,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what files are (exported domain, certificate chain, licence, transfer file, …) and whether they are sound
    Inspect(InspectArguments),
    /// Take a trusted publishing domain apart, or make one
    #[command(subcommand)]
    Tpd(TpdCommand),
    /// Move keys by one of the three paths, and prove it
    #[command(subcommand)]
    Migrate(MigrateCommand),
    /// Make a plan of a whole migration, show it, or compare two
    Plan(PlanArguments),
    /// Keys of the people who approve plans
    #[command(subcommand)]
    Ceremony(CeremonyCommand),
    /// Approve a plan with a key of one's own
    Approve(ApproveArguments),
    /// Print the script of a plan: what the room reads, does, sees and initials (--format markdown, html or json)
    Script(ScriptArguments),
    /// The record of a ceremony: note deviations, close and sign it, check it
    #[command(subcommand)]
    Transcript(TranscriptCommand),
    /// Carry out an approved plan
    Apply(ApplyArguments),
    /// Go on with a run that was interrupted
    Resume(ApplyArguments),
    /// Give a run up: undo what can be undone, list what stays
    Abort(AbortArguments),
    /// Check stores and files against a plan, from the ground up
    Verify(VerifyArguments),
    /// Make the report of a migration: one page for auditors, and JSON
    Report(ReportArguments),
    /// Write what other people and systems need: registry files, scripts, DNS records, run books, with their roll-backs
    Artefacts(ArtefactsArguments),
    /// Make and show the tenant keyring
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Open and verify licences
    #[command(subcommand)]
    Licence(LicenceCommand),
    /// Decrypt the content of one protected file, to see it with one's own eyes
    #[command(subcommand)]
    Content(ContentCommand),
    /// Find every protected file below some folders, and open its licence under the keys of the tenant
    ProveAccess(ProveAccessArguments),
    /// Look into a key store
    #[command(subcommand)]
    Store(StoreCommand),
    /// What concerns nShield modules only
    #[command(subcommand)]
    Nshield(NshieldCommand),
    /// Bring a key to a cloud or a module of others: wrap, unwrap, rehearse, inspect
    #[command(subcommand)]
    Byok(ByokCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or write the pages of all commands into a folder
    Man {
        /// Folder for the pages of all commands
        #[arg(long, short, value_hint = ValueHint::DirPath)]
        output: Option<PathBuf>,
    },
}

/// The password of a folder of keys.
#[derive(Debug, Args)]
pub(crate) struct KeyringPassword {
    /// Where the keyring password comes from (default: the source that KEYKIT_KEYRING_PASSWORD_SOURCE names, or the prompt)
    #[arg(long, value_name = "SOURCE")]
    pub(crate) keyring_password_source: Option<String>,
}
