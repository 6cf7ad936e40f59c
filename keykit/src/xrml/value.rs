//! Values inside elements: base64 with its stated size, and public keys.

use std::borrow::Cow;

use base64ct::{Base64, Encoding as _};

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

/// Strict base64 (RFC 4648 §4): padded, no unused bits set.
pub(super) fn decode_base64(text: &str, reading: Reading) -> Option<Vec<u8>> {
    let text = match reading {
        Reading::Lenient if text.contains(|character: char| character.is_ascii_whitespace()) => {
            Cow::Owned(text.chars().filter(|character| !character.is_ascii_whitespace()).collect())
        }
        _ => Cow::Borrowed(text),
    };
    Base64::decode_vec(&text).ok()
}

/// Base64 (RFC 4648 §4) in one line.
pub(super) fn encode_base64(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
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
    let exponent = parameter(element, "public-exponent")?.trimmed().parse().map_err(|_| fault(element, "the public exponent is not a number"))?;
    let mut modulus = bytes_of(parameter(element, "modulus")?, Reading::Lenient)?;
    modulus.reverse();
    RsaPublicKey::from_components(&modulus, exponent).map_err(|error| match error {
        Error::Malformed(malformed) => fault(element, format!("a public key is not sound: {}", malformed.problem)),
        other => other,
    })
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
