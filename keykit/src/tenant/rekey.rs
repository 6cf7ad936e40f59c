//! A new key for the tenant (rules 215–219).
//!
//! The order of effects: the intent names the store and the label, the store makes the key, the key proves that it signs and
//! opens, and then one change enters it, makes it active, archives the old one and signs the templates. A process that is
//! killed after the store has made the key finds it again by its label the next time, and makes no second one.

use std::path::PathBuf;

use super::activate::{Activation, Scope};
use super::change::Change;
use super::journal::{Moment, now};
use super::{KeyStatus, Managed, TenantKey, TenantKeyring};
use crate::error::{Error, Result};
use crate::key::{CryptographicMode, KeyId, RsaPublicKey};
use crate::licence::{ContentCipher, ContentKey, SealAlgorithm, open, seal};
use crate::store::{KeyRecord, KeyRequest, KeyStore, Transferability};

const ACTION: &str = "rekey";

/// Where the new key comes from.
#[derive(Debug, Clone)]
pub enum NewKey {
    /// The store makes it, with this many bits.
    Generated {
        /// Size of the modulus: 2048 (rule 32).
        bits: usize,
        /// How it may leave the store again.
        transferability: Transferability,
    },
    /// It is in the store already.
    Given(KeyId),
}

/// A re-key of the tenant.
#[derive(Debug)]
pub struct TenantRekey<'a> {
    /// The store that holds the new key, or is to make it.
    pub store: &'a dyn KeyStore,
    /// How the keyring names it, as [`TenantKey::store`].
    pub store_name: String,
    /// Who keeps it.
    pub managed: Managed,
    /// Where the key comes from.
    pub key: NewKey,
}

/// What a re-key did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rekeyed {
    /// The activation of the new key.
    pub activation: Activation,
    /// Its name in the store.
    pub label: String,
    /// The store had the key already, from a run that was cut off.
    pub taken_up: bool,
}

impl TenantKeyring {
    /// Gives the tenant a new active key. The old one is archived, and all templates are signed anew.
    ///
    /// # Errors
    /// [`Error::Refused`] without an active key (rule 56), for another size than 2048 bits (rules 32 and 33); [`Error::Conflict`]
    /// for a given key that the tenant has already; [`Error::Negative`] or [`Error::Crypto`] if the new key does not sign and
    /// open; what the store says; [`Error::Write`]. The tenant is then as it was.
    pub fn rekey(&mut self, request: &TenantRekey<'_>) -> Result<Rekeyed> {
        let old = self.active().cloned().ok_or_else(|| {
            Error::refused(
                56,
                "the tenant has no active key that a new one could take over from",
                "activate the key that is active in AD RMS first: `keykit tenant activate KEY --tenant DIR`",
            )
        })?;
        let label = self.next_label();
        match &request.key {
            NewKey::Generated { bits, .. } => check_size(*bits)?,
            NewKey::Given(id) => self.check_given(id, request.store)?,
        }
        self.journal.record(Moment::Intent, ACTION, None, format!("new key '{label}' in {}", request.store_name))?;
        match self.rekey_announced(request, &old, &label) {
            Ok(done) => Ok(done),
            Err(error) => {
                if self.journal.unsettled().is_some_and(|entry| entry.action == ACTION && entry.result.is_none()) {
                    let note = format!("{}; if the store made the key '{label}', the next re-key takes it up", error.code());
                    // If it can't be written the next opening settles the intent. What went wrong is what the operator must know.
                    drop(self.journal.record(Moment::Abandoned, ACTION, None, note));
                }
                Err(error)
            }
        }
    }

    fn rekey_announced(&mut self, request: &TenantRekey<'_>, old: &TenantKey, label: &str) -> Result<Rekeyed> {
        let (record, taken_up) = match &request.key {
            NewKey::Given(id) => (request.store.find(id)?, false),
            NewKey::Generated { bits, transferability } => self.generate(request.store, *bits, label, *transferability)?,
        };
        let public = &record.public;
        check_size(public.modulus_bits())?;
        prove(request.store, public)?;
        let licensor = self.certify(request.store, public, &self.licensor(&old.key_id)?.server)?;
        let id = public.id();
        let mut file = self.file.clone();
        file.keys.push(TenantKey {
            key_id: id,
            status: KeyStatus::Archived,
            mode: CryptographicMode::Mode2.number(),
            modulus_bits: public.modulus_bits(),
            managed: request.managed,
            created: now(),
            store: request.store_name.clone(),
            label: record.attributes.label.clone(),
            transferable: request.managed == Managed::Customer && record.attributes.extractable == Some(true),
            licensor_id: licensor.server.object.id.clone(),
            licensor_name: licensor.server.object.name.clone().unwrap_or_default(),
            path: ACTION.to_owned(),
        });
        file.make_active(&id);
        let mut signed = self.sign_templates(&mut file, Scope::All, &licensor.server, request.store)?;
        signed.writes.push((PathBuf::from("chains").join(format!("{id}.xml")), licensor.chain.concat().into_bytes()));
        let note = format!("{} archived, {} templates signed anew", old.key_id.short(), signed.resigned.len());
        self.carry_out(Change { action: ACTION, key_id: Some(id), note, file, writes: signed.writes })?;
        let mut warnings = vec![
            (119, "people who use the service already change over to the new key within weeks; until then they protect with the old one, which stays and opens".to_owned()),
            (219, "re-key only when it is necessary: old Office versions do not follow a new key by themselves, their local licences must be removed".to_owned()),
        ];
        if request.managed == Managed::Service {
            warnings.push((123, "the service makes no new keys of its own: in Azure a new key is one that the customer manages (BYOK)".to_owned()));
        }
        let activation = Activation { key_id: id, previous: Some(old.key_id), changed: true, resigned: signed.resigned, left: signed.left, warnings };
        Ok(Rekeyed { activation, label: record.attributes.label.clone(), taken_up })
    }

