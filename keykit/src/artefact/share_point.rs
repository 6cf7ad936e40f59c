//! SharePoint Server: rights management off, then to the connector (rules 198, 200, 202, 207).

use super::exchange::certification_of;
use super::markdown::code;
use super::names::{LICENSING, Names};
use super::power_shell::CommandLine;
use super::registry::{Data, Key, RegistryFile, Value};
use super::registry_script::{pair, undo};
use super::run_book::{Place, RunBook, Step};
use super::{Artefact, Stage};
use crate::error::Result;
use crate::migration::file::{MigrationFile, Services, SharePointServer};

const MACHINE: &str = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft";
const SERVERS: Place = Place::EverySharePoint;

/// The client of a version: its word in file names, its switch of the connector's tool, its versions for people.
struct Client {
    word: &'static str,
    switch: &'static str,
    versions: &'static str,
    registry: RegistryFile,
}

fn text(name: Option<&str>, data: &str) -> Result<Value> {
    Value::new(name, Data::Text(data.to_owned()))
}

/// What servers with the newer client (MSIPC) need to speak to the connector.
pub(super) fn newer_client(names: &Names) -> Result<RegistryFile> {
    let connector = names.connector()?;
    let (location, licensing) = (format!(r"{MACHINE}\MSIPC\ServiceLocation"), format!("{connector}{LICENSING}"));
    Ok(RegistryFile::new(vec![
        Key::with(&format!(r"{location}\EnterpriseCertification"), vec![text(None, &certification_of(connector))?])?,
        Key::with(&format!(r"{location}\EnterprisePublishing"), vec![text(None, &licensing)?])?,
        Key::with(&format!(r"{location}\LicensingRedirection"), vec![text(Some(&names.licensing()), &licensing)?])?,
    ]))
}

/// What servers with the older client (MSDRM) need.
pub(super) fn older_client(names: &Names) -> Result<RegistryFile> {
    let connector = names.connector()?;
    Ok(RegistryFile::new(vec![
        Key::with(&format!(r"{MACHINE}\MSDRM\ServiceLocation\Activation"), vec![text(None, &certification_of(connector))?])?,
        Key::with(&format!(r"{MACHINE}\MSDRM\ServiceLocation\EnterprisePublishing"), vec![text(None, &format!("{connector}{LICENSING}"))?])?,
    ]))
}

/// All files for SharePoint servers; none if there are none.
///
/// # Errors
/// [`crate::Error::Refused`] by rule 202 without a connector's URL.
pub(super) fn artefacts(file: &MigrationFile, names: &Names) -> Result<Vec<Artefact>> {
    use SharePointServer::{SharePoint2010, SharePoint2013, SharePoint2016, SharePoint2019};
    let Some(services) = &file.services else { return Ok(Vec::new()) };
    let has = |wanted: &[SharePointServer]| services.sharepoint_server.iter().any(|server| wanted.contains(&server.value));
    let mut clients = Vec::new();
    if has(&[SharePoint2010]) {
        clients.push(Client { word: "msdrm", switch: "-SetSharePoint2010", versions: "2010", registry: older_client(names)? });
    }
    if has(&[SharePoint2013, SharePoint2016, SharePoint2019]) {
        clients.push(Client { word: "msipc", switch: "-SetSharePoint2013", versions: "2013 and later", registry: newer_client(names)? });
    }
    let mut files = Vec::new();
    for client in &clients {
        let forth = client.registry.clone().with_comments(&[
            "Direction: from the tenant to the connector, which speaks to the tenant for this server (rule 202).",
            "This is what GenConnectorConfig.ps1 sets: use that tool or this file, not both.",
        ])?;
        let back = undo(&client.registry)?.with_comments(&["Takes away what the file connector, or GenConnectorConfig.ps1, set."])?;
        let (word, stage) = (client.word, Stage::Servers);
        let purpose = format!("SharePoint {} speaks to the connector; instead of the connector's own tool", client.versions);
        files.extend(pair(stage, &format!("sharepoint/connector-{word}"), &format!("sharepoint/Connect-{word}.ps1"), &forth, &purpose, &[202])?);
        let undone = pair(
            stage,
            &format!("sharepoint/disconnect-{word}"),
            &format!("sharepoint/Disconnect-{word}.ps1"),
            &back,
            "what the connector's tool set goes",
            &[202],
        )?;
        files.extend(undone.map(Artefact::undoing));
    }
    if !clients.is_empty() {
        let book = connect_book(services, names, &clients)?;
        files.push(Artefact::run_book(Stage::Servers, "sharepoint/connect.md", "SharePoint stops using AD RMS and uses the connector", &book));
        let book = disconnect_book(services, names, &clients)?;
        files.push(Artefact::run_book(Stage::Servers, "sharepoint/rollback-connect.md", "SharePoint goes back to AD RMS", &book).undoing());
    }
    Ok(files)
}

