//! Where passwords and PINs come from. Never from the arguments themselves.

use std::io::IsTerminal;
use std::path::Path;

use keykit::secret::Password;
use keykit::{Error, Result};
use keykit_hsm_backends::secret_source::SecretSource;

use crate::arguments::KeyringPassword;
use crate::progress::paused;

/// Names the source of the keyring password where no option does.
const KEYRING_VARIABLE: &str = "KEYKIT_KEYRING_PASSWORD_SOURCE";

/// Reads a secret from a source as the command line writes it; `what` is for the prompt.
pub(crate) fn read(source: &str, what: &str) -> Result<Password> {
    SecretSource::parse(source)?.read(&|_| prompt(what))
}

/// The passwords of exported domains: one for all, or one for each file in order. No source means: ask for each.
pub(crate) fn of_domains(sources: &[String], files: &[impl AsRef<Path>]) -> Result<Vec<Password>> {
    match sources {
        [] => files.iter().map(|file| prompt(&format!("password of {}", file.as_ref().display()))).collect(),
        [one] => Ok(vec![read(one, "password of the exported domains")?]),
        several if several.len() == files.len() => {
            several.iter().zip(files).map(|(source, file)| read(source, &format!("password of {}", file.as_ref().display()))).collect()
        }
        several => Err(Error::Usage {
            what: format!("{} password sources for {} files", several.len(), files.len()),
            hint: Some("give --password-source once for all files, or once for each file in the same order".into()),
        }),
    }
}

/// The password of a folder of keys that exists.
pub(crate) fn of_keyring(option: &KeyringPassword) -> Result<Password> {
    match keyring_source(option)? {
        Some(source) => read(&source, "keyring password"),
        None => prompt("keyring password"),
    }
}

/// The password of a folder of keys that is about to be made: typed twice if it is typed.
pub(crate) fn of_new_keyring(option: &KeyringPassword) -> Result<Password> {
    match keyring_source(option)?.as_deref() {
        None | Some("prompt") => new_password("new keyring password"),
        Some(source) => read(source, "keyring password"),
    }
}

/// A new password from a source; typed twice if it is typed.
pub(crate) fn new_from(source: &str, what: &str) -> Result<Password> {
    if source == "prompt" { new_password(what) } else { read(source, what) }
}

fn keyring_source(option: &KeyringPassword) -> Result<Option<String>> {
    match (&option.keyring_password_source, std::env::var(KEYRING_VARIABLE)) {
        (Some(source), _) => Ok(Some(source.clone())),
        (None, Ok(source)) => Ok(Some(source)),
        (None, Err(std::env::VarError::NotPresent)) => Ok(None),
        (None, Err(std::env::VarError::NotUnicode(_))) => Err(Error::usage(format!("{KEYRING_VARIABLE} is not text"))),
    }
}

fn new_password(what: &str) -> Result<Password> {
    let first = prompt(what)?;
    let second = prompt(&format!("{what}, again"))?;
    if first.expose().is_empty() {
        return Err(Error::usage("an empty password protects nothing"));
    }
    if first.expose() == second.expose() { Ok(first) } else { Err(Error::usage("the two passwords differ")) }
}

/// Asks on the terminal, without showing what is typed.
pub(crate) fn prompt(what: &str) -> Result<Password> {
    let no_terminal = || Error::Usage {
        what: format!("the {what} is needed and there is no terminal to ask on"),
        hint: Some("name a source: fd:N, file:PATH, env:VAR or exec:CMD".into()),
    };
    if !std::io::stderr().is_terminal() && !Path::new("/dev/tty").exists() {
        return Err(no_terminal());
    }
    paused(|| rpassword::prompt_password(format!("keykit: {what}: "))).map(Password::new).map_err(|_| no_terminal())
}
