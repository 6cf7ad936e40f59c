//! The contract of every key store, and the capabilities beside it.
//!
//! [`KeyStore`] is small: who the store is, which keys it holds, sign, decrypt. Everything that only some
//! stores can do is a trait of its own in [`capability`], found through the store; a store without it answers
//! [`crate::Error::Unsupported`]. Batches are the primitive, because they are what an HSM with several sessions and a
//! processor with several lanes can make fast; one item is a batch of one.

mod attributes;
pub mod capability;
pub mod protection;

use std::fmt;

pub use attributes::{KeyAttributes, KeyRecord, KeyRequest, StoreIdentity, Transferability};
pub use capability::{
    Destroy, ExportPlaintext, Generate, ImportPlaintext, TransportKey, UnwrapIn, UnwrapOutcome, WrapOut, WrapOutcome, WrapPolicy, WrapRoute,
};

use crate::error::{Error, Result};
use crate::key::{Digest, EncryptionScheme, KeyId};
use crate::secret::SecretBytes;

/// One item of a batch could not be decrypted. No reason is given, on purpose (Marvin, RUSTSEC-2023-0071).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecryptionFailed;

impl fmt::Display for DecryptionFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cryptographic operation failed")
    }
}

impl std::error::Error for DecryptionFailed {}

/// A place where keys live: memory, an encrypted folder, a token.
///
/// Concurrency is the store's business: every method may be called from several threads.
pub trait KeyStore: fmt::Debug + Send + Sync {
    /// Who the store is.
    fn identity(&self) -> &StoreIdentity;

    /// All RSA keys with a private half, in a stable order.
    ///
    /// # Errors
    /// [`Error::Token`] if the token fails.
    fn keys(&self) -> Result<Vec<KeyRecord>>;

    /// The key with this identity.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not there, [`Error::Conflict`] if it is there more than once.
    fn find(&self, id: &KeyId) -> Result<KeyRecord> {
        let mut found = self.keys()?.into_iter().filter(|key| key.public.id() == *id);
        match (found.next(), found.next()) {
            (Some(key), None) => Ok(key),
            (None, _) => Err(self.no_such_key(id)),
            (Some(_), Some(_)) => Err(Error::Conflict {
                what: format!("{} holds the key {} more than once", self.identity().uri, id.short()),
                hint: Some("remove the copy that does not belong there".into()),
            }),
        }
    }

    /// Signs digests with RSASSA-PKCS1-v1_5 (RFC 8017 §8.2.1), in order. The caller hashes.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the key is not there; [`Error::Unsupported`] for a hash the store cannot take;
    /// [`Error::Crypto`] or [`Error::Token`] if any signature fails: then there is none.
    fn sign(&self, key: &KeyId, digests: &[Digest]) -> Result<Vec<Vec<u8>>>;

    /// Whether every signature was verified with the public key before [`Self::sign`] gave it out. Who signs here need not do it again.
    fn verifies_what_it_signs(&self) -> bool {
        false
    }

    /// Results of [`Self::sign`] and [`Self::decrypt`] that failed a check of the store since it was opened, were withheld, and were
    /// computed again in another way. Anything but 0 means that this machine computes wrongly. 0 for a store that has no such check.
    fn withheld_results(&self) -> u64 {
        0
    }

    /// Decrypts ciphertexts, in order. All are tried before anything is returned.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unsupported`], or [`Error::Token`] if the token itself fails. What is wrong with one
    /// ciphertext is in its item, opaque.
    fn decrypt(&self, key: &KeyId, scheme: &EncryptionScheme, ciphertexts: &[&[u8]]) -> Result<Vec<Result<SecretBytes, DecryptionFailed>>>;

    /// Tells the store which ciphertexts of one batch [`Self::decrypt`] opened and the caller refuses, because what came out is none of
    /// what it takes; `failed` of the same batch did not open. The caller says so of every batch, before it tells anybody of a failure.
    ///
    /// # Security
    /// What was made up to learn of the padding of PKCS#1 v1.5 (Bleichenbacher, Marvin) opens to nothing of use. A store in which an item
    /// that does not open takes longer than one that opens takes that longer time here, so that both take the same. By default nothing
    /// is done: for stores in which both take the same time anyway.
    fn refused_after_decryption(&self, key: &KeyId, scheme: &EncryptionScheme, failed: usize, refused: &[&[u8]]) {
        let _ = (key, scheme, failed, refused);
    }

    /// Makes new keys.
    ///
    /// # Errors
    /// [`Error::Unsupported`], as for every capability below.
    fn as_generate(&self) -> Result<&dyn Generate> {
        Err(self.unsupported("generate a key"))
    }

    /// Takes keys in the clear.
    ///
    /// # Errors
    /// [`Error::Unsupported`].
    fn as_import_plaintext(&self) -> Result<&dyn ImportPlaintext> {
        Err(self.unsupported("take a key in the clear"))
    }

    /// Gives keys out in the clear.
    ///
    /// # Errors
    /// [`Error::Unsupported`].
    fn as_export_plaintext(&self) -> Result<&dyn ExportPlaintext> {
        Err(self.unsupported("give a key out in the clear"))
    }

    /// Gives keys out wrapped.
    ///
    /// # Errors
    /// [`Error::Unsupported`].
    fn as_wrap_out(&self) -> Result<&dyn WrapOut> {
        Err(self.unsupported("wrap a key out"))
    }

    /// Takes wrapped keys.
    ///
    /// # Errors
    /// [`Error::Unsupported`].
    fn as_unwrap_in(&self) -> Result<&dyn UnwrapIn> {
        Err(self.unsupported("take a wrapped key"))
    }

    /// Destroys keys.
    ///
    /// # Errors
    /// [`Error::Unsupported`].
    fn as_destroy(&self) -> Result<&dyn Destroy> {
        Err(self.unsupported("destroy a key"))
    }

    /// The error for a capability that this store lacks.
    fn unsupported(&self, operation: &str) -> Error {
        Error::Unsupported { operation: operation.to_owned(), mechanism: "that capability".to_owned(), store: self.identity().uri.clone() }
    }

    /// The error for a key that is not here.
    fn no_such_key(&self, id: &KeyId) -> Error {
        Error::NotFound {
            what: format!("{} holds no key {}", self.identity().uri, id.short()),
            hint: Some("`keykit store keys --store URI` lists what is there".into()),
        }
    }
}
