//! What completes the clients' migration: Office 2010 after AD RMS has ended (rules 172, 173), and Macs (rule 168).

use crate::artefact::names::Names;
use crate::artefact::power_shell::literal;
use crate::artefact::registry_script::bytes;
use crate::artefact::{Artefact, Stage};
use crate::error::Result;
use crate::migration::file::{MigrationFile, Office};

/// Where the scheduled task of templates is (rule 173).
const TASK: &str = r"\Microsoft\Windows\Active Directory Rights Management Services Client\AD RMS Rights Policy Template Management (Automated)";
/// Commands that make a Mac look for its service anew (requirements of rule 168). It forgets caches only: there is no way back, and none is needed.
const MAC: &str = include_str!("clear-mac-caches.sh");

pub(super) fn artefacts(file: &MigrationFile, names: &Names) -> Result<Vec<Artefact>> {
    let mut files = Vec::new();
    if names.office.contains(&Office::Office2010) {
        let hosts: Vec<String> = names.host_names()?.iter().map(|name| name.as_str().to_owned()).collect();
        let lines: String = hosts.iter().map(|host| format!("127.0.0.1 {host}\r\n")).collect();
        let rules = &[172, 173];
        files.push(super::made(
            Stage::Complete,
            "hosts-office-2010.txt",
            format!(
                "# After AD RMS has ended: lines for %SystemRoot%\\System32\\drivers\\etc\\hosts on computers with Office 2010 (rule 172).\r\n{lines}"
            ),
            "lines for the hosts file of computers with Office 2010",
            &[172],
        ));
        let purpose = "adds these lines, and disables the scheduled task of templates";
        files.push(super::made(Stage::Complete, "Complete-Office2010.ps1", script(&hosts, "Add-HostLine", "Disable")?, purpose, rules));
        let purpose = "takes these lines away, and enables the task";
        files.push(super::made(Stage::Complete, "Rollback-Office2010.ps1", script(&hosts, "Remove-HostLine", "Enable")?, purpose, rules).undoing());
    }
    if file.clients.as_ref().is_some_and(|clients| clients.mac.is_some()) {
        let purpose = "on each Mac: it looks for its service at once, instead of after 30 days. Caches only: there is nothing to take back";
        files.push(super::made(Stage::Complete, "clear-mac-caches.sh", MAC, purpose, &[168]));
    }
    Ok(files)
}

fn script(hosts: &[String], verb: &str, task: &str) -> Result<Vec<u8>> {
    let mut text = format!(
        "\u{feff}#Requires -Version 5.1\n#Requires -RunAsAdministrator\n[CmdletBinding(SupportsShouldProcess)]\nparam()\n$Task = {}\n{}",
        literal(TASK)?,
        include_str!("hosts.ps1")
    );
    for host in hosts {
        text.push_str(&format!("{verb} {}\n", literal(host)?));
    }
    text.push_str(&format!("Switch-Task '/{task}'\n"));
    Ok(bytes(&text))
}
