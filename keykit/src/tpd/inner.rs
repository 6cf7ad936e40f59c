//! The inner XML: what the domain is, its certificates and its templates (formats §1).

use memchr::memmem;

use crate::error::{Error, Result};
use crate::xml::Element;

use super::{FORMAT, KeyInformation, document};

const ITEM_TYPE: &str = "TrustedDocDomain";
const KEY_INFORMATION: &str = "m_ttdki";
const CHAIN: &str = "m_strLicensorCertChain";
const TEMPLATES: &str = "m_astrRightsTemplates";
const STRING: &str = "string";

/// Names that only a domain in clear has. Each is long enough never to come out of a wrong key by chance.
const MARKS: [&str; 4] = ["ArrayOfAnyType", ITEM_TYPE, CHAIN, TEMPLATES];

/// What the inner XML says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Domain {
    pub(super) information: KeyInformation,
    pub(super) chain: Vec<String>,
    pub(super) templates: Vec<String>,
}

/// Whether decrypted bytes hold traces of a domain: then the password was right, whatever else is wrong with them.
pub(super) fn is_recognised(blocks: &[u8]) -> bool {
    MARKS.iter().any(|mark| {
        let narrow = mark.as_bytes();
        // With a zero between its letters it stands so in UTF-16 of both byte orders.
        let mut wide: Vec<u8> = narrow.iter().flat_map(|&letter| [letter, 0]).collect();
        wide.pop();
        [narrow, &wide].iter().any(|mark| memmem::find(blocks, mark).is_some())
    })
}

/// Reads the inner XML. A key that stands in it (`strEncryptedPrivateKey`) is ignored, as importers do.
pub(super) fn read(bytes: &[u8]) -> Result<Domain> {
    document::read(bytes, ITEM_TYPE, |item| {
        let key = document::child(item, KEY_INFORMATION)?;
        let information = KeyInformation {
            id: text(key, "strID")?,
            id_type: text(key, "strIDType")?,
            csp_type: number(key, "nCSPType")?,
            csp_name: text(key, "strCSPName")?,
            key_container: text(key, "strKeyContainerName")?,
            key_number: number(key, "nKeyNumber")?,
        };
        Ok(Domain { information, chain: strings(item, CHAIN)?, templates: strings(item, TEMPLATES)? })
    })
}

/// Writes the inner XML. The key is never in it.
pub(super) fn write(information: &KeyInformation, chain: &[String], templates: &[String]) -> String {
    let mut fields = format!("    <{KEY_INFORMATION}>\r\n");
    document::push_field(&mut fields, 6, "strID", &information.id);
    document::push_field(&mut fields, 6, "strIDType", &information.id_type);
    document::push_field(&mut fields, 6, "nCSPType", &information.csp_type.to_string());
    document::push_field(&mut fields, 6, "strCSPName", &information.csp_name);
    document::push_field(&mut fields, 6, "strKeyContainerName", &information.key_container);
    document::push_field(&mut fields, 6, "nKeyNumber", &information.key_number.to_string());
    fields.push_str(&format!("    </{KEY_INFORMATION}>\r\n"));
    push_strings(&mut fields, CHAIN, chain);
    push_strings(&mut fields, TEMPLATES, templates);
    document::write(ITEM_TYPE, &fields)
}

fn push_strings(fields: &mut String, name: &str, strings: &[String]) {
    if strings.is_empty() {
        fields.push_str(&format!("    <{name} />\r\n"));
        return;
    }
    fields.push_str(&format!("    <{name}>\r\n"));
    for string in strings {
        document::push_field(fields, 6, STRING, string);
    }
    fields.push_str(&format!("    </{name}>\r\n"));
}

/// The text of a child; empty if there is none, as the serialiser leaves out what is not set.
fn text(element: &Element<'_>, name: &str) -> Result<String> {
    document::optional_child(element, name)?.map_or_else(|| Ok(String::new()), plain_text)
}

/// The number in a child; 0 if there is none, as the serialiser leaves out what is not set.
fn number(element: &Element<'_>, name: &str) -> Result<u32> {
    let Some(child) = document::optional_child(element, name)? else { return Ok(0) };
    let digits = child.trimmed();
    let number = if digits.bytes().all(|digit| digit.is_ascii_digit()) { digits.parse().ok() } else { None };
    number.ok_or_else(|| Error::malformed(FORMAT, format!("<{name}> is not a number from 0 on")).at(child.range.start as u64))
}

