//! The file beside a key: `"schema": "keykit/key/1"`.

use std::path::Path;

use keykit::durable::{self, Access, Existing};
use keykit::key::{KeyId, RsaPublicKey};
use keykit::store::{KeyRequest, Transferability};
use keykit::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::memory::Metadata;

const FORMAT: &str = "key metadata";
const SCHEMA: &str = "keykit/key/1";
/// No sound file is larger, in bytes.
const LIMIT: u64 = 1 << 16;

/// The file's content. Fields that are not known are ignored: they belong to a later minor version.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    schema: String,
    key_id: KeyId,
    label: String,
    /// In hex.
    local_id: String,
    transferability: String,
    #[serde(default)]
    local: bool,
    /// RFC 3339, UTC.
    created: String,
    /// Stand-ins for metadata that was lost.
    #[serde(default)]
    rebuilt: bool,
    /// SubjectPublicKeyInfo, PEM.
    public_key: String,
}

/// What stands in for metadata that was lost: no label, and the key does not leave.
pub(super) fn stand_in(public: &RsaPublicKey) -> Metadata {
    Metadata { rebuilt: true, ..Metadata::new(public.clone(), &KeyRequest::default(), false) }
}

pub(super) fn write(path: &Path, metadata: &Metadata) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(&document(metadata)).map_err(|error| Error::Internal(format!("writing metadata: {error}")))?;
    text.push(b'\n');
    durable::write(path, &text, Access::OwnerOnly, Existing::Replace)
}

/// The metadata of the key `id`.
pub(super) fn read(path: &Path, id: &KeyId) -> Result<Metadata> {
    let bytes = durable::read(path, LIMIT, FORMAT)?;
    let metadata = parse(&bytes).map_err(|error| error.in_file(path))?;
    if metadata.public.id() != *id {
        return Err(Error::malformed(FORMAT, "its public key is not the one that the file is named after").in_file(path));
    }
    Ok(metadata)
}

fn document(metadata: &Metadata) -> Document {
    Document {
        schema: SCHEMA.into(),
        key_id: metadata.public.id(),
        label: metadata.label.clone(),
        local_id: crate::memory::hex(&metadata.local_id),
        transferability: match metadata.transferability {
            Transferability::Never => "never",
            Transferability::UnderTrustedKey => "under-trusted-key",
            Transferability::Wrapped => "wrapped",
        }
        .into(),
        local: metadata.local,
        created: jiff::Timestamp::from_second(metadata.created).unwrap_or_default().to_string(),
        rebuilt: metadata.rebuilt,
        public_key: metadata.public.to_pem(),
    }
}

fn parse(bytes: &[u8]) -> Result<Metadata> {
    /// Read first, so that a later major version is named as such whatever else it holds.
    #[derive(Deserialize)]
    struct Schema {
        schema: String,
    }
    let malformed = |error: serde_json::Error| Error::malformed(FORMAT, error.to_string());
    let schema: Schema = serde_json::from_slice(bytes).map_err(malformed)?;
    if schema.schema != SCHEMA {
        let hint = "it may come from a later version of keykit: use that one";
        return Err(Error::malformed(FORMAT, format!("the schema '{}', not {SCHEMA}", schema.schema)).with_hint(hint));
    }
    let document: Document = serde_json::from_slice(bytes).map_err(malformed)?;
    let public = RsaPublicKey::from_pem(&document.public_key)?;
    if public.id() != document.key_id {
        return Err(Error::malformed(FORMAT, "key_id and public_key are of two keys"));
    }
    Ok(Metadata {
        public,
        label: document.label,
        local_id: from_hex(&document.local_id).ok_or_else(|| Error::malformed(FORMAT, "local_id is not hex"))?,
        transferability: match document.transferability.as_str() {
            "never" => Transferability::Never,
            "under-trusted-key" => Transferability::UnderTrustedKey,
            "wrapped" => Transferability::Wrapped,
            other => return Err(Error::malformed(FORMAT, format!("the transferability '{other}'"))),
        },
        local: document.local,
        created: document.created.parse::<jiff::Timestamp>().map_err(|_| Error::malformed(FORMAT, "created is not a time in RFC 3339"))?.as_second(),
        rebuilt: document.rebuilt,
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn public() -> RsaPublicKey {
        RsaPublicKey::from_components(&[0xff; 128], 65537).unwrap()
    }

    fn altered(change: impl FnOnce(&mut serde_json::Value)) -> Result<Metadata> {
        let mut value = serde_json::to_value(document(&stand_in(&public()))).unwrap();
        change(&mut value);
        parse(value.to_string().as_bytes())
    }

    #[test]
    fn later_versions_are_refused_and_new_fields_ignored() {
        let error = altered(|value| value["schema"] = "keykit/key/2".into()).unwrap_err();
        assert!(error.to_string().contains("keykit/key/2"), "{error}");
        assert!(error.hint().unwrap().contains("later version"));
        assert!(parse(br#"{"schema":"keykit/key/2"}"#).unwrap_err().to_string().contains("keykit/key/2"));
        assert_eq!(altered(|value| value["new"] = 1.into()).unwrap(), altered(|_| ()).unwrap());
    }

    #[test]
    fn fields_that_lie_are_refused() {
        for (field, value) in [("key_id", "00".repeat(32)), ("local_id", "0".into()), ("local_id", "é".into())] {
            assert_eq!(altered(|document| document[field] = value.into()).unwrap_err().code(), "malformed", "{field}");
        }
        for (field, value) in [("transferability", "always"), ("created", "yesterday"), ("public_key", "")] {
            assert_eq!(altered(|document| document[field] = value.into()).unwrap_err().code(), "malformed", "{field}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(label: String, local_id: Vec<u8>, way in 0..3_usize, local: bool, rebuilt: bool, created in 0..4_000_000_000_i64) {
            let transferability = [Transferability::Never, Transferability::UnderTrustedKey, Transferability::Wrapped][way];
            let metadata = Metadata { public: public(), label, local_id, transferability, local, created, rebuilt };
            let text = serde_json::to_vec(&document(&metadata)).unwrap();
            prop_assert_eq!(parse(&text).unwrap(), metadata);
        }

        #[test]
        fn no_input_panics(bytes: Vec<u8>, text: String) {
            drop(parse(&bytes));
            drop(from_hex(&text));
        }
    }
}
