//! What the steps of a plan do to keyring and stores, and how it is taken back.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::TenantWorld;
use crate::durable;
use crate::error::{Error, Result};
use crate::key::KeyId;
use crate::migration::apply::{Observed, TakenBack, World};
use crate::migration::paths::{hsm_to_hsm, software_to_hsm, software_to_software};
use crate::migration::plan::{Action, FileKind, Plan, PlannedKey, Step};
use crate::migration::proof::{BeforeImage, Proof, sample_opens};
use crate::migration::{Migration, MigrationPath, SilentProgress, SourceDomain, rules};
use crate::store::protection::Signal;
use crate::store::{KeyRecord, Transferability};
use crate::tenant::{Managed, NewKey, TemplateAddition, TemplateStatus, TenantRekey, sibling_tenants};

impl TenantWorld<'_> {
    /// Makes a key the active one again, by the store that holds it.
    fn activate_again(&mut self, plan: &Plan, id: &KeyId) -> Result<TakenBack> {
        let Some(store) = self.open_tenant(plan)?.and_then(|tenant| tenant.key(id).map(|key| key.store.clone())) else {
            return Ok(TakenBack::Kept(format!("the key {id}, which was active before, is not in the keyring any more")));
        };
        self.open_other(plan, &store)?;
        let missing = || Error::Internal("a store is not open".into());
        let is_target = self.target_name(plan)? == store;
        let tenant = self.tenant.as_mut().ok_or_else(missing)?;
        let store = if is_target { self.target.as_deref() } else { self.others.get(&store).map(AsRef::as_ref) };
        tenant.activate_with(id, store.ok_or_else(missing)?)?;
        Ok(TakenBack::Undone(format!("key {id} is active again")))
    }

    /// Fixes the people of the plan, whose quorum was met, as those who must approve what changes this tenant.
    fn fix_custodians(&mut self, plan: &Plan) -> Result<()> {
        if !plan.approval.people.is_empty() {
            self.tenant(plan)?.fix_custodians(&plan.approval)?;
        }
        Ok(())
    }

    /// Whether a verification is reached with all effects before it there already, so that no step has fixed the people yet.
    fn is_adopted(&mut self, plan: &Plan, step: &Step) -> Result<bool> {
        let Action::Verify { phase } = step.action else { return Ok(false) };
        let changes = plan.steps_before(phase).any(|step| step.action.changes_the_tenant());
        Ok(changes && self.open_tenant(plan)?.is_some())
    }

    /// A new key takes over. A run that was cut off after the store had made it takes that one up.
    fn rekey(&mut self, plan: &Plan, bits: usize) -> Result<String> {
        let transferability = match plan.tenant.managed {
            // The folder store is software: the custodian can read it with the keyring password in any case.
            Managed::Service => Transferability::Wrapped,
            Managed::Customer if plan.allows("keep-transferable") => Transferability::UnderTrustedKey,
            Managed::Customer => Transferability::Never,
        };
        let (store_name, managed) = (self.target_name(plan)?, plan.tenant.managed);
        let (tenant, store) = self.tenant_and_target(plan)?;
        let done = tenant.rekey(&TenantRekey { store, store_name, managed, key: NewKey::Generated { bits, transferability } })?;
        Ok(format!("the new key {} is active, {} templates signed anew", done.activation.key_id, done.activation.resigned.len()))
    }

    fn check_sources(&mut self, plan: &Plan) -> Result<String> {
        for file in plan.files.iter().filter(|file| file.kind != FileKind::MigrationFile) {
            self.planned_file(plan, &file.path)?;
        }
        for key in &plan.keys {
            self.open_source(plan, key)?;
            let store = self.sources.get(&key.key_id).ok_or_else(|| Error::Internal("a source is not open".into()))?;
            store.find(&key.key_id)?;
        }
        Ok(format!("{} files are as planned, {} keys are at their sources", plan.files.len() - 1, plan.keys.len()))
    }

    /// Brings a key across, or proves again the one that is there.
    fn import(&mut self, plan: &Plan, key: &PlannedKey) -> Result<String> {
        self.open_source(plan, key)?;
        // The folder of the tenant comes before the folder of its keys.
        self.tenant(plan)?;
        self.open_target(plan)?;
        let evidence_files = self.evidence(plan, key)?;
        let target_name = self.target_name(plan)?;
        let mut other_tenants: Vec<PathBuf> = plan.tenant.other_tenants.iter().map(|folder| self.base.join(folder)).collect();
        other_tenants.extend(sibling_tenants(&self.folder(plan)));
        self.refuse_other_versions(key)?;
        let environment = self.environment;
        let missing = || Error::Internal("a store is not open".into());
        let domains = self.domains.as_ref().and_then(|domains| domains.get(&key.key_id)).ok_or_else(missing)?;
        let source = self.sources.get(&key.key_id).ok_or_else(missing)?;
        // Evidence is read once, so that what can't be read is an error and no silence.
        let mut signals: Vec<(PathBuf, Vec<Signal>)> = Vec::new();
        if key.path == MigrationPath::HsmToHsm {
            let record = source.find(&key.key_id)?;
            for domain in domains {
                signals.push((domain.file().to_owned(), environment.evidence(&evidence_files, domain, &record)?));
            }
        }
        let evidence = |domain: &SourceDomain, _: &KeyRecord| {
            signals.iter().filter(|(file, _)| file == domain.file()).flat_map(|(_, signals)| signals.clone()).collect()
        };
        let mut migration = Migration {
            tenant: self.tenant.as_mut().ok_or_else(missing)?,
            domains,
            source: source.as_ref(),
            target: self.target.as_deref().ok_or_else(missing)?,
            target_name,
            keep_transferable: plan.allows("keep-transferable"),
            allow_host_visible_ephemeral_key: plan.allows("host-visible-ephemeral-key"),
            evidence: &evidence,
            samples: &[],
            other_tenants: &other_tenants,
            progress: &SilentProgress,
        };
        let outcome = match key.path {
            MigrationPath::SoftwareToSoftware => software_to_software(&mut migration)?,
            MigrationPath::SoftwareToHsm => software_to_hsm(&mut migration)?,
            MigrationPath::HsmToHsm => hsm_to_hsm(&mut migration)?,
        };
        let carried = outcome.keys.first().ok_or_else(|| Error::Internal("no key was moved".into()))?;
        Ok(format!("key {} in {}, carried: {}, {} proofs held", carried.key_id, carried.store, carried.route, carried.proofs.len()))
    }

    /// Refuses templates that the keyring has in another version (rules 137, 143). What a later key brings of a template that came
    /// with an earlier one is in the findings of the plan.
    fn refuse_other_versions(&self, key: &PlannedKey) -> Result<()> {
        let planned = |id: &str| key.templates.iter().any(|template| template.id == id);
        let domains = self.domains.iter().flat_map(|domains| domains.get(&key.key_id)).flatten();
        let templates: Vec<TemplateAddition> =
            domains.flat_map(SourceDomain::templates).filter(|template| planned(&template.canonical_id())).cloned().collect();
        // Of two files of one key the first counts, which the plan says too.
        let mut seen = BTreeSet::new();
        let first: Vec<TemplateAddition> = templates.into_iter().filter(|template| seen.insert(template.canonical_id())).collect();
        let Some(tenant) = &self.tenant else { return Ok(()) };
        match tenant.other_versions(&first)?.into_iter().next() {
            None => Ok(()),
            Some(other) => Err(Error::Conflict {
                what: format!("{other} (rule 143)"),
                hint: Some("look at it with `keykit tenant template show`; archive and export it, or import the other version with --overwrite, then resume. Nothing was overwritten".into()),
            }),
        }
    }

    /// A licence of the source key, made now, opens at the target; so do those of the organisation.
    fn prove(&mut self, plan: &Plan, key: &PlannedKey, licences: &[String]) -> Result<String> {
        self.open_source(plan, key)?;
        self.open_target(plan)?;
        let samples = self.samples(plan, &key.key_id, licences)?;
        let missing = || Error::Internal("a store is not open".into());
        let source = self.sources.get(&key.key_id).ok_or_else(missing)?;
        let target = self.target.as_deref().ok_or_else(missing)?;
        let licensor = source.find(&key.key_id)?.public;
        let before = BeforeImage::take(source.as_ref(), &licensor, rules::mode_of(&licensor)?, &key.licensor_name)?;
        let mut proofs = before.prove(target, &target.find(&key.key_id)?, &licensor)?;
        for sample in &samples {
            proofs.push(sample_opens(target, &key.key_id, &sample.name, &sample.sealed)?);
        }
        held(&proofs)
    }
}

