//! The source: systems, topology, protection of keys, what is exported and how.

use std::collections::HashMap;

use super::facts::{DomainFacts, Facts};
use super::{Report, stated};
use crate::migration::MigrationPath;
use crate::migration::file::{Cluster, KeyProtection, Office, Windows};
use crate::tenant::{Era, Managed};

/// Rule 1. The lists differ by era: that of 2016, and the newest one.
pub(super) fn operating_system(facts: &Facts<'_>, report: &mut Report<'_>) {
    use Windows::{Server2008, Server2008R2, Server2008X86, Server2012, Server2012R2, Server2016};
    let supported: &[Windows] = match facts.file.era() {
        Era::Of2016 => &[Server2008X86, Server2008, Server2008R2, Server2012, Server2012R2],
        Era::Current => &[Server2012, Server2012R2, Server2016],
    };
    for (_, cluster) in facts.file.clusters() {
        let system = &cluster.operating_system;
        if supported.contains(&system.value) {
            continue;
        }
        let listed: Vec<&str> = supported.iter().map(|system| system.word()).collect();
        report.refuse(
            system.at,
            format!("the cluster '{}' runs on {}, which is no supported source", *cluster.name, system.value),
            format!("supported are {}; move the cluster to one of these first", listed.join(", ")),
        );
    }
}

/// Rule 3. A forest has one root cluster, and any number of licensing-only ones beside it.
pub(super) fn topology(facts: &Facts<'_>, report: &mut Report<'_>) {
    for forest in &facts.file.forest {
        let roots: Vec<&Cluster> = forest.cluster.iter().filter(|cluster| cluster.is_root()).collect();
        match roots.as_slice() {
            [_] => {}
            [] => report.refuse(
                forest.at,
                format!("the forest '{}' has no root cluster", *forest.name),
                "name its root cluster; licensing-only clusters belong to one",
            ),
            [_, second, ..] => report.refuse(
                second.kind.at,
                format!("the forest '{}' has {} root clusters; a forest has one", *forest.name, roots.len()),
                "check which cluster the service connection point of the forest names; the others are licensing-only, or belong to another forest",
            ),
        }
    }
}

/// Rule 22.
pub(super) fn no_upgrade_of_mode(facts: &Facts<'_>, report: &mut Report<'_>) {
    for (_, cluster) in facts.file.clusters() {
        let in_mode_1 = cluster.cryptographic_mode.as_ref().is_some_and(|mode| mode.get().number() == 1);
        if let Some(at) = stated(cluster.upgrade_before_migration.as_ref(), true)
            && in_mode_1
        {
            report.refuse(
                at,
                format!("the cluster '{}' is in mode 1 and is to be changed to mode 2 before the migration", *cluster.name),
                "leave it in mode 1, migrate, and make a new key at the end (rule 215)",
            );
        }
    }
}

/// Rule 30. A key in a module does not come out for the service to keep it.
pub(super) fn no_way_out_of_a_module(facts: &Facts<'_>, report: &mut Report<'_>) {
    if facts.file.tenant.managed.value != Managed::Service {
        return;
    }
    for (_, cluster) in facts.file.clusters().filter(|(_, cluster)| cluster.is_root()) {
        if let Some(protection) = &cluster.protection
            && protection.value != KeyProtection::Database
        {
            report.refuse(
                protection.at,
                format!(
                    "the key of '{}' is kept by {}, and the service is to keep it in software: that is not offered",
                    *cluster.name, protection.value
                ),
                "let the customer keep the key: `managed = \"customer\"`",
            );
        }
    }
    for domain in facts.domains.iter().filter(|domain| domain.path == Some(MigrationPath::SoftwareToSoftware)) {
        wrong_path(domain, report);
    }
}

