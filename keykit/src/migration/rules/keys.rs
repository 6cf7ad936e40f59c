//! The keys: one tenant, sizes, protection, and what the exported files hold.

use super::facts::{Facts, SourceKeyFacts};
use super::{Place, Report, refusals, stated};
use crate::migration::MigrationPath;
use crate::store::protection::Assessment;
use crate::tenant::Managed;

/// The place of a key in a source token: that of its exported domain.
pub(super) fn place_of(facts: &Facts<'_>, key: &SourceKeyFacts) -> Place {
    let at = facts.file.domains().find(|placed| placed.domain.file.to_string() == key.file).map(|placed| placed.domain.file.at).unwrap_or_default();
    Place { domain: Some(key.file.clone()), key: Some(key.key_id), ..Place::from(at) }
}

/// Rule 4.
pub(super) fn one_tenant_per_key(facts: &Facts<'_>, report: &mut Report<'_>) {
    for domain in &facts.domains {
        for other in facts.other_tenants.iter().filter(|other| other.keys.contains(&domain.key_id)) {
            report.refuse_as(domain.place(), &super::in_another_tenant(&domain.key_id, &other.name));
        }
    }
}

/// Rule 29. From the file alone: there is something that can show the protection. From the token: what it shows.
pub(super) fn module_protection(facts: &Facts<'_>, report: &mut Report<'_>) {
    let managed = facts.file.tenant.managed.value;
    for (_, cluster) in facts.file.clusters().filter(|(_, cluster)| cluster.path(managed) == Some(MigrationPath::HsmToHsm)) {
        if cluster.source.is_none() && cluster.evidence.is_empty() {
            report.refuse(
                cluster.protection.as_ref().map(|protection| protection.at).unwrap_or_default(),
                format!("nothing shows how the module protects the key of '{}'", *cluster.name),
                "name the token (`source`) or evidence: the output of `nfkmattest verify`, `nfkminfo -k APP IDENT` or `nfkminfo -l`",
            );
        }
    }
    for key in &facts.source_keys {
        let assessment: Option<&Assessment> = key.found.as_ref().map(|found| &found.protection);
        if let Some(Err(error)) = assessment.map(|assessment| refusals::require_module_protection(assessment, &key.key_id)) {
            report.refuse_as(place_of(facts, key), &error);
        }
    }
}

/// Rule 32.
pub(super) fn sizes(facts: &Facts<'_>, report: &mut Report<'_>) {
    for domain in &facts.domains {
        if let Err(error) = refusals::mode_of_size(&domain.key_id, domain.modulus_bits) {
            report.refuse_as(domain.place(), &error);
        }
    }
    if let Some(bits) = facts.file.rekey.as_ref().and_then(|rekey| rekey.bits.as_ref())
        && !matches!(bits.value, 1024 | 2048)
    {
        report.refuse(
            bits.at,
            format!("a new tenant key of {} bits; a tenant key has 2048, or 1024 in a migration from mode 1", bits.value),
            "make a key of 2048 bits",
        );
    }
}

/// Rule 33.
pub(super) fn keys_of_mode_1(facts: &Facts<'_>, report: &mut Report<'_>) {
    warnings_of_mode_1(facts, report);
    if let Some(bits) = facts.file.rekey.as_ref().and_then(|rekey| rekey.bits.as_ref())
        && bits.value == 1024
    {
        report.warn(bits.at, "the new tenant key is to have 1024 bits, which is for old content only", "make a key of 2048 bits");
    }
}

/// Rule 34. Known from the domains, or from the mode of a cluster before those are opened.
pub(super) fn keys_of_mode_1_in_modules(facts: &Facts<'_>, report: &mut Report<'_>) {
    warnings_of_mode_1(facts, report);
    if facts.file.tenant.managed.value == Managed::Customer && facts.domains.is_empty() {
        for (_, cluster) in facts.file.clusters().filter(|(_, cluster)| !cluster.domain.is_empty()) {
            let was_in_mode_1 = stated(cluster.upgraded_from_mode_1.as_ref(), true).is_some();
            if let Some(mode) = cluster.cryptographic_mode.as_ref()
                && (mode.get().number() == 1 || was_in_mode_1)
            {
                report.warn(
                    mode.at,
                    format!("'{}' has a key of mode 1: a token can hold its 1024 bits, Azure Key Vault takes no such key", *cluster.name),
                    "let the service keep the key, or use a token",
                );
            }
        }
    }
}

/// The warnings that the commands give too, those of the rule that is asked.
fn warnings_of_mode_1(facts: &Facts<'_>, report: &mut Report<'_>) {
    let rule = report.rule;
    for domain in facts.domains.iter().filter(|domain| domain.modulus_bits == 1024) {
        let path = domain.path.unwrap_or(MigrationPath::SoftwareToSoftware);
        for warning in super::mode_1_warnings(path, &domain.key_id).into_iter().filter(|warning| warning.rule == Some(rule)) {
            report.warn(domain.place(), warning.message, "archive it once all users have moved, and make a new key (rule 215)");
        }
    }
}

/// Rule 47. The old form is read all the same, and said.
pub(super) fn no_version_1_export(facts: &Facts<'_>, report: &mut Report<'_>) {
    for domain in facts.domains.iter().filter(|domain| domain.version_1) {
        let warning = refusals::version_1_export(domain.file.as_ref());
        report.warn(domain.place(), warning.message, "export again without that box, if AD RMS still runs");
    }
}

/// Rule 48.
pub(super) fn files_are_private(facts: &Facts<'_>, report: &mut Report<'_>) {
    for domain in facts.domains.iter().filter(|domain| domain.has_key && domain.readable_by_others) {
        report.warn(
            domain.place(),
            format!("'{}' holds a private key, and others than its owner can read it", domain.file),
            "run `chmod 600` on it, and keep it on removable media that is locked away",
        );
    }
}

/// Rule 70.
pub(super) fn key_of_the_certificate(facts: &Facts<'_>, report: &mut Report<'_>) {
    for key in facts.source_keys.iter().filter(|key| key.found.is_none()) {
        let error = super::not_the_key_of(key.file.as_ref(), &key.key_id, &key.store);
        report.refuse_as(place_of(facts, key), &error);
    }
}
