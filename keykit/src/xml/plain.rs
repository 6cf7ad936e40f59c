//! A reader for plain texts, which nearly all licences are: elements, attributes and text, and nothing that needs a second look.
//!
//! It takes a text only if it means the same to every reader of XML: no entities, comments, processing instructions, CDATA or document
//! types, names and attribute values in ASCII, one blank where a blank must be. What it does not take says nothing of the text: then
//! the reader with all rules decides, and has the words for what is wrong. Tests hold the two against each other.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use super::{Attributes, Element, MAX_ATTRIBUTES, MAX_DEPTH, MAX_ELEMENTS};

/// What may stand between documents.
pub(super) const BETWEEN: [char; 6] = ['\u{feff}', '\0', ' ', '\t', '\r', '\n'];
/// The one processing instruction that is passed over.
const DECLARATION: &str = "<?xml version=\"1.0\"?>";

/// All root elements of a plain text; `None` for any other text.
pub(super) fn parse_all(text: &str) -> Option<Vec<Element<'_>>> {
    // Readers differ in what they make of a byte order mark, wherever it stands.
    if memmem::find(text.as_bytes(), "\u{feff}".as_bytes()).is_some() {
        return None;
    }
    // What is open, with the number of finished elements before what is inside of it; and what is finished and in no finished element.
    let mut open: Vec<(Element<'_>, usize)> = Vec::new();
    let mut finished: Vec<Element<'_>> = Vec::new();
    let (mut position, mut count) = (0, 0);
    loop {
        let rest = text.get(position..)?;
        let Some(length) = memchr(b'<', rest.as_bytes()) else {
            return (open.is_empty() && is_between(rest)).then_some(finished);
        };
        if length > 0 {
            let characters = rest.get(..length)?;
            match open.last_mut() {
                Some(_) if memchr(b'&', characters.as_bytes()).is_some() => return None,
                Some((parent, _)) if parent.text.is_empty() => parent.text = Cow::Borrowed(characters),
                Some((parent, _)) => parent.text.to_mut().push_str(characters),
                None if is_between(characters) => {}
                None => return None,
            }
        }
        let start = position + length;
        let tag = text.get(start..)?;
        if let Some(closing) = tag.strip_prefix("</") {
            let (mut whole, first) = open.pop()?;
            closing.strip_prefix(whole.name)?.strip_prefix('>')?;
            position = start + 3 + whole.name.len();
            whole.range.end = position;
            whole.children = finished.drain(first..).collect();
            finished.push(whole);
        } else if open.is_empty() && tag.starts_with(DECLARATION) {
            position = start + DECLARATION.len();
        } else {
            count += 1;
            if open.len() >= MAX_DEPTH || count > MAX_ELEMENTS {
                return None;
            }
            let (mut element, is_empty) = tag_at(tag)?;
            position = start + element.range.end;
            element.range = start..position;
            if is_empty {
                finished.push(element);
            } else {
                open.push((element, finished.len()));
            }
        }
    }
}

fn is_between(text: &str) -> bool {
    text.trim_matches(BETWEEN).is_empty()
}

/// The tag that a text begins with, its range from 0 to its end, and whether it is the whole element.
fn tag_at(tag: &str) -> Option<(Element<'_>, bool)> {
    let name = name_at(tag.get(1..)?)?;
    let (mut position, mut count) = (1 + name.len(), 0);
    loop {
        let rest = tag.get(position..)?;
        let attributes = Attributes::plain(tag.get(1 + name.len()..position)?);
        let is_empty = match rest.as_bytes() {
            [b'>', ..] => Some((1, false)),
            [b'/', b'>', ..] => Some((2, true)),
            [b' ', b'/', b'>', ..] => Some((3, true)),
            [b' ', ..] => None,
            _ => return None,
        };
        if let Some((length, is_empty)) = is_empty {
            let range = 0..position + length;
            return Some((Element { name, attributes, children: Vec::new(), text: Cow::Borrowed(""), range }, is_empty));
        }
        let key = name_at(rest.get(1..)?)?;
        if count >= MAX_ATTRIBUTES || attributes.get(key).is_some() {
            return None;
        }
        let quoted = rest.get(1 + key.len()..)?.strip_prefix("=\"")?;
        let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'&' | b'<' | b'>' | b'"');
        let value = quoted.get(..quoted.bytes().take_while(is_plain).count()).filter(|value| quoted.as_bytes().get(value.len()) == Some(&b'"'))?;
        position += 1 + key.len() + 2 + value.len() + 1;
        count += 1;
    }
}

/// The name that a text begins with: a letter, then letters, digits, `-`, `_`, `.` and `:`.
fn name_at(text: &str) -> Option<&str> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    text.as_bytes().first().filter(|byte| byte.is_ascii_alphabetic())?;
    text.get(..text.bytes().take_while(|byte| is_name(byte)).count())
}
