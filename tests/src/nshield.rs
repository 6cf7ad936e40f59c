//! Tokens with the face of an nShield module, for tests: SoftHSM behind `tests/nshield-shim`. And outputs of the module's tools
//! about their keys.

use std::path::{Path, PathBuf};

use keykit::key::RsaPublicKey;
pub use keykit_nshield_shim::identity::TokenKind;
use keykit_nshield_shim::identity::{APP, ShownToken, hex, key_hash};
use serde_json::json;

use crate::child::{in_child, is_child, skip};
use crate::softhsm::{self, PIN, SoftHsm};

/// Names the file of the shim's faults.
const FAULTS: &str = "KEYKIT_SHIM_FAULTS_FILE";

/// Names the file of the calls.
const CALLS: &str = "KEYKIT_SHIM_CALLS";

/// The two modules of a test, over the same tokens.
#[derive(Debug)]
pub struct Modules {
    /// The shim.
    pub shim: PathBuf,
    /// SoftHSM itself.
    pub softhsm: PathBuf,
}

impl Modules {
    /// From now on calls through the shim fail as these rules say (`tests/nshield-shim/README.md`); an empty text ends that.
    ///
    /// # Panics
    /// If the file of the rules can't be written.
    pub fn set_faults(&self, rules: &str) {
        let file = std::env::var_os(FAULTS).expect("on_nshield names the file");
        std::fs::write(file, rules).expect("the file of the rules");
    }

    /// The functions that the shim was asked for since the last question, or since the start.
    ///
    /// # Panics
    /// Outside of [`on_nshield`].
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        let file = std::env::var_os(CALLS).expect("on_nshield names the file");
        // Without a call there is no file.
        let calls = std::fs::read_to_string(&file).unwrap_or_default();
        std::fs::remove_file(file).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }
}

/// The shim's file. Cargo builds it beside the test binary, since this crate depends on it.
#[must_use]
pub fn module() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?.parent()?.join("libkeykit_nshield_shim.so");
    Some(beside).filter(|path| path.exists())
}

/// Runs `body` on fresh tokens with these labels, in a child process that runs only the test `name`. Without SoftHSM the test is
/// skipped and says so, unless KEYKIT_REQUIRE_TOKENS is set.
///
/// # Panics
/// If the body fails, or SoftHSM is missing and required, or the shim is not there.
pub fn on_nshield(name: &str, labels: &[&str], body: impl FnOnce(&Modules)) {
    let Some(softhsm) = softhsm::module() else {
        skip(name, "SoftHSM is not installed (`cargo xtask setup` installs it)");
        return;
    };
    let shim = module().expect("the shim beside the test binary");
    if is_child() {
        return body(&Modules { shim, softhsm });
    }
    let tokens = SoftHsm::make(labels);
    let configuration = tokens.configuration();
    let [faults, calls] = ["faults", "calls"].map(|name| configuration.with_file_name(name));
    let shim = [("KEYKIT_SHIM_MODULE", softhsm.as_path()), ("KEYKIT_SHIM_PIN", Path::new(PIN)), (FAULTS, &faults), (CALLS, &calls)];
    in_child(name, &[&[("SOFTHSM2_CONF", configuration.as_path())], &shim[..]].concat());
}

/// A key in a token, as the module's tools describe it. Change a field to make evidence that is wrong.
#[derive(Debug, Clone)]
pub struct DescribedKey {
    /// What protects it.
    pub kind: TokenKind,
    /// Application name.
    pub app: String,
    /// Identifier.
    pub ident: String,
    /// Key hash, 40 hex digits.
    pub hash: String,
    /// Hash of the card set or softcard.
    pub token_hash: Option<String>,
    /// The public half.
    pub public: RsaPublicKey,
}

impl DescribedKey {
    /// The key with this public half in SoftHSM's token of this label.
    #[must_use]
    pub fn new(token_label: &str, public: &RsaPublicKey) -> Self {
        let token = ShownToken::of_label(token_label);
        Self {
            kind: token.kind,
            app: APP.to_owned(),
            ident: token.key_ident(public.modulus()),
            hash: hex(&key_hash(public.modulus())),
            token_hash: token.token_hash(),
            public: public.clone(),
        }
    }

    /// Output of `nfkminfo -l` with this key and one of somebody else.
    #[must_use]
    pub fn name_list(&self) -> String {
        let section = match self.kind {
            TokenKind::Accelerator => "Keys with module protection:",
            TokenKind::CardSet => "Keys protected by cardsets:",
            TokenKind::SoftCard => "Keys protected by softcards:",
        };
        format!("Keys with module protection:\nkey_simple_contosobyok `other key'\n\n{section}\nkey_{}_{} `AD RMS'\n", self.app, self.ident)
    }

    /// Output of `nfkminfo -k APP IDENT`.
    #[must_use]
    pub fn key_info(&self) -> String {
        let (protection, token) = match self.kind {
            TokenKind::Accelerator => ("Module", ""),
            TokenKind::CardSet => ("CardSet", "cardset"),
            TokenKind::SoftCard => ("PassPhrase", "softcard"),
        };
        let token = self.token_hash.as_ref().map(|hash| format!(" {token:<28}{hash}\n")).unwrap_or_default();
        format!(
            "Key AppName {} Ident {} BlobKA length   752\n name                        \"AD RMS\"\n hash                        {}\n \
             recovery                    Enabled\n protection                  {protection}\n{token}",
            self.app, self.ident, self.hash
        )
    }

    /// Output of `nfkminfo -k`.
    #[must_use]
    pub fn key_list(&self) -> String {
        format!("Key list - 1 keys\n AppName {:<20} Ident {}\n", self.app, self.ident)
    }

    /// Output of `nfkmattest verify`.
    #[must_use]
    pub fn attestation(&self) -> String {
        use base64ct::{Base64, Encoding};
        let protection = match self.kind {
            TokenKind::Accelerator => "module",
            TokenKind::CardSet => "cardset",
            TokenKind::SoftCard => "softcard",
        };
        let exponent: Vec<u8> = self.public.exponent().to_be_bytes().into_iter().skip_while(|&byte| byte == 0).collect();
        json!({
            "path": format!("key_{}_{}.att", self.app, self.ident),
            "protection": protection,
            "recovery": true,
            "permissions": ["decrypt", "sign"],
            "esn": "5F08-02E0-D947",
            "hknso": "59178a47de508c3f291277ee184f46c4f1d9c639",
            "k": {
                "type": "RSAPublic",
                "data": { "n": Base64::encode_string(self.public.modulus()), "e": Base64::encode_string(&exponent) },
            },
        })
        .to_string()
    }
}
