//! The engine for everything that aws-lc-rs does not take: the raw operation of `rsa`, blinded and checked, with the paddings of
//! [`super::padding`].

use getrandom::SysRng;
use keykit::key::{Digest, EncryptionScheme, RsaSecretKey};
use keykit::secret::SecretBytes;
use keykit::{Error, Result};
use rsa::BoxedUint;
use rsa::hazmat::rsa_decrypt_and_check;
use rsa::traits::PublicKeyParts;
use zeroize::{Zeroize, Zeroizing};

use super::padding;

/// A key of the `rsa` crate, which wipes it when dropped.
pub(super) struct Portable {
    key: rsa::RsaPrivateKey,
    modulus_bytes: usize,
}

impl Portable {
    pub(super) fn new(key: &RsaSecretKey) -> Result<Self> {
        Ok(Self { key: key.to_rsa()?, modulus_bytes: key.public().modulus_bytes() })
    }

    pub(super) fn sign(&self, digest: &Digest) -> Result<Vec<u8>> {
        let encoded = padding::encode_signature(digest, self.modulus_bytes).ok_or(Error::Crypto)?;
        self.raw(&encoded).map(|signature| signature.to_vec()).ok_or(Error::Crypto)
    }

    pub(super) fn decrypt(&self, scheme: &EncryptionScheme, ciphertext: &[u8]) -> Option<SecretBytes> {
        let encoded = self.raw(ciphertext)?;
        match scheme {
            EncryptionScheme::Pkcs1v15 => padding::decode_pkcs1_v15(&encoded),
            EncryptionScheme::Oaep { hash, mgf1, label } => padding::decode_oaep(encoded, *hash, *mgf1, label),
            _ => None,
        }
    }

    /// RSADP and RSASP1 (RFC 8017 §5.1.2, §5.2.1) of exactly as many bytes as the modulus has; `None` if the number is not below
    /// the modulus, or if the result does not lead back to it with the public exponent.
    fn raw(&self, input: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if input.len() != self.modulus_bytes {
            return None;
        }
        // The precision must be the modulus's, which is a whole number of machine words.
        let number = BoxedUint::from_be_slice(input, self.key.n().as_ref().bits_precision()).ok()?;
        let mut result = rsa_decrypt_and_check(&self.key, Some(&mut SysRng), &number).ok()?;
        let bytes = Zeroizing::new(result.to_be_bytes().into_vec());
        result.zeroize();
        bytes.get(bytes.len().checked_sub(self.modulus_bytes)?..).map(|tail| Zeroizing::new(tail.to_vec()))
    }
}
