//! The way out: a trusted publishing domain of a tenant's key (rules 223 and 224).

use super::TenantKeyring;
use crate::error::{Error, Result};
use crate::key::{KeyId, RsaSecretKey};
use crate::tpd::{KeyDerivation, KeyInformation, TrustedPublishingDomain};

/// `PROV_RSA_AES`, which takes keys of both modes.
const PROVIDER_TYPE: u32 = 24;
const PROVIDER: &str = "Microsoft Enhanced RSA and AES Cryptographic Provider";

impl TenantKeyring {
    /// The domain of a key: its certificates, the templates that it signed, and the key itself if it is given. A key in a token
    /// cannot leave it, and makes a domain without key.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the tenant has no such key; [`Error::Malformed`] if `key` is another key or its chain cannot be read.
    pub fn export_domain(&self, id: &KeyId, key: Option<RsaSecretKey>) -> Result<TrustedPublishingDomain> {
        let known = self.key(id).ok_or_else(|| self.no_such_key(id))?;
        if key.as_ref().is_some_and(|key| key.id() != *id) {
            return Err(Error::malformed("trusted publishing domain", "the key that is given is not the key that is to be exported"));
        }
        let licensor = self.licensor(id)?;
        let mut templates = Vec::new();
        for template in self.templates().iter().filter(|template| template.signed_by == Some(*id)) {
            templates.push(self.template_document(template)?.text().to_owned());
        }
        let information = KeyInformation {
            id: licensor.server.object.id,
            id_type: licensor.server.object.id_type,
            csp_type: PROVIDER_TYPE,
            csp_name: PROVIDER.to_owned(),
            key_container: known.label.clone(),
            key_number: 1,
        };
        TrustedPublishingDomain::new(information, licensor.chain, templates, key, KeyDerivation::Sha256)
    }
}
