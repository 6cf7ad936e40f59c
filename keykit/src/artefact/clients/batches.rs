//! Users that move together: into the group of migrated users first, then the scripts (rule 167).

use crate::artefact::dialect::Dialect;
use crate::artefact::markdown::text;
use crate::artefact::power_shell::CommandLine;
use crate::artefact::run_book::{Place, RunBook, Step};
use crate::artefact::{Artefact, Stage};
use crate::error::Result;
use crate::migration::file::{MigrationFile, Onboarding};

/// The run books of the batches, and of the way back. None without onboarding controls: then no group decides.
pub(super) fn artefacts(file: &MigrationFile) -> Result<Vec<Artefact>> {
    let Some(onboarding) = &file.onboarding else { return Ok(Vec::new()) };
    if file.batch.is_empty() {
        return Ok(Vec::new());
    }
    let dialect = Dialect::of(file);
    let (mut forth, mut back) = (
        RunBook::new("Run book: users move in batches")
            .note("Each batch has a text file beside this one with one sign-in name a line: `batch-1.txt` for the first, and so on.")
            .note("A user is in the group before the scripts run on that user's computer (rule 167). The service may take up to three hours to see it (rule 9)."),
        RunBook::new("Run book: a batch goes back to AD RMS").note("Batches go back from the last to the first."),
    );
    let connect = connect(file, dialect)?;
    let mut members = onboarding.group_members.value;
    for (number, batch) in (1_u32..).zip(&file.batch) {
        members = members.saturating_add(batch.users.value);
        let (list, name) = (format!(r".\batch-{number}.txt"), text(&batch.name));
        forth = forth.step(
            Step::new(Place::ConnectedWorkstation, format!("Batch {number}: {name}"))
                .run(connect.clone())
                .run(add(onboarding, dialect, &list)?)
                .run(count(onboarding, dialect)?)
                .expect(format!("{members} members: {} of this batch, and those before", batch.users.value))
                .say("Then let `Migrate-Client` run at the start of the computers of these users, and `Migrate-User` at their logon.")
                .expect("a user of the batch opens an old document and protects a new one; a user of a later batch opens the new one")
                .otherwise("take the batch back with rollback-batches.md, and look into the event log of the computer")
                .rules(&[150, 164, 165, 167]),
        );
        back = back.step(
            Step::new(Place::ConnectedWorkstation, format!("Batch {number}: {name}"))
                .say("First, on the computers of these users: `Rollback-User.ps1` at logon, `Rollback-Client.ps1` as administrator, then `Prepare-Client.ps1`.")
                .run(connect.clone())
                .run(remove(onboarding, dialect, &list)?)
                .run(count(onboarding, dialect)?)
                .expect(format!("{} members", members.saturating_sub(batch.users.value)))
                .rules(&[153, 167]),
        );
    }
    back.steps.reverse();
    Ok(vec![
        Artefact::run_book(Stage::Clients, "clients/batches.md", "each batch: group first, then scripts", &forth),
        Artefact::run_book(Stage::Clients, "clients/rollback-batches.md", "a batch goes back to AD RMS", &back).undoing(),
    ])
}

fn connect(file: &MigrationFile, dialect: Dialect) -> Result<CommandLine> {
    if dialect.is_of_2016() {
        return CommandLine::filled("Connect-MsolService", &[]);
    }
    CommandLine::filled("Connect-MgGraph -TenantId {} -Scopes {}, {}", &[&file.tenant.id.to_string(), "GroupMember.ReadWrite.All", "User.Read.All"])
}

fn add(onboarding: &Onboarding, dialect: Dialect, list: &str) -> Result<CommandLine> {
    let pattern = if dialect.is_of_2016() {
        "Get-Content -LiteralPath {} | ForEach-Object { Add-MsolGroupMember -GroupObjectId {} -GroupMemberType User -GroupMemberObjectId (Get-MsolUser -UserPrincipalName $_).ObjectId }"
    } else {
        "Get-Content -LiteralPath {} | ForEach-Object { New-MgGroupMember -GroupId {} -DirectoryObjectId (Get-MgUser -UserId $_).Id }"
    };
    CommandLine::filled(pattern, &[list, &onboarding.group_id.to_string()])
}

fn remove(onboarding: &Onboarding, dialect: Dialect, list: &str) -> Result<CommandLine> {
    let pattern = if dialect.is_of_2016() {
        "Get-Content -LiteralPath {} | ForEach-Object { Remove-MsolGroupMember -GroupObjectId {} -GroupMemberType User -GroupMemberObjectId (Get-MsolUser -UserPrincipalName $_).ObjectId }"
    } else {
        "Get-Content -LiteralPath {} | ForEach-Object { Remove-MgGroupMemberByRef -GroupId {} -DirectoryObjectId (Get-MgUser -UserId $_).Id }"
    };
    CommandLine::filled(pattern, &[list, &onboarding.group_id.to_string()])
}

fn count(onboarding: &Onboarding, dialect: Dialect) -> Result<CommandLine> {
    let pattern =
        if dialect.is_of_2016() { "@(Get-MsolGroupMember -GroupObjectId {} -All).Count" } else { "@(Get-MgGroupMember -GroupId {} -All).Count" };
    CommandLine::filled(pattern, &[&onboarding.group_id.to_string()])
}
