//! A key on its way out, wrapped under a key encryption key: never in the clear in this process.
//!
//! Routes, by what the token has proven and never by what it claims: CKM_RSA_AES_KEY_WRAP; OAEP of an AES key that the
//! token makes, and RFC 5649 under it; the same with an AES key of this process, only where the policy allows it.

use cryptoki::mechanism::Mechanism as CryptokiMechanism;
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::types::Ulong;
use cryptoki_sys::CK_MECHANISM_TYPE;
use keykit::key::{EncryptionScheme, KeyId, RsaPublicKey};
use keykit::store::{KeyStore, WrapOut, WrapOutcome, WrapPolicy, WrapRoute};
use keykit::transfer::KeyEncryptionKey;
use keykit::{Error, Result};

use super::error::CallError;
use super::key::{self, NewObjects};
use super::secret_wrap::create_with_value;
use super::self_test::{KwpAbility, KwpVerdict};
use super::store::Pkcs11Store;
use super::sys::{Mechanism, Oaep};

const OPERATION: &str = "wrap a key out";
/// A PKCS#8 key of 8192 bits has less than 5000 bytes.
const WRAPPED_CAPACITY: usize = 8192;
const EPHEMERAL_KEY_BYTES: usize = 32;

impl WrapOut for Pkcs11Store {
    fn wrap_out(&self, id: &KeyId, kek: &RsaPublicKey, policy: &WrapPolicy) -> Result<WrapOutcome> {
        let (target, public) = self.handle(id)?;
        self.with_session(|session| self.refuse_if_bound(session, id, target))?;
        let rsa_aes = self.rsa_aes_key_wrap_works()?;
        let outcome = self.with_session(|session| {
            let mut new = NewObjects::new(session);
            let kek_handle = self.import_kek(session, &mut new, kek)?;
            if rsa_aes && let Some(blob) = self.wrap_in_one_call(session, kek_handle, target, policy)? {
                return Ok(WrapOutcome { blob, route: WrapRoute::RsaAesKeyWrap, warnings: Vec::new() });
            }
            self.wrap_in_two_steps(session, kek, kek_handle, target, policy)
        })?;
        check_layout(&outcome.blob, kek, &public).map_err(|what| self.failed(CallError::other("C_WrapKey", what), OPERATION))?;
        Ok(outcome)
    }
}

impl Pkcs11Store {
    /// Refuses a key whose attributes bind it to the token, before anything is made.
    fn refuse_if_bound(&self, session: &Session, id: &KeyId, target: ObjectHandle) -> Result<()> {
        let record = key::read_key(session, target, &self.facts).map_err(|error| self.failed(error, "read the key's attributes"))?;
        let Ok(record) = record else { return Err(self.no_such_key(id)) };
        if record.attributes.extractable == Some(false) {
            return Err(not_extractable(id));
        }
        if record.attributes.wrap_with_trusted == Some(true) {
            return Err(only_under_trusted(id));
        }
        Ok(())
    }

    fn import_kek(&self, session: &Session, new: &mut NewObjects<'_>, kek: &RsaPublicKey) -> Result<ObjectHandle> {
        let mut template = key::public_numbers(kek);
        template.extend([Attribute::Token(false), Attribute::Private(false), Attribute::Wrap(true)]);
        let handle = session.create_object(&template).map_err(|error| self.failed(CallError::from(error), "take in the key encryption key"))?;
        Ok(new.add(handle))
    }

    /// CKM_RSA_AES_KEY_WRAP; `None` if the token does not take this OAEP hash or this kind of key. Its self-test wraps a secret; a
    /// token may do that and say of a private key that this mechanism does not wrap it, which two steps may still do.
    fn wrap_in_one_call(&self, session: &Session, kek: ObjectHandle, target: ObjectHandle, policy: &WrapPolicy) -> Result<Option<Vec<u8>>> {
        let mechanism = Mechanism::RsaAesKeyWrap { aes_bits: 256, oaep: Oaep::plain(policy.oaep_hash) };
        match self.module.functions.wrap_key(session, &mechanism, kek, target, WRAPPED_CAPACITY) {
            Ok(blob) => Ok(Some(blob)),
            Err(error) if error.is_unsupported() || error.forbids_this_mechanism() => Ok(None),
            Err(error) => Err(self.wrap_error(error)),
        }
    }

