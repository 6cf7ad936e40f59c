//! `keykit licence issue`

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::TokenSecrets;

/// `keykit licence issue`
#[derive(Debug, Args)]
pub(crate) struct IssueArguments {
    /// The tenant folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) tenant: PathBuf,
    /// Where the licence goes
    #[arg(long, short, value_name = "LICENCE", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) secrets: TokenSecrets,
    #[command(flatten)]
    pub(crate) publishing: PublishingArguments,
    #[command(flatten)]
    pub(crate) using: UseArguments,
}

/// A publishing licence.
#[derive(Debug, Args)]
#[command(next_help_heading = "Publishing licence")]
pub(crate) struct PublishingArguments {
    /// Where the new content key goes (mode 0600, the bytes alone)
    #[arg(long, value_name = "FILE", required_unless_present_any = ["content_key_in", "use_licence"], value_hint = ValueHint::FilePath)]
    pub(crate) content_key_out: Option<PathBuf>,
    /// File with the content key that the content is encrypted under: 16 or 32 bytes
    #[arg(long, value_name = "FILE", conflicts_with = "content_key_out", value_hint = ValueHint::FilePath)]
    pub(crate) content_key_in: Option<PathBuf>,
    /// Size of a new content key in bits
    #[arg(long, value_name = "BITS", default_value = "128", value_parser = ["128", "256"])]
    pub(crate) content_key_bits: String,
    /// How the content is encrypted under the content key
    #[arg(long, value_enum, default_value_t = CipherArgument::Cbc4k)]
    pub(crate) cipher: CipherArgument,
    /// GUID of a published template: its rights and terms
    #[arg(long, value_name = "GUID")]
    pub(crate) template: Option<String>,
    /// A right: an address (or ANYONE, or OWNER), a colon, and rights with commas between
    #[arg(long, value_name = "USER:RIGHT[,RIGHT]", conflicts_with = "template")]
    pub(crate) right: Vec<String>,
    /// Address of the author, who has every right
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) owner: Option<String>,
    /// Last day (or minute, UTC) on which the content may be opened: 2030-12-31 or 2030-12-31T18:00
    #[arg(long, value_name = "TIME")]
    pub(crate) valid_until: Option<String>,
    /// Number of days for which a use licence is good
    #[arg(long, value_name = "DAYS", conflicts_with = "template")]
    pub(crate) licence_days: Option<u32>,
    /// Identity of the content, a GUID; a new one unless given
    #[arg(long, value_name = "GUID")]
    pub(crate) content_id: Option<String>,
    /// Name of the policy, where no template gives one
    #[arg(long, conflicts_with = "template")]
    pub(crate) name: Option<String>,
    /// Address where use licences are to be had inside; that of the server's certificate unless given
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The same from outside
    #[arg(long, value_name = "URL")]
    pub(crate) extranet_url: Option<String>,
    /// The cryptographic mode that the licence must have; it is that of the active key
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) mode: Option<u8>,
}

/// A use licence.
#[derive(Debug, Args)]
#[command(next_help_heading = "Use licence")]
pub(crate) struct UseArguments {
    /// Issue a use licence for this publishing licence (or protected file)
    #[arg(
        long,
        value_name = "LICENCE",
        requires = "to",
        conflicts_with_all = ["content_key_out", "content_key_in", "template", "right", "owner", "valid_until", "licence_days", "content_id", "name", "url", "extranet_url"],
        value_hint = ValueHint::FilePath
    )]
    pub(crate) use_licence: Option<PathBuf>,
    /// Certificate of the user's account (RAC), with the key that the content key is sealed to
    #[arg(long, value_name = "CERTIFICATE", requires = "use_licence", value_hint = ValueHint::FilePath)]
    pub(crate) to: Option<PathBuf>,
    /// Address of a group that the user belongs to, as the directory says
    #[arg(long, value_name = "ADDRESS", requires = "use_licence")]
    pub(crate) member_of: Vec<String>,
}

/// How content is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CipherArgument {
    /// AES-ECB: Office documents and mail
    Ecb,
    /// AES-CBC in blocks of 4096 bytes: `.pfile`
    Cbc4k,
    /// The same without padding
    Cbc4kNoPadding,
    /// AES-CBC in blocks of 512 bytes, without padding
    Cbc512,
}
