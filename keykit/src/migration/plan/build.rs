//! From a migration file and the exported domains to a plan.

mod by_hand;
mod process;
#[cfg(test)]
mod tests;

pub(in crate::migration) use process::SCRIPT_VERSION;

use std::collections::BTreeMap;

use super::{Plan, PlannedFile, PlannedFinding, PlannedKey, PlannedTemplate, PlannedTenant, PlannedTransfer};
use crate::ceremony::{ApprovalPolicy, Approver, CustodianPublicKey};
use crate::error::{Error, Result};
use crate::key::KeyId;
use crate::migration::file::{Cluster, Danger, MigrationFile, Placed};
use crate::migration::rules::Severity;
use crate::migration::{MigrationPath, SourceDomain, Warning, rules};
use crate::tenant::versions_among;

/// Days for which an approval holds if the migration file does not say.
const VALID_DAYS: u32 = 30;

/// What a plan is made from. Nothing here is secret.
#[derive(Debug)]
pub struct PlanInputs<'a> {
    /// The migration file.
    pub migration: &'a MigrationFile,
    /// The same as a file.
    pub migration_file: PlannedFile,
    /// The exported domains, in the order of [`MigrationFile::domains`].
    pub domains: Vec<(PlannedFile, &'a SourceDomain)>,
    /// Files with evidence of protection.
    pub evidence: Vec<PlannedFile>,
    /// Licences that were protected before, and the keys that they are sealed to.
    pub licences: Vec<(PlannedFile, Vec<KeyId>)>,
    /// The public key encryption key of the receiver, where keys leave as transfer files.
    pub key_encryption_key: Option<PlannedFile>,
    /// What the rules have to say and does not stop the migration.
    pub findings: Vec<PlannedFinding>,
}

