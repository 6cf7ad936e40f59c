//! The ciphers of content (MS-RMPR §2.2.9.1.13.1, MS-OFFCRYPTO §2.2.10): AES in ECB mode, or in CBC mode in segments that each
//! begin anew.
//!
//! | cipher | segment | block before the first of segment `i` | end |
//! |---|---|---|---|
//! | ECB | | | filled up to 16 bytes |
//! | CBC4K | 4096 bytes | AES of `i` in 4 bytes, 12 zeros | PKCS#7 padding; content of 4096 bytes has a second segment, of padding alone |
//! | CBC4K without padding | 4096 bytes | the same | filled up to 16 bytes |
//! | CBC512 | 512 bytes | AES of `512 · i` in 8 bytes, 8 zeros | filled up to 16 bytes |
//!
//! Numbers are little-endian. There is no integrity check in any of them: only padding and sizes can show a wrong key or a change.

use std::io::Read;

use aes::{Aes128, Aes256};
use cbc::Encryptor;
use cbc::cipher::block_padding::{NoPadding, Pkcs7};
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::licence::ecb::{self, BLOCK};
use crate::licence::{ContentCipher, ContentKey};
use crate::secret::SecretBytes;

const FORMAT: &str = "protected content";
/// Bytes that are decrypted at once: a whole number of segments of every cipher.
const PIECE: usize = 64 << 10;

/// Content as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptedForm {
    /// How it is encrypted.
    pub cipher: ContentCipher,
    /// Bytes that there are.
    pub encrypted_size: u64,
    /// Bytes in the clear, if the file says.
    pub original_size: Option<u64>,
}

impl EncryptedForm {
    /// Bytes that must be decrypted.
    ///
    /// # Errors
    /// [`Error::Malformed`] if there are fewer, or nothing says how many.
    fn needed(&self) -> Result<u64> {
        let found = self.encrypted_size;
        if is_padded(self.cipher) {
            return if found > 0 && found.is_multiple_of(BLOCK as u64) {
                Ok(found)
            } else {
                Err(Error::malformed(FORMAT, format!("it is cut off: {found} bytes are no whole number of blocks")))
            };
        }
        let original = self
            .original_size
            .ok_or_else(|| Error::malformed(FORMAT, format!("neither the file nor {} says how long it is in the clear", self.cipher)))?;
        let needed = original.checked_next_multiple_of(BLOCK as u64).filter(|&needed| needed <= found);
        needed.ok_or_else(|| Error::malformed(FORMAT, format!("it is cut off: {found} bytes are there for {original} in the clear")))
    }
}

/// Decrypts content piece by piece; `put` takes what comes out. The result is the number of bytes in the clear.
///
/// # Errors
/// [`Error::Malformed`] if it is cut off or not as long as the file says; [`Error::Crypto`] if its padding is none, which a wrong
/// key gives, or changed bytes; what `put` says.
pub fn decrypt(key: &ContentKey, form: &EncryptedForm, input: &mut dyn Read, put: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<u64> {
    let (mut left, mut written, mut segment) = (form.needed()?, 0, 0);
    let mut buffer = Zeroizing::new(vec![0; PIECE]);
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let piece = buffer.get_mut(..length).unwrap_or_default();
        input.read_exact(piece).map_err(|error| Error::malformed(FORMAT, format!("it can't be read: {error}")))?;
        decrypt_segments(key.key(), form.cipher, segment, piece)?;
        left -= length as u64;
        segment += segment_bytes(form.cipher).map_or(0, |bytes| (length / bytes) as u64);
        let keep = match form.original_size {
            _ if is_padded(form.cipher) => {
                if left == 0 {
                    without_padding(piece)?
                } else {
                    length
                }
            }
            Some(original) => usize::try_from(original - written).map_or(length, |rest| rest.min(length)),
            None => length,
        };
        put(piece.get(..keep).unwrap_or_default())?;
        written += keep as u64;
    }
    match form.original_size {
        Some(original) if original != written => {
            Err(Error::malformed(FORMAT, format!("it has {written} bytes in the clear, and the file says {original}")))
        }
        _ => Ok(written),
    }
}

