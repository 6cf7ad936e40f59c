//! Publishing licences: what a document is protected with (MS-RMPR §2.2.9.7).
//!
//! A publishing licence carries the content key, sealed to the server, and the rights, encrypted under the content key. Only
//! the holder of the server's key can read either; the server then issues a use licence to each reader.

use super::enabling_bits::{self, OpenedKey};
use super::{ContentKey, SealAlgorithm, rights_data};
use crate::error::{Error, Result};
use crate::key::{CryptographicMode, Digest, KeyId, RsaPublicKey};
use crate::store::KeyStore;
use crate::xrml::writer::{
    PublishingLicence, UnsignedDocument, authenticated_data_element, enabling_bits_element, object_element, principal_element, right_element,
};
use crate::xrml::{
    AuthenticatedData, DistributionPoint, Document, DocumentKind, EnablingBits, Guid, Object, Principal, Right, SealedKey, SignatureCheck, TimeRange,
    XrmlTime,
};

const FORMAT: &str = "publishing licence";
/// Where the content key stands.
const PLACE: &str = "ISSUEDPRINCIPALS/PRINCIPAL";
/// The type of the object with the address where use licences are to be had.
pub(super) const INTRANET_LICENSING: &str = "License-Acquisition-URL";
/// The same from outside.
pub(super) const EXTRANET_LICENSING: &str = "Extranet-License-Acquisition-URL";

/// A publishing licence to be issued by a server under its own key.
#[derive(Debug, Clone, Copy)]
pub struct NewPublishingLicence<'a> {
    /// When it is issued.
    pub issued: XrmlTime,
    /// When the content may be used, if that is bounded.
    pub valid: Option<TimeRange>,
    /// The template it is made from or the name of its policy, if there is one.
    pub descriptor: Option<&'a Object>,
    /// The server, with its key, copied from its server licensor certificate. The size of the key decides the mode.
    pub server: &'a Principal,
    /// Addresses where use licences are to be had.
    pub distribution_points: &'a [DistributionPoint],
    /// Identity of the content.
    pub content_id: Guid,
    /// Address of the author.
    pub owner: Option<&'a str>,
    /// Who may do what. It is readable for the holder of the content key only.
    pub rights: &'a [Right],
    /// Settings for applications. They stand with the rights.
    pub application_data: &'a [AuthenticatedData],
}

impl NewPublishingLicence<'_> {
    /// The XrML text of the rights (MS-RMPR §2.2.9.8).
    ///
    /// # Errors
    /// [`Error::Usage`] for characters that cannot stand in XML.
    pub fn rights_text(&self) -> Result<String> {
        let content = object_element(&Object { id_type: "MS-GUID".into(), id: self.content_id.braced(), ..Object::default() })?;
        let descriptor =
            self.descriptor.map(|object| object_element(object).map(|object| format!("<DESCRIPTOR>{object}</DESCRIPTOR>"))).transpose()?;
        let owner = self.owner.map(owner_element).transpose()?.unwrap_or_default();
        let rights = self.rights.iter().map(right_element).collect::<Result<String>>()?;
        let data = self.application_data.iter().map(authenticated_data_element).collect::<Result<String>>()?;
        Ok(format!(
            "<XrML version=\"1.2\" xmlns=\"\"><BODY type=\"Microsoft Rights Template\"><ISSUEDTIME>{}</ISSUEDTIME>{}<WORK>{content}{owner}\
             <RIGHTSGROUP name=\"Main-Rights\"><RIGHTSLIST>{rights}</RIGHTSLIST></RIGHTSGROUP></WORK>{data}</BODY></XrML>",
            self.issued,
            descriptor.unwrap_or_default(),
        ))
    }

    /// Seals the content key to the server and encrypts the rights. The result waits for the server's signature: see
    /// [`UnsignedDocument`] for how to sign many in one batch.
    ///
    /// # Errors
    /// [`Error::Usage`] if the server has no key or one of neither mode, or for characters that cannot stand in XML.
    pub fn seal(&self, content_key: &ContentKey) -> Result<UnsignedDocument> {
        let server = Principal { internal_id: Some("1".into()), ..self.server.clone() };
        let server = seal_to_server(&server, content_key)?;
        let rights = rights_data::encrypt(content_key, &self.rights_text()?)?;
        PublishingLicence {
            issued: self.issued,
            valid: self.valid,
            descriptor: self.descriptor,
            issuer: self.server,
            distribution_points: self.distribution_points,
            server: &server,
            content_id: self.content_id,
            owner: self.owner,
            authenticated_data: &[AuthenticatedData::encrypted_rights_data(&rights)],
        }
        .to_unsigned()
    }

    /// Issues the licence: [`Self::seal`], signed by the store that holds the server's key. Gives its XrML text.
    ///
    /// # Errors
    /// As [`Self::seal`], and as [`UnsignedDocument::sign_with`].
    pub fn issue(&self, store: &dyn KeyStore, content_key: &ContentKey) -> Result<String> {
        self.seal(content_key)?.sign_with(store)
    }
}

