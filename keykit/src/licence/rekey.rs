//! Publishing licences from an archived key to the active one.
//!
//! A licence is verified, its content key unsealed with the archived key and sealed to the active one, what names the server is
//! rewritten, and the body is signed by the active key. Everything else of the body is copied byte for byte:
//!
//! | part | becomes |
//! |---|---|
//! | `ISSUER`, `ISSUEDPRINCIPALS` with `ENABLINGBITS` | those of the active key's server, in the mode of its size |
//! | addresses of licensing (`DISTRIBUTIONPOINT`) | as they were, unless [`Rekey::with_licensing_urls`] says otherwise |
//! | `ISSUEDTIME` | as it was: terms in days count from it |
//! | descriptor, content, owner, encrypted rights, settings, anything unknown | as they were |
//! | encoding, XML declaration, root element's tag | as they were |
//! | documents after the licence | the active key's chain; see below |
//!
//! The documents after a licence are the certificates of the old key and say nothing of the new one: they are left out, and the
//! chain of the active key stands there, if one was given. If a use licence is among them (an author's own), all of them stay
//! after the new chain, because it needs them; chains are linked by key and not by position.
//!
//! # Offline licences
//! An author's computer can issue a licence under a client licensor certificate. Its key is the author's, so nobody else can sign
//! such a licence again: it can only be issued anew by the server. That replaces a person's signature by the server's and is
//! refused unless [`Rekey::reissue_offline`] is asked for. Then the author's certificate must stand after the licence, be
//! signed by the archived key, and cover the time of issue; the author stays the owner.
//!
//! # What it costs
//! Two private operations a licence, in one batch of each kind for all licences under one key, and a third one for each result that is
//! opened. Nothing is written and no input is changed: the result is new text.
//!
//! # What is checked of a result
//! Every result is read again from its text, as anybody would read it:
//!
//! - its signature verifies under the active key, over the bytes that leave. Where the store has verified it already
//!   ([`KeyStore::verifies_what_it_signs`]), the body and the signature of the result are compared with those of the store instead;
//! - it names the active key, and holds the very block that the content key was sealed into;
//! - every byte of the body that is not the server's is as it was, the encrypted rights among them. Equal content key and equal
//!   encrypted rights mean equal rights;
//! - **the block seals the same content key.** Sealing is random only in a session key and in the seed of the RSA padding. Both are kept until
//!   here, and with them the RSA block is computed again, in another way than at first, and the rest is decrypted: what comes out must
//!   be the content key, bound to its server. What holds of the block under the public key holds for whoever has the private one:
//!   this shows what the active key will find, without using it;
//! - the active key itself opens the first result, and then one of [`OPEN_EVERY`]: that it is the other half of the public key, and
//!   that both sides mean the same padding, does not differ from licence to licence. [`Rekey::open_every`] opens more of them, or all.
//!
//! Where the signature was verified by the store and the result is not opened, its pieces are found again in the text and compared with
//! those that were written, and their values are not decoded once more.

mod check;
mod rewrite;
mod source;
mod stored;

use std::borrow::Cow;
use std::num::NonZero;
use std::ops::Range;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::check::Expected;
use self::source::Source;
pub(super) use self::stored::Stored;
use super::publishing::{SealedToServer, ServerElement, mode_of};
use super::{ContentKey, OpenedKey, SealAlgorithm, enabling_bits};
use crate::container::{NewProtectedFile, ProtectedFile, find_licences};
use crate::error::{Error, Result};
use crate::key::{Digest, KeyId, RsaPublicKey};
use crate::store::KeyStore;
use crate::xrml::writer::{UnsignedDocument, issuer_element};
use crate::xrml::{Document, DocumentKind, Principal, TimeRange};

const FORMAT: &str = "publishing licence";

/// Of so many results one is opened with the active key, unless [`Rekey::open_every`] says otherwise: one of a batch.
pub const OPEN_EVERY: NonZero<u64> = NonZero::<u64>::MIN.saturating_add(63);

