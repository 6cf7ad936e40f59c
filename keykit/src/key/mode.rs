//! The two cryptographic modes of the service.

use super::{EncryptionScheme, Hash};

/// Cryptographic mode of a key (rule 23, MS-RMPR §2.2.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CryptographicMode {
    /// RSA-1024 with SHA-1 and PKCS#1 v1.5 sealing: old, still needed to open old licences.
    Mode1,
    /// RSA-2048 with SHA-256 signatures and OAEP (SHA-1/MGF1-SHA-1) sealing.
    Mode2,
}

impl CryptographicMode {
    /// The mode that a key of this size belongs to; `None` for sizes the service does not know (rule 32).
    #[must_use]
    pub fn of_modulus_bits(bits: usize) -> Option<Self> {
        match bits {
            1024 => Some(Self::Mode1),
            2048 => Some(Self::Mode2),
            _ => None,
        }
    }

    /// The hash of signatures.
    #[must_use]
    pub fn signature_hash(self) -> Hash {
        match self {
            Self::Mode1 => Hash::Sha1,
            Self::Mode2 => Hash::Sha256,
        }
    }

    /// How content keys are sealed.
    #[must_use]
    pub fn encryption_scheme(self) -> EncryptionScheme {
        match self {
            Self::Mode1 => EncryptionScheme::Pkcs1v15,
            Self::Mode2 => EncryptionScheme::oaep(Hash::Sha1),
        }
    }

    /// 1 or 2.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Mode1 => 1,
            Self::Mode2 => 2,
        }
    }
}

impl std::fmt::Display for CryptographicMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "mode {}", self.number())
    }
}
