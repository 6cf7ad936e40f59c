//! Exchange Server: prepared while users move, then sent to the connector (rules 186, 198, 199, 201, 202, 207).
//!
//! The trap of directions: what is prepared leads from the tenant to AD RMS, what comes later leads from AD RMS to the connector, and
//! both stand under `LicenseServerRedirection`. A prepared value that is left behind sends Exchange back to AD RMS for the tenant's
//! content. The later file therefore deletes it first, and its roll-back sets it again.

use super::dialect::Dialect;
use super::exchange_online::{add_location, remove_location, test};
use super::markdown::code;
use super::names::{CERTIFICATION, LICENSING, Names};
use super::power_shell::CommandLine;
use super::registry::{Data, Key, RegistryFile, Value};
use super::registry_script::{pair, undo};
use super::run_book::{Place, RunBook, Step};
use super::{Artefact, Stage};
use crate::error::Result;
use crate::migration::file::{ExchangeServer, MigrationFile, Services};

const MACHINE: &str = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft";

/// The registry of a version, its word in file names, and the switch of the connector's tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Generation {
    registry: &'static str,
    switch: &'static str,
}

const V14: Generation = Generation { registry: "v14", switch: "-SetExchange2010" };
const V15: Generation = Generation { registry: "v15", switch: "-SetExchange2013" };

/// The generations that are in use, older first.
fn generations(services: &Services) -> Vec<Generation> {
    use ExchangeServer::{Exchange2010, Exchange2010Old, Exchange2013, Exchange2013Old, Exchange2016, Exchange2019};
    let has = |wanted: &[ExchangeServer]| services.exchange_server.iter().any(|server| wanted.contains(&server.value));
    let mut found = Vec::new();
    if has(&[Exchange2010, Exchange2010Old]) {
        found.push(V14);
    }
    if has(&[Exchange2013, Exchange2013Old, Exchange2016, Exchange2019]) {
        found.push(V15);
    }
    found
}

/// Whether servers are there that have the newer client too.
fn has_newer_client(file: &MigrationFile, services: &Services) -> bool {
    let newer = services.exchange_server.iter().any(|server| matches!(server.value, ExchangeServer::Exchange2016 | ExchangeServer::Exchange2019));
    newer && !Dialect::of(file).is_of_2016()
}

/// All files for Exchange servers; none if there are none.
///
/// # Errors
/// [`crate::Error::Refused`] by rule 202 without a connector's URL.
pub(super) fn artefacts(file: &MigrationFile, names: &Names) -> Result<Vec<Artefact>> {
    let Some(services) = &file.services else { return Ok(Vec::new()) };
    let generations = generations(services);
    if generations.is_empty() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    let prepares = !Dialect::of(file).is_of_2016();
    let stage = Stage::PrepareExchange;
    if prepares {
        for generation in &generations {
            files.extend(preparation(names, *generation)?);
        }
        files.push(Artefact::run_book(
            stage,
            "exchange/prepare.md",
            "each Exchange server opens what migrated users protect",
            &prepare_book(names, &generations)?,
        ));
        files.push(Artefact::run_book(stage, "exchange/rollback-prepare.md", "Exchange as before", &unprepare_book(names, &generations)?).undoing());
    }
    for generation in &generations {
        files.extend(connection(names, *generation, prepares)?);
    }
    let newer = has_newer_client(file, services);
    if newer {
        files.extend(newer_client(names)?);
    }
    let book = connect_book(file, services, names, &generations, newer)?;
    files.push(Artefact::run_book(Stage::Servers, "exchange/connect.md", "Exchange stops using AD RMS and uses the connector", &book));
    let book = disconnect_book(services, names, &generations, newer)?;
    files.push(Artefact::run_book(Stage::Servers, "exchange/rollback-connect.md", "Exchange goes back to AD RMS", &book).undoing());
    Ok(files)
}

fn key(generation: Generation, name: &str) -> String {
    format!(r"{MACHINE}\ExchangeServer\{}\IRM\{name}", generation.registry)
}

