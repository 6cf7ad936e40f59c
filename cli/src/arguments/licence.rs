//! Arguments of `keykit licence` and of `keykit prove-access`.

use std::num::NonZero;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use keykit::licence::rekey::OPEN_EVERY;

use super::{IssueArguments, KeyringPassword};

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
