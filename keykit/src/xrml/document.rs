//! One signed document, exactly as it is stored.

use std::fmt;
use std::ops::Range;

use memchr::memchr_iter;

use super::FORMAT;
use super::kind::DocumentKind;
use super::parts::{AuthenticatedData, DistributionPoint, Object, Principal, SealedKey, Work};
use super::rights::{Right, read_ends};
use super::signature::Signature;
use super::time::{TimeRange, XrmlTime};
use super::value::{fault, only_child, required};
use crate::error::{Error, Result};
use crate::key::RsaPublicKey;
use crate::xml::{self, Element};

/// Most bytes that [`documents_in`] reads.
pub const MAX_BYTES: usize = 64 << 20;
/// Most documents in one text. Real chains hold eight.
pub const MAX_DOCUMENTS: usize = 1024;

/// Elements that a body may hold once only: two of them could be read in two ways.
const ONCE_IN_A_BODY: [&str; 6] = ["ISSUEDTIME", "VALIDITYTIME", "DESCRIPTOR", "ISSUER", "ISSUEDPRINCIPALS", "FEDERATIONPRINCIPALS"];

/// A certificate, licence or template: its exact text, and its fields.
///
/// The fields come from the body, which the signature covers, except [`Document::purpose`] and the signature itself. Reading
/// checks no signature: see [`Document::check_signature`] and [`super::Chain`].
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    text: String,
    body: Range<usize>,
    issuer_range: Option<Range<usize>>,
    principals_range: Option<Range<usize>>,
    purpose: Option<String>,
    body_type: String,
    body_version: Option<String>,
    kind: DocumentKind,
    issued: Option<XrmlTime>,
    validity: Option<TimeRange>,
    descriptor: Option<Object>,
    issuer: Option<Principal>,
    issued_principals: Vec<Principal>,
    federation_principals: Vec<Principal>,
    distribution_points: Vec<DistributionPoint>,
    work: Option<Work>,
    rights: Vec<Right>,
    authenticated_data: Vec<AuthenticatedData>,
    sealed_keys: Vec<SealedKey>,
    signature: Option<Signature>,
}

/// All documents in a text, in order: one, or a chain of several one after the other.
///
/// The text may be stored in UTF-8 or UTF-16, with XML declarations, byte order marks and NULs between the documents.
///
/// # Errors
/// [`Error::Malformed`] for anything that is no XrML, with the byte offset in the text (after decoding); also for a text
/// without any document, for one of more than [`MAX_BYTES`] bytes, and for more than [`MAX_DOCUMENTS`] documents.
pub fn documents_in(bytes: &[u8]) -> Result<Vec<Document>> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::malformed(FORMAT, format!("{} bytes; at most {MAX_BYTES} are read", bytes.len())));
    }
    let (text, _) = xml::decode(bytes, FORMAT)?;
    Ok(documents_of(&text)?.into_iter().map(|(_, document)| document).collect())
}

/// All documents in a text that was decoded, each with the offset where it stands.
pub(crate) fn documents_of(text: &str) -> Result<Vec<(usize, Document)>> {
    let roots = xml::parse_all(text, FORMAT)?;
    match roots.len() {
        0 => return Err(Error::malformed(FORMAT, "there is no XML element")),
        count if count > MAX_DOCUMENTS => return Err(Error::malformed(FORMAT, format!("{count} documents; at most {MAX_DOCUMENTS} are read"))),
        _ => {}
    }
    roots.iter().map(|root| Ok((root.range.start, Document::from_root(text, root)?))).collect()
}

