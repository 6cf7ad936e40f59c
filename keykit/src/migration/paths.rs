//! The three paths.

mod hsm_to_hsm;
mod software_to_hsm;
mod software_to_software;

pub use hsm_to_hsm::hsm_to_hsm;
pub use software_to_hsm::software_to_hsm;
pub use software_to_software::software_to_software;

use super::run::{Carried, Migration};
use crate::error::{Error, Result};
use crate::key::RsaPublicKey;
use crate::store::{KeyRecord, KeyRequest, WrapPolicy};

/// Size in bits of the key that a target makes for one transfer.
const TRANSPORT_KEY_BITS: usize = 3072;

/// Wrapped by the source under a key of the target: the way of both paths into a token.
fn carry_wrapped(migration: &Migration<'_>, source: &KeyRecord, request: &KeyRequest) -> Result<Carried> {
    let public: &RsaPublicKey = &source.public;
    let transport = migration.target.as_unwrap_in()?.transport_key(TRANSPORT_KEY_BITS)?;
    let policy = WrapPolicy { oaep_hash: transport.oaep_hash(), allow_host_visible_ephemeral_key: migration.allow_host_visible_ephemeral_key };
    let wrapped = migration.source.as_wrap_out()?.wrap_out(&public.id(), transport.public(), &policy)?;
    let record = transport.unwrap_in(&wrapped.blob, public, request).map_err(|error| match error {
        Error::Crypto => Error::Negative {
            what: format!("{} does not take the wrapped key", migration.target.identity().uri),
            hint: Some("nothing was changed; both stores work as before".into()),
        },
        other => other,
    })?;
    Ok(Carried { record, route: wrapped.route.to_string(), warnings: wrapped.warnings, changed: true })
}
