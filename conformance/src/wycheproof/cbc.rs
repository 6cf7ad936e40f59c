//! AES-CBC with PKCS#5 padding: by the cipher that this program has for its file formats, and by tokens (CKM_AES_CBC_PAD).

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt as _, BlockModeEncrypt as _, KeyInit, KeyIvInit as _};
use cbc::{Decryptor, Encryptor};
use keykit::Error;
use keykit::secret::SecretBytes;
use keykit_hsm_backends::pkcs11::Pkcs11Store;

use super::key_wrap::wrapping_case;
use super::sets::for_each_group;
use crate::report::{Outcome, Report};
use crate::vectors;

const BLOCK_BYTES: usize = 16;

/// AES-CBC with PKCS#5 padding (216 cases), by the cipher of this program.
#[must_use]
pub fn cbc() -> Report {
    let mut report = Report::new("AES-CBC-PKCS5");
    cases(&mut report, own_encrypt, own_decrypt);
    report
}

/// The same through a token.
#[must_use]
pub fn token_cbc(store: &Pkcs11Store) -> Report {
    let mut report = Report::new("AES-CBC-PKCS5 through CKM_AES_CBC_PAD");
    cases(&mut report, |key, start, message| store.encrypt_cbc(key, start, message), |key, start, sealed| store.decrypt_cbc(key, start, sealed));
    report
}

fn cases(
    report: &mut Report,
    encrypt: impl Fn(&SecretBytes, [u8; BLOCK_BYTES], &[u8]) -> keykit::Result<Vec<u8>>,
    decrypt: impl Fn(&SecretBytes, [u8; BLOCK_BYTES], &[u8]) -> keykit::Result<SecretBytes>,
) {
    for_each_group(report, vectors::CBC, |report, group| {
        for case in &group.tests {
            let outcome = match <[u8; BLOCK_BYTES]>::try_from(case.iv.0.as_slice()) {
                Err(_) => Outcome::Failed("a start value of another length".into()),
                Ok(start) => {
                    let (key, message) = (SecretBytes::copy_of(&case.key.0), SecretBytes::copy_of(&case.msg.0));
                    let encrypt = |key: &SecretBytes, message: &SecretBytes| encrypt(key, start, message.expose());
                    let decrypt = |key: &SecretBytes, sealed: &[u8]| decrypt(key, start, sealed);
                    wrapping_case(case.result, &key, &message, &case.ct.0, encrypt, decrypt, &[]).unwrap_or_else(|outcome| outcome)
                }
            };
            report.record(group.case(case), outcome);
        }
    });
}

fn own_encrypt(key: &SecretBytes, start: [u8; BLOCK_BYTES], message: &[u8]) -> keykit::Result<Vec<u8>> {
    match key.len() {
        16 => encrypt_with::<Aes128>(key, start, message),
        24 => encrypt_with::<Aes192>(key, start, message),
        _ => encrypt_with::<Aes256>(key, start, message),
    }
}

fn own_decrypt(key: &SecretBytes, start: [u8; BLOCK_BYTES], sealed: &[u8]) -> keykit::Result<SecretBytes> {
    match key.len() {
        16 => decrypt_with::<Aes128>(key, start, sealed),
        24 => decrypt_with::<Aes192>(key, start, sealed),
        _ => decrypt_with::<Aes256>(key, start, sealed),
    }
}

fn encrypt_with<C: BlockCipherEncrypt + KeyInit>(key: &SecretBytes, start: [u8; BLOCK_BYTES], message: &[u8]) -> keykit::Result<Vec<u8>> {
    let mut buffer = message.to_vec();
    buffer.resize((message.len() / BLOCK_BYTES + 1) * BLOCK_BYTES, 0);
    let cipher = Encryptor::<C>::new_from_slices(key.expose(), &start).map_err(|_| Error::Crypto)?;
    cipher.encrypt_padded::<Pkcs7>(&mut buffer, message.len()).map_err(|_| Error::Crypto)?;
    Ok(buffer)
}

fn decrypt_with<C: BlockCipherDecrypt + KeyInit>(key: &SecretBytes, start: [u8; BLOCK_BYTES], sealed: &[u8]) -> keykit::Result<SecretBytes> {
    let mut buffer = sealed.to_vec();
    let cipher = Decryptor::<C>::new_from_slices(key.expose(), &start).map_err(|_| Error::Crypto)?;
    cipher.decrypt_padded::<Pkcs7>(&mut buffer).map(SecretBytes::copy_of).map_err(|_| Error::Crypto)
}