/// The key that licences move to.
#[derive(Debug, Clone, Copy)]
pub struct ActiveKey<'a> {
    /// The store that holds it.
    pub store: &'a dyn KeyStore,
    /// Its server with its public key, copied from the server licensor certificate.
    pub server: &'a Principal,
    /// Its certificates as XrML texts, server licensor certificate first. Empty for licences without a chain.
    pub chain: &'a [String],
}

/// Moves licences and templates to the active key. See the module's documentation.
#[derive(Debug)]
pub struct Rekey<'a> {
    archived: Vec<(&'a dyn KeyStore, RsaPublicKey)>,
    store: &'a dyn KeyStore,
    server: Principal,
    key: RsaPublicKey,
    algorithm: SealAlgorithm,
    issuer: String,
    chain: String,
    chain_validity: Option<Option<TimeRange>>,
    licensing_urls: Option<LicensingUrls>,
    reissue_offline: bool,
    /// Of so many results one is opened; `None`: none.
    open_every: Option<NonZero<u64>>,
    /// Results so far.
    results: AtomicU64,
}

/// New addresses of licensing.
#[derive(Debug)]
struct LicensingUrls {
    intranet: String,
    extranet: String,
}

/// A licence under the active key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RekeyedLicence {
    /// The licence with the documents after it, in the encoding of the original.
    pub text: Vec<u8>,
    /// The key that it was sealed to.
    pub from: KeyId,
    /// The key that it is sealed to and signed by now.
    pub key_id: KeyId,
    /// What was done and seen. A check that does not hold is an error instead.
    pub checks: RekeyChecks,
}

/// What was done to a licence, and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RekeyChecks {
    /// The licence was under the active key already: `text` is the original, byte for byte.
    pub already_active: bool,
    /// The sealed content key was computed again and is the same: see the module's documentation. True of every result that is not
    /// `already_active`.
    pub sealing_confirmed: bool,
    /// The result was also opened with the new key, which is done of one of so many: see [`Rekey::open_every`].
    pub opened_with_new_key: bool,
    /// The licence has encrypted rights, and the content key opens them.
    pub has_rights: bool,
    /// The content key was bound to the old ISSUEDPRINCIPALS element in the way that keykit binds. Other writers may do so
    /// in another way.
    pub was_bound: bool,
    /// An author's computer had issued it; now the server has.
    pub reissued: bool,
    /// Number of documents after the licence that were left out, and that stayed.
    pub documents_left_out: usize,
    /// See above.
    pub documents_kept: usize,
    /// Whether the active key's certificate covers the time of issue; `None` without a chain. If not, a strict reader of the
    /// chain may refuse the licence; the server that holds the key opens it all the same.
    pub within_chain: Option<bool>,
}

impl<'a> Rekey<'a> {
    /// From these keys to that one. All of them are looked up in their stores now.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a key that its store does not hold; [`Error::Usage`] for an active key without its public half or
    /// of neither mode, or a chain that does not certify it; [`Error::Malformed`] for a chain that cannot be read.
    pub fn new(archived: &[(&'a dyn KeyStore, KeyId)], active: ActiveKey<'a>) -> Result<Self> {
        let key = active.server.public_key.clone().ok_or_else(|| Error::usage("the server of the active key needs its public key"))?;
        let mode = mode_of(&key)?;
        active.store.find(&key.id())?;
        let archived = archived.iter().filter(|(_, id)| *id != key.id());
        let chain = active.chain.iter().map(|text| Document::read(text.as_bytes())).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            archived: archived.map(|(store, id)| Ok((*store, store.find(id)?.public))).collect::<Result<_>>()?,
            store: active.store,
            server: Principal { enabling_bits: Vec::new(), ..active.server.clone() },
            algorithm: SealAlgorithm::for_mode(mode),
            issuer: issuer_element(active.server)?,
            chain_validity: validity_of(&chain, &key)?,
            chain: chain.iter().map(Document::text).collect(),
            key,
            licensing_urls: None,
            reissue_offline: false,
            open_every: Some(OPEN_EVERY),
            results: AtomicU64::new(0),
        })
    }

