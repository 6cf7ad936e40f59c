//! ring, graviola and RustCrypto's `rsa`.

use getrandom::SysRng;
use graviola::signing::rsa::SigningKey as GraviolaKey;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RingKey;
use ring::signature::RSA_PKCS1_SHA256;
use rsa::pkcs8::DecodePrivateKey;
use rsa::rand_core::UnwrapErr;
use rsa::{Oaep, Pkcs1v15Encrypt, Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{Engine, Outputs, Scheme, SignatureHash, each};
use crate::{Result, during};

/// ring: signs only.
pub(crate) struct Ring {
    key: RingKey,
    random: SystemRandom,
}

impl Ring {
    pub(crate) fn new(pkcs8: &[u8]) -> Result<Self> {
        Ok(Self { key: RingKey::from_pkcs8(pkcs8).map_err(during("ring reads the key"))?, random: SystemRandom::new() })
    }
}

impl Engine for Ring {
    fn name(&self) -> &'static str {
        "ring"
    }

    fn sign(&mut self, hash: SignatureHash, bodies: &[&[u8]]) -> Outputs {
        if hash != SignatureHash::Sha256 {
            return Err(self.lacks("sign SHA-1"));
        }
        each(bodies, |body| {
            let mut signature = vec![0; self.key.public().modulus_len()];
            self.key.sign(&RSA_PKCS1_SHA256, &self.random, body, &mut signature).map_err(during("ring signs"))?;
            Ok(signature)
        })
    }
}

/// graviola: signs only.
pub(crate) struct Graviola(GraviolaKey);

impl Graviola {
    pub(crate) fn new(pkcs8: &[u8]) -> Result<Self> {
        GraviolaKey::from_pkcs8_der(pkcs8).map(Self).map_err(|error| format!("graviola reads the key: {error:?}"))
    }
}

impl Engine for Graviola {
    fn name(&self) -> &'static str {
        "graviola"
    }

    fn sign(&mut self, hash: SignatureHash, bodies: &[&[u8]]) -> Outputs {
        if hash != SignatureHash::Sha256 {
            return Err(self.lacks("sign SHA-1"));
        }
        each(bodies, |body| {
            let mut signature = vec![0; self.0.modulus_len_bytes()];
            self.0.sign_pkcs1_sha256(&mut signature, body).map_err(|error| format!("graviola signs: {error:?}"))?;
            Ok(signature)
        })
    }
}

/// RustCrypto's `rsa`, blinded as the others are.
pub(crate) struct RustCrypto {
    key: RsaPrivateKey,
    public: RsaPublicKey,
}

impl RustCrypto {
    pub(crate) fn new(pkcs8: &[u8]) -> Result<Self> {
        let key = RsaPrivateKey::from_pkcs8_der(pkcs8).map_err(during("rsa reads the key"))?;
        Ok(Self { public: RsaPublicKey::from(&key), key })
    }
}

impl Engine for RustCrypto {
    fn name(&self) -> &'static str {
        "rsa"
    }

    fn sign(&mut self, hash: SignatureHash, bodies: &[&[u8]]) -> Outputs {
        let random = &mut UnwrapErr(SysRng);
        each(bodies, |body| {
            match hash {
                SignatureHash::Sha1 => self.key.sign_with_rng(random, Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(body)),
                SignatureHash::Sha256 => self.key.sign_with_rng(random, Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(body)),
            }
            .map_err(during("rsa signs"))
        })
    }

    fn decrypt(&mut self, scheme: Scheme, ciphertexts: &[&[u8]]) -> Outputs {
        let random = &mut UnwrapErr(SysRng);
        each(ciphertexts, |ciphertext| {
            match scheme {
                Scheme::Pkcs1v15 => self.key.decrypt_blinded(random, Pkcs1v15Encrypt, ciphertext),
                Scheme::OaepSha1 => self.key.decrypt_blinded(random, Oaep::<Sha1>::new(), ciphertext),
            }
            .map_err(during("rsa decrypts"))
        })
    }

    fn encrypt(&mut self, scheme: Scheme, messages: &[&[u8]]) -> Outputs {
        let random = &mut UnwrapErr(SysRng);
        each(messages, |message| {
            match scheme {
                Scheme::Pkcs1v15 => self.public.encrypt(random, Pkcs1v15Encrypt, message),
                Scheme::OaepSha1 => self.public.encrypt(random, Oaep::<Sha1>::new(), message),
            }
            .map_err(during("rsa encrypts"))
        })
    }
}