/// Rule 41. What the table does not list goes nowhere.
pub(super) fn path_table(facts: &Facts<'_>, report: &mut Report<'_>) {
    let managed = facts.file.tenant.managed.value;
    for (_, cluster) in facts.file.clusters().filter(|(_, cluster)| cluster.is_root()) {
        if managed == Managed::Customer
            && cluster.path(managed).is_none()
            && let Some(protection) = &cluster.protection
        {
            report.refuse(
                protection.at,
                format!("the key of '{}' is kept by {}, from where it has no way to the tenant", *cluster.name, protection.value),
                "let the supplier move the key to an nShield module, say `moved-to-nshield = true`, and it goes from HSM to HSM",
            );
        }
    }
    for domain in &facts.domains {
        wrong_path(domain, report);
    }
}

/// What the commands refuse, under the number of the rule that is asked.
fn wrong_path(domain: &DomainFacts, report: &mut Report<'_>) {
    let Some(path) = domain.path else { return };
    if let Some(error) = super::wrong_path(path, domain.file.as_ref(), domain.has_key) {
        report.refuse_as(domain.place(), &error);
    }
}

/// Rule 31.
pub(super) fn keys_that_can_not_leave(facts: &Facts<'_>, report: &mut Report<'_>) {
    for (_, cluster) in facts.file.clusters() {
        let Some(at) = stated(cluster.exportable.as_ref(), false) else { continue };
        if facts.file.read_only_mode.is_none() || !cluster.domain.is_empty() {
            report.refuse(
                at,
                format!("the key of '{}' can't leave its module", *cluster.name),
                "export nothing of this cluster, keep its AD RMS in read-only mode for old content (`[read-only-mode]`, rules 178–182), and start the \
                 tenant with a new key",
            );
        }
    }
    for key in &facts.source_keys {
        if let Some(found) = &key.found
            && let Some(error) = super::refusals::not_extractable_by(&key.key_id, found.extractable)
        {
            report.refuse_as(super::keys::place_of(facts, key), &error);
        }
    }
}

/// Rule 38.
pub(super) fn no_holding_of_the_own_key(facts: &Facts<'_>, report: &mut Report<'_>) {
    for (_, cluster) in facts.file.clusters() {
        if let Some(at) = stated(cluster.hold_your_own_key.as_ref(), true) {
            report.refuse(
                at,
                format!("the cluster '{}' is migrated and is to hold its own key afterwards", *cluster.name),
                "set up another cluster for that, with other licensing URLs",
            );
        }
    }
}

/// Rule 43. All domains of all root clusters, and none of licensing-only ones.
pub(super) fn all_domains(facts: &Facts<'_>, report: &mut Report<'_>) {
    for (_, cluster) in facts.file.clusters() {
        let (name, listed) = (&*cluster.name, cluster.domain.len());
        if !cluster.is_root() {
            if let Some(domain) = cluster.domain.first() {
                report.refuse(
                    domain.file.at,
                    format!("'{name}' is a licensing-only cluster and has an exported domain"),
                    "export from root clusters only; if it is one, say `kind = \"root\"`",
                );
            }
            continue;
        }
        if stated(cluster.exportable.as_ref(), false).is_some() {
            continue;
        }
        match &cluster.domains_in_console {
            Some(count) if usize::try_from(count.value).ok() != Some(listed) => report.refuse(
                count.at,
                format!("the console of '{name}' lists {} trusted publishing domains, and {listed} are named here", count.value),
                "export all of them, the archived ones too, and name each as a `[[forest.cluster.domain]]`",
            ),
            None if listed > 0 => {
                report.ask(cluster.at, format!("how many trusted publishing domains does the console of '{name}' list? (`domains-in-console`)"));
            }
            _ if listed == 0 => report.refuse(
                cluster.at,
                format!("nothing is exported from the root cluster '{name}'"),
                "export all its trusted publishing domains, and name each as a `[[forest.cluster.domain]]`",
            ),
            _ => {}
        }
    }
}

/// Rule 44.
pub(super) fn domain_of_mode_1(facts: &Facts<'_>, report: &mut Report<'_>) {
    for (_, cluster) in facts.file.clusters() {
        let Some(at) = stated(cluster.upgraded_from_mode_1.as_ref(), true) else { continue };
        let name = &*cluster.name;
        let opened: Vec<_> = facts.domains.iter().filter(|domain| domain.cluster == *name).collect();
        let all_opened = opened.len() == cluster.domain.len();
        let old_key_is_missing = cluster.domain.len() < 2 || (all_opened && !opened.iter().any(|domain| domain.modulus_bits == 1024));
        if old_key_is_missing {
            report.warn(
                at,
                format!("'{name}' was in mode 1 once, and no domain with the key of that time is named"),
                "export the archived domain of mode 1 too: without it nobody opens what was protected then",
            );
        }
    }
}

