//! Controls that let users move in batches: set before the first, removed after the last (rules 150–152, 156).

use super::{ONLINE, connected, disconnect};
use crate::artefact::dialect::Dialect;
use crate::artefact::markdown::code;
use crate::artefact::power_shell::CommandLine;
use crate::artefact::run_book::{Place, RunBook, Step};
use crate::artefact::{Artefact, Stage};
use crate::error::Result;
use crate::migration::file::{MigrationFile, Onboarding, OnboardingScope};

/// The run books of the controls; none without controls (rule 155).
pub(super) fn artefacts(file: &MigrationFile) -> Result<Vec<Artefact>> {
    let Some(onboarding) = &file.onboarding else { return Ok(Vec::new()) };
    let set = RunBook::new("Run book: onboarding controls")
        .note("Until they are removed, only members of the group protect with the tenant; everyone may open (rule 152).")
        .step(set(file, onboarding)?);
    let unset = |title: &str| {
        RunBook::new(title).note("In this order (rule 156): the policy, the check, and only then the group and what deploys the scripts.")
    };
    let forth = unset("Run book: remove the onboarding controls").step(reset(file)?).step(delete(file, onboarding)?);
    let back = RunBook::new("Run book: onboarding controls as before").step(reset(file)?);
    let again = RunBook::new("Run book: onboarding controls again")
        .note("If the group was deleted, it is restored first: a deleted group can be restored for 30 days, with its identity.")
        .step(self::set(file, onboarding)?);
    Ok(vec![
        Artefact::run_book(Stage::PrepareClients, "tenant/onboarding.md", "only migrated users protect with the tenant", &set),
        Artefact::run_book(Stage::PrepareClients, "tenant/rollback-onboarding.md", "the controls go: everyone may protect", &back).undoing(),
        Artefact::run_book(Stage::Complete, "tenant/remove-onboarding.md", "all users have moved: the controls go, then the group", &forth),
        Artefact::run_book(Stage::Complete, "tenant/rollback-remove-onboarding.md", "the controls come back", &again).undoing(),
    ])
}

fn set(file: &MigrationFile, onboarding: &Onboarding) -> Result<Step> {
    let dialect = Dialect::of(file);
    let scope = match onboarding.scope.as_ref().map(|scope| scope.value) {
        Some(OnboardingScope::All) => "All",
        Some(OnboardingScope::MobileApp) => "MobileApp",
        Some(OnboardingScope::WindowsApp) | None => "WindowsApp",
    };
    let licence = if onboarding.demand_licence.as_ref().is_some_and(|demand| demand.value) { "$True" } else { "$False" };
    let group = onboarding.group_id.to_string();
    let pattern =
        dialect.name(&format!("Set-AipServiceOnboardingControlPolicy -UseRmsUserLicense {licence} -SecurityGroupObjectId {{}} -Scope {scope}"));
    let step = connected(file, "Set the controls")?
        .say("The group is a security group, not a distribution group, and empty before the first batch. It is asked before a present policy is overwritten.")
        .run(CommandLine::filled(&pattern, &[&group])?)
        .run(dialect.line("Get-AipServiceOnboardingControlPolicy", &[])?)
        .expect(format!("the group {}, scope {scope}", code(&group)))
        .otherwise("\"failed to set tenant user on-boarding control policy\": the identity must be that of a security group");
    Ok(disconnect(step, dialect)?.rules(&[150, 151, 152]))
}

fn reset(file: &MigrationFile) -> Result<Step> {
    let dialect = Dialect::of(file);
    let step = connected(file, "Remove the policy, and check it")?
        .run(dialect.line("Set-AipServiceOnboardingControlPolicy -UseRmsUserLicense $False", &[])?)
        .run(dialect.line("Get-AipServiceOnboardingControlPolicy", &[])?)
        .expect("licence `False`, and no identity of a group; the documents print that field's name as SecurityGroupOjbectId")
        .otherwise("do not delete the group while its identity still stands there: nobody could protect any more");
    Ok(disconnect(step, dialect)?.rules(&[156]))
}

fn delete(file: &MigrationFile, onboarding: &Onboarding) -> Result<Step> {
    let group = onboarding.group_id.to_string();
    let lines = if Dialect::of(file).is_of_2016() {
        [CommandLine::filled("Connect-MsolService", &[])?, CommandLine::filled("Remove-MsolGroup -ObjectId {}", &[&group])?]
    } else {
        [
            CommandLine::filled("Connect-MgGraph -TenantId {} -Scopes {}", &[&file.tenant.id.to_string(), "Group.ReadWrite.All"])?,
            CommandLine::filled("Remove-MgGroup -GroupId {}", &[&group])?,
        ]
    };
    let step = Step::new(ONLINE, "Delete the group, and stop deploying the scripts")
        .say("A group that comes from the directory inside is deleted there.")
        .say(
            format!(
                "Place of the deployment of `Prepare-Client`, `Migrate-Client` and `Migrate-User`: {} or your own software distribution.",
                Place::Server.words()
            )
            .replace("AD RMS server", "group policy"),
        );
    Ok(lines.into_iter().fold(step, Step::run).rules(&[156]))
}
