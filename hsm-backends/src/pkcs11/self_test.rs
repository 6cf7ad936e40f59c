//! Self-tests of key wrap: what a token offers as RFC 5649 is trusted only once it has shown that it is.
//!
//! A token and software share a throwaway AES key `K`. Software wraps a secret of nine bytes, a length that needs padding:
//! - *unwrap* is right if the token unwraps it into a secret that reads back as the same nine bytes, and refuses it with one
//!   bit changed. This proves the integrity check and the length field of RFC 5649 §4.2.
//! - *wrap* is right if software unwraps what the token makes of that secret into the same nine bytes. If it gets them with
//!   seven zero bytes behind, the token pads before it wraps (SoftHSM 2.6).
//!
//! The two directions are judged apart, since tokens get one right and the other wrong. What is *not* proven: how the token
//! encodes a private key as PKCS#8 before it wraps it; the target's check of the modulus and of a signature proves that.
//!
//! The label of OAEP is tested too, before one is used: a token may take it and ignore it.

use cryptoki::mechanism::Mechanism as CryptokiMechanism;
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::types::Ulong;
use cryptoki_sys::{CK_MECHANISM_TYPE, CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD, CKM_RSA_AES_KEY_WRAP};
use keykit::key::{EncryptionScheme, Hash, RsaPublicKey};
use keykit::secret::SecretBytes;
use keykit::transfer::KeyEncryptionKey;
use keykit::{Error, Result};
use serde::Serialize;

use super::error::{CallError, CiphertextVerdict};
use super::key::{NewObjects, read_public};
use super::mechanism::{mechanism_name, number};
use super::secret_wrap::{SecretWrapping, create_with_value, read_value};
use super::store::Pkcs11Store;
use super::sys::{Mechanism, Oaep};

/// The numbers under which tokens offer RFC 5649, the right one first.
const CANDIDATES: [CK_MECHANISM_TYPE; 2] = [CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD];
/// Needs seven bytes of padding.
const TEST_SECRET_BYTES: usize = 9;
/// Size of the throwaway RSA key of a self-test.
pub(super) const TEST_KEY_BITS: usize = 2048;

/// How one direction of AES key wrap with padding (RFC 5649) came out of its self-test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KwpVerdict {
    /// As RFC 5649 has it.
    Correct,
    /// Up to seven zero bytes are added to the plaintext, so that its length is wrong.
    ZeroPads,
    /// Something else than RFC 5649, or no check of integrity.
    Wrong,
    /// The token refuses.
    Absent,
}

/// What a token's mechanism for AES key wrap with padding can do, as measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KwpAbility {
    /// The mechanism's number.
    pub mechanism: u64,
    /// The mechanism's name.
    pub name: String,
    /// C_WrapKey.
    pub wrap: KwpVerdict,
    /// C_UnwrapKey.
    pub unwrap: KwpVerdict,
}

impl Pkcs11Store {
    /// What the token's mechanisms for AES key wrap with padding can do. Measured once, with session objects only.
    ///
    /// # Errors
    /// [`Error::Token`] if the test cannot be run.
    pub fn key_wrap_abilities(&self) -> Result<&[KwpAbility]> {
        if let Some(known) = self.kwp.get() {
            return Ok(known);
        }
        let measured = self.with_session(|session| {
            let test = || -> Result<Vec<KwpAbility>, TestError> {
                let offered = self.offered_kwp_mechanisms()?;
                if offered.is_empty() {
                    return Ok(Vec::new());
                }
                let mut new = NewObjects::new(session);
                let key = KeyEncryptionKey::random()?;
                let handle = self.share_key(session, &mut new, key.expose())?;
                offered.into_iter().map(|mechanism| self.test_kwp(session, &key, handle, mechanism)).collect()
            };
            test().map_err(|error| self.test_failed(error))
        })?;
        Ok(self.kwp.get_or_init(|| measured))
    }

    /// Which candidates the token names, in order of preference.
    pub(super) fn offered_kwp_mechanisms(&self) -> Result<Vec<CK_MECHANISM_TYPE>, CallError> {
        let mut offered = Vec::new();
        for mechanism in CANDIDATES {
            if self.module.functions.mechanism_info(self.slot, mechanism)?.is_some() {
                offered.push(mechanism);
            }
        }
        Ok(offered)
    }

