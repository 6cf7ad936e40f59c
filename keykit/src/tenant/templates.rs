//! The templates of a tenant: in, out to users, back, and with other rights (rules 130–143).

use std::collections::BTreeMap;

use serde::Serialize;

use super::activate::not_signed;
use super::change::{Change, replace_text};
use super::file::{TemplateStatus, TenantFile, TenantTemplate};
use super::template::{TemplateAddition, template_warnings, terms};
use super::{Licensor, TenantKeyring, TenantView};
use crate::error::{Error, Result};
use crate::key::KeyId;
use crate::licence::{IssueTime, RightsChange};
use crate::store::KeyStore;
use crate::xrml::{Document, RightHolder, RightsTemplate, XrmlTime, documents_in};

/// What became of a template that was to be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Imported {
    /// It is new, and archived.
    Added,
    /// The tenant had it already: nothing changed.
    Unchanged,
    /// It took the place of another version, and is archived.
    Overwritten,
}

/// An imported template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateImport {
    /// GUID, lower case, without braces.
    pub id: String,
    /// Name.
    pub name: String,
    /// What became of it.
    pub outcome: Imported,
    /// What was overwritten, in sentences (rule 143).
    pub overwritten: Vec<String>,
    /// What the operator must know: pairs of rule number and text.
    pub warnings: Vec<(u16, String)>,
}

/// A template that was published, archived or edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateChange {
    /// The template as it is now.
    pub template: TenantTemplate,
    /// False if it was so already.
    pub changed: bool,
    /// What the operator must know: pairs of rule number and text.
    pub warnings: Vec<(u16, String)>,
}

impl TenantView {
    /// The document of a template.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Malformed`].
    pub fn template_document(&self, template: &TenantTemplate) -> Result<Document> {
        let text = self.template_text(template)?;
        documents_in(&text)?.into_iter().next().ok_or_else(|| Error::malformed("rights template", "no document in it"))
    }
}

