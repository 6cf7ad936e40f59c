//! What a store says of itself and of a key.

use serde::Serialize;

use super::protection::Assessment;
use crate::key::{KeyId, RsaPublicKey};

/// Who a store is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreIdentity {
    /// How to name the store on the command line, without secrets: `memory:`, `file:DIR`, `pkcs11:…`.
    pub uri: String,
    /// Who made it, as the token says; "keykit" for our own.
    pub manufacturer: String,
    /// The model, as the token says.
    pub model: String,
    /// The serial number, as the token says; empty for our own.
    pub serial: String,
    /// Firmware or library version.
    pub firmware: String,
    /// The token's label; empty for our own.
    pub label: String,
}

/// A key of a store.
#[derive(Debug, Clone)]
pub struct KeyRecord {
    /// The public half: the key's identity.
    pub public: RsaPublicKey,
    /// What the store says of the private half.
    pub attributes: KeyAttributes,
    /// How the private half is protected, with the evidence.
    pub protection: Assessment,
}

impl KeyRecord {
    /// The key's identity.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.public.id()
    }
}

/// Attributes of a private key in PKCS#11's terms (PKCS#11 3.1 §4.9); `None` where the store does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KeyAttributes {
    /// CKA_LABEL.
    pub label: String,
    /// CKA_ID, in hex.
    pub local_id: String,
    /// CKA_SENSITIVE: the value cannot be read.
    pub sensitive: Option<bool>,
    /// CKA_EXTRACTABLE: the key can be wrapped out.
    pub extractable: Option<bool>,
    /// CKA_ALWAYS_SENSITIVE: it never could be read.
    pub always_sensitive: Option<bool>,
    /// CKA_NEVER_EXTRACTABLE: it never could be wrapped out.
    pub never_extractable: Option<bool>,
    /// CKA_WRAP_WITH_TRUSTED: it can be wrapped out under a trusted key only.
    pub wrap_with_trusted: Option<bool>,
    /// CKA_PRIVATE: it is seen after login only.
    pub private: Option<bool>,
    /// CKA_LOCAL: it was made in this store.
    pub local: Option<bool>,
    /// CKA_SIGN.
    pub can_sign: Option<bool>,
    /// CKA_DECRYPT.
    pub can_decrypt: Option<bool>,
    /// CKA_UNWRAP.
    pub can_unwrap: Option<bool>,
    /// CKA_NFKM_APPNAME of nShield: the application of the key file.
    pub nfkm_app: Option<String>,
    /// CKA_NFKM_ID of nShield: the identifier of the key file.
    pub nfkm_id: Option<String>,
    /// CKA_NFKM_HASH of nShield: the module's hash of the key, in hex.
    pub nfkm_hash: Option<String>,
}

/// How a key may leave its new store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transferability {
    /// Never: sensitive, not extractable.
    #[default]
    Never,
    /// Wrapped under a key that the security officer marked as trusted (CKA_WRAP_WITH_TRUSTED).
    UnderTrustedKey,
    /// Wrapped under any key. For rehearsals and tests, and for keys that are to be moved on at once.
    Wrapped,
}

/// How a key is to be stored. It is always sensitive, and can sign and decrypt and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyRequest {
    /// CKA_LABEL.
    pub label: String,
    /// CKA_ID; `None` for the first 20 bytes of the [`KeyId`].
    pub local_id: Option<Vec<u8>>,
    /// How it may leave again.
    pub transferability: Transferability,
}

impl KeyRequest {
    /// A key that never leaves, under this label.
    #[must_use]
    pub fn labelled(label: impl Into<String>) -> Self {
        Self { label: label.into(), ..Self::default() }
    }

    /// The CKA_ID to store the key under.
    #[must_use]
    pub fn local_id_for(&self, id: &KeyId) -> Vec<u8> {
        self.local_id.clone().unwrap_or_else(|| id.as_bytes().iter().copied().take(20).collect())
    }
}
