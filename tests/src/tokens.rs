//! Tokens of tests, opened by URI.

use std::path::Path;

use keykit::Result;
use keykit::secret::Password;
use keykit_hsm_backends::pkcs11::{Pkcs11Options, Pkcs11Store, Pkcs11Uri};

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
