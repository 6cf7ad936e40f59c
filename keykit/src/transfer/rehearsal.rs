//! The rehearsal of a transfer: out, in, and the proof that it is the same key, with a key encryption key of our own.

use jiff::Timestamp;

use super::offered_key::OfferedKey;
use super::package::{Package, PackageOptions, open_envelope};
use super::profile::TransferProfile;
use crate::error::{Error, Result};
use crate::key::{Hash, KeyId};
use crate::secret::SecretBytes;
use crate::store::{KeyRequest, KeyStore};

/// Label of the key in the receiving store while it is there.
const LABEL: &str = "keykit rehearsal";

/// What a rehearsal showed.
#[derive(Debug)]
pub struct Rehearsal {
    /// The package; nobody has the key to it any more.
    pub package: Package,
    /// Size of the key encryption key that was made for it.
    pub kek_bits: usize,
}

/// Wraps a key under a new key encryption key of the receiving store, unwraps it there, and proves that it is the same key. What
/// was made is destroyed, whatever happens.
///
/// # Errors
/// [`Error::Refused`] if the receiving store holds the key already, or the profile does not take it; [`Error::Unsupported`] if one
/// of the stores cannot do its part with the profile's hash; [`Error::Negative`] if the key that arrived is not the same.
pub fn rehearse(
    source: &dyn KeyStore,
    key: &KeyId,
    receiver: &dyn KeyStore,
    profile: &TransferProfile,
    kek_bits: Option<usize>,
    options: &PackageOptions,
) -> Result<Rehearsal> {
    match receiver.find(key) {
        Err(Error::NotFound { .. }) => {}
        Ok(_) | Err(Error::Conflict { .. }) => {
            return Err(Error::refused_by_policy(
                format!(
                    "{} holds the key {} already: a rehearsal there would prove nothing, and destroys what it made",
                    receiver.identity().uri,
                    key.short()
                ),
                "rehearse in memory, or on an empty token",
            ));
        }
        Err(error) => return Err(error),
    }
    let largest = profile.kek.bits.last().copied().ok_or_else(|| Error::Internal("a profile without sizes".into()))?;
    let kek_bits = kek_bits.unwrap_or(largest);
    let transport = receiver.as_unwrap_in()?.transport_key_with(kek_bits, profile.oaep_hash)?;
    // It is checked as a key that came from outside would be.
    let fingerprint = transport.public().id().to_string();
    let kek = OfferedKey::made_here(transport.public().clone()).confirm(Some(&fingerprint), profile, Timestamp::now())?;
    let package = Package::make(source, key, &kek, profile, options)?;
    let blob = open_envelope(&package.bytes, profile)?;
    let arrived = Arrived { receiver, key, there: true };
    let record = transport.unwrap_in(&blob, &package.key, &KeyRequest::labelled(LABEL))?;
    let proof = prove(source, receiver, key, record.id());
    arrived.destroy()?;
    proof?;
    Ok(Rehearsal { package, kek_bits })
}

/// The same public half, and the same signature: RSASSA-PKCS1-v1_5 is deterministic.
fn prove(source: &dyn KeyStore, receiver: &dyn KeyStore, key: &KeyId, found: KeyId) -> Result<()> {
    let differs = |what: &str| Err(Error::negative(format!("the key that arrived in {} {what}", receiver.identity().uri)));
    if found != *key {
        return differs("is another one");
    }
    let challenge = Hash::Sha256.digest(SecretBytes::random(32)?.expose());
    let (before, after) = (source.sign(key, &[challenge])?, receiver.sign(key, &[challenge])?);
    let public = source.find(key)?.public;
    match (before.as_slice(), after.as_slice()) {
        ([before], [after]) if before == after && public.verify(&challenge, after) => Ok(()),
        _ => differs("does not sign as it did before"),
    }
}

/// The key in the receiving store, which goes when this does.
struct Arrived<'a> {
    receiver: &'a dyn KeyStore,
    key: &'a KeyId,
    there: bool,
}

impl Arrived<'_> {
    /// Destroys the key and says whether that worked.
    fn destroy(mut self) -> Result<()> {
        self.there = false;
        self.receiver.as_destroy()?.destroy(self.key)
    }
}

impl Drop for Arrived<'_> {
    /// For the ways out that are errors already.
    fn drop(&mut self) {
        if self.there
            && let Ok(store) = self.receiver.as_destroy()
        {
            drop(store.destroy(self.key));
        }
    }
}
