//! The command line, as data.

mod byok;
mod ceremony;
mod content;

use std::num::NonZero;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use keykit::artefact::legacy_toolset::{
    KeyApplication, KeyFriendlyName, KeyIdentifier, Region, ResourceGroup, SubscriptionId, VaultName, WindowsPath,
};
use keykit::licence::rekey::OPEN_EVERY;

pub(crate) use byok::*;
pub(crate) use ceremony::{CloseArguments, NoteArguments, ScriptArguments, TranscriptCommand, VerifyTranscriptArguments};
pub(crate) use content::{ContentCommand, OpenContentArguments};

#[cfg(test)]
mod documentation;
mod issue;
mod report;
mod tenant;

pub(crate) use issue::{CipherArgument, IssueArguments, PublishingArguments, UseArguments};
pub(crate) use report::ReportArguments;
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

/// `keykit prove-access`
#[derive(Debug, Args)]
pub(crate) struct ProveAccessArguments {
    /// The tenant folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) tenant: PathBuf,
    /// Folders (or files) to go through; archives and mail are looked into
    #[arg(required = true, value_hint = ValueHint::AnyPath)]
    pub(crate) folders: Vec<PathBuf>,
    /// Ledger with one JSON line for each file: a run that was stopped goes on where it was, and one that ended begins anew
    #[arg(long, short, value_name = "LEDGER", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Write the files that would be lost, with the reason, as CSV; the file must not be there yet
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) csv: Option<PathBuf>,
    /// Files that may stay unread (archives of other kinds, files under a password): a line for each, its path as the result names it,
    /// a tab, and the reason. All are listed in the result; a file that is lost can't be accepted
    #[arg(long, value_name = "LIST", value_hint = ValueHint::FilePath)]
    pub(crate) accept: Option<PathBuf>,
    /// Look at so many files only, drawn at random, and say what they prove
    #[arg(long, value_name = "N")]
    pub(crate) sample: Option<NonZero<usize>>,
    /// What decides which files are drawn; the tenant's identity unless given
    #[arg(long, requires = "sample", value_name = "TEXT")]
    pub(crate) seed: Option<String>,
    /// Most that one file may unpack to, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub(crate) unpack_limit: u64,
    /// Most that is held in memory for one file, in MiB; one file at a time takes more than a little
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub(crate) hold_limit: u64,
    #[command(flatten)]
    pub(crate) keyring: KeyringPassword,
    /// Where the PIN of a token comes from: prompt, fd:N, file:PATH, env:VAR or exec:CMD
    #[arg(long, value_name = "SOURCE")]
    pub(crate) pin_source: Option<String>,
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

/// `keykit ceremony`
#[derive(Debug, Subcommand)]
pub(crate) enum CeremonyCommand {
    /// Make a key for a person who approves plans (Ed25519, encrypted; OpenSSH reads it too)
    Keygen {
        /// Where the key goes (mode 0600); its public half goes beside it, with .pub at the end
        #[arg(long, short, value_name = "KEY", value_hint = ValueHint::FilePath)]
        output: PathBuf,
        /// Who it belongs to
        #[arg(long, default_value = "")]
        comment: String,
        /// Where its password comes from: prompt, fd:N, file:PATH, env:VAR or exec:CMD
        #[arg(long, value_name = "SOURCE", default_value = "prompt")]
        password_source: String,
    },
}

