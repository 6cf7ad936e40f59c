//! What the three paths have in common.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::inventory::SourceDomain;
use super::proof::{BeforeImage, Proof, sample_opens, token_attributes};
use super::{MigrationPath, Warning, rules};
use crate::error::{Error, Result};
use crate::key::{KeyId, RsaPublicKey};
use crate::licence::SealAlgorithm;
use crate::store::protection::Signal;
use crate::store::{KeyRecord, KeyRequest, KeyStore, Transferability};
use crate::tenant::{
    Era, KeyAddition, KeyStatus, Managed, NeighbourLock, Recovery, TemplateAddition, TenantKeyring, holder_elsewhere, versions_among,
};

/// A real licence that is to open under the migrated key.
#[derive(Debug, Clone)]
pub struct ProtectedSample {
    /// Where it came from, for reports.
    pub name: String,
    /// The key it is sealed to.
    pub key_id: KeyId,
    /// Its sealed content keys.
    pub sealed: Vec<(SealAlgorithm, Vec<u8>)>,
}

/// Told what a migration is about to do, for progress bars.
pub trait Progress {
    /// Step `number` of `total` begins.
    fn step(&self, number: usize, total: usize, what: &str);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy)]
pub struct SilentProgress;

impl Progress for SilentProgress {
    fn step(&self, _: usize, _: usize, _: &str) {}
}

/// A migration by one of the paths.
pub struct Migration<'a> {
    /// The tenant that the keys go to.
    pub tenant: &'a mut TenantKeyring,
    /// The domains, one for each exported file.
    pub domains: &'a [SourceDomain],
    /// Where the keys are now. For software sources a memory store that holds the keys of the domains.
    pub source: &'a dyn KeyStore,
    /// Where they go.
    pub target: &'a dyn KeyStore,
    /// How the keyring names the target: `file:keys`, or a PKCS#11 URI without secrets.
    pub target_name: String,
    /// Leave the keys wrappable under a trusted key (HSM targets).
    pub keep_transferable: bool,
    /// Whether a key may be wrapped under an AES key that exists in this process for a moment (HSM → HSM).
    pub allow_host_visible_ephemeral_key: bool,
    /// Evidence of the source key's protection, from outside the token.
    pub evidence: &'a dyn Fn(&SourceDomain, &KeyRecord) -> Vec<Signal>,
    /// Real licences to open at the end.
    pub samples: &'a [ProtectedSample],
    /// Other tenant folders on this machine, which must not hold the keys (rule 4).
    pub other_tenants: &'a [PathBuf],
    /// Where progress is told.
    pub progress: &'a dyn Progress,
}

impl fmt::Debug for Migration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migration").field("tenant", &self.tenant.folder()).field("domains", &self.domains.len()).finish_non_exhaustive()
    }
}

/// A key at its target.
#[derive(Debug, Clone, Serialize)]
pub struct TransferredKey {
    /// The key's identity.
    pub key_id: KeyId,
    /// Size in bits.
    pub modulus_bits: usize,
    /// Cryptographic mode.
    pub mode: u8,
    /// Active or archived.
    pub status: KeyStatus,
    /// Where it is now, as the keyring names it.
    pub store: String,
    /// The files it came with.
    pub files: Vec<PathBuf>,
    /// How it was carried.
    pub route: String,
    /// Whether this run changed anything.
    pub changed: bool,
    /// The proofs, all of which held.
    pub proofs: Vec<Proof>,
}

/// What a migration did.
#[derive(Debug, Clone, Serialize)]
pub struct MigrationOutcome {
    /// The path.
    pub path: MigrationPath,
    /// The keys.
    pub keys: Vec<TransferredKey>,
    /// What the operator must know.
    pub warnings: Vec<Warning>,
}

/// How one key gets across, and what there is to say of it.
pub(super) struct Carried {
    pub(super) record: KeyRecord,
    pub(super) route: String,
    pub(super) warnings: Vec<String>,
    /// Whether the target was changed.
    pub(super) changed: bool,
}

