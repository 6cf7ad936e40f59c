//! The documented process, step by step, as far as a migration file asks for it.
//!
//! The order decides rules of its own: domains are exported before the plan is made (43 to 48), keys are imported before one
//! becomes active (56, 62), that before the service is activated (82), and AD RMS ends before the new key comes (213), unless the
//! file says otherwise.

use super::by_hand::{self, ByHand};
use crate::artefact::artefacts;
use crate::canonical::sha256_hex;
use crate::error::Result;
use crate::key::KeyId;
use crate::migration::file::MigrationFile;
use crate::migration::plan::{Action, OmittedStep, Phase, PlannedArtefact, PlannedFile, PlannedKey, PlannedTenant, Step, Undo};
use crate::migration::rules::Step as Documented;
use crate::migration::{MigrationPath, SourceDomain};

/// Size in bits of a new key if the migration file does not say.
const REKEY_BITS: u32 = 2048;
/// Number of the scripts' version gate (rule 165).
pub(in crate::migration) const SCRIPT_VERSION: u32 = 1;

/// What the steps are made from.
pub(super) struct Known<'k> {
    pub(super) migration: &'k MigrationFile,
    pub(super) tenant: &'k PlannedTenant,
    pub(super) keys: &'k [PlannedKey],
    pub(super) domains: &'k [(PlannedFile, &'k SourceDomain)],
    pub(super) licences: &'k [(PlannedFile, Vec<KeyId>)],
}

/// All steps, and the steps of the documented process for which there are none.
pub(super) fn steps(known: &Known<'_>, approval: String) -> Result<(Vec<Step>, Vec<OmittedStep>)> {
    let mut list = StepList { approval, steps: Vec::new() };
    let without_artefacts = list.preparation(known);
    list.keys(known);
    list.activation(known);
    list.all_by_hand(by_hand::service(known));
    list.templates(known);
    list.verification(Phase::Templates);
    list.all_by_hand(by_hand::clients(known));
    list.verification(Phase::Clients);
    list.all_by_hand(by_hand::services(known));
    list.verification(Phase::Services);
    list.end(known);
    let mut omitted = by_hand::omitted(known, &list.steps);
    omitted.extend(without_artefacts);
    Ok((list.steps, omitted))
}

struct StepList {
    approval: String,
    steps: Vec<Step>,
}

impl StepList {
    #[expect(clippy::too_many_arguments, reason = "the parts of a step, each of them once")]
    fn push(&mut self, documented: Documented, rules: &[u16], id: String, action: Action, inputs: Vec<String>, effects: Vec<String>, undo: Undo) {
        let approval = self.approval.clone();
        self.steps.push(Step { id, documented, rules: rules.to_vec(), action, inputs, effects, undo, approval });
    }

    fn by_hand(&mut self, step: ByHand) {
        let action = Action::Manual { instruction: step.instruction };
        self.push(step.documented, step.rules, format!("manual/{}", step.name), action, step.inputs, step.effects, Undo::Stays(step.undo));
    }

    fn all_by_hand(&mut self, steps: Vec<ByHand>) {
        steps.into_iter().for_each(|step| self.by_hand(step));
    }

    /// Everything is verified after a phase that had steps of its own. The end is always verified.
    fn verification(&mut self, phase: Phase) {
        let had_steps = self.steps.last().is_some_and(|step| !matches!(step.action, Action::Verify { .. }));
        if had_steps || phase == Phase::End {
            let documented = self.steps.last().map_or(Documented::Before, |step| step.documented);
            let id = format!("verify/{}", phase.name());
            self.push(documented, &[], id, Action::Verify { phase }, Vec::new(), Vec::new(), Undo::Nothing);
        }
    }