/// A publishing licence that was opened.
#[derive(Debug, PartialEq, Eq)]
pub struct OpenedPublishingLicence {
    /// The key of the content.
    pub content_key: ContentKey,
    /// The server's key that opened it.
    pub server_key: KeyId,
    /// Whether the content key was sealed for this very ISSUEDPRINCIPALS element, its ENABLINGBITS left out. What exactly other
    /// writers hash is not known, so `false` does not mean that anything is wrong.
    pub is_bound: bool,
    /// Whether the server itself issued it, and not the holder of a client licensor certificate.
    pub issued_by_server: bool,
    /// When it was issued.
    pub issued: Option<XrmlTime>,
    /// When the content may be used, if that is bounded.
    pub validity: Option<TimeRange>,
    /// Identity of the content, as it stands.
    pub content_id: String,
    /// Name of the owner (author): an address.
    pub owner: Option<String>,
    /// Addresses where use licences are to be had, in order.
    pub licensing_urls: Vec<String>,
    /// The XrML text of the encrypted rights data, if there are some.
    pub rights_text: Option<String>,
    /// Who may do what, from the encrypted rights data.
    pub rights: Vec<Right>,
}

/// Opens a publishing licence with the server's key: its signature is checked, its content key unsealed, its rights decrypted.
///
/// The signature is checked under the key that the licence names as its issuer's. Who that is, is for [`crate::xrml::Chain`]
/// to say, unless [`OpenedPublishingLicence::issued_by_server`].
///
/// # Errors
/// [`Error::Malformed`] if it is no publishing licence with one sealed content key; [`Error::Negative`] if its signature does
/// not hold; [`Error::NotFound`] that names the key if the store does not hold it; [`Error::Crypto`] if it does not open.
pub fn open_publishing_licence(store: &dyn KeyStore, document: &Document) -> Result<OpenedPublishingLicence> {
    let sealed = SealedToServer::of(document)?;
    check_signature(document)?;
    let opened = enabling_bits::open(store, &sealed.key.id(), sealed.algorithm, &sealed.sealed.enabling_bits.bytes)?;
    let rights_text = open_rights(document, &opened.key)?;
    let rights = rights_text.as_deref().map(|text| Document::read(text.as_bytes())).transpose()?.map(|rights| rights.rights().to_vec());
    let work = document.work();
    Ok(OpenedPublishingLicence {
        server_key: sealed.key.id(),
        is_bound: sealed.is_bound(document, &opened),
        issued_by_server: document.issuer_key() == Some(sealed.key),
        issued: document.issued(),
        validity: document.validity(),
        content_id: work.map(|work| work.object.id.clone()).unwrap_or_default(),
        owner: work.and_then(|work| work.owner.as_ref()).and_then(|owner| owner.name.clone()),
        licensing_urls: licensing_points(document).filter_map(|point| point.object.url().map(str::to_owned)).collect(),
        rights: rights.unwrap_or_default(),
        content_key: opened.key,
        rights_text,
    })
}