/// Brings one key across. The second argument is the source's record of it.
pub(super) type Carry<'c> = dyn Fn(&Migration<'_>, &KeyRecord, &KeyRequest) -> Result<Carried> + 'c;

/// Checks the source's record of a key, and says what that proves.
pub(super) type CheckSource<'c> = dyn Fn(&Migration<'_>, &SourceDomain, &KeyRecord) -> Result<Vec<Proof>> + 'c;

/// All domains of one key: a cluster may export the same key more than once.
struct KeyGroup<'a> {
    public: &'a RsaPublicKey,
    domains: Vec<&'a SourceDomain>,
    source: KeyRecord,
    at_target: Option<KeyRecord>,
}

impl Migration<'_> {
    /// Checks everything, then carries key by key.
    pub(super) fn run(&mut self, path: MigrationPath, check_source: &CheckSource<'_>, carry: &Carry<'_>) -> Result<MigrationOutcome> {
        let domains = self.domains;
        let mut warnings: Vec<Warning> = domains.iter().flat_map(|domain| domain.warnings().iter().cloned()).collect();
        if let Some(Recovery::Completed(what) | Recovery::RolledBack(what)) = self.tenant.recovery() {
            warnings.push(Warning::plain(format!("an earlier run was interrupted during '{what}'; this run goes on from there")));
        }
        let (groups, source_proofs) = self.check(path, domains, check_source)?;
        let mut versions = versions_among(domains.iter().flat_map(SourceDomain::templates));
        for domain in domains {
            versions.extend(self.tenant.other_versions(domain.templates())?);
        }
        warnings.extend(versions.into_iter().map(|text| Warning::of_rule(143, text)));
        for group in &groups {
            if let [_, _, ..] = group.domains.as_slice() {
                warnings.push(Warning::plain(format!(
                    "{} files hold the key {}: it is moved once, their templates are joined",
                    group.domains.len(),
                    group.public.id().short()
                )));
            }
            if rules::mode_of(group.public)?.number() == 1 {
                warnings.extend(rules::mode_1_warnings(path, &group.public.id()));
            }
        }
        let mut keys = Vec::new();
        let total = groups.len();
        for (number, (group, before)) in groups.iter().zip(source_proofs).enumerate() {
            self.progress.step(number + 1, total, &format!("moving key {}", group.public.id().short()));
            // Rule 56: the first key of a tenant becomes active; a later import takes nothing away from it.
            let activate = self.tenant.era() == Era::Of2016 && number == 0 && self.tenant.active().is_none();
            keys.push(self.move_key(path, group, before, activate, carry, &mut warnings)?);
        }
        if self.tenant.active().is_none() {
            warnings.push(Warning::of_rule(
                55,
                "imported keys are archived: activate the one that is active in AD RMS with `keykit tenant activate KEY --tenant DIR`",
            ));
        }
        // Several files often have the same to say.
        let mut said = HashSet::new();
        warnings.retain(|warning| said.insert(warning.clone()));
        Ok(MigrationOutcome { path, keys, warnings })
    }

    /// Everything that can be known before anything is changed.
    fn check<'d>(
        &self,
        path: MigrationPath,
        domains: &'d [SourceDomain],
        check_source: &CheckSource<'_>,
    ) -> Result<(Vec<KeyGroup<'d>>, Vec<Vec<Proof>>)> {
        domains.iter().try_for_each(|domain| domain.check_path(path))?;
        let templates: Vec<TemplateAddition> = domains.iter().flat_map(|domain| domain.templates().iter().cloned()).collect();
        self.tenant.check_room_for(&templates)?;
        let mut groups: Vec<KeyGroup<'d>> = Vec::new();
        let mut proofs: Vec<Vec<Proof>> = Vec::new();
        for domain in domains {
            let id = domain.key_id();
            if let Some(group) = groups.iter_mut().find(|group| group.public.id() == id) {
                group.domains.push(domain);
                continue;
            }
            let source = self.source.find(&id).map_err(|error| match error {
                Error::NotFound { .. } => rules::not_the_key_of(domain.file(), &id, &self.source.identity().uri),
                error => error,
            })?;
            let present = match self.target.find(&id) {
                Ok(key) => Some(key),
                Err(Error::NotFound { .. }) => None,
                Err(error) => return Err(error),
            };
            self.check_owner(&id, present.as_ref())?;
            self.check_other_tenants(&id, self.other_tenants)?;
            proofs.push(check_source(self, domain, &source)?);
            groups.push(KeyGroup { public: domain.licensor(), domains: vec![domain], source, at_target: present });
        }
        Ok((groups, proofs))
    }

    /// Rule 4, as far as the target can tell: a key that another tenant brought there has a label of that one.
    fn check_owner(&self, id: &KeyId, at_target: Option<&KeyRecord>) -> Result<()> {
        if let Some(key) = at_target
            && let Some(owner) = owner_of(&key.attributes.label)
            && owner != short_tenant(self.tenant)
        {
            return Err(rules::in_another_tenant(id, &format!("tenant {owner}, by the label '{}' in the target", key.attributes.label)));
        }
        Ok(())
    }

    /// Rule 4, as far as this machine can tell.
    fn check_other_tenants(&self, id: &KeyId, others: &[PathBuf]) -> Result<()> {
        match holder_elsewhere(id, self.tenant, others)? {
            Some(folder) => Err(rules::in_another_tenant(id, &folder.display().to_string())),
            None => Ok(()),
        }
    }

    fn move_key(
        &mut self,
        path: MigrationPath,
        group: &KeyGroup<'_>,
        mut proofs: Vec<Proof>,
        activate: bool,
        carry: &Carry<'_>,
        warnings: &mut Vec<Warning>,
    ) -> Result<TransferredKey> {
        let id = group.public.id();
        let mode = rules::mode_of(group.public)?;
        let licensor_name = group.domains.first().map(|domain| domain.licensor_name()).unwrap_or_default();
        let before = BeforeImage::take(self.source, group.public, mode, licensor_name)?;
        let request = self.request_for(path, &id);
        let was_known = self.tenant.key(&id).is_some() && group.at_target.is_some();
        // From here until the keyring has the key no other process brings one into a tenant beside this one.
        let neighbours = if was_known { None } else { Some(NeighbourLock::take(self.tenant.folder(), self.other_tenants)?) };
        if let Some(neighbours) = &neighbours {
            self.check_other_tenants(&id, &neighbours.others())?;
            self.tenant.intend_import(id, format!("{} to {}", path.name(), self.target_name))?;
        }
        let moved = self.carry_and_prove(path, group, &before, &request, carry);
        let (carried, more) = match moved {
            Ok(done) => done,
            Err(error) => {
                if !was_known {
                    let note = format!("{}; {}", error.code(), self.whereabouts(&id));
                    // If it can't be written the next opening settles the intent. What went wrong is what the operator must know.
                    drop(self.tenant.abandon(id, note));
                }
                return Err(error);
            }
        };
        proofs.extend(more);
        warnings.extend(carried.warnings.iter().map(Warning::plain));
        let addition = self.addition(path, group, &carried.record);
        let keyring_changed = self.tenant.add_key(&addition, activate && !was_known).map_err(|error| match error {
            // The key has moved, so it is not true that nothing was changed.
            Error::Write { .. } if carried.changed => Error::Interrupted {
                what: format!(
                    "the key {} is at its target and was proven there, but the keyring does not have it yet: {error}; free some space, then run \
                     the same command again, which goes on from there",
                    id.short()
                ),
            },
            other => other,
        })?;
        let status = self.tenant.key(&id).map_or(KeyStatus::Archived, |key| key.status);
        Ok(TransferredKey {
            key_id: id,
            modulus_bits: group.public.modulus_bits(),
            mode: mode.number(),
            status,
            store: self.tenant.key(&id).map(|key| key.store.clone()).unwrap_or_default(),
            files: group.domains.iter().map(|domain| domain.file().to_owned()).collect(),
            route: carried.route,
            changed: keyring_changed || carried.changed,
            proofs,
        })
    }

    fn carry_and_prove(
        &self,
        path: MigrationPath,
        group: &KeyGroup<'_>,
        before: &BeforeImage,
        request: &KeyRequest,
        carry: &Carry<'_>,
    ) -> Result<(Carried, Vec<Proof>)> {
        let id = group.public.id();
        let carried = match &group.at_target {
            Some(record) => self.complete(path, record)?,
            None => carry(self, &group.source, request)?,
        };
        self.check_owner(&id, Some(&carried.record))?;
        let mut proofs = before.prove(self.target, &carried.record, group.public)?;
        if path != MigrationPath::SoftwareToSoftware {
            proofs.push(token_attributes(&carried.record, request.transferability));
        }
        for sample in self.samples.iter().filter(|sample| sample.key_id == id) {
            proofs.push(sample_opens(self.target, &id, &sample.name, &sample.sealed)?);
        }
        match proofs.iter().find(|proof| !proof.ok) {
            None => Ok((carried, proofs)),
            Some(failed) => Err(Error::Negative {
                what: format!("the key {} is at its target, but the proof '{}' failed ({})", id.short(), failed.name, failed.detail),
                hint: Some("the keyring was not changed and the source still works: do not switch anything off; examine the target with `keykit store keys --store URI`".into()),
            }),
        }
    }

    /// Where a key is whose transfer failed, for the journal.
    fn whereabouts(&self, id: &KeyId) -> &'static str {
        match self.target.find(id) {
            Ok(_) => "the key is at its target, and the keyring does not have it",
            Err(Error::NotFound { .. }) => "the key is not at its target",
            Err(_) => "the target does not say whether it has the key; the keyring does not",
        }
    }

    /// A key that is at its target already. A run that was cut off may have left it unfinished.
    fn complete(&self, path: MigrationPath, record: &KeyRecord) -> Result<Carried> {
        let completed = path != MigrationPath::SoftwareToSoftware && self.target.as_unwrap_in()?.complete(record)?;
        let route = if completed { "was there already; its public half was missing and was added" } else { "was there already" };
        Ok(Carried { record: record.clone(), route: route.to_owned(), warnings: Vec::new(), changed: completed })
    }

    fn request_for(&self, path: MigrationPath, id: &KeyId) -> KeyRequest {
        let transferability = match path {
            // The folder store is software: the custodian can read it with the keyring password in any case.
            MigrationPath::SoftwareToSoftware => Transferability::Wrapped,
            _ if self.keep_transferable => Transferability::UnderTrustedKey,
            _ => Transferability::Never,
        };
        KeyRequest { label: format!("{LABEL_PREFIX}{}-{}", short_tenant(self.tenant), id.short()), local_id: None, transferability }
    }

    fn addition(&self, path: MigrationPath, group: &KeyGroup<'_>, record: &KeyRecord) -> KeyAddition {
        let first = group.domains.first();
        KeyAddition {
            public: group.public.clone(),
            managed: if path == MigrationPath::SoftwareToSoftware { Managed::Service } else { Managed::Customer },
            store: self.target_name.clone(),
            label: record.attributes.label.clone(),
            transferable: path != MigrationPath::SoftwareToSoftware && record.attributes.extractable == Some(true),
            licensor_id: first.map(|domain| domain.licensor_id().to_owned()).unwrap_or_default(),
            licensor_name: first.map(|domain| domain.licensor_name().to_owned()).unwrap_or_default(),
            path: path.name().to_owned(),
            chain: first.map(|domain| domain.domain().chain.clone()).unwrap_or_default(),
            templates: group.domains.iter().flat_map(|domain| domain.templates().iter().cloned()).collect(),
        }
    }
}

/// Labels in target stores: this, 8 digits of the tenant, and the key's short identity.
const LABEL_PREFIX: &str = "keykit-";

fn short_tenant(tenant: &TenantKeyring) -> &str {
    tenant.tenant_id().get(..8).unwrap_or_default()
}

/// The tenant in a label that keykit made.
fn owner_of(label: &str) -> Option<&str> {
    let rest = label.strip_prefix(LABEL_PREFIX)?;
    rest.get(..8).filter(|_| rest.as_bytes().get(8) == Some(&b'-'))
}
