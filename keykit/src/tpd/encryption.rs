//! The password layer of a trusted publishing domain: AES-128-CBC under a key that the password gives.
//!
//! There is no salt, no random start value and no authentication (formats §1, ENC): the layer hides the content, it
//! does not protect it from change. A wrong password passes the padding check about once in 256 tries, so the reader
//! must look at what comes out.

use std::fmt;

use aes::Aes128;
use cbc::cipher::block_padding::{NoPadding, Pkcs7};
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use cbc::{Decryptor, Encryptor};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};
use crate::secret::{Password, SecretBytes};

/// Bytes of a cipher block.
pub(super) const BLOCK_BYTES: usize = 16;
/// Bytes of the cipher key.
const KEY_BYTES: usize = 16;
/// The start value, the same in every file.
const START_VALUE: [u8; BLOCK_BYTES] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
/// How often the old derivation hashes.
const PBKDF1_ITERATIONS: usize = 100;

/// How the cipher key comes out of the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyDerivation {
    /// The first 16 bytes of one SHA-256 over the password in UTF-16, little-endian: what servers write now.
    Sha256,
    /// The first 16 bytes of PBKDF1 (RFC 8018 §5.1) with SHA-1, no salt and 100 iterations over the password in UTF-8.
    /// This is taken for the form that an export "in RMS version 1.0" has (rule 47).
    Pbkdf1Sha1,
}

impl KeyDerivation {
    /// Both, in the order in which they are tried.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Pbkdf1Sha1];

    /// The name in reports: `sha256` or `pbkdf1-sha1`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Pbkdf1Sha1 => "pbkdf1-sha1",
        }
    }

    /// The cipher key that the password gives.
    pub(super) fn derive(self, password: &Password) -> Result<CipherKey> {
        SecretBytes::try_init(KEY_BYTES, |key| match self {
            Self::Sha256 => copy_prefix(utf16_sha256(password.expose()).as_slice(), key),
            Self::Pbkdf1Sha1 => copy_prefix(pbkdf1_sha1(password.expose()).as_slice(), key),
        })
        .map(CipherKey)
    }
}

impl fmt::Display for KeyDerivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A derived AES-128 key.
#[derive(Debug)]
pub(super) struct CipherKey(SecretBytes);

impl CipherKey {
    /// Decrypts whole blocks. The padding is looked at, but a wrong one is for the caller to judge.
    pub(super) fn decrypt(&self, ciphertext: &[u8]) -> Result<Decrypted> {
        let blocks = SecretBytes::try_init(ciphertext.len(), |blocks| {
            blocks.copy_from_slice(ciphertext);
            let cipher = Decryptor::<Aes128>::new_from_slices(self.0.expose(), &START_VALUE).map_err(|_| Error::Crypto)?;
            cipher.decrypt_padded::<NoPadding>(blocks).map(drop).map_err(|_| Error::Crypto)
        })?;
        Ok(Decrypted { content_bytes: content_bytes(blocks.expose()), blocks })
    }

    /// Pads (PKCS#7) and encrypts.
    pub(super) fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>> {
        // Filled once and encrypted in place, so the plaintext leaves no copy.
        let padded = plaintext.len() / BLOCK_BYTES * BLOCK_BYTES + BLOCK_BYTES;
        let mut buffer = Vec::with_capacity(padded);
        buffer.extend_from_slice(plaintext);
        buffer.resize(padded, 0);
        let encrypted = Encryptor::<Aes128>::new_from_slices(self.0.expose(), &START_VALUE)
            .map_err(|_| Error::Crypto)
            .and_then(|cipher| cipher.encrypt_padded::<Pkcs7>(&mut buffer, plaintext.len()).map(drop).map_err(|_| Error::Crypto));
        if encrypted.is_err() {
            buffer.zeroize();
        }
        encrypted.map(|()| buffer)
    }
}

/// What came out of the cipher, padding still on.
#[derive(Debug)]
pub(super) struct Decrypted {
    blocks: SecretBytes,
    content_bytes: Option<usize>,
}

impl Decrypted {
    /// Everything, padding included.
    pub(super) fn blocks(&self) -> &[u8] {
        self.blocks.expose()
    }

    /// The content; `None` if the padding is wrong.
    pub(super) fn content(&self) -> Option<&[u8]> {
        self.content_bytes.and_then(|length| self.blocks.expose().get(..length))
    }
}

