//! What clients need: registry files for Windows, scripts that do the same with the version gate, and what completes the migration.
//!
//! Three states follow each other: prepared (clients that have not moved stay with AD RMS, even for content of those who have; rule
//! 153), migrated (rules 163–166), and rolled back. Prepared values lead from the tenant to AD RMS, migrated ones from AD RMS to the
//! tenant: migrating therefore clears the keys first. The text of the supplier's scripts is not public; these are of our own making,
//! from the documented keys. They have not been run on Windows here.

mod batch_files;
mod batches;
mod completion;

use super::names::{CERTIFICATION, LICENSING, Names};
use super::power_shell::literal;
use super::registry::{Data, Key, RegistryFile, Value};
use super::registry_script::{self, undo};
use super::{Artefact, Stage};
use crate::error::Result;
use crate::migration::file::{MigrationFile, Redirection};

const MACHINE: &str = r"HKEY_LOCAL_MACHINE\Software";
const USER: &str = r"HKEY_CURRENT_USER\Software";
/// Below a root: for programs as wide as Windows, and for 32-bit ones.
const WIDTHS: [&str; 2] = ["", r"\WOW6432Node"];
const USER_MSIPC: &str = r"HKEY_CURRENT_USER\Software\Classes\Local Settings\Software\Microsoft\MSIPC\LicensingRedirection";
/// Where the scripts record the version that has run.
const RECORD: &str = r"Software\keykit\Migration";

/// Whether the migration file says anything of clients.
pub(super) fn is_in_use(file: &MigrationFile) -> bool {
    file.clients.is_some() || !file.batch.is_empty()
}

/// All files for clients, in the order of their use; roll-backs come last in each step. None if no clients are in use.
///
/// `version` is the number of the version gate (rule 165): a script runs again only under a higher one.
///
/// # Errors
/// [`crate::Error::Refused`] by rules 154, 160 and 166 for URLs that are missing or have another form.
pub fn artefacts(file: &MigrationFile, version: u32) -> Result<Vec<Artefact>> {
    let mut files = Vec::new();
    if !is_in_use(file) {
        return Ok(files);
    }
    let names = Names::of(file)?;
    // All at once: nobody is to stay with AD RMS (rule 155).
    if file.is_phased() || file.onboarding.is_some() {
        files.extend(prepared(&names, version)?);
    }
    // The DNS alone redirects: nothing to set on the computers (rule 162).
    if file.clients.as_ref().and_then(|clients| clients.redirection.as_ref()).is_none_or(|redirection| redirection.value != Redirection::Dns) {
        files.extend(migrated(&names, version)?);
    }
    files.extend(batches::artefacts(file)?);
    files.extend(completion::artefacts(file, &names)?);
    Ok(files)
}

fn made(stage: Stage, name: &str, bytes: impl Into<Vec<u8>>, purpose: &str, rules: &[u16]) -> Artefact {
    Artefact::new(stage, format!("clients/{name}"), bytes, purpose, rules)
}

fn prepared(names: &Names, version: u32) -> Result<Vec<Artefact>> {
    let stage = Stage::PrepareClients;
    let set = prepare(names)?.with_comments(&[
        "Direction: from the tenant to AD RMS. A computer that has not moved opens at AD RMS what others protected with the tenant.",
        "Trap: what moves the computer later stands under the same keys and leads the other way. It deletes these keys first.",
    ])?;
    let unset = undo(&set)?.with_comments(&["Takes away what prepare-machine.reg sets."])?;
    Ok(vec![
        made(stage, "prepare-machine.reg", set.to_bytes(), "all Windows computers, before the first batch: they stay with AD RMS", &[153]),
        made(stage, "Prepare-Client.ps1", script(Gate::Prepare, version, None, &set)?, "the same as a script", &[153]),
        made(stage, "Prepare-Client.cmd", batch_files::prepare(), "imports prepare-machine.reg beside it, where PowerShell is too old", &[153]),
        made(stage, "unprepare-machine.reg", unset.to_bytes(), "what prepare-machine.reg set goes", &[153]).undoing(),
        made(stage, "Unprepare-Client.ps1", script(Gate::UndoPrepare, version, None, &unset)?, "the same as a script", &[153]).undoing(),
    ])
}

