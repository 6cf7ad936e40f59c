//! The engine for keys of 2048 bits and more: aws-lc-rs, with the key parsed once.

use aws_lc_rs::digest::{self, Digest as AwsDigest};
use aws_lc_rs::rsa::{
    KeyPair, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512, OaepAlgorithm, OaepPrivateDecryptingKey,
    Pkcs1PrivateDecryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaEncoding};
use keykit::key::{Digest, EncryptionScheme, Hash, RsaSecretKey};
use keykit::secret::SecretBytes;
use keykit::{Error, Result};
use zeroize::Zeroizing;

/// Smallest modulus that aws-lc-rs takes private keys of, in bits.
pub(super) const MIN_MODULUS_BITS: usize = 2048;

pub(super) struct AwsLc {
    signing: KeyPair,
    oaep: OaepPrivateDecryptingKey,
    pkcs1: Pkcs1PrivateDecryptingKey,
    modulus_bytes: usize,
}

impl AwsLc {
    pub(super) fn new(key: &RsaSecretKey) -> Result<Self> {
        let refused = || Error::malformed("RSA private key", "aws-lc refuses its numbers");
        let decrypting = PrivateDecryptingKey::from_pkcs8(key.to_pkcs8_der()?.expose()).map_err(|_| refused())?;
        Ok(Self {
            signing: KeyPair::from_der(key.to_pkcs1_der().expose()).map_err(|_| refused())?,
            oaep: OaepPrivateDecryptingKey::new(decrypting.clone()).map_err(|_| refused())?,
            pkcs1: Pkcs1PrivateDecryptingKey::new(decrypting).map_err(|_| refused())?,
            modulus_bytes: key.public().modulus_bytes(),
        })
    }

    pub(super) fn can_sign(hash: Hash) -> bool {
        encoding(hash).is_some()
    }

    pub(super) fn can_decrypt(scheme: &EncryptionScheme) -> bool {
        match scheme {
            EncryptionScheme::Pkcs1v15 => true,
            EncryptionScheme::Oaep { hash, mgf1, .. } => hash == mgf1 && oaep(*hash).is_some(),
            _ => false,
        }
    }

    pub(super) fn sign(&self, value: &Digest) -> Result<Vec<u8>> {
        let (encoding, algorithm) = encoding(value.hash()).ok_or(Error::Crypto)?;
        let value = AwsDigest::import_less_safe(value.as_bytes(), algorithm).map_err(|_| Error::Crypto)?;
        let mut signature = vec![0; self.modulus_bytes];
        self.signing.sign_digest(encoding, &value, &mut signature).map_err(|_| Error::Crypto)?;
        Ok(signature)
    }

    pub(super) fn decrypt(&self, scheme: &EncryptionScheme, ciphertext: &[u8]) -> Option<SecretBytes> {
        if ciphertext.len() != self.modulus_bytes {
            return None;
        }
        let mut output = Zeroizing::new(vec![0; self.modulus_bytes]);
        let plaintext = match scheme {
            EncryptionScheme::Pkcs1v15 => self.pkcs1.decrypt(ciphertext, &mut output),
            EncryptionScheme::Oaep { hash, label, .. } => self.oaep.decrypt(oaep(*hash)?, ciphertext, &mut output, Some(label)),
            _ => return None,
        };
        plaintext.ok().map(|plaintext| SecretBytes::copy_of(plaintext))
    }
}

fn encoding(hash: Hash) -> Option<(&'static dyn RsaEncoding, &'static digest::Algorithm)> {
    match hash {
        Hash::Sha256 => Some((&RSA_PKCS1_SHA256, &digest::SHA256)),
        Hash::Sha384 => Some((&RSA_PKCS1_SHA384, &digest::SHA384)),
        Hash::Sha512 => Some((&RSA_PKCS1_SHA512, &digest::SHA512)),
        _ => None,
    }
}

fn oaep(hash: Hash) -> Option<&'static OaepAlgorithm> {
    match hash {
        Hash::Sha1 => Some(&OAEP_SHA1_MGF1SHA1),
        Hash::Sha256 => Some(&OAEP_SHA256_MGF1SHA256),
        Hash::Sha384 => Some(&OAEP_SHA384_MGF1SHA384),
        Hash::Sha512 => Some(&OAEP_SHA512_MGF1SHA512),
        _ => None,
    }
}
