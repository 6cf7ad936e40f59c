//! Run books for Exchange Online: it learns the tenant's URL, then uses the tenant (rules 185, 187–189).

use super::dialect::Dialect;
use super::markdown::code;
use super::names::Names;
use super::power_shell::CommandLine;
use super::run_book::{Place, RunBook, Step};
use super::{Artefact, Stage};
use crate::error::Result;
use crate::migration::file::{MigrationFile, Placed, Region, Services};
use crate::tenant::Managed;

const ONLINE: Place = Place::ConnectedWorkstation;

fn is_true(flag: Option<&Placed<bool>>) -> bool {
    flag.is_some_and(|flag| flag.value)
}

/// All run books for Exchange Online; none if it is not in use.
pub(super) fn artefacts(file: &MigrationFile, names: &Names) -> Result<Vec<Artefact>> {
    let Some(services) = file.services.as_ref().filter(|services| is_true(services.exchange_online.as_ref())) else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    // Exchange that has never asked AD RMS has no list of URLs to add to.
    let with_ad_rms = services.exchange_online_with_ad_rms.as_ref().is_none_or(|with| with.value);
    if with_ad_rms && !Dialect::of(file).is_of_2016() {
        let book = prepare(names)?;
        files.push(Artefact::run_book(Stage::PrepareExchange, "exchange-online/prepare.md", "Exchange Online learns the tenant's URL", &book));
        let book = unprepare(names)?;
        files.push(Artefact::run_book(Stage::PrepareExchange, "exchange-online/rollback-prepare.md", "the tenant's URL goes again", &book).undoing());
    }
    let (book, back) =
        if Dialect::of(file).is_of_2016() { (of_2016(file, services)?, back_of_2016(file)?) } else { (present(services)?, back_present()?) };
    files.push(Artefact::run_book(Stage::ExchangeOnline, "exchange-online/migrate.md", "Exchange Online uses the tenant", &book));
    files.push(
        Artefact::run_book(Stage::ExchangeOnline, "exchange-online/rollback-migrate.md", "Exchange Online stops using the tenant", &back).undoing(),
    );
    Ok(files)
}

fn fixed(pattern: &'static str) -> Result<CommandLine> {
    CommandLine::filled(pattern, &[])
}

fn connect() -> Result<Step> {
    Ok(Step::new(ONLINE, "Connect to Exchange Online")
        .run(fixed("Import-Module ExchangeOnlineManagement")?)
        .run(fixed("Connect-ExchangeOnline")?)
        .run(fixed("Get-IRMConfiguration | Format-List")?)
        .expect("the present settings; keep the output with this run book, a way back needs it"))
}

/// Commands that add the tenant's URL to the list, and make Exchange read it (rules 185, 186). The toggle is no misprint.
pub(super) fn add_location(step: Step, names: &Names) -> Result<Step> {
    Ok(step
        .run(fixed("$irmConfig = Get-IRMConfiguration")?)
        .run(fixed("$list = $irmConfig.LicensingLocation")?)
        .run(CommandLine::filled("$list += {}", &[&names.licensing()])?)
        .run(fixed("Set-IRMConfiguration -LicensingLocation $list")?))
}

/// Takes the tenant's URL from the list.
pub(super) fn remove_location(step: Step, names: &Names) -> Result<Step> {
    Ok(step
        .run(CommandLine::filled("$list = @((Get-IRMConfiguration).LicensingLocation | Where-Object { [string] $_ -ne {} })", &[&names.licensing()])?)
        .run(fixed("Set-IRMConfiguration -LicensingLocation $list")?))
}

fn prepare(names: &Names) -> Result<RunBook> {
    let step = Step::new(ONLINE, "Add the tenant's licensing URL")
        .say("Internal licensing is switched off and on again on purpose: Exchange reads the list only then.");
    let step = add_location(step, names)?
        .run(fixed("Set-IRMConfiguration -InternalLicensingEnabled $false")?)
        .run(fixed("Set-IRMConfiguration -InternalLicensingEnabled $true")?)
        .run(fixed("(Get-IRMConfiguration).LicensingLocation")?)
        .expect(format!("the old URLs, and {}", code(&names.licensing())))
        .otherwise("the list must hold what was there before too: set it anew from the output of the first step")
        .rules(&[185]);
    Ok(RunBook::new("Run book: prepare Exchange Online")
        .note("Before the first user moves: Exchange Online opens what migrated users protect.")
        .step(connect()?)
        .step(step))
}

