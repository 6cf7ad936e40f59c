//! Users that move in batches.

use super::facts::Facts;
use super::{Report, stated};
use crate::migration::file::{GroupKind, Onboarding, OnboardingRemoval, OnboardingScope};

fn controls<'f>(facts: &Facts<'f>) -> Option<&'f Onboarding> {
    facts.file.onboarding.as_ref()
}

/// Rule 26. With the key of AD RMS active in the tenant all share one key; otherwise those who have not moved can't open new content.
pub(super) fn archived_import_with_phased_users(facts: &Facts<'_>, report: &mut Report<'_>) {
    if !facts.file.is_phased() {
        return;
    }
    let none_is_active = facts.file.domains().next().is_some() && !facts.file.domains().any(|placed| placed.domain.is_active());
    if none_is_active || super::tenant::has_foreign_active_key(facts) {
        report.warn(
            facts.file.batch.first().map_or(facts.file.at, |batch| batch.at),
            "users move in batches, and the active key of the tenant is not that of AD RMS: who has not moved can't open what migrated users protect",
            "make the key that is active in AD RMS the active one of the tenant, or move all users at once",
        );
    }
}

/// Rule 150.
pub(super) fn group(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(onboarding) = controls(facts) else {
        if let Some(second) = facts.file.batch.get(1) {
            report.refuse(
                second.at,
                "users move in batches, and no onboarding controls are planned: all can protect with the new service at once",
                "make an empty security group for migrated users, and describe it in `[onboarding]`",
            );
        }
        return;
    };
    let kind = &onboarding.group_kind;
    if !matches!(kind.value, GroupKind::Security | GroupKind::MailEnabledSecurity) {
        report.refuse(kind.at, format!("the group of migrated users is a {} group", kind.value), "use a security group: the service refuses others");
    }
    if onboarding.group_members.value > 0 {
        report.refuse(
            onboarding.group_members.at,
            format!("the group of migrated users has {} members before the first batch", onboarding.group_members.value),
            "start with an empty group",
        );
    }
}

/// Rule 151.
pub(super) fn policy(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(onboarding) = controls(facts) else { return };
    if let Some(at) = stated(onboarding.demand_licence.as_ref(), true) {
        report.refuse(at, "the onboarding control demands a licence too", "set `-UseRmsUserLicense $False`: the group alone decides");
    }
    if let Some(scope) = &onboarding.scope
        && scope.value == OnboardingScope::MobileApp
    {
        report.refuse(
            scope.at,
            "the onboarding control holds for mobile devices only, and Windows computers are moved in batches",
            "set `-Scope WindowsApp`",
        );
    }
}

/// Rule 153.
pub(super) fn clients_prepared(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(onboarding) = controls(facts) else { return };
    match &onboarding.clients_prepared {
        None => report.ask(onboarding.at, "is the preparing script on all Windows computers before the first batch? (`clients-prepared`)"),
        Some(prepared) if !prepared.value => report.refuse(
            prepared.at,
            "the preparing script is not on all Windows computers before the first batch",
            "deploy it to all: computers that have not moved would start to use the new service when they open its content",
        ),
        Some(_) => {}
    }
}

/// Rule 155.
pub(super) fn not_for_one_batch(facts: &Facts<'_>, report: &mut Report<'_>) {
    if let Some(onboarding) = controls(facts)
        && facts.file.batch.len() < 2
    {
        report.refuse(
            onboarding.at,
            "onboarding controls are planned, and all users move at once",
            "leave `[onboarding]` out, or name the batches (`[[batch]]`)",
        );
    }
}

/// Rule 156.
pub(super) fn order_of_removal(facts: &Facts<'_>, report: &mut Report<'_>) {
    use OnboardingRemoval::{Check, Group, Policy};
    let Some(onboarding) = controls(facts) else { return };
    let order: Vec<OnboardingRemoval> = onboarding.removal.iter().map(|step| step.value).collect();
    match onboarding.removal.first() {
        None => report.ask(onboarding.at, "in which order are the controls removed at the end? (`removal`)"),
        Some(first) if order != [Policy, Check, Group] => report.refuse(
            first.at,
            "the onboarding controls are removed in another order than the documented one",
            "first reset the policy, then check that it names no group, only then delete the group: `removal = [\"policy\", \"check\", \"group\"]`",
        ),
        Some(_) => {}
    }
}