impl TenantKeyring {
    /// The template with this GUID, with or without braces, in either case.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn template(&self, id: &str) -> Result<&TenantTemplate> {
        let canonical = id.trim_matches(['{', '}', ' ']).to_ascii_lowercase();
        self.templates().iter().find(|template| template.id == canonical).ok_or_else(|| Error::NotFound {
            what: format!("the tenant has no template {canonical}"),
            hint: Some("`keykit tenant template list --tenant DIR` lists its templates".into()),
        })
    }

    /// Takes templates in. They keep their GUIDs and arrive archived. All of them come, or none.
    ///
    /// # Errors
    /// [`Error::Conflict`] for another version of a template that the tenant has, unless `overwrite` (rule 143);
    /// [`Error::Negative`] for a signature that does not hold; [`Error::Refused`] above 500 templates (rule 141); [`Error::Write`].
    pub fn import_templates(&mut self, additions: &[TemplateAddition], overwrite: bool) -> Result<Vec<TemplateImport>> {
        self.check_room_for(additions)?;
        let (mut file, mut writes, mut imports) = (self.file.clone(), Vec::new(), Vec::new());
        for addition in additions {
            let id = addition.canonical_id();
            let document = addition.document()?;
            if let Some(problem) = document.check_signature().problem() {
                return Err(Error::negative(format!("the template '{}' ({id}) is not sound: {problem}", addition.name))
                    .with_hint("it was changed or damaged after it was exported; export it again"));
            }
            let mut import = TemplateImport {
                id: id.clone(),
                name: addition.name.clone(),
                outcome: Imported::Added,
                overwritten: Vec::new(),
                warnings: template_warnings(addition),
            };
            if let Some(signer) = addition.signed_by.filter(|signer| self.key(signer).is_none()) {
                let text = format!(
                    "template '{}' is signed by the key {}, which the tenant does not have: it can't be published before that key is migrated",
                    addition.name,
                    signer.short()
                );
                import.warnings.push((143, text));
            }
            match file.templates.iter_mut().find(|known| known.id == id) {
                None => {
                    let mut template = TenantTemplate {
                        id,
                        name: addition.name.clone(),
                        status: TemplateStatus::Archived,
                        signed_by: addition.signed_by,
                        grants_anyone: addition.grants_anyone,
                        file: String::new(),
                    };
                    replace_text(&mut template, addition.text.as_bytes(), &mut writes);
                    file.templates.push(template);
                }
                Some(known) => {
                    let old = self.known_document(known, &imports)?;
                    if is_same_template(&old, &document) {
                        import.outcome = Imported::Unchanged;
                    } else {
                        import.outcome = Imported::Overwritten;
                        import.overwritten = differences(Some(known), &old, &document);
                        if !overwrite {
                            return Err(overwriting(&import));
                        }
                        known.name.clone_from(&addition.name);
                        known.status = TemplateStatus::Archived;
                        known.signed_by = addition.signed_by;
                        known.grants_anyone = addition.grants_anyone;
                        replace_text(known, addition.text.as_bytes(), &mut writes);
                    }
                }
            }
            imports.push(import);
        }
        let note = imports.iter().filter(|import| import.outcome != Imported::Unchanged).map(|import| import.id.as_str()).collect::<Vec<_>>();
        self.carry_out(Change { action: "template-import", key_id: None, note: note.join(" "), file, writes })?;
        Ok(imports)
    }

    /// In sentences, which of these templates the tenant has in another version. Nothing is overwritten by them (rules 137, 143).
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Malformed`].
    pub fn other_versions(&self, additions: &[TemplateAddition]) -> Result<Vec<String>> {
        let mut others = Vec::new();
        for addition in additions {
            let id = addition.canonical_id();
            let Some(known) = self.templates().iter().find(|known| known.id == id) else { continue };
            // A text that is no template has nothing to say.
            let (Ok(old), Ok(new)) = (self.template_document(known), addition.document()) else { continue };
            if !is_same_template(&old, &new) {
                others.push(format!(
                    "the tenant has another version of the template '{}' ({id}), and keeps it; the one that comes would change it: {}",
                    known.name,
                    differences(Some(known), &old, &new).join("; ")
                ));
            }
        }
        Ok(others)
    }

    /// The version of a template that the tenant has. One file may not bring two versions.
    fn known_document(&self, known: &TenantTemplate, imports: &[TemplateImport]) -> Result<Document> {
        if imports.iter().any(|import| import.id == known.id) {
            return Err(Error::usage(format!("the template {} is given twice", known.id)));
        }
        self.template_document(known)
    }

    /// Offers a template to users (rule 131). It is signed by the active key if it was not.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such a template or without an active key; [`Error::Negative`] if it can't be signed anew; what
    /// the store says; [`Error::Write`].
    pub fn publish_template(&mut self, id: &str, store: &dyn KeyStore) -> Result<TemplateChange> {
        let template = self.template(id)?.clone();
        let warnings = self.warnings_of(&template)?;
        let (active, licensor) = self.active_licensor()?;
        let mut writes = Vec::new();
        let file = self.with_template(&template.id, |known| {
            known.status = TemplateStatus::Published;
            if known.signed_by != Some(active) {
                let text = self.template_text(known)?;
                let mut results = self.engine(&licensor.server, store)?.resign_templates(&[&text], IssueTime::Keep)?;
                let new = results.pop().ok_or_else(|| Error::Internal("a batch of one came back empty".into()))?;
                let new = new.map_err(|error| not_signed(known, &active, &error))?;
                known.signed_by = Some(active);
                if !new.already_active {
                    replace_text(known, &new.text, &mut writes);
                }
            }
            Ok(())
        })?;
        self.change_template("template-publish", &template.id, file, writes, warnings)
    }

    /// Takes a template back from users. What was protected with it still opens.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Write`].
    pub fn archive_template(&mut self, id: &str) -> Result<TemplateChange> {
        let id = self.template(id)?.id.clone();
        let file = self.with_template(&id, |known| {
            known.status = TemplateStatus::Archived;
            Ok(())
        })?;
        self.change_template("template-archive", &id, file, Vec::new(), Vec::new())
    }

    /// Gives a template other rights. What is not named stays (rule 137), and so does its state.
    ///
    /// # Errors
    /// As [`Self::publish_template`], and as [`crate::licence::Rekey::edit_template`].
    pub fn edit_template(&mut self, id: &str, changes: &[RightsChange], store: &dyn KeyStore) -> Result<TemplateChange> {
        let template = self.template(id)?.clone();
        let (active, licensor) = self.active_licensor()?;
        let text = self.template_text(&template)?;
        let old = self.template_document(&template)?;
        // Granting what is granted already changes nothing.
        if crate::licence::changed_rights(old.rights(), changes)? == old.rights() {
            return Ok(TemplateChange { warnings: self.warnings_of(&template)?, template, changed: false });
        }
        let new = self.engine(&licensor.server, store)?.edit_template(&text, changes, XrmlTime::now())?;
        let grants_anyone = RightsTemplate::of(&Document::read(&new.text)?)?.grants_anyone;
        let mut writes = Vec::new();
        let file = self.with_template(&template.id, |known| {
            known.signed_by = Some(active);
            known.grants_anyone = grants_anyone;
            replace_text(known, &new.text, &mut writes);
            Ok(())
        })?;
        let mut change = self.change_template("template-edit", &template.id, file, writes, Vec::new())?;
        change.warnings = self.warnings_of(&change.template)?;
        change.warnings.push((
            137,
            "here rights are added to and taken from those that the template has; Set-AipServiceTemplateProperty replaces them all without a \
             warning: give it the complete list"
                .to_owned(),
        ));
        Ok(change)
    }

    fn active_licensor(&self) -> Result<(KeyId, Licensor)> {
        let active = self.active().ok_or_else(|| Error::NotFound {
            what: "the tenant has no active key that could sign a template".into(),
            hint: Some("make one active with `keykit tenant activate KEY --tenant DIR`".into()),
        })?;
        Ok((active.key_id, self.licensor(&active.key_id)?))
    }

    fn warnings_of(&self, template: &TenantTemplate) -> Result<Vec<(u16, String)>> {
        Ok(template_warnings(&TemplateAddition::read(self.template_document(template)?.text())?))
    }

    /// The tenant file with one template changed.
    fn with_template(&self, id: &str, change: impl FnOnce(&mut TenantTemplate) -> Result<()>) -> Result<TenantFile> {
        let mut file = self.file.clone();
        let known = file.templates.iter_mut().find(|template| template.id == id);
        change(known.ok_or_else(|| Error::Internal("a template vanished".into()))?)?;
        Ok(file)
    }

    fn change_template(
        &mut self,
        action: &'static str,
        id: &str,
        file: TenantFile,
        writes: Vec<(std::path::PathBuf, Vec<u8>)>,
        warnings: Vec<(u16, String)>,
    ) -> Result<TemplateChange> {
        let changed = self.carry_out(Change { action, key_id: None, note: id.to_owned(), file, writes })?;
        Ok(TemplateChange { template: self.template(id)?.clone(), changed, warnings })
    }
}

