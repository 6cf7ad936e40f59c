//! Verification from the ground up: what is in stores and files now, against the plan. Nothing is taken from a journal, but which
//! differences were made on purpose after the plan was carried out (`later.rs`).

mod findings;
mod later;
mod meaning;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use findings::{Check, Findings, Reason};
pub use later::LaterChanges;
pub use meaning::{Subject, meaning};

use super::apply::OWN_FOLDER;
use super::plan::{Action, Phase, Plan, PlannedKey, PlannedTemplate};
use super::proof::{BeforeImage, sample_opens, token_attributes};
use super::{MigrationPath, ProtectedSample, SourceDomain, rules};
use crate::canonical;
use crate::error::{Error, Result};
use crate::key::{CryptographicMode, KeyId};
use crate::store::{KeyRecord, KeyStore, Transferability};
use crate::tenant::{KeyStatus, Licensor, Managed, TemplateStatus, TenantKey, TenantTemplate, TenantView, terms};
use crate::xrml;

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
pub(super) fn key(findings: &mut Findings, place: KeyInPlace<'_>) {
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
        Err(error) => return findings.note_error("key-is-at-its-target-once", &about, error),
    };
    if is_in_token {
        let wanted = if place.keep_transferable { Transferability::UnderTrustedKey } else { Transferability::Never };
        let proof = token_attributes(&record, wanted);
        findings.note(proof.name, &about, proof.ok, proof.detail);
    }
    let is_open = place.source.is_ok();
    let source = place.source.and_then(|source| source.find(&id).map(|at_source| (source, at_source)));
    match source {
        Err(problem) if place.source_may_be_gone => {
            findings.note("source-was-taken-out-of-service", &about, true, problem.to_string());
            works(findings, place.tenant, &id, place.target, &record);
        }
        Err(problem) if !is_open => findings.note_not_opened("source-key-still-works", &about, problem),
        Err(problem) => findings.note_error("source-key-still-works", &about, problem),
        Ok((source, at_source)) => {
            let proved = rules::mode_of(&at_source.public).and_then(|mode| {
                let before = BeforeImage::take(source, &at_source.public, mode, &key.licensor_name)?;
                findings.note("source-key-still-works", &about, true, source.identity().uri.clone());
                before.prove(place.target, &record, &at_source.public)
            });
            match proved {
                Ok(proofs) => proofs.into_iter().for_each(|proof| findings.note(proof.name, &about, proof.ok, proof.detail)),
                Err(error) => findings.note_error("licence-sealed-before-opens-after", &about, error),
            }
        }
    }
    match place.samples {
        Err(error) => findings.note_error("given-licence-opens", &about, error),
        Ok(samples) => {
            for sample in &samples {
                match sample_opens(place.target, &id, &sample.name, &sample.sealed) {
                    Ok(proof) => findings.note(proof.name, &about, proof.ok, proof.detail),
                    Err(error) => findings.note_error("given-licence-opens", &about, error),
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
        Err(error) => return findings.note_error("key-signs-and-opens-under-its-certificate", &id.to_string(), error),
    };
    findings.note("key-signs-and-opens-under-its-certificate", &id.to_string(), ok, detail);
}

/// Looks at a key of the keyring that the plan does not name; `store` is the one that the keyring names.
pub(super) fn other_key(findings: &mut Findings, tenant: &TenantView, entry: &TenantKey, store: Result<&dyn KeyStore>) {
    let about = entry.key_id.to_string();
    let store = match store {
        Ok(store) => store,
        Err(error) => return findings.note_not_opened("other-key-of-the-keyring-is-in-its-store", &about, error),
    };
    let record = match store.find(&entry.key_id) {
        Err(error) => return findings.note_error("other-key-of-the-keyring-is-in-its-store", &about, error),
        Ok(record) => record,
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
pub(super) fn tenant(
    findings: &mut Findings,
    (plan, phase): (&Plan, Phase),
    tenant: &TenantView,
    (target, target_name): (&dyn KeyStore, &str),
    later: &LaterChanges,
) {
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
        let change = active
            .first()
            .filter(|_| !is_expected && active.len() == 1)
            .and_then(|key| later.of_active_key(plan, &key.key_id, is_own_key(tenant, key)));
        let seen = format!("{listed}{wanted}");
        match change {
            Some(change) => findings.note_later("active-key-is-the-planned-one", about, &seen, &change),
            None if is_expected => findings.note("active-key-is-the-planned-one", about, true, seen),
            None => findings.note("active-key-is-the-planned-one", about, false, format!("{seen}{}", later.unexplained())),
        }
    }
    if let Some(before) = tenant.previous_active() {
        let is_sound = tenant.key(&before).is_some_and(|key| key.status == KeyStatus::Archived);
        findings.note("rollback-goes-to-a-key-of-the-tenant", about, is_sound, before.short());
    }
    custodians(findings, plan, tenant, later);
    let mut at_target: BTreeMap<KeyId, usize> = BTreeMap::new();
    match target.keys() {
        Ok(records) => records.iter().for_each(|record| *at_target.entry(record.id()).or_default() += 1),
        Err(error) => findings.note_error("target-lists-its-keys", &target.identity().uri, error),
    }
    for (id, count) in at_target.iter().filter(|(_, count)| **count > 1) {
        findings.note("no-key-is-there-twice", &id.to_string(), false, format!("{count} times in {}", target.identity().uri));
    }
    for id in at_target.keys().filter(|id| plan.key(id).is_none()) {
        let known = if tenant.key(id).is_some() { "and in the keyring" } else { "and not in the keyring" };
        findings.note("key-that-the-plan-does-not-have", &id.to_string(), true, format!("in {} {known}", target.identity().uri));
    }
    templates(findings, plan, tenant, active.first().map(|key| &key.key_id), later);
}

/// The people who must approve what changes the tenant. A plan that names nobody leaves those of the tenant.
fn custodians(findings: &mut Findings, plan: &Plan, tenant: &TenantView, later: &LaterChanges) {
    const NAME: &str = "custodians-are-those-of-the-plan";
    let about = plan.tenant.folder.as_str();
    let Some(policy) = tenant.custodians() else { return };
    let seen = format!("{} of {}", policy.threshold, policy.people.len());
    if *policy == plan.approval {
        findings.note(NAME, about, true, seen);
    } else if plan.approval.people.is_empty() {
        findings.note(NAME, about, true, format!("{seen}; the plan names nobody"));
    } else if let Some(change) = later.of_custodians(plan) {
        findings.note_later(NAME, about, &seen, &change);
    } else {
        findings.note(
            NAME,
            about,
            false,
            format!("{seen}; the plan has {} of {}{}", plan.approval.threshold, plan.approval.people.len(), later.unexplained()),
        );
    }
}

/// The templates of the plan are in the keyring and say what was exported; all templates are signed by the right key.
fn templates(findings: &mut Findings, plan: &Plan, tenant: &TenantView, active: Option<&KeyId>, later: &LaterChanges) {
    const SAYS: &str = "template-says-what-was-exported";
    let planned: BTreeMap<&str, &PlannedTemplate> =
        plan.keys.iter().flat_map(|key| &key.templates).map(|template| (template.id.as_str(), template)).collect();
    let there: BTreeSet<&str> = tenant.templates().iter().map(|template| template.id.as_str()).collect();
    for id in planned.keys().filter(|id| !there.contains(**id)) {
        findings.note("template-is-in-the-keyring", id, false, "the keyring does not have it");
    }
    let by_hand: BTreeSet<&str> = plan.steps.iter().filter_map(|step| step.id.strip_prefix("manual/template/")).collect();
    for template in tenant.templates() {
        let id = template.id.as_str();
        let seen = match look_at_template(tenant, template, planned.get(id).copied(), active) {
            Ok(seen) => seen,
            Err(error) => {
                findings.note("template-is-signed-by-a-key-of-the-tenant", id, false, error.to_string());
                continue;
            }
        };
        findings.note("template-is-signed-by-a-key-of-the-tenant", id, true, seen.to_string());
        match (seen.text, later.of_template(id)) {
            (SeenText::NotPlanned, _) => {}
            (SeenText::Other(_), _) if by_hand.contains(id) => {}
            (SeenText::Other(_), Some(change)) => findings.note_later(SAYS, id, "its rights, names or terms are others than exported", &change),
            (SeenText::Other(_), None) => {
                let detail = "its rights, names or terms are not those of the exported one (rules 137 and 143)";
                findings.note(SAYS, id, false, format!("{detail}{}", later.unexplained()));
            }
            (SeenText::Exported | SeenText::SignedAnew, _) => findings.note(SAYS, id, true, "the same"),
        }
    }
}

/// Whether a key is what the plan's re-key makes: not one that came, made in the tenant's store, with the tenant's own certificate.
fn is_new_key(plan: &Plan, tenant: &TenantView, key: &TenantKey, bits: usize, target_name: &str) -> bool {
    plan.key(&key.key_id).is_none() && key.modulus_bits == bits && key.store == target_name && is_own_key(tenant, key)
}

/// Whether a re-key of this tenant made a key: its certificate names the tenant.
fn is_own_key(tenant: &TenantView, key: &TenantKey) -> bool {
    let names_it = |licensor: &Licensor| licensor.server.security_level("Tenant-ID").is_some_and(|id| id == tenant.tenant_id());
    key.path == "rekey" && tenant.licensor(&key.key_id).is_ok_and(|licensor| names_it(&licensor))
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
