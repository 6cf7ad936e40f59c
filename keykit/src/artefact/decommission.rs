//! The end of AD RMS: who still asks it, the connection point, the servers (rules 19, 210–213).

use super::markdown::{code, text};
use super::names::Names;
use super::power_shell::CommandLine;
use super::run_book::{Place, RunBook, Step};
use super::{Artefact, Stage};
use crate::error::Result;
use crate::migration::file::{Cluster, MigrationFile};

const SERVER: Place = Place::Server;

/// The checklist and its way back; none if no end is planned.
pub(super) fn artefacts(file: &MigrationFile, names: &Names) -> Result<Vec<Artefact>> {
    if file.decommission.is_none() {
        return Ok(Vec::new());
    }
    Ok(vec![
        Artefact::run_book(Stage::Decommission, "ad-rms/decommission.md", "AD RMS ends: checks, connection point, servers", &checklist(file, names)?),
        Artefact::run_book(Stage::Decommission, "ad-rms/rollback-decommission.md", "AD RMS is found and answers again", &back(names)?).undoing(),
    ])
}

/// The object of the service connection point in the configuration of the directory (rule 19).
fn connection_point(step: Step) -> Result<Step> {
    Ok(step
        .run(CommandLine::filled("$root = ([ADSI] {}).configurationNamingContext", &["LDAP://RootDSE"])?)
        .run(CommandLine::filled("$path = {} -f $root", &["LDAP://CN=SCP,CN=RightsManagementServices,CN=Services,{0}"])?)
        .run(CommandLine::filled("[ADSI]::Exists($path)", &[])?)
        .run(CommandLine::filled("if ([ADSI]::Exists($path)) { ([ADSI] $path).serviceBindingInformation }", &[])?))
}

fn checklist(file: &MigrationFile, names: &Names) -> Result<RunBook> {
    let mut book = RunBook::new("Run book: decommission AD RMS")
        .note("After all users, Exchange, SharePoint and file servers have moved, and before the clients are completed and a new key comes (rule 213).")
        .note("First `keykit prove-access` over your shares: nothing of AD RMS is needed any more for what it says opens.")
        .note("Exported domains, their passwords, the database and the key of each cluster are backed up and kept: without them there is no way back after the last step.");
    if super::dns::redirects_by_dns(file) {
        book = book.note("Clients are redirected by the DNS: the server that refuses them must stay online (rule 169). Do not go on to the last step until they find the tenant in another way.");
    }
    for (_, cluster) in file.clusters() {
        if cluster.exportable.as_ref().is_some_and(|exportable| !exportable.value) {
            book = book.note(format!(
                "The cluster {} stays in read-only mode: its key is not in the tenant, and its old content opens nowhere else (rule 31). Its servers are not shut down; its connection point goes.",
                text(&cluster.name)
            ));
        } else {
            book = book.step(watch(cluster)?);
        }
    }
    book = book.step(look_at_clients(names)?);
    let remove = connection_point(Step::new(SERVER, "Remove the service connection point"))?
        .say("As an enterprise administrator of the domain, in the AD RMS console: properties of the cluster, tab SCP, \"Change SCP\", \"Remove Current SCP\". Write down what the commands show before: it is the way back.")
        .expect("before: `True` and the URL of the cluster. Afterwards, when the commands are run again: `False`")
        .say("Migrated clients are not affected; new ones must not find AD RMS any more.")
        .rules(&[19, 182, 210]);
    book = book.step(remove);
    let off = Step::new(Place::EveryServer, "Shut the servers down, and wait")
        .say("For as long as your organisation needs to notice: documents that are opened once a month, at the end of a quarter. On dedicated servers this costs nothing.")
        .run(CommandLine::filled("Stop-Computer -Confirm", &[])?)
        .expect("nobody reports a document that does not open")
        .otherwise("start the servers again, and find out why that client does not use the tenant")
        .rules(&[211]);
    let role = Step::new(Place::EveryServer, "Remove the role")
        .say("There is no way back after this but a new installation with the backed-up database and key.")
        .run(CommandLine::filled("Uninstall-WindowsFeature -Name ADRMS -WhatIf", &[])?)
        .run(CommandLine::filled("Uninstall-WindowsFeature -Name ADRMS -Restart", &[])?)
        .run(CommandLine::filled("(Get-WindowsFeature -Name ADRMS).InstallState", &[])?)
        .expect("`Available`")
        .rules(&[211, 213]);
    let after = Step::new(Place::ConnectedWorkstation, "Tidy up")
        .say("Now templates may be consolidated, and the default templates published. Office 2010: clients/Complete-Office2010.ps1.")
        .rules(&[172, 212]);
    Ok(book.step(off).step(role).step(after))
}