    /// The key of an earlier, cut-off run, or a new one. The name is known to everybody: what bears it must be just the key that
    /// the store would have made.
    fn generate(&self, store: &dyn KeyStore, bits: usize, label: &str, transferability: Transferability) -> Result<(KeyRecord, bool)> {
        let mut left_over: Vec<KeyRecord> =
            store.keys()?.into_iter().filter(|key| key.attributes.label == label && self.key(&key.id()).is_none()).collect();
        let in_the_way = |problem: String| Error::Conflict {
            what: format!("{} has a key named '{label}', the name of the tenant's next key: {problem}", store.identity().uri),
            hint: Some("find out who made it; take it away or give it another name, then re-key again. Nothing was changed".into()),
        };
        match (left_over.pop(), left_over.len()) {
            (None, _) => {
                let request = KeyRequest { label: label.to_owned(), local_id: None, transferability };
                Ok((store.as_generate()?.generate(bits, &request)?, false))
            }
            (Some(key), 0) => match not_as_asked(&key, bits, transferability) {
                None => Ok((key, true)),
                Some(problem) => Err(in_the_way(format!("the key {} is not what this re-key would make, {problem}", key.id().short()))),
            },
            (Some(_), more) => Err(in_the_way(format!("{} keys bear it", more + 1))),
        }
    }

    /// The name of the next new key: the same until a re-key succeeds.
    pub(super) fn next_label(&self) -> String {
        format!("keykit-{}-rekey-{}", self.tenant_id().get(..8).unwrap_or_default(), self.keys().len() + 1)
    }

    fn check_given(&self, id: &KeyId, store: &dyn KeyStore) -> Result<()> {
        let record = store.find(id)?;
        check_size(record.public.modulus_bits())?;
        if let Some(key) = self.key(id) {
            let state = if key.status == KeyStatus::Active { "is the active key already" } else { "is in the keyring already, archived" };
            return Err(Error::Conflict {
                what: format!("the key {} {state}", id.short()),
                hint: Some("a re-key needs a new key; `keykit tenant activate` makes one of the tenant's keys the active one".into()),
            });
        }
        Ok(())
    }
}

/// What speaks against a key being the one that the store makes when it is asked in this way.
fn not_as_asked(key: &KeyRecord, bits: usize, transferability: Transferability) -> Option<String> {
    let attributes = &key.attributes;
    let has = |found: Option<bool>, wanted: bool| found == Some(wanted);
    // Software does not tell all of it.
    let lacks = |found: Option<bool>, wanted: bool| found == Some(!wanted);
    if key.public.modulus_bits() != bits {
        return Some(format!("it has {} bits and not {bits}", key.public.modulus_bits()));
    }
    let wrong = match transferability {
        _ if lacks(attributes.local, true) => "it was not made in this store",
        _ if lacks(attributes.can_sign, true) || lacks(attributes.can_decrypt, true) => "it may not sign and decrypt",
        Transferability::Wrapped if lacks(attributes.extractable, true) => "it can't be wrapped out",
        Transferability::Wrapped => return None,
        _ if !has(attributes.sensitive, true) || lacks(attributes.always_sensitive, true) => "its value can or could be read",
        Transferability::Never if !has(attributes.extractable, false) => "it can be wrapped out",
        Transferability::Never if lacks(attributes.never_extractable, true) => "it could be wrapped out before",
        Transferability::UnderTrustedKey if !has(attributes.extractable, true) => "it can't be wrapped out under a trusted key",
        Transferability::UnderTrustedKey if !has(attributes.wrap_with_trusted, true) => "it can be wrapped out under any key",
        Transferability::Never | Transferability::UnderTrustedKey => return None,
    };
    Some(wrong.to_owned())
}

/// Rules 32, 33 and 215: a new key has 2048 bits.
fn check_size(bits: usize) -> Result<()> {
    let instead = "make a key of 2048 bits";
    match bits {
        2048 => Ok(()),
        1024 => Err(Error::refused(33, "1024 bits are for keys that come out of AD RMS in mode 1, not for a new key", instead)),
        other => Err(Error::refused(32, format!("a tenant key of {other} bits is not supported"), instead)),
    }
}

/// Shows that the new key opens what is sealed to it. That it signs, its certificate shows.
fn prove(store: &dyn KeyStore, public: &RsaPublicKey) -> Result<()> {
    let content_key = ContentKey::generate(ContentCipher::Cbc4k, 128)?;
    let mode = CryptographicMode::Mode2;
    let sealed = seal(&content_key, public, mode, "<ISSUEDPRINCIPALS></ISSUEDPRINCIPALS>")?;
    let opened = open(store, &public.id(), SealAlgorithm::for_mode(mode), &sealed)?;
    if opened.key == content_key { Ok(()) } else { Err(Error::negative("the new key does not open what was sealed to it")) }
}