    /// Judges one mechanism by a key that software and token share. The token's key may wrap and unwrap.
    pub(super) fn test_kwp(
        &self,
        session: &Session,
        key: &KeyEncryptionKey,
        handle: ObjectHandle,
        mechanism: CK_MECHANISM_TYPE,
    ) -> Result<KwpAbility, TestError> {
        let ability = |wrap, unwrap| KwpAbility { mechanism: number(mechanism), name: mechanism_name(number(mechanism)), wrap, unwrap };
        let secret = SecretBytes::random(TEST_SECRET_BYTES)?;
        let wrapped = key.wrap_with_padding(secret.expose())?;
        let mut new = NewObjects::new(session);
        let wrapping = SecretWrapping { store: self, session, mechanism, key: handle };
        let unwrap = |blob: &[u8], readable| wrapping.unwrap(blob, readable);
        // A token that knows sensitive secrets only gets a sensitive one, which is then judged by wrapping it again.
        let object = match unwrap(&wrapped, true).or_else(|error| if error.is_loss() { Err(error) } else { unwrap(&wrapped, false) }) {
            Ok(object) => new.add(object),
            // Without a secret in the token the other direction cannot be tested, so it is not trusted either.
            Err(error) => {
                let unsupported = self.unless_gone(error)?.is_unsupported();
                let verdict = if unsupported { KwpVerdict::Absent } else { KwpVerdict::Wrong };
                return Ok(ability(verdict, verdict));
            }
        };
        let mut tampered = wrapped.clone();
        tampered.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1);
        if [true, false].into_iter().any(|readable| unwrap(&tampered, readable).map(|object| new.add(object)).is_ok()) {
            return Ok(ability(KwpVerdict::Wrong, KwpVerdict::Wrong));
        }
        let rewrapped = match wrapping.wrap(object, 256) {
            Err(error) if error.is_loss() => return Err(error.into()),
            other => other.ok(),
        };
        let value = read_value(session, object)?;
        let (wraps, unwraps) = match (rewrapped, value.as_ref().map_or(&[][..], SecretBytes::expose)) {
            // Key wrap is deterministic: the same blob again proves both directions.
            (Some(blob), []) if blob == wrapped => (KwpVerdict::Correct, KwpVerdict::Correct),
            (Some(_), []) => (KwpVerdict::Wrong, KwpVerdict::Wrong),
            (None, value) => (KwpVerdict::Absent, judge(value, secret.expose())),
            (Some(blob), value) => {
                let wraps = key.unwrap_with_padding(&blob).map_or(KwpVerdict::Wrong, |plaintext| judge(plaintext.expose(), value));
                (wraps, judge(value, secret.expose()))
            }
        };
        Ok(ability(wraps, unwraps))
    }

    /// Whether CKM_RSA_AES_KEY_WRAP gives the layout of every transfer blob (OAEP block, then RFC 5649): a secret is wrapped
    /// under a throwaway key of the token, the OAEP part is opened by the token, the rest by software. Measured once.
    pub(super) fn rsa_aes_key_wrap_works(&self) -> Result<bool> {
        if let Some(known) = self.rsa_aes_key_wrap.get() {
            return Ok(*known);
        }
        let works = self.with_session(|session| {
            let test = || -> Result<bool, TestError> {
                if !self.module.functions.mechanism_info(self.slot, CKM_RSA_AES_KEY_WRAP)?.is_some_and(|info| info.can_wrap()) {
                    return Ok(false);
                }
                match self.test_rsa_aes_key_wrap(session) {
                    Err(TestError::Call(error)) => Ok(self.unless_gone(error).map(|_| false)?),
                    Err(TestError::Keykit(Error::Crypto)) => Ok(false),
                    other => other,
                }
            };
            test().map_err(|error| self.test_failed(error))
        })?;
        Ok(*self.rsa_aes_key_wrap.get_or_init(|| works))
    }

    fn test_rsa_aes_key_wrap(&self, session: &Session) -> Result<bool, TestError> {
        let functions = &self.module.functions;
        let mut new = NewObjects::new(session);
        let pair = self.test_key_pair(session, &mut new, TEST_KEY_BITS, PairUse::Decrypt)?;
        let secret = SecretBytes::random(TEST_SECRET_BYTES)?;
        let object = new.add(create_with_value(session, &mut self.secret_template(true), &secret)?);
        let oaep = Oaep::plain(Hash::Sha1);
        let blob = functions.wrap_key(session, &Mechanism::RsaAesKeyWrap { aes_bits: 256, oaep }, pair.public_handle, object, 4096)?;
        let length = pair.public.modulus_bytes();
        let (sealed, wrapped) = blob.split_at_checked(length).ok_or(Error::Crypto)?;
        let key = KeyEncryptionKey::new(functions.decrypt(session, &Mechanism::Oaep(oaep), pair.private_handle, sealed, length)?)?;
        Ok(judge(key.unwrap_with_padding(wrapped)?.expose(), secret.expose()) == KwpVerdict::Correct)
    }

    /// Whether the token regards the label of OAEP (RFC 8017 §7.1.2 step 3a). SoftHSM takes a label in C_DecryptInit and
    /// then ignores it. Measured once.
    pub(super) fn oaep_label_works(&self) -> Result<bool> {
        if let Some(known) = self.oaep_label.get() {
            return Ok(*known);
        }
        let works = self.with_session(|session| {
            for hash in [Hash::Sha1, Hash::Sha256] {
                match self.test_oaep_label(session, hash) {
                    Err(TestError::Call(error)) if error.is_unsupported() => {}
                    Err(TestError::Call(error)) => return Err(self.failed(error, "test its OAEP")),
                    Err(TestError::Keykit(error)) => return Err(error),
                    Ok(works) => return Ok(works),
                }
            }
            Ok(false)
        })?;
        Ok(*self.oaep_label.get_or_init(|| works))
    }

    fn test_oaep_label(&self, session: &Session, hash: Hash) -> Result<bool, TestError> {
        let mut new = NewObjects::new(session);
        let pair = self.test_key_pair(session, &mut new, TEST_KEY_BITS, PairUse::Decrypt)?;
        let secret = SecretBytes::random(TEST_SECRET_BYTES)?;
        let scheme = EncryptionScheme::Oaep { hash, mgf1: hash, label: b"label".to_vec() };
        let sealed = pair.public.encrypt(&scheme, secret.expose())?;
        let opens = |label: &[u8]| {
            let mechanism = Mechanism::Oaep(Oaep { label, ..Oaep::plain(hash) });
            match self.module.functions.decrypt(session, &mechanism, pair.private_handle, &sealed, pair.public.modulus_bytes()) {
                Ok(opened) => Ok(opened == secret),
                Err(error) if error.on_ciphertext() == CiphertextVerdict::NotAboutIt => Err(error),
                Err(_) => Ok(false),
            }
        };
        // What opens before and after shows that the label was refused in between, and not that the token failed.
        Ok(opens(b"label")? && !opens(b"")? && opens(b"label")?)
    }

    /// An RSA key pair for this session only.
    pub(super) fn test_key_pair(
        &self,
        session: &Session,
        new: &mut NewObjects<'_>,
        modulus_bits: usize,
        private_use: PairUse,
    ) -> Result<SessionPair, TestError> {
        let bits = Ulong::try_from(modulus_bits).map_err(CallError::from)?;
        let public = [
            Attribute::Token(false),
            Attribute::Private(false),
            Attribute::Wrap(true),
            Attribute::Encrypt(true),
            Attribute::Verify(false),
            Attribute::ModulusBits(bits),
            Attribute::PublicExponent(vec![1, 0, 1]),
        ];
        let mut private = vec![
            Attribute::Token(false),
            Attribute::Private(self.private_objects()),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(false),
        ];
        private.extend([Attribute::Decrypt(private_use == PairUse::Decrypt), Attribute::Unwrap(private_use == PairUse::Unwrap)]);
        let (public, private) = session.generate_key_pair(&CryptokiMechanism::RsaPkcsKeyPairGen, &public, &private).map_err(CallError::from)?;
        let (public_handle, private_handle) = (new.add(public), new.add(private));
        let public = read_public(session, public_handle)?
            .ok_or_else(|| CallError::other("C_GetAttributeValue", "the token does not show a new key's public half".into()))?;
        Ok(SessionPair { public, public_handle, private_handle })
    }

    pub(super) fn test_failed(&self, error: TestError) -> Error {
        match error {
            TestError::Call(error) => self.failed(error, "test its key wrap"),
            TestError::Keykit(error) => error,
        }
    }
}