/// `keykit approve`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("how").required(true).args(["key", "statement_for", "statement"]))]
pub(crate) struct ApproveArguments {
    /// The plan
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) plan: PathBuf,
    /// Private key of the person who approves: of `keykit ceremony keygen` or `ssh-keygen -t ed25519`
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub(crate) key: Option<PathBuf>,
    /// Write only what this person is to sign with `ssh-keygen -Y sign -n keykit-plan`, for keys in agents and in hardware
    #[arg(long, value_name = "NAME")]
    pub(crate) statement_for: Option<String>,
    /// What was signed in that way
    #[arg(long, requires = "signature", value_hint = ValueHint::FilePath)]
    pub(crate) statement: Option<PathBuf>,
    /// The signature of it
    #[arg(long, requires = "statement", value_hint = ValueHint::FilePath)]
    pub(crate) signature: Option<PathBuf>,
    /// Where the approval goes
    #[arg(long, short, value_name = "APPROVAL", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// For how many days it holds (default: as long as the plan allows)
    #[arg(long, value_name = "DAYS")]
    pub(crate) valid_days: Option<u32>,
    /// Record the approval in this transcript; without this option in that beside the plan, if one is there
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) transcript: Option<PathBuf>,
    /// Where the key's password comes from: prompt, fd:N, file:PATH, env:VAR or exec:CMD
    #[arg(long, value_name = "SOURCE", default_value = "prompt")]
    pub(crate) password_source: String,
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

/// `keykit inspect`
#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// Files to look at
    #[arg(required = true, value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) passwords: OptionalPasswords,
}

/// Passwords of exported domains; without them the outer layer is looked at only.
#[derive(Debug, Args)]
pub(crate) struct OptionalPasswords {
    /// Where the password of the exported domains comes from: prompt, fd:N, file:PATH, env:VAR or exec:CMD; once for all, or once for each file
    #[arg(long, value_name = "SOURCE")]
    pub(crate) password_source: Vec<String>,
}

/// `keykit tpd`
#[derive(Debug, Subcommand)]
pub(crate) enum TpdCommand {
    /// Write the domain without its key, and the key apart
    Split(SplitArguments),
    /// Make a trusted publishing domain from a tenant key: the way back out
    Build(BuildArguments),
}

/// `keykit tpd split`
#[derive(Debug, Args)]
pub(crate) struct SplitArguments {
    /// The exported domain
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) input: PathBuf,
    /// Where the domain without its key goes (same password)
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub(crate) keyless: PathBuf,
    /// Public key to wrap the key under, for a transfer file: PEM, DER, certificate or JSON Web Key
    #[arg(long, requires = "transfer", requires = "kek_fingerprint", value_hint = ValueHint::FilePath)]
    pub(crate) wrap_to: Option<PathBuf>,
    /// SHA-256 of that public key's SubjectPublicKeyInfo, as its owner read it out
    #[arg(long, value_name = "SHA256")]
    pub(crate) kek_fingerprint: Option<String>,
    /// Identifier of the key encryption key at its provider (the `kid` of an Azure transfer file)
    #[arg(long, value_name = "URL")]
    pub(crate) kid: Option<String>,
    /// The receiver of the transfer file: see `keykit byok profiles`
    #[arg(long, value_name = "NAME", default_value = "azure-key-vault")]
    pub(crate) profile: String,
    #[command(flatten)]
    pub(crate) profile_file: ProfileFile,
    /// Where the transfer file goes
    #[arg(long, requires = "wrap_to", value_hint = ValueHint::FilePath)]
    pub(crate) transfer: Option<PathBuf>,
    /// DANGER: write the key in the clear as PEM (mode 0600), for `generatekey --import`; erase it afterwards
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) danger_plaintext_pem: Option<PathBuf>,
    /// Where the password comes from: prompt, fd:N, file:PATH, env:VAR or exec:CMD
    #[arg(long, value_name = "SOURCE", default_value = "prompt")]
    pub(crate) password_source: String,
}

/// `keykit tpd build`
#[derive(Debug, Args)]
pub(crate) struct BuildArguments {
    /// The key: `file:DIR#KEY-ID` (the start of the identity is enough), or a PKCS#11 URI with `object` or `id`; a key in a token gives a domain without key
    #[arg(long, value_name = "URI")]
    pub(crate) key: String,
    /// Certificate chain, server licensor certificate first
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub(crate) chain: PathBuf,
    /// Folder of rights templates (*.xml)
    #[arg(long, value_hint = ValueHint::DirPath)]
    pub(crate) templates: Option<PathBuf>,
    /// Where the domain goes
    #[arg(long, short, value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Where the new domain's password comes from
    #[arg(long, value_name = "SOURCE", default_value = "prompt")]
    pub(crate) password_source: String,
    #[command(flatten)]
    pub(crate) keyring: KeyringPassword,
}