/// Makes a plan. The same inputs give the same plan, byte for byte.
///
/// # Errors
/// [`Error::Refused`] for a combination that is not offered (rules 30, 41); [`Error::Usage`] for an approval policy that can't be
/// met, and for a transfer profile without a key encryption key.
pub fn build(inputs: PlanInputs<'_>) -> Result<Plan> {
    let migration = inputs.migration;
    let transfer = transfer(migration)?;
    let sources = migration.clusters().filter_map(|(_, cluster)| cluster.source.as_ref());
    if let Some(store) = migration.tenant.store.iter().chain(sources).find(|store| !store.value.is_token()) {
        return Err(Error::Usage {
            what: format!("'{}' is no token", store.value),
            hint: Some("name a PKCS#11 URI; without `store` the keys are kept in the tenant's folder".into()),
        });
    }
    let nobody = ApprovalPolicy { threshold: 0, danger_threshold: 0, roles: Vec::new(), valid_days: VALID_DAYS, people: Vec::new() };
    let approval = approval_policy(migration)?.unwrap_or(nobody);
    let dangers: Vec<String> = migration.danger.iter().flat_map(Danger::flags).map(str::to_owned).collect();
    if !dangers.is_empty() && approval.people.is_empty() {
        return Err(Error::refused_by_policy(
            format!("the migration file allows {} and names nobody who approves it", dangers.join(", ")),
            "add an [approval] table with the people who must approve, or take the [danger] table away",
        ));
    }
    let keys = keys_of(&inputs)?;
    let mut warnings: Vec<Warning> = inputs.domains.iter().flat_map(|(_, domain)| domain.warnings().iter().cloned()).collect();
    let templates = inputs.domains.iter().flat_map(|(_, domain)| domain.templates());
    warnings.extend(versions_among(templates).into_iter().map(|text| Warning::of_rule(143, text)));
    warnings.extend(keys.iter().filter(|key| key.mode == 1).flat_map(|key| rules::mode_1_warnings(key.path, &key.key_id)));
    if approval.people.is_empty() {
        warnings.push(Warning::plain("nobody has to approve this plan: the migration file has no [approval] table"));
    }
    let mut findings = inputs.findings;
    // Of most of this the rules told already, with what to do about it.
    warnings.retain(|warning| !findings.iter().any(|finding| finding.says(warning)));
    findings.extend(warnings.iter().map(PlannedFinding::from));

    let tenant = PlannedTenant {
        name: migration.tenant.name.value.clone(),
        id: migration.tenant.id.value.to_string(),
        region: migration.tenant.region.value.to_string(),
        era: migration.era(),
        managed: migration.tenant.managed.value,
        folder: migration.tenant.folder.value.to_string(),
        keyring_password_source: text_of(migration.tenant.keyring_password_source.as_ref()),
        store: text_of(migration.tenant.store.as_ref()),
        transfer,
        other_tenants: migration.tenant.other_tenants.iter().map(|folder| folder.value.to_string()).collect(),
    };
    let licences = &inputs.licences;
    let approval_text = approval_text(&approval, !dangers.is_empty());
    let (steps, omitted) =
        process::steps(&process::Known { migration, tenant: &tenant, keys: &keys, domains: &inputs.domains, licences }, approval_text)?;
    findings.extend(omitted.iter().filter(|step| step.is_open).map(|step| PlannedFinding {
        rule: None,
        severity: Severity::Unstated,
        step: step.documented,
        message: format!("this plan does nothing for {}: {}", step.documented, step.why),
    }));
    let mut seen = std::collections::BTreeSet::new();
    findings.retain(|finding| seen.insert((finding.rule, finding.message.clone())));
    findings.sort_by_key(|finding| (finding.step, finding.severity, finding.rule));
    let files = [inputs.migration_file].into_iter();
    let files = files.chain(inputs.domains.into_iter().map(|(file, _)| file)).chain(inputs.evidence).chain(inputs.key_encryption_key);
    let mut files: Vec<PlannedFile> = files.chain(inputs.licences.into_iter().map(|(file, _)| file)).collect();
    files.sort_by(|left, right| (left.kind, &left.path).cmp(&(right.kind, &right.path)));
    files.dedup();
    let plan = Plan { organisation: migration.organisation.name.value.clone(), tenant, approval, dangers, files, keys, steps, omitted, findings };
    plan.check().map_err(|error| Error::usage(error.to_string()))?;
    Ok(plan)
}

/// Where transfer files go, if keys leave in that way.
fn transfer(migration: &MigrationFile) -> Result<Option<PlannedTransfer>> {
    let tenant = &migration.tenant;
    let Some(profile) = &tenant.transfer_profile else { return Ok(None) };
    let missing = |what: &str| Error::usage(format!("`transfer-profile` needs `{what}`"));
    Ok(Some(PlannedTransfer {
        profile: profile.value.to_string(),
        key_encryption_key: text_of(tenant.key_encryption_key.as_ref()).ok_or_else(|| missing("key-encryption-key"))?,
        fingerprint: text_of(tenant.key_encryption_key_fingerprint.as_ref()).ok_or_else(|| missing("key-encryption-key-fingerprint"))?,
        kid: text_of(tenant.key_encryption_key_id.as_ref()),
    }))
}

fn text_of<T: ToString>(value: Option<&Placed<T>>) -> Option<String> {
    value.map(|placed| placed.value.to_string())
}

/// Who must approve, by the `[approval]` table of a migration file, if it has one.
///
/// # Errors
/// [`Error::Usage`] for a policy that can't be met.
pub fn approval_policy(migration: &MigrationFile) -> Result<Option<ApprovalPolicy>> {
    let Some(approval) = &migration.approval else { return Ok(None) };
    let people: Vec<Approver> = approval
        .person
        .iter()
        .map(|person| Approver {
            name: person.name.value.clone(),
            role: person.role.value.clone(),
            key: CustodianPublicKey::from_bytes(person.key.value.ed25519()),
        })
        .collect();
    let all = u32::try_from(people.len()).unwrap_or(u32::MAX);
    let policy = ApprovalPolicy {
        threshold: approval.threshold.value,
        danger_threshold: approval.danger_threshold.as_ref().map_or(all, |threshold| threshold.value),
        roles: approval.roles.iter().map(|role| role.value.clone()).collect(),
        valid_days: approval.valid_days.as_ref().map_or(VALID_DAYS, |days| days.value),
        people,
    };
    policy.check().map_err(Error::usage)?;
    Ok(Some(policy))
}

