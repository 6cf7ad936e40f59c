//! The attributes of an element. Those of a plain tag are not taken apart before somebody asks for them: most are never asked for.

use std::borrow::Cow;
use std::fmt;

/// The attributes of an element, in order, entities resolved.
#[derive(Clone)]
pub struct Attributes<'a>(Form<'a>);

#[derive(Clone)]
enum Form<'a> {
    /// What stands in a plain tag after the name: before each attribute one blank, `="` between its name and its value, which is as it
    /// stands, and `"` after it.
    Plain(&'a str),
    Read(Vec<(&'a str, Cow<'a, str>)>),
}

impl<'a> Attributes<'a> {
    /// Those of a plain tag, which the plain reader has looked at.
    pub(super) fn plain(text: &'a str) -> Self {
        Self(Form::Plain(text))
    }

    /// Those that were read.
    pub(super) fn read(attributes: Vec<(&'a str, Cow<'a, str>)>) -> Self {
        Self(Form::Read(attributes))
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &str)> {
        let (mut plain, read) = match &self.0 {
            Form::Plain(text) => (*text, [].as_slice()),
            Form::Read(attributes) => ("", attributes.as_slice()),
        };
        let next = move || {
            let (name, quoted) = plain.strip_prefix(' ')?.split_once('=')?;
            let (value, rest) = quoted.strip_prefix('"')?.split_once('"')?;
            plain = rest;
            Some((name, value))
        };
        std::iter::from_fn(next).chain(read.iter().map(|(name, value)| (*name, value.as_ref())))
    }

    /// The value of the attribute of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }
}

impl PartialEq for Attributes<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Attributes<'_> {}

impl fmt::Debug for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_ones_are_those_that_were_read() {
        let read = Attributes::read(vec![("a", "1".into()), ("b:c", "x = 'y'".into()), ("d", "".into())]);
        let plain = Attributes::plain(" a=\"1\" b:c=\"x = 'y'\" d=\"\"");
        assert_eq!(plain, read);
        assert_eq!((plain.get("b:c"), plain.get("d"), plain.get("c")), (Some("x = 'y'"), Some(""), None));
        assert_eq!(format!("{plain:?}"), "{\"a\": \"1\", \"b:c\": \"x = 'y'\", \"d\": \"\"}");
        for other in ["", " a=\"1\"", " a=\"1\" b:c=\"x = 'y'\" d=\"z\"", " d=\"\" a=\"1\" b:c=\"x = 'y'\""] {
            assert_ne!(Attributes::plain(other), read);
        }
    }
}