/// The password of a folder of keys.
#[derive(Debug, Args)]
pub(crate) struct KeyringPassword {
    /// Where the keyring password comes from (default: the source that KEYKIT_KEYRING_PASSWORD_SOURCE names, or the prompt)
    #[arg(long, value_name = "SOURCE")]
    pub(crate) keyring_password_source: Option<String>,
}

/// `keykit migrate`
#[derive(Debug, Subcommand)]
pub(crate) enum MigrateCommand {
    /// Exported domain → tenant keyring
    SoftwareToSoftware(SoftwareToSoftwareArguments),
    /// Token → token, with the exported domains for certificates and templates
    HsmToHsm(HsmToHsmArguments),
    /// Exported domain → token
    SoftwareToHsm(SoftwareToHsmArguments),
}

/// What all paths take.
#[derive(Debug, Args)]
pub(crate) struct MigrationArguments {
    /// Exported trusted publishing domains
    #[arg(required = true, value_name = "TPD.xml", value_hint = ValueHint::FilePath)]
    pub(crate) domains: Vec<PathBuf>,
    /// Folder of the tenant; made if it does not exist
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) tenant: PathBuf,
    /// Where the passwords of the domains come from: prompt, fd:N, file:PATH, env:VAR or exec:CMD; once for all, or once for each file in order
    #[arg(long, value_name = "SOURCE")]
    pub(crate) password_source: Vec<String>,
    /// Import rules of a new tenant: 2016 makes the first key active, current leaves all archived
    #[arg(long, value_enum)]
    pub(crate) era: Option<EraArgument>,
    /// Licences (or files with licences) protected before, which must open afterwards
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) licence: Vec<PathBuf>,
    /// Other tenant folders, which must not hold these keys (rule 4)
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) other_tenant: Vec<PathBuf>,
}

/// Import rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EraArgument {
    /// As documented in 2016
    #[value(name = "2016")]
    Of2016,
    /// As documented since 2017
    Current,
}

/// `keykit migrate software-to-software`
#[derive(Debug, Args)]
pub(crate) struct SoftwareToSoftwareArguments {
    #[command(flatten)]
    pub(crate) common: MigrationArguments,
    #[command(flatten)]
    pub(crate) keyring: KeyringPassword,
}

/// `keykit migrate hsm-to-hsm`
#[derive(Debug, Args)]
pub(crate) struct HsmToHsmArguments {
    #[command(flatten)]
    pub(crate) common: MigrationArguments,
    /// Token that holds the keys
    #[arg(long, value_name = "PKCS11-URI")]
    pub(crate) source: String,
    /// Token that is to hold them
    #[arg(long, value_name = "PKCS11-URI")]
    pub(crate) target: String,
    /// Output of `nfkmattest verify`, `nfkminfo -l` or `nfkminfo -k APP IDENT` that shows how the keys are protected
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) evidence: Vec<PathBuf>,
    /// Allow an AES key that exists in this process for a moment, where the source token offers no other way
    #[arg(long)]
    pub(crate) allow_host_visible_ephemeral_key: bool,
    /// Leave the keys wrappable under a trusted key, for a later transfer to a cloud
    #[arg(long)]
    pub(crate) keep_transferable: bool,
}

/// `keykit migrate software-to-hsm`
#[derive(Debug, Args)]
pub(crate) struct SoftwareToHsmArguments {
    #[command(flatten)]
    pub(crate) common: MigrationArguments,
    /// Token that is to hold the keys
    #[arg(long, value_name = "PKCS11-URI")]
    pub(crate) target: String,
    /// Leave the keys wrappable under a trusted key, for a later transfer to a cloud
    #[arg(long)]
    pub(crate) keep_transferable: bool,
}

