//! The one wire format of all transfers: `RSAES-OAEP(KEK, AES-256 key) ‖ AES-KWP(AES-256 key, PKCS#8)`
//! (RFC 8017 §7.1, RFC 5649 §4.1; PKCS#11 3.1 §6.1.10 CKM_RSA_AES_KEY_WRAP).

use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrap, KeyWrapPadded};
use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::asn1::{AnyRef, ObjectIdentifier, SequenceRef};
use pkcs8::der::{Decode, Reader, SliceReader, TagNumber, Tagged};

use super::finding::Finding;
use super::layout;
use crate::error::{Error, Result};
use crate::key::{EncryptionScheme, Hash, RsaPublicKey, RsaSecretKey};
use crate::secret::SecretBytes;

/// Bytes of the ephemeral AES key.
const EPHEMERAL_KEY_BYTES: usize = 32;

/// An AES key that wraps keys: RFC 3394 (KW) and RFC 5649 (KWP), 128 or 256 bits.
#[derive(Debug)]
pub struct KeyEncryptionKey(SecretBytes);

impl KeyEncryptionKey {
    /// A key of 16 or 32 bytes.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for another length.
    pub fn new(key: SecretBytes) -> Result<Self> {
        match key.len() {
            16 | 32 => Ok(Self(key)),
            other => Err(Error::Unsupported {
                operation: "wrap under an AES key".into(),
                mechanism: format!("AES key wrap with {} bits", other * 8),
                store: "keykit".into(),
            }),
        }
    }

    /// A random 256-bit key.
    ///
    /// # Errors
    /// [`Error::Internal`] when the system has no randomness to give.
    pub fn random() -> Result<Self> {
        SecretBytes::random(EPHEMERAL_KEY_BYTES).map(Self)
    }

    /// The key itself.
    #[must_use]
    pub fn expose(&self) -> &SecretBytes {
        &self.0
    }

    /// AES key wrap with padding (RFC 5649 §4.1): 1 byte or more; the result is 8 + 8·⌈n/8⌉ bytes.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn wrap_with_padding(&self, plaintext: &[u8]) -> Result<Vec<u8>> {
        if plaintext.is_empty() {
            return Err(Error::Crypto);
        }
        let mut output = vec![0; plaintext.len().div_ceil(8) * 8 + 8];
        let length = self.kek()?.wrap_with_padding(plaintext, &mut output).map_err(|_| Error::Crypto)?.len();
        output.truncate(length);
        Ok(output)
    }

    /// Undoes [`Self::wrap_with_padding`] (RFC 5649 §4.2).
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn unwrap_with_padding(&self, ciphertext: &[u8]) -> Result<SecretBytes> {
        if ciphertext.len() < 16 || !ciphertext.len().is_multiple_of(8) {
            return Err(Error::Crypto);
        }
        let mut output = zeroize::Zeroizing::new(vec![0; ciphertext.len()]);
        let length = self.kek()?.unwrap_with_padding(ciphertext, &mut output).map_err(|_| Error::Crypto)?.len();
        output.get(..length).filter(|plaintext| !plaintext.is_empty()).map(SecretBytes::copy_of).ok_or(Error::Crypto)
    }

    /// AES key wrap (RFC 3394 §2.2.1): a multiple of 8 bytes, 16 or more.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn wrap(&self, plaintext: &[u8]) -> Result<Vec<u8>> {
        if plaintext.len() < 16 || !plaintext.len().is_multiple_of(8) {
            return Err(Error::Crypto);
        }
        let mut output = vec![0; plaintext.len() + 8];
        let length = self.kek()?.wrap(plaintext, &mut output).map_err(|_| Error::Crypto)?.len();
        output.truncate(length);
        Ok(output)
    }

    /// Undoes [`Self::wrap`] (RFC 3394 §2.2.2).
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn unwrap(&self, ciphertext: &[u8]) -> Result<SecretBytes> {
        if ciphertext.len() < 24 || !ciphertext.len().is_multiple_of(8) {
            return Err(Error::Crypto);
        }
        let mut output = zeroize::Zeroizing::new(vec![0; ciphertext.len()]);
        let length = self.kek()?.unwrap(ciphertext, &mut output).map_err(|_| Error::Crypto)?.len();
        output.get(..length).map(SecretBytes::copy_of).ok_or(Error::Crypto)
    }

    fn kek(&self) -> Result<AesKek> {
        let cipher = if self.0.len() == 16 { &AES_128 } else { &AES_256 };
        AesKek::new(cipher, self.0.expose()).map_err(|_| Error::Crypto)
    }
}

