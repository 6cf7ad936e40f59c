//! Verification from the ground up: what is in stores and files now, against the plan. Nothing is taken from a journal.

mod meaning;

use std::collections::BTreeMap;

use serde::Serialize;

pub use meaning::{Subject, meaning};

use super::plan::{Action, Plan, PlannedKey};
use super::proof::{BeforeImage, sample_opens, token_attributes};
use super::{MigrationPath, ProtectedSample, SourceDomain, rules};
use crate::canonical;
use crate::error::{Error, Result};
use crate::key::KeyId;
use crate::store::{KeyStore, Transferability};
use crate::tenant::{KeyStatus, TemplateStatus, TenantKeyring, TenantTemplate};
use crate::xrml;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable name, for example `key-is-at-its-target-once`.
    pub name: &'static str,
    /// The key, template, file or folder that it is about.
    pub about: String,
    /// Whether it is as planned.
    pub ok: bool,
    /// What was seen.
    pub detail: String,
}

/// Everything that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// In the order in which it was looked at.
    pub checks: Vec<Check>,
}

impl Findings {
    /// Whether all is as planned.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }

    /// Writes down what was seen.
    pub(super) fn note(&mut self, name: &'static str, about: &str, ok: bool, detail: impl Into<String>) {
        self.checks.push(Check { name, about: about.to_owned(), ok, detail: detail.into() });
    }

    /// How many checks were made, or what the first that failed says.
    ///
    /// # Errors
    /// [`Error::Negative`].
    pub fn require(&self) -> Result<String> {
        let failed: Vec<&Check> = self.checks.iter().filter(|check| !check.ok).collect();
        match failed.first() {
            None => Ok(format!("{} checks held", self.checks.len())),
            Some(first) => Err(Error::Negative {
                what: format!(
                    "{} of {} checks failed; the first is '{}' of {}: {}",
                    failed.len(),
                    self.checks.len(),
                    first.name,
                    first.about,
                    first.detail
                ),
                hint: Some("`keykit verify PLAN` lists all of them; switch nothing off before they hold".into()),
            }),
        }
    }
}

/// A planned key and where it should be.
pub(super) struct KeyInPlace<'a> {
    pub(super) key: &'a PlannedKey,
    pub(super) domains: Result<&'a [SourceDomain]>,
    pub(super) tenant: &'a TenantKeyring,
    pub(super) target: &'a dyn KeyStore,
    pub(super) target_name: &'a str,
    pub(super) source: Result<&'a dyn KeyStore>,
    pub(super) samples: Result<Vec<ProtectedSample>>,
    pub(super) keep_transferable: bool,
}

/// Looks at one key.
pub(super) fn key(findings: &mut Findings, place: &KeyInPlace<'_>) {
    let (key, id) = (place.key, place.key.key_id);
    let about = id.to_string();
    match place.tenant.key(&id) {
        None => findings.note("key-is-in-the-keyring", &about, false, "the keyring does not have it"),
        Some(entry) => {
            let as_planned = entry.modulus_bits == key.modulus_bits
                && entry.mode == key.mode
                && entry.path == key.path.name()
                && entry.licensor_name == key.licensor_name;
            let detail = format!("{} bits, mode {}, by {}, of '{}'", entry.modulus_bits, entry.mode, entry.path, entry.licensor_name);
            findings.note("key-is-in-the-keyring", &about, as_planned, detail);
            findings.note("keyring-names-the-planned-store", &about, entry.store == place.target_name, entry.store.clone());
        }
    }
    match &place.domains {
        Ok(domains) => {
            let exported: Vec<String> = domains.iter().map(|domain| domain.domain().chain.concat()).collect();
            let kept = place.tenant.chain_text(&id);
            let same = kept.as_ref().is_ok_and(|kept| exported.iter().any(|chain| chain.as_bytes() == kept.as_slice()));
            findings.note(
                "chain-is-the-exported-one",
                &about,
                same,
                kept.map_or_else(|error| error.to_string(), |kept| format!("{} bytes", kept.len())),
            );
        }
        Err(error) => findings.note("domain-opens-and-is-as-planned", &about, false, error.to_string()),
    }
    let record = match place.target.find(&id) {
        Ok(record) => {
            findings.note("key-is-at-its-target-once", &about, true, place.target_name);
            record
        }
        // Not there, or there twice.
        Err(error) => return findings.note("key-is-at-its-target-once", &about, false, error.to_string()),
    };
    if key.path != MigrationPath::SoftwareToSoftware {
        let wanted = if place.keep_transferable { Transferability::UnderTrustedKey } else { Transferability::Never };
        let proof = token_attributes(&record, wanted);
        findings.note(proof.name, &about, proof.ok, proof.detail);
    }
    match &place.source {
        Err(error) => findings.note("source-key-still-works", &about, false, error.to_string()),
        Ok(source) => {
            let proved = source.find(&id).and_then(|at_source| {
                let before = BeforeImage::take(*source, &at_source.public, rules::mode_of(&at_source.public)?, &key.licensor_name)?;
                findings.note("source-key-still-works", &about, true, source.identity().uri.clone());
                before.prove(place.target, &record, &at_source.public)
            });
            match proved {
                Ok(proofs) => proofs.into_iter().for_each(|proof| findings.note(proof.name, &about, proof.ok, proof.detail)),
                Err(error) => findings.note("licence-sealed-before-opens-after", &about, false, error.to_string()),
            }
        }
    }
    match &place.samples {
        Err(error) => findings.note("given-licence-opens", &about, false, error.to_string()),
        Ok(samples) => {
            for sample in samples {
                match sample_opens(place.target, &id, &sample.name, &sample.sealed) {
                    Ok(proof) => findings.note(proof.name, &about, proof.ok, proof.detail),
                    Err(error) => findings.note("given-licence-opens", &about, false, error.to_string()),
                }
            }
        }
    }
}