/// Rule 45.
pub(super) fn file_names(facts: &Facts<'_>, report: &mut Report<'_>) {
    for placed in facts.file.domains() {
        let file = &placed.domain.file;
        let is_xml = file.as_path().extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xml"));
        if !is_xml {
            report.refuse(
                file.at,
                format!("the name of the exported file '{}' does not end in .xml", file.value),
                "rename it: the console adds no ending by itself",
            );
        }
    }
}

/// Rule 46. As far as sources of passwords show: one source is one password.
pub(super) fn passwords(facts: &Facts<'_>, report: &mut Report<'_>) {
    let mut seen = HashMap::new();
    for placed in facts.file.domains() {
        let Some(source) = &placed.domain.password_source else { continue };
        if source.as_str() == "prompt" {
            continue;
        }
        if let Some(other) = seen.insert(source.as_str(), &placed.domain.file) {
            report.refuse(
                source.at,
                format!("'{}' and '{}' have one password source", placed.domain.file.value, other.value),
                "export every domain under a password of its own, and name the source of each",
            );
        }
    }
}

/// Rule 51. In 2016 every import had to say whether it is active.
pub(super) fn active_is_stated(facts: &Facts<'_>, report: &mut Report<'_>) {
    if facts.file.era() != Era::Of2016 {
        return;
    }
    for placed in facts.file.domains() {
        if placed.domain.active.is_none() {
            report.refuse(
                placed.domain.at,
                format!("'{}' does not say whether its key is active, which the import of 2016 demands", placed.domain.file.value),
                "say `active = true` for the key that protects content afterwards, and `active = false` for all others",
            );
        }
    }
}

/// Rule 56. Exactly one key becomes active: the one that is active in AD RMS.
pub(super) fn one_active_key(facts: &Facts<'_>, report: &mut Report<'_>) {
    let active: Vec<_> = facts.file.domains().filter(|placed| placed.domain.is_active()).collect();
    match active.as_slice() {
        [_] => {}
        [] if facts.file.domains().next().is_none() => {}
        [] => report.refuse(
            facts.file.tenant.at,
            "no exported domain is marked as the active one",
            "say `active = true` in the domain whose key is the active one of AD RMS",
        ),
        [first, second, ..] => report.refuse(
            second.domain.active.as_ref().map(|active| active.at).unwrap_or_default(),
            format!("'{}' and '{}' are both marked as active; a tenant has one active key", first.domain.file.value, second.domain.file.value),
            "decide which key protects content afterwards; the others are archived and open old content",
        ),
    }
}

/// Rule 58. Office 2013 and 2016 look the name up.
pub(super) fn friendly_name(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(clients) = &facts.file.clients else { return };
    let needs_it = |office: &Office| matches!(office, Office::Office2013 | Office::Office2016Msi | Office::Office2016ClickToRun);
    if !clients.office.iter().any(|office| needs_it(&office.value)) {
        return;
    }
    for (_, cluster) in facts.file.clusters().filter(|(_, cluster)| cluster.is_root() && !cluster.domain.is_empty()) {
        let instead = "give the friendly name that the tab \"Server Certificate\" of the cluster's properties shows";
        match &cluster.friendly_name {
            None => report.warn(cluster.at, format!("users run Office 2013 or 2016, and '{}' has no `friendly-name`", *cluster.name), instead),
            Some(name) => {
                let differs =
                    facts.domains.iter().find(|domain| domain.active && domain.cluster == *cluster.name && domain.licensor_name != name.value);
                if let Some(domain) = differs {
                    report.warn(
                        name.at,
                        format!("the friendly name '{}' is not that of the certificate, '{}'", name.value, domain.licensor_name),
                        instead,
                    );
                }
            }
        }
    }
}