/// The `<string>` children of a child; none if there is no such child.
fn strings(item: &Element<'_>, name: &str) -> Result<Vec<String>> {
    let Some(list) = document::optional_child(item, name)? else { return Ok(Vec::new()) };
    list.children
        .iter()
        .map(|child| {
            if document::local_name(child.name) != STRING {
                return Err(Error::malformed(FORMAT, format!("<{name}> holds <{}>, not <{STRING}>", child.name)).at(child.range.start as u64));
            }
            plain_text(child)
        })
        .collect()
}

/// The text of an element that must hold nothing else. XrML stands there escaped, never as elements.
fn plain_text(element: &Element<'_>) -> Result<String> {
    match element.children.first() {
        None => Ok(element.text.clone().into_owned()),
        Some(child) => {
            Err(Error::malformed(FORMAT, format!("<{}> holds the element <{}>, not text", element.name, child.name)).at(child.range.start as u64))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::xml::{self, Encoding};

    fn information() -> KeyInformation {
        KeyInformation {
            id: "{0}".into(),
            id_type: "MS-GUID".into(),
            csp_type: 24,
            csp_name: String::new(),
            key_container: "c".into(),
            key_number: 1,
        }
    }

    #[test]
    fn the_shape_is_that_of_the_serialiser() {
        let text = write(&information(), &["<XrML a=\"b\">&'</XrML>".into(), String::new()], &[]);
        assert_eq!(
            text.replace("\r\n", "\n"),
            "<?xml version=\"1.0\"?>\n\
             <ArrayOfAnyType xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">\n  \
               <anyType xsi:type=\"TrustedDocDomain\">\n    \
                 <m_ttdki>\n      \
                   <strID>{0}</strID>\n      \
                   <strIDType>MS-GUID</strIDType>\n      \
                   <nCSPType>24</nCSPType>\n      \
                   <strCSPName />\n      \
                   <strKeyContainerName>c</strKeyContainerName>\n      \
                   <nKeyNumber>1</nKeyNumber>\n    \
                 </m_ttdki>\n    \
                 <m_strLicensorCertChain>\n      \
                   <string>&lt;XrML a=\"b\"&gt;&amp;'&lt;/XrML&gt;</string>\n      \
                   <string />\n    \
                 </m_strLicensorCertChain>\n    \
                 <m_astrRightsTemplates />\n  \
               </anyType>\n\
             </ArrayOfAnyType>"
        );
    }

    #[test]
    fn traces_are_found_in_every_encoding() {
        let text = write(&information(), &[], &[]);
        for encoding in [Encoding::Utf8, Encoding::Utf8Bom, Encoding::Utf16Le, Encoding::Utf16LeBom, Encoding::Utf16BeBom] {
            assert!(is_recognised(&xml::encode(&text, encoding)), "{encoding:?}");
        }
        assert!(!is_recognised(b"<a>ArrayOfSomething</a>"));
    }

    #[test]
    fn damage_is_named() {
        let good = write(&information(), &["x".into()], &[]);
        for (from, to, problem) in [
            ("m_ttdki", "m_other", "has no <m_ttdki>"),
            ("<nCSPType>24<", "<nCSPType>-1<", "<nCSPType> is not a number from 0 on"),
            ("<nCSPType>24<", "<nCSPType>4294967296<", "<nCSPType> is not a number"),
            ("<nCSPType>24<", "<nCSPType>+1<", "<nCSPType> is not a number"),
            ("<nCSPType>24<", "<nCSPType><", "<nCSPType> is not a number"),
            ("<string>x</string>", "<text>x</text>", "holds <text>, not <string>"),
            ("<string>x</string>", "<string><XrML/></string>", "<string> holds the element <XrML>, not text"),
        ] {
            let text = good.replace(from, to);
            assert_ne!(text, good);
            let error = read(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(problem), "{error}");
        }
    }

    #[test]
    fn what_the_serialiser_leaves_out_is_empty() {
        let text = document::write(ITEM_TYPE, "<m_ttdki/>");
        let domain = read(text.as_bytes()).unwrap();
        assert_eq!((domain.information.csp_type, domain.information.id.as_str()), (0, ""));
        assert!(domain.chain.is_empty() && domain.templates.is_empty());
    }

    proptest! {
        #[test]
        fn no_input_panics(position in 0_usize..500, value in "\\PC{0,3}") {
            let mut text = write(&information(), &["x".into()], &["y".into()]);
            if text.is_char_boundary(position) {
                text.insert_str(position, &value);
            }
            if let Err(error) = read(text.as_bytes()) {
                prop_assert_eq!(error.code(), "malformed");
            }
        }
    }
}
