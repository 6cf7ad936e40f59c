//! What only some stores can do.

use std::fmt;

use super::{KeyRecord, KeyRequest};
use crate::error::{Error, Result};
use crate::key::{Hash, KeyId, RsaPublicKey, RsaSecretKey};
use crate::transfer::Finding;

/// Makes new keys.
pub trait Generate {
    /// Makes a key of `modulus_bits` with public exponent 65537.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] if another key has the label or local id already; what the store says otherwise.
    fn generate(&self, modulus_bits: usize, request: &KeyRequest) -> Result<KeyRecord>;
}

/// Takes keys in the clear.
pub trait ImportPlaintext {
    /// Stores a key.
    ///
    /// A store that holds the same key already returns that one and changes nothing.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] if *another* key has the label or local id already.
    fn import_plaintext(&self, key: &RsaSecretKey, request: &KeyRequest) -> Result<KeyRecord>;
}

/// Gives keys out in the clear.
pub trait ExportPlaintext {
    /// The key itself, in locked memory.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    fn export_plaintext_danger(&self, id: &KeyId) -> Result<RsaSecretKey>;
}

/// How a key came out of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum WrapRoute {
    /// CKM_RSA_AES_KEY_WRAP in one call.
    RsaAesKeyWrap,
    /// OAEP of an AES key that the token made, and AES key wrap with padding under it.
    OaepAndKeyWrapWithPadding,
    /// As before, with an AES key that existed in this process: recorded, and only where the plan allows it.
    HostVisibleEphemeralKey,
    /// Wrapped in this process from a key that lived in its memory anyway.
    InMemory,
}

impl fmt::Display for WrapRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RsaAesKeyWrap => "CKM_RSA_AES_KEY_WRAP",
            Self::OaepAndKeyWrapWithPadding => "CKM_RSA_PKCS_OAEP and AES key wrap with padding",
            Self::HostVisibleEphemeralKey => "AES key wrap with padding under a host-visible ephemeral key",
            Self::InMemory => "wrapped in memory",
        })
    }
}

/// What a plan allows when a key is wrapped out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrapPolicy {
    /// Hash of the OAEP step, and of its MGF1.
    pub oaep_hash: Hash,
    /// Whether [`WrapRoute::HostVisibleEphemeralKey`] may be taken.
    pub allow_host_visible_ephemeral_key: bool,
}

/// A wrapped key: `RSAES-OAEP(KEK, AES-256 key) ‖ AES-KWP(AES-256 key, PKCS#8)` (RFC 8017 §7.1, RFC 5649 §4.1).
#[derive(Debug, Clone)]
pub struct WrapOutcome {
    /// The blob.
    pub blob: Vec<u8>,
    /// How it was made.
    pub route: WrapRoute,
    /// What the operator must know, in sentences; for example that the token pads the key wrongly.
    pub warnings: Vec<String>,
}

/// Gives keys out wrapped.
pub trait WrapOut {
    /// Wraps a key under a key encryption key.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`]; [`crate::Error::Refused`] if the key may not leave; [`crate::Error::Unsupported`] if no
    /// allowed route exists.
    fn wrap_out(&self, key: &KeyId, kek: &RsaPublicKey, policy: &WrapPolicy) -> Result<WrapOutcome>;
}

/// A key encryption key that lives in a store for one transfer. Dropping it destroys it.
pub trait TransportKey: fmt::Debug {
    /// The public half, to wrap under.
    fn public(&self) -> &RsaPublicKey;

    /// Hash of the OAEP step that the store can undo.
    fn oaep_hash(&self) -> Hash;

    /// Unwraps a blob (shape of [`WrapOutcome::blob`]) into the store and stores its public half beside it.
    ///
    /// `expected` is the public half that the blob must hold. A store that holds the same key already keeps it and changes
    /// nothing.
    ///
    /// # Errors
    /// [`crate::Error::Crypto`] if the blob does not open; [`crate::Error::Conflict`] if it holds another key than `expected`
    /// (nothing stays behind), or if another key has the label or local id.
    fn unwrap_in(&self, blob: &[u8], expected: &RsaPublicKey, request: &KeyRequest) -> Result<KeyRecord>;
}

/// A key that was unwrapped.
#[derive(Debug, Clone)]
pub struct UnwrapOutcome {
    /// The key as it is stored.
    pub record: KeyRecord,
    /// What its wrapping was not quite right in, where the store could see it.
    pub findings: Vec<Finding>,
}

fn no_such_hash(oaep_hash: Hash) -> Error {
    Error::Unsupported { operation: "take a wrapped key".into(), mechanism: format!("OAEP with {oaep_hash}"), store: "the store".into() }
}

/// Takes wrapped keys.
pub trait UnwrapIn {
    /// Makes a key encryption key for one transfer, as a session object where the store knows such.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] if the store offers no unwrap route that is proven to work.
    fn transport_key(&self, modulus_bits: usize) -> Result<Box<dyn TransportKey + '_>>;

    /// As [`Self::transport_key`], with this hash in the OAEP step.
    ///
    /// # Errors
    /// As [`Self::transport_key`], and [`crate::Error::Unsupported`] for another hash than the store knows.
    fn transport_key_with(&self, modulus_bits: usize, oaep_hash: Hash) -> Result<Box<dyn TransportKey + '_>> {
        let transport = self.transport_key(modulus_bits)?;
        if transport.oaep_hash() == oaep_hash { Ok(transport) } else { Err(no_such_hash(oaep_hash)) }
    }

    /// Unwraps a blob under a key encryption key that the store holds, and stores what was in it. `expected` is the public half
    /// that the blob must hold, if it is known.
    ///
    /// A store that holds the same key already keeps it and changes nothing.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] if there is no such key encryption key; [`crate::Error::Refused`] if it may not unwrap;
    /// [`crate::Error::Unsupported`]; otherwise as [`TransportKey::unwrap_in`]. Stores that see the key themselves say more of what
    /// is wrong (see [`crate::transfer::open_blob`]).
    fn unwrap_under(
        &self,
        kek: &KeyId,
        oaep_hash: Hash,
        blob: &[u8],
        expected: Option<&RsaPublicKey>,
        request: &KeyRequest,
    ) -> Result<UnwrapOutcome> {
        let _ = (kek, blob, expected, request);
        Err(no_such_hash(oaep_hash))
    }

    /// Completes a key that an interrupted transfer left unfinished, and says whether there was anything to do. A token may
    /// hold the private half without the public object beside it; a store that writes a key in one step has nothing to do.
    ///
    /// # Errors
    /// [`crate::Error::Token`].
    fn complete(&self, key: &KeyRecord) -> Result<bool> {
        let _ = key;
        Ok(false)
    }
}

/// Destroys keys.
pub trait Destroy {
    /// Destroys a key, both halves. Nothing in a migration calls this: it is for tests and demonstrations.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`].
    fn destroy(&self, id: &KeyId) -> Result<()>;
}