/// What the private half of a session's key pair may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PairUse {
    Decrypt,
    Unwrap,
}

/// An RSA key pair that lives as long as its session.
#[derive(Debug)]
pub(super) struct SessionPair {
    pub(super) public: RsaPublicKey,
    pub(super) public_handle: ObjectHandle,
    pub(super) private_handle: ObjectHandle,
}

/// What can go wrong in a self-test: a call, or keykit's own part.
#[derive(Debug)]
pub(super) enum TestError {
    Call(CallError),
    Keykit(Error),
}

impl From<CallError> for TestError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<Error> for TestError {
    fn from(error: Error) -> Self {
        Self::Keykit(error)
    }
}

/// Compares what came out with what went in.
fn judge(found: &[u8], expected: &[u8]) -> KwpVerdict {
    match found.strip_prefix(expected) {
        Some([]) => KwpVerdict::Correct,
        Some(rest) if !expected.is_empty() && rest.len() < 8 && rest.iter().all(|&byte| byte == 0) => KwpVerdict::ZeroPads,
        _ => KwpVerdict::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        assert_eq!(judge(b"123456789", b"123456789"), KwpVerdict::Correct);
        assert_eq!(judge(b"123456789\0\0\0\0\0\0\0", b"123456789"), KwpVerdict::ZeroPads);
        assert_eq!(judge(b"123456789\0\0\0\0\0\0\0\0", b"123456789"), KwpVerdict::Wrong);
        assert_eq!(judge(b"123456789\0\x01", b"123456789"), KwpVerdict::Wrong);
        assert_eq!(judge(b"12345678", b"123456789"), KwpVerdict::Wrong);
        // An empty value is what a token shows that does not let the secret be read.
        assert_eq!(judge(b"", b"123456789"), KwpVerdict::Wrong);
        assert_eq!(judge(b"\0\0", b""), KwpVerdict::Wrong);
    }
}
