//! Certificates of authorities and servers (MS-RMPR §2.2.9.3).

use super::UnsignedDocument;
use super::element::{issuer_element, principal_element, rights_group};
use crate::error::{Error, Result};
use crate::key::RsaPublicKey;
use crate::xrml::guid::Guid;
use crate::xrml::parts::{Object, Principal};
use crate::xrml::rights::{Right, RightHolder};
use crate::xrml::time::{TimeRange, XrmlTime};

/// What a certificate lets its subject issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateRole {
    /// Certificates of other authorities and of servers (`DRM-CA-Certificate`).
    CertificateAuthority,
    /// Licences, certificates of accounts and clients, templates (`Server-Licensor-Certificate`).
    ServerLicensor,
}

impl CertificateRole {
    fn object_type(self) -> &'static str {
        match self {
            Self::CertificateAuthority => "DRM-CA-Certificate",
            Self::ServerLicensor => "Server-Licensor-Certificate",
        }
    }
}

/// A certificate to be signed. A root is one whose issuer is its subject.
#[derive(Debug, Clone)]
pub struct Certificate<'a> {
    /// What it is for.
    pub role: CertificateRole,
    /// Its own identity.
    pub id: Guid,
    /// When it is issued.
    pub issued: XrmlTime,
    /// When its subject may issue.
    pub valid: TimeRange,
    /// Who issues it, copied from the certificate of the issuer.
    pub issuer: &'a Principal,
    /// Whose key it certifies.
    pub subject: &'a Principal,
}

impl Certificate<'_> {
    /// The text to be signed.
    ///
    /// # Errors
    /// [`Error::Usage`] if the issuer or the subject has no key, or for characters that cannot stand in XML.
    pub fn to_unsigned(&self) -> Result<UnsignedDocument> {
        let key = self.issuer.public_key.as_ref().ok_or_else(|| Error::usage("the issuer of a certificate needs a key"))?;
        if self.subject.public_key.is_none() {
            return Err(Error::usage("a certificate needs the key that it certifies"));
        }
        let subject = Principal { internal_id: Some("1".into()), enabling_bits: Vec::new(), ..self.subject.clone() };
        let issue = Right { range: Some(self.valid), ..Right::new("ISSUE", vec![RightHolder::Principal("1".into())]) };
        let object = super::element::object_element(&Object::new(self.role.object_type(), "MS-GUID", &self.id.braced()))?;
        let body = format!(
            "<BODY type=\"LICENSE\" version=\"3.0\"><ISSUEDTIME>{}</ISSUEDTIME><DESCRIPTOR>{object}</DESCRIPTOR>{}\
             <ISSUEDPRINCIPALS>{}</ISSUEDPRINCIPALS><WORK>{object}{}</WORK></BODY>",
            self.issued,
            issuer_element(self.issuer)?,
            principal_element(&subject)?,
            rights_group(&[issue])?,
        );
        UnsignedDocument::from_body(body, key)
    }
}

/// The root of hierarchies that are made for demonstrations and tests. Its name says so.
#[must_use]
pub fn demonstration_root(key: &RsaPublicKey) -> Principal {
    const NAME: &str = "keykit demonstration root";
    Principal::new(Object::new("DRM-Certificate-Authority", "ascii-tag", NAME).named(NAME), key.clone())
}
