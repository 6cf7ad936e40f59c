//! Decryption of batches, and what a failure in one means.
//!
//! Tokens answer a ciphertext that does not open with the same codes as a fault of their own. If a token that drops out were
//! believed, documents that open would be recorded as lost. So such a failure counts only if the token shows, before and after a
//! second try, that it still decrypts: it opens a *canary*, a random text that was just sealed to the key's public half.
//!
//! A batch that opens costs one C_Decrypt for each item and nothing else: the canary is for failures.
//!
//! Whether a padding of PKCS#1 v1.5 is right must not be seen from outside, not even by how long a batch takes. But what somebody made
//! up opens to nothing of use, whether its padding is right or not: so the caller, who looks into what was opened, names the items
//! that it refuses ([`KeyStore::refused_after_decryption`](keykit::store::KeyStore::refused_after_decryption)), and they take the calls
//! that a wrong padding takes: two canaries for the batch, a second try for each item. A batch with so many bad items takes the same
//! calls however many of their paddings were right. Under OAEP only failures are checked: all of them look alike anyway.

use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki_sys::CKM_RSA_PKCS;
use keykit::key::{EncryptionScheme, KeyId, RsaPublicKey};
use keykit::secret::SecretBytes;
use keykit::store::DecryptionFailed;
use keykit::{Error, Result};

use super::error::{CallError, CiphertextVerdict};
use super::parallel::over_sessions;
use super::store::Pkcs11Store;
use super::sys::{Mechanism, Oaep};

const DOING: &str = "decrypt";
const CANARY_BYTES: usize = 16;

/// What C_Decrypt made of one ciphertext.
enum Attempt {
    Opened(SecretBytes),
    /// Not as long as the modulus.
    NoCiphertext,
    Refused,
    Doubtful(CallError),
}

/// One key, ready for work.
struct Decryption<'a> {
    store: &'a Pkcs11Store,
    key: ObjectHandle,
    public: &'a RsaPublicKey,
    scheme: &'a EncryptionScheme,
    mechanism: Mechanism<'a>,
}

impl Pkcs11Store {
    pub(super) fn decrypt_batch(
        &self,
        key: &KeyId,
        scheme: &EncryptionScheme,
        ciphertexts: &[&[u8]],
    ) -> Result<Vec<Result<SecretBytes, DecryptionFailed>>> {
        let mechanism = match scheme {
            EncryptionScheme::Pkcs1v15 => Mechanism::Plain(CKM_RSA_PKCS),
            EncryptionScheme::Oaep { hash, mgf1, label } => Mechanism::Oaep(Oaep { hash: *hash, mgf1: *mgf1, label }),
            other => return Err(self.mechanism_missing(DOING, other.to_string())),
        };
        let (handle, public) = self.handle(key)?;
        if matches!(mechanism, Mechanism::Oaep(Oaep { label, .. }) if !label.is_empty()) && !self.oaep_label_works()? {
            return Err(self.mechanism_missing(DOING, scheme.to_string()));
        }
        let decryption = Decryption { store: self, key: handle, public: &public, scheme, mechanism };
        let attempts = over_sessions(&self.pool, ciphertexts, |session, ciphertext| decryption.attempt(session, ciphertext));
        let attempts = attempts.map_err(|error| match error {
            error if error.is_unsupported() => self.mechanism_missing(DOING, scheme.to_string()),
            error => self.failed(error, DOING),
        })?;
        decryption.settle(ciphertexts, attempts)
    }

    /// The calls of items that did not open, for items that did. What comes of them is of no matter.
    pub(super) fn take_time_of_failures(&self, key: &KeyId, failed: usize, refused: &[&[u8]]) {
        let Ok((handle, public)) = self.handle(key) else { return };
        let scheme = &EncryptionScheme::Pkcs1v15;
        let decryption = Decryption { store: self, key: handle, public: &public, scheme, mechanism: Mechanism::Plain(CKM_RSA_PKCS) };
        let taken = self.pool.with(|session| {
            if failed == 0 {
                return decryption.try_again(session, refused).map(drop);
            }
            // The canaries of this batch were spent when the others failed.
            refused.iter().try_for_each(|ciphertext| decryption.attempt(session, ciphertext).map(drop))
        });
        drop(taken);
    }
}

