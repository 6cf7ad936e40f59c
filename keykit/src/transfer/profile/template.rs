//! Commands with names to fill in.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

/// Values for the names in commands.
pub type Values = BTreeMap<String, String>;

/// A shell command in which `{name}` stands for a value, `{{` and `}}` for braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String),
}

impl Template {
    /// Reads a command.
    ///
    /// # Errors
    /// What is wrong with its braces.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut characters = text.trim().chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '{' | '}' if characters.peek() == Some(&character) => {
                    characters.next();
                    plain.push(character);
                }
                '{' => {
                    let name: String =
                        std::iter::from_fn(|| characters.next_if(|&next| next.is_ascii_lowercase() || next.is_ascii_digit() || next == '_'))
                            .collect();
                    if name.is_empty() || characters.next() != Some('}') {
                        return Err("a { is not followed by a name of a-z, 0-9 and _ and a }; write {{ for a brace".into());
                    }
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                    parts.push(Part::Name(name));
                }
                '}' => return Err("a } without a {; write }} for a brace".into()),
                control if control.is_control() => return Err("a control character; give one command a string".into()),
                other => plain.push(other),
            }
        }
        parts.push(Part::Text(plain));
        Ok(Self { text: text.trim().to_owned(), parts })
    }

    /// The command as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| if let Part::Name(name) = part { Some(name.as_str()) } else { None })
    }

    /// The command with its values, quoted for a shell where they need it. What has no value stays as a name in capitals.
    #[must_use]
    pub fn fill(&self, values: &Values) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Name(name) => values.get(name).map_or_else(|| name.to_uppercase(), |value| quote(value)),
            })
            .collect()
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// One word for a POSIX shell.
fn quote(value: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_./:@%+=,".contains(character);
    if !value.is_empty() && value.chars().all(is_plain) { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(text: &str, values: &[(&str, &str)]) -> String {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Template::parse(text).unwrap().fill(&values)
    }

    #[test]
    fn values_are_filled_in_and_quoted() {
        assert_eq!(filled("a {x} {{b}} {y}", &[("x", "1")]), "a 1 {b} Y");
        assert_eq!(filled("cat {f}", &[("f", "a b")]), "cat 'a b'");
        assert_eq!(filled("cat {f}", &[("f", "it's; rm")]), r"cat 'it'\''s; rm'");
        assert_eq!(filled("cat {f}", &[("f", "$(x)")]), "cat '$(x)'");
        assert_eq!(filled("{f}", &[("f", "")]), "''");
        for bad in ["{", "}", "{}", "{A}", "{a", "{a b}", "a\nb"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_shell_reads_every_value_back_as_it_was(value in "[^\0]{0,20}") {
            // What a POSIX shell does with single quotes and backslashes outside of them.
            let mut read = String::new();
            let quoted = quote(&value);
            let (mut inside, mut characters) = (false, quoted.chars());
            while let Some(character) = characters.next() {
                match character {
                    '\'' => inside = !inside,
                    '\\' if !inside => read.extend(characters.next()),
                    other => read.push(other),
                }
            }
            prop_assert!(!inside);
            prop_assert_eq!(read, value);
        }

        #[test]
        fn no_input_panics(text in ".{0,60}") {
            if let Ok(template) = Template::parse(&text) {
                drop(template.fill(&Values::new()));
            }
        }
    }
}
