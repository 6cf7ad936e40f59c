//! What a re-keyed licence must be, and the checks that show it.

use std::ops::Range;
use std::rc::Rc;

use super::{Rekey, RekeyedLicence, Source, Stored};
use crate::error::{Error, Result};
use crate::key::{Digest, Hash};
use crate::licence::enabling_bits::{self, Sealing};
use crate::licence::publishing::{SealedToServer, ServerElement};
use crate::licence::{ContentKey, OpenedKey};
use crate::xml::{self, Element};
use crate::xrml::Document;
use crate::xrml::writer::UnsignedDocument;

/// A body as it was signed, and what must be found in the result.
pub(super) struct Signed<'i> {
    /// The original.
    pub(super) source: Source<'i>,
    pub(super) expected: Expected,
    pub(super) body: UnsignedDocument,
    pub(super) signature: Vec<u8>,
    /// `<SIGNATURE>`, as it was written.
    pub(super) element: String,
}

/// What must be found in a result.
pub(super) struct Expected {
    pub(super) content_key: ContentKey,
    /// What the content key is bound to.
    pub(super) server: Rc<ServerElement>,
    /// `<ISSUEDPRINCIPALS>` with the sealed key, as it was written.
    pub(super) element: String,
    /// The enabling bits, and what was recorded when they were made.
    pub(super) sealed: Vec<u8>,
    pub(super) sealing: Sealing,
    pub(super) other_urls: bool,
}

impl Expected {
    /// Compares what is found in the enabling bits.
    fn compare(&self, opened: &OpenedKey, hashes: &mut Hashes) -> Result<()> {
        if opened.key != self.content_key {
            Err(does_not_hold("the content key is another one"))
        } else if opened.bound_hash != hashes.of(opened.bound_hash.hash(), &self.server) {
            Err(does_not_hold("the content key is not bound to its server"))
        } else {
            // The encrypted rights are among the kept pieces: the same bytes under the same content key are the same rights.
            Ok(())
        }
    }
}

/// Hashes of the few elements that the content keys of a batch are bound to, computed anew from their texts.
#[derive(Default)]
struct Hashes(Vec<(Rc<ServerElement>, Digest)>);

impl Hashes {
    fn of(&mut self, hash: Hash, server: &Rc<ServerElement>) -> Digest {
        let known = self.0.iter().find(|(known, digest)| Rc::ptr_eq(known, server) && digest.hash() == hash).map(|(_, digest)| *digest);
        known.unwrap_or_else(|| {
            let digest = enabling_bits::hash_of(hash, server.bound_text());
            self.0.push((Rc::clone(server), digest));
            digest
        })
    }
}

fn does_not_hold(problem: &str) -> Error {
    Error::negative(format!("the re-keyed licence does not hold: {problem}")).with_hint("the original is as it was; report this")
}

/// The pieces of a body without ISSUER and ISSUEDPRINCIPALS, and without addresses if those are to change.
fn kept_pieces(document: &Document, other_urls: bool) -> Result<Vec<&str>> {
    let mut cuts: Vec<_> = document.issuer_range().into_iter().chain(document.issued_principals_range()).collect();
    if other_urls {
        cuts.extend(document.tree()?.children_named("BODY").flat_map(address_ranges));
    }
    Ok(without(document.text(), document.body_range(), cuts))
}

/// Where a body says its addresses.
fn address_ranges(body: &Element<'_>) -> Vec<Range<usize>> {
    body.children_named("DISTRIBUTIONPOINT").map(|point| point.range.clone()).collect()
}

/// What is left of a range of a text without some ranges in it.
fn without(text: &str, whole: Range<usize>, mut cuts: Vec<Range<usize>>) -> Vec<&str> {
    cuts.sort_by_key(|range| range.start);
    let starts = std::iter::once(whole.start).chain(cuts.iter().map(|range| range.end));
    let ends = cuts.iter().map(|range| range.start).chain(std::iter::once(whole.end));
    starts.zip(ends).map(|(start, end)| text.get(start..end).unwrap_or_default()).collect()
}