/// Length without PKCS#7 padding (RFC 5652 §6.3), if that is right. Not in constant time: there is no one to ask
/// twice, the reader has the whole file and its password.
fn content_bytes(blocks: &[u8]) -> Option<usize> {
    let &count = blocks.last()?;
    let length = blocks.len().checked_sub(usize::from(count))?;
    let padding = blocks.get(length..)?;
    ((1..=BLOCK_BYTES).contains(&padding.len()) && padding.iter().all(|&byte| byte == count)).then_some(length)
}

fn utf16_sha256(password: &str) -> Zeroizing<[u8; 32]> {
    let mut hasher = Sha256::new();
    for unit in password.encode_utf16() {
        hasher.update(unit.to_le_bytes());
    }
    Zeroizing::new(hasher.finalize().into())
}

fn pbkdf1_sha1(password: &str) -> Zeroizing<[u8; 20]> {
    let mut hash = Zeroizing::new(<[u8; 20]>::from(Sha1::digest(password)));
    for _ in 1..PBKDF1_ITERATIONS {
        *hash = Sha1::digest(hash.as_slice()).into();
    }
    hash
}

fn copy_prefix(hash: &[u8], key: &mut [u8]) -> Result<()> {
    key.copy_from_slice(hash.get(..key.len()).ok_or_else(|| Error::Internal("a hash shorter than a key".into()))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn derived(derivation: KeyDerivation, password: &str) -> String {
        let key = derivation.derive(&Password::new(password.into())).unwrap();
        key.0.expose().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn known_keys() {
        assert_eq!(derived(KeyDerivation::Sha256, "Pa$$w0rd"), "86084d8f165645dde017d7767252ef2d");
        assert_eq!(derived(KeyDerivation::Pbkdf1Sha1, "Pa$$w0rd"), "222450906e5cc7d33720d0808b527432");
    }

    #[test]
    fn known_ciphertext() {
        // NIST SP 800-38A F.2.1 has another start value: xored into the first block, it gives the same ciphertext.
        let key = CipherKey(SecretBytes::copy_of(&0x2b7e_1516_28ae_d2a6_abf7_1588_09cf_4f3c_u128.to_be_bytes()));
        let nist_start = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f_u128;
        let plaintext = 0x6bc1_bee2_2e40_9f96_e93d_7e11_7393_172a_u128 ^ nist_start ^ u128::from_be_bytes(START_VALUE);
        let ciphertext = key.encrypt(&plaintext.to_be_bytes()).unwrap();
        assert_eq!(ciphertext[..16], 0x7649_abac_8119_b246_cee9_8e9b_12e9_197d_u128.to_be_bytes());
        assert_eq!(ciphertext.len(), 32);
    }

    #[test]
    fn names_are_stable() {
        for (derivation, name) in [(KeyDerivation::Sha256, "\"sha256\""), (KeyDerivation::Pbkdf1Sha1, "\"pbkdf1-sha1\"")] {
            assert_eq!(serde_json::to_string(&derivation).unwrap(), name);
            assert_eq!(serde_json::from_str::<KeyDerivation>(name).unwrap(), derivation);
            assert_eq!(format!("\"{derivation}\""), name);
        }
    }

    #[test]
    fn padding_is_checked_whole() {
        let block = |tail: &[u8]| [vec![b'x'; 16 - tail.len()], tail.to_vec()].concat();
        assert_eq!(content_bytes(&block(&[1])), Some(15));
        assert_eq!(content_bytes(&block(&[2, 2])), Some(14));
        assert_eq!(content_bytes(&[16; 16]), Some(0));
        for wrong in [block(&[0]), block(&[1, 2]), block(&[17]), vec![17; 32], vec![]] {
            assert_eq!(content_bytes(&wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encrypted_comes_back(password in "\\PC{0,20}", plaintext in proptest::collection::vec(any::<u8>(), 0..100)) {
            for derivation in KeyDerivation::ALL {
                let key = derivation.derive(&Password::new(password.clone())).unwrap();
                let ciphertext = key.encrypt(&plaintext).unwrap();
                prop_assert_eq!(ciphertext.len() % BLOCK_BYTES, 0);
                let decrypted = key.decrypt(&ciphertext).unwrap();
                prop_assert_eq!(decrypted.content(), Some(plaintext.as_slice()));
            }
        }

        #[test]
        fn odd_lengths_are_errors(ciphertext in proptest::collection::vec(any::<u8>(), 0..70)) {
            let key = KeyDerivation::Sha256.derive(&Password::new("x".into())).unwrap();
            prop_assert_eq!(key.decrypt(&ciphertext).is_ok(), ciphertext.len() % BLOCK_BYTES == 0);
        }
    }
}
