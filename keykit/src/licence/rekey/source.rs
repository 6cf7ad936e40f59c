//! Licences as they come: read, and verified a batch at a time.

use super::{FORMAT, Rekey, RekeyChecks, RekeyedLicence, Stored};
use crate::error::{Error, Result};
use crate::key::RsaPublicKey;
use crate::licence::publishing::{SealedToServer, judge};
use crate::xrml::{Chain, SignatureCheck, SignatureClaim, Trust, TrustAnchors, documents_in};

impl Rekey<'_> {
    /// Reads and verifies licences, in order. No private key is used.
    pub(super) fn read_all<'i>(&self, items: &[&'i [u8]]) -> Vec<Result<Source<'i>>> {
        let read: Vec<Result<Read<'i>>> = items.iter().map(|item| self.read_one(item)).collect();
        let claims: Vec<_> = read.iter().map(|read| read.as_ref().ok().map(|read| read.stored.document.signature_claim())).collect();
        let mut verified = vec![false; items.len()];
        // The signatures of one key together. Our own copy of a key is prepared already.
        for (number, key) in std::iter::once(&self.key).chain(self.archived.iter().map(|(_, key)| key)).enumerate() {
            let is_of_key = |read: &Result<Read<'_>>| read.as_ref().is_ok_and(|read| read.signer == Some(number));
            let of_key = read.iter().zip(&claims).zip(&mut verified).filter(|((read, _), _)| is_of_key(read));
            let (group, places): (Vec<_>, Vec<_>) =
                of_key.filter_map(|((_, claim), place)| claim.as_ref()?.as_ref().ok().map(|claim| ((claim.digest, claim.value), place))).unzip();
            places.into_iter().zip(key.verify_all(&group)).for_each(|(place, is_right)| *place = is_right);
        }
        let checks: Vec<_> = read.iter().zip(claims).zip(verified).map(|((read, claim), verified)| check_of(read, claim, verified)).collect();
        read.into_iter().zip(checks).map(|(read, check)| self.admit(read?, check)).collect()
    }

    /// Reads one licence; nothing is verified.
    fn read_one<'i>(&self, item: &'i [u8]) -> Result<Read<'i>> {
        let stored = Stored::read(item, FORMAT)?;
        let sealed = SealedToServer::of(&stored.document)?;
        let (key, offline) = (sealed.key.clone(), stored.document.issuer_key() != Some(sealed.key));
        let archived = self.archived.iter().position(|(_, archived)| *archived == key);
        let ours = if key == self.key { Some(0) } else { archived.map(|number| number + 1) };
        Ok(Read { item, stored, key, archived, offline, signer: ours.filter(|_| !offline) })
    }

    /// A licence whose signature holds, under a key that licences are moved from or to.
    fn admit<'i>(&self, read: Read<'i>, check: SignatureCheck) -> Result<Source<'i>> {
        judge(&read.stored.document, check)?;
        let Read { item, stored, key, archived, offline, .. } = read;
        if key == self.key {
            return Ok(Source { item, stored, key, archived: None, offline });
        }
        let archived = archived.ok_or_else(|| self.unknown("licence is sealed to", &key))?;
        if offline {
            self.check_offline(&stored, &key)?;
        }
        Ok(Source { item, stored, key, archived: Some(archived), offline })
    }

    /// Whether an offline licence may be issued anew.
    fn check_offline(&self, stored: &Stored<'_>, key: &RsaPublicKey) -> Result<()> {
        if !self.reissue_offline {
            return Err(Error::refused_by_policy(
                "an author's computer issued this licence: only the author's key can sign it again",
                "let the server issue such licences anew, or have the document protected again; until then keep the archived key",
            ));
        }
        let documents = documents_in(stored.text.as_bytes())?;
        let chain = Chain::of(&documents, 0, &TrustAnchors::microsoft().with(key))?;
        if chain.trust == Trust::PinnedRoot {
            return Ok(());
        }
        let problem = chain.problems.first().map_or_else(|| chain.trust.to_string(), ToString::to_string);
        Err(Error::negative(format!("nothing shows that the licence's author may issue licences of the key {}: {problem}", key.id().short()))
            .with_hint("the author's client licensor certificate, signed by that key, must stand after the licence"))
    }
}

/// A licence that was read and verified.
pub(super) struct Source<'i> {
    item: &'i [u8],
    pub(super) stored: Stored<'i>,
    pub(super) key: RsaPublicKey,
    /// Which archived key; `None` for the active one.
    pub(super) archived: Option<usize>,
    pub(super) offline: bool,
}

impl Source<'_> {
    pub(super) fn unchanged(&self) -> RekeyedLicence {
        let checks = RekeyChecks {
            already_active: true,
            sealing_confirmed: false,
            opened_with_new_key: false,
            has_rights: false,
            was_bound: false,
            reissued: false,
            documents_left_out: 0,
            documents_kept: self.stored.following.len(),
            within_chain: None,
        };
        RekeyedLicence { text: self.item.to_vec(), from: self.key.id(), key_id: self.key.id(), checks }
    }
}

/// What came out of a signature: the keys of this engine were asked all at once, any other key is asked now.
fn check_of(read: &Result<Read<'_>>, claim: Option<Result<SignatureClaim<'_>, SignatureCheck>>, verified: bool) -> SignatureCheck {
    match (read, claim) {
        (Ok(Read { signer: None, stored, .. }), Some(Ok(claim))) => {
            claim.found(stored.document.issuer_key().is_some_and(|key| key.verify(&claim.digest, claim.value)))
        }
        (_, Some(Ok(claim))) => claim.found(verified),
        (_, Some(Err(check))) => check,
        (_, None) => SignatureCheck { hash: None, digest_ok: false, signature_ok: None },
    }
}

/// A licence that was read.
struct Read<'i> {
    item: &'i [u8],
    stored: Stored<'i>,
    key: RsaPublicKey,
    /// Which archived key.
    archived: Option<usize>,
    offline: bool,
    /// Whose signature it should have: 0 for the active key, from 1 on an archived one, `None` for another.
    signer: Option<usize>,
}
