//! Use licences: what a reader opens content with (MS-RMPR §2.2.9.9).
//!
//! A use licence names one user by the key of the rights account certificate, and grants rights, each with the content key
//! sealed to that user. The sealed keys are bound to the ISSUER element.

use super::publishing::{check_signature, mode_of, owner_element};
use super::{ContentKey, OpenedKey, SealAlgorithm, UsageRight, enabling_bits};
use crate::error::{Error, Result};
use crate::key::KeyId;
use crate::store::KeyStore;
use crate::xrml::writer::{self, UnsignedDocument, enabling_bits_element, issuer_element, object_element, principal_element, time_range_elements};
use crate::xrml::{Document, DocumentKind, EnablingBits, Guid, Object, Principal, Right, RightHolder, TimeRange, XrmlTime};

const FORMAT: &str = "use licence";

/// A right of the user that a use licence names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedRight {
    /// The right.
    pub right: UsageRight,
    /// When it holds, if that is bounded by dates.
    pub range: Option<TimeRange>,
    /// For how many days from the issue it holds, if that is bounded so.
    pub days: Option<u32>,
}

impl GrantedRight {
    /// A right without bounds.
    #[must_use]
    pub fn new(right: UsageRight) -> Self {
        Self { right, range: None, days: None }
    }
}

/// A use licence to be issued.
#[derive(Debug, Clone, Copy)]
pub struct NewUseLicence<'a> {
    /// Its own identity.
    pub id: Guid,
    /// When it is issued.
    pub issued: XrmlTime,
    /// The server that issues it, with its key.
    pub issuer: &'a Principal,
    /// The user, copied from the rights account certificate, with the key in it. The size of the key decides how the content
    /// key is sealed.
    pub user: &'a Principal,
    /// The content, as the publishing licence names it.
    pub content: &'a Object,
    /// Address of the author.
    pub owner: Option<&'a str>,
    /// What the user may do. At least one right; `OWNER` stands alone.
    pub rights: &'a [GrantedRight],
}

impl NewUseLicence<'_> {
    /// Seals the content key to the user. The result waits for the issuer's signature; [`use_licence_text`] makes the whole
    /// document of both.
    ///
    /// # Errors
    /// [`Error::Usage`] if a key is missing or of neither mode, for no rights or `OWNER` among others, and for characters that
    /// cannot stand in XML.
    pub fn seal(&self, content_key: &ContentKey) -> Result<UnsignedDocument> {
        let no_key = |who: &str| Error::usage(format!("the {who} of a use licence needs a key"));
        let issuer_key = self.issuer.public_key.as_ref().ok_or_else(|| no_key("issuer"))?;
        let user_key = self.user.public_key.as_ref().ok_or_else(|| no_key("user"))?;
        let owner_among_others = self.rights.len() > 1 && self.rights.iter().any(|granted| granted.right == UsageRight::Owner);
        if self.rights.is_empty() || owner_among_others {
            return Err(Error::usage("a use licence grants the right OWNER alone, or at least one other right"));
        }
        let mode = mode_of(user_key)?;
        let issuer = issuer_element(self.issuer)?;
        let bytes = enabling_bits::seal(content_key, user_key, mode, &issuer)?;
        let sealed = enabling_bits_element(&EnablingBits { algorithm: SealAlgorithm::for_mode(mode).as_str().into(), bytes })?;
        let user = Principal { internal_id: Some("1".into()), enabling_bits: Vec::new(), ..self.user.clone() };
        let body = format!(
            "<BODY type=\"LICENSE\" version=\"3.0\"><ISSUEDTIME>{}</ISSUEDTIME><DESCRIPTOR>{}</DESCRIPTOR>{issuer}\
             <ISSUEDPRINCIPALS>{}</ISSUEDPRINCIPALS><WORK>{}{}<RIGHTSGROUP name=\"Main-Rights\"><RIGHTSLIST>{}</RIGHTSLIST></RIGHTSGROUP>\
             </WORK></BODY>",
            self.issued,
            object_element(&Object::new("Content-License", "MS-GUID", &self.id.braced()))?,
            principal_element(&user)?,
            object_element(self.content)?,
            self.owner.map(owner_element).transpose()?.unwrap_or_default(),
            self.rights.iter().map(|granted| right_element(granted, &sealed)).collect::<Result<String>>()?,
        );
        UnsignedDocument::from_body(body, issuer_key)
    }

    /// Issues the licence: [`Self::seal`], signed by the store that holds the issuer's key. Gives its XrML text.
    ///
    /// # Errors
    /// As [`Self::seal`], and as [`UnsignedDocument::sign_with`].
    pub fn issue(&self, store: &dyn KeyStore, content_key: &ContentKey) -> Result<String> {
        let unsigned = self.seal(content_key)?;
        let signature = store.sign(&unsigned.issuer().id(), &[unsigned.digest()])?.pop();
        use_licence_text(&unsigned, &signature.ok_or_else(|| Error::Internal("a batch of one came back empty".into()))?)
    }
}

