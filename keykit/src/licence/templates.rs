//! Rights templates signed anew when the active key changes (rule 119).
//!
//! The body is copied byte for byte, the ISSUER element excepted, and signed by the active key: identity, names, rights and
//! settings are the same.

use super::publishing::check_signature;
use super::rekey::{Rekey, Stored};
use crate::error::{Error, Result};
use crate::key::KeyId;
use crate::xrml::writer::UnsignedDocument;
use crate::xrml::{Guid, RightsTemplate, XrmlTime};

const FORMAT: &str = "rights template";

/// What becomes of the time of issue. No term of a template counts from it: licences made from the template have their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IssueTime {
    /// It stays: the body differs in the issuer only.
    #[default]
    Keep,
    /// It becomes this, as when a service issues its templates anew. A strict reader of a chain wants it to lie in the validity of
    /// the issuer's certificate, which an old time may not.
    Set(XrmlTime),
}

/// A template under the active key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResignedTemplate {
    /// The template, in the encoding of the original. Documents after it were left out; the active key's chain, if there is
    /// one, stands there only if some stood there before.
    pub text: Vec<u8>,
    /// Its identity, as before.
    pub id: Guid,
    /// The key that had signed it.
    pub from: KeyId,
    /// The key that signs it now.
    pub key_id: KeyId,
    /// It was signed by the active key already: `text` is the original, byte for byte.
    pub already_active: bool,
    /// As [`super::rekey::RekeyChecks::within_chain`].
    pub within_chain: Option<bool>,
}

impl Rekey<'_> {
    /// Signs templates anew, in order, with one batch of signatures. Archived keys are needed by name only.
    ///
    /// # Errors
    /// What the store says of the key or of itself; then there is no result. What is wrong with one template is in its place:
    /// [`Error::Malformed`], [`Error::Negative`] for a signature that does not hold, [`Error::NotFound`] that names the key if it is
    /// neither active nor archived here.
    pub fn resign_templates(&self, items: &[&[u8]], time: IssueTime) -> Result<Vec<Result<ResignedTemplate>>> {
        let drafts: Vec<Result<Draft<'_>>> = items.iter().map(|item| self.template(item, time)).collect();
        let digests: Vec<_> = drafts.iter().flatten().filter_map(|draft| draft.unsigned.as_ref()).map(UnsignedDocument::digest).collect();
        let mut signatures = self.sign(&digests)?.into_iter();
        let mut results = Vec::with_capacity(drafts.len());
        for draft in drafts {
            results.push(draft.and_then(|draft| match &draft.unsigned {
                None => Ok(draft.template),
                Some(unsigned) => {
                    let signature = signatures.next().ok_or_else(|| Error::Internal("a signature is missing".into()))?;
                    let chain = if draft.stored.following.is_empty() { "" } else { self.chain() };
                    let text = draft.stored.rebuilt(unsigned.body(), &unsigned.signature_element(&signature)?, chain);
                    let within_chain = self.check(&draft, &text, time)?;
                    Ok(ResignedTemplate { text, within_chain, ..draft.template })
                }
            }));
        }
        Ok(results)
    }

    /// Reads and verifies one template, and writes its new body.
    fn template<'i>(&self, item: &'i [u8], time: IssueTime) -> Result<Draft<'i>> {
        let stored = Stored::read(item, FORMAT)?;
        let id = RightsTemplate::of(&stored.document)?.id;
        let key = stored.document.issuer_key().ok_or_else(|| Error::malformed(FORMAT, "it names no key of its issuer"))?;
        check_signature(&stored.document)?;
        let already_active = key == self.public();
        if !already_active && !self.holds_archived(key) {
            return Err(self.unknown("template is signed by", key));
        }
        let template = ResignedTemplate {
            text: item.to_vec(),
            id,
            from: key.id(),
            key_id: self.active_key(),
            already_active,
            within_chain: self.covers(&stored.document),
        };
        let unsigned = if already_active { None } else { Some(self.new_body(&stored, time)?) };
        Ok(Draft { stored, unsigned, template })
    }

    fn new_body(&self, stored: &Stored<'_>, time: IssueTime) -> Result<UnsignedDocument> {
        let issuer = stored.document.issuer_range().ok_or_else(|| Error::malformed(FORMAT, "it names no issuer"))?;
        let mut edits = vec![(issuer, self.issuer().into())];
        if let IssueTime::Set(time) = time {
            let tree = stored.document.tree()?;
            let element = tree.descend(&["BODY", "ISSUEDTIME"]).ok_or_else(|| Error::malformed(FORMAT, "it has no time of issue to be set"))?;
            edits.push((element.range.clone(), format!("<ISSUEDTIME>{time}</ISSUEDTIME>").into()));
        }
        UnsignedDocument::from_body(stored.edited_body(edits)?, self.public())
    }

    /// Reads a result as anybody would. Gives whether the chain covers its time.
    fn check(&self, draft: &Draft<'_>, text: &[u8], time: IssueTime) -> Result<Option<bool>> {
        let (old, new) = (&draft.stored.document, Stored::read(text, FORMAT)?.document);
        new.verify_with(self.public())?;
        let same_names = old.descriptor() == new.descriptor() && old.body_type() == new.body_type();
        let same_terms = old.rights() == new.rights() && old.validity() == new.validity() && old.work() == new.work();
        let same_rest = old.authenticated_data() == new.authenticated_data() && old.distribution_points() == new.distribution_points();
        let issued = if let IssueTime::Set(time) = time { Some(time) } else { old.issued() };
        if same_names && same_terms && same_rest && new.issued() == issued {
            Ok(self.covers(&new))
        } else {
            Err(Error::negative("the template that was signed anew is not the same").with_hint("the original is as it was; report this"))
        }
    }
}

/// A template on its way. Without `unsigned` it stays as it is.
struct Draft<'i> {
    stored: Stored<'i>,
    unsigned: Option<UnsignedDocument>,
    template: ResignedTemplate,
}

#[cfg(test)]
mod tests;
