//! What Windows clients need: registry files, and PowerShell scripts that do the same with `-WhatIf` and the version gate.
//!
//! Three states follow each other: prepared (clients that have not moved stay with AD RMS, even for content of those who have; rule
//! 153), migrated (rules 163–166), and rolled back. Prepared values lead from the tenant to AD RMS, migrated ones from AD RMS to the
//! tenant: migrating therefore clears the keys first. The text of the supplier's scripts is not public; these are of our own making,
//! from the documented keys. They have not been run on Windows here.

use super::names::{CERTIFICATION, LICENSING, Names};
use super::{Artefact, Stage};
use super::power_shell::literal;
use super::registry::{Data, Key, RegistryFile, Value};
use crate::error::Result;
use crate::migration::file::MigrationFile;

const MACHINE: &str = r"HKEY_LOCAL_MACHINE\Software";
const USER: &str = r"HKEY_CURRENT_USER\Software";
/// Below a root: for programs as wide as Windows, and for 32-bit ones.
const WIDTHS: [&str; 2] = ["", r"\WOW6432Node"];
const USER_MSIPC: &str = r"HKEY_CURRENT_USER\Software\Classes\Local Settings\Software\Microsoft\MSIPC\LicensingRedirection";
/// Where the scripts record the version that has run.
const RECORD: &str = r"Software\keykit\Migration";

/// All files for clients, in the order of their use; roll-backs come last.
///
/// `version` is the number of the version gate (rule 165): a script runs again only under a higher one.
///
/// # Errors
/// [`crate::Error::Refused`] by rules 154, 160 and 166 for URLs that are missing or have another form.
pub fn artefacts(file: &MigrationFile, version: u32) -> Result<Vec<Artefact>> {
    let names = Names::of(file)?;
    let (prepare, clean_machine, clean_user) = (prepare(&names)?, clean_machine()?, clean_user()?);
    let (machine, user) = (migrate_machine(&names)?, migrate_user(&names)?);
    let (unprepare, unmachine, unuser) = (undo(&prepare)?, undo(&machine)?, undo(&user)?);
    let (first, then) = (Stage::PrepareClients, Stage::Clients);
    let made = |stage, name: &str, bytes, purpose: &str, rules: &[u16]| Artefact::new(stage, format!("clients/{name}"), bytes, purpose, rules);
    let script = |gate, clean: Option<&RegistryFile>, set: &RegistryFile| script(gate, version, clean, set);
    Ok(vec![
        made(first, "prepare-machine.reg", prepare.to_bytes(), "all Windows computers, before the first batch: they stay with AD RMS", &[153]),
        made(first, "Prepare-Client.ps1", script(Gate::Prepare, None, &prepare)?, "the same as a script", &[153]),
        made(first, "unprepare-machine.reg", unprepare.to_bytes(), "what prepare-machine.reg set goes", &[153]).undoing(),
        made(then, "clean-machine.reg", clean_machine.to_bytes(), "a computer that moves: old service locations go", &[163]),
        made(then, "migrate-machine.reg", machine.to_bytes(), "then: locations and redirections to the tenant", &[160, 164, 166]),
        made(then, "Migrate-Client.ps1", script(Gate::Machine, Some(&clean_machine), &machine)?, "both as a script, at start-up", &[160, 164, 165, 166]),
        made(then, "clean-user.reg", clean_user.to_bytes(), "a user who moves: old locations go", &[163]),
        made(then, "migrate-user.reg", user.to_bytes(), "then: the user's redirections", &[160, 164, 166]),
        made(then, "Migrate-User.ps1", script(Gate::User, Some(&clean_user), &user)?, "both as a script, at logon, after the computer's", &[160, 164, 165, 166]),
        made(then, "rollback-machine.reg", unmachine.to_bytes(), "what migrate-machine.reg set goes", &[164]).undoing(),
        made(then, "Rollback-Client.ps1", script(Gate::UndoMachine, None, &unmachine)?, "the same as a script; then prepare anew", &[164, 165]).undoing(),
        made(then, "rollback-user.reg", unuser.to_bytes(), "what migrate-user.reg set goes", &[164]).undoing(),
        made(then, "Rollback-User.ps1", script(Gate::UndoUser, None, &unuser)?, "the same as a script, and the record of the version", &[164, 165]).undoing(),
    ])
}