/// The whole document of a use licence, which states its purpose outside of what is signed. The signature is verified first.
///
/// # Errors
/// [`Error::Negative`] if the signature does not verify under the issuer's key.
pub fn use_licence_text(unsigned: &UnsignedDocument, signature: &[u8]) -> Result<String> {
    let signature = unsigned.signature_element(signature)?;
    Ok(format!("<XrML version=\"1.2\" xmlns=\"\" purpose=\"Content-License\">{}{signature}</XrML>", unsigned.body()))
}

/// `<RIGHT>` in the form of use licences: who holds it first, its times after (MS-RMPR §2.2.9.9.6).
fn right_element(granted: &GrantedRight, sealed: &str) -> Result<String> {
    let empty = writer::right_element(&Right::new(granted.right.name(), vec![RightHolder::Principal("1".into())]))?;
    let range = granted.range.as_ref().map(|range| format!("<TIME><RANGETIME>{}</RANGETIME></TIME>", time_range_elements(range)));
    let days = granted.days.map(|days| format!("<TIME><INTERVALTIME days=\"{days}\" /></TIME>"));
    let filled = format!("<PRINCIPAL internal-id=\"1\">{sealed}</PRINCIPAL></ACCESS>{}{}", range.unwrap_or_default(), days.unwrap_or_default());
    Ok(empty.replace("<PRINCIPAL internal-id=\"1\" /></ACCESS>", &filled))
}

/// A use licence that was opened.
#[derive(Debug, PartialEq, Eq)]
pub struct OpenedUseLicence {
    /// The key of the content.
    pub content_key: ContentKey,
    /// The user's key that opened it.
    pub user_key: KeyId,
    /// The key of who issued it.
    pub issuer_key: KeyId,
    /// Whether the content key was sealed for this very ISSUER element.
    pub is_bound: bool,
    /// When it was issued.
    pub issued: Option<XrmlTime>,
    /// The content it is for.
    pub content: Object,
    /// Name of the owner (author) of the content: an address.
    pub owner: Option<String>,
    /// What the user may do, in order.
    pub rights: Vec<GrantedRight>,
}

/// Opens a use licence with the user's key. Its signature is checked under the key that it names as its issuer's; who that is,
/// is for [`crate::xrml::Chain`] to say.
///
/// # Errors
/// [`Error::Malformed`] if it is no use licence for one user; [`Error::Negative`] if its signature does not hold, or if its rights
/// hold different content keys; [`Error::NotFound`] that names the key if the store does not hold it; [`Error::Crypto`] if it
/// does not open.
pub fn open_use_licence(store: &dyn KeyStore, document: &Document) -> Result<OpenedUseLicence> {
    if *document.kind() != DocumentKind::UseLicence {
        return Err(Error::malformed(FORMAT, format!("a {} where a use licence should be", document.kind())));
    }
    let incomplete = || Error::malformed(FORMAT, "it does not name one user and one issuer, each with a key");
    let [user] = document.issued_principals() else { return Err(incomplete()) };
    let (user_key, issuer_key) = user.public_key.as_ref().zip(document.issuer_key()).ok_or_else(incomplete)?;
    check_signature(document)?;
    let opened = open_all(store, &user_key.id(), document)?;
    let work = document.work();
    let rights = document.rights().iter();
    Ok(OpenedUseLicence {
        user_key: user_key.id(),
        issuer_key: issuer_key.id(),
        is_bound: document.issuer_text().is_some_and(|issuer| opened.is_bound_to(issuer)),
        content_key: opened.key,
        issued: document.issued(),
        content: work.map(|work| work.object.clone()).unwrap_or_default(),
        owner: work.and_then(|work| work.owner.as_ref()).and_then(|owner| owner.name.clone()),
        rights: rights.map(|right| GrantedRight { right: right.name.as_str().into(), range: right.range, days: right.days }).collect(),
    })
}

/// Opens every sealed key of a licence. All must hold the same content key.
fn open_all(store: &dyn KeyStore, key: &KeyId, document: &Document) -> Result<OpenedKey> {
    let mut kinds: Vec<(SealAlgorithm, Vec<&[u8]>)> = Vec::new();
    for sealed in document.sealed_keys() {
        let name = sealed.enabling_bits.algorithm.name();
        let algorithm = SealAlgorithm::from_name(name)
            .ok_or_else(|| Error::malformed(FORMAT, format!("a content key is sealed in an unknown way: '{}'", name.escape_debug())))?;
        let bytes = sealed.enabling_bits.bytes.as_slice();
        match kinds.iter_mut().find(|(known, _)| *known == algorithm) {
            // A server may repeat one sealed key in every right.
            Some((_, items)) if items.contains(&bytes) => {}
            Some((_, items)) => items.push(bytes),
            None => kinds.push((algorithm, vec![bytes])),
        }
    }
    let mut found: Option<OpenedKey> = None;
    for (algorithm, items) in kinds {
        for opened in enabling_bits::open_batch(store, key, algorithm, &items)? {
            let opened = opened?;
            if found.as_ref().is_some_and(|found| *found != opened) {
                return Err(Error::negative("the rights of the use licence hold different content keys"));
            }
            found.get_or_insert(opened);
        }
    }
    found.ok_or_else(|| Error::malformed(FORMAT, "it holds no content key"))
}

#[cfg(test)]
mod tests;