    fn wrap_in_two_steps(
        &self,
        session: &Session,
        kek: &RsaPublicKey,
        kek_handle: ObjectHandle,
        target: ObjectHandle,
        policy: &WrapPolicy,
    ) -> Result<WrapOutcome> {
        let ability = self
            .wrapping_ability()?
            .ok_or_else(|| self.mechanism_missing(OPERATION, "AES key wrap with padding (RFC 5649) that passes its self-test"))?;
        let mechanism = CK_MECHANISM_TYPE::try_from(ability.mechanism).map_err(|_| Error::Internal("a mechanism out of range".into()))?;
        let warnings = self.padding_warning(&ability);
        let mut new = NewObjects::new(session);
        let oaep = Oaep::plain(policy.oaep_hash);
        let aes = self.make_aes_key(session, &mut new)?;
        let sealed = match self.module.functions.wrap_key(session, &Mechanism::Oaep(oaep), kek_handle, aes, kek.modulus_bytes()) {
            Ok(sealed) => sealed,
            Err(error) if error.is_unsupported() && policy.allow_host_visible_ephemeral_key => {
                return self.wrap_under_host_key(session, kek, target, mechanism, policy, warnings);
            }
            Err(error) if error.is_unsupported() => {
                let what = format!("CKM_RSA_PKCS_OAEP with {}, and no host-visible ephemeral key is allowed,", policy.oaep_hash);
                return Err(self.mechanism_missing(OPERATION, what));
            }
            Err(error) => return Err(self.failed(error, "seal the ephemeral key")),
        };
        let wrapped = self.wrap_target(session, mechanism, aes, target)?;
        Ok(WrapOutcome { blob: [sealed, wrapped].concat(), route: WrapRoute::OaepAndKeyWrapWithPadding, warnings })
    }

    /// The ephemeral AES key is made here, given to the token, and sealed here. It is wiped before this returns.
    fn wrap_under_host_key(
        &self,
        session: &Session,
        kek: &RsaPublicKey,
        target: ObjectHandle,
        mechanism: CK_MECHANISM_TYPE,
        policy: &WrapPolicy,
        mut warnings: Vec<String>,
    ) -> Result<WrapOutcome> {
        let ephemeral = KeyEncryptionKey::random()?;
        let mut new = NewObjects::new(session);
        let mut template = self.wrapping_key_template(true);
        let aes = create_with_value(session, &mut template, ephemeral.expose());
        let aes = new.add(aes.map_err(|error| self.failed(error, "take in the ephemeral key"))?);
        let wrapped = self.wrap_target(session, mechanism, aes, target)?;
        let sealed = kek.encrypt(&EncryptionScheme::oaep(policy.oaep_hash), ephemeral.expose().expose())?;
        warnings.push("the ephemeral AES key was in this process's memory while the key was wrapped, and was wiped".into());
        Ok(WrapOutcome { blob: [sealed, wrapped].concat(), route: WrapRoute::HostVisibleEphemeralKey, warnings })
    }

    /// The best mechanism by its self-test: one that is right, else one that adds zeros.
    fn wrapping_ability(&self) -> Result<Option<KwpAbility>> {
        let abilities = self.key_wrap_abilities()?;
        let with = |verdict| abilities.iter().find(|ability| ability.wrap == verdict);
        Ok(with(KwpVerdict::Correct).or_else(|| with(KwpVerdict::ZeroPads)).cloned())
    }

    fn padding_warning(&self, ability: &KwpAbility) -> Vec<String> {
        if ability.wrap != KwpVerdict::ZeroPads {
            return Vec::new();
        }
        vec![format!(
            "{} {} adds up to seven zero bytes to the key before it wraps it ({}): strict readers, Azure among them, may refuse this blob; keykit cuts \
             the zeros when it reads it",
            self.identity.manufacturer, self.identity.firmware, ability.name
        )]
    }

