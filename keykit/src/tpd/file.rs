//! The outer layer: XML with one or two encrypted parts (formats §1).

use base64ct::{Base64, Encoding as _};

use crate::error::{Error, Result};
use crate::xml::Element;

use super::encryption::BLOCK_BYTES;
use super::{FORMAT, document};

/// Largest file that is read. Real ones are far below 1 MiB.
pub(super) const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;
const ITEM_TYPE: &str = "EncryptedTrustedDocDomain";
const INFORMATION: &str = "m_strTrustedDocDomainInfo";
const KEY_DATA: &str = "m_strKeyData";
/// How far [`is_trusted_publishing_domain`] looks.
const SNIFFED_BYTES: usize = 4096;

/// The encrypted parts of a file, each one or more whole cipher blocks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EncryptedDomain {
    /// The encrypted inner XML.
    pub(super) information: Vec<u8>,
    /// The encrypted private key; `None` in a file without key.
    pub(super) key_data: Option<Vec<u8>>,
}

/// Whether the bytes look like a trusted publishing domain, sound or not. Reads the first 4 KiB only.
#[must_use]
pub fn is_trusted_publishing_domain(bytes: &[u8]) -> bool {
    let head = bytes.get(..SNIFFED_BYTES).unwrap_or(bytes);
    // UTF-16 without its zero bytes is ASCII for what is looked for.
    let head: Vec<u8> = head.iter().copied().filter(|&byte| byte != 0).collect();
    let text = String::from_utf8_lossy(&head);
    text.trim_start_matches(|c: char| c == '\u{feff}' || c == '\u{fffd}' || c.is_whitespace()).starts_with('<')
        && text.contains("ArrayOfAnyType")
        && text.contains(ITEM_TYPE)
}

/// Whether the outer layer of a file carries a key. No password is needed.
///
/// # Errors
/// [`Error::Malformed`] if the outer layer is not sound.
pub fn holds_key(bytes: &[u8]) -> Result<bool> {
    Ok(read(bytes)?.key_data.is_some())
}

/// Reads the outer layer. No password is needed.
pub(super) fn read(bytes: &[u8]) -> Result<EncryptedDomain> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(Error::malformed(FORMAT, format!("it has {} bytes; at most {MAX_FILE_BYTES} are read", bytes.len())));
    }
    document::read(bytes, ITEM_TYPE, |item| {
        let information = document::child(item, INFORMATION)?;
        let information = ciphertext(information)?
            .ok_or_else(|| Error::malformed(FORMAT, format!("<{INFORMATION}> is empty")).at(information.range.start as u64))?;
        let key_data = document::optional_child(item, KEY_DATA)?.map(ciphertext).transpose()?.flatten();
        Ok(EncryptedDomain { information, key_data })
    })
}

/// Writes the outer layer.
pub(super) fn write(domain: &EncryptedDomain) -> Vec<u8> {
    let mut fields = String::new();
    document::push_field(&mut fields, 4, INFORMATION, &Base64::encode_string(&domain.information));
    if let Some(key_data) = &domain.key_data {
        document::push_field(&mut fields, 4, KEY_DATA, &Base64::encode_string(key_data));
    }
    document::write(ITEM_TYPE, &fields).into_bytes()
}