fn text(name: Option<&str>, data: &str) -> Result<Value> {
    Value::new(name, Data::Text(data.to_owned()))
}

/// The prepared value: from the tenant to AD RMS.
fn prepared_value(names: &Names) -> Result<Vec<Value>> {
    let outside = names.main_cluster().and_then(|cluster| cluster.outside());
    outside.map(|outside| text(Some(&names.licensing()), &format!("{outside}{LICENSING}"))).into_iter().collect()
}

fn preparation(names: &Names, generation: Generation) -> Result<Vec<Artefact>> {
    let word = generation.registry;
    let set = RegistryFile::new(vec![Key::with(&key(generation, "LicenseServerRedirection"), prepared_value(names)?)?]);
    let forth = set.clone().with_comments(&[
        "Direction: from the tenant to AD RMS. Until Exchange has the connector, it opens at AD RMS what migrated users protect (rule 186).",
        "Trap: the values that come later stand under this very key and lead the other way, from AD RMS to the connector.",
        "If this value is left in place then, Exchange asks AD RMS for the tenant's content. The file redirect deletes it first.",
    ])?;
    let back = undo(&set)?.with_comments(&["Takes away the value that the file prepare sets."])?;
    let rules = &[186];
    let stage = Stage::PrepareExchange;
    let mut files = pair(
        stage,
        &format!("exchange/prepare-{word}"),
        &format!("exchange/Prepare-{word}.ps1"),
        &forth,
        "Exchange opens at AD RMS what the tenant protected",
        rules,
    )?
    .to_vec();
    let undone = pair(
        stage,
        &format!("exchange/unprepare-{word}"),
        &format!("exchange/Unprepare-{word}.ps1"),
        &back,
        "what the file prepare set goes",
        rules,
    )?;
    files.extend(undone.map(Artefact::undoing));
    Ok(files)
}

/// What the connector's tool sets, and what it does not set: every old URL leads to the connector.
fn connection(names: &Names, generation: Generation, prepares: bool) -> Result<Vec<Artefact>> {
    let (word, connector) = (generation.registry, names.connector()?);
    let to_connector = format!("{connector}{LICENSING}");
    let stage = Stage::Servers;
    let tool = RegistryFile::new(vec![
        Key::with(&format!(r"{MACHINE}\MSDRM\ServiceLocation\Activation"), vec![text(None, &names.certification())?])?,
        Key::with(&format!(r"{MACHINE}\MSDRM\ServiceLocation\EnterprisePublishing"), vec![text(None, &names.licensing())?])?,
        Key::with(&key(generation, "CertificationServerRedirection"), vec![text(Some(&names.tenant), connector)?])?,
        Key::with(&key(generation, "LicenseServerRedirection"), vec![text(Some(&names.tenant), connector)?])?,
    ]);
    let tool_back = undo(&tool)?.with_comments(&["Takes away what the file connector, or GenConnectorConfig.ps1, set."])?;
    let tool = tool.with_comments(&[
        "Direction: from the tenant to the connector, which speaks to the tenant for this server (rule 202).",
        "This is what GenConnectorConfig.ps1 sets: use that tool or this file, not both.",
    ])?;
    let redirection = key(generation, "LicenseServerRedirection");
    let old: Vec<Value> = names.old_licensing().iter().map(|old| text(Some(old), &to_connector)).collect::<Result<_>>()?;
    let gone = prepared_value(names)?.iter().map(|value| Value::new(value.name(), Data::Deleted)).collect::<Result<Vec<_>>>()?;
    let forth = RegistryFile::new(vec![Key::with(&redirection, gone.into_iter().chain(old.iter().cloned()).collect())?]).with_comments(&[
        "Direction: from AD RMS to the connector. GenConnectorConfig.ps1 does not set these values (rule 201).",
        "Trap: the value of the preparation stands under this very key and leads the other way, from the tenant to AD RMS.",
        "The first line below deletes it. Left in place, Exchange would ask AD RMS for the tenant's content, and fail once AD RMS has ended.",
    ])?;
    let old_gone = old.iter().map(|value| Value::new(value.name(), Data::Deleted)).collect::<Result<Vec<_>>>()?;
    let again = if prepares { prepared_value(names)? } else { Vec::new() };
    let back = RegistryFile::new(vec![Key::with(&redirection, old_gone.into_iter().chain(again).collect())?]).with_comments(if prepares {
        &["Takes away what the file redirect sets, and sets the value of the preparation again: from the tenant to AD RMS."]
    } else {
        &["Takes away what the file redirect sets."]
    })?;
    let mut files = Vec::new();
    files.extend(pair(
        stage,
        &format!("exchange/connector-{word}"),
        &format!("exchange/Connect-{word}.ps1"),
        &tool,
        "Exchange speaks to the connector; instead of the connector's own tool",
        &[202],
    )?);
    files.extend(pair(
        stage,
        &format!("exchange/redirect-{word}"),
        &format!("exchange/Redirect-{word}.ps1"),
        &forth,
        "every old URL leads to the connector, the prepared value goes",
        &[186, 201],
    )?);
    let undone = pair(
        stage,
        &format!("exchange/disconnect-{word}"),
        &format!("exchange/Disconnect-{word}.ps1"),
        &tool_back,
        "what the connector's tool set goes",
        &[202],
    )?;
    files.extend(undone.map(Artefact::undoing));
    let undone = pair(
        stage,
        &format!("exchange/unredirect-{word}"),
        &format!("exchange/Unredirect-{word}.ps1"),
        &back,
        "old URLs lead to AD RMS again",
        &[186, 201],
    )?;
    files.extend(undone.map(Artefact::undoing));
    Ok(files)
}

