//! PKCS#8 EncryptedPrivateKeyInfo (RFC 5958 §3) with PBES2, scrypt and AES-256-CBC, as PEM.

use aws_lc_rs::cipher::{AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use keykit::key::RsaSecretKey;
use keykit::secret::{Password, SecretBytes};
use keykit::{Error, Result};
use pkcs8::der::pem::LineEnding;
use pkcs8::der::{Document, SecretDocument};
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{EncryptionScheme as Cipher, Kdf, Parameters};
use pkcs8::pkcs5::scrypt::{self, Params};
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};

use super::ScryptCost;

const FORMAT: &str = "encrypted private key";
const PEM_LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// What a file may make us spend: memory of scrypt in bytes, its `p`, and iterations of PBKDF2.
const MAX_SCRYPT_MEMORY: u64 = 1 << 30;
const MAX_SCRYPT_P: u16 = 64;
const MAX_PBKDF2_ITERATIONS: u32 = 10_000_000;

/// Encrypts a key under a password, with fresh salt and IV.
pub(super) fn seal(key: &RsaSecretKey, password: &Password, cost: ScryptCost) -> Result<String> {
    let failed = |error: &dyn std::fmt::Display| Error::Internal(format!("encrypting a key: {error}"));
    let mut salt = [0; 16];
    let mut iv = [0; 16];
    getrandom::fill(&mut salt).and_then(|()| getrandom::fill(&mut iv)).map_err(|error| failed(&error))?;
    let params = Params::new(cost.log_n, cost.r.into(), cost.p.into()).map_err(|error| failed(&error))?;
    let params = Parameters::generate_scrypt_aes256cbc(params, &salt, iv).map_err(|error| failed(&error))?;
    let plaintext = key.to_pkcs8_der()?;
    let info = PrivateKeyInfoRef::try_from(plaintext.expose()).map_err(|error| failed(&error))?;
    let sealed = info.encrypt_with_params(params, password.expose()).map_err(|error| failed(&error))?;
    Ok(sealed.to_pem(PEM_LABEL, LineEnding::LF).map_err(|error| failed(&error))?.to_string())
}

/// Why a file does not open.
#[derive(Debug)]
pub(super) enum OpenError {
    /// It does not look as if the password were right.
    Password,
    /// The file is damaged, or not what keykit reads.
    File(Error),
}

/// Opens what [`seal`] made, or what OpenSSL made with scrypt or PBKDF2.
pub(super) fn open(pem: &[u8], password: &Password) -> Result<RsaSecretKey, OpenError> {
    let malformed = |problem: &dyn std::fmt::Display| OpenError::File(Error::malformed(FORMAT, problem.to_string()));
    let pem = std::str::from_utf8(pem).map_err(|_| malformed(&"it is not text"))?;
    let (label, document) = Document::from_pem(pem).map_err(|error| malformed(&error))?;
    if label != PEM_LABEL {
        return Err(malformed(&format!("PEM of a {label}, not of an {PEM_LABEL}")));
    }
    let info = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|error| malformed(&error))?;
    let EncryptionScheme::Pbes2(params) = &info.encryption_algorithm else {
        return Err(malformed(&"it is encrypted with something else than PBES2"));
    };
    check_cost(&params.kdf).map_err(OpenError::File)?;
    let ciphertext = info.encrypted_data.as_bytes();
    if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(16) {
        return Err(malformed(&"its length is not one of AES-CBC"));
    }
    // The padding of CBC tells a wrong password in 255 of 256 cases; the first block tells it in all, and tells damage apart.
    let opened: Result<SecretDocument, _> = info.decrypt(password.expose());
    match opened.ok().map(|document| RsaSecretKey::from_pkcs8_der(document.as_bytes())) {
        Some(Ok(key)) => Ok(key),
        Some(Err(error)) if begins_like_a_key(params, password, ciphertext) => Err(OpenError::File(error)),
        None if begins_like_a_key(params, password, ciphertext) => {
            Err(malformed(&"the password is right, but the encrypted part was changed or cut"))
        }
        _ => Err(OpenError::Password),
    }
}

/// Refuses files that would keep us busy for hours or take all memory, and parameters that are none (RFC 7914 §2).
fn check_cost(kdf: &Kdf) -> Result<()> {
    let modest = match kdf {
        Kdf::Scrypt(scrypt) => {
            let memory = scrypt.cost_parameter.checked_mul(128 * u64::from(scrypt.block_size));
            let is_cost = scrypt.cost_parameter.is_power_of_two() && scrypt.cost_parameter > 1;
            is_cost && memory.is_some_and(|memory| (1..=MAX_SCRYPT_MEMORY).contains(&memory)) && (1..=MAX_SCRYPT_P).contains(&scrypt.parallelization)
        }
        Kdf::Pbkdf2(pbkdf2) => pbkdf2.iteration_count <= MAX_PBKDF2_ITERATIONS,
        _ => false,
    };
    if modest { Ok(()) } else { Err(Error::malformed(FORMAT, "its key derivation is none, or costs more than keykit will spend")) }
}