/// The bytes of an element in base64; `None` if it is empty. Blanks and line ends in it do not count.
fn ciphertext(element: &Element<'_>) -> Result<Option<Vec<u8>>> {
    let name = document::local_name(element.name);
    let wrong = |problem: String| {
        Error::malformed(FORMAT, format!("<{name}> {problem}"))
            .at(element.range.start as u64)
            .with_hint("the file was changed after the export; take another copy or export the domain again")
    };
    if let Some(child) = element.children.first() {
        return Err(wrong(format!("holds the element <{}>, not text", child.name)));
    }
    let compact: String = element.text.chars().filter(|character| !matches!(character, ' ' | '\t' | '\r' | '\n')).collect();
    if let Some(position) = compact.chars().position(|character| !(character.is_ascii_alphanumeric() || "+/=".contains(character))) {
        return Err(wrong(format!("is not base64 at its character {}", position + 1)));
    }
    let bytes = Base64::decode_vec(&compact).map_err(|_| wrong("is not whole base64: its length or its end is wrong".into()))?;
    if !bytes.len().is_multiple_of(BLOCK_BYTES) {
        return Err(wrong(format!("holds {} bytes, which are no whole cipher blocks of {BLOCK_BYTES}", bytes.len())));
    }
    Ok((!bytes.is_empty()).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::xml::{self, Encoding};

    const VECTOR: &str = include_str!("../../../vectors/tpd/tpd-v2.xml");

    #[test]
    fn the_vector_is_written_back_byte_for_byte() {
        assert_eq!(write(&read(VECTOR.as_bytes()).unwrap()), VECTOR.as_bytes());
    }

    #[test]
    fn every_encoding_and_wrapped_base64_are_read() {
        let expected = read(VECTOR.as_bytes()).unwrap();
        let wrapped = VECTOR.replace("QQ", "Q \r\n\tQ").replace("a", "a\n");
        assert_ne!(wrapped, VECTOR);
        let wrapped = {
            // Only the content may be wrapped: take tags and names back.
            let mut text = String::new();
            let mut inside_tag = false;
            for character in wrapped.chars() {
                match character {
                    '<' => inside_tag = true,
                    '>' => inside_tag = false,
                    '\n' if inside_tag => continue,
                    _ => {}
                }
                text.push(character);
            }
            text
        };
        for encoding in [Encoding::Utf8, Encoding::Utf8Bom, Encoding::Utf16Le, Encoding::Utf16LeBom, Encoding::Utf16BeBom] {
            let bytes = xml::encode(&wrapped, encoding);
            assert_eq!(read(&bytes).unwrap(), expected, "{encoding:?}");
            assert!(is_trusted_publishing_domain(&bytes), "{encoding:?}");
        }
    }

    #[test]
    fn other_files_are_not_taken_for_one() {
        for other in ["", "x", "<a/>", "<ArrayOfAnyType/>", "EncryptedTrustedDocDomain ArrayOfAnyType"] {
            assert!(!is_trusted_publishing_domain(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_missing_or_empty_key_is_no_key() {
        let start = VECTOR.find("    <m_strKeyData>").unwrap();
        let end = VECTOR.find("  </anyType>").unwrap();
        for key in ["", "<m_strKeyData />", "<m_strKeyData></m_strKeyData>", "<m_strKeyData>\r\n</m_strKeyData>"] {
            let text = format!("{}{key}{}", &VECTOR[..start], &VECTOR[end..]);
            assert_eq!(read(text.as_bytes()).unwrap().key_data, None, "{key}");
        }
    }

    #[test]
    fn damage_is_named() {
        let domain = |information: &str, key: &str| {
            let fields = format!("<m_strTrustedDocDomainInfo>{information}</m_strTrustedDocDomainInfo>{key}");
            document::write(ITEM_TYPE, &fields)
        };
        let block = "AAAAAAAAAAAAAAAAAAAAAA==";
        assert!(read(domain(block, "").as_bytes()).is_ok());
        for (text, problem) in [
            (domain("", ""), "<m_strTrustedDocDomainInfo> is empty"),
            (domain("AAAA", ""), "holds 3 bytes, which are no whole cipher blocks of 16"),
            (domain("AAA*", ""), "is not base64 at its character 4"),
            (domain("AAAAAAAAAAAAAAAAAAAAAB==", ""), "is not whole base64"),
            (domain("AAAAAAAAAAAAAAAAAAAAAA", ""), "is not whole base64"),
            (domain("=AAA", ""), "is not whole base64"),
            (domain("<b/>", ""), "holds the element <b>, not text"),
            (domain(block, "<m_strKeyData>AAAA</m_strKeyData>"), "<m_strKeyData> holds 3 bytes"),
            (domain(block, "<m_strKeyData/><m_strKeyData/>"), "<m_strKeyData> stands there twice"),
            (document::write(ITEM_TYPE, ""), "has no <m_strTrustedDocDomainInfo>"),
            (document::write("TrustedDocDomain", ""), "of type TrustedDocDomain, not <anyType> of type EncryptedTrustedDocDomain"),
        ] {
            let Err(Error::Malformed(error)) = read(text.as_bytes()) else { panic!("{text}") };
            assert!(error.problem.contains(problem), "{error}");
            assert!(error.offset.is_some(), "{error}");
        }
    }

    #[test]
    fn the_size_is_limited() {
        let error = read(&vec![b' '; MAX_FILE_BYTES + 1]).unwrap_err();
        assert!(error.to_string().contains("at most 16777216"), "{error}");
    }

    proptest! {
        #[test]
        fn parts_come_back(information in 1_usize..5, key in 0_usize..5, byte: u8) {
            let key_data = (key > 0).then(|| vec![byte; key * BLOCK_BYTES]);
            let domain = EncryptedDomain { information: vec![byte; information * BLOCK_BYTES], key_data };
            prop_assert_eq!(read(&write(&domain)).unwrap(), domain);
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), position in 0_usize..2857, value: u8) {
            prop_assert!(!is_trusted_publishing_domain(&bytes));
            prop_assert!(read(&bytes).is_err());
            let mut damaged = VECTOR.as_bytes().to_vec();
            damaged[position] = value;
            if let Err(error) = read(&damaged) {
                prop_assert_eq!(error.code(), "malformed");
            }
        }
    }
}
