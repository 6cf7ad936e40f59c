//! What is there, seen again: what an earlier run left of a step, and whether everything is as planned.

use std::path::Path;

use super::TenantWorld;
use crate::ceremony::Approval;
use crate::error::{Error, Result};
use crate::migration::apply::Observed;
use crate::migration::plan::{Action, Phase, Plan, PlannedKey, PlannedTemplate};
use crate::migration::proof::BeforeImage;
use crate::migration::verify::{self, Findings, LaterChanges, SeenText};
use crate::migration::{MigrationPath, rules};
use crate::tenant::TenantView;

impl TenantWorld<'_> {
    pub(super) fn observe_key(&mut self, plan: &Plan, key: &PlannedKey) -> Result<Observed> {
        let Some(tenant) = self.open_tenant(plan)? else { return Ok(Observed::Absent) };
        let Some(entry) = tenant.key(&key.key_id).cloned() else { return Ok(Observed::Absent) };
        let name = self.target_name(plan)?;
        if entry.store != name {
            return Ok(Observed::Other(format!("the keyring has the key {} in {}, not in {name}", key.key_id.short(), entry.store)));
        }
        match self.open_target(plan)?.find(&key.key_id) {
            Ok(_) => Ok(Observed::Present(format!("key {} in {name}", key.key_id))),
            Err(Error::NotFound { .. }) => Ok(Observed::Absent),
            Err(error) => Err(error),
        }
    }

    pub(super) fn observe_templates(&mut self, plan: &Plan, templates: &[PlannedTemplate]) -> Result<Observed> {
        let Some(tenant) = self.open_tenant(plan)? else { return Ok(Observed::Absent) };
        let active = tenant.active().map(|key| key.key_id);
        let (mut anew, mut changed) = (0, Vec::new());
        for template in templates {
            let Some(known) = tenant.templates().iter().find(|known| known.id == template.id) else { return Ok(Observed::Absent) };
            match verify::look_at_template(tenant, known, Some(template), active.as_ref()).map(|seen| seen.text) {
                Ok(SeenText::Exported | SeenText::NotPlanned) => {}
                Ok(SeenText::SignedAnew) => anew += 1,
                // The tenant lets its templates be edited, and signs them then. Another text is not ours.
                Ok(SeenText::Other(true)) => changed.push(template.id.as_str()),
                Ok(SeenText::Other(false)) => {
                    return Ok(Observed::Other(format!(
                        "the template '{}' ({}) says something else than the exported one (rules 137 and 143)",
                        known.name, template.id
                    )));
                }
                Err(error @ Error::Read { .. }) => return Err(error),
                Err(error) => return Ok(Observed::Other(format!("the template '{}' ({}): {error}", known.name, template.id))),
            }
        }
        let mut seen = format!("{} templates, text for text", templates.len() - anew - changed.len());
        if anew > 0 {
            seen.push_str(&format!("; {anew} signed anew, which say the same"));
        }
        if !changed.is_empty() {
            seen.push_str(&format!(
                "; {} edited in this tenant, which say something else than the exported ones: {}",
                changed.len(),
                changed.join(" ")
            ));
        }
        Ok(Observed::Present(seen))
    }

    /// Derives everything again; see [`verify`]. Nothing is locked or settled for it. `runs` is the folder of the journal of runs and
    /// `approvals` are all that were kept there: what was changed after the plan was carried out, by operations that recorded it, is
    /// told as changed later.
    ///
    /// # Errors
    /// What stores and files say. What is wrong with them is in the findings.
    pub fn verify_afterwards(&mut self, plan: &Plan, phase: Phase, runs: &Path, approvals: &[Approval]) -> Result<Findings> {
        self.verify_with(plan, phase, |tenant| LaterChanges::since(plan, tenant, runs, approvals))
    }

    /// As [`Self::verify_afterwards`], in the middle of a run: everything must be as planned, and no journal is read.
    ///
    /// # Errors
    /// As [`Self::verify_afterwards`].
    pub fn verify(&mut self, plan: &Plan, phase: Phase) -> Result<Findings> {
        self.verify_with(plan, phase, |_| LaterChanges::default())
    }

    fn verify_with(&mut self, plan: &Plan, phase: Phase, later: impl FnOnce(&TenantView) -> LaterChanges) -> Result<Findings> {
        let folder = self.folder(plan);
        let mut findings = Findings::default();
        if phase == Phase::Preparation {
            self.verify_sources(plan, false, &mut findings);
            return Ok(findings);
        }
        if plan.tenant.transfer.is_some() {
            self.verify_packages(plan, plan.is_decommissioned_before(phase), &mut findings);
            return Ok(findings);
        }
        let tenant = match TenantView::open(&folder) {
            Ok(tenant) => tenant,
            Err(Error::NotFound { .. }) => {
                findings.note("tenant-is-there", &plan.tenant.folder, false, "there is no tenant keyring in this folder");
                return Ok(findings);
            }
            Err(error @ Error::Malformed(_)) => {
                findings.note("tenant-file-is-sound", &plan.tenant.folder, false, error.to_string());
                return Ok(findings);
            }
            Err(error) => return Err(error),
        };
        findings.note("tenant-file-is-sound", &plan.tenant.folder, tenant.era() == plan.tenant.era, "read, without its journal");
        self.open_target(plan)?;
        let name = self.target_name(plan)?;
        let source_may_be_gone = plan.is_decommissioned_before(phase);
        let missing = || Error::Internal("a store is not open".into());
        for key in &plan.keys {
            let readable = self.open_domains(plan).map(drop);
            let opened = self.open_source(plan, key);
            let licences: Vec<String> = plan
                .steps
                .iter()
                .filter_map(|step| match &step.action {
                    Action::ProveKey { key_id, licences } if *key_id == key.key_id => Some(licences.clone()),
                    _ => None,
                })
                .flatten()
                .collect();
            let samples = self.samples(plan, &key.key_id, &licences);
            let target = self.target.as_deref().ok_or_else(missing)?;
            let source = opened.and_then(|()| self.sources.get(&key.key_id).map(AsRef::as_ref).ok_or_else(missing));
            let domains = readable.map(|()| self.domains.as_ref().and_then(|domains| domains.get(&key.key_id)).map_or(&[][..], Vec::as_slice));
            let keep_transferable = plan.allows("keep-transferable");
            let source_may_be_gone = source_may_be_gone && key.path == MigrationPath::HsmToHsm;
            let tenant = &tenant;
            let place =
                verify::KeyInPlace { key, domains, tenant, target, target_name: &name, source, source_may_be_gone, samples, keep_transferable };
            verify::key(&mut findings, place);
        }
        for entry in tenant.keys().iter().filter(|entry| plan.key(&entry.key_id).is_none()) {
            let store = self.open_other(plan, &entry.store);
            verify::other_key(&mut findings, &tenant, entry, store);
        }
        let target = self.target.as_deref().ok_or_else(missing)?;
        verify::tenant(&mut findings, (plan, phase), &tenant, (target, &name), &later(&tenant));
        Ok(findings)
    }

    /// Every file is as planned, and every key is at its source, unless that is a token that may be gone by now.
    pub(super) fn verify_sources(&mut self, plan: &Plan, source_may_be_gone: bool, findings: &mut Findings) {
        for key in &plan.keys {
            let about = key.key_id.to_string();
            let opened = self.open_domains(plan).map(drop);
            let detail = opened.as_ref().map_or_else(ToString::to_string, |()| key.domains.join(", "));
            findings.note("domain-opens-and-is-as-planned", &about, opened.is_ok(), detail);
            let opened = self.open_source(plan, key);
            let is_open = opened.is_ok();
            let found = opened.and_then(|()| {
                let store = self.sources.get(&key.key_id).ok_or_else(|| Error::Internal("a source is not open".into()))?;
                let record = store.find(&key.key_id)?;
                BeforeImage::take(store.as_ref(), &record.public, rules::mode_of(&record.public)?, &key.licensor_name)?;
                Ok(store.identity().uri.clone())
            });
            match found {
                Ok(uri) => findings.note("source-key-still-works", &about, true, uri),
                Err(error) if source_may_be_gone && key.path == MigrationPath::HsmToHsm => {
                    findings.note("source-was-taken-out-of-service", &about, true, error.to_string());
                }
                Err(error) if !is_open => findings.note_not_opened("source-key-still-works", &about, error),
                Err(error) => findings.note_error("source-key-still-works", &about, error),
            }
        }
    }
}