    fn make_aes_key(&self, session: &Session, new: &mut NewObjects<'_>) -> Result<ObjectHandle> {
        let length = Ulong::try_from(EPHEMERAL_KEY_BYTES).map_err(|_| Error::Internal("a length out of range".into()))?;
        let template = [
            Attribute::Token(false),
            Attribute::Private(self.private_objects()),
            Attribute::Sensitive(true),
            // It leaves under the key encryption key.
            Attribute::Extractable(true),
            Attribute::Wrap(true),
            Attribute::Unwrap(false),
            Attribute::ValueLen(length),
        ];
        let made = session.generate_key(&CryptokiMechanism::AesKeyGen, &template);
        Ok(new.add(made.map_err(|error| self.failed(CallError::from(error), "make the ephemeral key"))?))
    }

    fn wrap_target(&self, session: &Session, mechanism: CK_MECHANISM_TYPE, aes: ObjectHandle, target: ObjectHandle) -> Result<Vec<u8>> {
        let wrapped = self.module.functions.wrap_key(session, &Mechanism::Plain(mechanism), aes, target, WRAPPED_CAPACITY);
        wrapped.map_err(|error| self.wrap_error(error))
    }

    fn wrap_error(&self, error: CallError) -> Error {
        if error.forbids_wrapping() {
            return Error::refused(31, format!("the token does not let the key leave ({})", error.name()), INSTEAD);
        }
        self.failed(error, OPERATION)
    }
}

const INSTEAD: &str = "leave it where it is and use the protected documents read-only, or move to a new key; see rule 31";

fn not_extractable(id: &KeyId) -> Error {
    Error::refused(31, format!("the key {} cannot leave its token (CKA_EXTRACTABLE is false)", id.short()), INSTEAD)
}

fn only_under_trusted(id: &KeyId) -> Error {
    Error::refused(
        31,
        format!("the key {} leaves under trusted keys only (CKA_WRAP_WITH_TRUSTED), and this key encryption key is not trusted", id.short()),
        "the security officer can mark the key encryption key as trusted on the token (CKA_TRUSTED) and wrap with the token's own tool",
    )
}

/// Whether the blob can be what it should be.
fn check_layout(blob: &[u8], kek: &RsaPublicKey, target: &RsaPublicKey) -> Result<(), String> {
    let wrapped = blob.len().checked_sub(kek.modulus_bytes()).filter(|wrapped| wrapped.is_multiple_of(8));
    // PKCS#8 holds n, d and five numbers of half their length, and some tens of bytes around them.
    let numbers = target.modulus_bytes().saturating_mul(9) / 2;
    match wrapped {
        Some(length) if (numbers.saturating_sub(16)..numbers.saturating_add(128)).contains(&length) => Ok(()),
        _ => Err(format!("the answer has {} bytes, which is not a wrapped key of {} bits", blob.len(), target.modulus_bits())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(bits: usize) -> RsaPublicKey {
        let mut modulus = vec![0xff; bits / 8];
        modulus[1] = 0x01;
        RsaPublicKey::from_components(&modulus, 65537).unwrap()
    }

    /// Lengths that were observed of PKCS#8 keys with public exponent 65537.
    #[test]
    fn lengths_of_blobs() {
        for (target, wrapped) in [(2048, vec![1224, 1232]), (3072, vec![1800, 1808]), (4096, vec![2384])] {
            for kek in [2048, 3072, 4096] {
                for length in &wrapped {
                    check_layout(&vec![0; kek / 8 + length], &key(kek), &key(target)).unwrap();
                }
                for length in [0, 8, 24, 552, wrapped[0] - 4, 5000] {
                    assert!(check_layout(&vec![0; kek / 8 + length], &key(kek), &key(target)).is_err(), "{length}");
                }
            }
        }
        assert!(check_layout(&[], &key(2048), &key(2048)).is_err());
    }
}
