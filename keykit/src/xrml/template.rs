//! Rights templates and the texts that name them (MS-RMPR §2.2.9.10).

use std::collections::BTreeMap;

use super::FORMAT;
use super::document::Document;
use super::guid::Guid;
use super::kind::DocumentKind;
use super::rights::{Right, RightHolder};
use super::time::XrmlTime;
use crate::error::{Error, Result};

/// The name of a template in one language.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TemplateName {
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
}

impl TemplateName {
    /// A name with a description.
    #[must_use]
    pub fn new(name: &str, description: &str) -> Self {
        Self { name: name.to_owned(), description: description.to_owned() }
    }
}

/// A rights template, as read from its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RightsTemplate {
    /// Its identity, which survives every migration.
    pub id: Guid,
    /// Its names by language (LCID).
    pub names: BTreeMap<u32, TemplateName>,
    /// When it was issued.
    pub issued: Option<XrmlTime>,
    /// The rights it grants.
    pub rights: Vec<Right>,
    /// Whether it grants any right to whoever asks.
    pub grants_anyone: bool,
}

impl RightsTemplate {
    /// Reads the template that a document holds. Its signature is not checked.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the document is no template, or has no GUID.
    pub fn of(document: &Document) -> Result<Self> {
        if *document.kind() != DocumentKind::RightsTemplate {
            return Err(Error::malformed(FORMAT, format!("a {} where a rights template should be", document.kind())));
        }
        let descriptor = document.descriptor().ok_or_else(|| Error::malformed(FORMAT, "a rights template without a descriptor"))?;
        let rights = document.rights().to_vec();
        Ok(Self {
            id: descriptor.id.parse()?,
            names: parse_names(descriptor.name.as_deref().unwrap_or_default()),
            issued: document.issued(),
            grants_anyone: rights.iter().any(|right| right.holders.contains(&RightHolder::Anyone)),
            rights,
        })
    }
}

/// Reads `LCID n:NAME x:DESCRIPTION y;`, any number of times. What does not have that form is left out; of two names in
/// one language the first counts.
#[must_use]
pub fn parse_names(text: &str) -> BTreeMap<u32, TemplateName> {
    let starts: Vec<_> = text.match_indices("LCID").filter_map(|(position, _)| entry_start(text, position)).collect();
    let mut names = BTreeMap::new();
    for (index, &(_, lcid, body)) in starts.iter().enumerate() {
        let end = starts.get(index + 1).map_or(text.len(), |&(next, ..)| next);
        let entry = text.get(body..end).unwrap_or_default().trim();
        let entry = entry.strip_suffix(';').unwrap_or(entry);
        let (name, description) = split_description(entry);
        names.entry(lcid).or_insert_with(|| TemplateName::new(name.trim(), description.trim()));
    }
    names
}

/// Where an entry starts, its language, and where its name starts, if an entry starts at `position`.
fn entry_start(text: &str, position: usize) -> Option<(usize, u32, usize)> {
    let before = text.get(..position)?.trim_end();
    if !(before.is_empty() || before.ends_with(';')) {
        return None;
    }
    let rest = text.get(position..)?.strip_prefix("LCID")?;
    let (lcid, rest) = rest.split_once(':')?;
    let lcid = lcid.trim();
    let digits = !lcid.is_empty() && lcid.bytes().all(|byte| byte.is_ascii_digit());
    let name = rest.trim_start().strip_prefix("NAME")?;
    digits.then(|| lcid.parse().ok())?.map(|lcid| (position, lcid, text.len() - name.len()))
}

/// Splits an entry at the first `:DESCRIPTION`.
fn split_description(entry: &str) -> (&str, &str) {
    const WORD: &str = "DESCRIPTION";
    for (position, _) in entry.match_indices(':') {
        let rest = entry.get(position + 1..).unwrap_or_default().trim_start();
        if let Some(description) = rest.strip_prefix(WORD)
            && (description.is_empty() || description.starts_with(char::is_whitespace))
        {
            return (entry.get(..position).unwrap_or_default(), description);
        }
    }
    (entry, "")
}

/// Writes names in the form that [`parse_names`] reads.
///
/// # Errors
/// [`Error::Usage`] for a text that would read back differently, for example one with `:DESCRIPTION` inside.
pub fn write_names(names: &BTreeMap<u32, TemplateName>) -> Result<String> {
    let mut text = String::new();
    for (lcid, TemplateName { name, description }) in names {
        text.push_str(&format!("LCID {lcid}:NAME {name}:DESCRIPTION {description};\n"));
    }
    if parse_names(&text) == *names {
        Ok(text)
    } else {
        Err(Error::usage("a name or description of the template cannot be told apart from the words around it")
            .with_hint("leave out blanks at the ends, ':DESCRIPTION' and '; LCID'"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Vec<(u32, String, String)> {
        parse_names(text).into_iter().map(|(lcid, name)| (lcid, name.name, name.description)).collect()
    }

    #[test]
    fn odd_names_are_read() {
        let one = |name: &str, description: &str| vec![(1033, name.to_owned(), description.to_owned())];
        assert_eq!(parsed("LCID 1033:NAME Test Name:DESCRIPTION Test Description;\n"), one("Test Name", "Test Description"));
        assert_eq!(parsed("LCID 1033:\n  NAME ReadOnly:\n   DESCRIPTION Grants readonly access.;\n"), one("ReadOnly", "Grants readonly access."));
        assert_eq!(parsed("LCID 1033:NAME a: b; c:DESCRIPTION d; e: f"), one("a: b; c", "d; e: f"));
        assert_eq!(parsed("LCID 1033:NAME a:DESCRIPTION ;"), one("a", ""));
        assert_eq!(parsed("LCID 1033:NAME a:DESCRIPTION;LCID 1033:NAME b:DESCRIPTION c;"), one("a", ""));
        assert_eq!(parsed("LCID 1033:NAME only a name"), one("only a name", ""));
        assert_eq!(parsed("LCID 1033:NAME says LCID 7:NAME x:DESCRIPTION y;"), one("says LCID 7:NAME x", "y"));
        for text in ["", "no names", "LCID :NAME x:DESCRIPTION y;", "LCID +7:NAME x;", "LCID 99999999999:NAME x;", "LCID", "LCID 1"] {
            assert!(parse_names(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn names_that_would_read_back_differently_are_refused() {
        for (name, description) in [("a:DESCRIPTION b", "c"), (" a", "b"), ("a", "b; LCID 1:NAME c"), ("a", "b ")] {
            let names = BTreeMap::from([(1033, TemplateName::new(name, description))]);
            assert!(matches!(write_names(&names), Err(Error::Usage { .. })), "{name}, {description}");
        }
    }

    proptest! {
        #[test]
        fn written_names_come_back(names in proptest::collection::btree_map(any::<u32>(), ("[\\PC&&[^\\s]]{1,9}( [\\PC&&[^\\s]]{1,9})?", "\\PC{0,9}"), 0..4)) {
            let names: BTreeMap<_, _> = names.into_iter().map(|(lcid, (name, text))| (lcid, TemplateName::new(&name, text.trim()))).collect();
            prop_assert_eq!(parse_names(&write_names(&names).unwrap()), names);
        }

        #[test]
        fn no_input_panics(text in "(LCID|NAME|DESCRIPTION|:|;| |\\n|[0-9é]){0,30}") {
            let names = parse_names(&text);
            if let Ok(written) = write_names(&names) {
                prop_assert_eq!(parse_names(&written), names);
            }
        }
    }
}
