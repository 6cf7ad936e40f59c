//! The new body of a licence, and the whole text around it.

use super::check::{Expected, Signed};
use super::{Draft, Edit, LicensingUrls, Rekey, RekeyChecks, RekeyedLicence, Source};
use crate::error::{Error, Result};
use crate::licence::OpenedKey;
use crate::licence::publishing::{EXTRANET_LICENSING, INTRANET_LICENSING, SealedToServer, open_rights, seal_to_server};
use crate::xml::escape;
use crate::xrml::writer::UnsignedDocument;
use crate::xrml::{Document, Principal};

impl Rekey<'_> {
    /// Seals the content key to the active key and writes the new body.
    pub(super) fn draft<'i>(&self, source: Source<'i>, opened: OpenedKey) -> Result<Draft<'i>> {
        let stored = &source.stored;
        let document = &stored.document;
        let sealed = SealedToServer::of(document)?;
        let rights = open_rights(document, &opened.key).map_err(|_| {
            Error::negative("the content key does not open the licence's own rights data")
                .with_hint("keep the original: the licence was not made as others are, and its rights could not be shown to be the same")
        })?;
        let was_bound = sealed.is_bound(document, &opened);

        let server = Principal { internal_id: sealed.server.internal_id.clone(), ..self.server.clone() };
        let seal = seal_to_server(&server, &opened.key)?;
        let (Some(issuer_range), Some(principals_range)) = (document.issuer_range(), document.issued_principals_range()) else {
            return Err(Error::Internal("a licence without issuer or principals".into()));
        };
        let mut edits = vec![(issuer_range, self.issuer.clone()), (principals_range, seal.element.clone())];
        if let Some(urls) = &self.licensing_urls {
            edits.extend(urls.edits(document)?);
        }
        let unsigned = UnsignedDocument::unread(stored.edited_body(edits)?, &self.key);

        let kept = stored.keeps_following();
        let checks = RekeyChecks {
            already_active: false,
            sealing_confirmed: false,
            opened_with_new_key: false,
            has_rights: rights.is_some(),
            was_bound,
            reissued: source.offline,
            documents_left_out: if kept { 0 } else { stored.following.len() },
            documents_kept: if kept { stored.following.len() } else { 0 },
            within_chain: self.covers(document),
        };
        let expected = Expected::new(document, opened.key, seal, self.licensing_urls.is_some())?;
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

impl Draft<'_> {
    /// The whole text with its signature, which the check of the result verifies.
    pub(super) fn complete(self, rekey: &Rekey<'_>, signature: Vec<u8>) -> (RekeyedLicence, Signed) {
        let element = self.unsigned.unverified_signature_element(&signature);
        let rekeyed = RekeyedLicence {
            text: self.source.stored.rebuilt(self.unsigned.body(), &element, &rekey.chain),
            from: self.source.key.id(),
            key_id: rekey.key.id(),
            checks: self.checks,
        };
        (rekeyed, Signed { expected: self.expected, body: self.unsigned, signature, element })
    }
}

impl LicensingUrls {
    /// New `<ADDRESS>` elements for the points that say where use licences are to be had.
    fn edits(&self, document: &Document) -> Result<Vec<Edit>> {
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
                edits.push((address.range.clone(), format!("<ADDRESS type=\"URL\">{}</ADDRESS>", escape(url))));
            }
        }
        Ok(edits)
    }
}