fn unprepare(names: &Names) -> Result<RunBook> {
    let step = remove_location(Step::new(ONLINE, "Take the tenant's licensing URL away"), names)?
        .run(fixed("Set-IRMConfiguration -InternalLicensingEnabled $false")?)
        .run(fixed("Set-IRMConfiguration -InternalLicensingEnabled $true")?)
        .run(fixed("(Get-IRMConfiguration).LicensingLocation")?)
        .expect("the list as it was before prepare.md")
        .rules(&[185]);
    Ok(RunBook::new("Run book: Exchange Online as before the preparation").step(connect()?).step(step))
}

/// `Test-IRMConfiguration`, with the address of the file or one that is asked for.
pub(super) fn test(step: Step, services: &Services) -> Result<Step> {
    let line = match &services.test_sender {
        Some(sender) => CommandLine::filled("Test-IRMConfiguration -Sender {}", &[sender])?,
        None => fixed("Test-IRMConfiguration -Sender (Read-Host -Prompt 'Address of a user')")?,
    };
    Ok(step.run(line).expect("`OVERALL RESULT: PASS`"))
}

fn present(services: &Services) -> Result<RunBook> {
    let book = RunBook::new("Run book: Exchange Online uses the tenant")
        .note("First the records of `dns/redirection.zone`: by them Exchange Online knows which key belongs to the URL of AD RMS. Without them it can't open old mail.")
        .note("Everyone who may get protected mail must have an account that the service knows (rule 39).")
        .step(connect()?);
    let book = if is_true(services.exchange_online_with_ad_rms.as_ref()) { book.step(remove_domains()?) } else { book };
    let step = Step::new(ONLINE, "Switch the service on")
        .say("Only if the output of the first step says `AzureRMSLicensingEnabled : False`.")
        .run(fixed("Set-IRMConfiguration -AzureRMSLicensingEnabled $true")?)
        .run(fixed("(Get-IRMConfiguration).AzureRMSLicensingEnabled")?)
        .expect("`True`");
    let step = test(step, services)?
        .otherwise("if it stays with old settings: `Set-IRMConfiguration -AzureRMSLicensingEnabled $false -InternalLicensingEnabled $false -RMSOnlineKeySharingLocation $null`, then both on again")
        .otherwise("a name of a template with a semicolon or colon breaks it (rule 147)")
        .rules(&[147, 189, 191]);
    Ok(book.step(step))
}

fn back_present() -> Result<RunBook> {
    let step = Step::new(ONLINE, "Switch the service off")
        .say("Only if migrate.md switched it on. Domains of AD RMS that migrate.md removed can be imported again from their exported files, but since 28 February 2021 Exchange Online does not work with AD RMS (rule 191).")
        .run(fixed("Set-IRMConfiguration -AzureRMSLicensingEnabled $false")?)
        .run(fixed("(Get-IRMConfiguration).AzureRMSLicensingEnabled")?)
        .expect("`False`")
        .rules(&[189, 191]);
    Ok(RunBook::new("Run book: Exchange Online stops using the tenant").step(connect()?).step(step))
}

fn remove_domains() -> Result<Step> {
    Ok(Step::new(ONLINE, "Remove the domains of AD RMS")
        .say("A trusted publishing domain that was imported from AD RMS is removed first. Keep its exported file: it is the way back.")
        .run(fixed("Get-RMSTrustedPublishingDomain | Format-List Name, Default, IntranetLicensingUrl, ExtranetLicensingUrl")?)
        .run(fixed("Get-RMSTrustedPublishingDomain | Remove-RMSTrustedPublishingDomain")?)
        .expect("each domain is asked for; afterwards the list is empty")
        .otherwise("the default domain goes last: `Remove-RMSTrustedPublishingDomain -Force` for it")
        .rules(&[187]))
}