    /// For templates only: archived keys are known by their public halves, and need not be in any store.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn for_templates(archived: Vec<RsaPublicKey>, active: ActiveKey<'a>) -> Result<Self> {
        let store = active.store;
        let mut rekey = Self::new(&[], active)?;
        rekey.archived = archived.into_iter().filter(|key| *key != rekey.key).map(|key| (store, key)).collect();
        Ok(rekey)
    }

    /// Writes other addresses of licensing into the licences that have some.
    ///
    /// # Errors
    /// [`Error::Usage`] for a text with control characters.
    pub fn with_licensing_urls(mut self, intranet: &str, extranet: &str) -> Result<Self> {
        if intranet.contains(char::is_control) || extranet.contains(char::is_control) {
            return Err(Error::usage("an address with control characters"));
        }
        self.licensing_urls = Some(LicensingUrls { intranet: intranet.to_owned(), extranet: extranet.to_owned() });
        Ok(self)
    }

    /// Issues offline licences anew instead of refusing them.
    #[must_use]
    pub fn reissue_offline(mut self) -> Self {
        self.reissue_offline = true;
        self
    }

    /// Opens the first result and then one of `number` with the active key, instead of one of [`OPEN_EVERY`]; with 1, all of them, which is
    /// a third private operation for each. The module's documentation says what is checked of every result.
    #[must_use]
    pub fn open_every(mut self, number: NonZero<u64>) -> Self {
        self.open_every = Some(number);
        self
    }

    /// Opens no result with the active key. All else of the module's documentation is checked.
    #[must_use]
    pub fn without_opening(mut self) -> Self {
        self.open_every = None;
        self
    }

    /// Whether the next result is to be opened.
    fn opens_next(&self) -> bool {
        self.open_every.is_some_and(|number| self.results.fetch_add(1, Ordering::Relaxed).is_multiple_of(number.get()))
    }

    /// The key that licences move to.
    #[must_use]
    pub fn active_key(&self) -> KeyId {
        self.key.id()
    }

    /// Re-keys licences, in order. Each item is XrML text as it is stored: one publishing licence, and the documents after it.
    ///
    /// The batch is held in memory: give some hundreds at a time.
    ///
    /// # Errors
    /// What a store says of a key or of itself; then there is no result. What is wrong with one licence is in its place:
    /// [`Error::Malformed`]; [`Error::Negative`] for a signature or a check that does not hold; [`Error::NotFound`] that names the
    /// key if it is neither active nor archived here; [`Error::Refused`] for an offline licence; [`Error::Crypto`] if it does
    /// not open.
    pub fn rekey_batch(&self, items: &[&[u8]]) -> Result<Vec<Result<RekeyedLicence>>> {
        let sources = self.read_all(items);
        let opened = self.unseal(&sources)?;
        let mut batch = Batch::default();
        let mut steps = Vec::with_capacity(sources.len());
        for (source, opened) in sources.into_iter().zip(opened) {
            steps.push(source.and_then(|source| self.step(source, opened, &mut batch)));
        }
        self.finish(self.seal(steps)?)
    }

    /// What comes next for a licence. Only one that is under the active key already may go without having been opened.
    fn step<'i>(&self, source: Source<'i>, opened: Option<Result<OpenedKey>>, batch: &mut Batch) -> Result<Step<Opened<'i>>> {
        match (opened, source.archived) {
            (Some(opened), _) => self.open(source, opened?, batch).map(Step::Next),
            (None, None) => Ok(Step::Done(source.unchanged())),
            (None, Some(_)) => Err(Error::Internal("a licence under an archived key was not opened".into())),
        }
    }

    /// Re-keys one licence: a batch of one.
    ///
    /// # Errors
    /// As for [`Self::rekey_batch`].
    pub fn rekey(&self, item: &[u8]) -> Result<RekeyedLicence> {
        self.rekey_batch(&[item])?.pop().unwrap_or_else(|| Err(Error::Internal("a batch of one gave nothing".into())))
    }

    /// Re-keys the licence of a protected file (`.pfile`). The result's `text` is the new file; the content is the same.
    ///
    /// # Errors
    /// As for [`Self::rekey_batch`], and as for [`replace_licence`].
    pub fn rekey_pfile(&self, file: &[u8]) -> Result<RekeyedLicence> {
        ProtectedFile::parse(file)?;
        let rekeyed = self.rekey(&find_licences(file)?.licences)?;
        let text = if rekeyed.checks.already_active { file.to_vec() } else { replace_licence(file, &rekeyed.text)? };
        Ok(RekeyedLicence { text, ..rekeyed })
    }

    pub(super) fn unknown(&self, what: &str, key: &RsaPublicKey) -> Error {
        Error::NotFound {
            what: format!("the {what} the key {}, which is neither active nor archived here", key.id().short()),
            hint: Some("import the key first, or take the licence to the tenant that holds it".into()),
        }
    }

    /// Opens the content keys, in one batch for each archived key and way of sealing. `None` for what stays as it is.
    fn unseal(&self, sources: &[Result<Source<'_>>]) -> Result<Vec<Option<Result<OpenedKey>>>> {
        let mut opened: Vec<Option<Result<OpenedKey>>> = sources.iter().map(|_| None).collect();
        for (number, (store, key)) in self.archived.iter().enumerate() {
            for algorithm in [SealAlgorithm::SealedKey, SealAlgorithm::SealedKeyV2] {
                let mut group = Vec::new();
                for (source, slot) in sources.iter().zip(&mut opened) {
                    if let Ok(source) = source
                        && source.archived == Some(number)
                        && let Ok(sealed) = SealedToServer::of(&source.stored.document)
                        && sealed.algorithm == algorithm
                    {
                        group.push((sealed.sealed.enabling_bits.bytes.as_slice(), slot));
                    }
                }
                if group.is_empty() {
                    continue;
                }
                let bytes: Vec<_> = group.iter().map(|(bytes, _)| *bytes).collect();
                let results = enabling_bits::open_batch(*store, &key.id(), algorithm, &bytes)?;
                for ((_, slot), result) in group.into_iter().zip(results) {
                    *slot = Some(result);
                }
            }
        }
        Ok(opened)
    }

    /// Seals the content keys to the active key, in one batch, and writes the new bodies.
    fn seal<'i>(&self, steps: Vec<Result<Step<Opened<'i>>>>) -> Result<Vec<Result<Step<Draft<'i>>>>> {
        let opened = steps.iter().flatten().filter_map(Step::next);
        let keys: Vec<_> = opened.map(|opened| (&opened.key, opened.server.bound())).collect();
        let mut sealed = enabling_bits::seal_recorded(&keys, &self.key, self.algorithm.mode())?.into_iter();
        let mut missing = || sealed.next().ok_or_else(|| Error::Internal("a sealed content key is missing".into()));
        let mut draft = |step| match step {
            Step::Next(opened) => self.draft(opened, missing()?).map(Step::Next),
            Step::Done(unchanged) => Ok(Step::Done(unchanged)),
        };
        Ok(steps.into_iter().map(|step| step.and_then(&mut draft)).collect())
    }

    /// Signs all drafts in one batch, puts the texts together and checks them.
    fn finish(&self, steps: Vec<Result<Step<Draft<'_>>>>) -> Result<Vec<Result<RekeyedLicence>>> {
        let unsigned = steps.iter().flatten().filter_map(Step::next).map(|draft| &draft.unsigned);
        let mut signatures = self.sign(&unsigned.map(UnsignedDocument::digest).collect::<Vec<_>>())?.into_iter();
        let mut expected = Vec::with_capacity(steps.len());
        let mut results = Vec::with_capacity(steps.len());
        for step in steps {
            let (result, expect) = match step {
                Ok(Step::Next(draft)) => match signatures.next() {
                    Some(signature) => {
                        let (rekeyed, signed) = draft.complete(self, signature);
                        (Ok(rekeyed), Some(signed))
                    }
                    None => (Err(Error::Internal("a signature is missing".into())), None),
                },
                Ok(Step::Done(unchanged)) => (Ok(unchanged), None),
                Err(error) => (Err(error), None),
            };
            results.push(result);
            expected.push(expect);
        }
        self.check_results(&mut results, &expected)?;
        Ok(results)
    }

    /// Signs with the active key, in one batch.
    pub(super) fn sign(&self, digests: &[Digest]) -> Result<Vec<Vec<u8>>> {
        if digests.is_empty() {
            return Ok(Vec::new());
        }
        let signatures = self.store.sign(&self.key.id(), digests)?;
        if signatures.len() == digests.len() {
            Ok(signatures)
        } else {
            Err(Error::Internal(format!("the store was given {} digests and answered {}", digests.len(), signatures.len())))
        }
    }
}

