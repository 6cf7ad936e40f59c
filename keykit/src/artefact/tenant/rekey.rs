//! A new key after the migration (rules 123, 190, 215–219).

use super::{ONLINE, connected, disconnect};
use crate::artefact::dialect::Dialect;
use crate::artefact::key_vault;
use crate::artefact::power_shell::CommandLine;
use crate::artefact::run_book::{RunBook, Step};
use crate::artefact::{Artefact, Stage};
use crate::error::Result;
use crate::migration::file::{MigrationFile, Placed, Rekey, RekeySource};
use crate::tenant::Managed;

/// Run books of the new key; none if none is planned.
pub(super) fn artefacts(file: &MigrationFile) -> Result<Vec<Artefact>> {
    let Some(rekey) = file.rekey.as_ref().filter(|rekey| rekey.after_migration.value) else { return Ok(Vec::new()) };
    let dialect = Dialect::of(file);
    let automatic_key = rekey.key.as_ref().is_some_and(|key| key.value == RekeySource::Automatic);
    let book = match (dialect.is_of_2016(), file.tenant.managed.value) {
        (true, managed) => of_2016(file, managed)?,
        (false, Managed::Customer) if !automatic_key => brought(file, rekey)?,
        (false, _) => automatic(file)?,
    };
    let book = notes(file, book);
    let mut files = vec![Artefact::run_book(Stage::Rekey, "tenant/rekey.md", "a new key is active; the old one stays, archived", &book)];
    if !dialect.is_of_2016() {
        files.push(Artefact::run_book(Stage::Rekey, "tenant/rollback-rekey.md", "the key of before is active again", &back(file)?).undoing());
    }
    Ok(files)
}

fn notes(file: &MigrationFile, mut book: RunBook) -> RunBook {
    book = book
        .note("As soon as the migration is complete, and after AD RMS has ended (rules 213, 217). For some weeks clients go on with the old key; content under it stays readable.")
        .note("All steps in one PowerShell session.");
    if file.services.as_ref().and_then(|services| services.exchange_online_with_ad_rms.as_ref()).is_some_and(|with| with.value) {
        book = book.note("Exchange Online was used with AD RMS: documents of 2017 say not to change the key then, since it does not follow a change of the cryptographic mode (rule 190).");
    }
    if file.clients.iter().flat_map(|clients| &clients.office).any(|office| office.value == crate::migration::file::Office::Office2010) {
        book = book
            .note("Office 2010 does not take a change of the key well: clear what it remembers with Migrate-User under a new version (rule 219).");
    }
    book
}

fn remember(file: &MigrationFile) -> Result<Step> {
    let dialect = Dialect::of(file);
    Ok(connected(file, "Write down the active key")?
        .run(dialect.line("Get-AipServiceKeys", &[])?)
        .run(dialect.line("$previous = (Get-AipServiceKeys | Where-Object Status -eq 'Active').KeyIdentifier", &[])?)
        .run(CommandLine::filled("$previous", &[])?)
        .expect("the identifier of the active key: write it down here, it is the way back")
        .rules(&[121, 122]))
}

fn set_active(step: Step, dialect: Dialect) -> Result<Step> {
    let step = step
        .run(dialect.line("Set-AipServiceKeyProperties -Force -KeyIdentifier $next -Active $True", &[])?)
        .run(dialect.line("Get-AipServiceKeys", &[])?)
        .expect("exactly one key `Active`: the new one; the old one is `Archived`. All templates are signed anew");
    disconnect(step, dialect)
}

/// The service's own key: the one that it made for the tenant in the beginning is the oldest.
fn automatic(file: &MigrationFile) -> Result<RunBook> {
    let dialect = Dialect::of(file);
    let step = Step::new(ONLINE, "Activate the key that the service made in the beginning")
        .say("No new key can be made where the service keeps the keys (rule 123): its own, the oldest, is taken.")
        .run(dialect.line("$next = (Get-AipServiceKeys | Sort-Object CreationTime | Select-Object -First 1).KeyIdentifier", &[])?)
        .run(CommandLine::filled("$next", &[])?)
        .expect("an identifier that is not the one written down before")
        .otherwise("stop if it is the same: then there is no other key of the service in this tenant");
    Ok(RunBook::new("Run book: a new key").step(remember(file)?).step(set_active(step, dialect)?.rules(&[119, 120, 123, 215, 216])))
}

/// A new key in the vault of the customer: policy, then the key is made known, then active (rule 218).
fn brought(file: &MigrationFile, rekey: &Rekey) -> Result<RunBook> {
    let dialect = Dialect::of(file);
    let mut book = RunBook::new("Run book: a new key").step(remember(file)?);
    let mut known = Step::new(ONLINE, "Make the new key known")
        .say("In a new vault the access policy comes first: key-vault/access-policy.md. The URL must name the version of the key (rule 107).")
        .run(dialect.line("$before = @((Get-AipServiceKeys).KeyIdentifier)", &[])?);
    match &rekey.key_url {
        Some(url) => known = known.run(dialect.line("Use-AipServiceKeyVaultKey -KeyVaultKeyUrl {}", &[url.as_str()])?),
        None => {
            book = book.step(key_vault::new_key(file, rekey.bits.as_ref().map(|bits: &Placed<u32>| bits.value))?);
            known = known.run(dialect.line("Use-AipServiceKeyVaultKey -KeyVaultKeyUrl $key.Key.Kid", &[])?);
        }
    }
    let known = known
        .run(dialect.line("$next = @((Get-AipServiceKeys).KeyIdentifier | Where-Object { $_ -notin $before })[0]", &[])?)
        .run(CommandLine::filled("$next", &[])?)
        .expect("the identifier of the new key, archived, customer-managed")
        .otherwise("\"failed to add the key\" with \"Failure to access Azure KeyVault\": the access policy");
    let step = Step::new(ONLINE, "Activate the new key");
    Ok(book.step(known.rules(&[107, 113, 216, 218])).step(set_active(step, dialect)?.rules(&[118, 119, 120, 215, 217, 218])))
}

fn of_2016(file: &MigrationFile, managed: Managed) -> Result<RunBook> {
    let dialect = Dialect::of(file);
    let book = RunBook::new("Run book: a new key, as of 2016");
    if managed == Managed::Service {
        let step = Step::new(ONLINE, "Ask the service's support")
            .say("In 2016 a new key of the service is a case for its support. There is no cmdlet, and no way back but another case.");
        return Ok(book.step(step.rules(&[215, 216])));
    }
    let package = r".\KeyTransferPackage-new.byok";
    let step = connected(file, "Upload the new key")?
        .say("The new key is made and packed as the first one was: keykit nshield run-book writes how. The upload can't be undone: the new key is active at once, and no cmdlet of 2016 activates the old one again.")
        .run(dialect.line("Add-AipServiceKey -KeyFile {} -Verbose", &[package])?)
        .expect("`The Rights management service successfully added the key.`");
    Ok(book.step(disconnect(step, dialect)?.rules(&[104, 215, 216])))
}

fn back(file: &MigrationFile) -> Result<RunBook> {
    let dialect = Dialect::of(file);
    let step = connected(file, "Activate the key of before")?
        .say("Not if the old key was given up because it leaked.")
        .run(CommandLine::filled("$next = Read-Host -Prompt {}", &["KeyIdentifier that was written down"])?);
    Ok(RunBook::new("Run book: the key of before the re-keying").step(set_active(step, dialect)?.rules(&[118, 121])))
}
