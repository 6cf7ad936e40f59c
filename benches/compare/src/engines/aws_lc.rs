//! aws-lc-rs.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeyPair, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256};

use super::{Engine, Outputs, Scheme, SignatureHash, each};
use crate::works::Key;
use crate::{Result, during};

pub(crate) struct AwsLc {
    signing: KeyPair,
    verifying: ParsedPublicKey,
    random: SystemRandom,
    pkcs1: (Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey),
    oaep: (OaepPrivateDecryptingKey, OaepPublicEncryptingKey),
}

impl AwsLc {
    pub(crate) fn new(key: &Key) -> Result<Self> {
        let doing = "aws-lc reads the key";
        let signing = KeyPair::from_pkcs8(&key.pkcs8).map_err(during(doing))?;
        let verifying = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, signing.public_key()).map_err(during(doing))?;
        let private = PrivateDecryptingKey::from_pkcs8(&key.pkcs8).map_err(during(doing))?;
        let public = PublicEncryptingKey::from_der(key.secret.public().to_spki_der()).map_err(during(doing))?;
        let pkcs1 = (
            Pkcs1PrivateDecryptingKey::new(private.clone()).map_err(during(doing))?,
            Pkcs1PublicEncryptingKey::new(public.clone()).map_err(during(doing))?,
        );
        let oaep = (OaepPrivateDecryptingKey::new(private).map_err(during(doing))?, OaepPublicEncryptingKey::new(public).map_err(during(doing))?);
        Ok(Self { signing, verifying, random: SystemRandom::new(), pkcs1, oaep })
    }
}

impl Engine for AwsLc {
    fn name(&self) -> &'static str {
        "aws-lc-rs"
    }

    fn sign(&mut self, hash: SignatureHash, bodies: &[&[u8]]) -> Outputs {
        if hash != SignatureHash::Sha256 {
            return Err(self.lacks("sign SHA-1"));
        }
        each(bodies, |body| {
            let mut signature = vec![0; self.signing.public_modulus_len()];
            self.signing.sign(&RSA_PKCS1_SHA256, &self.random, body, &mut signature).map_err(during("aws-lc signs"))?;
            Ok(signature)
        })
    }

    fn decrypt(&mut self, scheme: Scheme, ciphertexts: &[&[u8]]) -> Outputs {
        each(ciphertexts, |ciphertext| {
            let mut plaintext = vec![0; self.signing.public_modulus_len()];
            let opened = match scheme {
                Scheme::Pkcs1v15 => self.pkcs1.0.decrypt(ciphertext, &mut plaintext),
                Scheme::OaepSha1 => self.oaep.0.decrypt(&OAEP_SHA1_MGF1SHA1, ciphertext, &mut plaintext, None),
            };
            let length = opened.map_err(during("aws-lc decrypts"))?.len();
            plaintext.truncate(length);
            Ok(plaintext)
        })
    }

    fn encrypt(&mut self, scheme: Scheme, messages: &[&[u8]]) -> Outputs {
        each(messages, |message| {
            let mut ciphertext = vec![0; self.signing.public_modulus_len()];
            match scheme {
                Scheme::Pkcs1v15 => self.pkcs1.1.encrypt(message, &mut ciphertext).map(|_| ()),
                Scheme::OaepSha1 => self.oaep.1.encrypt(&OAEP_SHA1_MGF1SHA1, message, &mut ciphertext, None).map(|_| ()),
            }
            .map_err(during("aws-lc encrypts"))?;
            Ok(ciphertext)
        })
    }

    fn verify(&mut self, bodies: &[&[u8]], signatures: &[&[u8]]) -> Result<()> {
        for (body, signature) in bodies.iter().zip(signatures) {
            self.verifying.verify_sig(body, signature).map_err(during("aws-lc verifies"))?;
        }
        Ok(())
    }
}
