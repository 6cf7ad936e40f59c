//! AES key wrap of secrets through the token: RFC 3394 and RFC 5649 as its mechanisms have them.
//!
//! The one implementation behind the self-tests and behind the published vectors that the tests run through tokens. All
//! objects are session objects, and are destroyed before the call returns.

use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki_sys::CK_MECHANISM_TYPE;
use keykit::key::{EncryptionScheme, Hash};
use keykit::secret::SecretBytes;
use keykit::{Error, Result};
use zeroize::Zeroize;

use super::error::CallError;
use super::key::NewObjects;
use super::self_test::{PairUse, TEST_KEY_BITS, TestError};
use super::store::Pkcs11Store;
use super::sys::{Mechanism, Oaep};

const UNWRAP: &str = "unwrap a secret";
const WRAP: &str = "wrap a secret";
/// More than the overhead of any AES key wrap: 8 bytes and up to 15 of padding.
const OVERHEAD: usize = 32;

impl Pkcs11Store {
    /// Wraps a secret under an AES key with a mechanism of the token (C_WrapKey without parameters): 0x2109 is RFC 3394;
    /// 0x210A or 0x210B is RFC 5649, as [`Self::key_wrap_abilities`] finds.
    ///
    /// For tests of tokens: `key` (16, 24 or 32 bytes) and `secret` are brought into the token from this process, so they
    /// must protect nothing. Nothing is left behind in the token.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the token does not name the mechanism; [`Error::Crypto`] if it does not wrap a secret of this
    /// length; [`Error::Token`].
    pub fn wrap_secret(&self, mechanism: u64, key: &SecretBytes, secret: &SecretBytes) -> Result<Vec<u8>> {
        let wrapped = self.with_shared_key(WRAP, mechanism, key, |wrapping| {
            let mut new = NewObjects::new(wrapping.session);
            let object = create_with_value(wrapping.session, &mut self.secret_template(true), secret)?;
            let object = new.add(object);
            match wrapping.wrap(object, secret.len().saturating_add(OVERHEAD)) {
                Ok(wrapped) => Ok(Some(wrapped)),
                Err(error) if error.blames_length() => Ok(None),
                Err(error) => Err(error.into()),
            }
        })?;
        wrapped.ok_or(Error::Crypto)
    }

    /// Unwraps a secret under an AES key with a mechanism of the token (C_UnwrapKey), and reads it. As
    /// [`Self::wrap_secret`] otherwise.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the token does not name the mechanism, or does not let secrets be read;
    /// [`Error::Crypto`], opaque, if the wrapped secret is not sound; [`Error::Token`].
    pub fn unwrap_secret(&self, mechanism: u64, key: &SecretBytes, wrapped: &[u8]) -> Result<SecretBytes> {
        let value = self.with_shared_key(UNWRAP, mechanism, key, |wrapping| {
            let mut new = NewObjects::new(wrapping.session);
            match wrapping.unwrap(wrapped, true) {
                Ok(object) => Ok(Some(read_value(wrapping.session, new.add(object))?)),
                Err(error) if error.blames_wrapped_key() => Ok(self.unless_gone(error).map(|_| None)?),
                Err(error) => Err(error.into()),
            }
        })?;
        match value {
            None => Err(Error::Crypto),
            Some(None) => Err(self.mechanism_missing("show an unwrapped secret", "a readable CKA_VALUE")),
            Some(Some(value)) => Ok(value),
        }
    }

