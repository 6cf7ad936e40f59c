//! The identity of a key: the SHA-256 of its public half.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::words;
use crate::error::{Error, Result};

/// SHA-256 of the DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7): what a key *is*, wherever it lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// The identity of the key with this DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn of_spki(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 16 hex digits, for tables.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(16).collect()
    }

    /// The identity as PGP words, for reading aloud.
    #[must_use]
    pub fn words(&self) -> String {
        words::spell(&self.0)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({})", self.short())
    }
}

impl FromStr for KeyId {
    type Err = Error;

    /// # Errors
    /// [`Error::Malformed`] unless the text is 64 hex digits.
    fn from_str(text: &str) -> Result<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(Error::malformed("key identity", "64 hex digits are needed"));
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = std::str::from_utf8(pair)
                .ok()
                .filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()))
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .ok_or_else(|| Error::malformed("key identity", "64 hex digits are needed"))?;
        }
        Ok(Self(bytes))
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for KeyId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let id = KeyId::of_spki(b"x");
        assert_eq!(id.to_string().parse::<KeyId>().unwrap(), id);
        assert_eq!(id.short().len(), 16);
        assert_eq!(id.words().split_whitespace().count(), 32);
        assert!("+1".repeat(32).parse::<KeyId>().is_err());
        assert!("é".repeat(32).parse::<KeyId>().is_err());
    }
}
