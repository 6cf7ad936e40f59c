//! Afterwards: usage logs that show whether the key works, and super users for as long as they are needed (rules 231–235).

use super::{connected, disconnect};
use crate::artefact::dialect::Dialect;
use crate::artefact::markdown::code;
use crate::artefact::run_book::RunBook;
use crate::artefact::{Artefact, Stage};
use crate::error::Result;
use crate::migration::file::MigrationFile;
use crate::tenant::Managed;

pub(super) fn artefacts(file: &MigrationFile) -> Result<Vec<Artefact>> {
    let mut files = vec![Artefact::run_book(
        Stage::Operations,
        "tenant/logs.md",
        "usage and administration logs: who uses the key, and who changed what. Reads only: there is nothing to take back",
        &logs(file)?,
    )];
    if !file.tenant.super_users.is_empty() || file.tenant.super_user_group.is_some() {
        files.push(Artefact::run_book(
            Stage::Operations,
            "tenant/super-users.md",
            "super users, for as long as they are needed",
            &super_users(file)?,
        ));
        files.push(
            Artefact::run_book(
                Stage::Operations,
                "tenant/rollback-super-users.md",
                "the feature is off, and nobody is a super user",
                &no_super_users(file)?,
            )
            .undoing(),
        );
    }
    Ok(files)
}

fn logs(file: &MigrationFile) -> Result<RunBook> {
    let dialect = Dialect::of(file);
    let uses = match (dialect.is_of_2016(), file.tenant.managed.value) {
        (true, _) => "`Decrypt` and `SignDigest`",
        (false, Managed::Customer) => "`KeyVaultDecryptRequest`, `KeyVaultSignDigest` and `KeyVaultGetKeyInfoRequest`, with an empty user",
        (false, Managed::Service) => "`KMSPDecrypt` and `KMSPSignDigest`",
    };
    let step = connected(file, "Fetch the logs")?
        .say("Whole days only, and not the present one. The lines are tab-separated; their first three lines begin with #.")
        .run(dialect.line("Get-AipServiceUserLog -Path {} -FromDate (Get-Date).AddDays(-7) -ToDate (Get-Date).AddDays(-1)", &[r".\usage-logs"])?)
        .run(dialect.line("Get-AipServiceAdminLog -Path {} -FromTime (Get-Date).AddDays(-30)", &[r".\administration.log"])?)
        .expect(format!("uses of the key are {uses}; their result is `'Success'`"))
        .expect("in the log of administration: the imports, the activation and the changes of templates, and nothing that nobody of you did")
        .otherwise("entries of the connector have the user `Aadrm_S-1-7-0`, those of the service `microsoftrmsonline@…`");
    Ok(RunBook::new("Run book: logs").step(disconnect(step, dialect)?.rules(&[231, 232, 233, 235])))
}

fn super_users(file: &MigrationFile) -> Result<RunBook> {
    let dialect = Dialect::of(file);
    let mut step = connected(file, "Switch the feature on, and name the super users")?
        .say("A super user may open everything, expired content too. Switch it off as soon as the work is done.")
        .run(dialect.line("Enable-AipServiceSuperUserFeature", &[])?);
    for address in &file.tenant.super_users {
        step = step.run(dialect.line("Add-AipServiceSuperUser -EmailAddress {}", &[address])?).expect(code(address));
    }
    if let Some(group) = &file.tenant.super_user_group {
        step = step
            .say("There is one group: a present one is replaced. Members are remembered for up to three hours.")
            .run(dialect.line("Set-AipServiceSuperUserGroup -GroupEmailAddress {}", &[group])?)
            .expect(code(group));
    }
    let step = step.run(dialect.line("Get-AipServiceSuperUser", &[])?).run(dialect.line("Get-AipServiceSuperUserGroup", &[])?);
    Ok(RunBook::new("Run book: super users").step(disconnect(step, dialect)?.rules(&[9, 234])))
}

fn no_super_users(file: &MigrationFile) -> Result<RunBook> {
    let dialect = Dialect::of(file);
    let mut step = connected(file, "Take the super users away, and switch the feature off")?;
    for address in &file.tenant.super_users {
        step = step.run(dialect.line("Remove-AipServiceSuperUser -EmailAddress {}", &[address])?);
    }
    if file.tenant.super_user_group.is_some() {
        step = step.run(dialect.line("Clear-AipServiceSuperUserGroup", &[])?);
    }
    let exchange = file.services.as_ref().is_some_and(|services| !services.exchange_server.is_empty());
    if exchange {
        step = step.say("The connector needs the feature for Exchange servers (rule 203): leave it on while they use it, and leave out the next but last command.");
    }
    let step = step
        .run(dialect.line("Disable-AipServiceSuperUserFeature", &[])?)
        .run(dialect.line("Get-AipServiceSuperUserFeature", &[])?)
        .expect("`Disabled`");
    Ok(RunBook::new("Run book: no super users").step(disconnect(step, dialect)?.rules(&[203, 234])))
}
