//! The pieces that bodies are made of (MS-RMPR §2.2.9.1).

use std::fmt;
use std::ops::Range;

use serde::{Serialize, Serializer};

use super::value::{Reading, bytes_of, decode_base64, fault, only_child, public_key, required};
use crate::error::Result;
use crate::key::RsaPublicKey;
use crate::xml::Element;

/// An `<OBJECT>`: who or what something is. Everything in it may be missing. Texts are as they stand, entities resolved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Object {
    /// The `type` attribute, for example `MS-DRM-Server`.
    pub object_type: Option<String>,
    /// The type of the identifier, for example `MS-GUID` or `ascii-tag`; empty where there is no `<ID>`.
    pub id_type: String,
    /// The identifier, without blanks at its ends.
    pub id: String,
    /// The name.
    pub name: Option<String>,
    /// The addresses, in order.
    pub addresses: Vec<Address>,
}

/// An `<ADDRESS>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The `type` attribute: `URL`, `email_alias`.
    pub address_type: String,
    /// The address.
    pub value: String,
}

impl Object {
    /// An object of a type with an identifier.
    #[must_use]
    pub fn new(object_type: &str, id_type: &str, id: &str) -> Self {
        Self { object_type: Some(object_type.to_owned()), id_type: id_type.to_owned(), id: id.to_owned(), name: None, addresses: Vec::new() }
    }

    /// The same with a name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// The same with one more address of the type `URL`.
    #[must_use]
    pub fn at_url(mut self, url: &str) -> Self {
        self.addresses.push(Address { address_type: "URL".into(), value: url.to_owned() });
        self
    }

    /// The first address of the type `URL`.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.addresses.iter().find(|address| address.address_type == "URL").map(|address| address.value.as_str())
    }

    pub(super) fn read(element: &Element<'_>) -> Result<Self> {
        let id = only_child(element, "ID")?;
        Ok(Self {
            object_type: element.attribute("type").map(str::to_owned),
            id_type: id.and_then(|id| id.attribute("type")).unwrap_or_default().to_owned(),
            id: id.map(|id| id.trimmed().to_owned()).unwrap_or_default(),
            name: only_child(element, "NAME")?.map(|name| name.text.clone().into_owned()),
            addresses: element
                .children_named("ADDRESS")
                .map(|address| Address {
                    address_type: address.attribute("type").unwrap_or_default().to_owned(),
                    value: address.trimmed().to_owned(),
                })
                .collect(),
        })
    }

    /// The object inside an element, if there is one.
    pub(super) fn inside(element: &Element<'_>) -> Result<Option<Self>> {
        only_child(element, "OBJECT")?.map(Self::read).transpose()
    }
}

/// A `<SECURITYLEVEL>`: a named property of a principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityLevel {
    /// The name, for example `Server-Version` or `Tenant-ID`.
    pub name: String,
    /// The value.
    pub value: String,
}

impl SecurityLevel {
    /// A property.
    #[must_use]
    pub fn new(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: value.to_owned() }
    }
}

/// A `<PRINCIPAL>` or the `<ISSUER>`, which has the same parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Principal {
    /// The number that other parts of the body name the principal by; never set for the issuer.
    pub internal_id: Option<String>,
    /// Who it is.
    pub object: Object,
    /// Its key.
    pub public_key: Option<RsaPublicKey>,
    /// Its properties, in order.
    pub security_levels: Vec<SecurityLevel>,
    /// Keys sealed to it, in order.
    pub enabling_bits: Vec<EnablingBits>,
}

impl Principal {
    /// A principal with a key and nothing sealed to it.
    #[must_use]
    pub fn new(object: Object, public_key: RsaPublicKey) -> Self {
        Self { internal_id: None, object, public_key: Some(public_key), security_levels: Vec::new(), enabling_bits: Vec::new() }
    }

    /// The value of a property.
    #[must_use]
    pub fn security_level(&self, name: &str) -> Option<&str> {
        self.security_levels.iter().find(|level| level.name == name).map(|level| level.value.as_str())
    }

    pub(super) fn read(element: &Element<'_>) -> Result<Self> {
        Ok(Self {
            internal_id: element.attribute("internal-id").map(str::to_owned),
            object: Object::inside(element)?.unwrap_or_default(),
            public_key: only_child(element, "PUBLICKEY")?.map(public_key).transpose()?,
            security_levels: element
                .children_named("SECURITYLEVEL")
                .map(|level| SecurityLevel::new(level.attribute("name").unwrap_or_default(), level.attribute("value").unwrap_or_default()))
                .collect(),
            enabling_bits: element.children_named("ENABLINGBITS").map(EnablingBits::read).collect::<Result<_>>()?,
        })
    }
}

/// How enabling bits are sealed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SealAlgorithm {
    /// `sealed-key`: PKCS#1 v1.5, cryptographic mode 1.
    SealedKey,
    /// `sealed-key-v2`: OAEP, cryptographic mode 2.
    SealedKeyV2,
    /// A name that is not known.
    Other(String),
}

