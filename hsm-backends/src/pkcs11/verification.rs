//! What a token can do beside the contract of stores, for published vectors: RSASSA-PSS verification and AES-CBC with padding.
//!
//! Keys are session objects that protect nothing, and are destroyed before the call returns.

use cryptoki::error::RvError;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism as CryptokiMechanism, MechanismType};
use cryptoki::object::{Attribute, KeyType, ObjectClass};
use cryptoki::types::Ulong;
use cryptoki_sys::{CKM_AES_CBC_PAD, CKM_RSA_PKCS_PSS};
use keykit::key::{Digest, Hash, RsaPublicKey};
use keykit::secret::SecretBytes;
use keykit::{Error, Result};

use super::error::{CallError, CiphertextVerdict};
use super::key::{self, NewObjects};
use super::secret_wrap::create_with_value;
use super::store::Pkcs11Store;

const VERIFY: &str = "verify an RSASSA-PSS signature";
const CIPHER: &str = "encrypt with AES-CBC";

impl Pkcs11Store {
    /// Verifies RSASSA-PSS signatures (RFC 8017 §8.1.2) of one key with CKM_RSA_PKCS_PSS: one answer for each digest and
    /// signature. `salt_length` is in bytes.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the token does not name the mechanism or does not take the parameters; [`Error::Token`].
    pub fn verify_pss(&self, public: &RsaPublicKey, mgf1: Hash, salt_length: usize, signed: &[(Digest, &[u8])]) -> Result<Vec<bool>> {
        let Some((first, _)) = signed.first() else { return Ok(Vec::new()) };
        let missing = |why: &str| self.mechanism_missing(VERIFY, format!("CKM_RSA_PKCS_PSS with {}/MGF1-{mgf1}{why}", first.hash()));
        if self.module.functions.mechanism_info(self.slot, CKM_RSA_PKCS_PSS).map_err(|error| self.failed(error, VERIFY))?.is_none() {
            return Err(self.mechanism_missing(VERIFY, "CKM_RSA_PKCS_PSS"));
        }
        let s_len = Ulong::try_from(salt_length).map_err(|_| Error::Internal("a length out of range".into()))?;
        let parameters = PkcsPssParams { hash_alg: hash_mechanism(first.hash()), mgf: mask_function(mgf1), s_len };
        self.with_session(|session| {
            let mut new = NewObjects::new(session);
            let mut template = key::public_numbers(public);
            template.extend([Attribute::Token(false), Attribute::Private(false), Attribute::Verify(true)]);
            let handle = session.create_object(&template).map_err(|error| self.failed(CallError::from(error), VERIFY))?;
            let handle = new.add(handle);
            let verify = |(digest, signature): &(Digest, &[u8])| {
                let verified = session.verify(&CryptokiMechanism::RsaPkcsPss(parameters), handle, digest.as_bytes(), signature);
                match verified.map_err(CallError::from) {
                    Ok(()) => Ok(true),
                    Err(error) if error.is_about_signature() => Ok(false),
                    Err(error) if error.is_unsupported() => Err(missing("")),
                    Err(error) => Err(self.failed(error, VERIFY)),
                }
            };
            signed.iter().map(verify).collect()
        })
    }

    /// Encrypts with AES-CBC and PKCS#7 padding (CKM_AES_CBC_PAD) under a key of 16, 24 or 32 bytes.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the token does not name the mechanism; [`Error::Token`].
    pub fn encrypt_cbc(&self, key: &SecretBytes, initial_value: [u8; 16], plaintext: &[u8]) -> Result<Vec<u8>> {
        self.with_cbc_key(key, |session, handle| {
            session.encrypt(&CryptokiMechanism::AesCbcPad(initial_value), handle, plaintext).map_err(CallError::from)
        })
    }

    /// Decrypts what [`Self::encrypt_cbc`] made.
    ///
    /// # Errors
    /// [`Error::Crypto`], opaque, if the ciphertext is not sound; otherwise as [`Self::encrypt_cbc`].
    pub fn decrypt_cbc(&self, key: &SecretBytes, initial_value: [u8; 16], ciphertext: &[u8]) -> Result<SecretBytes> {
        let opened = self.with_cbc_key(key, |session, handle| {
            match session.decrypt(&CryptokiMechanism::AesCbcPad(initial_value), handle, ciphertext).map_err(CallError::from) {
                Ok(plaintext) => Ok(Some(SecretBytes::take(plaintext))),
                Err(error) if error.on_ciphertext() != CiphertextVerdict::NotAboutIt || error.blames_wrapped_key() => {
                    self.unless_gone(error).map(|_| None)
                }
                Err(error) => Err(error),
            }
        })?;
        opened.ok_or(Error::Crypto)
    }

    fn with_cbc_key<T>(
        &self,
        key: &SecretBytes,
        work: impl FnOnce(&cryptoki::session::Session, cryptoki::object::ObjectHandle) -> Result<T, CallError>,
    ) -> Result<T> {
        let missing = || self.mechanism_missing(CIPHER, "CKM_AES_CBC_PAD");
        if self.module.functions.mechanism_info(self.slot, CKM_AES_CBC_PAD).map_err(|error| self.failed(error, CIPHER))?.is_none() {
            return Err(missing());
        }
        self.with_session(|session| {
            let mut new = NewObjects::new(session);
            let mut template = vec![
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(KeyType::AES),
                Attribute::Token(false),
                Attribute::Private(self.private_objects()),
                Attribute::Encrypt(true),
                Attribute::Decrypt(true),
            ];
            let handle = create_with_value(session, &mut template, key).map_err(|error| self.failed(error, CIPHER))?;
            match work(session, new.add(handle)) {
                Ok(value) => Ok(value),
                Err(error) if matches!(error.code(), Some(RvError::MechanismInvalid)) => Err(missing()),
                Err(error) => Err(self.failed(error, CIPHER)),
            }
        })
    }
}

fn hash_mechanism(hash: Hash) -> MechanismType {
    match hash {
        Hash::Sha224 => MechanismType::SHA224,
        Hash::Sha256 => MechanismType::SHA256,
        Hash::Sha384 => MechanismType::SHA384,
        Hash::Sha512 => MechanismType::SHA512,
        _ => MechanismType::SHA1,
    }
}

fn mask_function(hash: Hash) -> PkcsMgfType {
    match hash {
        Hash::Sha224 => PkcsMgfType::MGF1_SHA224,
        Hash::Sha256 => PkcsMgfType::MGF1_SHA256,
        Hash::Sha384 => PkcsMgfType::MGF1_SHA384,
        Hash::Sha512 => PkcsMgfType::MGF1_SHA512,
        _ => PkcsMgfType::MGF1_SHA1,
    }
}