/// Puts another licence into a protected file. Every other byte of the parts stays as it is.
///
/// # Errors
/// [`Error::Malformed`] for a damaged file, and for a layout that could not be kept: with fields that are not known, or gaps.
pub fn replace_licence(file: &[u8], licence: &[u8]) -> Result<Vec<u8>> {
    let parsed = ProtectedFile::parse(file)?;
    let with = |publishing_licence| NewProtectedFile {
        version: parsed.version(),
        notice: parsed.notice(),
        extension: parsed.extension(),
        publishing_licence,
        original_size: parsed.original_size(),
        metadata: parsed.metadata(),
        content: parsed.content(),
    };
    if with(parsed.publishing_licence()).to_bytes()? != file {
        return Err(Error::malformed("protected file (.pfile)", "its layout has fields or gaps that could not be kept")
            .with_hint("take the licence out and re-key it as a file of its own; the document itself is not changed"));
    }
    with(licence).to_bytes()
}

/// When the server licensor certificate of a chain lets its key issue. The outer `None` is for no chain.
fn validity_of(chain: &[Document], key: &RsaPublicKey) -> Result<Option<Option<TimeRange>>> {
    let certifies =
        |document: &&Document| *document.kind() == DocumentKind::ServerLicensorCertificate && document.subject_keys().any(|subject| subject == key);
    match chain.iter().find(certifies) {
        None if chain.is_empty() => Ok(None),
        Some(certificate) if certificate.check_signature().is_sound() => Ok(Some(certificate.validity())),
        _ => Err(Error::usage(format!("the chain holds no sound server licensor certificate of the active key {}", key.id().short()))),
    }
}

/// A licence on its way.
enum Step<T> {
    Done(RekeyedLicence),
    Next(T),
}

impl<T> Step<T> {
    fn next(&self) -> Option<&T> {
        match self {
            Self::Done(_) => None,
            Self::Next(next) => Some(next),
        }
    }
}

/// What is the same for many licences of a batch.
#[derive(Default)]
struct Batch {
    /// Elements of the active key's server, by the internal id that the licences had.
    servers: Vec<(Option<String>, Rc<ServerElement>)>,
    /// The last element that a content key was bound to, in two parts, and its hash.
    bound: Option<([String; 2], Digest)>,
}

/// A licence whose content key was opened.
struct Opened<'i> {
    source: Source<'i>,
    key: ContentKey,
    server: Rc<ServerElement>,
    has_rights: bool,
    was_bound: bool,
}

/// A licence that waits for its signature.
struct Draft<'i> {
    source: Source<'i>,
    unsigned: UnsignedDocument,
    checks: RekeyChecks,
    expected: Expected,
}

/// A piece of a document's text, and what stands there instead.
type Edit<'t> = (Range<usize>, Cow<'t, str>);

#[cfg(test)]
mod tests;