    fn with_shared_key<T>(
        &self,
        doing: &str,
        mechanism: u64,
        key: &SecretBytes,
        work: impl FnOnce(&SecretWrapping<'_>) -> Result<T, TestError>,
    ) -> Result<T> {
        let missing = || self.mechanism_missing(doing, super::mechanism_name(mechanism));
        let mechanism = CK_MECHANISM_TYPE::try_from(mechanism).map_err(|_| missing())?;
        self.with_session(|session| {
            let run = || -> Result<Option<T>, TestError> {
                if self.module.functions.mechanism_info(self.slot, mechanism)?.is_none() {
                    return Ok(None);
                }
                let mut new = NewObjects::new(session);
                let handle = self.share_key(session, &mut new, key)?;
                work(&SecretWrapping { store: self, session, mechanism, key: handle }).map(Some)
            };
            match run() {
                Ok(outcome) => outcome.ok_or_else(missing),
                Err(TestError::Call(error)) => Err(self.failed(error, doing)),
                Err(TestError::Keykit(error)) => Err(error),
            }
        })
    }

    /// Brings an AES key that protects nothing into the token: in the clear, or, where the token's policy does not allow
    /// that, under a throwaway RSA key.
    pub(super) fn share_key(&self, session: &Session, new: &mut NewObjects<'_>, key: &SecretBytes) -> Result<ObjectHandle, TestError> {
        match create_with_value(session, &mut self.wrapping_key_template(true), key) {
            Ok(handle) => return Ok(new.add(handle)),
            Err(error) if error.is_loss() => return Err(error.into()),
            Err(_) => {}
        }
        let pair = self.test_key_pair(session, new, TEST_KEY_BITS, PairUse::Unwrap)?;
        let sealed = pair.public.encrypt(&EncryptionScheme::oaep(Hash::Sha1), key.expose())?;
        let mechanism = Mechanism::Oaep(Oaep::plain(Hash::Sha1));
        Ok(new.add(self.module.functions.unwrap_key(session, &mechanism, pair.private_handle, &sealed, &self.wrapping_key_template(true))?))
    }

    /// Template of an AES key of this session: it unwraps, and wraps too if it is to be tested. It never leaves.
    pub(super) fn wrapping_key_template(&self, wraps: bool) -> Vec<Attribute> {
        vec![
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Token(false),
            Attribute::Private(self.private_objects()),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Unwrap(true),
            Attribute::Wrap(wraps),
        ]
    }

    /// Template of a secret that protects nothing and may be read, where the token allows that.
    pub(super) fn secret_template(&self, readable: bool) -> Vec<Attribute> {
        vec![
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::Token(false),
            Attribute::Private(self.private_objects()),
            Attribute::Sensitive(!readable),
            Attribute::Extractable(true),
        ]
    }
}

/// A mechanism of a token under an AES key of a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct SecretWrapping<'a> {
    pub(super) store: &'a Pkcs11Store,
    pub(super) session: &'a Session,
    pub(super) mechanism: CK_MECHANISM_TYPE,
    pub(super) key: ObjectHandle,
}

impl SecretWrapping<'_> {
    /// C_WrapKey of a secret of this session.
    pub(super) fn wrap(&self, secret: ObjectHandle, capacity: usize) -> Result<Vec<u8>, CallError> {
        self.store.module.functions.wrap_key(self.session, &Mechanism::Plain(self.mechanism), self.key, secret, capacity)
    }

    /// C_UnwrapKey into a secret of this session. The caller destroys it.
    pub(super) fn unwrap(&self, wrapped: &[u8], readable: bool) -> Result<ObjectHandle, CallError> {
        let template = self.store.secret_template(readable);
        self.store.module.functions.unwrap_key(self.session, &Mechanism::Plain(self.mechanism), self.key, wrapped, &template)
    }
}

/// C_CreateObject of a key from software, whose copy in the template is wiped.
pub(super) fn create_with_value(session: &Session, template: &mut Vec<Attribute>, value: &SecretBytes) -> Result<ObjectHandle, CallError> {
    template.push(Attribute::Value(value.expose().to_vec()));
    let created = session.create_object(template);
    if let Some(Attribute::Value(mut copy)) = template.pop() {
        copy.zeroize();
    }
    Ok(created?)
}

/// CKA_VALUE; `None` if the token does not show it.
pub(super) fn read_value(session: &Session, object: ObjectHandle) -> Result<Option<SecretBytes>, CallError> {
    let attributes = session.get_attributes(object, &[AttributeType::Value])?;
    Ok(attributes.into_iter().find_map(|attribute| match attribute {
        Attribute::Value(value) => Some(SecretBytes::take(value)),
        _ => None,
    }))
}
