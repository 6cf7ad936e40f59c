//! Which document issued which, up to a root that is trusted (MS-RMPR §3.1.4.7).
//!
//! Documents are linked by key, never by their order: the key of the issuer of one is a key that the other certifies. The
//! key inside a document proves nothing alone, so a link counts only if the certificate may issue such documents, was
//! itself signed soundly, and covers the time of issue. Today's date plays no part: real root certificates ended in 2014.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::document::Document;
use super::kind::DocumentKind;
use crate::error::{Error, Result};
use crate::key::{KeyId, RsaPublicKey};

/// SHA-256 of the 256 little-endian bytes of the modulus of "Microsoft DRM Production Root". Its
/// exponent is 65537. The root's certificate is in no chain.
const MICROSOFT_PRODUCTION_ROOT: [u8; 32] = [
    0x7c, 0x48, 0xb3, 0x0c, 0x8b, 0xef, 0x32, 0xee, 0xfa, 0x35, 0xb7, 0xb8, 0x7b, 0x6d, 0x08, 0x35, 0x09, 0x69, 0x0f, 0x7a, 0xe9, 0x4d, 0x5d, 0x2e,
    0x87, 0x32, 0x9f, 0x70, 0x82, 0x60, 0xef, 0x8d,
];

/// How far a chain goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Trust {
    /// To the production root of the service, every step sound.
    MicrosoftProductionRoot,
    /// To a key that the caller trusts, every step sound.
    PinnedRoot,
    /// To a certificate that signs itself and that nobody vouches for.
    UntrustedRoot,
    /// Nowhere: the document names its own issuer's key as that of its server, and no certificate of that key is here.
    SelfIssued,
    /// An issuer is missing, or a step is not sound.
    ChainIncomplete,
}

impl Trust {
    /// The name that results and files use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MicrosoftProductionRoot => "microsoft-production-root",
            Self::PinnedRoot => "pinned-root",
            Self::UntrustedRoot => "untrusted-root",
            Self::SelfIssued => "self-issued",
            Self::ChainIncomplete => "chain-incomplete",
        }
    }

    /// Whether the chain ends at a trusted root.
    #[must_use]
    pub fn is_trusted(self) -> bool {
        matches!(self, Self::MicrosoftProductionRoot | Self::PinnedRoot)
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MicrosoftProductionRoot => "chains to Microsoft DRM Production Root",
            Self::PinnedRoot => "chains to a key that is trusted here",
            Self::UntrustedRoot => "chains to a root that nobody vouches for",
            Self::SelfIssued => "issued by the server it names, no certificate beside it",
            Self::ChainIncomplete => "the chain is incomplete",
        })
    }
}

/// The keys that chains may end at.
#[derive(Debug, Clone)]
pub struct TrustAnchors {
    pinned: Vec<KeyId>,
}

impl TrustAnchors {
    /// The production root of the service, and nothing else.
    #[must_use]
    pub fn microsoft() -> Self {
        Self { pinned: Vec::new() }
    }

    /// The same and one more key. Whatever this key signs counts as [`Trust::PinnedRoot`].
    #[must_use]
    pub fn with(mut self, key: &RsaPublicKey) -> Self {
        self.pinned.push(key.id());
        self
    }

    /// The trust that a document signed by `key` has.
    fn trust_in(&self, key: &RsaPublicKey, kind: &DocumentKind) -> Option<Trust> {
        if is_microsoft_production_root(key) && DocumentKind::CertificateAuthority.may_issue(kind) {
            return Some(Trust::MicrosoftProductionRoot);
        }
        self.pinned.contains(&key.id()).then_some(Trust::PinnedRoot)
    }
}

fn is_microsoft_production_root(key: &RsaPublicKey) -> bool {
    let little_endian: Vec<u8> = key.modulus().iter().rev().copied().collect();
    key.exponent() == 65537 && Sha256::digest(&little_endian).as_slice() == MICROSOFT_PRODUCTION_ROOT
}

