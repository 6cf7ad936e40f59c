//! Rights templates with other rights: users added and taken away, everything else as it was (rules 135 and 137).
//!
//! The service's own cmdlet replaces all rights of a template by the ones it is given. Here the rights of the template are read,
//! changed, and written back one by one: a right that does not change keeps every byte.

use std::ops::Range;

use super::UsageRight;
use super::publishing::check_signature;
use super::rekey::{Rekey, Stored};
use super::templates::ResignedTemplate;
use crate::error::{Error, Result};
use crate::key::RsaPublicKey;
use crate::xml::Element;
use crate::xrml::writer::{UnsignedDocument, right_element};
use crate::xrml::{Document, Right, RightHolder, RightsTemplate, XrmlTime};

const FORMAT: &str = "rights template";

/// A change of who may do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RightsChange {
    /// Somebody gets rights, beside those that they have.
    Grant(RightHolder, Vec<UsageRight>),
    /// Somebody loses rights; an empty list means all of them.
    Revoke(RightHolder, Vec<UsageRight>),
}

/// The rights after some changes. A right that nobody holds any more is left out; new rights stand at the end.
///
/// # Errors
/// [`Error::Negative`] if somebody is to lose a right that they do not have; [`Error::Usage`] if no right would be left.
pub fn changed_rights(rights: &[Right], changes: &[RightsChange]) -> Result<Vec<Right>> {
    let (kept, new) = apply(rights, changes)?;
    Ok(kept.into_iter().flatten().chain(new).collect())
}

/// The rights that were there, in their places (`None` for one that goes), and the new ones.
fn apply(rights: &[Right], changes: &[RightsChange]) -> Result<(Vec<Option<Right>>, Vec<Right>)> {
    let mut kept: Vec<Right> = rights.to_vec();
    let mut new: Vec<Right> = Vec::new();
    for change in changes {
        match change {
            RightsChange::Grant(holder, names) => {
                for name in names {
                    // A right with terms of its own is not widened: the same right without terms stands beside it.
                    let free = |right: &&mut Right| UsageRight::from(right.name.as_str()) == *name && right.range.is_none() && right.days.is_none();
                    match kept.iter_mut().chain(new.iter_mut()).find(free) {
                        Some(right) if right.holders.iter().any(|known| is_same(known, holder)) => {}
                        Some(right) => right.holders.push(holder.clone()),
                        None => new.push(Right::new(name.name(), vec![holder.clone()])),
                    }
                }
            }
            RightsChange::Revoke(holder, names) => {
                let mut missing: Vec<&UsageRight> = names.iter().collect();
                let mut found = false;
                for right in kept.iter_mut().chain(new.iter_mut()) {
                    let name = UsageRight::from(right.name.as_str());
                    if names.is_empty() || names.contains(&name) {
                        let before = right.holders.len();
                        right.holders.retain(|known| !is_same(known, holder));
                        if right.holders.len() < before {
                            found = true;
                            missing.retain(|wanted| **wanted != name);
                        }
                    }
                }
                if !found || !missing.is_empty() {
                    let what = missing.first().map_or_else(|| "any right".to_owned(), |name| format!("the right {name}"));
                    return Err(Error::negative(format!("the template does not grant {what} to {}: there is nothing to revoke", shown(holder)))
                        .with_hint("`keykit tenant template show GUID --tenant DIR` lists its rights"));
                }
            }
        }
    }
    // A right that nobody held before is somebody's way of writing and stays.
    let kept = kept.into_iter().zip(rights).map(|(right, old)| (!right.holders.is_empty() || old.holders.is_empty()).then_some(right));
    let kept: Vec<Option<Right>> = kept.collect();
    new.retain(|right| !right.holders.is_empty());
    if kept.iter().all(Option::is_none) && new.is_empty() {
        return Err(Error::usage("no right would be left; archive the template instead"));
    }
    Ok((kept, new))
}

/// Whether two holders are one: addresses are compared in any case.
fn is_same(left: &RightHolder, right: &RightHolder) -> bool {
    match (left, right) {
        (RightHolder::Address(left), RightHolder::Address(right)) => left.trim().eq_ignore_ascii_case(right.trim()),
        _ => left == right,
    }
}

fn shown(holder: &RightHolder) -> String {
    match holder {
        RightHolder::Anyone => "ANYONE".into(),
        RightHolder::Owner => "OWNER".into(),
        RightHolder::Address(text) | RightHolder::Principal(text) => text.clone(),
        RightHolder::Object(object) => object.name.clone().unwrap_or_else(|| object.id.clone()),
    }
}

