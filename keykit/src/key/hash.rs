//! Hashes and the digests they give.

use std::fmt;

use sha1::Sha1;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

/// A hash function that RSASSA-PKCS1-v1_5 and OAEP are used with here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Hash {
    /// SHA-1: cryptographic mode 1, and the OAEP of the enabling bits.
    Sha1,
    /// SHA-224: conformance vectors only.
    Sha224,
    /// SHA-256: cryptographic mode 2.
    Sha256,
    /// SHA-384: conformance vectors only.
    Sha384,
    /// SHA-512: conformance vectors only.
    Sha512,
}

impl Hash {
    /// Every hash, weakest first.
    pub const ALL: [Self; 5] = [Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Length of a digest in bytes.
    #[must_use]
    pub fn output_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Hashes `message`.
    #[must_use]
    pub fn digest(self, message: &[u8]) -> Digest {
        let mut digest = Digest { hash: self, bytes: [0; 64] };
        let output = digest.bytes.get_mut(..self.output_bytes());
        if let Some(output) = output {
            match self {
                Self::Sha1 => output.copy_from_slice(&Sha1::digest(message)),
                Self::Sha224 => output.copy_from_slice(&Sha224::digest(message)),
                Self::Sha256 => output.copy_from_slice(&Sha256::digest(message)),
                Self::Sha384 => output.copy_from_slice(&Sha384::digest(message)),
                Self::Sha512 => output.copy_from_slice(&Sha512::digest(message)),
            }
        }
        digest
    }

    /// Hashes the UTF-16LE form of a text, without a byte order mark. Nearly all texts are ASCII: these are widened a piece at a time,
    /// while the piece is in the nearest cache.
    pub(crate) fn digest_utf16le(self, text: &str) -> Digest {
        fn run<H: sha2::Digest>(text: &str, output: &mut [u8]) {
            let mut hasher = H::new();
            if text.is_ascii() {
                let mut units = [[0; 2]; 1024];
                for piece in text.as_bytes().chunks(units.len()) {
                    for (unit, byte) in units.iter_mut().zip(piece) {
                        *unit = [*byte, 0];
                    }
                    hasher.update(units.get(..piece.len()).unwrap_or_default().as_flattened());
                }
            } else {
                text.encode_utf16().for_each(|unit| hasher.update(unit.to_le_bytes()));
            }
            output.copy_from_slice(&hasher.finalize());
        }
        let mut digest = Digest { hash: self, bytes: [0; 64] };
        if let Some(output) = digest.bytes.get_mut(..self.output_bytes()) {
            match self {
                Self::Sha1 => run::<Sha1>(text, output),
                Self::Sha224 => run::<Sha224>(text, output),
                Self::Sha256 => run::<Sha256>(text, output),
                Self::Sha384 => run::<Sha384>(text, output),
                Self::Sha512 => run::<Sha512>(text, output),
            }
        }
        digest
    }

    /// The DER of `DigestInfo` up to the digest itself, with NULL parameters (RFC 8017 §9.2 note 1).
    #[must_use]
    pub fn digest_info_prefix(self) -> &'static [u8] {
        match self {
            Self::Sha1 => &[0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14],
            Self::Sha224 => &[0x30, 0x2d, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x04, 0x05, 0x00, 0x04, 0x1c],
            Self::Sha256 => &[0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20],
            Self::Sha384 => &[0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30],
            Self::Sha512 => &[0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40],
        }
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha1 => "SHA-1",
            Self::Sha224 => "SHA-224",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        })
    }
}

/// A digest, with the hash that made it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    hash: Hash,
    bytes: [u8; 64],
}

impl Digest {
    /// A digest that was computed elsewhere; `None` if its length does not fit the hash.
    #[must_use]
    pub fn from_bytes(hash: Hash, digest: &[u8]) -> Option<Self> {
        let mut bytes = [0; 64];
        if digest.len() != hash.output_bytes() {
            return None;
        }
        bytes.get_mut(..digest.len())?.copy_from_slice(digest);
        Some(Self { hash, bytes })
    }

    /// The hash that made it.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The digest's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.hash.output_bytes()).unwrap_or_default()
    }

    /// The DER `DigestInfo` (RFC 8017 §9.2), which is what CKM_RSA_PKCS signs.
    #[must_use]
    pub fn to_digest_info(&self) -> Vec<u8> {
        [self.hash.digest_info_prefix(), self.as_bytes()].concat()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.hash)?;
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_info_lengths_are_consistent() {
        for hash in Hash::ALL {
            let info = hash.digest(b"x").to_digest_info();
            assert_eq!(usize::from(info[1]) + 2, info.len(), "{hash}");
            assert_eq!(usize::from(info[info.len() - hash.output_bytes() - 1]), hash.output_bytes(), "{hash}");
        }
    }

    #[test]
    fn texts_are_hashed_as_utf16_whatever_their_length() {
        for text in ["", "a", &"b".repeat(1023), &"c".repeat(1024), &"d".repeat(1025), &"e".repeat(5000), "\u{e4}\u{1f600}", &"\u{e4}f".repeat(1500)]
        {
            let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            for hash in Hash::ALL {
                assert_eq!(hash.digest_utf16le(text), hash.digest(&units), "{hash}, {} bytes", text.len());
            }
        }
    }

    #[test]
    fn a_digest_of_the_wrong_length_is_none() {
        assert!(Digest::from_bytes(Hash::Sha256, &[0; 20]).is_none());
        assert!(Digest::from_bytes(Hash::Sha1, &[0; 20]).is_some());
    }
}
