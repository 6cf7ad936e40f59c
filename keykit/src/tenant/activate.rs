//! Which key is active: activation, rollback, and the templates that follow the active key (rules 117–121).

use std::path::PathBuf;

use super::change::{Change, replace_text};
use super::file::{TemplateStatus, TenantFile, TenantTemplate};
use super::{KeyStatus, TenantKeyring};
use crate::error::{Error, Result};
use crate::key::KeyId;
use crate::licence::{ActiveKey, IssueTime, Rekey};
use crate::store::KeyStore;
use crate::xrml::Principal;

/// What an activation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// The key that is active now.
    pub key_id: KeyId,
    /// The key that was active before this, if there was one.
    pub previous: Option<KeyId>,
    /// False if everything was so already.
    pub changed: bool,
    /// Identities of the templates that were signed anew.
    pub resigned: Vec<String>,
    /// Archived templates that could not be signed anew, and why. They stay as they were.
    pub left: Vec<(String, String)>,
    /// What the operator must know: pairs of rule number and text.
    pub warnings: Vec<(u16, String)>,
}

impl TenantKeyring {
    /// Makes a key the active one, archives the one that was, and signs all templates anew, in one step. Activating the active
    /// key changes nothing, unless a template is still signed by another key.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the keyring or `store` has no such key; [`Error::Negative`] if a published template cannot be
    /// signed anew; what the store says; [`Error::Write`]. The tenant is then as it was.
    pub fn activate_with(&mut self, id: &KeyId, store: &dyn KeyStore) -> Result<Activation> {
        self.make_active("activate", id, store)
    }

    /// The key that a rollback would make active: the one that was active before.
    ///
    /// # Errors
    /// [`Error::Refused`] if no key was active before (rule 121).
    pub fn rollback_target(&self) -> Result<KeyId> {
        self.file.previous_active.filter(|id| self.key(id).is_some()).ok_or_else(|| {
            Error::refused(
                121,
                "no other key was active before: there is nothing to go back to",
                "name the key yourself with `keykit tenant activate KEY --tenant DIR`",
            )
        })
    }

    /// Makes the key active that was active before. Nothing is lost by it: all keys stay.
    ///
    /// # Errors
    /// As [`Self::rollback_target`] and [`Self::activate_with`].
    pub fn rollback(&mut self, store: &dyn KeyStore) -> Result<Activation> {
        let id = self.rollback_target()?;
        self.make_active("rollback", &id, store)
    }

    /// The tenant's own first key: the oldest one (rule 122).
    #[must_use]
    pub fn default_key(&self) -> Option<&super::TenantKey> {
        // Of several keys of one second the first counts.
        self.keys().iter().min_by(|left, right| left.created.cmp(&right.created))
    }

    fn make_active(&mut self, action: &'static str, id: &KeyId, store: &dyn KeyStore) -> Result<Activation> {
        let key = self.key(id).ok_or_else(|| self.no_such_key(id))?.clone();
        let previous = self.active().map(|key| key.key_id).filter(|previous| previous != id);
        let mut warnings = Vec::new();
        if key.mode == 1 {
            warnings.push((
                33,
                "this key has 1024 bits (mode 1): make it active in a migration from mode 1 only, and re-key to 2048 bits at the end".to_owned(),
            ));
        }
        let mut file = self.file.clone();
        file.make_active(id);
        let scope = if key.status == KeyStatus::Active { Scope::Published } else { Scope::All };
        let signed = self.sign_templates(&mut file, scope, &self.licensor(id)?.server, store)?;
        let mut note = format!("{} templates signed anew", signed.resigned.len());
        if let Some(previous) = previous {
            note.push_str(&format!(", {} archived", previous.short()));
        }
        let changed = self.carry_out(Change { action, key_id: Some(*id), note, file, writes: signed.writes })?;
        if changed && key.status == KeyStatus::Archived && previous.is_some() {
            warnings.push((119, "people who use the service already change over to the new key within weeks; until then they protect with the old one, which stays and opens".to_owned()));
        }
        Ok(Activation { key_id: *id, previous, changed, resigned: signed.resigned, left: signed.left, warnings })
    }

    /// Signs templates of `file` by the key of `server`; their new texts are to be written.
    pub(super) fn sign_templates(&self, file: &mut TenantFile, scope: Scope, server: &Principal, store: &dyn KeyStore) -> Result<SignedTemplates> {
        let rekey = self.engine(server, store)?;
        let id = rekey.active_key();
        let in_scope = |template: &&TenantTemplate| scope == Scope::All || template.status == TemplateStatus::Published;
        let texts = file.templates.iter().filter(in_scope).map(|template| self.template_text(template)).collect::<Result<Vec<_>>>()?;
        let items: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        let results = rekey.resign_templates(&items, IssueTime::Keep)?;
        let mut signed = SignedTemplates::default();
        for (template, result) in file.templates.iter_mut().filter(|template| in_scope(&&**template)).zip(results) {
            match result {
                Ok(new) if new.already_active => template.signed_by = Some(id),
                Ok(new) => {
                    replace_text(template, &new.text, &mut signed.writes);
                    template.signed_by = Some(id);
                    signed.resigned.push(template.id.clone());
                }
                Err(error) if template.status == TemplateStatus::Archived => signed.left.push((template.id.clone(), error.to_string())),
                Err(error) => return Err(not_signed(template, &id, &error)),
            }
        }
        Ok(signed)
    }

    /// The engine that signs templates by the key of `server`.
    pub(super) fn engine<'a>(&self, server: &'a Principal, store: &'a dyn KeyStore) -> Result<Rekey<'a>> {
        Rekey::for_templates(self.public_keys(), ActiveKey { store, server, chain: &[] })
    }
}

/// Which templates are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    Published,
}

/// Templates under another key.
#[derive(Debug, Default)]
pub(super) struct SignedTemplates {
    pub(super) writes: Vec<(PathBuf, Vec<u8>)>,
    pub(super) resigned: Vec<String>,
    pub(super) left: Vec<(String, String)>,
}

pub(super) fn not_signed(template: &TenantTemplate, key: &KeyId, error: &Error) -> Error {
    Error::negative(format!("the template '{}' ({}) can't be signed by the key {}: {error}", template.name, template.id, key.short()))
        .with_hint("bring a sound copy with `keykit tenant template import --overwrite`, or archive it with `keykit tenant template archive`")
}