/// The content key of a publishing licence, sealed as it stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedContentKey<'a> {
    /// The server's key that it is sealed to.
    pub server_key: KeyId,
    /// How it is sealed.
    pub algorithm: SealAlgorithm,
    /// The enabling bits.
    pub bytes: &'a [u8],
}

impl<'a> SealedContentKey<'a> {
    /// Finds it in a publishing licence. Nothing is checked of signatures, and nothing is opened.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is no publishing licence with exactly one sealed content key.
    pub fn of(document: &'a Document) -> Result<Self> {
        let found = SealedToServer::of(document)?;
        Ok(Self { server_key: found.key.id(), algorithm: found.algorithm, bytes: &found.sealed.enabling_bits.bytes })
    }
}

/// The one content key of a publishing licence, and the server's key that it is sealed to.
#[derive(Debug, Clone, Copy)]
pub(super) struct SealedToServer<'a> {
    pub(super) server: &'a Principal,
    pub(super) key: &'a RsaPublicKey,
    pub(super) algorithm: SealAlgorithm,
    pub(super) sealed: &'a SealedKey,
}

impl<'a> SealedToServer<'a> {
    /// # Errors
    /// [`Error::Malformed`] unless there is exactly one server, with exactly one sealed key, and no sealed key elsewhere.
    pub(super) fn of(document: &'a Document) -> Result<Self> {
        if *document.kind() != DocumentKind::PublishingLicence {
            return Err(Error::malformed(FORMAT, format!("a {} where a publishing licence should be", document.kind())));
        }
        let ([server], [sealed]) = (document.issued_principals(), document.sealed_keys()) else {
            return Err(Error::malformed(FORMAT, "it does not have exactly one server with one sealed content key"));
        };
        let key = server.public_key.as_ref().filter(|_| sealed.place == PLACE);
        let key = key.ok_or_else(|| Error::malformed(FORMAT, "the content key is not sealed to a server that the licence names with its key"))?;
        let name = sealed.enabling_bits.algorithm.name();
        let algorithm = SealAlgorithm::from_name(name)
            .ok_or_else(|| Error::malformed(FORMAT, format!("the content key is sealed in an unknown way: '{}'", name.escape_debug())))?;
        Ok(Self { server, key, algorithm, sealed })
    }

    /// Whether an opened key was sealed for the element without its ENABLINGBITS.
    pub(super) fn is_bound(&self, document: &Document, opened: &OpenedKey) -> bool {
        self.bound_text(document).is_some_and(|[before, after]| opened.is_bound_to(&[before, after].concat()))
    }

    /// What stands before and after the ENABLINGBITS in their element: what the key is bound to.
    pub(super) fn bound_text<'d>(&self, document: &'d Document) -> Option<[&'d str; 2]> {
        let (whole, bits) = (document.issued_principals_range()?, &self.sealed.range);
        Some([document.text().get(whole.start..bits.start)?, document.text().get(bits.end..whole.end)?])
    }
}

/// ISSUEDPRINCIPALS of a server that content keys are to be sealed to.
#[derive(Debug)]
pub(super) struct ServerElement {
    /// The element without a sealed key: what a key is bound to.
    text: String,
    /// Where the sealed key goes.
    place: usize,
    /// The hash of the text.
    bound: Digest,
    mode: CryptographicMode,
}

impl ServerElement {
    /// # Errors
    /// [`Error::Usage`] for a server without a key, with a key of neither mode, and for characters that cannot stand in XML.
    pub(super) fn new(server: &Principal) -> Result<Self> {
        let key = server.public_key.as_ref().ok_or_else(|| Error::usage("the server of a licence needs a key"))?;
        let mode = mode_of(key)?;
        let bare = Principal { enabling_bits: Vec::new(), ..server.clone() };
        let text = principals_element(&bare)?;
        let bits = EnablingBits { algorithm: SealAlgorithm::for_mode(mode).as_str().into(), bytes: Vec::new() };
        let element = enabling_bits_element(&bits)?;
        let with_bits = principals_element(&Principal { enabling_bits: vec![bits], ..bare })?;
        let place = with_bits.find(&element).filter(|place| with_bits.replacen(&element, "", 1) == text && text.is_char_boundary(*place));
        let place = place.ok_or_else(|| Error::Internal("a sealed key has no place in its element".into()))?;
        Ok(Self { bound: enabling_bits::hash_of(mode.signature_hash(), &text), text, place, mode })
    }

