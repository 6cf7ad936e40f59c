//! Run books for the tenant, with its own values and the cmdlets of the file's era, in the order of the documented process.

mod keys;
mod onboarding;
mod operations;
mod rekey;
mod templates;

use super::Artefact;
use super::dialect::Dialect;
use super::markdown::code;
use super::names::{LICENSING, Names};
use super::power_shell::CommandLine;
use super::run_book::{Place, RunBook, Step};
use super::{Stage, names};
use crate::error::Result;
use crate::migration::file::{MigrationFile, Region};

const ONLINE: Place = Place::ConnectedWorkstation;

/// All run books for the tenant.
///
/// # Errors
/// [`crate::Error::Malformed`] for names that no command line can hold.
pub(super) fn artefacts(file: &MigrationFile, names: &Names) -> Result<Vec<Artefact>> {
    let mut files =
        vec![Artefact::run_book(Stage::Tools, "tenant/connect.md", "the module, the connection, the tenant's URL", &connect_book(file, names)?)];
    files.extend(onboarding::artefacts(file)?);
    files.extend(keys::artefacts(file)?);
    files.extend(templates::artefacts(file)?);
    files.extend(rekey::artefacts(file)?);
    files.extend(operations::artefacts(file)?);
    Ok(files)
}

/// The command that connects to this very tenant.
pub(super) fn connect(file: &MigrationFile) -> Result<CommandLine> {
    let dialect = Dialect::of(file);
    let environment = match file.tenant.region.value {
        Region::UsGovernment => " -EnvironmentName AzureUSGovernment",
        Region::China => " -EnvironmentName AzureChinaCloud",
        _ => "",
    };
    if dialect.is_of_2016() {
        // The cmdlet of 2016 knows no tenant: the account decides.
        return CommandLine::filled(&dialect.name("Connect-AipService"), &[]);
    }
    CommandLine::filled(&format!("Connect-AipService -TenantId {{}}{environment}"), &[&file.tenant.id.to_string()])
}

/// A step that begins with the connection.
fn connected(file: &MigrationFile, title: &str) -> Result<Step> {
    Ok(Step::new(ONLINE, title).run(connect(file)?))
}

fn disconnect(step: Step, dialect: Dialect) -> Result<Step> {
    Ok(step.run(dialect.line("Disconnect-AipService", &[])?))
}

fn connect_book(file: &MigrationFile, names: &Names) -> Result<RunBook> {
    let dialect = Dialect::of(file);
    let module = dialect.module();
    let mut install = Step::new(ONLINE, "Install the module").say("In PowerShell, as administrator.");
    if dialect.is_of_2016() {
        install = install.say("The Azure Rights Management Administration Tool installs AADRM. Version 2.1.0.0 imports keys, 2.4.0.0 fetches usage logs, 2.5.0.0 knows key vaults. .NET Framework 4.5.");
    } else {
        install = install
            .say("AADRM must not be installed beside AIPService: its cmdlets are found first.")
            .run(CommandLine::filled("Uninstall-Module -Name AADRM -AllVersions -ErrorAction SilentlyContinue", &[])?)
            .run(CommandLine::filled("Install-Module -Name AIPService", &[])?);
    }
    let install = install
        .run(CommandLine::filled("(Get-Module -Name {} -ListAvailable).Version", &[module])?)
        .expect(format!("a version of {module}"))
        .otherwise("a newer PowerShell and .NET Framework: rule 13")
        .rules(&[12, 13]);
    let url = connected(file, "Compare the tenant")?
        .run(dialect.line("$configuration = Get-AipServiceConfiguration", &[])?)
        .run(CommandLine::filled("$configuration.BPOSId", &[])?)
        .expect(code(&file.tenant.id.to_string()))
        .run(CommandLine::filled("$configuration.LicensingIntranetDistributionPointUrl", &[])?)
        .expect(code(&format!("{}{LICENSING}", names.tenant)))
        .otherwise("stop: every file of this folder was made for the tenant that the migration file names. Correct the file, and make the files anew")
        .rules(&[14, 160]);
    let url = if file.workstation.as_ref().and_then(|workstation| workstation.multi_factor.as_ref()).is_some_and(|multi| multi.value) {
        url.say("The account signs in with more than a password: no `-Credential`.")
    } else {
        url
    };
    let mut state = Step::new(ONLINE, "Look at the service's state").run(dialect.line("Get-AipService", &[])?);
    if file.tenant.activated.value {
        state = state
            .expect("`Enabled`: the migration file says that it is activated")
            .say("It is activated before the import: documents may be protected with the tenant's own key already (rule 83).");
    } else {
        state = state
            .expect("`Disabled`")
            .say("If it is enabled although nobody did it, it was activated by itself (rule 20): run the last command, and look for documents that were protected meanwhile.")
            .run(dialect.line("if ((Get-AipService) -eq {}) { Disable-AipService }", &["Enabled"])?);
    }
    let state = disconnect(state, dialect)?.rules(&[5, 20, 82, 83]);
    Ok(RunBook::new("Run book: module, connection, tenant").note(names::tenant_note(file)).step(install).step(url).step(state))
}