/// Encrypts content. For tests and demonstrations: keykit protects no documents.
///
/// # Errors
/// [`Error::Malformed`] if it is too long for its cipher.
pub fn encrypt(key: &ContentKey, cipher: ContentCipher, content: &[u8]) -> Result<Vec<u8>> {
    let filled = [content, &vec![0; ecb::round_up(content.len()) - content.len()]].concat();
    let Some(segment) = segment_bytes(cipher) else {
        let mut blocks = filled;
        ecb::encrypt(key.key(), &mut blocks)?;
        return Ok(blocks);
    };
    let text = if is_padded(cipher) { content } else { &filled };
    let mut encrypted = Vec::with_capacity(text.len() + BLOCK);
    let whole = text.len() - if is_padded(cipher) { text.len() % segment } else { 0 };
    let (segments, last) = text.split_at(whole);
    let mut number = 0;
    for segment in segments.chunks(segment) {
        encrypted.extend(encrypt_segment(key.key(), &start_values(key.key(), cipher, number, 1)?, segment, false)?);
        number += 1;
    }
    if is_padded(cipher) {
        encrypted.extend(encrypt_segment(key.key(), &start_values(key.key(), cipher, number, 1)?, last, true)?);
    }
    Ok(encrypted)
}

fn is_padded(cipher: ContentCipher) -> bool {
    cipher == ContentCipher::Cbc4k
}

/// Length of a segment; `None` for ECB, which has none.
fn segment_bytes(cipher: ContentCipher) -> Option<usize> {
    match cipher {
        ContentCipher::Ecb => None,
        ContentCipher::Cbc4k | ContentCipher::Cbc4kNoPadding => Some(4096),
        ContentCipher::Cbc512 => Some(512),
    }
}

/// What stands before the first block of each of `count` segments.
fn start_values(key: &SecretBytes, cipher: ContentCipher, first: u64, count: usize) -> Result<Vec<u8>> {
    let mut values = Vec::with_capacity(count * BLOCK);
    for number in (first..).take(count) {
        let number = match cipher {
            ContentCipher::Cbc512 => number.checked_mul(512),
            // Four bytes of the number, and the four after them are zero.
            _ => u32::try_from(number).ok().map(u64::from),
        };
        let number = number.ok_or_else(|| Error::malformed(FORMAT, "it is longer than its cipher allows"))?;
        values.extend(number.to_le_bytes());
        values.extend([0; BLOCK - size_of::<u64>()]);
    }
    ecb::encrypt(key, &mut values)?;
    Ok(values)
}

/// Decrypts whole segments (the last one may be shorter) in place. CBC is ECB, and then each block with the encrypted one before it.
fn decrypt_segments(key: &SecretBytes, cipher: ContentCipher, first: u64, data: &mut [u8]) -> Result<()> {
    let Some(segment) = segment_bytes(cipher) else { return ecb::decrypt(key, data) };
    let encrypted = data.to_vec();
    let starts = start_values(key, cipher, first, data.len().div_ceil(segment))?;
    ecb::decrypt(key, data)?;
    for ((plain, encrypted), start) in data.chunks_mut(segment).zip(encrypted.chunks(segment)).zip(starts.chunks(BLOCK)) {
        for (byte, before) in plain.iter_mut().zip(start.iter().chain(encrypted)) {
            *byte ^= before;
        }
    }
    Ok(())
}

/// Length of the last piece without its padding (PKCS#7, RFC 5652 §6.3).
fn without_padding(piece: &[u8]) -> Result<usize> {
    let count = piece.last().map_or(0, |&last| usize::from(last));
    let start = piece.len().checked_sub(count).filter(|_| (1..=BLOCK).contains(&count)).ok_or(Error::Crypto)?;
    let is_padding = piece.get(start..).unwrap_or_default().iter().all(|&byte| usize::from(byte) == count);
    if is_padding { Ok(start) } else { Err(Error::Crypto) }
}