impl Document {
    /// The only document in a text.
    ///
    /// # Errors
    /// [`Error::Malformed`] as [`documents_in`], and if there is more than one.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let mut documents = documents_in(bytes)?;
        match (documents.pop(), documents.len()) {
            (Some(document), 0) => Ok(document),
            (_, others) => Err(Error::malformed(FORMAT, format!("{} documents where one should be", others + 1))),
        }
    }

    /// The document's exact text, from `<XrML` to `</XrML>`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signed text, from `<BODY` to `</BODY>`.
    #[must_use]
    pub fn body_text(&self) -> &str {
        self.slice(&self.body)
    }

    /// Where the body stands in [`Document::text`], in bytes.
    #[must_use]
    pub fn body_range(&self) -> Range<usize> {
        self.body.clone()
    }

    /// The exact text of `<ISSUER>`, which enabling bits may be bound to.
    #[must_use]
    pub fn issuer_text(&self) -> Option<&str> {
        self.issuer_range.as_ref().map(|range| self.slice(range))
    }

    /// The exact text of `<ISSUEDPRINCIPALS>`, which enabling bits may be bound to.
    #[must_use]
    pub fn issued_principals_text(&self) -> Option<&str> {
        self.principals_range.as_ref().map(|range| self.slice(range))
    }

    /// Where `<ISSUER>` stands in [`Document::text`], in bytes.
    #[must_use]
    pub fn issuer_range(&self) -> Option<Range<usize>> {
        self.issuer_range.clone()
    }

    /// Where `<ISSUEDPRINCIPALS>` stands in [`Document::text`], in bytes.
    #[must_use]
    pub fn issued_principals_range(&self) -> Option<Range<usize>> {
        self.principals_range.clone()
    }

    /// The document as a tree, read again from its text: for what has no field here. Ranges are those of [`Document::text`].
    ///
    /// # Errors
    /// Never for a document that was read; the signature keeps the error of the reader.
    pub fn tree(&self) -> Result<Element<'_>> {
        xml::parse(&self.text, FORMAT)
    }

    /// What the document is.
    #[must_use]
    pub fn kind(&self) -> &DocumentKind {
        &self.kind
    }

    /// The body's type, for example `LICENSE`.
    #[must_use]
    pub fn body_type(&self) -> &str {
        &self.body_type
    }

    /// The body's version, for example `3.0`.
    #[must_use]
    pub fn body_version(&self) -> Option<&str> {
        self.body_version.as_deref()
    }

    /// The purpose in the root element. It is *not signed*.
    #[must_use]
    pub fn purpose(&self) -> Option<&str> {
        self.purpose.as_deref()
    }

    /// When the document was issued.
    #[must_use]
    pub fn issued(&self) -> Option<XrmlTime> {
        self.issued
    }

    /// When the document is valid: `VALIDITYTIME`, and in certificates the time condition of the right `ISSUE`. `None` if
    /// nothing bounds it.
    #[must_use]
    pub fn validity(&self) -> Option<TimeRange> {
        self.validity
    }

    /// What the document says that it is.
    #[must_use]
    pub fn descriptor(&self) -> Option<&Object> {
        self.descriptor.as_ref()
    }

    /// Who issued it.
    #[must_use]
    pub fn issuer(&self) -> Option<&Principal> {
        self.issuer.as_ref()
    }

    /// The key of who issued it. The key inside a document proves nothing: see [`super::Chain`].
    #[must_use]
    pub fn issuer_key(&self) -> Option<&RsaPublicKey> {
        self.issuer()?.public_key.as_ref()
    }

    /// Those it is issued to: in a certificate whose key it certifies, in a publishing licence the server.
    #[must_use]
    pub fn issued_principals(&self) -> &[Principal] {
        &self.issued_principals
    }

    /// The keys of those it is issued to.
    pub fn subject_keys(&self) -> impl Iterator<Item = &RsaPublicKey> {
        self.issued_principals.iter().filter_map(|principal| principal.public_key.as_ref())
    }

    /// Those that the private key of a rights account certificate is sealed to.
    #[must_use]
    pub fn federation_principals(&self) -> &[Principal] {
        &self.federation_principals
    }

    /// Addresses of services, directly in the body.
    #[must_use]
    pub fn distribution_points(&self) -> &[DistributionPoint] {
        &self.distribution_points
    }

    /// What the document is about.
    #[must_use]
    pub fn work(&self) -> Option<&Work> {
        self.work.as_ref()
    }

    /// The rights it grants, in order.
    #[must_use]
    pub fn rights(&self) -> &[Right] {
        &self.rights
    }

    /// Data that only its readers understand, in order.
    #[must_use]
    pub fn authenticated_data(&self) -> &[AuthenticatedData] {
        &self.authenticated_data
    }

    /// The ciphertext of the encrypted rights data, if the document has some.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is not base64, or is there twice.
    pub fn encrypted_rights_data(&self) -> Result<Option<Vec<u8>>> {
        let mut found = self.authenticated_data.iter().filter(|data| data.id.as_deref() == Some(AuthenticatedData::ENCRYPTED_RIGHTS_DATA));
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some(data), None) => data.bytes().map(Some).ok_or_else(|| Error::malformed(FORMAT, "the encrypted rights data are not in base64")),
            (Some(_), Some(_)) => Err(Error::malformed(FORMAT, "more than one piece of encrypted rights data")),
        }
    }

    /// All sealed keys, wherever they stand in the body, in order.
    #[must_use]
    pub fn sealed_keys(&self) -> &[SealedKey] {
        &self.sealed_keys
    }

    /// The signature block, if the document is signed. To check it, see [`Document::check_signature`].
    #[must_use]
    pub fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }

    fn slice(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    fn from_root(whole: &str, root: &Element<'_>) -> Result<Self> {
        if root.name != "XrML" {
            return Err(fault(root, "the outermost element is not <XrML>"));
        }
        let base = root.range.start;
        let text = whole.get(root.range.clone()).ok_or_else(|| Error::Internal("an element outside of its text".into()))?;
        let within = |element: &Element<'_>| element.range.start - base..element.range.end - base;
        if let Some(stranger) = root.children.iter().find(|child| !matches!(child.name, "BODY" | "SIGNATURE")) {
            return Err(fault(stranger, "an element beside <BODY> and <SIGNATURE>, which no signature would cover"));
        }
        let body = required(root, "BODY")?;
        // Other readers cut the body out of the text: there must be one way only to do that, comments included.
        let (opened, closed) = memchr_iter(b'<', text.as_bytes()).fold((0_usize, 0_usize), |(opened, closed), at| {
            let after = text.as_bytes().get(at + 1..).unwrap_or_default();
            (opened + usize::from(after.starts_with(b"BODY")), closed + usize::from(after.starts_with(b"/BODY")))
        });
        if (opened, closed) != (1, 1) {
            return Err(fault(root, "the tags <BODY> and </BODY> do not stand exactly once"));
        }
        for name in ONCE_IN_A_BODY {
            only_child(body, name)?;
        }
        let object_of = |name| body.child(name).map(Object::inside).transpose().map(Option::flatten);
        let principals = |name| -> Result<Vec<_>> {
            body.child(name).map_or(Ok(Vec::new()), |list| list.children_named("PRINCIPAL").map(Principal::read).collect())
        };
        let issued = body.child("ISSUEDTIME").map(|time| time.trimmed().parse().map_err(|_| fault(time, "the time of issue cannot be read")));
        let descriptor = object_of("DESCRIPTOR")?;
        let works: Vec<_> = body.children_named("WORK").collect();
        let rights = works.iter().map(|work| Right::all_of(work)).collect::<Result<Vec<_>>>()?.concat();
        let body_type = body.attribute("type").unwrap_or_default();
        let purpose = root.attribute("purpose");
        Ok(Self {
            text: text.to_owned(),
            body: within(body),
            issuer_range: body.child("ISSUER").map(within),
            principals_range: body.child("ISSUEDPRINCIPALS").map(within),
            purpose: purpose.map(str::to_owned),
            body_type: body_type.to_owned(),
            body_version: body.attribute("version").map(str::to_owned),
            kind: DocumentKind::of(body_type, descriptor.as_ref().and_then(|object| object.object_type.as_deref()), purpose),
            issued: issued.transpose()?,
            validity: validity(body, &rights)?,
            descriptor,
            issuer: body.child("ISSUER").map(Principal::read).transpose()?,
            issued_principals: principals("ISSUEDPRINCIPALS")?,
            federation_principals: principals("FEDERATIONPRINCIPALS")?,
            distribution_points: body.children_named("DISTRIBUTIONPOINT").map(DistributionPoint::read).collect::<Result<_>>()?,
            work: works.first().map(|work| Work::read(work)).transpose()?,
            rights,
            authenticated_data: body.children_named("AUTHENTICATEDDATA").map(AuthenticatedData::read).collect::<Result<_>>()?,
            sealed_keys: SealedKey::collect(body, base)?,
            signature: only_child(root, "SIGNATURE")?.map(Signature::read).transpose()?,
        })
    }
}

/// `VALIDITYTIME` and the time condition of `ISSUE`, whichever is narrower.
fn validity(body: &Element<'_>, rights: &[Right]) -> Result<Option<TimeRange>> {
    let stated = body.child("VALIDITYTIME").map(read_ends).transpose()?;
    let issuing = rights.iter().filter(|right| right.name == "ISSUE").filter_map(|right| right.range);
    Ok(stated.into_iter().chain(issuing).reduce(TimeRange::intersect))
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({}, {} bytes)", self.kind, self.text.len())
    }
}