/// Exchange 2016 and 2019 have the newer client (MSIPC) too.
fn newer_client(names: &Names) -> Result<Vec<Artefact>> {
    let set = super::share_point::newer_client(names)?;
    let back = undo(&set)?.with_comments(&["Takes away what the file connector-msipc sets."])?;
    let set = set.with_comments(&[
        "Exchange 2016 and 2019 only. Direction: from the tenant to the connector (rule 202).",
        "The documents print the name of the last value without its host; with it, as here, the client finds it.",
    ])?;
    let mut files = pair(
        Stage::Servers,
        "exchange/connector-msipc",
        "exchange/Connect-Msipc.ps1",
        &set,
        "Exchange 2016 and 2019: the newer client speaks to the connector",
        &[202],
    )?
    .to_vec();
    let undone =
        pair(Stage::Servers, "exchange/disconnect-msipc", "exchange/Disconnect-Msipc.ps1", &back, "what connector-msipc.reg set goes", &[202])?;
    files.extend(undone.map(Artefact::undoing));
    Ok(files)
}

fn fixed(pattern: &'static str) -> Result<CommandLine> {
    CommandLine::filled(pattern, &[])
}

fn import(generation: Generation, what: &str, script: &str) -> String {
    let (versions, word) = (if generation == V14 { "2010" } else { "2013 and later" }, generation.registry);
    format!("Exchange {versions}: `{what}-{word}.reg`, or `{script}-{word}.ps1`.")
}

fn each(step: Step, generations: &[Generation], what: &str, script: &str) -> Step {
    generations.iter().fold(step, |step, generation| step.say(import(*generation, what, script)))
}

fn iisreset(title: &str) -> Result<Step> {
    Ok(Step::new(Place::EveryExchange, title).run(fixed("iisreset")?).expect("the web server stops and starts again"))
}

