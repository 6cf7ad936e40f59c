//! Tokens of tests, opened by URI.

use std::path::{Path, PathBuf};

use keykit::Result;
use keykit::secret::Password;
use keykit_hsm_backends::pkcs11::{Pkcs11Options, Pkcs11Store, Pkcs11Uri};

use crate::child::{in_child, is_child, skip};
use crate::kryoptic::{self, Kryoptic};
use crate::softhsm::{self, SoftHsm};

/// Opens a token whose URI names its `pin-source`.
///
/// # Errors
/// What the source or the token says.
pub fn open(uri: &Pkcs11Uri) -> Result<Pkcs11Store> {
    let no_prompt = |what: &str| -> Result<Password> { Err(keykit::Error::usage(format!("a test asks for {what}"))) };
    let pin = uri.pin_source.as_ref().map(|source| source.read(&no_prompt)).transpose()?;
    Pkcs11Store::open(uri, pin, Pkcs11Options::default())
}

/// Opens the token with this label, with this PIN.
///
/// # Errors
/// What the token says.
pub fn open_labelled(module: &Path, label: &str, pin: &str) -> Result<Pkcs11Store> {
    let uri = Pkcs11Uri { token: Some(label.into()), module_path: Some(module.into()), ..Pkcs11Uri::default() };
    Pkcs11Store::open(&uri, Some(Password::new(pin.into())), Pkcs11Options::default())
}

/// The modules of both kinds of token, in one process.
#[derive(Debug)]
pub struct BothModules {
    softhsm: PathBuf,
    kryoptic: PathBuf,
}

impl BothModules {
    /// The module of SoftHSM.
    #[must_use]
    pub fn softhsm_module(&self) -> &Path {
        &self.softhsm
    }

    /// The module of kryoptic.
    #[must_use]
    pub fn kryoptic_module(&self) -> &Path {
        &self.kryoptic
    }

    /// Opens the token of SoftHSM with this label.
    ///
    /// # Errors
    /// What the token says.
    pub fn softhsm(&self, label: &str) -> Result<Pkcs11Store> {
        open_labelled(&self.softhsm, label, softhsm::PIN)
    }

    /// Opens the token of kryoptic with this label.
    ///
    /// # Errors
    /// What the token says.
    pub fn kryoptic(&self, label: &str) -> Result<Pkcs11Store> {
        open_labelled(&self.kryoptic, label, kryoptic::PIN)
    }
}

/// Runs `body` with a fresh token of each kind under each of these labels, in a child process that runs only the test
/// `name`. Without both modules the test is skipped and says so, unless KEYKIT_REQUIRE_TOKENS is set.
///
/// # Panics
/// If the body fails, or a module is missing and required.
pub fn on_both(name: &str, labels: &[&str], body: impl FnOnce(&BothModules)) {
    let Some((softhsm, kryoptic)) = softhsm::module().zip(kryoptic::module()) else {
        skip(name, "SoftHSM or kryoptic is missing (`cargo xtask setup` brings both)");
        return;
    };
    if is_child() {
        return body(&BothModules { softhsm, kryoptic });
    }
    let (softhsm, kryoptic) = (SoftHsm::make(labels), Kryoptic::make(&kryoptic, labels));
    in_child(name, &[("SOFTHSM2_CONF", &softhsm.configuration()), ("KRYOPTIC_CONF", &kryoptic.configuration())]);
}
