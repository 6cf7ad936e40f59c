//! The command line of `keykit byok`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::KeyringPassword;

/// `keykit byok`
#[derive(Debug, Subcommand)]
pub(crate) enum ByokCommand {
    /// List what receivers of wrapped keys want, or show one of them
    Profiles {
        /// The profile to show
        name: Option<String>,
        #[command(flatten)]
        file: ProfileFile,
        /// Print the profiles that keykit brings as a TOML file to start from
        #[arg(long, conflicts_with_all = ["name", "profile_file"])]
        toml: bool,
    },
    /// Wrap a key for a receiver and write its transfer file
    Wrap(WrapArguments),
    /// Take the key of a transfer file into a store that holds the key encryption key
    Unwrap(UnwrapArguments),
    /// Wrap a key under a key encryption key made for the occasion, unwrap it and prove that it is the same; nothing is left behind
    Rehearse(RehearseArguments),
    /// Say whether transfer files and key encryption keys are sound, and which receivers they suit
    Inspect {
        /// Files to look at
        #[arg(required = true, value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
        /// A profile that they must suit
        #[arg(long, value_name = "NAME")]
        profile: Option<String>,
        #[command(flatten)]
        file: ProfileFile,
    },
}

/// Profiles of one's own.
#[derive(Debug, Args)]
pub(crate) struct ProfileFile {
    /// TOML file with more profiles
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) profile_file: Option<PathBuf>,
}

/// The profile of a transfer.
#[derive(Debug, Args)]
pub(crate) struct ProfileChoice {
    /// The receiver: see `keykit byok profiles`
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: String,
    #[command(flatten)]
    pub(crate) file: ProfileFile,
}

/// The key that is wrapped.
#[derive(Debug, Args)]
pub(crate) struct TransferSource {
    /// Where the key is: an exported domain (TPD.xml), `file:DIR`, or a PKCS#11 URI
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) source: String,
    /// The key's identity, or the start of it, if the store holds several; `file:DIR#KEY-ID` works too
    #[arg(long, value_name = "KEY-ID")]
    pub(crate) key: Option<String>,
    /// Where the password of the exported domain comes from: prompt, fd:N, file:PATH, env:VAR or exec:CMD
    #[arg(long, value_name = "SOURCE", default_value = "prompt")]
    pub(crate) password_source: String,
    #[command(flatten)]
    pub(crate) keyring: KeyringPassword,
    /// Allow an AES key that exists in this process for a moment, where the source token offers no other way
    #[arg(long)]
    pub(crate) allow_host_visible_ephemeral_key: bool,
    /// DANGER: wrap a key of a folder (`file:DIR`) though it was stored to stay there
    #[arg(long)]
    pub(crate) danger_wrap_key_that_must_stay: bool,
}

/// `keykit byok wrap`
#[derive(Debug, Args)]
pub(crate) struct WrapArguments {
    #[command(flatten)]
    pub(crate) source: TransferSource,
    #[command(flatten)]
    pub(crate) profile: ProfileChoice,
    /// Public key to wrap under: PEM, DER, certificate, JSON Web Key, or what the provider's tool prints as JSON
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) kek: PathBuf,
    /// SHA-256 of its SubjectPublicKeyInfo as its owner read it out, in hex or as PGP words
    #[arg(long, value_name = "SHA256")]
    pub(crate) kek_fingerprint: Option<String>,
    /// Plan that names fingerprint, profile and identifier of the key encryption key; or its migration file
    #[arg(long, value_name = "PLAN.json", value_hint = ValueHint::FilePath, conflicts_with_all = ["kek_fingerprint", "kid"])]
    pub(crate) plan: Option<PathBuf>,
    /// Identifier of the key encryption key at its provider, if its file does not tell
    #[arg(long, value_name = "URL")]
    pub(crate) kid: Option<String>,
    /// Pad the base64url of a .byok file with `=`, as some tools write it
    #[arg(long)]
    pub(crate) pad_b64: bool,
    /// Fill a name of the next command in: name=contoso-slc
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) fill: Vec<String>,
    /// Where the transfer file goes
    #[arg(long, short, value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
}

/// `keykit byok unwrap`
#[derive(Debug, Args)]
pub(crate) struct UnwrapArguments {
    /// The transfer file
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) profile: ProfileChoice,
    /// Store that holds the key encryption key: `file:DIR` or a PKCS#11 URI
    #[arg(long, value_name = "URI")]
    pub(crate) kek_store: String,
    /// Identity of the key encryption key, or the start of it
    #[arg(long, value_name = "KEY-ID", default_value = "")]
    pub(crate) kek: String,
    /// Store for the key (default: the one of the key encryption key); `memory:` only tries it
    #[arg(long, short, value_name = "URI")]
    pub(crate) target: Option<String>,
    /// Label of the key in its store (default: the file's name)
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// Public half that the key must have: PEM, DER, certificate or JSON Web Key
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) public_key: Option<PathBuf>,
    /// Allow the key to be wrapped out again later (under any key)
    #[arg(long)]
    pub(crate) wrappable: bool,
    /// DANGER: let the key pass through this process's memory, where a token does not unwrap it by itself
    #[arg(long)]
    pub(crate) danger_key_in_memory: bool,
    #[command(flatten)]
    pub(crate) keyring: KeyringPassword,
}

/// `keykit byok rehearse`
#[derive(Debug, Args)]
pub(crate) struct RehearseArguments {
    #[command(flatten)]
    pub(crate) source: TransferSource,
    #[command(flatten)]
    pub(crate) profile: ProfileChoice,
    /// Token that plays the receiver (default: memory)
    #[arg(long, value_name = "URI", default_value = "memory:")]
    pub(crate) store: String,
    /// Size of the key encryption key in bits (default: the largest that the profile knows)
    #[arg(long, value_name = "BITS")]
    pub(crate) kek_bits: Option<usize>,
}
