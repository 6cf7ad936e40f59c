//! Keys and templates into the tenant, the active key, and the service's activation (rules 51–63, 82, 113, 117–122).

use super::{ONLINE, connect, connected, disconnect};
use crate::artefact::dialect::Dialect;
use crate::artefact::markdown::code;
use crate::artefact::power_shell::CommandLine;
use crate::artefact::run_book::{Place, RunBook, Step};
use crate::artefact::{Artefact, Stage};
use crate::error::Result;
use crate::migration::MigrationPath;
use crate::migration::file::{MigrationFile, PlacedDomain};
use crate::tenant::Managed;

/// Run books of import and activation; none if no domain was exported.
pub(super) fn artefacts(file: &MigrationFile) -> Result<Vec<Artefact>> {
    if file.domains().next().is_none() {
        return Ok(Vec::new());
    }
    let dialect = Dialect::of(file);
    let import = if dialect.is_of_2016() { import_of_2016(file)? } else { import_present(file)? };
    let back = if dialect.is_of_2016() { back_of_2016(file)? } else { back_present(file)? };
    Ok(vec![
        Artefact::run_book(Stage::Keys, "tenant/import.md", "all keys and templates are imported, one key is active", &import),
        Artefact::run_book(Stage::Keys, "tenant/rollback-import.md", "the key that was active before is active again", &back).undoing(),
        Artefact::run_book(Stage::Activate, "tenant/activate.md", "the service is activated, after the import", &activate(file)?),
        Artefact::run_book(Stage::Activate, "tenant/rollback-activate.md", "the service is deactivated", &deactivate(file)?).undoing(),
    ])
}

/// The file that is imported, as it is named in the folder of the workstation: without its key where the key goes another way.
fn imported_file(file: &MigrationFile, placed: PlacedDomain<'_>) -> String {
    let path = placed.domain.file.as_path();
    let part = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    let is_split = placed.cluster.path(file.tenant.managed.value) == Some(MigrationPath::SoftwareToHsm);
    let name = if is_split { format!("{}_keyless.xml", part(path.file_stem())) } else { part(path.file_name()) };
    format!(r".\{name}")
}

/// The domains, that of the active key first (rule 56).
fn ordered(file: &MigrationFile) -> Vec<PlacedDomain<'_>> {
    let mut domains: Vec<_> = file.domains().collect();
    domains.sort_by_key(|placed| !placed.domain.is_active());
    domains
}

fn password(name: &str) -> Result<CommandLine> {
    CommandLine::filled("$password = Read-Host -AsSecureString -Prompt {}", &[&format!("Password of {name}")])
}

/// What the import of one domain says to the operator, for all eras.
fn import_step(file: &MigrationFile, placed: PlacedDomain<'_>, name: &str) -> Step {
    let role = if placed.domain.is_active() { "its key becomes the active one" } else { "its key stays archived" };
    let mut step = Step::new(ONLINE, format!("Import {}: {role}", code(name))).otherwise(
        "\"data is corrupted\" or \"(400) Bad Request\": the password. It is asked for, so that the shell changes none of its characters (rule 57)",
    );
    if file.tenant.managed.value == Managed::Customer {
        step = step
            .say("The key is in the tenant's store before: key-vault/access-policy.md, and the transfer of the key. The domain holds only a pointer to it.")
            .otherwise("\"failed to add the key\" with \"Failure to access Azure KeyVault\": the access policy");
    }
    step
}

fn import_present(file: &MigrationFile) -> Result<RunBook> {
    let dialect = Dialect::of(file);
    let mut book = RunBook::new("Run book: import and activate the keys")
        .note("All steps in one PowerShell session: variables of one step are used in the next. The exported files are in its folder.")
        .note("Every domain of every root cluster is imported, archived ones too (rules 43, 44). All keys arrive archived; one is activated at the end.")
        .step(
            connected(file, "Write down the keys that are there")?
                .run(dialect.line("Get-AipServiceKeys", &[])?)
                .run(dialect.line("$previous = (Get-AipServiceKeys | Where-Object Status -eq 'Active').KeyIdentifier", &[])?)
                .run(CommandLine::filled("$previous", &[])?)
                .expect("the identifier of the active key: write it down here, it is the way back")
                .rules(&[121, 122]),
        );
    for placed in ordered(file) {
        let name = imported_file(file, placed);
        let mut pattern = "Import-AipServiceTpd -TpdFile {} -ProtectionPassword $password".to_owned();
        let mut values = vec![name.clone()];
        let mut step =
            import_step(file, placed, &name).run(dialect.line("$before = @((Get-AipServiceKeys).KeyIdentifier)", &[])?).run(password(&name)?);
        if file.tenant.managed.value == Managed::Customer {
            match &placed.domain.key_url {
                Some(url) => {
                    pattern.push_str(" -KeyVaultKeyUrl {}");
                    values.push(url.as_str().to_owned());
                }
                None => {
                    pattern.push_str(" -KeyVaultKeyUrl $keyUrl");
                    step = step.run(CommandLine::filled("$keyUrl = Read-Host -Prompt {}", &["URL of the key in the vault, with its version"])?);
                }
            }
        }
        if let Some(friendly) = &placed.cluster.friendly_name {
            pattern.push_str(" -FriendlyName {}");
            values.push(friendly.value.clone());
        }
        pattern.push_str(" -Verbose");
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        step = step
            .run(CommandLine::filled(&pattern, &values)?)
            .run(dialect.line("$imported = @((Get-AipServiceKeys).KeyIdentifier | Where-Object { $_ -notin $before })", &[])?)
            .run(CommandLine::filled("$imported", &[])?)
            .expect("one identifier: that of the new key, archived; its templates are archived too");
        if placed.domain.is_active() {
            step = step.run(CommandLine::filled("$active = $imported[0]", &[])?);
        }
        book = book.step(step.rules(&[55, 56, 57, 58, 60, 61, 63, 70, 81, 107, 113]));
    }
    let activate = Step::new(ONLINE, "Activate the key that is active in AD RMS")
        .say("When every domain is imported, and no other key. All templates are signed anew: this takes its time.")
        .run(dialect.line("Set-AipServiceKeyProperties -Force -KeyIdentifier $active -Active $True", &[])?)
        .run(dialect.line("Get-AipServiceKeys", &[])?)
        .expect("exactly one key `Active`, the one of the step that said so; all others `Archived`")
        .otherwise("activate the key that was active before: rollback-import.md");
    Ok(book.step(disconnect(activate, dialect)?.rules(&[56, 62, 117, 118, 119])))
}