/// Where the service of 2016 handed its key to Exchange Online (rule 188).
fn key_sharing(region: Region) -> Option<String> {
    let word = match region {
        Region::NorthAmerica | Region::Europe | Region::AsiaPacific | Region::SouthAmerica | Region::GovernmentUs => region.to_string(),
        Region::UsGovernment | Region::China => return None,
    };
    Some(format!("https://sp-rms.{word}.aadrm.com/TenantManagement/ServicePartner.svc"))
}

fn of_2016(file: &MigrationFile, services: &Services) -> Result<RunBook> {
    let mut book = RunBook::new("Run book: Exchange Online uses the tenant, as of 2016")
        .note("These settings are of 2016; `RMSOnlineKeySharingLocation` was deprecated since.")
        .step(connect()?);
    if is_true(services.exchange_online_with_ad_rms.as_ref()) {
        book = book.step(remove_domains()?);
    }
    if file.tenant.managed.value == Managed::Customer {
        let step = Step::new(ONLINE, "No domain of the tenant is imported")
            .say("The customer keeps the key: the import would fail with `FailedToGetTrustedPublishingDomainFromRmsOnlineException`. Rights management in Exchange Online stays reduced (rule 25).")
            .rules(&[25, 187, 188]);
        return Ok(book.step(step));
    }
    let step = Step::new(ONLINE, "Take the tenant's domain into Exchange Online");
    let step = match key_sharing(file.tenant.region.value) {
        Some(url) => step.run(CommandLine::filled("Set-IRMConfiguration -RMSOnlineKeySharingLocation {}", &[&url])?),
        None => step.say("The documents name no key sharing location for this region: ask the service's support, and set it with `Set-IRMConfiguration -RMSOnlineKeySharingLocation`."),
    };
    let step = step
        .run(fixed("Import-RMSTrustedPublishingDomain -RMSOnline -Name 'RMS Online'")?)
        .run(fixed("Set-IRMConfiguration -InternalLicensingEnabled $true")?)
        .expect("a domain `RMS Online - 1`");
    let step = test(step, services)?
        .say("After each change of a template: `Import-RMSTrustedPublishingDomain -Name 'RMS Online - 1' -RefreshTemplates -RMSOnline`.")
        .otherwise("a name of a template with a semicolon or colon breaks it (rule 147)")
        .rules(&[147, 187, 188]);
    Ok(book.step(step))
}

fn back_of_2016(file: &MigrationFile) -> Result<RunBook> {
    let book = RunBook::new("Run book: Exchange Online stops using the tenant, as of 2016").step(connect()?);
    if file.tenant.managed.value == Managed::Customer {
        let step = Step::new(ONLINE, "Import the domains of AD RMS again")
            .say("If migrate.md removed any: from their exported files, each with its password and URLs, as the output of the first step of migrate.md has them.")
            .run(fixed("Import-RMSTrustedPublishingDomain -FileData ([System.IO.File]::ReadAllBytes((Read-Host -Prompt 'Exported file'))) -Name (Read-Host -Prompt 'Name') -ExtranetLicensingUrl (Read-Host -Prompt 'Extranet URL') -IntranetLicensingUrl (Read-Host -Prompt 'Intranet URL') -Password (Read-Host -AsSecureString -Prompt 'Password')")?)
            .rules(&[187]);
        return Ok(book.step(step));
    }
    let step = Step::new(ONLINE, "Take the tenant's domain away")
        .say("Domains of AD RMS come back from their exported files with `Import-RMSTrustedPublishingDomain`.")
        .run(fixed("Set-IRMConfiguration -InternalLicensingEnabled $false")?)
        .run(fixed("Remove-RMSTrustedPublishingDomain -Identity 'RMS Online - 1'")?)
        .run(fixed("Set-IRMConfiguration -RMSOnlineKeySharingLocation $null")?)
        .rules(&[187, 188]);
    Ok(book.step(step))
}