impl Decryption<'_> {
    fn attempt(&self, session: &Session, ciphertext: &[u8]) -> Result<Attempt, CallError> {
        let length = self.public.modulus_bytes();
        // A ciphertext of another length is no ciphertext (RFC 8017 §7.1.2 step 1); tokens differ in what they do with it.
        if ciphertext.len() != length {
            return Ok(Attempt::NoCiphertext);
        }
        match self.store.module.functions.decrypt(session, &self.mechanism, self.key, ciphertext, length) {
            Ok(plaintext) => Ok(Attempt::Opened(plaintext)),
            Err(error) => match error.on_ciphertext() {
                CiphertextVerdict::Refused => Ok(Attempt::Refused),
                CiphertextVerdict::Doubtful => Ok(Attempt::Doubtful(error)),
                CiphertextVerdict::NotAboutIt => Err(error),
            },
        }
    }

    /// Whether an item is tried again: those that are in doubt, and under PKCS#1 v1.5 all that were refused, so that they take one time.
    fn is_tried_again(&self, attempt: &Attempt) -> bool {
        match attempt {
            Attempt::Opened(_) | Attempt::NoCiphertext => false,
            Attempt::Refused => *self.scheme == EncryptionScheme::Pkcs1v15,
            Attempt::Doubtful(_) => true,
        }
    }

    /// Decides what was doubtful.
    fn settle(&self, ciphertexts: &[&[u8]], mut attempts: Vec<Attempt>) -> Result<Vec<Result<SecretBytes, DecryptionFailed>>> {
        let failed = attempts.iter().zip(ciphertexts).filter(|(attempt, _)| self.is_tried_again(attempt));
        let again: Vec<&[u8]> = failed.map(|(_, ciphertext)| *ciphertext).collect();
        if !again.is_empty() {
            let second = self.store.pool.with(|session| self.try_again(session, &again));
            // Without a doubt it was for the time that it takes: what came of it is not asked, and the items have their answers.
            if attempts.iter().any(|attempt| matches!(attempt, Attempt::Doubtful(_))) {
                let mut second = self.second_answers(second, &attempts)?.into_iter();
                for attempt in attempts.iter_mut().filter(|attempt| self.is_tried_again(attempt)) {
                    let answer = second.next().ok_or_else(|| Error::Internal("a second try without an answer".into()))?;
                    if matches!(attempt, Attempt::Doubtful(_)) {
                        *attempt = answer;
                    }
                }
            }
        }
        let settled = attempts.into_iter().map(|attempt| match attempt {
            Attempt::Opened(plaintext) => Ok(plaintext),
            // Refused twice by a token that works.
            Attempt::NoCiphertext | Attempt::Refused | Attempt::Doubtful(_) => Err(DecryptionFailed),
        });
        Ok(settled.collect())
    }

    /// What the second try brought, if the token works; else the failure of the whole.
    fn second_answers(&self, second: Result<Option<Vec<Attempt>>, CallError>, attempts: &[Attempt]) -> Result<Vec<Attempt>> {
        let first = attempts.iter().find_map(|attempt| match attempt {
            Attempt::Doubtful(error) => Some(error.clone()),
            _ => None,
        });
        match (second, first) {
            (Ok(Some(second)), _) => Ok(second),
            // How the canary failed says more than the first failure, which may be that of an item that is damaged indeed.
            (Err(error), _) => Err(self.fault(error)),
            (Ok(None), Some(first)) => Err(self.fault(first)),
            (Ok(None), None) => Err(Error::Internal("a second try without a first".into())),
        }
    }

    /// A second try between two canaries; nothing, or the failure of a canary, if the token no longer works.
    fn try_again(&self, session: &Session, ciphertexts: &[&[u8]]) -> Result<Option<Vec<Attempt>>, CallError> {
        let works_before = self.works(session)?;
        let attempts = ciphertexts.iter().map(|ciphertext| self.attempt(session, ciphertext)).collect::<Result<Vec<_>, _>>()?;
        let works_after = self.works(session)?;
        Ok((works_before && works_after).then_some(attempts))
    }

    /// Whether the token is there and opens a canary. An error if it fails with a code that is not about a ciphertext alone: this one is
    /// good.
    fn works(&self, session: &Session) -> Result<bool, CallError> {
        self.store.check_presence()?;
        let canary = SecretBytes::random(CANARY_BYTES).map_err(|error| CallError::other("C_Decrypt", error.to_string()))?;
        // A key that is too small for the scheme opens nothing (RFC 8017 §7.1.2 step 1c).
        let Ok(sealed) = self.public.encrypt(self.scheme, canary.expose()) else { return Ok(true) };
        match self.attempt(session, &sealed)? {
            Attempt::Opened(opened) => Ok(opened == canary),
            Attempt::Doubtful(error) => Err(error),
            Attempt::NoCiphertext | Attempt::Refused => Ok(false),
        }
    }

    /// The whole batch fails: what the other items gave is of no use to anyone who must know about all of them.
    fn fault(&self, error: CallError) -> Error {
        self.store.pool.retire_idle();
        let hint =
            "the token no longer decrypts: see that it is connected and in order, then run the command again; nothing is decided about any licence";
        self.store.failed(error, DOING).with_hint(hint)
    }
}