impl SealAlgorithm {
    /// The name in the `type` attribute.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::SealedKey => "sealed-key",
            Self::SealedKeyV2 => "sealed-key-v2",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for SealAlgorithm {
    fn from(name: &str) -> Self {
        match name {
            "sealed-key" => Self::SealedKey,
            "sealed-key-v2" => Self::SealedKeyV2,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for SealAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for SealAlgorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// `<ENABLINGBITS>`: a key sealed to another key. The bytes are ciphertext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnablingBits {
    /// How it is sealed.
    pub algorithm: SealAlgorithm,
    /// The RSA block, big-endian, and the symmetric part after it.
    pub bytes: Vec<u8>,
}

impl EnablingBits {
    /// The length in bits, as the `size` attribute states it.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.bytes.len() * 8
    }

    pub(super) fn read(element: &Element<'_>) -> Result<Self> {
        Ok(Self { algorithm: element.attribute("type").unwrap_or_default().into(), bytes: bytes_of(required(element, "VALUE")?, Reading::Lenient)? })
    }
}

/// Enabling bits with the place where they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKey {
    /// Names of the elements from the body down, for example `ISSUEDPRINCIPALS/PRINCIPAL`.
    pub place: String,
    /// The right whose condition they are, for example `ISSUE` in a client licensor certificate.
    pub right: Option<String>,
    /// The internal id of the principal around them.
    pub internal_id: Option<String>,
    /// Bytes of [`super::Document::text`] that the `<ENABLINGBITS>` element takes.
    pub range: Range<usize>,
    /// The enabling bits.
    pub enabling_bits: EnablingBits,
}

impl SealedKey {
    /// All enabling bits below an element, in document order.
    pub(super) fn collect(body: &Element<'_>, base: usize) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        Self::descend(body, base, &mut Vec::new(), &mut found)?;
        Ok(found)
    }

    /// Goes down at most [`crate::xml::MAX_DEPTH`] levels.
    fn descend<'e>(element: &'e Element<'_>, base: usize, path: &mut Vec<&'e Element<'e>>, found: &mut Vec<Self>) -> Result<()> {
        for child in &element.children {
            if child.name == "ENABLINGBITS" {
                found.push(Self {
                    place: path.iter().map(|element| element.name).collect::<Vec<_>>().join("/"),
                    right: path.iter().rev().find_map(|element| right_name(element)).map(str::to_owned),
                    internal_id: path.last().and_then(|principal| principal.attribute("internal-id")).map(str::to_owned),
                    range: child.range.start.saturating_sub(base)..child.range.end.saturating_sub(base),
                    enabling_bits: EnablingBits::read(child)?,
                });
            } else {
                path.push(child);
                Self::descend(child, base, path, found)?;
                path.pop();
            }
        }
        Ok(())
    }
}

/// The name of the right that an element grants, in the form with a `name`.
fn right_name<'e>(element: &'e Element<'_>) -> Option<&'e str> {
    (element.name == "RIGHT").then(|| element.attribute("name"))?
}

/// A `<DISTRIBUTIONPOINT>`: an address of a service, by its object's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistributionPoint {
    /// What it is and where. The type is for example `License-Acquisition-URL`.
    pub object: Object,
    /// A key, which only points of revocation have.
    pub public_key: Option<RsaPublicKey>,
}

impl DistributionPoint {
    /// A point without a key.
    #[must_use]
    pub fn new(object: Object) -> Self {
        Self { object, public_key: None }
    }

    pub(super) fn read(element: &Element<'_>) -> Result<Self> {
        Ok(Self { object: Object::inside(element)?.unwrap_or_default(), public_key: only_child(element, "PUBLICKEY")?.map(public_key).transpose()? })
    }
}

/// An `<AUTHENTICATEDDATA>`: data that the signature covers and that only its readers understand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticatedData {
    /// The `id` attribute: `Encrypted-Rights-Data`, `APPSPECIFIC`.
    pub id: Option<String>,
    /// The `name` attribute, which application-specific data have.
    pub name: Option<String>,
    /// The text, as it stands.
    pub value: String,
}

impl AuthenticatedData {
    /// The `id` of encrypted rights data.
    pub const ENCRYPTED_RIGHTS_DATA: &'static str = "Encrypted-Rights-Data";

    /// Encrypted rights data from their ciphertext.
    #[must_use]
    pub fn encrypted_rights_data(ciphertext: &[u8]) -> Self {
        Self { id: Some(Self::ENCRYPTED_RIGHTS_DATA.into()), name: None, value: super::value::encode_base64(ciphertext) }
    }

    /// A named setting for applications.
    #[must_use]
    pub fn application_specific(name: &str, value: &str) -> Self {
        Self { id: Some("APPSPECIFIC".into()), name: Some(name.to_owned()), value: value.to_owned() }
    }

    /// The bytes, if the text is base64.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        decode_base64(&self.value, Reading::Lenient)
    }

    pub(super) fn read(element: &Element<'_>) -> Result<Self> {
        if !element.children.is_empty() {
            return Err(fault(element, "authenticated data with elements inside"));
        }
        Ok(Self {
            id: element.attribute("id").map(str::to_owned),
            name: element.attribute("name").map(str::to_owned),
            value: element.text.clone().into_owned(),
        })
    }
}

/// What a licence is about: the `<WORK>` without its rights.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Work {
    /// The content's identity.
    pub object: Object,
    /// The owner (author), from `METADATA/OWNER`.
    pub owner: Option<Object>,
}

impl Work {
    pub(super) fn read(element: &Element<'_>) -> Result<Self> {
        let owner = element.descend(&["METADATA", "OWNER"]);
        Ok(Self { object: Object::inside(element)?.unwrap_or_default(), owner: owner.map(Object::inside).transpose()?.flatten() })
    }
}