fn import_of_2016(file: &MigrationFile) -> Result<RunBook> {
    let dialect = Dialect::of(file);
    let mut book = RunBook::new("Run book: import the keys, as of 2016")
        .note("The exported files are in the folder of the PowerShell session. The domain whose key is to protect is imported first, as the active one (rule 56); all others are not.")
        .step(Step::new(ONLINE, "Connect").run(connect(file)?).rules(&[14]));
    for placed in ordered(file) {
        let name = imported_file(file, placed);
        let mut pattern = "Import-AipServiceTpd -TpdFile {} -ProtectionPassword $password".to_owned();
        let mut values = vec![name.clone()];
        if file.tenant.managed.value == Managed::Customer {
            if let Some(url) = &placed.domain.key_url {
                pattern.push_str(" -KeyVaultKeyUrl {}");
                values.push(url.as_str().to_owned());
            } else {
                pattern.push_str(" -HsmKeyFile {}");
                let word = placed.domain.identifier.as_ref().map_or("key", |identifier| identifier.as_str());
                values.push(format!(r".\KeyTransferPackage-{word}.byok"));
            }
        }
        pattern.push_str(if placed.domain.is_active() { " -Active $True -Verbose" } else { " -Active $False -Verbose" });
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let step = import_step(file, placed, &name)
            .run(password(&name)?)
            .run(CommandLine::filled(&dialect.name(&pattern), &values)?)
            .expect("the key and the templates are imported; the templates are archived");
        book = book.step(step.rules(&[51, 52, 54, 56, 57, 60, 61, 70, 81]));
    }
    Ok(book.step(disconnect(Step::new(ONLINE, "Disconnect"), dialect)?.rules(&[62])))
}

fn back_present(file: &MigrationFile) -> Result<RunBook> {
    let dialect = Dialect::of(file);
    let step = connected(file, "Activate the key that was active before")?
        .say("Imported keys stay in the tenant, archived: none can be deleted, and none needs to be.")
        .run(CommandLine::filled("$previous = Read-Host -Prompt {}", &["KeyIdentifier that was written down before the import"])?)
        .run(dialect.line("Set-AipServiceKeyProperties -Force -KeyIdentifier $previous -Active $True", &[])?)
        .run(dialect.line("Get-AipServiceKeys", &[])?)
        .expect("that key is `Active`, all others `Archived`");
    Ok(RunBook::new("Run book: the key that was active before").step(disconnect(step, dialect)?.rules(&[117, 118, 121, 122])))
}

fn back_of_2016(file: &MigrationFile) -> Result<RunBook> {
    let dialect = Dialect::of(file);
    let step = connected(file, "Import the domain of the former active key again, as the active one")?
        .say("Only a key that came from an imported domain can be made active again this way. The key that the service made for itself comes back through the service's support only. No key can be deleted.")
        .run(CommandLine::filled("$domain = Read-Host -Prompt {}", &["Exported file of the former active key"])?)
        .run(password("that file")?)
        .run(dialect.line("Import-AipServiceTpd -TpdFile $domain -ProtectionPassword $password -Active $True -Verbose", &[])?);
    Ok(RunBook::new("Run book: the key that was active before, as of 2016").step(disconnect(step, dialect)?.rules(&[54, 121])))
}

fn activate(file: &MigrationFile) -> Result<RunBook> {
    let dialect = Dialect::of(file);
    let mut book = RunBook::new("Run book: activate the service")
        .note("After the import (rule 82). From then on everyone may protect, unless onboarding controls are set (rule 85).");
    if file.tenant.activated.value {
        book = book.note("The migration file says that it is activated already: look, and change nothing.");
    }
    let mut step = connected(file, "Activate")?;
    if !file.tenant.activated.value {
        step = step.run(dialect.line("Enable-AipService", &[])?);
    }
    let step = step.run(dialect.line("Get-AipService", &[])?).expect("`Enabled`").otherwise("wait some minutes and look again");
    book = book.step(disconnect(step, dialect)?.rules(&[82, 85]));
    if file.tenant.content_protected.as_ref().is_some_and(|protected| protected.value) {
        let step = Step::new(Place::ConnectedWorkstation, "Computers that used the service before")
            .say("Users may have protected documents with the tenant's own key and its default templates. On their computers run clients/Migrate-User.ps1 under a new version: it clears what was remembered.")
            .rules(&[83]);
        book = book.step(step);
    }
    Ok(book)
}

fn deactivate(file: &MigrationFile) -> Result<RunBook> {
    let dialect = Dialect::of(file);
    let step = connected(file, "Deactivate")?
        .say("Nobody can open or protect with the tenant while it is deactivated. Its keys stay.")
        .run(dialect.line("Disable-AipService", &[])?)
        .run(dialect.line("Get-AipService", &[])?)
        .expect("`Disabled`");
    Ok(RunBook::new("Run book: deactivate the service").step(disconnect(step, dialect)?.rules(&[82])))
}