fn approval_text(policy: &ApprovalPolicy, is_dangerous: bool) -> String {
    if policy.people.is_empty() {
        return "nobody".to_owned();
    }
    let mut text = format!("{} of {}", policy.needed(is_dangerous), policy.people.len());
    if !policy.roles.is_empty() {
        text.push_str(&format!(", among them {}", policy.roles.join(" and ")));
    }
    text
}

/// The keys, each once: that of the active domain first, the others in the order of the migration file.
fn keys_of(inputs: &PlanInputs<'_>) -> Result<Vec<PlannedKey>> {
    let migration = inputs.migration;
    let mut placed: Vec<_> = migration.domains().zip(&inputs.domains).collect();
    if placed.len() != inputs.domains.len() || placed.len() != migration.domains().count() {
        return Err(Error::Internal("the domains of a plan are not those of its migration file".into()));
    }
    placed.sort_by_key(|(place, _)| !place.domain.is_active());
    let mut keys: Vec<PlannedKey> = Vec::new();
    for (place, (file, domain)) in placed {
        let path = path_of(place.cluster, migration)?;
        domain.check_path(path)?;
        let id = domain.key_id();
        let index = match keys.iter().position(|key| key.key_id == id) {
            Some(index) => index,
            None => {
                keys.push(PlannedKey {
                    key_id: id,
                    modulus_bits: domain.licensor().modulus_bits(),
                    mode: domain.mode().number(),
                    path,
                    domains: Vec::new(),
                    source: place.cluster.source.as_ref().filter(|_| path == MigrationPath::HsmToHsm).map(|source| source.value.to_string()),
                    evidence: place.cluster.evidence.iter().map(|evidence| evidence.value.to_string()).collect(),
                    licensor_name: domain.licensor_name().to_owned(),
                    templates: Vec::new(),
                });
                keys.len() - 1
            }
        };
        let Some(key) = keys.get_mut(index) else { continue };
        if key.path != path {
            return Err(Error::refused(
                41,
                format!("the key {} is to come by two paths, {} and {}", id.short(), key.path.name(), path.name()),
                "say the same protection for all clusters that share a key",
            ));
        }
        if path == MigrationPath::HsmToHsm && key.source.is_none() {
            return Err(Error::Usage {
                what: format!("the cluster '{}' does not say which token holds its key", place.cluster.name.value),
                hint: Some("add `source = \"pkcs11:…\"` to the cluster".into()),
            });
        }
        key.domains.push(file.path.clone());
        for template in domain.templates() {
            let planned = PlannedTemplate::of(template)?;
            if !key.templates.iter().any(|known| known.id == planned.id) {
                key.templates.push(planned);
            }
        }
    }
    // A template that came with an earlier key stays as it came.
    let mut first: BTreeMap<String, KeyId> = BTreeMap::new();
    for key in &mut keys {
        let id = key.key_id;
        key.templates.retain(|template| *first.entry(template.id.clone()).or_insert(id) == id);
    }
    Ok(keys)
}

fn path_of(cluster: &Cluster, migration: &MigrationFile) -> Result<MigrationPath> {
    cluster.path(migration.tenant.managed.value).ok_or_else(|| {
        Error::refused(
            41,
            format!("the cluster '{}': its kind of protection does not go with who is to keep the key", cluster.name.value),
            "docs/rules.md has the table: keys of the database go anywhere, keys of an nShield module go into a module of the customer",
        )
    })
}