/// Who still asks a cluster (rule 211).
fn watch(cluster: &Cluster) -> Result<Step> {
    let mut step = Step::new(SERVER, format!("Who still asks the cluster {}?", text(&cluster.name)))
        .say("On each of its servers for the logs of the web server, on one for the report. Twice, some days apart.")
        .run(CommandLine::filled(
            r"Get-ChildItem -Path {} -Recurse -Filter {} | Where-Object LastWriteTime -gt (Get-Date).AddDays(-7) | Select-String -SimpleMatch {} | Group-Object { ($_.Line -split ' ')[8] } | Sort-Object Count -Descending | Select-Object -First 20 Count, Name",
            &[r"C:\inetpub\logs\LogFiles", "*.log", "/_wmcs/"],
        )?)
        .run(CommandLine::filled("Import-Module AdRmsAdmin", &[])?)
        .run(CommandLine::filled("New-PSDrive -Name MyRmsAdmin -PSProvider AdRmsAdmin -Root https://localhost -Force", &[])?)
        .run(CommandLine::filled(r"Get-RmsSystemHealthReport -Path MyRmsAdmin:\Report -ReportType Request -StartTime (Get-Date).AddDays(-7) -EndTime (Get-Date)", &[])?);
    if let (Some(server), Some(database)) = (&cluster.logging_server, &cluster.logging_database) {
        step = step
            .run(CommandLine::filled(
                "Invoke-Sqlcmd -ServerInstance {} -Database {} -Query {}",
                &[server, database, "SELECT COUNT(*) AS Requests FROM dbo.ServiceRequest"],
            )?)
            .expect("the number of requests is the same as some days before");
    }
    Ok(step
        .run(CommandLine::filled("Remove-PSDrive -Name MyRmsAdmin -Force", &[])?)
        .say("The ninth column of the logs is the address of the client, with the columns that the web server writes unless it is told otherwise: compare the line `#Fields:`.")
        .expect("no client but your own checks")
        .otherwise("find the computers by their addresses: they have not migrated, or a service on them has not. Do not go on")
        .rules(&[211]))
}

/// What a client still knows of AD RMS (rule 19).
fn look_at_clients(names: &Names) -> Result<Step> {
    let mut step = Step::new(Place::ConnectedWorkstation, "What do migrated computers still know of AD RMS?")
        .say("On some computers of each kind, as an administrator.");
    for path in [
        r"HKLM:\SOFTWARE\Microsoft\MSIPC\ServiceLocation",
        r"HKLM:\SOFTWARE\Wow6432Node\Microsoft\MSIPC\ServiceLocation",
        r"HKLM:\SOFTWARE\Microsoft\MSDRM\ServiceLocation",
    ] {
        step = step.run(CommandLine::filled(
            "Get-ChildItem -LiteralPath {} -Recurse -ErrorAction SilentlyContinue | Get-ItemProperty | Format-List",
            &[path],
        )?);
    }
    let old: Vec<String> = names.clusters.iter().flat_map(|cluster| cluster.urls()).map(code).collect();
    Ok(step
        .expect(format!("the tenant {} as the location; the old URLs ({}) only as names of redirections to it", code(&names.tenant), old.join(", ")))
        .otherwise("a location that is still AD RMS: this computer has not migrated")
        .rules(&[19, 211]))
}

fn back(names: &Names) -> Result<RunBook> {
    let url = names.main_cluster().and_then(|cluster| cluster.urls().first().map(|url| (*url).to_owned())).unwrap_or_default();
    let start = Step::new(SERVER, "Start the servers").say("While the role is installed: switch them on. After it was removed: install it anew, join the existing cluster with the backed-up database, and give it its key. Nothing else brings AD RMS back.").rules(&[211]);
    let point = connection_point(Step::new(SERVER, "Register the service connection point"))?
        .say("As an enterprise administrator of the domain, in the AD RMS console: properties of the cluster, tab SCP, \"Change SCP\", \"Set SCP to current certification cluster\".")
        .expect(format!("`True`, and the URL that was written down before, such as {}", code(&super::exchange::certification_of(&url))))
        .rules(&[210]);
    Ok(RunBook::new("Run book: AD RMS comes back").step(start).step(point))
}