fn prepare_book(names: &Names, generations: &[Generation]) -> Result<RunBook> {
    let registry = each(Step::new(Place::EveryExchange, "Set the prepared value"), generations, "prepare", "Prepare")
        .expect("under `LicenseServerRedirection`: the tenant's licensing URL, with the extranet URL of AD RMS")
        .rules(&[186]);
    let step = Step::new(Place::Exchange, "Add the tenant's licensing URL")
        .say("Internal licensing is switched off and on again on purpose: Exchange reads the list only then.");
    let step = add_location(step, names)?
        .run(fixed("Set-IRMConfiguration -InternalLicensingEnabled $false")?)
        .run(fixed("Set-IRMConfiguration -RefreshServerCertificates")?)
        .run(fixed("Set-IRMConfiguration -InternalLicensingEnabled $true")?)
        .run(fixed("(Get-IRMConfiguration).LicensingLocation")?)
        .expect(format!("the old URLs, and {}", code(&names.licensing())))
        .rules(&[186]);
    Ok(RunBook::new("Run book: prepare Exchange Server")
        .note("Before the first user moves. Direction: from the tenant to AD RMS. The values are taken away again when Exchange gets the connector.")
        .step(registry)
        .step(step)
        .step(iisreset("Restart the web server")?.rules(&[186])))
}

fn unprepare_book(names: &Names, generations: &[Generation]) -> Result<RunBook> {
    let registry = each(Step::new(Place::EveryExchange, "Take the prepared value away"), generations, "unprepare", "Unprepare").rules(&[186]);
    let step = remove_location(Step::new(Place::Exchange, "Take the tenant's licensing URL away"), names)?
        .run(fixed("Set-IRMConfiguration -InternalLicensingEnabled $false")?)
        .run(fixed("Set-IRMConfiguration -RefreshServerCertificates")?)
        .run(fixed("Set-IRMConfiguration -InternalLicensingEnabled $true")?)
        .rules(&[186]);
    Ok(RunBook::new("Run book: Exchange Server as before the preparation").step(registry).step(step).step(iisreset("Restart the web server")?))
}

/// In the documented order (rule 198): the connector is there, rights management is off, then the servers are configured.
fn connect_book(file: &MigrationFile, services: &Services, names: &Names, generations: &[Generation], newer: bool) -> Result<RunBook> {
    let connector = names.connector()?;
    let mut book = RunBook::new("Run book: Exchange Server uses the connector")
        .note("The connector is installed and its servers are authorised (connector/install.md), and no server is configured for it yet (rule 198).")
        .note("Rights management in Exchange is out of order from the second step to the last but one (rule 11).")
        .note("If rights management was never configured on these servers: only the steps \"Add the tenant's licensing URL\" and \"Restart the web server\", then from the connector's configuration on.")
        .step(
            Step::new(Place::EveryExchange, "Forget the licences of AD RMS")
                .run(fixed(r"Get-ChildItem -LiteralPath (Join-Path $env:ProgramData 'Microsoft\DRM\Server\S-1-5-18') -Force -ErrorAction SilentlyContinue | Remove-Item -Recurse -Force")?)
                .expect("the folder is empty, or was not there")
                .rules(&[199]),
        );
    if !Dialect::of(file).is_of_2016() {
        let step = add_location(Step::new(Place::Exchange, "Add the tenant's licensing URL").say("Not again if prepare.md did it."), names)?;
        let step = step
            .run(fixed("(Get-IRMConfiguration).LicensingLocation")?)
            .expect(format!("the URLs of all clusters, and {}", code(&names.licensing())));
        book = book.step(step.rules(&[199]));
    }
    let mut off = Step::new(Place::Exchange, "Switch rights management off").run(fixed("Set-IRMConfiguration -InternalLicensingEnabled $false")?);
    if Dialect::of(file).is_of_2016() {
        off = off.run(fixed("Set-IRMConfiguration -ExternalLicensingEnabled $false")?);
    }
    off = off
        .run(fixed("Set-IRMConfiguration -ClientAccessServerEnabled $false")?)
        .run(fixed("Set-IRMConfiguration -RefreshServerCertificates")?)
        .rules(&[199]);
    let mut configure = Step::new(Place::EveryExchange, "Configure for the connector")
        .say("With the connector's own tool, in the folder that it was unpacked to; the file connector of this folder does the same. Not on computers of the connector.");
    for generation in generations {
        configure = configure.run(CommandLine::filled(&format!(r".\GenConnectorConfig.ps1 -ConnectorUri {{}} {}", generation.switch), &[connector])?);
    }
    if generations.len() > 1 {
        configure = configure.say("Only the line of the version that runs on the server.");
    }
    if newer {
        configure = configure.say("Exchange 2016 and 2019: `connector-msipc.reg` too, or `Connect-Msipc.ps1`.");
    }
    let redirect = each(Step::new(Place::EveryExchange, "Redirect every old URL"), generations, "redirect", "Redirect")
        .say("The trap: under the same key stands the prepared value, which leads the other way. This file deletes it first.")
        .expect(format!(
            "under `LicenseServerRedirection`: every old URL with {}, and no value that leads to AD RMS",
            code(&format!("{connector}{LICENSING}"))
        ))
        .rules(&[186, 201]);
    let on = Step::new(Place::Exchange, "Switch rights management on")
        .run(fixed("Set-IRMConfiguration -InternalLicensingEnabled $true")?)
        .run(fixed("Set-IRMConfiguration -ClientAccessServerEnabled $true")?);
    let on = test(on, services)?
        .otherwise("the connector's event log names servers that are not authorised; authorisations are read every 15 minutes (rule 203)");
    Ok(book
        .step(off)
        .step(iisreset("Restart the web server")?.rules(&[199]))
        .step(configure.rules(&[198, 202]))
        .step(redirect)
        .step(on.rules(&[203, 207]))
        .step(
            Step::new(Place::EveryExchange, "Restart the servers")
                .say("Servers that used AD RMS before are restarted, one after the other.")
                .rules(&[207]),
        ))
}