/// Empties the folder of licences of the account that SharePoint runs under.
fn forget(services: &Services) -> Result<Step> {
    let step = Step::new(SERVERS, "Forget the licences");
    let account = match &services.sharepoint_account {
        Some(account) => CommandLine::filled("$account = {}", &[account])?,
        None => CommandLine::filled("$account = Read-Host -Prompt {}", &["Account that SharePoint runs under"])?,
    };
    Ok(step
        .run(account)
        .run(CommandLine::filled("$sid = ([System.Security.Principal.NTAccount] $account).Translate([System.Security.Principal.SecurityIdentifier]).Value", &[])?)
        .run(CommandLine::filled(
            r"Get-ChildItem -LiteralPath (Join-Path $env:ProgramData (Join-Path {} $sid)) -Force -ErrorAction SilentlyContinue | Remove-Item -Recurse -Force",
            &[r"Microsoft\MSIPC\Server"],
        )?)
        .expect("the folder is empty, or was not there")
        .rules(&[200]))
}

fn off() -> Step {
    Step::new(SERVERS, "Switch rights management off")
        .say("Only when no document of a protected library is checked out: such documents become inaccessible.")
        .say("Central Administration, Security, Information Policy, Configure information rights management: select \"Do not use IRM on this server\".")
        .expect("nothing is checked out, on the list \"Manage checked out files\" of every protected library too")
        .otherwise("ask the people to check in, or take over the check-outs; do not go on before")
        .rules(&[198, 200])
}

fn connect_book(services: &Services, names: &Names, clients: &[Client]) -> Result<RunBook> {
    let connector = names.connector()?;
    let mut configure = Step::new(SERVERS, "Configure for the connector")
        .say("On front-end servers, those with Central Administration too, and not on computers of the connector. With the connector's own tool, in the folder that it was unpacked to; the file connector of this folder does the same.");
    for client in clients {
        configure = configure
            .say(format!("SharePoint {}: `{}`, or `connector-{}.reg`.", client.versions, client.switch, client.word))
            .run(CommandLine::filled(&format!(r".\GenConnectorConfig.ps1 -ConnectorUri {{}} {}", client.switch), &[connector])?);
    }
    Ok(RunBook::new("Run book: SharePoint Server uses the connector")
        .note("The connector is installed and its servers are authorised (connector/install.md), and no server is configured for it yet (rule 198).")
        .step(off())
        .step(forget(services)?)
        .step(configure.rules(&[198, 202]))
        .step(
            Step::new(SERVERS, "Switch rights management on")
                .say(format!("On the same page: \"Use this RMS server\", with {}.", code(connector)))
                .expect("the page takes the name without an error; a document of a protected library opens")
                .otherwise("the account of SharePoint must be authorised in the connector; authorisations are read every 15 minutes (rule 203)")
                .rules(&[203, 207]),
        )
        .step(Step::new(SERVERS, "Restart the servers").say("Servers that used AD RMS before are restarted, one after the other.").rules(&[207])))
}

fn disconnect_book(services: &Services, names: &Names, clients: &[Client]) -> Result<RunBook> {
    let registry = clients.iter().fold(Step::new(SERVERS, "Take the connector away"), |step, client| {
        step.say(format!("SharePoint {}: `disconnect-{1}.reg`, or `Disconnect-{1}.ps1`.", client.versions, client.word))
    });
    let old = names.main_cluster().and_then(|cluster| cluster.urls().first().map(|url| (*url).to_owned())).unwrap_or_default();
    Ok(RunBook::new("Run book: SharePoint Server goes back to AD RMS")
        .note("Only while AD RMS is running.")
        .step(off())
        .step(registry.rules(&[202]))
        .step(forget(services)?)
        .step(
            Step::new(SERVERS, "Switch rights management on, with AD RMS")
                .say(format!("On the same page: \"Use this RMS server\", with {}, or the default server of the directory.", code(&old)))
                .rules(&[207]),
        ))
}
