//! A key of the tenant as a server in XrML: its certificates, and a certificate for a key that has none.

use super::TenantView;
use crate::error::{Error, Result};
use crate::key::{KeyId, RsaPublicKey};
use crate::store::KeyStore;
use crate::xrml::writer::{Certificate, CertificateRole};
use crate::xrml::{Document, Guid, Object, Principal, SecurityLevel, TimeRange, XrmlTime, documents_in};

/// Years for which a new server licensor certificate is good. Those of real servers run for centuries.
const YEARS: i32 = 250;

/// A key's server as its certificate names it, and the certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Licensor {
    /// The server, with its key.
    pub server: Principal,
    /// The certificates as XrML texts, server licensor certificate first.
    pub chain: Vec<String>,
}

impl TenantView {
    /// The server of a key, from the certificate chain that the tenant keeps of it.
    ///
    /// # Errors
    /// [`Error::Read`] if there is no chain; [`Error::Malformed`] if it does not certify the key.
    pub fn licensor(&self, id: &KeyId) -> Result<Licensor> {
        let documents = documents_in(&self.chain_text(id)?)?;
        let certified = |principal: &&Principal| principal.public_key.as_ref().is_some_and(|key| key.id() == *id);
        let server = documents
            .first()
            .and_then(|certificate| certificate.issued_principals().iter().find(certified))
            .ok_or_else(|| Error::malformed("certificate chain", format!("it does not certify the key {}", id.short())))?;
        Ok(Licensor { server: server.clone(), chain: documents.iter().map(|document| document.text().to_owned()).collect() })
    }

    /// The public halves of all keys whose certificates can be read.
    pub(super) fn public_keys(&self) -> Vec<RsaPublicKey> {
        self.keys().iter().filter_map(|key| self.licensor(&key.key_id).ok()?.server.public_key).collect()
    }

    /// A certificate for a new key of the tenant, signed by that key: the new service's own keys have no authority above them.
    /// Name and address are those of `model`.
    pub(super) fn certify(&self, store: &dyn KeyStore, key: &RsaPublicKey, model: &Principal) -> Result<Licensor> {
        let object = Object { id: Guid::random()?.braced(), id_type: "MS-GUID".into(), ..model.object.clone() };
        let server = Principal {
            internal_id: Some("1".into()),
            security_levels: vec![SecurityLevel::new("Tenant-ID", self.tenant_id())],
            ..Principal::new(object, key.clone())
        };
        let now = XrmlTime::now();
        let certificate = Certificate {
            role: CertificateRole::ServerLicensor,
            id: Guid::random()?,
            issued: now,
            valid: TimeRange::between(now.plus_days(-1), now.plus_days(YEARS * 365)),
            issuer: &server,
            subject: &server,
        };
        let text = certificate.to_unsigned()?.sign_with(store)?;
        // What stands in the certificate is what licences will name.
        let document = Document::read(text.as_bytes())?;
        let server = document.issued_principals().first().cloned().ok_or_else(|| Error::Internal("a certificate without its subject".into()))?;
        Ok(Licensor { server, chain: vec![text] })
    }
}