/// In sentences, which of these templates come in two versions. The first counts.
#[must_use]
pub fn versions_among<'a>(additions: impl Iterator<Item = &'a TemplateAddition>) -> Vec<String> {
    let mut first: BTreeMap<String, &TemplateAddition> = BTreeMap::new();
    let mut others = Vec::new();
    for addition in additions {
        let id = addition.canonical_id();
        let Some(known) = first.get(&id).filter(|known| known.text != addition.text) else {
            first.entry(id).or_insert(addition);
            continue;
        };
        let (Ok(old), Ok(new)) = (known.document(), addition.document()) else { continue };
        if !is_same_template(&old, &new) {
            others.push(format!(
                "the template '{}' ({id}) comes in two versions; the first is taken, the other would change it: {}",
                known.name,
                differences(None, &old, &new).join("; ")
            ));
        }
    }
    others
}

/// Whether two documents are one template, whoever signed it.
fn is_same_template(left: &Document, right: &Document) -> bool {
    terms(left).is_some() && terms(left) == terms(right)
}

/// What an import would take away, in sentences.
fn differences(known: Option<&TenantTemplate>, old: &Document, new: &Document) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, old: String, new: String| {
        if old != new {
            differences.push(format!("{what}: {old} becomes {new}"));
        }
    };
    let names = |document: &Document| {
        let names = RightsTemplate::of(document).map(|template| template.names).unwrap_or_default();
        names.iter().map(|(lcid, name)| format!("{lcid} '{}' '{}'", name.name, name.description)).collect::<Vec<_>>().join(", ")
    };
    compare("names", names(old), names(new));
    compare("rights", rights_in_words(old), rights_in_words(new));
    let issued = |document: &Document| document.issued().map(|time| time.to_string()).unwrap_or_default();
    compare("issued", issued(old), issued(new));
    if known.is_some_and(|known| known.status == TemplateStatus::Published) {
        differences.push("it is published: it becomes archived until it is published again".to_owned());
    }
    if differences.is_empty() {
        differences.push("its settings or terms".to_owned());
    }
    differences
}

/// `VIEW: a@b, ANYONE; PRINT: a@b`.
fn rights_in_words(document: &Document) -> String {
    let rights = document.rights().iter().map(|right| {
        let holders: Vec<String> = right.holders.iter().map(holder_in_words).collect();
        format!("{}: {}", right.name, holders.join(", "))
    });
    rights.collect::<Vec<_>>().join("; ")
}

/// Who holds a right, as the command line writes it.
pub(crate) fn holder_in_words(holder: &RightHolder) -> String {
    match holder {
        RightHolder::Anyone => "ANYONE".to_owned(),
        RightHolder::Owner => "OWNER".to_owned(),
        RightHolder::Address(text) => text.clone(),
        RightHolder::Principal(id) => format!("principal {id}"),
        RightHolder::Object(object) => object.name.clone().unwrap_or_else(|| object.id.clone()),
    }
}

fn overwriting(import: &TemplateImport) -> Error {
    Error::Conflict {
        what: format!(
            "the tenant has another version of the template '{}' ({}), which an import overwrites (rule 143): {}",
            import.name,
            import.id,
            import.overwritten.join("; ")
        ),
        hint: Some("look at it with `keykit tenant template show`, then import with --overwrite if that is meant; nothing was changed".into()),
    }
}
