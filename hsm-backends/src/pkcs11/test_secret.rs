//! Key wrap of secrets that protect nothing, for conformance tests: session objects only, nothing stays in the token.

use cryptoki_sys::CK_MECHANISM_TYPE;
use keykit::secret::SecretBytes;
use keykit::{Error, Result};

use super::error::CallError;
use super::key::NewObjects;
use super::mechanism::mechanism_name;
use super::self_test::{create_with_value, read_value};
use super::store::Pkcs11Store;
use super::sys::Mechanism;

impl Pkcs11Store {
    /// Wraps a test secret in the token under an AES key of the caller (C_WrapKey).
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the token does not offer the mechanism or the kind of key; [`Error::Token`] if it refuses.
    pub fn wrap_test_secret(&self, mechanism: u64, key: &SecretBytes, secret: &[u8]) -> Result<Vec<u8>> {
        let raw = self.offered(mechanism, "wrap a test secret")?;
        self.with_session(|session| {
            let mut new = NewObjects::new(session);
            let failed = |error: CallError| self.test_secret_failed(error, mechanism, "wrap a test secret");
            let handle = new.add(create_with_value(session, &mut self.wrapping_key_template(true), key).map_err(failed)?);
            let secret = create_with_value(session, &mut self.test_secret_template(true), &SecretBytes::copy_of(secret)).map_err(failed)?;
            let secret = new.add(secret);
            self.module.functions.wrap_key(session, &Mechanism::Plain(raw), handle, secret, 4096).map_err(failed)
        })
    }

    /// Unwraps a test secret in the token under an AES key of the caller (C_UnwrapKey), and reads it.
    ///
    /// # Errors
    /// As for [`Self::wrap_test_secret`], and [`Error::Crypto`] if the token refuses what is wrapped.
    pub fn unwrap_test_secret(&self, mechanism: u64, key: &SecretBytes, wrapped: &[u8]) -> Result<SecretBytes> {
        let raw = self.offered(mechanism, "unwrap a test secret")?;
        self.with_session(|session| {
            let mut new = NewObjects::new(session);
            let failed = |error: CallError| self.test_secret_failed(error, mechanism, "unwrap a test secret");
            let handle = new.add(create_with_value(session, &mut self.wrapping_key_template(true), key).map_err(failed)?);
            let template = self.test_secret_template(true);
            let unwrapped = self.module.functions.unwrap_key(session, &Mechanism::Plain(raw), handle, wrapped, &template);
            let secret = new.add(unwrapped.map_err(|error| error.into_unwrap_error(&self.identity.uri, "unwrap a test secret"))?);
            read_value(session, secret).map(SecretBytes::take).map_err(failed)
        })
    }

    fn offered(&self, mechanism: u64, doing: &str) -> Result<CK_MECHANISM_TYPE> {
        let raw = CK_MECHANISM_TYPE::try_from(mechanism).map_err(|_| Error::usage("no mechanism has such a number"))?;
        match self.module.functions.mechanism_info(self.slot, raw) {
            Ok(Some(_)) => Ok(raw),
            Ok(None) => Err(self.mechanism_missing(doing, mechanism_name(mechanism))),
            Err(error) => Err(self.failed(error, doing)),
        }
    }

    fn test_secret_failed(&self, error: CallError, mechanism: u64, doing: &str) -> Error {
        if error.is_unsupported() { self.mechanism_missing(doing, mechanism_name(mechanism)) } else { self.failed(error, doing) }
    }
}
