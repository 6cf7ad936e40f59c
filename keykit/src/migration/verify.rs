//! Verification from the ground up: what is in stores and files now, against the plan. Nothing is taken from a journal.

mod meaning;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

pub use meaning::{Subject, meaning};

use super::apply::OWN_FOLDER;
use super::plan::{Action, Phase, Plan, PlannedKey, PlannedTemplate};
use super::proof::{BeforeImage, sample_opens, token_attributes};
use super::{MigrationPath, ProtectedSample, SourceDomain, rules};
use crate::canonical;
use crate::error::{Error, Result};
use crate::key::{CryptographicMode, KeyId};
use crate::store::{KeyRecord, KeyStore, Transferability};
use crate::tenant::{KeyStatus, Managed, TemplateStatus, TenantKey, TenantTemplate, TenantView, terms};
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
    pub(super) tenant: &'a TenantView,
    pub(super) target: &'a dyn KeyStore,
    pub(super) target_name: &'a str,
    pub(super) source: Result<&'a dyn KeyStore>,
    /// Whether the source was to be taken out of service by now: what it can't say then is not missed.
    pub(super) source_may_be_gone: bool,
    pub(super) samples: Result<Vec<ProtectedSample>>,
    pub(super) keep_transferable: bool,
}

/// Looks at one key.
pub(super) fn key(findings: &mut Findings, place: &KeyInPlace<'_>) {
    let (key, id) = (place.key, place.key.key_id);
    let about = id.to_string();
    let is_in_token = key.path != MigrationPath::SoftwareToSoftware;
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
            let managed = if is_in_token { Managed::Customer } else { Managed::Service };
            let certified = place.domains.as_ref().map_or(true, |domains| domains.iter().any(|domain| domain.licensor_id() == entry.licensor_id));
            let as_kept = entry.managed == managed && entry.transferable == (is_in_token && place.keep_transferable) && certified;
            let detail = format!(
                "kept by the {}, {}, certificate {}",
                if entry.managed == Managed::Customer { "customer" } else { "service" },
                if entry.transferable { "transferable" } else { "not transferable" },
                entry.licensor_id
            );
            findings.note("keyring-says-how-the-key-is-kept", &about, as_kept, detail);
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
    if is_in_token {
        let wanted = if place.keep_transferable { Transferability::UnderTrustedKey } else { Transferability::Never };
        let proof = token_attributes(&record, wanted);
        findings.note(proof.name, &about, proof.ok, proof.detail);
    }
    let source = place
        .source
        .as_ref()
        .map_err(ToString::to_string)
        .and_then(|source| source.find(&id).map(|at_source| (*source, at_source)).map_err(|error| error.to_string()));
    match source {
        Err(problem) if place.source_may_be_gone => {
            findings.note("source-was-taken-out-of-service", &about, true, problem);
            works(findings, place.tenant, &id, place.target, &record);
        }
        Err(problem) => findings.note("source-key-still-works", &about, false, problem),
        Ok((source, at_source)) => {
            let proved = rules::mode_of(&at_source.public).and_then(|mode| {
                let before = BeforeImage::take(source, &at_source.public, mode, &key.licensor_name)?;
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

/// Whether a key opens what is sealed to it and signs, under the certificate that the tenant keeps of it: for keys that nothing
/// else can be asked about.
fn works(findings: &mut Findings, tenant: &TenantView, id: &KeyId, store: &dyn KeyStore, record: &KeyRecord) {
    let proved = tenant.licensor(id).and_then(|licensor| {
        let public = licensor.server.public_key.ok_or_else(|| Error::negative("its certificate holds no key"))?;
        let name = licensor.server.object.name.unwrap_or_default();
        BeforeImage::take(store, &public, rules::mode_of(&public)?, &name)?.prove(store, record, &public)
    });
    let (ok, detail) = match proved {
        Ok(proofs) => match proofs.iter().find(|proof| !proof.ok) {
            None => (true, format!("in {}", store.identity().uri)),
            Some(failed) => (false, format!("{}: {}", failed.name, failed.detail)),
        },
        Err(error) => (false, error.to_string()),
    };
    findings.note("key-signs-and-opens-under-its-certificate", &id.to_string(), ok, detail);
}

/// Looks at a key of the keyring that the plan does not name; `store` is the one that the keyring names.
pub(super) fn other_key(findings: &mut Findings, tenant: &TenantView, entry: &TenantKey, store: Result<&dyn KeyStore>) {
    let about = entry.key_id.to_string();
    let found = store.and_then(|store| store.find(&entry.key_id).map(|record| (store, record)));
    let (store, record) = match found {
        Err(error) => return findings.note("other-key-of-the-keyring-is-in-its-store", &about, false, error.to_string()),
        Ok(found) => found,
    };
    findings.note("other-key-of-the-keyring-is-in-its-store", &about, true, entry.store.clone());
    let bits = record.public.modulus_bits();
    let mode = rules::mode_of(&record.public).map_or(0, CryptographicMode::number);
    let is_in_token = entry.store != OWN_FOLDER;
    let managed = if is_in_token { Managed::Customer } else { Managed::Service };
    let as_said = entry.modulus_bits == bits && entry.mode == mode && entry.managed == managed && (is_in_token || !entry.transferable);
    findings.note("keyring-says-how-the-key-is-kept", &about, as_said, format!("{bits} bits, mode {mode}, in {}", entry.store));
    if is_in_token {
        let wanted = if entry.transferable { Transferability::UnderTrustedKey } else { Transferability::Never };
        let proof = token_attributes(&record, wanted);
        findings.note(proof.name, &about, proof.ok, proof.detail);
    }
    works(findings, tenant, &entry.key_id, store, &record);
}

/// Which key the plan makes the active one before a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// None: at most one may be.
    NotSaid,
    /// This one.
    Planned(KeyId),
    /// One that the re-key made, of this size.
    New(usize),
}

impl Expected {
    fn of(plan: &Plan, phase: Phase) -> Self {
        plan.steps_before(phase).fold(Self::NotSaid, |expected, step| match step.action {
            Action::Activate { key_id } => Self::Planned(key_id),
            Action::Rekey { bits } => Self::New(bits),
            _ => expected,
        })
    }
}

/// Looks at the tenant as a whole.
pub(super) fn tenant(findings: &mut Findings, plan: &Plan, phase: Phase, tenant: &TenantView, target: &dyn KeyStore, target_name: &str) {
    let about = plan.tenant.folder.as_str();
    let active: Vec<&TenantKey> = tenant.keys().iter().filter(|key| key.status == KeyStatus::Active).collect();
    let listed: Vec<String> = active.iter().map(|key| key.key_id.short()).collect();
    let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
    let expected = Expected::of(plan, phase);
    if expected == Expected::NotSaid {
        findings.note("at-most-one-key-is-active", about, active.len() <= 1, listed);
    } else {
        findings.note("exactly-one-key-is-active", about, active.len() == 1, listed.clone());
        let is_expected = active.first().is_some_and(|key| match expected {
            Expected::Planned(id) => key.key_id == id,
            Expected::New(bits) => is_new_key(plan, tenant, key, bits, target_name),
            Expected::NotSaid => true,
        });
        let wanted = match expected {
            Expected::New(bits) => format!("; wanted is a key of {bits} bits that the re-key of this tenant made in {target_name}"),
            Expected::Planned(id) if !is_expected => format!("; wanted is {}", id.short()),
            _ => String::new(),
        };
        findings.note("active-key-is-the-planned-one", about, is_expected, format!("{listed}{wanted}"));
    }
    if let Some(before) = tenant.previous_active() {
        let is_sound = tenant.key(&before).is_some_and(|key| key.status == KeyStatus::Archived);
        findings.note("rollback-goes-to-a-key-of-the-tenant", about, is_sound, before.short());
    }
    if let Some(policy) = tenant.custodians() {
        let detail = format!("{} of {}", policy.threshold, policy.people.len());
        findings.note("custodians-are-those-of-the-plan", about, *policy == plan.approval, detail);
    }
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
    let planned: BTreeMap<&str, &PlannedTemplate> =
        plan.keys.iter().flat_map(|key| &key.templates).map(|template| (template.id.as_str(), template)).collect();
    for id in planned.keys() {
        if !tenant.templates().iter().any(|template| template.id == **id) {
            findings.note("template-is-in-the-keyring", id, false, "the keyring does not have it");
        }
    }
    for template in tenant.templates() {
        let exported = planned.get(template.id.as_str()).copied();
        let seen = look_at_template(tenant, template, exported, active.first().map(|key| &key.key_id));
        match seen {
            Ok(seen) => {
                findings.note("template-is-signed-by-a-key-of-the-tenant", &template.id, true, seen.to_string());
                let by_hand = plan.step(&format!("manual/template/{}", template.id)).is_some();
                match seen.text {
                    SeenText::Other(_) if by_hand => {}
                    SeenText::Other(_) => findings.note(
                        "template-says-what-was-exported",
                        &template.id,
                        false,
                        "its rights, names or terms are not those of the exported one (rules 137 and 143)",
                    ),
                    SeenText::Exported | SeenText::SignedAnew => findings.note("template-says-what-was-exported", &template.id, true, "the same"),
                    SeenText::NotPlanned => {}
                }
            }
            Err(error) => findings.note("template-is-signed-by-a-key-of-the-tenant", &template.id, false, error.to_string()),
        }
    }
}

/// Whether a key is what the plan's re-key makes: not one that came, made in the tenant's store, with the tenant's own certificate.
fn is_new_key(plan: &Plan, tenant: &TenantView, key: &TenantKey, bits: usize, target_name: &str) -> bool {
    let certified =
        tenant.licensor(&key.key_id).is_ok_and(|licensor| licensor.server.security_level("Tenant-ID").is_some_and(|id| id == tenant.tenant_id()));
    plan.key(&key.key_id).is_none() && key.path == "rekey" && key.modulus_bits == bits && key.store == target_name && certified
}

/// What a template's text is, beside the exported one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeenText {
    /// The plan does not have it.
    NotPlanned,
    /// Byte for byte.
    Exported,
    /// It says the same, and is signed anew.
    SignedAnew,
    /// It says something else. `true` if it is signed by the active key: the tenant changed it, or an older version of its own.
    Other(bool),
}

/// A template that was looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeenTemplate {
    signed_by: KeyId,
    pub(super) text: SeenText,
}

impl fmt::Display for SeenTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.text {
            SeenText::NotPlanned => "",
            SeenText::Exported => ", as exported",
            SeenText::SignedAnew => ", signed anew",
            SeenText::Other(_) => ", with another text than the exported one",
        };
        write!(f, "signed by {}{text}", self.signed_by.short())
    }
}

/// A template verifies under the key that the keyring names; one that users are offered under the active key.
pub(super) fn look_at_template(
    tenant: &TenantView,
    template: &TenantTemplate,
    exported: Option<&PlannedTemplate>,
    active: Option<&KeyId>,
) -> Result<SeenTemplate> {
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
    let says = terms(document).map(|terms| canonical::sha256_hex(terms.as_bytes()));
    let text = match exported {
        None => SeenText::NotPlanned,
        Some(exported) if exported.sha256 == canonical::sha256_hex(&text) => SeenText::Exported,
        Some(exported) if says.as_ref() == Some(&exported.terms) => SeenText::SignedAnew,
        Some(_) => SeenText::Other(active == Some(&issuer.id())),
    };
    Ok(SeenTemplate { signed_by: issuer.id(), text })
}