fn disconnect_book(services: &Services, names: &Names, generations: &[Generation], newer: bool) -> Result<RunBook> {
    let off = Step::new(Place::Exchange, "Switch rights management off")
        .run(fixed("Set-IRMConfiguration -InternalLicensingEnabled $false")?)
        .run(fixed("Set-IRMConfiguration -ClientAccessServerEnabled $false")?)
        .rules(&[199]);
    let mut registry = each(Step::new(Place::EveryExchange, "Old URLs lead to AD RMS again"), generations, "unredirect", "Unredirect");
    registry = each(registry, generations, "disconnect", "Disconnect");
    if newer {
        registry = registry.say("Exchange 2016 and 2019: `disconnect-msipc.reg`, or `Disconnect-Msipc.ps1`.");
    }
    let forget = Step::new(Place::EveryExchange, "Forget the licences of the tenant")
        .run(fixed(r"Get-ChildItem -LiteralPath (Join-Path $env:ProgramData 'Microsoft\DRM\Server\S-1-5-18') -Force -ErrorAction SilentlyContinue | Remove-Item -Recurse -Force")?)
        .rules(&[199]);
    let on = Step::new(Place::Exchange, "Switch rights management on, with AD RMS")
        .say("The tenant's URL stays in the list of licensing locations: the preparation put it there, and rollback-prepare.md takes it away.")
        .run(fixed("Set-IRMConfiguration -RefreshServerCertificates")?)
        .run(fixed("Set-IRMConfiguration -InternalLicensingEnabled $true")?)
        .run(fixed("Set-IRMConfiguration -ClientAccessServerEnabled $true")?)
        .run(fixed("(Get-IRMConfiguration).LicensingLocation")?)
        .expect(format!("the URLs of AD RMS, such as {}", code(&names.old_licensing().first().cloned().unwrap_or_default())));
    let on = test(on, services)?.rules(&[207]);
    Ok(RunBook::new("Run book: Exchange Server goes back to AD RMS")
        .note("Only while AD RMS is running.")
        .step(off)
        .step(registry.rules(&[186, 201, 202]))
        .step(forget)
        .step(iisreset("Restart the web server")?)
        .step(on))
}

/// The connector's path for certification, beside [`LICENSING`].
pub(super) fn certification_of(connector: &str) -> String {
    format!("{connector}{CERTIFICATION}")
}
