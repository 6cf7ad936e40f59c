//! `keykit tenant`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{EraArgument, KeyringPassword};

/// `keykit tenant`
#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
    /// Make a tenant folder
    Init {
        /// The folder
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        tenant: PathBuf,
        /// Import rules: 2016 makes the first key active, current leaves all archived
        #[arg(long, value_enum, default_value_t = EraArgument::Current)]
        era: EraArgument,
        /// A migration file whose [approval] table says who must approve every plan that changes this tenant
        #[arg(long, value_name = "MIGRATION.toml", value_hint = ValueHint::FilePath)]
        custodians: Option<PathBuf>,
    },
    /// Show keys and templates
    Show {
        /// The folder
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        tenant: PathBuf,
    },
    /// Make a key the active one: the one that was active is archived, all templates are signed anew
    Activate {
        /// The key's identity, or the start of it; `default` for the tenant's own first key
        key: String,
        #[command(flatten)]
        arguments: ActivateArguments,
    },
    /// Make the key active again that was active before
    Rollback(ActivateArguments),
    /// Give the tenant a new active key, made in a store or brought along
    Rekey(RekeyTenantArguments),
    /// Import, list, publish, archive and edit rights templates
    #[command(subcommand)]
    Template(TemplateCommand),
    /// Write a key with its certificates and templates as a trusted publishing domain: the way out
    Export(ExportArguments),
    /// Change the keyring password
    Repassword {
        /// The folder
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        tenant: PathBuf,
        #[command(flatten)]
        keyring: KeyringPassword,
        /// Where the new password comes from
        #[arg(long, value_name = "SOURCE", default_value = "prompt")]
        new_password_source: String,
    },
}

/// What opens the store of a key.
#[derive(Debug, Args)]
pub(crate) struct TokenSecrets {
    #[command(flatten)]
    pub(crate) keyring: KeyringPassword,
    /// Where the PIN of the token comes from, for keys in a token
    #[arg(long, value_name = "SOURCE")]
    pub(crate) pin_source: Option<String>,
}

/// `keykit tenant activate` and `keykit tenant rollback`
#[derive(Debug, Args)]
pub(crate) struct ActivateArguments {
    /// The folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) tenant: PathBuf,
    /// Other tenant folders, which must not hold the key (rule 4); those beside this one are looked at anyway
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) other_tenant: Vec<PathBuf>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) secrets: TokenSecrets,
}

/// `keykit tenant rekey`
#[derive(Debug, Args)]
pub(crate) struct RekeyTenantArguments {
    /// The folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) tenant: PathBuf,
    /// Token that is to make the key, or that holds it; without it the key is made in the tenant's folder
    #[arg(long, value_name = "PKCS11-URI", conflicts_with = "key")]
    pub(crate) target: Option<String>,
    /// Take this key instead of making one: `file:DIR#KEY-ID` (under the same keyring password), which is copied into the folder of the tenant, or a PKCS#11 URI with `object` or `id`
    #[arg(long, value_name = "URI", conflicts_with = "bits")]
    pub(crate) key: Option<String>,
    /// Size of the new key in bits
    #[arg(long, default_value_t = 2048)]
    pub(crate) bits: usize,
    /// Leave the new key wrappable under a trusted key, for a later transfer to a cloud
    #[arg(long, requires = "target")]
    pub(crate) keep_transferable: bool,
    /// Other tenant folders, which must not hold the key (rule 4); those beside this one are looked at anyway
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) other_tenant: Vec<PathBuf>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) secrets: TokenSecrets,
}

/// `keykit tenant template`
#[derive(Debug, Subcommand)]
pub(crate) enum TemplateCommand {
    /// Take templates in, exported from AD RMS or Azure RMS; they keep their GUIDs and arrive archived
    Import {
        /// Files with templates
        #[arg(required = true, value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
        /// The folder of the tenant
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        tenant: PathBuf,
        /// Let a file take the place of another version with the same GUID (rule 143); what is overwritten is said
        #[arg(long)]
        overwrite: bool,
    },
    /// List all templates
    List {
        /// The folder of the tenant
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        tenant: PathBuf,
    },
    /// Show a template with its rights
    Show {
        /// GUID of the template
        guid: String,
        /// The folder of the tenant
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        tenant: PathBuf,
    },
    /// Offer a template to users; it is signed by the active key
    Publish {
        /// GUID of the template
        guid: String,
        /// The folder of the tenant
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        tenant: PathBuf,
        #[command(flatten)]
        secrets: TokenSecrets,
    },
    /// Take a template back from users; what was protected with it still opens
    Archive {
        /// GUID of the template
        guid: String,
        /// The folder of the tenant
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        tenant: PathBuf,
    },
    /// Add rights to those of a template, or take some away; all others stay
    Edit {
        /// GUID of the template
        guid: String,
        /// The folder of the tenant
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        tenant: PathBuf,
        /// Rights to add: an address (or ANYONE, or OWNER), a colon, and VIEW, EDIT, DOCEDIT, EXTRACT, OBJMODEL, EXPORT, PRINT, OWNER, FORWARD, REPLY or REPLYALL, with commas between
        #[arg(long, value_name = "USER:RIGHT[,RIGHT]", required_unless_present = "revoke")]
        grant: Vec<String>,
        /// Rights to take away: an address (or ANYONE, or OWNER), with a colon and rights, or alone for all of them
        #[arg(long, value_name = "USER[:RIGHT,…]")]
        revoke: Vec<String>,
        #[command(flatten)]
        secrets: TokenSecrets,
    },
}

/// `keykit tenant export`
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// The folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) tenant: PathBuf,
    /// The key's identity, or the start of it; the active key unless given
    #[arg(long, value_name = "KEY", conflicts_with = "all")]
    pub(crate) key: Option<String>,
    /// Every key, each in a file of its own; the output is a folder
    #[arg(long)]
    pub(crate) all: bool,
    /// Where the domain goes, or the folder for all of them
    #[arg(long, short, value_name = "TPD.xml", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Where the password of the new domain comes from
    #[arg(long, value_name = "SOURCE", default_value = "prompt")]
    pub(crate) password_source: String,
    #[command(flatten)]
    pub(crate) keyring: KeyringPassword,
}