impl Rekey<'_> {
    /// A template with other rights, issued now and signed by the active key. Identity, names and settings are the same.
    ///
    /// # Errors
    /// As [`Self::resign_templates`] for one template, and as [`changed_rights`]; [`Error::Unsupported`] never;
    /// [`Error::Malformed`] for a right that is to change and has conditions that are not known here.
    pub fn edit_template(&self, item: &[u8], changes: &[RightsChange], issued: XrmlTime) -> Result<ResignedTemplate> {
        let stored = Stored::read(item, FORMAT)?;
        let template = RightsTemplate::of(&stored.document)?;
        let key = stored.document.issuer_key().ok_or_else(|| Error::malformed(FORMAT, "it names no key of its issuer"))?;
        check_signature(&stored.document)?;
        if key != self.public() && !self.holds_archived(key) {
            return Err(self.unknown("template is signed by", key));
        }
        let expected = changed_rights(&template.rights, changes)?;
        let issuer = stored.document.issuer_range().ok_or_else(|| Error::malformed(FORMAT, "it names no issuer"))?;
        let tree = stored.document.tree()?;
        let time = tree.descend(&["BODY", "ISSUEDTIME"]).ok_or_else(|| Error::malformed(FORMAT, "it has no time of issue to be set"))?;
        let mut edits = rights_edits(&tree, &template.rights, changes)?;
        edits.push((issuer, self.issuer().to_owned()));
        edits.push((time.range.clone(), format!("<ISSUEDTIME>{issued}</ISSUEDTIME>")));
        let edits = edits.into_iter().map(|(range, text)| (range, text.into())).collect();
        let unsigned = UnsignedDocument::from_body(stored.edited_body(edits)?, self.public())?;
        let signature = self.sign(&[unsigned.digest()])?.pop().ok_or_else(|| Error::Internal("a batch of one came back empty".into()))?;
        let chain = if stored.following.is_empty() { "" } else { self.chain() };
        let text = stored.rebuilt(unsigned.body(), &unsigned.signature_element(&signature)?, chain);
        let new = Stored::read(&text, FORMAT)?.document;
        is_as_expected(&stored.document, &new, self.public(), &expected)?;
        Ok(ResignedTemplate {
            text,
            id: template.id,
            from: key.id(),
            key_id: self.active_key(),
            already_active: false,
            within_chain: self.covers(&new),
        })
    }
}

/// Reads the result as anybody would.
fn is_as_expected(old: &Document, new: &Document, key: &RsaPublicKey, rights: &[Right]) -> Result<()> {
    new.verify_with(key)?;
    let same = old.descriptor() == new.descriptor() && old.validity() == new.validity() && old.authenticated_data() == new.authenticated_data();
    if same && new.rights() == rights && old.distribution_points() == new.distribution_points() {
        return Ok(());
    }
    Err(Error::negative("the edited template does not read back as it should").with_hint("the original is as it was; report this"))
}

/// The pieces of the text that change: rights that are other than before, and new ones after the last.
fn rights_edits(tree: &Element<'_>, rights: &[Right], changes: &[RightsChange]) -> Result<Vec<(Range<usize>, String)>> {
    let (kept, new) = apply(rights, changes)?;
    let elements: Vec<&Element<'_>> = tree
        .descend(&["BODY", "WORK"])
        .into_iter()
        .flat_map(|work| work.children_named("RIGHTSGROUP"))
        .flat_map(|group| group.children_named("RIGHTSLIST"))
        .flat_map(|list| &list.children)
        .collect();
    let last = elements.last().filter(|_| elements.len() == kept.len());
    let last = last.ok_or_else(|| Error::malformed(FORMAT, "it has no list of rights that could be changed"))?;
    let mut edits = Vec::new();
    for ((element, old), right) in elements.iter().zip(rights).zip(&kept) {
        let text = match right {
            Some(right) if right == old => continue,
            Some(right) => right_element(right)?,
            None => String::new(),
        };
        check_conditions(element)?;
        edits.push((element.range.clone(), text));
    }
    let added = new.iter().map(right_element).collect::<Result<String>>()?;
    match edits.iter_mut().find(|(range, _)| *range == last.range) {
        Some((_, text)) => text.push_str(&added),
        None => edits.push((last.range.end..last.range.end, added)),
    }
    Ok(edits)
}

/// A right that is written anew must not lose a condition.
fn check_conditions(right: &Element<'_>) -> Result<()> {
    let conditions = right.children_named("CONDITIONLIST").flat_map(|list| &list.children);
    let known = |condition: &Element<'_>| match condition.name {
        "ACCESS" => condition.children.iter().all(|child| child.name == "PRINCIPAL"),
        "TIME" => condition.children.iter().all(|child| matches!(child.name, "RANGETIME" | "INTERVALTIME")),
        _ => false,
    };
    if right.children.iter().all(|child| child.name == "CONDITIONLIST") && conditions.into_iter().all(known) {
        return Ok(());
    }
    Err(Error::malformed(FORMAT, "a right that is to change has conditions that keykit does not write")
        .at(right.range.start as u64)
        .with_hint("change the template where it was made, and import it again"))
}

#[cfg(test)]
mod tests;
