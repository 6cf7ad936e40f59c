//! Values inside elements: base64 with its stated size, and public keys.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use data_encoding::BASE64;

use super::FORMAT;
use super::time::shorten;
use crate::error::{Error, Result};
use crate::key::RsaPublicKey;
use crate::xml::Element;

/// How strictly a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// One form only, with encoding and size stated: values of the signature, which no signature covers.
    Strict,
    /// Blanks inside base64 are skipped: values of the body, where the digest covers them.
    Lenient,
}

/// An error at an element.
pub(super) fn fault(element: &Element<'_>, problem: impl Into<String>) -> Error {
    Error::malformed(FORMAT, problem).at(u64::try_from(element.range.start).unwrap_or(u64::MAX))
}

/// The only child of this name, or none.
pub(super) fn only_child<'e, 'a>(parent: &'e Element<'a>, name: &str) -> Result<Option<&'e Element<'a>>> {
    let mut found = parent.children_named(name);
    let first = found.next();
    match found.next() {
        Some(second) => Err(fault(second, format!("<{}> holds more than one <{name}>", parent.name))),
        None => Ok(first),
    }
}

/// The only child of this name.
pub(super) fn required<'e, 'a>(parent: &'e Element<'a>, name: &str) -> Result<&'e Element<'a>> {
    only_child(parent, name)?.ok_or_else(|| fault(parent, format!("<{}> holds no <{name}>", parent.name)))
}

/// Strict base64 (RFC 4648 §4): padded, no unused bits set. What licences hold is public, so it need not take the same time always.
pub(super) fn decode_base64(text: &str, reading: Reading) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let decoded = decode_dense(bytes);
    if decoded.is_none() && reading == Reading::Lenient && bytes.iter().any(u8::is_ascii_whitespace) {
        let dense: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        return decode_dense(&dense);
    }
    decoded
}

fn decode_dense(bytes: &[u8]) -> Option<Vec<u8>> {
    // The library also takes several texts, each with its padding, one after the other.
    let (before_end, _) = bytes.split_at_checked(bytes.len().saturating_sub(2))?;
    if before_end.contains(&b'=') { None } else { BASE64.decode(bytes).ok() }
}

/// Base64 (RFC 4648 §4) in one line.
pub(super) fn encode_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// The bytes of a `<VALUE encoding="base64" size="bits">`. A stated size must be true.
pub(super) fn bytes_of(value: &Element<'_>, reading: Reading) -> Result<Vec<u8>> {
    let strict = reading == Reading::Strict;
    if value.attribute("encoding").map_or(strict, |encoding| encoding != "base64") {
        return Err(fault(value, "a value that should be in base64 says that it is not"));
    }
    let bytes = decode_base64(&value.text, reading).ok_or_else(|| fault(value, "a value is not in base64"))?;
    match value.attribute("size") {
        Some(size) if size != (bytes.len() * 8).to_string() => {
            Err(fault(value, format!("a value says that it has '{}' bits, but it has {}", shorten(size), bytes.len() * 8)))
        }
        None if strict => Err(fault(value, "a value that does not say its size")),
        _ => Ok(bytes),
    }
}

/// The key of a `<PUBLICKEY>`: the modulus is little-endian, the exponent decimal.
pub(super) fn public_key(element: &Element<'_>) -> Result<RsaPublicKey> {
    let algorithm = required(element, "ALGORITHM")?.trimmed();
    if algorithm != "RSA" {
        return Err(fault(element, format!("a public key of the algorithm '{}'; only RSA is known", shorten(algorithm))));
    }
    let exponent = parameter(element, "public-exponent")?.trimmed();
    let value = parameter(element, "modulus")?;
    if let Some(key) = recent(value, exponent) {
        return Ok(key);
    }
    let mut modulus = bytes_of(value, Reading::Lenient)?;
    modulus.reverse();
    let number = exponent.parse().map_err(|_| fault(element, "the public exponent is not a number"))?;
    let key = RsaPublicKey::from_components(&modulus, number).map_err(|error| match error {
        Error::Malformed(malformed) => fault(element, format!("a public key is not sound: {}", malformed.problem)),
        other => other,
    })?;
    remember(value, exponent, &key);
    Ok(key)
}

/// The keys that were read last, with the texts that they were read from. Licences of one server name the same one or two: a copy is made
/// in a tenth of the time, and shares what is prepared for the libraries.
static RECENT: Mutex<VecDeque<Recent>> = Mutex::new(VecDeque::new());
const MOST_RECENT: usize = 8;

struct Recent {
    size: String,
    modulus: String,
    exponent: String,
    key: RsaPublicKey,
}

/// A key that was read from the same texts before.
fn recent(value: &Element<'_>, exponent: &str) -> Option<RsaPublicKey> {
    let size = stated_size(value)?;
    let recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    let same = |known: &&Recent| known.modulus == value.text && known.size == size && known.exponent == exponent;
    recent.iter().find(same).map(|known| known.key.clone())
}

fn remember(value: &Element<'_>, exponent: &str, key: &RsaPublicKey) {
    let Some(size) = stated_size(value) else { return };
    let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    if recent.len() >= MOST_RECENT {
        recent.pop_back();
    }
    let modulus = value.text.clone().into_owned();
    recent.push_front(Recent { size: size.to_owned(), modulus, exponent: exponent.to_owned(), key: key.clone() });
}

/// The size that a value in base64 states.
fn stated_size<'e>(value: &'e Element<'_>) -> Option<&'e str> {
    value.attribute("size").filter(|_| value.attribute("encoding") == Some("base64"))
}

/// The value of a named parameter.
fn parameter<'e, 'a>(element: &'e Element<'a>, name: &str) -> Result<&'e Element<'a>> {
    let mut found = element.children_named("PARAMETER").filter(|parameter| parameter.attribute("name") == Some(name));
    match (found.next(), found.next()) {
        (Some(parameter), None) => required(parameter, "VALUE"),
        (None, _) => Err(fault(element, format!("a public key without its {name}"))),
        (Some(_), Some(second)) => Err(fault(second, format!("a public key with more than one {name}"))),
    }
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64, Encoding as _};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_readers_of_base64_agree(text in "[A-D/+=]{0,12}|[A-Za-z0-9/+]{0,40}={0,2}") {
            prop_assert_eq!(decode_base64(&text, Reading::Strict), Base64::decode_vec(&text).ok());
        }

        #[test]
        fn bytes_come_back(bytes in any::<Vec<u8>>(), every in 1_usize..9) {
            let text = encode_base64(&bytes);
            prop_assert_eq!(&text, &Base64::encode_string(&bytes));
            prop_assert_eq!(decode_base64(&text, Reading::Strict), Some(bytes.clone()));
            let broken: Vec<&str> = text.as_bytes().chunks(every).map(|line| std::str::from_utf8(line).unwrap()).collect();
            prop_assert_eq!(decode_base64(&broken.join("\r\n"), Reading::Lenient), Some(bytes));
        }
    }

    #[test]
    fn blanks_unused_bits_and_missing_padding_are_refused() {
        for text in ["QQ", "QQ=", "QR==", "QQ==\n", "Q Q==", "QQ==QQ==", "=", "Q===", "\u{e4}"] {
            assert_eq!(decode_base64(text, Reading::Strict), None, "{text}");
        }
    }
}