/// Whether the first block decrypts to the start of a PKCS#8 structure (RFC 5958 §2): with a wrong password it does so once in
/// 2⁴⁸ times.
fn begins_like_a_key(params: &Parameters, password: &Password, ciphertext: &[u8]) -> bool {
    first_block(params, password, ciphertext).is_some_and(|first| matches!(first.expose(), [0x30, 0x82, _, _, 0x02, 0x01, 0x00, 0x30, ..]))
}

fn first_block(params: &Parameters, password: &Password, ciphertext: &[u8]) -> Option<SecretBytes> {
    let (Kdf::Scrypt(kdf), Cipher::Aes256Cbc { iv }) = (&params.kdf, &params.encryption) else { return None };
    let log_n = u8::try_from(kdf.cost_parameter.checked_ilog2()?).ok()?;
    let cost = Params::new(log_n, kdf.block_size.into(), kdf.parallelization.into()).ok()?;
    let key = SecretBytes::try_init(32, |key| scrypt::scrypt(password.expose().as_bytes(), kdf.salt.as_ref(), &cost, key)).ok()?;
    let key = DecryptingKey::cbc(UnboundCipherKey::new(&AES_256, key.expose()).ok()?).ok()?;
    SecretBytes::try_init(16, |block| {
        block.copy_from_slice(ciphertext.get(..16).ok_or(())?);
        key.decrypt(block, DecryptionContext::Iv128(FixedLength::from(iv))).map(drop).map_err(drop)
    })
    .ok()
}

#[cfg(test)]
mod tests {
    use pkcs8::der::Encode;
    use pkcs8::der::asn1::OctetStringRef;
    use pkcs8::pkcs5::pbes2::{Pbkdf2Params, ScryptParams};
    use proptest::prelude::*;

    use super::*;

    fn password() -> Password {
        Password::new("password".into())
    }

    fn pem(kdf: Kdf, content: &[u8]) -> String {
        let params = Parameters { kdf, encryption: Cipher::Aes256Cbc { iv: [0; 16] } };
        let info = EncryptedPrivateKeyInfoRef { encryption_algorithm: params.into(), encrypted_data: OctetStringRef::new(content).unwrap() };
        Document::try_from(info.to_der().unwrap()).unwrap().to_pem(PEM_LABEL, LineEnding::LF).unwrap()
    }

    fn scrypt_kdf(cost: u64, block_size: u16, parallelization: u16) -> Kdf {
        let cheap = Params::new(10, 8, 1).unwrap();
        let params = ScryptParams::from_params_and_salt(cheap, &[1; 16]).unwrap();
        Kdf::Scrypt(ScryptParams { cost_parameter: cost, block_size, parallelization, ..params })
    }

    fn problem(pem: &str) -> String {
        match open(pem.as_bytes(), &password()) {
            Err(OpenError::File(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn files_that_cost_hours_or_all_memory_are_refused_at_once() {
        let dear = [scrypt_kdf(1 << 40, 8, 1), scrypt_kdf(1 << 14, 1 << 15, 1), scrypt_kdf(1 << 10, 8, 65), scrypt_kdf(1 << 60, u16::MAX, 1)];
        let slow = Kdf::Pbkdf2(Pbkdf2Params::hmac_sha256(99_000_000, &[1; 16]).unwrap());
        for kdf in dear.into_iter().chain([slow]) {
            let text = problem(&pem(kdf, &[0; 32]));
            assert!(text.contains("more than keykit will spend"), "{text}");
        }
    }

    #[test]
    fn contents_that_cannot_be_one_are_damage_and_others_a_wrong_password() {
        for length in [0, 15, 17] {
            let text = problem(&pem(scrypt_kdf(1 << 10, 8, 1), &vec![0; length]));
            assert!(text.contains("length"), "{text}");
        }
        assert!(matches!(open(pem(scrypt_kdf(1 << 10, 8, 1), &[0; 32]).as_bytes(), &password()), Err(OpenError::Password)));
        for (cost, block_size, parallelization) in [(1000, 8, 1), (0, 8, 1), (1, 8, 1), (1024, 0, 1), (1024, 8, 0)] {
            let text = problem(&pem(scrypt_kdf(cost, block_size, parallelization), &[0; 32]));
            assert!(text.contains("derivation is none"), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_input_panics(bytes: Vec<u8>, content: Vec<u8>, position in 0..400_usize, byte: u8) {
            prop_assert!(open(&bytes, &password()).is_err());
            let mut der = pem(scrypt_kdf(1 << 4, 1, 1), &content).into_bytes();
            if let Some(place) = der.get_mut(position) {
                *place = byte;
            }
            prop_assert!(open(&der, &password()).is_err());
        }
    }
}
