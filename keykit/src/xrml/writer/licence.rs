//! Publishing licences as servers write them (MS-RMPR §2.2.9.7).

use super::UnsignedDocument;
use super::element::{
    add, authenticated_data_element, distribution_point_element, issuer_element, object_element, principal_element, time_range_elements,
};
use crate::error::{Error, Result};
use crate::xrml::guid::Guid;
use crate::xrml::parts::{AuthenticatedData, DistributionPoint, Object, Principal};
use crate::xrml::time::{TimeRange, XrmlTime};

/// A publishing licence to be signed.
#[derive(Debug, Clone)]
pub struct PublishingLicence<'a> {
    /// When it is issued.
    pub issued: XrmlTime,
    /// When the content may be used, if that is bounded.
    pub valid: Option<TimeRange>,
    /// The template it was made from or the name of its policy, if there is one.
    pub descriptor: Option<&'a Object>,
    /// Who issues it: the server itself (online), or the holder of a client licensor certificate (offline).
    pub issuer: &'a Principal,
    /// Where use licences are to be had.
    pub distribution_points: &'a [DistributionPoint],
    /// The server that the content key is sealed to, with its [`Principal::enabling_bits`].
    pub server: &'a Principal,
    /// The content's identity.
    pub content_id: Guid,
    /// The address of the author.
    pub owner: Option<&'a str>,
    /// Encrypted rights data and settings of applications.
    pub authenticated_data: &'a [AuthenticatedData],
}

impl PublishingLicence<'_> {
    /// The text to be signed.
    ///
    /// # Errors
    /// [`Error::Usage`] if the issuer or the server has no key, or for characters that cannot stand in XML.
    pub fn to_unsigned(&self) -> Result<UnsignedDocument> {
        let key = self.issuer.public_key.as_ref().ok_or_else(|| Error::usage("the issuer of a licence needs a key"))?;
        if self.server.public_key.is_none() {
            return Err(Error::usage("the server of a licence needs a key"));
        }
        let mut body = format!("<BODY type=\"Microsoft Rights Label\" version=\"3.0\"><ISSUEDTIME>{}</ISSUEDTIME>", self.issued);
        if let Some(range) = &self.valid {
            add(&mut body, format_args!("<VALIDITYTIME>{}</VALIDITYTIME>", time_range_elements(range)));
        }
        if let Some(object) = self.descriptor {
            add(&mut body, format_args!("<DESCRIPTOR>{}</DESCRIPTOR>", object_element(object)?));
        }
        body.push_str(&issuer_element(self.issuer)?);
        for point in self.distribution_points {
            body.push_str(&distribution_point_element(point)?);
        }
        let server = Principal { internal_id: Some("1".into()), ..self.server.clone() };
        let content = Object { id_type: "MS-GUID".into(), id: self.content_id.braced(), ..Object::default() };
        add(&mut body, format_args!("<ISSUEDPRINCIPALS>{}</ISSUEDPRINCIPALS><WORK>{}", principal_element(&server)?, object_element(&content)?));
        if let Some(owner) = self.owner {
            let owner = Object { id_type: "Unspecified".into(), name: Some(owner.to_owned()), ..Object::default() };
            add(&mut body, format_args!("<METADATA><OWNER>{}</OWNER></METADATA>", object_element(&owner)?));
        }
        body.push_str("</WORK>");
        for data in self.authenticated_data {
            body.push_str(&authenticated_data_element(data)?);
        }
        body.push_str("</BODY>");
        UnsignedDocument::from_body(body, key)
    }
}