fn migrated(names: &Names, version: u32) -> Result<Vec<Artefact>> {
    const FORWARD: [&str; 2] = [
        "Direction: from AD RMS to the tenant. What AD RMS protected is opened at the tenant.",
        "Trap: prepared values stand under the same keys and lead the other way. Import the file that begins with clean- first;",
    ];
    let stage = Stage::Clients;
    let (clean_machine, clean_user) = (clean_machine()?, clean_user()?);
    let machine = migrate_machine(names)?.with_comments(&FORWARD)?.with_comments(&["Migrate-Client.ps1 and Migrate-Client.cmd do both."])?;
    let user = migrate_user(names)?.with_comments(&FORWARD)?.with_comments(&["Migrate-User.ps1 and Migrate-User.cmd do both."])?;
    let back = ["Takes away the values that the file of the same end sets. It does not bring back what was cleaned away: prepare anew."];
    let (unmachine, unuser) = (undo(&machine)?.with_comments(&back)?, undo(&user)?.with_comments(&back)?);
    let gate = &[160, 164, 165, 166];
    let script = |gate, clean: Option<&RegistryFile>, set: &RegistryFile| script(gate, version, clean, set);
    Ok(vec![
        made(stage, "clean-machine.reg", clean_machine.to_bytes(), "a computer that moves: old service locations go", &[163]),
        made(stage, "migrate-machine.reg", machine.to_bytes(), "then: locations and redirections to the tenant", &[160, 164, 166]),
        made(stage, "Migrate-Client.ps1", script(Gate::Machine, Some(&clean_machine), &machine)?, "both as a script, at start-up", gate),
        made(stage, "Migrate-Client.cmd", batch_files::migrate_client(version), "imports both files beside it, where PowerShell is too old", gate),
        made(stage, "clean-user.reg", clean_user.to_bytes(), "a user who moves: old locations go", &[163]),
        made(stage, "migrate-user.reg", user.to_bytes(), "then: the user's redirections", &[160, 164, 166]),
        made(stage, "Migrate-User.ps1", script(Gate::User, Some(&clean_user), &user)?, "both as a script, at logon, after the computer's", gate),
        made(stage, "Migrate-User.cmd", batch_files::migrate_user(version), "imports both files beside it, where PowerShell is too old", gate),
        made(stage, "rollback-machine.reg", unmachine.to_bytes(), "what migrate-machine.reg set goes", &[164]).undoing(),
        made(stage, "Rollback-Client.ps1", script(Gate::UndoMachine, None, &unmachine)?, "the same as a script; then prepare anew", &[164, 165])
            .undoing(),
        made(stage, "rollback-user.reg", unuser.to_bytes(), "what migrate-user.reg set goes", &[164]).undoing(),
        made(stage, "Rollback-User.ps1", script(Gate::UndoUser, None, &unuser)?, "the same as a script, and the record of the version", &[164, 165])
            .undoing(),
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
    Ok(RegistryFile::new(keys))
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
    Ok(RegistryFile::new(keys))
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
    Ok(RegistryFile::new(keys))
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
    Ok(RegistryFile::new(keys))
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
    Ok(RegistryFile::new(keys))
}

/// What a script asks of the version records, and what it writes there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    Prepare,
    Machine,
    User,
    UndoUser,
    UndoMachine,
    UndoPrepare,
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
            Self::UndoUser | Self::UndoMachine | Self::UndoPrepare => "",
        }
    }

    fn after(self) -> &'static str {
        match self {
            Self::Prepare | Self::UndoPrepare => "",
            Self::Machine => "Set-Number 'LocalMachine' $Record 'ClientVersion' $Version\n",
            Self::User => "Set-Number 'CurrentUser' $Record 'UserVersion' $Version\n",
            Self::UndoUser => "Remove-Value 'CurrentUser' $Record 'UserVersion'\n",
            Self::UndoMachine => "Remove-Value 'LocalMachine' $Record 'ClientVersion'\n",
        }
    }
}

fn script(gate: Gate, version: u32, clean: Option<&RegistryFile>, set: &RegistryFile) -> Result<Vec<u8>> {
    let mut text = registry_script::head(gate.is_user(), &format!("[int] $Version = {version}"), set.comments());
    text.push_str(&format!("$Record = {}\n{}", literal(RECORD)?, include_str!("clients/version.ps1")));
    text.push_str(gate.before());
    for file in clean.into_iter().chain([set]) {
        text.push_str(&registry_script::lines(file)?);
    }
    text.push_str(gate.after());
    Ok(registry_script::bytes(&text))
}

#[cfg(test)]
mod tests;