    /// The hash that content keys are bound by.
    pub(super) fn bound(&self) -> Digest {
        self.bound
    }

    /// What content keys are bound to.
    pub(super) fn bound_text(&self) -> &str {
        &self.text
    }

    /// The element with a sealed key.
    pub(super) fn with(&self, sealed: &[u8]) -> Result<String> {
        let bits = enabling_bits_element(&EnablingBits { algorithm: SealAlgorithm::for_mode(self.mode).as_str().into(), bytes: sealed.to_vec() })?;
        let (before, after) = self.text.split_at_checked(self.place).ok_or_else(|| Error::Internal("a place outside of its element".into()))?;
        Ok([before, &bits, after].concat())
    }
}

/// Seals a content key to a server: the server with the sealed key.
pub(super) fn seal_to_server(server: &Principal, content_key: &ContentKey) -> Result<Principal> {
    let element = ServerElement::new(server)?;
    let key = server.public_key.as_ref().ok_or_else(|| Error::usage("the server of a licence needs a key"))?;
    let bytes = enabling_bits::seal(content_key, key, element.mode, element.bound_text())?;
    let bits = EnablingBits { algorithm: SealAlgorithm::for_mode(element.mode).as_str().into(), bytes };
    Ok(Principal { enabling_bits: vec![bits], ..server.clone() })
}

fn principals_element(server: &Principal) -> Result<String> {
    Ok(format!("<ISSUEDPRINCIPALS>{}</ISSUEDPRINCIPALS>", principal_element(server)?))
}

/// `<METADATA>` with the owner.
pub(super) fn owner_element(owner: &str) -> Result<String> {
    let owner = object_element(&Object { id_type: "Unspecified".into(), name: Some(owner.to_owned()), ..Object::default() })?;
    Ok(format!("<METADATA><OWNER>{owner}</OWNER></METADATA>"))
}

/// The mode of a key that licences are sealed to.
pub(super) fn mode_of(key: &RsaPublicKey) -> Result<CryptographicMode> {
    CryptographicMode::of_modulus_bits(key.modulus_bits()).ok_or_else(|| {
        Error::usage(format!("licences are sealed to keys of 1024 or 2048 bits; the key {} has {}", key.id().short(), key.modulus_bits()))
    })
}

/// Checks the signature under the key that the document names.
pub(super) fn check_signature(document: &Document) -> Result<()> {
    check_signature_under(document, document.issuer_key())
}

/// Checks the signature under a key.
pub(super) fn check_signature_under(document: &Document, key: Option<&RsaPublicKey>) -> Result<()> {
    judge(document, document.check_signature_under(key))
}

/// What was found of a signature, as an error if it does not hold.
pub(super) fn judge(document: &Document, check: SignatureCheck) -> Result<()> {
    match check.problem() {
        None => Ok(()),
        Some(problem) => Err(Error::negative(format!("the {} is not sound: {problem}", document.kind()))
            .with_hint("it was changed or damaged after it was issued; take it from the original document again")),
    }
}

/// Decrypts the rights, if there are some.
pub(super) fn open_rights(document: &Document, content_key: &ContentKey) -> Result<Option<String>> {
    document.encrypted_rights_data()?.map(|data| rights_data::decrypt(content_key, &data)).transpose()
}

/// The addresses where use licences are to be had.
fn licensing_points(document: &Document) -> impl Iterator<Item = &DistributionPoint> {
    document
        .distribution_points()
        .iter()
        .filter(|point| point.object.object_type.as_deref().is_some_and(|name| name == INTRANET_LICENSING || name == EXTRANET_LICENSING))
}

#[cfg(test)]
mod tests;
