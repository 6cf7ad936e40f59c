//! Licences and certificates, as `inspect` and `licence verify` report them.

use keykit::Result;
use keykit::key::KeyId;
use keykit::xrml::{self, Chain, Document, Trust, TrustAnchors};
use serde::Serialize;

use super::Problem;

/// One signed document.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DocumentReport {
    #[serde(rename = "type")]
    pub(crate) body_type: String,
    pub(crate) descriptor: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) issued: Option<String>,
    pub(crate) hash: Option<&'static str>,
    pub(crate) digest_ok: bool,
    pub(crate) signature_ok: Option<bool>,
    pub(crate) key_bits: Option<usize>,
    pub(crate) issuer_key_id: Option<KeyId>,
    pub(crate) subject_key_ids: Vec<KeyId>,
    pub(crate) sealed: Vec<Sealed>,
}

/// A sealed key.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sealed {
    pub(crate) algorithm: String,
    pub(crate) bits: usize,
}

/// All documents of a file.
#[derive(Debug, Clone)]
pub(crate) struct DocumentsReport {
    pub(crate) documents: Vec<DocumentReport>,
    pub(crate) trust: &'static str,
    pub(crate) problems: Vec<Problem>,
    pub(crate) notes: Vec<String>,
}

/// Verifies every document in `bytes`, and the chain of the first.
pub(crate) fn report(bytes: &[u8]) -> Result<DocumentsReport> {
    let documents = xrml::documents_in(bytes)?;
    let mut problems = Vec::new();
    let reports = documents.iter().enumerate().map(|(number, document)| one(document, number, &mut problems)).collect();
    let mut notes = Vec::new();
    let trust = if documents.is_empty() {
        problems.push(Problem::new("empty", "no XrML document in it"));
        Trust::ChainIncomplete
    } else {
        let chain = Chain::of(&documents, 0, &TrustAnchors::microsoft())?;
        notes.extend(chain.problems.iter().map(|problem| problem.text.clone()));
        chain.trust
    };
    if trust != Trust::MicrosoftProductionRoot {
        notes.push(format!("the chain does not end in the Microsoft production root: {trust}"));
    }
    Ok(DocumentsReport { documents: reports, trust: trust.name(), problems, notes })
}

fn one(document: &Document, number: usize, problems: &mut Vec<Problem>) -> DocumentReport {
    let check = document.check_signature();
    let place = format!("document {} ({})", number + 1, document.kind().name());
    if let Some(problem) = check.problem() {
        let code = if check.signature_ok.is_none() { "unsigned" } else { "signature" };
        // A template or rights data may be unsigned by nature.
        if check.signature_ok.is_some() || document.signature().is_some() {
            problems.push(Problem::new(code, format!("{place}: {problem}")));
        }
    }
    let issuer = document.issuer();
    DocumentReport {
        body_type: document.body_type().to_owned(),
        descriptor: document.descriptor().and_then(|object| object.object_type.clone()),
        issuer: issuer.map(|issuer| issuer.object.name.clone().or_else(|| issuer.object.object_type.clone()).unwrap_or_default()),
        issued: document.issued().map(|time| time.to_string()),
        hash: check.hash.map(|hash| match hash {
            keykit::key::Hash::Sha1 => "SHA1",
            _ => "SHA256",
        }),
        digest_ok: check.digest_ok,
        signature_ok: check.signature_ok,
        key_bits: document.issuer_key().map(keykit::key::RsaPublicKey::modulus_bits),
        issuer_key_id: document.issuer_key().map(keykit::key::RsaPublicKey::id),
        subject_key_ids: document.subject_keys().map(keykit::key::RsaPublicKey::id).collect(),
        sealed: document
            .sealed_keys()
            .iter()
            .map(|sealed| Sealed { algorithm: sealed.enabling_bits.algorithm.name().to_owned(), bits: sealed.enabling_bits.bits() })
            .collect(),
    }
}