impl Rekey<'_> {
    /// Reads every new licence again, confirms how its content key was sealed, and opens those that are to be opened, in one batch. A
    /// result that does not hold becomes an error.
    pub(super) fn check_results(&self, results: &mut [Result<RekeyedLicence>], signed: &[Option<Signed<'_>>]) -> Result<()> {
        let mut good = Vec::new();
        for (result, signed) in results.iter_mut().zip(signed) {
            let (Ok(rekeyed), Some(signed)) = (result.as_mut(), signed) else { continue };
            let opens = self.opens_next();
            let read = if !opens && self.store.verifies_what_it_signs() {
                self.compare_result(&rekeyed.text, signed)
            } else {
                self.read_result(&rekeyed.text, signed)
            };
            match read {
                Ok(()) => good.push((&signed.expected, opens, result)),
                Err(error) => *result = Err(error),
            }
        }
        let bits: Vec<_> = good.iter().map(|(expect, ..)| (expect.sealed.as_slice(), &expect.sealing)).collect();
        let confirmed = enabling_bits::confirm_batch(&self.key, self.algorithm.mode(), &bits);
        let mut hashes = Hashes::default();
        let mut to_open = Vec::new();
        for ((expect, opens, result), confirmed) in good.into_iter().zip(confirmed) {
            match (confirmed.and_then(|found| expect.compare(&found, &mut hashes)), result.as_mut()) {
                (Ok(()), Ok(rekeyed)) => rekeyed.checks.sealing_confirmed = true,
                (Err(error), _) => {
                    *result = Err(error);
                    continue;
                }
                (Ok(()), Err(_)) => continue,
            }
            if opens {
                to_open.push((expect, result));
            }
        }
        if to_open.is_empty() {
            return Ok(());
        }
        let sealed: Vec<_> = to_open.iter().map(|(expect, _)| expect.sealed.as_slice()).collect();
        let opened = enabling_bits::open_batch(self.store, &self.key.id(), self.algorithm, &sealed)?;
        for ((expect, result), opened) in to_open.into_iter().zip(opened) {
            match (opened.and_then(|opened| expect.compare(&opened, &mut hashes)), result.as_mut()) {
                (Ok(()), Ok(rekeyed)) => rekeyed.checks.opened_with_new_key = true,
                (Err(error), _) => *result = Err(error),
                (Ok(()), Err(_)) => {}
            }
        }
        Ok(())
    }

    /// Reads a result as anybody would: everything but the private operation.
    fn read_result(&self, text: &[u8], signed: &Signed<'_>) -> Result<()> {
        let expect = &signed.expected;
        let document = Stored::read(text, super::FORMAT)?.document;
        if !self.is_signed(&document, signed) {
            return Err(Error::negative(format!("a new signature does not verify under the key {}", self.key.id().short()))
                .with_hint("the store signed with another key or in another way; nothing was written"));
        }
        let found = SealedToServer::of(&document)?;
        if document.issuer_key() != Some(&self.key) || *found.key != self.key {
            Err(does_not_hold("it names another key"))
        } else if found.algorithm != self.algorithm || found.sealed.enabling_bits.bytes != expect.sealed {
            Err(does_not_hold("the sealed content key was changed on its way into the licence"))
        } else if kept_pieces(&document, expect.other_urls)? != kept_pieces(&signed.source.stored.document, expect.other_urls)? {
            Err(does_not_hold("more was changed than what names the server"))
        } else {
            Ok(())
        }
    }

    /// The same of a result that is not opened, where the store verified the signature: its pieces are compared as text with those that
    /// were written, and values are not decoded again.
    pub(super) fn compare_result(&self, text: &[u8], signed: &Signed<'_>) -> Result<()> {
        let expect = &signed.expected;
        let (text, _) = xml::decode(text, super::FORMAT)?;
        let roots = xml::parse_all(&text, super::FORMAT)?;
        let slice = |element: &Element<'_>| text.get(element.range.clone()).unwrap_or_default();
        let Some([body, signature]) = roots.first().map(|root| root.children.as_slice()) else {
            return Err(does_not_hold("it is not a body with a signature"));
        };
        if slice(body) != signed.body.body() || slice(signature) != signed.element {
            return Err(does_not_hold("it is not what was signed"));
        }
        let named = |name| body.children.iter().filter(move |child| child.name == name);
        let server: Vec<_> = named("ISSUER").chain(named("ISSUEDPRINCIPALS")).collect();
        if !server.iter().copied().map(slice).eq([self.issuer.as_str(), expect.element.as_str()]) {
            return Err(does_not_hold("it does not name the server and the sealed content key as they were written"));
        }
        let mut cuts: Vec<_> = server.iter().map(|element| element.range.clone()).collect();
        if expect.other_urls {
            cuts.extend(address_ranges(body));
        }
        if without(&text, body.range.clone(), cuts) == kept_pieces(&signed.source.stored.document, expect.other_urls)? {
            Ok(())
        } else {
            Err(does_not_hold("more was changed than what names the server"))
        }
    }

    /// Whether the signature of a result verifies.
    fn is_signed(&self, document: &Document, signed: &Signed<'_>) -> bool {
        let verified_before = self.store.verifies_what_it_signs()
            && document.body_text() == signed.body.body()
            && document.signature().is_some_and(|signature| {
                let digest = signed.body.digest();
                signature.value == signed.signature && signature.hash == Some(digest.hash()) && signature.digest == digest.as_bytes()
            });
        verified_before || document.verify_with(&self.key).is_ok()
    }
}
