//! The directory, and organisations that exchange protected documents with this one.

use super::facts::Facts;
use super::{Report, stated};
use crate::migration::file::{DirectoryAttribute, GroupKind, PartnerMigration};

/// Rule 6.
pub(super) fn synchronised(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(directory) = &facts.file.directory else {
        return report.ask(facts.file.at, "is the directory synchronised with that of the tenant? (`[directory]`)");
    };
    if let Some(at) = stated(Some(&directory.synchronised), false) {
        report.refuse(at, "the directory is not synchronised with that of the tenant", "set the synchronisation up first: rights are decided by it");
    }
}

/// Rule 7.
pub(super) fn groups(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(directory) = &facts.file.directory else { return };
    let domains = &facts.file.organisation.email_domains;
    for group in &directory.group {
        let address = &*group.address;
        match group.kind.value {
            GroupKind::DynamicDistribution => report.refuse(
                group.kind.at,
                format!("'{address}' is a dynamic distribution list, which can't have rights"),
                "use a security group or a distribution group with members of its own",
            ),
            GroupKind::Security => report.refuse(
                group.kind.at,
                format!("'{address}' is a security group without an address, which can't have rights"),
                "enable the group for mail",
            ),
            GroupKind::MailEnabledSecurity | GroupKind::Distribution => {}
        }
        let (_, domain) = address.rsplit_once('@').unwrap_or_default();
        if !domains.is_empty() && !domains.iter().any(|known| known.eq_ignore_ascii_case(domain)) {
            report.refuse(
                group.address.at,
                format!("the address '{address}' is in no verified domain"),
                "give the group an address in one of `email-domains`",
            );
        }
    }
}

/// Rule 8.
pub(super) fn attributes(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(directory) = &facts.file.directory else { return };
    if directory.attributes.is_empty() {
        return report.ask(directory.at, "which attributes of users are synchronised? (`attributes`)");
    }
    for needed in DirectoryAttribute::ALL {
        if !directory.attributes.iter().any(|attribute| attribute.value == *needed) {
            report.refuse(
                directory.attributes.first().map(|attribute| attribute.at).unwrap_or_default(),
                format!("the attribute {needed} is not synchronised"),
                "synchronise it: the service recognises people by their proxy addresses, and by the principal name where there is none",
            );
        }
    }
}

/// Rule 10.
pub(super) fn old_addresses(facts: &Facts<'_>, report: &mut Report<'_>) {
    if let Some(at) = facts.file.directory.as_ref().and_then(|directory| stated(directory.old_addresses_kept.as_ref(), false)) {
        report.warn(
            at,
            "people whose address changed have lost the old one, and with it the access to old content",
            "keep the old address as a proxy address, or grant the rights anew",
        );
    }
}

/// Rule 39.
pub(super) fn recipients(facts: &Facts<'_>, report: &mut Report<'_>) {
    if let Some(at) = facts.file.directory.as_ref().and_then(|directory| stated(directory.recipients_have_accounts.as_ref(), false)) {
        report.warn(
            at,
            "some who may get protected content have no account that the service knows",
            "give each an account: nobody can control who receives a document",
        );
    }
}

/// Rule 24.
pub(super) fn partners_are_ready(facts: &Facts<'_>, report: &mut Report<'_>) {
    for partner in facts.file.partner.iter().filter(|partner| partner.migrates.value != PartnerMigration::Never) {
        let name = &*partner.name;
        if let Some(at) = stated(partner.has_tenant.as_ref(), false) {
            report.refuse(at, format!("the partner '{name}' has no tenant"), "wait until it has one, with rights management that is not activated");
        }
        if let Some(at) = stated(partner.activated.as_ref(), true)
            && partner.migrates.value != PartnerMigration::Before
        {
            report.refuse(at, format!("the tenant of the partner '{name}' is activated before its keys are in it"), "have it deactivated until then");
        }
        match &partner.keys_imported {
            None => report.ask(partner.at, format!("are the keys of '{name}' in its tenant before users move here? (`keys-imported`)")),
            Some(imported) if !imported.value => report.refuse(
                imported.at,
                format!("the keys of the partner '{name}' are not in its tenant before users move here"),
                "let both import their keys first, then move users",
            ),
            Some(_) => {}
        }
    }
}

/// Rule 28.
pub(super) fn partners_migrate_too(facts: &Facts<'_>, report: &mut Report<'_>) {
    for partner in &facts.file.partner {
        if matches!(partner.migrates.value, PartnerMigration::Later | PartnerMigration::Never) {
            report.warn(
                partner.migrates.at,
                format!("the partner '{}' ({}) does not migrate at the same time", *partner.name, partner.trust.value),
                "agree on a day soon: until then it can't open what migrated users protect",
            );
        }
    }
}