/// Looks at the tenant as a whole.
pub(super) fn tenant(findings: &mut Findings, plan: &Plan, tenant: &TenantKeyring, target: &dyn KeyStore) {
    let about = plan.tenant.folder.as_str();
    let active: Vec<KeyId> = tenant.keys().iter().filter(|key| key.status == KeyStatus::Active).map(|key| key.key_id).collect();
    let listed: Vec<String> = active.iter().map(KeyId::short).collect();
    let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
    if let Some(planned) = plan.active_key() {
        findings.note("exactly-one-key-is-active", about, active.len() == 1, listed.clone());
        // A re-key puts a key in its place that the plan can't know.
        let rekeys = plan.steps.iter().any(|step| matches!(step.action, Action::Rekey { .. }));
        let expected = active.iter().all(|id| *id == planned || (rekeys && plan.key(id).is_none()));
        findings.note("active-key-is-the-planned-one", about, expected, listed);
    } else {
        findings.note("at-most-one-key-is-active", about, active.len() <= 1, listed);
    }
    // Every key of the keyring, planned or not, must be where the keyring says.
    let mut at_target: BTreeMap<KeyId, usize> = BTreeMap::new();
    match target.keys() {
        Ok(records) => records.iter().for_each(|record| *at_target.entry(record.id()).or_default() += 1),
        Err(error) => findings.note("target-lists-its-keys", &target.identity().uri, false, error.to_string()),
    }
    for (id, count) in at_target.iter().filter(|(_, count)| **count > 1) {
        findings.note("no-key-is-there-twice", &id.to_string(), false, format!("{count} times in {}", target.identity().uri));
    }
    for id in at_target.keys().filter(|id| plan.key(id).is_none()) {
        let known = if tenant.key(id).is_some() { "and in the keyring" } else { "and not in the keyring" };
        findings.note("key-that-the-plan-does-not-have", &id.to_string(), true, format!("in {} {known}", target.identity().uri));
    }
    let planned: BTreeMap<&str, &str> =
        plan.keys.iter().flat_map(|key| &key.templates).map(|template| (template.id.as_str(), template.sha256.as_str())).collect();
    for id in planned.keys() {
        if !tenant.templates().iter().any(|template| template.id == **id) {
            findings.note("template-is-in-the-keyring", id, false, "the keyring does not have it");
        }
    }
    for template in tenant.templates() {
        let seen = look_at_template(tenant, template, planned.get(template.id.as_str()).copied(), active.first());
        match seen {
            Ok(detail) => findings.note("template-is-signed-by-a-key-of-the-tenant", &template.id, true, detail),
            Err(error) => findings.note("template-is-signed-by-a-key-of-the-tenant", &template.id, false, error.to_string()),
        }
    }
}

/// A template verifies under the key that the keyring names; one that users are offered under the active key; one that was not
/// signed anew has the text that was exported.
pub(super) fn look_at_template(tenant: &TenantKeyring, template: &TenantTemplate, exported: Option<&str>, active: Option<&KeyId>) -> Result<String> {
    let text = tenant.template_text(template)?;
    let documents = xrml::documents_in(&text)?;
    let document = documents.first().ok_or_else(|| Error::malformed("rights template", "no document in it"))?;
    let issuer = document.issuer_key().ok_or_else(|| Error::negative("the template names no issuer"))?;
    document.verify_with(issuer).map_err(|_| Error::negative("its signature does not verify"))?;
    if template.signed_by != Some(issuer.id()) {
        return Err(Error::negative(format!("it is signed by {}, the keyring says otherwise", issuer.id().short())));
    }
    if tenant.key(&issuer.id()).is_none() {
        return Err(Error::negative(format!("it is signed by {}, which is no key of the tenant", issuer.id().short())));
    }
    if template.status == TemplateStatus::Published && active != Some(&issuer.id()) {
        return Err(Error::negative(format!("it is published and signed by {}, which is not the active key", issuer.id().short())));
    }
    let is_exported = exported == Some(canonical::sha256_hex(&text).as_str());
    Ok(format!("signed by {}{}", issuer.id().short(), if is_exported { ", as exported" } else { ", anew" }))
}