/// `keykit licence`
#[derive(Debug, Subcommand)]
pub(crate) enum LicenceCommand {
    /// Verify the signatures and chains of licences and certificates
    Verify {
        /// Files with licences
        #[arg(required = true, value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
    },
    /// Issue a publishing licence under the active key, or a use licence for one user
    Issue(Box<IssueArguments>),
    /// Move licences from archived keys to the active one; the originals stay as they are
    Rekey(RekeyArguments),
    /// Open the content key of a licence with a key of the tenant
    Open {
        /// File with a licence
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// The tenant folder
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        tenant: PathBuf,
        /// Where the content key goes (mode 0600); without it the licence is only tried
        #[arg(long, short, value_name = "KEYFILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
        #[command(flatten)]
        keyring: KeyringPassword,
        /// Where the PIN of the token comes from, for keys in a token
        #[arg(long, value_name = "SOURCE")]
        pin_source: Option<String>,
    },
}

/// `keykit licence rekey`
#[derive(Debug, Args)]
pub(crate) struct RekeyArguments {
    /// Files and folders with licences; none for JSON Lines ({"id","licence"}) from standard input
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) inputs: Vec<PathBuf>,
    /// The tenant folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) tenant: PathBuf,
    /// Folder for the results, or a new file for JSON Lines, which go to standard output without it; a run that was cut off goes on
    /// where it was
    #[arg(long, short, value_name = "OUT", value_hint = ValueHint::AnyPath)]
    pub(crate) output: Option<PathBuf>,
    /// Issue licences of authors' computers anew under the server, instead of refusing them
    #[arg(long)]
    pub(crate) reissue_offline: bool,
    /// Open the first result and then one of N with the active key; 1 opens all, which takes a third more time. Each result is read
    /// again, its signature verified and its sealed key computed a second time in any case
    #[arg(long, value_name = "N", default_value_t = OPEN_EVERY)]
    pub(crate) open_every: NonZero<u64>,
    #[command(flatten)]
    pub(crate) keyring: KeyringPassword,
    /// Where the PIN of the token comes from, for keys in a token
    #[arg(long, value_name = "SOURCE")]
    pub(crate) pin_source: Option<String>,
}

/// `keykit store`
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// List the keys of a store
    Keys(StoreArguments),
    /// Make a new RSA key in a store
    Generate {
        #[command(flatten)]
        store: StoreArguments,
        /// Size in bits
        #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u16).range(1024..=8192))]
        bits: u16,
        /// The key's name
        #[arg(long)]
        label: String,
        /// Allow the key to be wrapped out later (under any key)
        #[arg(long)]
        wrappable: bool,
    },
    /// Say what a store really does, which transfers it can serve, and what protects its keys; nothing is written to it
    ///
    /// With `--compare OLD.json NEW.json` two stored results are compared, and no store is opened.
    Doctor(DoctorArguments),
    /// Run published vectors and the suites of keykit on a store
    ///
    /// --format also takes `junit` and `html`. On a token only session objects are made, in memory only keys in memory, unless --allow-write names the store.
    Conformance(ConformanceArguments),
}

/// What both examinations of a store take.
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The store: `memory:`, `file:DIR`, or a PKCS#11 URI with `module-path` and `pin-source`; left out to compare two stored results
    #[arg(long, value_name = "URI", required_unless_present = "compare")]
    pub(crate) store: Option<String>,
    #[command(flatten)]
    pub(crate) keyring: KeyringPassword,
    /// Write the result into this file instead of standard output
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Compare with a result that was stored as JSON, or two stored results with each other; anything that got worse is a negative
    /// result
    #[arg(long, value_names = ["OLD.json", "NEW.json"], num_args = 1..=2, value_hint = ValueHint::FilePath)]
    pub(crate) compare: Vec<PathBuf>,
}