/// What is wrong with a step of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// The document is not signed.
    Unsigned,
    /// The document names no key of its issuer.
    NoIssuerKey,
    /// The signature or the digest does not hold.
    BadSignature,
    /// The certificate may not issue such documents.
    MayNotIssue,
    /// The document was issued when the certificate was not valid, or does not say when.
    OutsideValidity,
    /// No certificate of the issuer is there.
    IssuerMissing,
}

/// A problem, with the document that has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Which document: its place among those given.
    pub document: usize,
    /// What is wrong.
    pub kind: ProblemKind,
    /// The same for people.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The chain of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Places of the documents from the leaf up. To a trusted root if there is one, else as far as the first way goes.
    pub links: Vec<usize>,
    /// How far it goes.
    pub trust: Trust,
    /// What is wrong on the way. Empty if the chain is trusted.
    pub problems: Vec<Problem>,
}

impl Chain {
    /// Follows the document at place `leaf` up through `documents`, which may be in any order and hold others too.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no document at `leaf`.
    pub fn of(documents: &[Document], leaf: usize, anchors: &TrustAnchors) -> Result<Self> {
        if leaf >= documents.len() {
            return Err(Error::usage(format!("there is no document {leaf} among {}", documents.len())));
        }
        Ok(Search::new(documents, anchors).run(leaf))
    }
}

/// A breadth-first search from the leaf up. Every document is looked at once, so that circles end.
struct Search<'a> {
    documents: &'a [Document],
    anchors: &'a TrustAnchors,
    /// Certificates by the keys they certify. Licences name keys too, but certify none.
    by_subject: HashMap<KeyId, Vec<usize>>,
    /// The document that each document was reached from; the leaf from itself.
    reached_from: HashMap<usize, usize>,
    problems: Vec<Problem>,
    self_signed: Option<usize>,
    last: usize,
}

impl<'a> Search<'a> {
    fn new(documents: &'a [Document], anchors: &'a TrustAnchors) -> Self {
        let mut by_subject: HashMap<_, Vec<_>> = HashMap::new();
        for (index, document) in documents.iter().enumerate().filter(|(_, document)| document.kind().certifies_keys()) {
            for key in document.subject_keys() {
                let certifying = by_subject.entry(key.id()).or_default();
                if certifying.last() != Some(&index) {
                    certifying.push(index);
                }
            }
        }
        Self { documents, anchors, by_subject, reached_from: HashMap::new(), problems: Vec::new(), self_signed: None, last: 0 }
    }

    fn run(mut self, leaf: usize) -> Chain {
        let mut waiting = VecDeque::from([leaf]);
        self.reached_from.insert(leaf, leaf);
        self.last = leaf;
        while let Some(index) = waiting.pop_front() {
            let Some(document) = self.documents.get(index) else { continue };
            let Some(key) = self.sound_issuer_key(index, document) else { continue };
            self.last = index;
            if let Some(trust) = self.anchors.trust_in(key, document.kind()) {
                return Chain { links: self.links_to(index), trust, problems: Vec::new() };
            }
            let certifying = self.by_subject.get(&key.id()).cloned().unwrap_or_default();
            let alone = certifying.iter().all(|&issuer| issuer == index);
            let itself = document.subject_keys().any(|subject| subject == key);
            let mut others = 0;
            for issuer in certifying.into_iter().filter(|&issuer| issuer != index) {
                if self.may_have_issued(issuer, index) {
                    others += 1;
                    if let std::collections::hash_map::Entry::Vacant(unseen) = self.reached_from.entry(issuer) {
                        unseen.insert(index);
                        waiting.push_back(issuer);
                    }
                }
            }
            if itself && (alone || self.is_root(index)) {
                self.self_signed.get_or_insert(index);
            } else if others == 0 {
                let text = format!("document {}: no sound certificate of its issuer's key {} is there", index + 1, key.id().short());
                self.problems.push(Problem { document: index, kind: ProblemKind::IssuerMissing, text });
            }
        }
        let (end, trust) = match self.self_signed {
            Some(index) if index == leaf && !self.is_root(index) => (index, Trust::SelfIssued),
            Some(index) if self.is_root(index) => (index, Trust::UntrustedRoot),
            _ => (self.last, Trust::ChainIncomplete),
        };
        if trust == Trust::ChainIncomplete && self.problems.is_empty() {
            let text = format!("document {}: its issuers lead in a circle", leaf + 1);
            self.problems.push(Problem { document: leaf, kind: ProblemKind::IssuerMissing, text });
        }
        Chain { links: self.links_to(end), trust, problems: self.problems }
    }