    /// What is left open if the migration file lacks a name that the files for other systems need.
    fn preparation(&mut self, known: &Known<'_>) -> Option<OmittedStep> {
        self.all_by_hand(by_hand::tools(known));
        let artefacts = artefacts(known.migration, SCRIPT_VERSION).map_err(|error| OmittedStep {
            documented: Documented::PrepareClients,
            is_open: true,
            why: format!("no files for clients and servers can be made: {error}"),
        });
        if let Ok(files) = &artefacts {
            let folder = format!("{}-artefacts", known.tenant.folder);
            let mut rules: Vec<u16> = files.iter().flat_map(|file| file.rules.iter().copied()).collect();
            rules.sort_unstable();
            rules.dedup();
            let effects = vec![format!("{} files for clients and servers are in the folder {folder}; nobody has run them yet", files.len())];
            let files = files.iter().map(|file| PlannedArtefact { name: file.name.clone(), sha256: sha256_hex(&file.bytes) }).collect();
            let stays = Undo::Stays("the files stay; they change nothing until somebody deploys them".into());
            let action = Action::WriteArtefacts { folder, files };
            self.push(Documented::PrepareClients, &rules, "write-artefacts".into(), action, vec!["the migration file".into()], effects, stays);
        }
        self.all_by_hand(by_hand::preparation(known));
        if !self.steps.is_empty() {
            self.verification(Phase::Preparation);
        }
        artefacts.err()
    }

    fn keys(&mut self, known: &Known<'_>) {
        let (keys, tenant) = (known.keys, known.tenant);
        let every_file: Vec<String> = keys.iter().flat_map(|key| key.domains.iter().chain(&key.evidence).cloned()).collect();
        let exported: usize = keys.iter().map(|key| key.domains.len()).sum();
        let effects = vec![format!("the {exported} exported domains are still those that this plan was made from")];
        self.push(Documented::Keys, &[43, 44, 45, 46, 47, 48, 59], "check-sources".into(), Action::CheckSources, every_file, effects, Undo::Nothing);
        for key in keys {
            let mut inputs = key.domains.clone();
            inputs.extend(key.source.clone());
            inputs.extend(key.evidence.clone());
            match &tenant.transfer {
                Some(transfer) => self.package(key, tenant, transfer, inputs),
                None => self.import(key, known, inputs),
            }
        }
    }

    fn import(&mut self, key: &PlannedKey, known: &Known<'_>, inputs: Vec<String>) {
        let (id, short, tenant) = (key.key_id, key.key_id.short(), known.tenant);
        let target = tenant.store.clone().unwrap_or_else(|| format!("the folder {}", tenant.folder));
        let effects = vec![
            format!("the key {id} is in {target}, by the path {}", key.path.name()),
            format!("the keyring has it as an archived key, with the certificate chain of '{}'", key.licensor_name),
        ];
        let rules: &[u16] = match key.path {
            MigrationPath::SoftwareToSoftware => &[4, 41, 55, 65],
            MigrationPath::HsmToHsm => &[4, 29, 41, 55, 66, 69, 70],
            MigrationPath::SoftwareToHsm => &[4, 41, 55, 69, 81],
        };
        let stays = Undo::Stays("the copy stays archived in the tenant, where nothing uses it; the source is as it was".into());
        self.push(Documented::Keys, rules, format!("import-key/{short}"), Action::ImportKey { key_id: id }, inputs, effects, stays);
        let named: Vec<String> = known.licences.iter().filter(|(_, keys)| keys.contains(&id)).map(|(file, _)| file.path.clone()).collect();
        let action = Action::ProveKey { key_id: id, licences: named.clone() };
        self.push(Documented::Keys, &[55, 70], format!("prove-key/{short}"), action, named, Vec::new(), Undo::Nothing);
        if !key.templates.is_empty() {
            let effects = vec![format!("{} templates are in the keyring, archived", key.templates.len())];
            let stays = Undo::Stays("the templates stay archived, where no user sees them".into());
            let action = Action::ImportTemplates { key_id: id, templates: key.templates.clone() };
            self.push(Documented::Keys, &[60, 137, 143], format!("import-templates/{short}"), action, key.domains.clone(), effects, stays);
        }
    }

