//! From a migration file and the exported domains to a plan.

use std::collections::BTreeMap;

use super::{Action, Phase, Plan, PlannedFile, PlannedKey, PlannedTemplate, PlannedTenant, Step, Undo};
use crate::ceremony::{ApprovalPolicy, Approver, CustodianPublicKey};
use crate::error::{Error, Result};
use crate::key::KeyId;
use crate::migration::file::{Cluster, Danger, MigrationFile, Placed};
use crate::migration::{MigrationPath, SourceDomain, Warning, rules};
use crate::tenant::versions_among;

/// Days for which an approval holds if the migration file does not say.
const VALID_DAYS: u32 = 30;
/// Size in bits of a new key if the migration file does not say.
const REKEY_BITS: u32 = 2048;

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
    /// What the rules have to say and does not stop the migration.
    pub findings: Vec<Warning>,
}

/// Makes a plan. The same inputs give the same plan, byte for byte.
///
/// # Errors
/// [`Error::Refused`] for a combination that is not offered (rules 30, 41), and for transfer files, which are made one by one;
/// [`Error::Usage`] for an approval policy that can't be met.
pub fn build(inputs: PlanInputs<'_>) -> Result<Plan> {
    let migration = inputs.migration;
    if let Some(profile) = &migration.tenant.transfer_profile {
        return Err(Error::refused_by_policy(
            format!("a plan brings keys into a folder or a token; '{}' takes transfer files, one for each key", profile.value),
            "make them with `keykit byok wrap`, or plan with `store` for a token",
        ));
    }
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
    let mut findings = inputs.findings;
    for (_, domain) in &inputs.domains {
        findings.extend(domain.warnings().iter().cloned());
    }
    let templates = inputs.domains.iter().flat_map(|(_, domain)| domain.templates());
    findings.extend(versions_among(templates).into_iter().map(|text| Warning::of_rule(143, text)));
    for key in keys.iter().filter(|key| key.mode == 1) {
        findings.extend(rules::mode_1_warnings(key.path, &key.key_id));
    }
    if approval.people.is_empty() {
        findings.push(Warning::plain("nobody has to approve this plan: the migration file has no [approval] table"));
    }
    let mut seen = std::collections::BTreeSet::new();
    findings.retain(|finding| seen.insert((finding.rule, finding.message.clone())));

    let tenant = PlannedTenant {
        name: migration.tenant.name.value.clone(),
        id: migration.tenant.id.value.to_string(),
        region: migration.tenant.region.value.to_string(),
        era: migration.era(),
        managed: migration.tenant.managed.value,
        folder: migration.tenant.folder.value.to_string(),
        keyring_password_source: text_of(migration.tenant.keyring_password_source.as_ref()),
        store: text_of(migration.tenant.store.as_ref()),
        other_tenants: migration.tenant.other_tenants.iter().map(|folder| folder.value.to_string()).collect(),
    };
    let licences = &inputs.licences;
    let mut steps = StepList { approval: approval_text(&approval, !dangers.is_empty()), steps: Vec::new() };
    steps.keys(&keys, &tenant, licences);
    steps.activation(migration, &inputs.domains, &keys);
    steps.by_hand(migration);
    let files = [inputs.migration_file].into_iter();
    let files = files.chain(inputs.domains.into_iter().map(|(file, _)| file)).chain(inputs.evidence);
    let mut files: Vec<PlannedFile> = files.chain(inputs.licences.into_iter().map(|(file, _)| file)).collect();
    files.sort_by(|left, right| (left.kind, &left.path).cmp(&(right.kind, &right.path)));
    files.dedup();
    let plan = Plan { organisation: migration.organisation.name.value.clone(), tenant, approval, dangers, files, keys, steps: steps.steps, findings };
    plan.check().map_err(|error| Error::usage(error.to_string()))?;
    Ok(plan)
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

struct StepList {
    approval: String,
    steps: Vec<Step>,
}

impl StepList {
    fn push(&mut self, id: String, action: Action, inputs: Vec<String>, effects: Vec<String>, undo: Undo) {
        self.steps.push(Step { id, action, inputs, effects, undo, approval: self.approval.clone() });
    }

    fn keys(&mut self, keys: &[PlannedKey], tenant: &PlannedTenant, licences: &[(PlannedFile, Vec<KeyId>)]) {
        let every_file: Vec<String> = keys.iter().flat_map(|key| key.domains.iter().chain(&key.evidence).cloned()).collect();
        self.push("check-sources".into(), Action::CheckSources, every_file, Vec::new(), Undo::Nothing);
        for key in keys {
            let (id, short) = (key.key_id, key.key_id.short());
            let target = tenant.store.clone().unwrap_or_else(|| format!("the folder {}", tenant.folder));
            let mut inputs = key.domains.clone();
            inputs.extend(key.source.clone());
            inputs.extend(key.evidence.clone());
            let effects = vec![
                format!("the key {id} is in {target}, by the path {}", key.path.name()),
                format!("the keyring has it as an archived key, with the certificate chain of '{}'", key.licensor_name),
            ];
            let stays = Undo::Stays("the copy stays archived in the tenant, where nothing uses it; the source is as it was".into());
            self.push(format!("import-key/{short}"), Action::ImportKey { key_id: id }, inputs, effects, stays);
            let named: Vec<String> = licences.iter().filter(|(_, keys)| keys.contains(&id)).map(|(file, _)| file.path.clone()).collect();
            self.push(format!("prove-key/{short}"), Action::ProveKey { key_id: id, licences: named.clone() }, named, Vec::new(), Undo::Nothing);
            if !key.templates.is_empty() {
                let effects = vec![format!("{} templates are in the keyring, archived", key.templates.len())];
                let stays = Undo::Stays("the templates stay archived, where no user sees them".into());
                let action = Action::ImportTemplates { key_id: id, templates: key.templates.clone() };
                self.push(format!("import-templates/{short}"), action, key.domains.clone(), effects, stays);
            }
        }
    }

    fn activation(&mut self, migration: &MigrationFile, domains: &[(PlannedFile, &SourceDomain)], keys: &[PlannedKey]) {
        let active = migration.domains().zip(domains).find(|(place, _)| place.domain.is_active()).map(|(_, (_, domain))| domain.key_id());
        if let Some(id) = active {
            let effects = vec![format!("the key {id} is active; every other key is archived")];
            let undo = Undo::Automatic("the key that was active before is activated again; the first key of a tenant stays active".into());
            self.push(format!("activate/{}", id.short()), Action::Activate { key_id: id }, Vec::new(), effects, undo);
        }
        let known = |id: &str| keys.iter().any(|key| key.templates.iter().any(|template| template.id == id));
        let wanted = || migration.template.iter().filter(|choice| choice.publish.as_ref().is_some_and(|publish| publish.value));
        let plain: Vec<String> = wanted()
            .filter(|choice| choice.replace_anyone_with.is_empty())
            .map(|choice| choice.id.value.to_string())
            .filter(|id| known(id))
            .collect();
        if !plain.is_empty() {
            let effects = vec![format!("{} templates are published, signed by the active key", plain.len())];
            let undo = Undo::Automatic("they are archived again".into());
            self.push("publish-templates".into(), Action::PublishTemplates { templates: plain }, Vec::new(), effects, undo);
        }
        self.push("verify/keys".into(), Action::Verify { phase: Phase::Keys }, Vec::new(), Vec::new(), Undo::Nothing);
        for choice in wanted().filter(|choice| !choice.replace_anyone_with.is_empty()) {
            let names: Vec<&str> = choice.replace_anyone_with.iter().map(|name| name.value.as_str()).collect();
            let id = choice.id.value.to_string();
            if known(&id) {
                let text = format!("give the rights that ANYONE had in the template {id} to {}, then publish it (rule 133)", names.join(", "));
                self.manual(&format!("template/{id}"), text);
            }
        }
    }

    fn by_hand(&mut self, migration: &MigrationFile) {
        if !migration.tenant.activated.value {
            self.manual("activate-service", format!("activate the service for {} (step 5 of the documented process)", migration.tenant.name.value));
        }
        if migration.connector.is_some() {
            self.manual("connector", "install the connector and enter the servers that may use it (step 9)".into());
        }
        if migration.services.as_ref().is_some_and(|services| !services.exchange_server.is_empty() || !services.sharepoint_server.is_empty()) {
            self.manual(
                "servers",
                "switch rights management off in Exchange and SharePoint, configure them for the connector, and switch it on again (steps 3 and 9)"
                    .into(),
            );
        }
        for batch in &migration.batch {
            self.manual(
                &format!("users/{}", batch.name.value),
                format!(
                    "move the {} users of the batch '{}': onboarding group, then the client scripts (step 7)",
                    batch.users.value, batch.name.value
                ),
            );
        }
        let before_rekey = migration.decommission.as_ref().is_none_or(|end| end.before_rekey.as_ref().is_none_or(|before| before.value));
        let decommission = migration.decommission.is_some();
        let text = "take AD RMS out of service; keep its keys, backups and passwords as long as anybody may need them (step 10)";
        if decommission && before_rekey {
            self.manual("decommission", text.into());
        }
        if let Some(rekey) = migration.rekey.as_ref().filter(|rekey| rekey.after_migration.value) {
            let bits = rekey.bits.as_ref().map_or(REKEY_BITS, |bits| bits.value);
            let bits = usize::try_from(bits).unwrap_or(usize::MAX);
            let effects = vec![
                format!("a new key of {bits} bits is in the tenant's store and active; every other key is archived"),
                "the templates are signed by the new key".to_owned(),
            ];
            let undo = Undo::Automatic("the key that was active before is activated again; the new one stays archived".into());
            self.push("rekey".into(), Action::Rekey { bits }, Vec::new(), effects, undo);
            self.push("verify/end".into(), Action::Verify { phase: Phase::End }, Vec::new(), Vec::new(), Undo::Nothing);
        }
        if decommission && !before_rekey {
            self.manual("decommission", text.into());
        }
    }

    fn manual(&mut self, name: &str, instruction: String) {
        let undo = Undo::Stays("a person did it, and a person must take it back".into());
        self.push(format!("manual/{name}"), Action::Manual { instruction }, Vec::new(), Vec::new(), undo);
    }
}