fn held(proofs: &[Proof]) -> Result<String> {
    match proofs.iter().find(|proof| !proof.ok) {
        None => Ok(format!("{} proofs held", proofs.len())),
        Some(failed) => Err(Error::Negative {
            what: format!("the proof '{}' failed ({})", failed.name, failed.detail),
            hint: Some("nothing was lost: the source still works. Do not switch anything off".into()),
        }),
    }
}

fn planned<'a>(plan: &'a Plan, id: &KeyId) -> Result<&'a PlannedKey> {
    plan.key(id).ok_or_else(|| Error::Internal("a step about a key that the plan does not have".into()))
}

impl World for TenantWorld<'_> {
    fn before(&mut self, plan: &Plan, step: &Step) -> Result<Option<String>> {
        match &step.action {
            Action::Activate { .. } | Action::Rekey { .. } => {
                Ok(self.open_tenant(plan)?.and_then(|tenant| tenant.active().map(|key| key.key_id.to_string())))
            }
            Action::PublishTemplates { templates } => Ok(self.open_tenant(plan)?.map(|tenant| {
                let published = tenant.templates().iter().filter(|known| known.status == TemplateStatus::Published && templates.contains(&known.id));
                published.map(|known| known.id.as_str()).collect::<Vec<_>>().join(" ")
            })),
            _ => Ok(None),
        }
    }

    fn observe(&mut self, plan: &Plan, step: &Step) -> Result<Observed> {
        if self.open_tenant(plan)?.is_some() {
            // What a killed process left is read below; from here on it is on the disk too.
            for folder in ["", "keys", "chains", "templates"] {
                durable::sync_folder(&self.folder(plan).join(folder))?;
            }
        }
        match &step.action {
            Action::ImportKey { key_id } => self.observe_key(plan, planned(plan, key_id)?),
            Action::ImportTemplates { templates, .. } => self.observe_templates(plan, templates),
            Action::Activate { key_id } => {
                let active = self.open_tenant(plan)?.and_then(|tenant| tenant.active().map(|key| key.key_id));
                Ok(if active == Some(*key_id) { Observed::Present(format!("key {key_id} is active")) } else { Observed::Absent })
            }
            Action::PublishTemplates { templates } => {
                let Some(tenant) = self.open_tenant(plan)? else { return Ok(Observed::Absent) };
                let is_published = |id: &String| tenant.templates().iter().any(|known| known.id == *id && known.status == TemplateStatus::Published);
                Ok(if templates.iter().all(is_published) {
                    Observed::Present(format!("{} templates are published", templates.len()))
                } else {
                    Observed::Absent
                })
            }
            Action::Rekey { .. } => {
                // A key that no domain brought and that is active: the one that this step makes.
                let active = self.open_tenant(plan)?.and_then(|tenant| tenant.active().map(|key| (key.key_id, key.path == "rekey")));
                match active {
                    Some((id, true)) if plan.key(&id).is_none() => Ok(Observed::Present(format!("the new key {id} is active"))),
                    _ => Ok(Observed::Absent),
                }
            }
            Action::WriteArtefacts { folder, files } => self.observe_artefacts(folder, files),
            Action::MakePackage { key_id, file } => self.observe_package(plan, key_id, file),
            Action::CheckSources | Action::ProveKey { .. } | Action::Verify { .. } | Action::Manual { .. } => Ok(Observed::Absent),
        }
    }

    fn perform(&mut self, plan: &Plan, step: &Step) -> Result<String> {
        if step.action.changes_the_tenant() || self.is_adopted(plan, step)? {
            self.fix_custodians(plan)?;
        }
        match &step.action {
            Action::CheckSources => self.check_sources(plan),
            Action::ImportKey { key_id } | Action::ImportTemplates { key_id, .. } => self.import(plan, planned(plan, key_id)?),
            Action::ProveKey { key_id, licences } => self.prove(plan, planned(plan, key_id)?, licences),
            Action::Activate { key_id } => {
                let (tenant, target) = self.tenant_and_target(plan)?;
                let done = tenant.activate_with(key_id, target)?;
                Ok(format!("key {key_id} is active, {} templates signed anew", done.resigned.len()))
            }
            Action::Verify { phase } => self.verify(plan, *phase)?.require(),
            Action::PublishTemplates { templates } => {
                let (tenant, target) = self.tenant_and_target(plan)?;
                templates.iter().try_for_each(|id| tenant.publish_template(id, target).map(drop))?;
                Ok(format!("{} templates are published", templates.len()))
            }
            Action::Rekey { bits } => self.rekey(plan, *bits),
            Action::WriteArtefacts { folder, files } => self.write_artefacts(plan, folder, files),
            Action::MakePackage { key_id, file } => self.make_package(plan, planned(plan, key_id)?, file),
            Action::Manual { .. } => Err(Error::Internal("a step by hand reached the stores".into())),
        }
    }

    fn undo(&mut self, plan: &Plan, step: &Step, before: Option<&str>) -> Result<TakenBack> {
        match (&step.action, before) {
            (Action::Activate { .. } | Action::Rekey { .. }, Some(before)) => self.activate_again(plan, &before.parse()?),
            (Action::Activate { .. } | Action::Rekey { .. }, None) => {
                Ok(TakenBack::Kept("no key was active before, and a tenant does not go back to none: the key stays active".into()))
            }
            (Action::PublishTemplates { templates }, _) => {
                // Those that were published before stay so.
                let before: Vec<&str> = before.unwrap_or_default().split(' ').collect();
                let Some(tenant) = self.open_tenant(plan)? else {
                    return Ok(TakenBack::Kept("there is no tenant any more".into()));
                };
                for id in templates.iter().filter(|id| !before.contains(&id.as_str())) {
                    tenant.archive_template(id)?;
                }
                Ok(TakenBack::Undone(format!("{} templates are archived again", templates.len())))
            }
            _ => Err(Error::Internal(format!("the step {} can't be undone here", step.id))),
        }
    }
}
