//! The ways of a key out of a store and into it: tried, never taken from what the store says.

use keykit::key::{EncryptionScheme, Hash, KeyId};
use keykit::store::{ExportPlaintext as _, Generate as _, KeyRequest, KeyStore, Transferability, WrapPolicy, WrapRoute};
use keykit::transfer::{unwrap_rsa_aes, wrap_rsa_aes};
use keykit::{Error, Result};
use keykit_hsm_backends::memory::MemoryStore;
use serde::{Deserialize, Serialize};

/// Key encryption keys of the sizes that providers use, in bits.
const KEK_BITS: [usize; 3] = [2048, 3072, 4096];
/// The key that travels: the size of most licensor keys.
const TRAVELLER_BITS: usize = 2048;

/// Where a key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Out of the store.
    Out,
    /// Into the store.
    In,
}

/// How a key is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Not at all.
    None,
    /// AES key wrap in the token, under a key that this process makes and seals.
    HostVisibleKey,
    /// All in this process, whose store it is.
    InMemory,
    /// OAEP and AES key wrap with padding, both in the token.
    OaepAndKeyWrap,
    /// CKM_RSA_AES_KEY_WRAP in the token.
    RsaAesKeyWrap,
}

impl Way {
    fn of(route: WrapRoute) -> Self {
        match route {
            WrapRoute::RsaAesKeyWrap => Self::RsaAesKeyWrap,
            WrapRoute::OaepAndKeyWrapWithPadding => Self::OaepAndKeyWrap,
            WrapRoute::InMemory => Self::InMemory,
            // The one that is left, and kinds that this program does not know: the least that can be said of them.
            _ => Self::HostVisibleKey,
        }
    }
}

/// A way, as tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where the key goes.
    pub direction: Direction,
    /// Size of the key encryption key in bits.
    pub kek_bits: usize,
    /// Hash of the OAEP step: `SHA-1` or `SHA-256`.
    pub oaep_hash: String,
    /// How it goes; `none` if it does not.
    pub way: Way,
    /// Whether up to seven zero bytes may stand behind the key (SoftHSM 2.6).
    pub may_pad_with_zeros: bool,
    /// Why it does not go; empty if it does.
    pub why_not: String,
}

/// Tries every way. What is made is destroyed again. `way_in` is how a wrapped key gets into a store of this kind: a token opens
/// it by itself, a store in software in this process.
///
/// # Errors
/// [`Error::Token`] if the store is lost; what a way is refused with is in its entry.
pub(super) fn measure(store: &dyn KeyStore, pads: bool, way_in: Way) -> Result<Vec<Route>> {
    let mut routes = out(store, pads)?;
    routes.extend(into(store, way_in)?);
    Ok(routes)
}

fn out(store: &dyn KeyStore, pads: bool) -> Result<Vec<Route>> {
    let request = KeyRequest { transferability: Transferability::Wrapped, ..KeyRequest::labelled("doctor traveller") };
    let traveller = store.as_generate()?.generate(TRAVELLER_BITS, &request)?.id();
    let mut routes = Vec::new();
    for kek_bits in KEK_BITS {
        let receiver = MemoryStore::new();
        let kek = receiver.generate(kek_bits, &KeyRequest::default())?;
        for hash in [Hash::Sha1, Hash::Sha256] {
            let policy = WrapPolicy { oaep_hash: hash, allow_host_visible_ephemeral_key: true };
            let tried = store.as_wrap_out().and_then(|wrap| wrap.wrap_out(&traveller, &kek.public, &policy)).and_then(|outcome| {
                let (opened, _) = unwrap_rsa_aes(&outcome.blob, kek.public.modulus_bytes(), |sealed| open(&receiver, &kek.id(), hash, sealed))?;
                if opened.id() == traveller { Ok(outcome.route) } else { Err(Error::negative("another key came out")) }
            });
            routes.push(match tried {
                Ok(route) => Route {
                    direction: Direction::Out,
                    kek_bits,
                    oaep_hash: hash.to_string(),
                    way: Way::of(route),
                    may_pad_with_zeros: pads && route != WrapRoute::RsaAesKeyWrap,
                    why_not: String::new(),
                },
                Err(error) => no_way(Direction::Out, kek_bits, hash, &error),
            });
        }
    }
    store.as_destroy()?.destroy(&traveller)?;
    Ok(routes)
}

/// Opens the OAEP block of a blob with a key in memory.
fn open(receiver: &MemoryStore, kek: &KeyId, hash: Hash, sealed: &[u8]) -> Result<keykit::secret::SecretBytes> {
    let opened = receiver.decrypt(kek, &EncryptionScheme::oaep(hash), &[sealed])?;
    opened.into_iter().next().and_then(Result::ok).ok_or(Error::Crypto)
}

fn into(store: &dyn KeyStore, way: Way) -> Result<Vec<Route>> {
    let own = MemoryStore::new();
    let source = own.generate(TRAVELLER_BITS, &KeyRequest::default())?.id();
    let key = own.export_plaintext_danger(&source)?;
    let mut routes = Vec::new();
    for kek_bits in KEK_BITS {
        let tried = store.as_unwrap_in().and_then(|unwrap| unwrap.transport_key(kek_bits)).and_then(|transport| {
            let blob = wrap_rsa_aes(&key, transport.public(), transport.oaep_hash())?;
            let record = transport.unwrap_in(&blob, key.public(), &KeyRequest::labelled("doctor traveller"))?;
            store.as_destroy()?.destroy(&record.id())?;
            Ok(transport.oaep_hash())
        });
        routes.push(match tried {
            Ok(hash) => {
                Route { direction: Direction::In, kek_bits, oaep_hash: hash.to_string(), way, may_pad_with_zeros: false, why_not: String::new() }
            }
            Err(error) => no_way(Direction::In, kek_bits, Hash::Sha1, &error),
        });
    }
    Ok(routes)
}

/// Without the store's name, which differs from token to token.
fn no_way(direction: Direction, kek_bits: usize, hash: Hash, error: &Error) -> Route {
    let why_not = match error {
        Error::Unsupported { mechanism, .. } => format!("{mechanism} is not offered"),
        Error::Token(token) => format!("{}: {}", token.function, token.code),
        Error::Negative { what, .. } => what.clone(),
        other => other.code().to_owned(),
    };
    Route { direction, kek_bits, oaep_hash: hash.to_string(), way: Way::None, may_pad_with_zeros: false, why_not }
}