/// One segment by another way than [`decrypt_segments`]: a round trip compares two implementations.
fn encrypt_segment(key: &SecretBytes, start: &[u8], text: &[u8], padded: bool) -> Result<Vec<u8>> {
    fn with<C: BlockModeEncrypt + KeyIvInit>(key: &SecretBytes, start: &[u8], text: &[u8], padded: bool) -> Result<Vec<u8>> {
        let cipher = C::new_from_slices(key.expose(), start).map_err(|_| Error::Internal("the size of an AES key".into()))?;
        let mut buffer = [text, &[0; BLOCK]].concat();
        let done = if padded {
            cipher.encrypt_padded::<Pkcs7>(&mut buffer, text.len())
        } else {
            cipher.encrypt_padded::<NoPadding>(&mut buffer, text.len())
        };
        let length = done.map(<[u8]>::len).map_err(|_| Error::Internal("a part of a block".into()))?;
        buffer.truncate(length);
        Ok(buffer)
    }
    match key.len() {
        16 => with::<Encryptor<Aes128>>(key, start, text, padded),
        _ => with::<Encryptor<Aes256>>(key, start, text, padded),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sizes around the ends of blocks, segments and pieces.
    const SIZES: [usize; 17] = [0, 1, 15, 16, 17, 511, 512, 513, 4095, 4096, 4097, 8192, PIECE - 16, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE];

    fn key(bytes: usize) -> ContentKey {
        ContentKey::new(ContentCipher::Ecb, SecretBytes::take((1..).take(bytes).collect())).unwrap()
    }

    fn content(size: usize) -> Vec<u8> {
        (0..=250).cycle().take(size).collect()
    }

    fn form(cipher: ContentCipher, encrypted: &[u8], original: usize) -> EncryptedForm {
        EncryptedForm { cipher, encrypted_size: encrypted.len() as u64, original_size: Some(original as u64) }
    }

    fn decrypted(key: &ContentKey, form: &EncryptedForm, mut encrypted: &[u8]) -> Result<Vec<u8>> {
        let mut plain = Vec::new();
        let written = decrypt(key, form, &mut encrypted, &mut |bytes| {
            plain.extend_from_slice(bytes);
            Ok(())
        })?;
        assert_eq!(written, plain.len() as u64);
        Ok(plain)
    }

    #[test]
    fn content_comes_back_at_every_boundary() {
        for (key, cipher) in [16, 32].into_iter().flat_map(|bytes| ContentCipher::ALL.map(|cipher| (key(bytes), cipher))) {
            for size in SIZES {
                let content = content(size);
                let encrypted = encrypt(&key, cipher, &content).unwrap();
                let expected = if is_padded(cipher) { size / 16 * 16 + 16 } else { size.next_multiple_of(16) };
                assert_eq!(encrypted.len(), expected, "{cipher} {size}");
                assert_eq!(decrypted(&key, &form(cipher, &encrypted, size), &encrypted).unwrap(), content, "{cipher} {size}");
            }
        }
    }

    #[test]
    fn the_published_answer_of_cbc4k() {
        // The test vector of Microsoft's own library for this cipher.
        let key_bytes = [0x7b, 0xdd, 0xca, 0x3c, 0x7f, 0xf9, 0xbd, 0xc8, 0xee, 0xa7, 0xa8, 0xeb, 0x63, 0xd0, 0x1f, 0x11];
        let encrypted = [0xea, 0x21, 0xb4, 0x8f, 0x53, 0x0b, 0xe2, 0x3b, 0x6d, 0x65, 0x4d, 0xb9, 0x30, 0x2d, 0xd1, 0xff];
        let key = ContentKey::new(ContentCipher::Cbc4k, SecretBytes::copy_of(&key_bytes)).unwrap();
        assert_eq!(encrypt(&key, ContentCipher::Cbc4k, b"Plain Text").unwrap(), encrypted);
        let form = EncryptedForm { cipher: ContentCipher::Cbc4k, encrypted_size: 16, original_size: None };
        assert_eq!(decrypted(&key, &form, &encrypted).unwrap(), b"Plain Text");
    }

    #[test]
    fn content_that_is_cut_off_or_of_another_size_is_refused() {
        let key = key(16);
        for cipher in ContentCipher::ALL {
            let encrypted = encrypt(&key, cipher, &content(5000)).unwrap();
            for cut in [1, 15, 16, 904, 4096, encrypted.len()] {
                let part = &encrypted[..encrypted.len() - cut];
                let error = decrypted(&key, &form(cipher, part, 5000), part).unwrap_err();
                assert!(matches!(error.code(), "malformed" | "crypto"), "{cipher} {cut}: {error}");
            }
            // The file says more than there is.
            let error = decrypted(&key, &form(cipher, &encrypted, 5000), &encrypted[..16]).unwrap_err();
            assert!(error.to_string().contains("can't be read"), "{error}");
            let other = decrypted(&key, &form(cipher, &encrypted, 4000), &encrypted);
            assert_eq!(other.is_err(), is_padded(cipher), "only padding tells the size");
            assert!(decrypted(&key, &form(cipher, &encrypted, usize::MAX), &encrypted).is_err());
            let unknown = EncryptedForm { original_size: None, ..form(cipher, &encrypted, 0) };
            assert_eq!(decrypted(&key, &unknown, &encrypted).is_ok(), is_padded(cipher));
        }
    }

    #[test]
    fn padding_that_is_none_is_one_opaque_failure() {
        let key = key(16);
        for last in [[0; 16], [17; 16], [15; 16], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3]] {
            let encrypted = encrypt(&key, ContentCipher::Cbc4kNoPadding, &last).unwrap();
            let form = EncryptedForm { cipher: ContentCipher::Cbc4k, encrypted_size: 16, original_size: None };
            assert_eq!(decrypted(&key, &form, &encrypted).is_ok(), last == [15; 16], "{last:?}");
        }
    }

    #[test]
    fn a_segment_number_beyond_its_field_is_refused() {
        let key = key(16);
        assert!(start_values(key.key(), ContentCipher::Cbc4k, u64::from(u32::MAX), 2).unwrap_err().to_string().contains("longer than"));
        assert!(start_values(key.key(), ContentCipher::Cbc512, u64::MAX / 512, 2).is_err());
    }

    proptest! {
        #[test]
        fn content_comes_back(content in prop::collection::vec(any::<u8>(), 0..10_000), cipher in prop::sample::select(ContentCipher::ALL.to_vec()), long: bool) {
            let key = key(if long { 32 } else { 16 });
            let encrypted = encrypt(&key, cipher, &content).unwrap();
            prop_assert_eq!(decrypted(&key, &form(cipher, &encrypted, content.len()), &encrypted).unwrap(), content);
        }

        #[test]
        fn no_input_panics(encrypted in prop::collection::vec(any::<u8>(), 0..600), said in 0..u64::MAX, original in prop::option::of(any::<u64>()), cipher in prop::sample::select(ContentCipher::ALL.to_vec())) {
            for encrypted_size in [said, encrypted.len() as u64] {
                let form = EncryptedForm { cipher, encrypted_size, original_size: original.map(|size| size % 700) };
                if let Ok(plain) = decrypted(&key(16), &form, &encrypted) {
                    prop_assert!(plain.len() <= encrypted.len());
                }
                drop(decrypted(&key(16), &EncryptedForm { original_size: original, ..form }, &encrypted));
            }
        }

        #[test]
        fn a_wrong_key_does_not_give_the_content(content in prop::collection::vec(any::<u8>(), 16..2000), cipher in prop::sample::select(ContentCipher::ALL.to_vec())) {
            let encrypted = encrypt(&key(16), cipher, &content).unwrap();
            if let Ok(plain) = decrypted(&key(32), &form(cipher, &encrypted, content.len()), &encrypted) {
                prop_assert_ne!(plain, content);
            }
        }
    }
}
