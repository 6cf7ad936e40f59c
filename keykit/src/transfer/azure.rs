//! The transfer file of Azure Key Vault and Managed HSM (`.byok`): JSON around the wrapped key.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const FORMAT: &str = "transfer file (.byok)";
const SCHEMA_VERSION: &str = "1.0.0";

/// A `.byok` file (BYOK specification of Azure Key Vault, "Key transfer blob").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureTransferFile {
    /// Identifier of the key encryption key.
    pub kid: String,
    /// `RSAES-OAEP(KEK, AES-256 key) ‖ AES-KWP(AES-256 key, PKCS#8)`, OAEP with SHA-1.
    pub blob: Vec<u8>,
    /// The tool and module that made it.
    pub generator: String,
    /// Whether the base64url text carried padding, which some tools write.
    pub padding: bool,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    schema_version: String,
    header: Header,
    ciphertext: String,
    generator: String,
}

#[derive(Serialize, Deserialize)]
struct Header {
    kid: String,
    alg: String,
    enc: String,
}

impl AzureTransferFile {
    /// A file around a blob that keykit wrapped.
    #[must_use]
    pub fn new(kid: &str, blob: &[u8]) -> Self {
        Self { kid: kid.to_owned(), blob: blob.to_vec(), generator: format!("keykit {}", env!("CARGO_PKG_VERSION")), padding: false }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Malformed`], with a hint for the mistakes that users make.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| Error::malformed(FORMAT, error.to_string()))?;
        if wire.schema_version != SCHEMA_VERSION || wire.header.alg != "dir" || wire.header.enc != "CKM_RSA_AES_KEY_WRAP" {
            return Err(Error::malformed(FORMAT, "schema_version, alg or enc is not 1.0.0, dir, CKM_RSA_AES_KEY_WRAP"));
        }
        if wire.ciphertext.starts_with("BASE64URL(") {
            return Err(Error::malformed(FORMAT, "the ciphertext is the literal text of an example")
                .with_hint("put the base64url text itself there, without BASE64URL( )"));
        }
        let trimmed = wire.ciphertext.trim_end_matches('=');
        let blob = Base64UrlUnpadded::decode_vec(trimmed)
            .map_err(|_| Error::malformed(FORMAT, "the ciphertext is not base64url").with_hint("base64url has - and _ where base64 has + and /"))?;
        Ok(Self { kid: wire.header.kid, blob, generator: wire.generator, padding: trimmed.len() != wire.ciphertext.len() })
    }

    /// The file's bytes; base64url without padding (RFC 7515 §2).
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let wire = Wire {
            schema_version: SCHEMA_VERSION.into(),
            header: Header { kid: self.kid.clone(), alg: "dir".into(), enc: "CKM_RSA_AES_KEY_WRAP".into() },
            ciphertext: Base64UrlUnpadded::encode_string(&self.blob),
            generator: self.generator.clone(),
        };
        serde_json::to_vec_pretty(&wire).map_err(|error| Error::Internal(format!("encoding a transfer file: {error}")))
    }

    /// Pairs of (bits of the key encryption key, bits of the key inside) that fit the blob's length (RFC 5649 §4.1: 8 bytes more
    /// than the padded PKCS#8).
    #[must_use]
    pub fn possible_sizes(&self) -> Vec<(usize, usize)> {
        // Lengths of AES-KWP over PKCS#8 with public exponent 65537, by size of the key.
        const WRAPPED: [(usize, std::ops::RangeInclusive<usize>); 4] =
            [(1024, 632..=656), (2048, 1224..=1232), (3072, 1800..=1808), (4096, 2376..=2392)];
        [2048, 3072, 4096]
            .into_iter()
            .filter_map(|kek: usize| {
                let wrapped = self.blob.len().checked_sub(kek / 8)?;
                let (target, _) = WRAPPED.iter().find(|(_, lengths)| wrapped % 8 == 0 && lengths.contains(&wrapped))?;
                Some((kek, *target))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_of_the_specification() {
        let file = |length: usize| AzureTransferFile::new("k", &vec![0; length]).possible_sizes();
        assert_eq!(file(1488), [(2048, 2048)]);
        assert_eq!(file(1608), [(3072, 2048)]);
        assert_eq!(file(1736), [(4096, 2048)]);
        assert_eq!(file(2312), [(4096, 3072)]);
        assert!(file(1000).is_empty());
    }

    #[test]
    fn traps_of_users_are_named() {
        let text = String::from_utf8(AzureTransferFile::new("k", b"abc").to_bytes().unwrap()).unwrap();
        let trap = text.replace("YWJj", "BASE64URL(YWJj)");
        assert!(AzureTransferFile::parse(trap.as_bytes()).unwrap_err().hint().unwrap().contains("BASE64URL"));
        assert!(AzureTransferFile::parse(text.replace("YWJj", "YW+j").as_bytes()).is_err());
        assert!(AzureTransferFile::parse(text.replace("YWJj", "YWI=").as_bytes()).unwrap().padding);
        assert!(AzureTransferFile::parse(text.replace("1.0.0", "2.0.0").as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn files_come_back(kid in ".{0,40}", blob in proptest::collection::vec(any::<u8>(), 0..300)) {
            let file = AzureTransferFile::new(&kid, &blob);
            prop_assert_eq!(AzureTransferFile::parse(&file.to_bytes().unwrap()).unwrap(), file);
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(AzureTransferFile::parse(&bytes).is_err());
        }
    }
}