fn text(name: Option<&str>, data: &str) -> Result<Value> {
    Value::new(name, Data::Text(data.to_owned()))
}

/// Discovery stays with AD RMS, and the tenant's licences are opened there.
fn prepare(names: &Names) -> Result<RegistryFile> {
    let mut keys = Vec::new();
    if let Some(outside) = names.main_cluster().and_then(|cluster| cluster.outside()) {
        let licensing = format!("{outside}{LICENSING}");
        for width in WIDTHS {
            let location = format!(r"{MACHINE}{width}\Microsoft\MSIPC\ServiceLocation");
            keys.push(Key::with(&format!(r"{location}\EnterpriseCertification"), vec![text(None, &format!("{outside}{CERTIFICATION}"))?])?);
            keys.push(Key::with(&format!(r"{location}\EnterprisePublishing"), vec![text(None, &licensing)?])?);
            keys.push(Key::with(&format!(r"{location}\LicensingRedirection"), vec![text(Some(&names.licensing()), &licensing)?])?);
            for office in names.msdrm_versions() {
                let path = format!(r"{MACHINE}{width}\Microsoft\Office\{office}\Common\DRM\LicenseServerRedirection");
                keys.push(Key::with(&path, vec![text(Some(&names.licensing()), &licensing)?])?);
            }
        }
    }
    Ok(RegistryFile { keys })
}

/// Everything that the documented clean-up deletes for a computer.
fn clean_machine() -> Result<RegistryFile> {
    let mut keys = vec![Key::deleted(&format!(r"{MACHINE}\Microsoft\MSDRM\ServiceLocation"))?];
    for width in WIDTHS {
        keys.push(Key::deleted(&format!(r"{MACHINE}{width}\Microsoft\MSIPC\ServiceLocation"))?);
        for office in ["11.0", "12.0", "14.0"] {
            keys.push(Key::deleted(&format!(r"{MACHINE}{width}\Microsoft\Office\{office}\Common\DRM"))?);
        }
    }
    Ok(RegistryFile { keys })
}

/// Everything that it deletes for a user.
fn clean_user() -> Result<RegistryFile> {
    let mut keys = Vec::new();
    for width in WIDTHS {
        for office in ["11.0", "12.0", "14.0"] {
            keys.push(Key::deleted(&format!(r"{USER}{width}\Microsoft\Office\{office}\Common\DRM"))?);
        }
    }
    let values = vec![Value::new(Some("DefaultServerUrl"), Data::Deleted)?, Value::new(Some("DefaultServer"), Data::Deleted)?];
    keys.push(Key::with(&format!(r"{USER}\Microsoft\Office\15.0\Common\DRM"), values)?);
    keys.push(Key::deleted(&format!(r"{USER}\Microsoft\Office\16.0\Common\DRM"))?);
    Ok(RegistryFile { keys })
}

/// From each old licensing URL to the tenant's.
fn redirections(names: &Names) -> Result<Vec<Value>> {
    names.old_licensing().iter().map(|old| text(Some(old), &names.licensing())).collect()
}

fn migrate_machine(names: &Names) -> Result<RegistryFile> {
    let (licensing, certification) = (names.licensing(), names.certification());
    let mut keys = Vec::new();
    if names.has_old_office() {
        for (name, url) in [("Activation", &certification), ("EnterprisePublishing", &licensing), ("EnterpriseCertification", &certification)] {
            keys.push(Key::with(&format!(r"{MACHINE}\Microsoft\MSDRM\ServiceLocation\{name}"), vec![text(None, url)?])?);
        }
    }
    for width in WIDTHS {
        let location = format!(r"{MACHINE}{width}\Microsoft\MSIPC\ServiceLocation");
        keys.push(Key::with(&format!(r"{location}\EnterpriseCertification"), vec![text(None, &certification)?])?);
        keys.push(Key::with(&format!(r"{location}\EnterprisePublishing"), vec![text(None, &licensing)?])?);
        keys.push(Key::with(&format!(r"{location}\LicensingRedirection"), redirections(names)?)?);
        for office in names.msdrm_versions() {
            let path = format!(r"{MACHINE}{width}\Microsoft\Office\{office}\Common\DRM\LicenseServerRedirection");
            keys.push(Key::with(&path, redirections(names)?)?);
        }
    }
    Ok(RegistryFile { keys })
}

