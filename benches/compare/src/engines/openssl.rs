//! OpenSSL as Debian builds it, through EVP_PKEY contexts that are made once: the fastest way to use it.

use openssl::md::Md;
use openssl::pkey::{PKey, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use openssl::sha::{sha1, sha256};

use super::{Engine, Outputs, Scheme, SignatureHash, each};
use crate::{Result, during};

/// Contexts are prepared at the first need: each is for one operation with one padding.
pub(crate) struct OpenSsl {
    key: PKey<Private>,
    sign: Option<(SignatureHash, PkeyCtx<Private>)>,
    decrypt: Option<(Scheme, PkeyCtx<Private>)>,
    encrypt: Option<(Scheme, PkeyCtx<Private>)>,
    verify: Option<PkeyCtx<Private>>,
}

impl OpenSsl {
    pub(crate) fn new(pkcs8: &[u8]) -> Result<Self> {
        let key = PKey::private_key_from_pkcs8(pkcs8).map_err(during("OpenSSL reads the key"))?;
        Ok(Self { key, sign: None, decrypt: None, encrypt: None, verify: None })
    }

    fn context(&self) -> Result<PkeyCtx<Private>> {
        PkeyCtx::new(&self.key).map_err(during("an OpenSSL context"))
    }
}

fn prepare(context: &mut PkeyCtx<Private>, scheme: Scheme) -> Result<()> {
    let doing = "OpenSSL sets the padding";
    match scheme {
        Scheme::Pkcs1v15 => context.set_rsa_padding(Padding::PKCS1).map_err(during(doing)),
        Scheme::OaepSha1 => {
            context.set_rsa_padding(Padding::PKCS1_OAEP).map_err(during(doing))?;
            context.set_rsa_oaep_md(Md::sha1()).and_then(|()| context.set_rsa_mgf1_md(Md::sha1())).map_err(during(doing))
        }
    }
}

impl Engine for OpenSsl {
    fn name(&self) -> &'static str {
        "OpenSSL"
    }

    fn sign(&mut self, hash: SignatureHash, bodies: &[&[u8]]) -> Outputs {
        let length = self.key.size();
        if self.sign.as_ref().is_none_or(|(prepared, _)| *prepared != hash) {
            let mut context = self.context()?;
            context.sign_init().map_err(during("OpenSSL sign_init"))?;
            prepare(&mut context, Scheme::Pkcs1v15)?;
            let name = if hash == SignatureHash::Sha1 { Md::sha1() } else { Md::sha256() };
            context.set_signature_md(name).map_err(during("OpenSSL sets the hash"))?;
            self.sign = Some((hash, context));
        }
        let (_, context) = self.sign.as_mut().ok_or("no context")?;
        each(bodies, |body| {
            let mut signature = vec![0; length];
            let done = match hash {
                SignatureHash::Sha1 => context.sign(&sha1(body), Some(&mut signature)),
                SignatureHash::Sha256 => context.sign(&sha256(body), Some(&mut signature)),
            };
            done.map_err(during("OpenSSL signs"))?;
            Ok(signature)
        })
    }

    fn decrypt(&mut self, scheme: Scheme, ciphertexts: &[&[u8]]) -> Outputs {
        let length = self.key.size();
        if self.decrypt.as_ref().is_none_or(|(prepared, _)| *prepared != scheme) {
            let mut context = self.context()?;
            context.decrypt_init().map_err(during("OpenSSL decrypt_init"))?;
            prepare(&mut context, scheme)?;
            self.decrypt = Some((scheme, context));
        }
        let (_, context) = self.decrypt.as_mut().ok_or("no context")?;
        each(ciphertexts, |ciphertext| {
            let mut plaintext = vec![0; length];
            let written = context.decrypt(ciphertext, Some(&mut plaintext)).map_err(during("OpenSSL decrypts"))?;
            plaintext.truncate(written);
            Ok(plaintext)
        })
    }

    fn encrypt(&mut self, scheme: Scheme, messages: &[&[u8]]) -> Outputs {
        let length = self.key.size();
        if self.encrypt.as_ref().is_none_or(|(prepared, _)| *prepared != scheme) {
            let mut context = self.context()?;
            context.encrypt_init().map_err(during("OpenSSL encrypt_init"))?;
            prepare(&mut context, scheme)?;
            self.encrypt = Some((scheme, context));
        }
        let (_, context) = self.encrypt.as_mut().ok_or("no context")?;
        each(messages, |message| {
            let mut ciphertext = vec![0; length];
            context.encrypt(message, Some(&mut ciphertext)).map_err(during("OpenSSL encrypts"))?;
            Ok(ciphertext)
        })
    }

    fn verify(&mut self, bodies: &[&[u8]], signatures: &[&[u8]]) -> Result<()> {
        if self.verify.is_none() {
            let mut context = self.context()?;
            context.verify_init().map_err(during("OpenSSL verify_init"))?;
            prepare(&mut context, Scheme::Pkcs1v15)?;
            context.set_signature_md(Md::sha256()).map_err(during("OpenSSL sets the hash"))?;
            self.verify = Some(context);
        }
        let context = self.verify.as_mut().ok_or("no context")?;
        for (body, signature) in bodies.iter().zip(signatures) {
            if !context.verify(&sha256(body), signature).map_err(during("OpenSSL verifies"))? {
                return Err("OpenSSL refuses a signature".into());
            }
        }
        Ok(())
    }
}