/// `keykit store doctor`
#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub(crate) common: CheckArguments,
    /// Evidence of what protects the keys of a token: output of nfkminfo or `nfkmattest verify`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) evidence: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) profiles: ProfileFile,
}

/// `keykit store conformance`
#[derive(Debug, Args)]
pub(crate) struct ConformanceArguments {
    #[command(flatten)]
    pub(crate) common: CheckArguments,
    /// Run these suites only: sign, oaep, pkcs1-decrypt, contract, attributes, verify, pss-verify, cbc, kw, kwp, nist-kw, nist-kwp
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub(crate) suite: Vec<String>,
    /// Allow token objects on the token with this serial number, or keys in the folder of this path
    #[arg(long, value_name = "SERIAL")]
    pub(crate) allow_write: Option<String>,
    /// Leave out keys above this size (default: 4096 for tokens, 8192 otherwise)
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u16).range(1024..=8192))]
    pub(crate) max_bits: Option<u16>,
}

/// `keykit nshield`
#[derive(Debug, Subcommand)]
pub(crate) enum NshieldCommand {
    /// Write the run book of the legacy toolset with your own names, in Markdown (deprecated by its makers; for those who must)
    RunBook(RunBookArguments),
}

/// `keykit nshield run-book`
#[derive(Debug, Args)]
pub(crate) struct RunBookArguments {
    /// Exported domain: the one that holds the key, or with --application the one whose key is in the module
    #[arg(long, value_name = "WINDOWS-PATH")]
    pub(crate) domain: WindowsPath,
    /// The key is in the module already, under this application: mscapi (AD RMS), caping or simple
    #[arg(long, value_name = "NAME", conflicts_with_all = ["keyless", "pem", "new_security_world"])]
    pub(crate) application: Option<KeyApplication>,
    /// Identifier of the key: lower-case letters, digits and dashes, at most 80
    #[arg(long, value_name = "IDENT")]
    pub(crate) identifier: KeyIdentifier,
    /// Name for the key in the package and in the key vault
    #[arg(long, value_name = "NAME")]
    pub(crate) friendly_name: KeyFriendlyName,
    /// Region of the tenant: NA, EU, AP, LATAM, JPN, KOREA, SA, UAE, AUS, USGOV, USDOD, CANADA, GERMANY, INDIA, FRANCE, UK or SUI
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Region,
    /// Subscription of the key vault
    #[arg(long, value_name = "GUID")]
    pub(crate) subscription: SubscriptionId,
    /// Key vault
    #[arg(long, value_name = "NAME")]
    pub(crate) vault: VaultName,
    /// Resource group of the key vault
    #[arg(long, value_name = "NAME")]
    pub(crate) resource_group: ResourceGroup,
    /// Organisation or tenant, for the title
    #[arg(long, value_name = "NAME")]
    pub(crate) organisation: String,
    /// Name for the domain without its key (default: NAME_keyless.xml)
    #[arg(long, value_name = "WINDOWS-PATH")]
    pub(crate) keyless: Option<WindowsPath>,
    /// Name for the key in the clear, which is erased in the course (default: NAME_key.pem)
    #[arg(long, value_name = "WINDOWS-PATH")]
    pub(crate) pem: Option<WindowsPath>,
    /// Make a new Security World first; this erases the module
    #[arg(long)]
    pub(crate) new_security_world: bool,
    /// File for the run book; without it, it goes to standard output
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

/// A store.
#[derive(Debug, Args)]
pub(crate) struct StoreArguments {
    /// The store: `file:DIR`, or a PKCS#11 URI with `module-path` and `pin-source`
    #[arg(long, value_name = "URI")]
    pub(crate) store: String,
    #[command(flatten)]
    pub(crate) keyring: KeyringPassword,
}
