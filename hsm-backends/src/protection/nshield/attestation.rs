//! The JSON of `nfkmattest verify`: one object, several after each other, or an array of them.

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding};
use keykit::key::{KeyId, RsaPublicKey};
use keykit::store::protection::Protection;
use serde_json::Value;

use super::{Entry, Source};

/// The statements, or what is wrong with the JSON.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        match value.map_err(|error| error.to_string())? {
            Value::Array(values) => entries.extend(values.iter().filter_map(entry)),
            value => entries.extend(entry(&value)),
        }
    }
    Ok(entries)
}

/// `None` if the object is about something else.
fn entry(value: &Value) -> Option<Entry> {
    let protection = value.get("protection")?.as_str()?;
    let says = match protection.to_ascii_lowercase().as_str() {
        "module" => Protection::Module,
        "cardset" => Protection::CardSet { hash: None, name: None },
        "softcard" => Protection::SoftCard { hash: None, name: None },
        _ => Protection::Unknown,
    };
    let path = value.get("path").and_then(Value::as_str).unwrap_or_default();
    let (app, ident) = names(path);
    Some(Entry { source: Source::Attestation, app, ident, name: None, hash: None, says, public: public(value) })
}

/// The public key `k` of type `RSAPublic`.
fn public(value: &Value) -> Option<(Vec<u8>, Vec<u8>)> {
    let key = value.get("k")?;
    if key.get("type")?.as_str()? != "RSAPublic" {
        return None;
    }
    let number = |name| decode(key.get("data")?.get(name)?.as_str()?);
    Some((number("n")?, number("e")?))
}

/// The identity of a key from its numbers; `None` if they make no RSA key.
pub(super) fn key_id(modulus: &[u8], exponent: &[u8]) -> Option<KeyId> {
    let significant = |bytes: &[u8]| bytes.iter().copied().skip_while(|&byte| byte == 0).collect::<Vec<u8>>();
    let exponent = significant(exponent).iter().try_fold(0_u32, |value, &byte| value.checked_mul(256)?.checked_add(u32::from(byte)))?;
    RsaPublicKey::from_components(&significant(modulus), exponent).ok().map(|key| key.id())
}

/// Base64 in either alphabet, padded or not, with line breaks or not.
fn decode(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|character| !character.is_whitespace()).collect();
    let text = text.trim_end_matches('=');
    Base64Unpadded::decode_vec(text).or_else(|_| Base64UrlUnpadded::decode_vec(text)).ok()
}

/// Application and identifier from the path of the bundle, `…/key_APP_IDENT.att`; for messages only.
fn names(path: &str) -> (String, String) {
    let file = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = file.strip_suffix(".att").unwrap_or(file);
    match stem.strip_prefix("key_").and_then(|rest| rest.split_once('_')) {
        Some((app, ident)) => (app.to_owned(), ident.to_owned()),
        None => ("the bundle".into(), format!("'{stem}'")),
    }
}
