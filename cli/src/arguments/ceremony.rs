//! Arguments of the commands for a ceremony: keys of people, approvals, script, transcript.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

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

/// `keykit script`
#[derive(Debug, Args)]
pub(crate) struct ScriptArguments {
    /// The plan
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) plan: PathBuf,
    /// Where the script goes; standard output unless given
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

/// `keykit transcript`
#[derive(Debug, Subcommand)]
pub(crate) enum TranscriptCommand {
    /// Record that something was not as the script has it
    Note(NoteArguments),
    /// Close a transcript, and sign it; once more with another key adds a signature
    Close(CloseArguments),
    /// Check a transcript line by line, and the signatures of witnesses; needs nothing but the files
    Verify(VerifyTranscriptArguments),
}

/// `keykit transcript note`
#[derive(Debug, Args)]
pub(crate) struct NoteArguments {
    /// The transcript
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) transcript: PathBuf,
    /// What was not as the script has it
    pub(crate) text: String,
    /// Who says so
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// The step that it is about
    #[arg(long, value_name = "STEP")]
    pub(crate) step: Option<String>,
}

/// `keykit transcript close`
#[derive(Debug, Args)]
pub(crate) struct CloseArguments {
    /// The transcript
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) transcript: PathBuf,
    /// Private keys of the witnesses: of `keykit ceremony keygen` or `ssh-keygen -t ed25519`
    #[arg(long, required = true, value_name = "KEY", value_hint = ValueHint::FilePath)]
    pub(crate) key: Vec<PathBuf>,
    /// Names of the witnesses in the order of the keys; else those of the plan, else the comments of the keys
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Vec<String>,
    /// The plan, whose people are known by their keys
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub(crate) plan: Option<PathBuf>,
    /// Where the signed note goes; beside the transcript with .note at the end unless given
    #[arg(long, short, value_name = "NOTE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Close it although its last session has no end: its program has crashed, and will not go on
    #[arg(long)]
    pub(crate) crashed: bool,
    /// Where the passwords of the keys come from, once for all or in the order of the keys: prompt, fd:N, file:PATH, env:VAR or exec:CMD
    #[arg(long, value_name = "SOURCE", default_value = "prompt")]
    pub(crate) password_source: Vec<String>,
}

/// `keykit transcript verify`
#[derive(Debug, Args)]
pub(crate) struct VerifyTranscriptArguments {
    /// The transcript
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) transcript: PathBuf,
    /// The signed note that it was closed with
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub(crate) note: Option<PathBuf>,
    /// Public keys of witnesses; each must have signed the note
    #[arg(long, requires = "note", value_name = "PUB", value_hint = ValueHint::FilePath)]
    pub(crate) witness: Vec<PathBuf>,
    /// The plan that it must be about; its people are known by their keys
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub(crate) plan: Option<PathBuf>,
    /// Write the QR code of the final hash as SVG
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) qr: Option<PathBuf>,
}