    /// The key that signed a document, if its signature is sound.
    fn sound_issuer_key(&mut self, index: usize, document: &'a Document) -> Option<&'a RsaPublicKey> {
        let check = document.check_signature();
        let (kind, problem) = match (document.issuer_key(), check.problem()) {
            (Some(key), None) => return Some(key),
            (_, Some(problem)) if check.signature_ok.is_none() => (ProblemKind::Unsigned, problem),
            (Some(_), Some(problem)) => (ProblemKind::BadSignature, problem),
            (None, _) => (ProblemKind::NoIssuerKey, "it names no key of its issuer"),
        };
        let text = format!("document {} ({}): {problem}", index + 1, document.kind());
        self.problems.push(Problem { document: index, kind, text });
        None
    }

    /// Whether a document that certifies the right key may have issued another: by its kind, and at that time.
    fn may_have_issued(&mut self, issuer: usize, child: usize) -> bool {
        let (Some(certificate), Some(document)) = (self.documents.get(issuer), self.documents.get(child)) else { return false };
        let (kind, text) = if !certificate.kind().may_issue(document.kind()) {
            (ProblemKind::MayNotIssue, format!("a {} may not issue a {}", certificate.kind(), document.kind()))
        } else {
            match (certificate.validity(), document.issued()) {
                (None, _) => return true,
                (Some(range), Some(issued)) if range.contains(issued) => return true,
                (Some(range), Some(issued)) => {
                    (ProblemKind::OutsideValidity, format!("it was issued {issued}, when its issuer's certificate was not valid ({range})"))
                }
                (Some(_), None) => (ProblemKind::OutsideValidity, "it does not say when it was issued".to_owned()),
            }
        };
        self.problems.push(Problem { document: child, kind, text: format!("document {} under document {}: {text}", child + 1, issuer + 1) });
        false
    }

    /// Whether a document that signs itself is a certificate.
    fn is_root(&self, index: usize) -> bool {
        self.documents.get(index).is_some_and(|document| document.kind().may_issue(document.kind()))
    }

    fn links_to(&self, end: usize) -> Vec<usize> {
        let mut links = vec![end];
        while let Some(&below) = links.last().and_then(|last| self.reached_from.get(last)) {
            if links.last() == Some(&below) {
                break;
            }
            links.push(below);
        }
        links.reverse();
        links
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xrml::testing::real;

    #[test]
    fn the_production_root_vouches_for_certificates_only() {
        let documents = real("ca-chain-mode1.xml");
        let root = documents.last().unwrap().issuer_key().unwrap();
        let anchors = TrustAnchors::microsoft();
        assert_eq!(anchors.trust_in(root, &DocumentKind::CertificateAuthority), Some(Trust::MicrosoftProductionRoot));
        assert_eq!(anchors.trust_in(root, &DocumentKind::PublishingLicence), None);
        let other_exponent = RsaPublicKey::from_components(root.modulus(), 3).unwrap();
        assert_eq!(anchors.trust_in(&other_exponent, &DocumentKind::CertificateAuthority), None);
        for document in &documents[..3] {
            assert_eq!(anchors.trust_in(document.issuer_key().unwrap(), document.kind()), None);
        }
    }
}
