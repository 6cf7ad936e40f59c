//! Scripts for PowerShell that do what a registry file does, with `-WhatIf`.

use super::power_shell::literal;
use super::registry::{Data, Key, RegistryFile, Value};
use super::{Artefact, Stage};
use crate::error::Result;

/// The functions that the lines of a script call.
const FUNCTIONS: &str = include_str!("registry_script/functions.ps1");

/// The beginning of a script: what it requires, its parameters, its functions.
pub(super) fn head(for_user: bool, parameters: &str, comments: &[String]) -> String {
    let mut text = String::from("\u{feff}#Requires -Version 5.1\n");
    if !for_user {
        text.push_str("#Requires -RunAsAdministrator\n");
    }
    comments.iter().for_each(|comment| text.push_str(&format!("# {comment}\n")));
    text.push_str(&format!("[CmdletBinding(SupportsShouldProcess)]\nparam({parameters})\n"));
    text.push_str(FUNCTIONS);
    text
}

/// The lines that do what a registry file does, in its order.
///
/// # Errors
/// [`crate::Error::Malformed`] for control characters, which a registry file refuses too.
pub(super) fn lines(file: &RegistryFile) -> Result<String> {
    let mut text = String::new();
    for key in &file.keys {
        let (hive, path) = match key.path().split_once('\\') {
            Some(("HKEY_LOCAL_MACHINE", path)) => ("'LocalMachine'", literal(path)?),
            Some((_, path)) => ("'CurrentUser'", literal(path)?),
            None => continue,
        };
        if key.is_deleted() {
            text.push_str(&format!("Remove-Key {hive} {path}\n"));
        }
        for value in key.values() {
            let name = literal(value.name().unwrap_or_default())?;
            match value.data() {
                Data::Text(data) => text.push_str(&format!("Set-Text {hive} {path} {name} {}\n", literal(data)?)),
                Data::Number(number) => text.push_str(&format!("Set-Number {hive} {path} {name} {number}\n")),
                Data::Deleted => text.push_str(&format!("Remove-Value {hive} {path} {name}\n")),
            }
        }
    }
    Ok(text)
}

/// The bytes of a script: UTF-8 with a byte order mark, as Windows PowerShell 5.1 needs it for other than ASCII; CR LF.
pub(super) fn bytes(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// Deletes the values that a file sets, and nothing else.
pub(super) fn undo(file: &RegistryFile) -> Result<RegistryFile> {
    let undone = |key: &Key| Key::with(key.path(), key.values().iter().map(|value| Value::new(value.name(), Data::Deleted)).collect::<Result<_>>()?);
    Ok(RegistryFile::new(file.keys.iter().filter(|key| !key.is_deleted()).map(undone).collect::<Result<_>>()?))
}

/// A registry file and the script that does the same.
///
/// # Errors
/// As [`lines`].
pub(super) fn pair(stage: Stage, stem: &str, script: &str, file: &RegistryFile, purpose: &str, rules: &[u16]) -> Result<[Artefact; 2]> {
    let text = format!("{}{}", head(false, "", file.comments()), lines(file)?);
    Ok([
        Artefact::new(stage, format!("{stem}.reg"), file.to_bytes(), purpose, rules),
        Artefact::new(stage, script, bytes(&text), "the same as a script", rules),
    ])
}
