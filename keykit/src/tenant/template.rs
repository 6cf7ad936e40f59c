//! Templates on their way into a tenant.

use crate::error::{Error, Result};
use crate::key::{KeyId, RsaPublicKey};
use crate::xrml::{Document, RightsTemplate, documents_in};

/// Characters that template names must avoid (rule 141).
const FORBIDDEN_IN_NAMES: [char; 10] = ['<', '>', '%', '&', '/', '?', ';', '+', '\\', '#'];

/// A template to be added, exactly as it was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateAddition {
    /// GUID, as written in the template.
    pub id: String,
    /// Name, in the language with the lowest LCID.
    pub name: String,
    /// The key that signed it.
    pub signed_by: Option<KeyId>,
    /// Whether it grants rights to everybody (rule 133).
    pub grants_anyone: bool,
    /// The XrML text.
    pub text: String,
}

impl TemplateAddition {
    /// Reads a template from its XrML text. [`Self::check_signature`] is for its signature.
    ///
    /// # Errors
    /// [`Error::Malformed`] if there is no template in it.
    pub fn read(text: &str) -> Result<Self> {
        let document = first_document(text)?;
        let template = RightsTemplate::of(&document)?;
        Ok(Self {
            id: template.id.to_string(),
            name: template.names.values().next().map(|name| name.name.clone()).unwrap_or_default(),
            signed_by: document.issuer_key().map(RsaPublicKey::id),
            grants_anyone: template.grants_anyone,
            text: text.to_owned(),
        })
    }

    /// The document.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn document(&self) -> Result<Document> {
        first_document(&self.text)
    }

    /// Whether its signature holds: `false` if it has none.
    ///
    /// # Errors
    /// [`Error::Negative`] if the text was changed since it was signed; [`Error::Malformed`] for a signature that can't be judged.
    pub fn check_signature(&self) -> Result<bool> {
        let document = self.document()?;
        let check = document.check_signature();
        let about = format!("the template '{}' ({})", self.name, self.id);
        match check.problem() {
            None => Ok(true),
            Some(_) if document.signature().is_none() => Ok(false),
            Some(problem) if check.signature_ok.is_none() => Err(Error::malformed("rights template", format!("{about}: {problem}"))),
            Some(problem) => Err(Error::negative(format!("{about}: {problem}")).with_hint(
                "it was changed after it was signed: export the domain, or the template, from AD RMS again, and find out who changed the file",
            )),
        }
    }

    /// The GUID without braces, in lower case: the same template whatever the writing.
    #[must_use]
    pub fn canonical_id(&self) -> String {
        self.id.trim_matches(['{', '}', ' ']).to_ascii_lowercase()
    }
}

/// What a template says, whoever signed it: its body without the issuer. `None` for a document without an issuer.
#[must_use]
pub fn terms(document: &Document) -> Option<String> {
    document.issuer_text().map(|issuer| document.body_text().replacen(issuer, "", 1))
}

fn first_document(text: &str) -> Result<Document> {
    documents_in(text.as_bytes())?.into_iter().next().ok_or_else(|| Error::malformed("rights template", "no document in it"))
}

/// What an operator must know of a template before it is published: pairs of rule number and text.
#[must_use]
pub fn template_warnings(template: &TemplateAddition) -> Vec<(u16, String)> {
    let mut warnings = Vec::new();
    let name = &template.name;
    if template.grants_anyone {
        warnings.push((
            133,
            format!(
                "template '{name}' grants rights to ANYONE, which the new service does not know: add users or groups by hand before you publish it"
            ),
        ));
    }
    if name.contains(';') || name.contains(':') {
        warnings.push((147, format!("template '{name}' has ';' or ':' in its name, which breaks the import into Exchange Online: rename it first")));
    } else if name.contains(FORBIDDEN_IN_NAMES) {
        warnings.push((141, format!("template '{name}' has a character in its name that the service does not allow (< > % & / ? ; + \\ : #)")));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_anyone_are_warned_of() {
        let mut template = TemplateAddition { id: " {AB-1} ".into(), name: "a;b".into(), signed_by: None, grants_anyone: true, text: String::new() };
        assert_eq!(template.canonical_id(), "ab-1");
        assert_eq!(template_warnings(&template).iter().map(|(rule, _)| *rule).collect::<Vec<_>>(), [133, 147]);
        template.name = "a/b".into();
        assert_eq!(template_warnings(&template)[1].0, 141);
        template.name = "plain".into();
        template.grants_anyone = false;
        assert!(template_warnings(&template).is_empty());
    }
}
