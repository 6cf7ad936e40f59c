//! AES in ECB mode, in place, without padding (FIPS 197; SP 800-38A §6.1).
//!
//! ECB is what the formats prescribe. Nothing else in keykit is built on it; [`crate::content`] makes their chained modes from it.

use aes::cipher::array::Array;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};

use crate::error::{Error, Result};
use crate::secret::SecretBytes;

/// Size of a block in bytes.
pub(crate) const BLOCK: usize = 16;

/// Encrypts whole blocks in place.
pub(crate) fn encrypt(key: &SecretBytes, data: &mut [u8]) -> Result<()> {
    match key.len() {
        16 => encrypt_blocks(&cipher::<Aes128>(key)?, data),
        32 => encrypt_blocks(&cipher::<Aes256>(key)?, data),
        length => Err(wrong_size(length)),
    }
}

/// Decrypts whole blocks in place.
pub(crate) fn decrypt(key: &SecretBytes, data: &mut [u8]) -> Result<()> {
    match key.len() {
        16 => decrypt_blocks(&cipher::<Aes128>(key)?, data),
        32 => decrypt_blocks(&cipher::<Aes256>(key)?, data),
        length => Err(wrong_size(length)),
    }
}

/// Number of bytes up to the next block's end.
pub(crate) fn round_up(length: usize) -> usize {
    length.next_multiple_of(BLOCK)
}

/// The key schedule is wiped when the cipher is dropped (feature `zeroize` of `aes`).
fn cipher<C: KeyInit>(key: &SecretBytes) -> Result<C> {
    C::new_from_slice(key.expose()).map_err(|_| wrong_size(key.len()))
}

fn encrypt_blocks<C>(cipher: &C, data: &mut [u8]) -> Result<()>
where
    C: BlockCipherEncrypt<BlockSize = aes::cipher::consts::U16>,
{
    let (blocks, rest) = Array::slice_as_chunks_mut(data);
    cipher.encrypt_blocks(blocks);
    whole(rest)
}

fn decrypt_blocks<C>(cipher: &C, data: &mut [u8]) -> Result<()>
where
    C: BlockCipherDecrypt<BlockSize = aes::cipher::consts::U16>,
{
    let (blocks, rest) = Array::slice_as_chunks_mut(data);
    cipher.decrypt_blocks(blocks);
    whole(rest)
}

fn whole(rest: &[u8]) -> Result<()> {
    if rest.is_empty() { Ok(()) } else { Err(Error::Internal("AES-ECB of a part of a block".into())) }
}

fn wrong_size(length: usize) -> Error {
    Error::Internal(format!("an AES key of {length} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAINTEXT: [u8; 16] = [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];

    fn known_answer(key_bytes: u8, ciphertext: [u8; 16]) {
        let key = SecretBytes::take((0..key_bytes).collect());
        let mut data = [PLAINTEXT, PLAINTEXT].concat();
        encrypt(&key, &mut data).unwrap();
        assert_eq!(data, [ciphertext, ciphertext].concat());
        decrypt(&key, &mut data).unwrap();
        assert_eq!(data, [PLAINTEXT, PLAINTEXT].concat());
    }

    #[test]
    fn aes_128_of_fips_197_appendix_c_1() {
        known_answer(16, [0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30, 0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a]);
    }

    #[test]
    fn aes_256_of_fips_197_appendix_c_3() {
        known_answer(32, [0x8e, 0xa2, 0xb7, 0xca, 0x51, 0x67, 0x45, 0xbf, 0xea, 0xfc, 0x49, 0x90, 0x4b, 0x49, 0x60, 0x89]);
    }

    #[test]
    fn other_sizes_are_bugs() {
        assert_eq!(encrypt(&SecretBytes::copy_of(&[0; 24]), &mut [0; 16]).unwrap_err().code(), "internal");
        assert_eq!(encrypt(&SecretBytes::copy_of(&[0; 16]), &mut [0; 15]).unwrap_err().code(), "internal");
        assert_eq!(decrypt(&SecretBytes::copy_of(&[0; 16]), &mut [0; 17]).unwrap_err().code(), "internal");
    }
}