fn migrate_user(names: &Names) -> Result<RegistryFile> {
    let mut keys = Vec::new();
    for width in WIDTHS {
        for office in names.msdrm_versions() {
            let path = format!(r"{USER}{width}\Microsoft\Office\{office}\Common\DRM\LicenseServerRedirection");
            keys.push(Key::with(&path, redirections(names)?)?);
        }
    }
    keys.push(Key::with(USER_MSIPC, redirections(names)?)?);
    for office in names.msipc_versions() {
        let values = vec![text(Some("DefaultServerUrl"), &names.licensing())?, text(Some("DefaultServer"), &names.tenant_host)?];
        keys.push(Key::with(&format!(r"{USER}\Microsoft\Office\{office}\Common\DRM"), values)?);
    }
    Ok(RegistryFile { keys })
}

/// Deletes the values that a file sets, and nothing else.
fn undo(file: &RegistryFile) -> Result<RegistryFile> {
    let undone = |key: &Key| Key::with(key.path(), key.values().iter().map(|value| Value::new(value.name(), Data::Deleted)).collect::<Result<_>>()?);
    Ok(RegistryFile { keys: file.keys.iter().filter(|key| !key.is_deleted()).map(undone).collect::<Result<_>>()? })
}

/// What a script asks of the version records, and what it writes there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    Prepare,
    Machine,
    User,
    UndoUser,
    UndoMachine,
}

impl Gate {
    fn is_user(self) -> bool {
        matches!(self, Self::User | Self::UndoUser)
    }

    fn before(self) -> &'static str {
        match self {
            Self::Machine => {
                "if ((Read-Version 'LocalMachine' 'ClientVersion') -ge $Version) { Write-Output \"Version $Version has run here.\"; return }\n"
            }
            Self::User => {
                "if ((Read-Version 'LocalMachine' 'ClientVersion') -ne $Version) { throw \"Migrate-Client.ps1 has not run here with version $Version.\" }\n\
                 if ((Read-Version 'CurrentUser' 'UserVersion') -ge $Version) { Write-Output \"Version $Version has run here.\"; return }\n\
                 foreach ($store in 'Microsoft\\DRM', 'Microsoft\\MSIPC') {\n    $folder = Join-Path $env:LOCALAPPDATA $store\n    \
                 if (Test-Path -LiteralPath $folder) { Get-ChildItem -LiteralPath $folder -Force | Remove-Item -Recurse -Force }\n}\n"
            }
            Self::Prepare => {
                "if ((Read-Version 'LocalMachine' 'ClientVersion') -gt 0) { throw 'This computer has migrated: run Rollback-Client.ps1 first.' }\n"
            }
            Self::UndoUser | Self::UndoMachine => "",
        }
    }

    fn after(self) -> &'static str {
        match self {
            Self::Prepare => "",
            Self::Machine => "Set-Number 'LocalMachine' $Record 'ClientVersion' $Version\n",
            Self::User => "Set-Number 'CurrentUser' $Record 'UserVersion' $Version\n",
            Self::UndoUser => "Remove-Value 'CurrentUser' $Record 'UserVersion'\n",
            Self::UndoMachine => "Remove-Value 'LocalMachine' $Record 'ClientVersion'\n",
        }
    }
}

/// A script: UTF-8 with a byte order mark, as Windows PowerShell 5.1 needs it for other than ASCII; CR LF.
fn script(gate: Gate, version: u32, clean: Option<&RegistryFile>, set: &RegistryFile) -> Result<Vec<u8>> {
    let mut text = String::from("\u{feff}#Requires -Version 5.1\n");
    if !gate.is_user() {
        text.push_str("#Requires -RunAsAdministrator\n");
    }
    text.push_str(&format!("[CmdletBinding(SupportsShouldProcess)]\nparam([int] $Version = {version})\n$Record = {}\n", literal(RECORD)?));
    text.push_str(include_str!("clients/functions.ps1"));
    text.push_str(gate.before());
    for key in clean.into_iter().chain([set]).flat_map(|file| &file.keys) {
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
    text.push_str(gate.after());
    Ok(text.replace('\n', "\r\n").into_bytes())
}

#[cfg(test)]
mod tests;
