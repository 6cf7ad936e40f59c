//! `keykit content`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::TokenSecrets;

/// `keykit content`
#[derive(Debug, Subcommand)]
pub(crate) enum ContentCommand {
    /// Decrypt the content of one protected file with a key of the tenant
    ///
    /// Kinds: .pfile, .ptxt, .ppdf and their like (versions 1 to 3); Office documents of both generations in a compound file; message.rpmsg. What
    /// comes out of mail and binary Office is a compound file. Archives and mail around a protected file must be unpacked first.
    ///
    /// The formats have no integrity check: a change of the file can go unnoticed. No real protected file came with its key, so that this is
    /// proven on files that keykit made itself, on a published answer (AES-CBC4K) and against OpenSSL (AES), not on a file of the service.
    Open(OpenContentArguments),
}

/// `keykit content open`
#[derive(Debug, Args)]
pub(crate) struct OpenContentArguments {
    /// The protected file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The tenant folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) tenant: PathBuf,
    /// Where the content goes, in the clear (mode 0600); nothing is overwritten
    #[arg(long, short, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) secrets: TokenSecrets,
}
