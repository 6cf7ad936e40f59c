//! The connector itself: its installation, authorisations, load balancing and proxy (rules 157, 195, 196, 198, 203–206).

use super::markdown::code;
use super::names::{Names, base};
use super::power_shell::CommandLine;
use super::registry::{Data, Key, RegistryFile, Value};
use super::registry_script::{pair, undo};
use super::run_book::{Place, RunBook, Step};
use super::{Artefact, Stage};
use crate::error::Result;
use crate::migration::file::{Connector, MigrationFile, Services};

const PLACE: Place = Place::Connector;

/// All files for the connector; none if there is none.
///
/// # Errors
/// [`crate::Error::Refused`] by rule 202 without its URL.
pub(super) fn artefacts(file: &MigrationFile, names: &Names) -> Result<Vec<Artefact>> {
    let Some(connector) = &file.connector else { return Ok(Vec::new()) };
    let stage = Stage::Servers;
    let mut files = vec![Artefact::run_book(
        stage,
        "connector/install.md",
        "the connector is installed and knows its servers",
        &install(file, connector, names)?,
    )];
    if let Some(proxy) = &connector.proxy_url {
        let value = Value::new(Some("ProxyAddress"), Data::Text(base(&proxy.value)?))?;
        let set = RegistryFile::new(vec![Key::with(r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\AADRM\Connector", vec![value])?]);
        let back = undo(&set)?.with_comments(&["Takes away what proxy.reg sets."])?;
        let forth =
            set.with_comments(&["The connector reaches the service through this proxy, which must not ask for a password (rules 196, 204)."])?;
        files.extend(pair(stage, "connector/proxy", "connector/Set-Proxy.ps1", &forth, "computers of the connector: the proxy", &[204])?);
        files.extend(
            pair(stage, "connector/no-proxy", "connector/Remove-Proxy.ps1", &back, "what proxy.reg set goes", &[204])?.map(Artefact::undoing),
        );
    }
    files.push(Artefact::run_book(stage, "connector/rollback-install.md", "the connector goes", &remove(connector)?).undoing());
    Ok(files)
}

fn install(file: &MigrationFile, connector: &Connector, names: &Names) -> Result<RunBook> {
    let url = names.connector()?;
    let is_secure = url.starts_with("https://");
    let mut computers = Step::new(PLACE, "Check the computers")
        .say(format!("{} computers, 64-bit, 1 GB of memory, 64 GB of disk. None of them runs Exchange, SharePoint, file classification or a domain controller.", connector.computers.value))
        .run(CommandLine::filled("Test-NetConnection -ComputerName {} -Port 443", &[&names.tenant_host])?)
        .expect("`TcpTestSucceeded : True`, without a proxy that asks for a password")
        .rules(&[195, 196]);
    if connector.proxy_url.is_some() {
        computers = computers.say("`proxy.reg`, or `Set-Proxy.ps1`, on each of them.");
    }
    let mut account = Step::new(Place::ConnectedWorkstation, "Choose the account that installs")
        .say("A global administrator, or an administrator of the connector. Its password must not hold `&`, `<`, `>`, `[`, `]`, a double or a single quote: the installation would say that name and password do not fit.")
        .rules(&[157, 206]);
    if file.onboarding.is_some() {
        account = account.say("It must be in the group of the onboarding controls, or the installation says that it can't discover the administration service (rule 157).");
    }
    let balance = Step::new(PLACE, "Balance the load")
        .say(format!(
            "A name in the DNS for all computers of the connector: the host of {}. TCP port {}, affinity None, distribution Equal. Do not change the name later: servers are configured with it.",
            code(url),
            if is_secure { "443" } else { "80" }
        ))
        .expect("the name leads to the balanced address")
        .rules(&[202, 204]);
    let balance = if is_secure {
        balance.say("A server certificate with this name, from an authority that the servers trust, bound on each computer.")
    } else {
        balance
    };
    Ok(RunBook::new("Run book: install the connector")
        .note("Steps 1 to 4 of the connector's own documentation. Servers are configured for it only after rights management is off in them (rule 198): with the run books of their own.")
        .note("The service is activated, and the directory is synchronised. A tenant has one configuration of the connector.")
        .step(computers)
        .step(account)
        .step(Step::new(PLACE, "Install").say("`RMSConnectorSetup.exe` on each computer; on the first with the administration tool.").expect("in the log of applications: event 1000 and 1004, none of 3000 and 3001").rules(&[196, 205]))
        .step(authorise(file.services.as_ref()))
        .step(balance))
}

fn authorise(services: Option<&Services>) -> Step {
    let mut step = Step::new(PLACE, "Authorise the servers")
        .say("With the connector's administration tool. Computers in groups, or accounts; read again every 15 minutes.");
    if let Some(services) = services {
        if !services.exchange_server.is_empty() {
            step = step.say("Exchange servers, as the role Exchange Server: this makes them super users and switches that feature on. Authorise nobody else with this role.");
        }
        if !services.sharepoint_server.is_empty() {
            step = step.say("The account that SharePoint runs under, as the role SharePoint Server.");
        }
        if !services.file_classification.is_empty() {
            step = step.say("File servers, as the role File Classification Infrastructure.");
        }
    }
    step.expect("event 1004: the list of authorised accounts was fetched").rules(&[203, 205])
}

fn remove(connector: &Connector) -> Result<RunBook> {
    let mut step = Step::new(PLACE, "Remove the connector")
        .say("Only after the servers' own roll-backs. Take the authorisations away with the administration tool first: Exchange servers are super users by them (rule 203).")
        .run(CommandLine::filled("Get-Package -Name {} | Uninstall-Package", &["Microsoft Rights Management connector"])?)
        .say("If the first command finds nothing: Programs and Features, Microsoft Rights Management connector.")
        .rules(&[196, 203]);
    if connector.proxy_url.is_some() {
        step = step.say("`no-proxy.reg`, or `Remove-Proxy.ps1`.");
    }
    Ok(RunBook::new("Run book: remove the connector").step(step).step(Step::new(PLACE, "Take the load-balanced name away").rules(&[204])))
}