/// Wraps a key in memory under the public half of a key encryption key.
///
/// # Errors
/// [`Error::Crypto`] if the key encryption key is too small for the hash.
pub fn wrap_rsa_aes(key: &RsaSecretKey, kek: &RsaPublicKey, oaep_hash: Hash) -> Result<Vec<u8>> {
    let ephemeral = KeyEncryptionKey::random()?;
    let mut blob = kek.encrypt(&EncryptionScheme::oaep(oaep_hash), ephemeral.expose().expose())?;
    blob.extend(ephemeral.wrap_with_padding(key.to_pkcs8_der()?.expose())?);
    Ok(blob)
}

/// Opens a blob. `decrypt` undoes the OAEP step (in whatever store the key encryption key lives); `kek_bytes` is the length
/// of that key's modulus.
///
/// Returns the key and the number of zero bytes that the wrapping token added after the PKCS#8 structure.
///
/// # Errors
/// [`Error::Crypto`], opaque; [`Error::Malformed`] if what was wrapped is no sound RSA key.
pub fn unwrap_rsa_aes(blob: &[u8], kek_bytes: usize, decrypt: impl FnOnce(&[u8]) -> Result<SecretBytes>) -> Result<(RsaSecretKey, usize)> {
    let (sealed, wrapped) = blob.split_at_checked(kek_bytes).ok_or(Error::Crypto)?;
    let plaintext = unwrap_ephemeral(decrypt(sealed)?, wrapped)?;
    let (pkcs8, padding) = strip_token_padding(plaintext.expose())?;
    Ok((RsaSecretKey::from_pkcs8_der(pkcs8)?, padding))
}

/// Undoes the AES step.
fn unwrap_ephemeral(ephemeral: SecretBytes, wrapped: &[u8]) -> Result<SecretBytes> {
    if ephemeral.len() != EPHEMERAL_KEY_BYTES {
        return Err(Error::Crypto);
    }
    KeyEncryptionKey::new(ephemeral)?.unwrap_with_padding(wrapped)
}

/// What came out of a blob.
#[derive(Debug)]
pub struct OpenedKey {
    /// The key.
    pub key: RsaSecretKey,
    /// What its wrapping was not quite right in.
    pub findings: Vec<Finding>,
}

/// Opens a blob as [`unwrap_rsa_aes`] does, and says more: which other hash OAEP was made with, what else than an RSA key was
/// wrapped, what was added to it. `decrypt` undoes OAEP with the key encryption key, whose public half is `kek`.
///
/// Who has the key encryption key may know all of this; it is for the owner's own use, offline.
///
/// # Errors
/// [`Error::Malformed`] if the blob's length is not possible, or for what was wrapped; [`Error::Negative`] if OAEP was made with
/// another hash; [`Error::Crypto`], opaque, for everything else.
pub fn open_blob(
    blob: &[u8],
    kek: &RsaPublicKey,
    oaep_hash: Hash,
    decrypt: &dyn Fn(&EncryptionScheme, &[u8]) -> Result<SecretBytes>,
) -> Result<OpenedKey> {
    if let Some(finding) = layout::check_length(blob.len(), &[kek.modulus_bits()]) {
        return Err(finding.into_malformed("wrapped key"));
    }
    let (sealed, wrapped) = blob.split_at_checked(kek.modulus_bytes()).ok_or(Error::Crypto)?;
    let ephemeral = match decrypt(&EncryptionScheme::oaep(oaep_hash), sealed) {
        Err(Error::Crypto) => return Err(other_hash(sealed, oaep_hash, decrypt).unwrap_or(Error::Crypto)),
        other => other?,
    };
    read_wrapped(&unwrap_ephemeral(ephemeral, wrapped)?)
}

/// The error for a blob that was sealed with another hash than it should be.
fn other_hash(sealed: &[u8], wanted: Hash, decrypt: &dyn Fn(&EncryptionScheme, &[u8]) -> Result<SecretBytes>) -> Option<Error> {
    let opens = |hash: &Hash| *hash != wanted && decrypt(&EncryptionScheme::oaep(*hash), sealed).is_ok();
    let found = [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512].into_iter().find(opens)?;
    Some(other_hash_error(found, wanted))
}

/// The error for a blob whose AES key was sealed by OAEP with `found`, where `wanted` was due.
#[must_use]
pub fn other_hash_error(found: Hash, wanted: Hash) -> Error {
    let error = Error::negative(format!("the AES key is sealed by OAEP with {found}; the profile wants {wanted} [oaep-hash]"));
    error.with_hint("wrap the key again for this profile, or take the profile that fits")
}

