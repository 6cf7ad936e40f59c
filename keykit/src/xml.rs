//! XML from outside, read with limits: no DTD, no entities but the five and character references, bounded size,
//! depth and number of elements. Every element knows which bytes of the text it is.
//!
//! What is signed must be hashed as it is stored, so the tree is for finding things: take a slice of the text by
//! [`Element::range`], never write a tree back.

mod attributes;
mod encoding;
mod plain;

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};

pub use attributes::Attributes;
pub use encoding::{Encoding, decode, encode};

use crate::error::{Error, Result};

/// Deepest nesting of elements. Real licences stay below 20.
pub const MAX_DEPTH: usize = 64;
/// Most elements in one text.
pub const MAX_ELEMENTS: usize = 200_000;
/// Most attributes of one element.
const MAX_ATTRIBUTES: usize = 64;

/// An element, as slices of the text it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element<'a> {
    /// The name as it stands, prefix included.
    pub name: &'a str,
    /// What its tag says.
    pub attributes: Attributes<'a>,
    /// Elements inside, in order.
    pub children: Vec<Element<'a>>,
    /// The text directly inside, entities resolved, text of children left out.
    pub text: Cow<'a, str>,
    /// Where in the text the element stands, from `<` to the `>` of its end.
    pub range: Range<usize>,
}

impl<'a> Element<'a> {
    /// The first child of this name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Element<'a>> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of this name.
    pub fn children_named(&self, name: &str) -> impl Iterator<Item = &Element<'a>> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The child at the end of a path of names.
    #[must_use]
    pub fn descend(&self, path: &[&str]) -> Option<&Element<'a>> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)
    }

    /// The text without blanks at its ends.
    #[must_use]
    pub fn trimmed(&self) -> &str {
        self.text.trim()
    }

    /// The element and all below it, in document order.
    pub fn descendants(&self) -> impl Iterator<Item = &Element<'a>> {
        let mut stack = vec![self];
        std::iter::from_fn(move || {
            let next = stack.pop()?;
            stack.extend(next.children.iter().rev());
            Some(next)
        })
    }
}

/// Reads a whole XML document with one root element.
///
/// # Errors
/// [`Error::Malformed`] under the name `format`, with the byte offset in `text`.
pub fn parse<'a>(text: &'a str, format: &'static str) -> Result<Element<'a>> {
    let mut roots = parse_all(text, format)?;
    match (roots.pop(), roots.is_empty()) {
        (Some(root), true) => Ok(root),
        (None, _) => Err(Error::malformed(format, "there is no XML element")),
        (Some(extra), false) => Err(Error::malformed(format, "more than one root element").at(offset(extra.range.start))),
    }
}

/// Reads a text that holds any number of XML documents one after the other, as licence chains are stored.
///
/// # Errors
/// [`Error::Malformed`] under the name `format`, with the byte offset in `text`.
pub fn parse_all<'a>(text: &'a str, format: &'static str) -> Result<Vec<Element<'a>>> {
    plain::parse_all(text).map_or_else(|| parse_any(text, format), Ok)
}

