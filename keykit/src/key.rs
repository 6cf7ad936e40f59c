//! RSA keys: their identity, public and secret halves, and the cryptographic modes of the service.

mod hash;
mod id;
mod mode;
mod public;
mod secret_key;
mod words;

pub use hash::{Digest, Hash};
pub use id::KeyId;
pub use mode::CryptographicMode;
pub use public::RsaPublicKey;
pub(crate) use public::{Encryption, Recorded, exponent_from_be};
pub use secret_key::{RsaComponents, RsaSecretKey};

/// How a message is encrypted to an RSA key (RFC 8017 §7).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EncryptionScheme {
    /// RSAES-PKCS1-v1_5 (RFC 8017 §7.2): cryptographic mode 1 only.
    Pkcs1v15,
    /// RSAES-OAEP (RFC 8017 §7.1).
    Oaep {
        /// The hash of the label and the padding.
        hash: Hash,
        /// The hash inside MGF1.
        mgf1: Hash,
        /// The label; empty in every format that keykit writes.
        label: Vec<u8>,
    },
}

impl EncryptionScheme {
    /// OAEP with one hash for padding and mask, and no label.
    #[must_use]
    pub fn oaep(hash: Hash) -> Self {
        Self::Oaep { hash, mgf1: hash, label: Vec::new() }
    }
}

impl std::fmt::Display for EncryptionScheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pkcs1v15 => f.write_str("RSAES-PKCS1-v1_5"),
            Self::Oaep { hash, mgf1, label } => {
                write!(f, "RSAES-OAEP with {hash}/MGF1-{mgf1}{}", if label.is_empty() { "" } else { " and a label" })
            }
        }
    }
}
