//! The key that a document's content is encrypted under.

use std::fmt;

use crate::error::{Error, Result};
use crate::secret::SecretBytes;

/// How content is encrypted under a content key: the `Reserved` field of a KeyHeader (MS-RMPR §2.2.9.1.13.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentCipher {
    /// AES-ECB: Office documents, mail, and all rights data.
    Ecb,
    /// AES-CBC in blocks of 4096 bytes, the last one not padded.
    Cbc4kNoPadding,
    /// AES-CBC in blocks of 4096 bytes, the last one padded: `.pfile` documents.
    Cbc4k,
    /// AES-CBC in blocks of 512 bytes, not padded.
    Cbc512,
}

impl ContentCipher {
    /// Every cipher.
    pub const ALL: [Self; 4] = [Self::Ecb, Self::Cbc4kNoPadding, Self::Cbc4k, Self::Cbc512];

    /// The value of the KeyHeader's field.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Ecb => 0xffff,
            Self::Cbc4kNoPadding => 0xfffe,
            Self::Cbc4k => 0xfffd,
            Self::Cbc512 => 0xfffc,
        }
    }

    /// The cipher of a KeyHeader's field; `None` for an unknown value.
    ///
    /// Either byte order is accepted: the specification does not say which one is meant, and both have been seen in code.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|cipher| code == cipher.code() || code == cipher.code().swap_bytes())
    }
}

impl fmt::Display for ContentCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ecb => "AES-ECB",
            Self::Cbc4kNoPadding => "AES-CBC4K without padding",
            Self::Cbc4k => "AES-CBC4K",
            Self::Cbc512 => "AES-CBC512",
        })
    }
}

/// An AES key of 128 or 256 bits, and the cipher it is used with. It cannot be cloned.
#[derive(PartialEq, Eq)]
pub struct ContentKey {
    cipher: ContentCipher,
    key: SecretBytes,
}

impl ContentKey {
    /// Takes a key over.
    ///
    /// # Errors
    /// [`Error::Malformed`] unless the key has 16 or 32 bytes.
    pub fn new(cipher: ContentCipher, key: SecretBytes) -> Result<Self> {
        match key.len() {
            16 | 32 => Ok(Self { cipher, key }),
            length => Err(Error::malformed("content key", format!("it has {length} bytes; 16 or 32 are possible"))),
        }
    }

    /// Makes a key from the system's randomness.
    ///
    /// # Errors
    /// [`Error::Malformed`] unless `bits` is 128 or 256; [`Error::Internal`] if the system has no randomness to give.
    pub fn generate(cipher: ContentCipher, bits: usize) -> Result<Self> {
        if bits != 128 && bits != 256 {
            return Err(Error::malformed("content key", format!("{bits} bits are asked for; 128 or 256 are possible")));
        }
        Self::new(cipher, SecretBytes::random(bits / 8)?)
    }

    /// The cipher that the key is used with.
    #[must_use]
    pub fn cipher(&self) -> ContentCipher {
        self.cipher
    }

    /// The key itself.
    #[must_use]
    pub fn key(&self) -> &SecretBytes {
        &self.key
    }

    /// Size of the key in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.key.len() * 8
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentKey({} bits, {})", self.bits(), self.cipher)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_size_and_cipher_only() {
        let key = ContentKey::new(ContentCipher::Cbc4k, SecretBytes::copy_of(&[0x41; 16])).unwrap();
        assert_eq!(format!("{key:?}"), "ContentKey(128 bits, AES-CBC4K)");
    }

    #[test]
    fn only_two_sizes_exist() {
        for length in [0, 7, 15, 17, 24, 33] {
            assert_eq!(ContentKey::new(ContentCipher::Ecb, SecretBytes::copy_of(&vec![0; length])).unwrap_err().code(), "malformed");
            assert_eq!(ContentKey::generate(ContentCipher::Ecb, length * 8).unwrap_err().code(), "malformed");
        }
        assert_ne!(ContentKey::generate(ContentCipher::Ecb, 256).unwrap(), ContentKey::generate(ContentCipher::Ecb, 256).unwrap());
    }

    #[test]
    fn codes_come_back_in_either_byte_order_and_are_all_there_is() {
        let known: Vec<u16> = (0..=u16::MAX).filter(|&code| ContentCipher::from_code(code).is_some()).collect();
        assert_eq!(known, [0xfcff, 0xfdff, 0xfeff, 0xfffc, 0xfffd, 0xfffe, 0xffff]);
        for cipher in ContentCipher::ALL {
            assert_eq!(ContentCipher::from_code(cipher.code()), Some(cipher));
            assert_eq!(ContentCipher::from_code(cipher.code().swap_bytes()), Some(cipher));
        }
    }
}