/// The same by all rules of XML.
fn parse_any<'a>(text: &'a str, format: &'static str) -> Result<Vec<Element<'a>>> {
    // The reader leaves out a byte order mark that the text begins with, and does not count it.
    let after_marks = text.trim_start_matches('\u{feff}');
    let marks = text.len() - after_marks.len();
    let mut reader = Reader::from_str(after_marks);
    reader.config_mut().check_end_names = true;
    let position = |position: u64| marks + usize::try_from(position).unwrap_or(usize::MAX - marks);
    let mut open: Vec<Element<'a>> = Vec::new();
    let mut roots = Vec::new();
    let mut count = 0;
    loop {
        let start = position(reader.buffer_position());
        let fail = |problem: String| Error::malformed(format, problem).at(offset(start));
        let event = reader.read_event().map_err(|error| fail(error.to_string()))?;
        let end = position(reader.buffer_position());
        match event {
            Event::Start(tag) => {
                count += 1;
                if open.len() >= MAX_DEPTH || count > MAX_ELEMENTS {
                    return Err(fail(format!("more than {MAX_DEPTH} levels or {MAX_ELEMENTS} elements")));
                }
                open.push(element(text, &tag, start, end).map_err(fail)?);
            }
            Event::Empty(tag) => {
                count += 1;
                if count > MAX_ELEMENTS {
                    return Err(fail(format!("more than {MAX_ELEMENTS} elements")));
                }
                let whole = element(text, &tag, start, end).map_err(fail)?;
                open.last_mut().map_or(&mut roots, |parent| &mut parent.children).push(whole);
            }
            Event::End(_) => {
                let mut whole = open.pop().ok_or_else(|| fail("an end tag without its start".into()))?;
                whole.range.end = end;
                open.last_mut().map_or(&mut roots, |parent| &mut parent.children).push(whole);
            }
            Event::Text(characters) => {
                let characters: &str = slice_of(text, &characters).ok_or_else(|| fail("a text outside of the text".into()))?;
                match open.last_mut() {
                    Some(parent) if parent.text.is_empty() => parent.text = Cow::Borrowed(characters),
                    Some(parent) => parent.text.to_mut().push_str(characters),
                    None if characters.trim_matches(plain::BETWEEN).is_empty() => {}
                    None => return Err(fail("text outside of any element".into())),
                }
            }
            Event::CData(characters) => {
                open.last_mut().ok_or_else(|| fail("text outside of any element".into()))?.text.to_mut().push_str(&characters);
            }
            Event::GeneralRef(reference) => {
                let character = resolve(&reference).ok_or_else(|| fail("an entity that XML does not define".into()))?;
                open.last_mut().ok_or_else(|| fail("an entity outside of any element".into()))?.text.to_mut().push(character);
            }
            Event::DocType(_) => return Err(fail("a document type declaration, which is never accepted".into())),
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
            Event::Eof => break,
        }
    }
    match open.pop() {
        None => Ok(roots),
        Some(unclosed) => Err(Error::malformed(format, format!("<{}> has no end", unclosed.name)).at(offset(unclosed.range.start))),
    }
}

fn element<'a>(text: &'a str, tag: &BytesStart<'_>, start: usize, end: usize) -> Result<Element<'a>, String> {
    // Borrow names from the text, not from the reader's event.
    let slice = text.get(start..end).ok_or("a tag outside of the text")?;
    let name_length = tag.name().as_ref().len();
    let name = slice.get(1..1 + name_length).ok_or("a tag without a name")?;
    let mut attributes = Vec::new();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        if attributes.len() >= MAX_ATTRIBUTES {
            return Err(format!("more than {MAX_ATTRIBUTES} attributes"));
        }
        let key: &str = attribute.key.as_ref();
        let value = match attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())? {
            Cow::Borrowed(value) => Cow::Borrowed(slice_of(slice, value).ok_or("an attribute outside of its tag")?),
            Cow::Owned(value) => Cow::Owned(value),
        };
        attributes.push((slice_of(slice, key).ok_or("an attribute outside of its tag")?, value));
    }
    Ok(Element { name, attributes: Attributes::read(attributes), children: Vec::new(), text: Cow::Borrowed(""), range: start..end })
}

/// The same text as a part of `whole`, where it lies: the reader lends its parts for the time of an event only. `None` if it lies elsewhere.
fn slice_of<'a>(whole: &'a str, part: &str) -> Option<&'a str> {
    if part.is_empty() {
        return Some("");
    }
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    whole.get(start..start.checked_add(part.len())?).filter(|found| *found == part)
}

fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Some(character);
    }
    match reference as &str {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

fn offset(position: usize) -> u64 {
    u64::try_from(position).unwrap_or(u64::MAX)
}

/// Text as it stands inside an element or a quoted attribute.
#[must_use]
pub fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_exact() {
        let text = "<?xml version=\"1.0\"?>\n<A x = \"1 &amp; 2\"><B/>t&#x65;xt<B y='2'>z</B></A>";
        let root = parse(text, "test").unwrap();
        assert_eq!(&text[root.range.clone()], &text[22..]);
        assert_eq!(root.attribute("x"), Some("1 & 2"));
        assert_eq!(root.text, "text");
        assert_eq!(&text[root.children[1].range.clone()], "<B y='2'>z</B>");
        assert_eq!(root.descendants().count(), 3);
    }

    #[test]
    fn byte_order_marks_are_counted() {
        for marks in 0..4 {
            for text in ["<a x=\"1\">b&amp;<c/></a>", "<?x?><a/>\u{feff}<!-- --><b/>"] {
                let text = "\u{feff}".repeat(marks) + text;
                for root in parse_all(&text, "test").unwrap() {
                    for element in root.descendants() {
                        let slice = &text[element.range.clone()];
                        assert!(slice.starts_with(&format!("<{}", element.name)) && slice.ends_with('>'), "{marks} {slice}");
                    }
                }
            }
        }
    }

    #[test]
    fn hostile_texts_are_refused() {
        let deep = format!("{}{}", "<a>".repeat(5000), "</a>".repeat(5000));
        for text in [
            "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
            "<a>&b;</a>",
            "<a><b></a></b>",
            "<a>",
            "</a>",
            "<a/><b/>",
            "x",
            "",
            "<a x=\"1\" x=\"2\"/>",
            &deep,
        ] {
            assert!(matches!(parse(text, "test"), Err(Error::Malformed(_))), "{}", &text[..text.len().min(30)]);
        }
    }

    /// What the plain reader takes, the reader with all rules takes, and finds the same in it.
    fn readers_agree(text: &str) -> bool {
        plain::parse_all(text).is_none_or(|found| parse_any(text, "test").is_ok_and(|expected| found == expected))
    }

    /// Texts that are nearly plain: well nested, with something strange here and there.
    fn nearly_plain() -> impl Strategy<Value = String> {
        let odd = "[ -~]{0,6}|\u{feff}|\0|\r\n|\u{e4}|&amp;|&#65;|<!-- -->|<!\\[CDATA\\[x\\]\\]>|<\\?xml version=\"1.0\"\\?>|<\\?a b\\?>|\\]\\]>|>|";
        let tag = (
            prop::sample::select(vec!["a", "B", "c-d", "e:f", "xml", "\u{e4}", "1"]),
            prop::sample::select(vec![
                "",
                " ",
                "  ",
                " x=\"1\"",
                " x=\"1\" y=\"\"",
                " x=\"1\" x=\"2\"",
                " x='1'",
                " x=\"a>b\"",
                " x=\"a\tb\"",
                " x = \"1\"",
                " x",
                "\n",
                " xmlns=\"\"",
                "y=\"1\"",
            ]),
        );
        let leaf = (tag.clone(), odd, any::<bool>(), odd).prop_map(|((name, attributes), inside, empty, after)| {
            if empty { format!("<{name}{attributes}/>{after}") } else { format!("<{name}{attributes}>{inside}</{name}>{after}") }
        });
        leaf.prop_recursive(3, 12, 3, move |inner| {
            (tag.clone(), prop::collection::vec(inner, 0..3), odd)
                .prop_map(|((name, attributes), children, text)| format!("{text}<{name}{attributes}>{}{text}</{name}>", children.concat()))
        })
    }

    #[test]
    fn real_documents_are_plain() {
        let text = include_bytes!("../../vectors/xrml/LicenseParserTest_PL_0101right_CBC_xml.bin");
        let (text, _) = decode(text, "test").unwrap();
        assert_eq!(plain::parse_all(&text), Some(parse_any(&text, "test").unwrap()));
        for text in [
            "",
            " ",
            "<a/>",
            "<a />",
            "<a></a>",
            "<a b=\"c\"/>x",
            "<a>t<b/>u</a>\0<c/>",
            "\u{feff}<a x=\"1\">\u{feff}</a>",
            "<?xml version=\"1.0\"?><a/>",
        ] {
            assert!(readers_agree(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_plain_reader_reads_what_the_other_reads(text in nearly_plain()) {
            prop_assert!(readers_agree(&text), "{:?}", text);
        }

        #[test]
        fn no_input_panics(text in "[<>/&;a-c\"'= !\\[\\]x#0-9-]{0,60}") {
            prop_assert!(readers_agree(&text));
            let read = parse_all(&text, "test");
            prop_assert!(read.is_ok() || read.is_err_and(|error| matches!(error, Error::Malformed(_))));
        }

        #[test]
        fn escaped_text_comes_back(text in "[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u{fffe}\\u{ffff}\\r\\u{85}\\u{2028}]{0,40}") {
            let document = format!("<a>{}</a>", escape(&text));
            prop_assert_eq!(parse(&document, "test").unwrap().text, text);
        }
    }
}
