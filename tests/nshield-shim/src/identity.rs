//! What the shim calls tokens and keys. Everything is derived, so that a test can write evidence about a key that it made.

use cryptoki_sys::CK_ATTRIBUTE_TYPE;
use sha1::{Digest, Sha1};

/// Manufacturer of library, slots and tokens.
pub const MANUFACTURER: &str = "nCipher Corp. Ltd";
/// CKA_NFKM_APPNAME of `pkcs11extra.h`.
pub const CKA_NFKM_APPNAME: CK_ATTRIBUTE_TYPE = 0xDE43_6975;
/// CKA_NFKM_HASH of `pkcs11extra.h`.
pub const CKA_NFKM_HASH: CK_ATTRIBUTE_TYPE = 0xDE43_698A;
/// CKA_NFKM_ID of `pkcs11extra.h`.
pub const CKA_NFKM_ID: CK_ATTRIBUTE_TYPE = 0xDE43_6A74;
/// The application of keys that the PKCS#11 library makes.
pub const APP: &str = "pkcs11";

/// What protects the keys of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// The module alone: `accelerator`, `loadshared accelerator`.
    Accelerator,
    /// An operator card set.
    CardSet,
    /// A softcard.
    SoftCard,
}

/// How a token answers CKM_RSA_AES_KEY_WRAP, which SoftHSM 2.6 lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RsaAesKeyWrap {
    /// As it must be.
    Right,
    /// With zeros behind what is wrapped.
    Padding,
    /// As it must be, for secrets; private keys are refused with CKR_KEY_NOT_WRAPPABLE.
    SecretsOnly,
}

impl RsaAesKeyWrap {
    /// What the label asks for; `None` if the token does not offer the mechanism.
    #[must_use]
    pub fn of_label(label: &str) -> Option<Self> {
        match label.split_once("rsa-aes")?.1.trim() {
            "right" => Some(Self::Right),
            "padding" => Some(Self::Padding),
            "secrets only" => Some(Self::SecretsOnly),
            _ => None,
        }
    }
}

/// A token of SoftHSM, as the shim shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownToken {
    /// What it is taken for.
    pub kind: TokenKind,
    /// The label that is shown.
    pub label: String,
}

impl ShownToken {
    /// Reads the label of SoftHSM's token: `softcard:NAME` is shown as `NAME`.
    #[must_use]
    pub fn of_label(label: &str) -> Self {
        let shown = label.strip_prefix("softcard:").unwrap_or(label).to_owned();
        let kind = match label {
            "accelerator" | "loadshared accelerator" => TokenKind::Accelerator,
            label if label.starts_with("softcard") => TokenKind::SoftCard,
            _ => TokenKind::CardSet,
        };
        Self { kind, label: shown }
    }

    /// Hash of the logical token, 40 hex digits; the module alone has none.
    #[must_use]
    pub fn token_hash(&self) -> Option<String> {
        (self.kind != TokenKind::Accelerator).then(|| hex(&digest(&[b"logical token ", self.label.as_bytes()])))
    }

    /// CKA_NFKM_ID of a key with this modulus: `ua…` under the module, `uc…-…` under a logical token.
    #[must_use]
    pub fn key_ident(&self, modulus: &[u8]) -> String {
        let key = hex(&digest(&[b"ident ", modulus]));
        self.token_hash().map_or_else(|| format!("ua{key}"), |token| format!("uc{token}-{key}"))
    }
}

/// CKA_NFKM_HASH of a key with this modulus.
#[must_use]
pub fn key_hash(modulus: &[u8]) -> [u8; 20] {
    digest(&[b"key hash ", modulus])
}

/// Small hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(parts: &[&[u8]]) -> [u8; 20] {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_say_what_a_token_is() {
        assert_eq!(ShownToken::of_label("accelerator").kind, TokenKind::Accelerator);
        assert_eq!(ShownToken::of_label("softcard one"), ShownToken { kind: TokenKind::SoftCard, label: "softcard one".into() });
        assert_eq!(ShownToken::of_label("softcard:hr keys"), ShownToken { kind: TokenKind::SoftCard, label: "hr keys".into() });
        assert_eq!(ShownToken::of_label("PKCS11OCS").kind, TokenKind::CardSet);
    }

    #[test]
    fn labels_say_how_keys_are_wrapped() {
        assert_eq!(RsaAesKeyWrap::of_label("PKCS11OCS"), None);
        assert_eq!(RsaAesKeyWrap::of_label("rsa-aes right"), Some(RsaAesKeyWrap::Right));
        assert_eq!(RsaAesKeyWrap::of_label("ocs rsa-aes padding"), Some(RsaAesKeyWrap::Padding));
        assert_eq!(RsaAesKeyWrap::of_label("rsa-aes secrets only"), Some(RsaAesKeyWrap::SecretsOnly));
    }

    #[test]
    fn identifiers_have_the_forms_of_the_library() {
        let module = ShownToken::of_label("accelerator").key_ident(&[1]);
        assert!(module.starts_with("ua") && module.len() == 42, "{module}");
        let token = ShownToken::of_label("ocs");
        let ident = token.key_ident(&[1]);
        assert_eq!(ident, format!("uc{}-{}", token.token_hash().unwrap(), &module[2..]));
        assert_ne!(ident, token.key_ident(&[2]));
    }
}
