//! Arguments of the commands that take exported domains: `keykit inspect`, `keykit tpd` and `keykit migrate`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::{KeyringPassword, ProfileFile};

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
