//! The new body of a licence, and the whole text around it.

use std::rc::Rc;

use super::check::{Expected, Signed};
use super::{Batch, Draft, Edit, LicensingUrls, Opened, Rekey, RekeyChecks, RekeyedLicence, Source};
use crate::error::{Error, Result};
use crate::licence::OpenedKey;
use crate::licence::enabling_bits::{self, Sealing};
use crate::licence::publishing::{EXTRANET_LICENSING, INTRANET_LICENSING, SealedToServer, ServerElement, open_rights};
use crate::xml::escape;
use crate::xrml::writer::UnsignedDocument;
use crate::xrml::{Document, Principal};

impl Rekey<'_> {
    /// Looks into the rights and at what the content key was bound to, and finds the element that it is to be sealed into.
    pub(super) fn open<'i>(&self, source: Source<'i>, opened: OpenedKey, batch: &mut Batch) -> Result<Opened<'i>> {
        let document = &source.stored.document;
        let sealed = SealedToServer::of(document)?;
        let rights = open_rights(document, &opened.key).map_err(|_| {
            Error::negative("the content key does not open the licence's own rights data")
                .with_hint("keep the original: the licence was not made as others are, and its rights could not be shown to be the same")
        })?;
        let was_bound = sealed.bound_text(document).is_some_and(|text| batch.is_bound(&opened, text));
        let server = batch.server(self, sealed.server.internal_id.as_deref())?;
        Ok(Opened { source, key: opened.key, server, has_rights: rights.is_some(), was_bound })
    }

    /// Writes the new body, with the sealed content key.
    pub(super) fn draft<'i>(&self, opened: Opened<'i>, (sealed, sealing): (Vec<u8>, Sealing)) -> Result<Draft<'i>> {
        let Opened { source, key, server, has_rights, was_bound } = opened;
        let stored = &source.stored;
        let document = &stored.document;
        let element = server.with(&sealed)?;
        let (Some(issuer_range), Some(principals_range)) = (document.issuer_range(), document.issued_principals_range()) else {
            return Err(Error::Internal("a licence without issuer or principals".into()));
        };
        let mut edits = vec![(issuer_range, self.issuer.as_str().into()), (principals_range, element.as_str().into())];
        if let Some(urls) = &self.licensing_urls {
            edits.extend(urls.edits(document)?);
        }
        let unsigned = UnsignedDocument::unread(stored.edited_body(edits)?, &self.key);

        let kept = stored.keeps_following();
        let checks = RekeyChecks {
            already_active: false,
            sealing_confirmed: false,
            opened_with_new_key: false,
            has_rights,
            was_bound,
            reissued: source.offline,
            documents_left_out: if kept { 0 } else { stored.following.len() },
            documents_kept: if kept { stored.following.len() } else { 0 },
            within_chain: self.covers(document),
        };
        let expected = Expected { content_key: key, server, element, sealed, sealing, other_urls: self.licensing_urls.is_some() };
        Ok(Draft { source, unsigned, checks, expected })
    }

    /// Whether the certificate of the active key covers the time of issue.
    pub(in crate::licence) fn covers(&self, document: &Document) -> Option<bool> {
        let validity = self.chain_validity?;
        Some(validity.is_none_or(|range| document.issued().is_some_and(|issued| range.contains(issued))))
    }

    /// The chain of the active key, as it stands after a document.
    pub(in crate::licence) fn chain(&self) -> &str {
        &self.chain
    }

    /// `<ISSUER>` of the active key.
    pub(in crate::licence) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The public half of the active key.
    pub(in crate::licence) fn public(&self) -> &crate::key::RsaPublicKey {
        &self.key
    }

    /// Whether documents of this key may be issued anew by the active one.
    pub(in crate::licence) fn holds_archived(&self, key: &crate::key::RsaPublicKey) -> bool {
        self.archived.iter().any(|(_, archived)| archived == key)
    }
}

impl<'i> Draft<'i> {
    /// The whole text with its signature, which the check of the result verifies.
    pub(super) fn complete(self, rekey: &Rekey<'_>, signature: Vec<u8>) -> (RekeyedLicence, Signed<'i>) {
        let element = self.unsigned.unverified_signature_element(&signature);
        let rekeyed = RekeyedLicence {
            text: self.source.stored.rebuilt(self.unsigned.body(), &element, &rekey.chain),
            from: self.source.key.id(),
            key_id: rekey.key.id(),
            checks: self.checks,
        };
        (rekeyed, Signed { source: self.source, expected: self.expected, body: self.unsigned, signature, element })
    }
}

impl Batch {
    /// The element of the active key's server with this internal id.
    fn server(&mut self, rekey: &Rekey<'_>, internal_id: Option<&str>) -> Result<Rc<ServerElement>> {
        if let Some((_, server)) = self.servers.iter().find(|(id, _)| id.as_deref() == internal_id) {
            return Ok(Rc::clone(server));
        }
        let internal_id = internal_id.map(str::to_owned);
        let server = Rc::new(ServerElement::new(&Principal { internal_id: internal_id.clone(), ..rekey.server.clone() })?);
        self.servers.push((internal_id, Rc::clone(&server)));
        Ok(server)
    }

    /// Whether a content key was bound to an element, in two parts. Licences of one server have the same one.
    fn is_bound(&mut self, opened: &OpenedKey, text: [&str; 2]) -> bool {
        let hash = opened.bound_hash.hash();
        let bound = match &self.bound {
            Some((known, digest)) if *known == text && digest.hash() == hash => *digest,
            _ => {
                let digest = enabling_bits::hash_of(hash, &text.concat());
                self.bound = Some((text.map(str::to_owned), digest));
                digest
            }
        };
        opened.bound_hash == bound
    }
}

impl LicensingUrls {
    /// New `<ADDRESS>` elements for the points that say where use licences are to be had.
    fn edits(&self, document: &Document) -> Result<Vec<Edit<'static>>> {
        let tree = document.tree()?;
        let points = tree.children_named("BODY").flat_map(|body| body.children_named("DISTRIBUTIONPOINT"));
        let mut edits = Vec::new();
        for object in points.flat_map(|point| point.children_named("OBJECT")) {
            let url = match object.attribute("type") {
                Some(INTRANET_LICENSING) => &self.intranet,
                Some(EXTRANET_LICENSING) => &self.extranet,
                _ => continue,
            };
            for address in object.children_named("ADDRESS").filter(|address| address.attribute("type") == Some("URL")) {
                edits.push((address.range.clone(), format!("<ADDRESS type=\"URL\">{}</ADDRESS>", escape(url)).into()));
            }
        }
        Ok(edits)
    }
}
