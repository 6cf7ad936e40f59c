//! What a re-keyed licence must be, and the check that opens it.

use super::{Rekey, RekeyedLicence, Stored};
use crate::error::{Error, Result};
use crate::licence::publishing::{SealedToServer, open_rights};
use crate::licence::{ContentKey, OpenedKey, enabling_bits};
use crate::xrml::Document;

/// What must come out when the result is opened.
pub(super) struct Expected {
    content_key: ContentKey,
    rights: Option<String>,
    /// The pieces of the body that no re-keying changes.
    kept: Vec<String>,
    other_urls: bool,
}

impl Expected {
    pub(super) fn new(document: &Document, content_key: ContentKey, rights: Option<String>, other_urls: bool) -> Result<Self> {
        Ok(Self { content_key, rights, kept: kept_pieces(document, other_urls)?, other_urls })
    }

    /// Compares. The content key of the result was opened with the active key.
    fn compare(&self, document: &Document, opened: &OpenedKey, bound: bool) -> Result<()> {
        let problem = if opened.key != self.content_key {
            "the content key is another one"
        } else if !bound {
            "the content key is not bound to its server"
        } else if open_rights(document, &opened.key)? != self.rights {
            "the rights are not the same"
        } else if kept_pieces(document, self.other_urls)? != self.kept {
            "more was changed than what names the server"
        } else {
            return Ok(());
        };
        Err(Error::negative(format!("the re-keyed licence does not hold: {problem}")).with_hint("the original is as it was; report this"))
    }
}

/// The pieces of a body without ISSUER and ISSUEDPRINCIPALS, and without addresses if those are to change.
fn kept_pieces(document: &Document, other_urls: bool) -> Result<Vec<String>> {
    let mut cuts: Vec<_> = document.issuer_range().into_iter().chain(document.issued_principals_range()).collect();
    if other_urls {
        let tree = document.tree()?;
        let points = tree.children_named("BODY").flat_map(|body| body.children_named("DISTRIBUTIONPOINT"));
        cuts.extend(points.map(|point| point.range.clone()));
    }
    cuts.sort_by_key(|range| range.start);
    let body = document.body_range();
    let starts = std::iter::once(body.start).chain(cuts.iter().map(|range| range.end));
    let ends = cuts.iter().map(|range| range.start).chain(std::iter::once(body.end));
    Ok(starts.zip(ends).map(|(start, end)| document.text().get(start..end).unwrap_or_default().to_owned()).collect())
}

impl Rekey<'_> {
    /// Opens every new licence with the active key, in one batch. A result that does not hold becomes an error.
    pub(super) fn check_results(&self, results: &mut [Result<RekeyedLicence>], expected: &[Option<Expected>]) -> Result<()> {
        let outcomes = self.outcomes(results, expected)?;
        for (result, outcome) in results.iter_mut().zip(outcomes) {
            match (outcome, result.as_mut()) {
                (Some(Ok(())), Ok(rekeyed)) => rekeyed.checks.opened_with_new_key = true,
                (Some(Err(error)), _) => *result = Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// What the check of each result gave; `None` where nothing is to be checked.
    fn outcomes(&self, results: &[Result<RekeyedLicence>], expected: &[Option<Expected>]) -> Result<Vec<Option<Result<()>>>> {
        let read: Vec<Option<Result<Stored<'_>>>> = results
            .iter()
            .zip(expected)
            .map(|(result, expect)| result.as_ref().ok().filter(|_| expect.is_some()).map(|new| self.read_result(&new.text)))
            .collect();
        let sealed = read.iter().flatten().flatten().map(|stored| SealedToServer::of(&stored.document)).collect::<Result<Vec<_>>>()?;
        let bytes: Vec<_> = sealed.iter().map(|sealed| sealed.sealed.enabling_bits.bytes.as_slice()).collect();
        let opened = if bytes.is_empty() { Vec::new() } else { enabling_bits::open_batch(self.store, &self.key.id(), self.algorithm, &bytes)? };
        let (mut opened, mut sealed) = (opened.into_iter(), sealed.into_iter());
        let mut compare = |stored: &Result<Stored<'_>>, expect: &Expected| {
            let Ok(stored) = stored else { return None };
            let (opened, sealed) = opened.next().zip(sealed.next())?;
            Some(opened.and_then(|opened| expect.compare(&stored.document, &opened, sealed.is_bound(&stored.document, &opened))))
        };
        let compared: Vec<_> = read.iter().zip(expected).map(|(stored, expect)| compare(stored.as_ref()?, expect.as_ref()?)).collect();
        let unread = || Error::Internal("a result was not checked".into());
        Ok(read
            .into_iter()
            .zip(compared)
            .map(|(stored, compared)| stored.map(|stored| stored.and_then(|_| compared.unwrap_or_else(|| Err(unread())))))
            .collect())
    }

    /// Reads a result as anybody would.
    fn read_result<'t>(&self, text: &'t [u8]) -> Result<Stored<'t>> {
        let stored = Stored::read(text, super::FORMAT)?;
        stored.document.verify_with(&self.key)?;
        let sealed = SealedToServer::of(&stored.document)?;
        if *sealed.key != self.key || sealed.algorithm != self.algorithm {
            return Err(Error::Internal("a re-keyed licence is sealed to another key".into()));
        }
        Ok(stored)
    }
}