    /// A key leaves as a transfer file, and a person brings it to its receiver.
    fn package(&mut self, key: &PlannedKey, tenant: &PlannedTenant, transfer: &super::PlannedTransfer, mut inputs: Vec<String>) {
        let (id, short) = (key.key_id, key.key_id.short());
        let file = format!("{}/packages/{short}.byok", tenant.folder);
        inputs.push(transfer.key_encryption_key.clone());
        let effects = vec![
            format!("the key {id} is in {file}, wrapped under the key encryption key {}", transfer.fingerprint),
            format!("beside it, {file}.json says which key it holds, and its SHA-256"),
        ];
        let stays = Undo::Stays("the file stays: without the key of the receiver nobody can open it; the source is as it was".into());
        let action = Action::MakePackage { key_id: id, file: file.clone() };
        self.push(Documented::Keys, &[36, 69, 102, 103, 106], format!("make-package/{short}"), action, inputs, effects, stays);
        self.by_hand(by_hand::import_package(key, &file, transfer));
    }

    fn activation(&mut self, known: &Known<'_>) {
        let Some(id) = known.active() else { return self.verification(Phase::Keys) };
        if known.tenant.transfer.is_some() {
            self.by_hand(by_hand::activate_key(&id));
        } else {
            let effects = vec![format!("the key {id} is active; every other key is archived")];
            let undo = Undo::Automatic("the key that was active before is activated again; the first key of a tenant stays active".into());
            let action = Action::Activate { key_id: id };
            self.push(Documented::Keys, &[55, 56, 62, 117, 118, 119], format!("activate/{}", id.short()), action, Vec::new(), effects, undo);
        }
        self.verification(Phase::Keys);
    }

    fn templates(&mut self, known: &Known<'_>) {
        if known.tenant.transfer.is_some() {
            return self.all_by_hand(by_hand::templates_of_a_service(known));
        }
        let plain = known.templates_to_publish();
        if !plain.is_empty() {
            let effects = vec![format!("{} templates are published, signed by the active key", plain.len())];
            let undo = Undo::Automatic("they are archived again".into());
            let action = Action::PublishTemplates { templates: plain };
            self.push(Documented::Templates, &[119, 131], "publish-templates".into(), action, Vec::new(), effects, undo);
        }
        self.all_by_hand(by_hand::templates(known));
    }

    fn end(&mut self, known: &Known<'_>) {
        let migration = known.migration;
        let before_rekey = migration.decommission.as_ref().is_none_or(|end| end.before_rekey.as_ref().is_none_or(|before| before.value));
        let decommission = by_hand::decommission(known);
        if before_rekey {
            self.all_by_hand(decommission.clone());
        }
        self.all_by_hand(by_hand::completion(known));
        if let Some(rekey) = migration.rekey.as_ref().filter(|rekey| rekey.after_migration.value) {
            let bits = rekey.bits.as_ref().map_or(REKEY_BITS, |bits| bits.value);
            let bits = usize::try_from(bits).unwrap_or(usize::MAX);
            if known.tenant.transfer.is_some() {
                self.by_hand(by_hand::rekey_of_a_service(bits));
            } else {
                let effects = vec![
                    format!("a new key of {bits} bits is in the tenant's store and active; every other key is archived"),
                    "the templates are signed by the new key".to_owned(),
                ];
                let undo = Undo::Automatic("the key that was active before is activated again; the new one stays archived".into());
                let action = Action::Rekey { bits };
                self.push(Documented::Rekey, &[119, 215, 216, 217], "rekey".into(), action, Vec::new(), effects, undo);
            }
        }
        if !before_rekey {
            self.all_by_hand(decommission);
        }
        self.verification(Phase::End);
    }
}

impl Known<'_> {
    /// The key that is active in AD RMS.
    pub(super) fn active(&self) -> Option<KeyId> {
        self.migration.domains().zip(self.domains).find(|(place, _)| place.domain.is_active()).map(|(_, (_, domain))| domain.key_id())
    }

    /// Whether a key brings the template with this GUID.
    pub(super) fn has_template(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.templates.iter().any(|template| template.id == id))
    }

    /// Templates that are published as they are.
    pub(super) fn templates_to_publish(&self) -> Vec<String> {
        let wanted = self.migration.template.iter().filter(|choice| choice.publish.as_ref().is_some_and(|publish| publish.value));
        wanted
            .filter(|choice| choice.replace_anyone_with.is_empty())
            .map(|choice| choice.id.value.to_string())
            .filter(|id| self.has_template(id))
            .collect()
    }
}