/// The RSA key in what was wrapped.
fn read_wrapped(plaintext: &SecretBytes) -> Result<OpenedKey> {
    let mut findings = Vec::new();
    let (pkcs8, zeros) = strip_token_padding(plaintext.expose())?;
    if zeros > 0 {
        findings.push(Finding::warning(
            "trailing-zeros",
            format!("{zeros} zero bytes were added to the key before it was wrapped (SoftHSM 2.6 does that); they were cut, but strict receivers refuse them"),
        ));
    }
    if let Ok(info) = PrivateKeyInfoRef::try_from(pkcs8) {
        if info.algorithm.oid != pkcs1::ALGORITHM_OID {
            let kind = if info.algorithm.oid == EC_PUBLIC_KEY { "an EC key".into() } else { format!("a key of the kind {}", info.algorithm.oid) };
            return Err(Error::malformed(WRAPPED_FORMAT, format!("{kind}, where an RSA key is needed [not-rsa]")));
        }
        if has_attributes(pkcs8) {
            findings.push(Finding::warning(
                "pkcs8-attributes",
                "the wrapped PKCS#8 has attributes, which are dropped: receivers differ in whether they take such a key",
            ));
        }
    }
    Ok(OpenedKey { key: RsaSecretKey::from_pkcs8_der(pkcs8)?, findings })
}

/// id-ecPublicKey (RFC 5480 §2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const WRAPPED_FORMAT: &str = "wrapped PKCS#8 private key";

/// Whether the attributes of PrivateKeyInfo are there (RFC 5208 §5: the field `[0]` after version, algorithm and key).
fn has_attributes(pkcs8: &[u8]) -> bool {
    let read = || -> pkcs8::der::Result<bool> {
        let outer = <&SequenceRef>::from_der(pkcs8)?;
        let mut reader = SliceReader::new(outer.as_bytes())?;
        for _ in 0..3 {
            AnyRef::decode(&mut reader)?;
        }
        Ok(!reader.is_finished() && AnyRef::decode(&mut reader)?.tag().number() == TagNumber(0))
    };
    read().unwrap_or(false)
}

/// Cuts up to seven zero bytes after the outer DER SEQUENCE, which SoftHSM 2.6 adds before it wraps, and says how many.
///
/// # Errors
/// [`Error::Malformed`] if there are more, or if they are not zero.
pub fn strip_token_padding(plaintext: &[u8]) -> Result<(&[u8], usize)> {
    let malformed = |problem: &str| Error::malformed(WRAPPED_FORMAT, problem);
    let length = der_sequence_length(plaintext).ok_or_else(|| malformed("no whole DER SEQUENCE"))?;
    let (der, padding) = plaintext.split_at_checked(length).ok_or_else(|| malformed("it is cut short"))?;
    if padding.len() > 7 || padding.iter().any(|&byte| byte != 0) {
        return Err(malformed("other bytes follow the key [trailing-bytes]"));
    }
    Ok((der, padding.len()))
}

/// Length of the DER SEQUENCE at the start, header included (X.690 §8.1.3); definite lengths of up to three bytes.
fn der_sequence_length(bytes: &[u8]) -> Option<usize> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if tag != 0x30 {
        return None;
    }
    match usize::from(first) {
        short @ 0..=0x7f => Some(short + 2),
        long @ 0x81..=0x83 => {
            let count = long - 0x80;
            let value = rest.get(..count)?.iter().fold(0, |value, &byte| value << 8 | usize::from(byte));
            Some(value + count + 2)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    /// RFC 3394 §4.6: 256 bits of key data with a 256-bit key.
    #[test]
    fn rfc_3394_example() {
        let key = KeyEncryptionKey::new(SecretBytes::take((0..32).collect())).unwrap();
        let data = hex("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f");
        let wrapped = key.wrap(&data).unwrap();
        assert_eq!(wrapped, hex("28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"));
        assert_eq!(key.unwrap(&wrapped).unwrap().expose(), data);
    }

    #[test]
    fn padding_of_tokens_is_cut_only_if_it_is_zero_and_short() {
        assert_eq!(strip_token_padding(&[0x30, 1, 9]).unwrap(), (&[0x30, 1, 9][..], 0));
        assert_eq!(strip_token_padding(&[0x30, 1, 9, 0, 0]).unwrap().1, 2);
        assert!(strip_token_padding(&[0x30, 1, 9, 0, 1]).is_err());
        assert!(strip_token_padding(&[0x30, 1, 9, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(strip_token_padding(&[0x30, 2, 9]).is_err());
        assert!(strip_token_padding(&[]).is_err());
        assert!(strip_token_padding(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
