//! Official rights templates (MS-RMPR §2.2.9.10).

use std::collections::BTreeMap;

use super::UnsignedDocument;
use super::element::{
    add, authenticated_data_element, distribution_point_element, issuer_element, object_element, rights_group, time_range_elements,
};
use crate::error::{Error, Result};
use crate::xrml::guid::Guid;
use crate::xrml::parts::{AuthenticatedData, DistributionPoint, Object, Principal};
use crate::xrml::rights::Right;
use crate::xrml::template::{TemplateName, write_names};
use crate::xrml::time::{TimeRange, XrmlTime};

/// A rights template to be signed. Its body has no version, as in the specification and in every sample.
#[derive(Debug, Clone)]
pub struct Template<'a> {
    /// Its identity.
    pub id: Guid,
    /// Its names by language (LCID).
    pub names: &'a BTreeMap<u32, TemplateName>,
    /// When it is issued.
    pub issued: XrmlTime,
    /// Who issues it, copied from the server licensor certificate.
    pub issuer: &'a Principal,
    /// The publishing point, and whom to ask for rights.
    pub distribution_points: &'a [DistributionPoint],
    /// When content may be used, if that is bounded.
    pub valid: Option<TimeRange>,
    /// The rights, in order. Real templates begin with `OWNER` for the owner.
    pub rights: &'a [Right],
    /// Settings of applications.
    pub authenticated_data: &'a [AuthenticatedData],
}

impl Template<'_> {
    /// The text to be signed.
    ///
    /// # Errors
    /// [`Error::Usage`] if the issuer has no key, for names that [`write_names`] refuses, or for characters that cannot stand
    /// in XML.
    pub fn to_unsigned(&self) -> Result<UnsignedDocument> {
        let key = self.issuer.public_key.as_ref().ok_or_else(|| Error::usage("the issuer of a template needs a key"))?;
        let descriptor = Object { id_type: "MS-GUID".into(), id: self.id.braced(), name: Some(write_names(self.names)?), ..Object::default() };
        let mut body = format!(
            "<BODY type=\"Microsoft Official Rights Template\"><ISSUEDTIME>{}</ISSUEDTIME><DESCRIPTOR>{}</DESCRIPTOR>{}",
            self.issued,
            object_element(&descriptor)?,
            issuer_element(self.issuer)?,
        );
        for point in self.distribution_points {
            body.push_str(&distribution_point_element(point)?);
        }
        body.push_str("<WORK><OBJECT><ID type=\"\" /></OBJECT>");
        if let Some(range) = &self.valid {
            add(&mut body, format_args!("<PRECONDITIONLIST><TIME><RANGETIME>{}</RANGETIME></TIME></PRECONDITIONLIST>", time_range_elements(range)));
        }
        body.push_str(&rights_group(self.rights)?);
        body.push_str("</WORK>");
        for data in self.authenticated_data {
            body.push_str(&authenticated_data_element(data)?);
        }
        body.push_str("</BODY>");
        UnsignedDocument::from_body(body, key)
    }
}
