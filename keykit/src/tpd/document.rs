//! The shape that both XML layers share: an `ArrayOfAnyType` with one typed item, as the .NET serialiser writes it.

use crate::error::{Error, Malformed, Result};
use crate::xml::{self, Element, Encoding};

use super::FORMAT;

const ROOT: &str = "ArrayOfAnyType";
const ITEM: &str = "anyType";

/// Everything in front of the fields of the item.
fn head(item_type: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\r\n\
         <ArrayOfAnyType xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">\r\n  \
         <anyType xsi:type=\"{item_type}\">\r\n"
    )
}

/// A document with one item of this type; `fields` are whole lines.
pub(super) fn write(item_type: &str, fields: &str) -> String {
    format!("{}{fields}  </anyType>\r\n</ArrayOfAnyType>", head(item_type))
}

/// Appends `<name>text</name>`, or `<name />` for an empty text, as one line.
pub(super) fn push_field(out: &mut String, indent: usize, name: &str, text: &str) {
    let blanks = " ".repeat(indent);
    if text.is_empty() {
        out.push_str(&format!("{blanks}<{name} />\r\n"));
    } else {
        out.push_str(&format!("{blanks}<{name}>{}</{name}>\r\n", escape(text)));
    }
}

/// Escapes as the .NET serialiser does (quotes stay), but for carriage returns: as references they survive readers
/// that make one newline of `\r\n`, and what is signed must come back as it is.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\r' => escaped.push_str("&#xD;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Whether XML 1.0 (§2.2) can carry the character.
pub(super) fn is_xml_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Reads a document and hands its one item, which must be of this type, to `read`.
pub(super) fn read<T>(bytes: &[u8], item_type: &str, read: impl FnOnce(&Element<'_>) -> Result<T>) -> Result<T> {
    let (text, encoding) = xml::decode(bytes, FORMAT)?;
    let result = (|| {
        let root = xml::parse(&text, FORMAT)?;
        let wrong = |problem: String| Error::malformed(FORMAT, problem);
        if local_name(root.name) != ROOT {
            return Err(wrong(format!("the root element is <{}>, not <{ROOT}>", root.name)).at(root.range.start as u64));
        }
        let [item] = root.children.as_slice() else {
            return Err(wrong(format!("<{ROOT}> holds {} items, not one", root.children.len())).at(root.range.start as u64));
        };
        let found = item.attributes.iter().find(|(name, _)| local_name(name) == "type").map(|(_, value)| local_name(value.trim()));
        if local_name(item.name) != ITEM || found != Some(item_type) {
            let found = found.map_or_else(|| "no type".to_owned(), |found| format!("type {found}"));
            let problem = format!("the item is <{}> of {found}, not <{ITEM}> of type {item_type}", item.name);
            return Err(wrong(problem).at(item.range.start as u64));
        }
        read(item)
    })();
    result.map_err(|error| relocate(error, &text, encoding))
}

/// The one child of this name, if there is one.
pub(super) fn optional_child<'e, 'a>(element: &'e Element<'a>, name: &str) -> Result<Option<&'e Element<'a>>> {
    let mut found = element.children.iter().filter(|child| local_name(child.name) == name);
    let first = found.next();
    match found.next() {
        Some(second) => Err(Error::malformed(FORMAT, format!("<{name}> stands there twice")).at(second.range.start as u64)),
        None => Ok(first),
    }
}

/// The one child of this name.
pub(super) fn child<'e, 'a>(element: &'e Element<'a>, name: &str) -> Result<&'e Element<'a>> {
    optional_child(element, name)?
        .ok_or_else(|| Error::malformed(FORMAT, format!("<{}> has no <{name}>", element.name)).at(element.range.start as u64))
}

/// A name without its namespace prefix.
pub(super) fn local_name(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Turns an offset in the decoded text into one in the bytes it was decoded from.
fn relocate(mut error: Error, text: &str, encoding: Encoding) -> Error {
    if let Error::Malformed(Malformed { offset: Some(offset), .. }) = &mut error {
        let before = usize::try_from(*offset).ok().and_then(|offset| text.get(..offset));
        let units = before.map(|before| before.encode_utf16().count() as u64);
        *offset = match (encoding, units) {
            (Encoding::Utf8Bom, _) => *offset + 3,
            (Encoding::Utf16Le, Some(units)) => units * 2,
            (Encoding::Utf16LeBom | Encoding::Utf16BeBom, Some(units)) => units * 2 + 2,
            _ => *offset,
        };
    }
    error
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(body: &str) -> String {
        write("T", body)
    }

    #[test]
    fn prefixes_are_free() {
        let text = "<q:ArrayOfAnyType xmlns:i='http://www.w3.org/2001/XMLSchema-instance'><q:anyType i:type='q:T'/></q:ArrayOfAnyType>";
        assert!(read(text.as_bytes(), "T", |_| Ok(())).is_ok());
    }

    #[test]
    fn the_shape_is_checked() {
        for (text, problem) in [
            ("<Other/>".to_owned(), "the root element is <Other>, not <ArrayOfAnyType>"),
            ("<ArrayOfAnyType/>".to_owned(), "holds 0 items"),
            ("<ArrayOfAnyType><anyType/><anyType/></ArrayOfAnyType>".to_owned(), "holds 2 items"),
            ("<ArrayOfAnyType><anyType/></ArrayOfAnyType>".to_owned(), "of no type, not <anyType> of type T"),
            (item("").replace("\"T\"", "\"U\""), "of type U, not <anyType> of type T"),
        ] {
            let error = read(text.as_bytes(), "T", |_| Ok(())).unwrap_err();
            assert!(error.to_string().contains(problem), "{error}");
        }
    }

    #[test]
    fn offsets_are_those_of_the_bytes() {
        let text = item("    <x>é</x>\r\n    <x />\r\n");
        let second = text.rfind("<x />").unwrap();
        for encoding in [Encoding::Utf8, Encoding::Utf8Bom, Encoding::Utf16Le, Encoding::Utf16LeBom, Encoding::Utf16BeBom] {
            let bytes = xml::encode(&text, encoding);
            let Err(Error::Malformed(error)) = read(&bytes, "T", |item| optional_child(item, "x").map(drop)) else { panic!() };
            let expected = xml::encode(&text[..second], encoding).len();
            assert_eq!(error.offset, Some(expected as u64), "{encoding:?}");
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text: String) {
            let text: String = text.chars().filter(|&character| is_xml_character(character)).collect();
            let mut field = String::new();
            push_field(&mut field, 4, "x", &text);
            let back = read(item(&field).as_bytes(), "T", |item| Ok(child(item, "x")?.text.clone().into_owned())).unwrap();
            prop_assert_eq!(back, text);
        }
    }
}
