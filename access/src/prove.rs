//! Licences under keys, and what became of each file.

use std::collections::BTreeMap;
use std::mem::take;

use keykit::bulk::{FileInput, Survey};
use keykit::key::{CryptographicMode, KeyId};
use keykit::licence::{ContentCipher, ContentKey, SealAlgorithm, SealedContentKey, enabling_bits, rights_data};
use keykit::store::KeyStore;
use keykit::xrml::{self, Document, DocumentKind};
use keykit::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::search::{Found, Hit, Limits, SharedMemory, printable, search_with};

/// So many problems of one file are listed; all are counted.
const LISTED_PROBLEMS: usize = 50;
/// Licences are opened when this many are there, or this many bytes of them: an archive may hold any number.
const WAITING: (usize, u64) = (2048, 8 << 20);
/// Bits of the content key that shows that a key opens.
const PROBE_BITS: usize = 128;
/// What that content key is bound to.
const PROBE: &str = "keykit prove-access";

/// What becomes of the readers of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileVerdict {
    /// No licence is in it.
    NotProtected,
    /// Every licence in it opens.
    Opens,
    /// A licence in it does not open: its readers lose access.
    Lost,
    /// It could not be read whole, so nothing is proven about it.
    Unknown,
    /// It is, or holds, an archive or a store of a kind that is not looked into, so nothing is proven about what is in that.
    NotLookedInto,
}

/// What is wrong with one licence, or with the place where one could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LicenceVerdict {
    /// It is sealed to a key that the tenant does not have.
    KeyMissing,
    /// The key is there, and it does not open.
    DoesNotOpen,
    /// Its signature does not hold: it was changed, and the service refuses it.
    NotSound,
    /// It is protected and the licence can't be read.
    Damaged,
    /// It can't be looked into: an archive under a password, something too large.
    NotRead,
    /// It is an archive or a store of a kind that is not looked into.
    NotLookedInto,
}

impl LicenceVerdict {
    /// What it makes of its file.
    fn of_file(self) -> FileVerdict {
        match self {
            Self::KeyMissing | Self::DoesNotOpen | Self::NotSound | Self::Damaged => FileVerdict::Lost,
            Self::NotRead => FileVerdict::Unknown,
            Self::NotLookedInto => FileVerdict::NotLookedInto,
        }
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenceProblem {
    /// Where in the file; empty for the file itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub inside: String,
    /// What is wrong.
    pub verdict: LicenceVerdict,
    /// The key that the licence is sealed to, if it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    /// Whose key that is, as the licence names it.
    #[serde(flatten)]
    pub server: NamedServer,
    /// In words.
    pub problem: String,
}

/// The server whose key a licence is sealed to, as the licence names it. Nothing vouches for it but the licence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedServer {
    /// Its name: that of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licensor: Option<String>,
    /// Where it gives licences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licensing_url: Option<String>,
}

impl NamedServer {
    /// Reads it from a publishing licence.
    fn of(document: &Document) -> Self {
        let server = document.issued_principals().first().map(|server| &server.object);
        let point = document.distribution_points().iter().find_map(|point| point.object.url());
        let text = |text: &str| Some(printable(text.trim())).filter(|text| !text.is_empty());
        Self {
            licensor: server.and_then(|server| server.name.as_deref()).and_then(text),
            licensing_url: point.or(server.and_then(|server| server.url())).and_then(text),
        }
    }

    /// In words, if it is named at all.
    #[must_use]
    pub fn in_words(&self) -> Option<String> {
        match (&self.licensor, &self.licensing_url) {
            (Some(name), Some(url)) => Some(format!("'{name}' ({url})")),
            (Some(name), None) => Some(format!("'{name}'")),
            (None, Some(url)) => Some(url.clone()),
            (None, None) => None,
        }
    }
}

/// What was found out about one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFinding {
    /// What becomes of its readers.
    pub verdict: FileVerdict,
    /// Licences that open, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub opens: BTreeMap<KeyId, u64>,
    /// Number of problems.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub problem_count: u64,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<LicenceProblem>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl FileFinding {
    fn new() -> Self {
        Self { verdict: FileVerdict::NotProtected, opens: BTreeMap::new(), problem_count: 0, problems: Vec::new() }
    }

    fn opened(&mut self, key: KeyId) {
        *self.opens.entry(key).or_default() += 1;
        if self.verdict == FileVerdict::NotProtected {
            self.verdict = FileVerdict::Opens;
        }
    }

    fn wrong(&mut self, problem: LicenceProblem) {
        // A file that is lost in part is lost; one that is known in part is unknown.
        let verdict = problem.verdict.of_file();
        self.verdict = match (self.verdict, verdict) {
            (FileVerdict::Lost, _) | (_, FileVerdict::Lost) => FileVerdict::Lost,
            (FileVerdict::Unknown, _) => FileVerdict::Unknown,
            _ => verdict,
        };
        self.problem_count += 1;
        if self.problems.len() < LISTED_PROBLEMS {
            self.problems.push(problem);
        }
    }
}

/// A key of the tenant, with the store that holds it.
#[derive(Clone, Copy)]
pub struct HeldKey<'a> {
    /// The key.
    pub key_id: KeyId,
    /// Where it is.
    pub store: &'a dyn KeyStore,
}

impl std::fmt::Debug for HeldKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// Opens the licences of files under the keys of a tenant.
#[derive(Debug)]
pub struct AccessSurvey<'a> {
    keys: BTreeMap<KeyId, HeldKey<'a>>,
    limits: Limits,
    memory: SharedMemory,
}

impl<'a> AccessSurvey<'a> {
    /// A survey with these keys.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = HeldKey<'a>>, limits: Limits) -> Self {
        Self { keys: keys.into_iter().map(|key| (key.key_id, key)).collect(), limits, memory: SharedMemory::default() }
    }

    /// Seals something to each key, and opens it: what a run found out before is true only as long as the keys are there.
    ///
    /// # Errors
    /// [`Error::Negative`] for a key that does not open; what its store says.
    pub fn check_keys(&self) -> Result<()> {
        for HeldKey { key_id, store } in self.keys.values() {
            let public = store.find(key_id)?.public;
            // The service knows two sizes; to a larger key is sealed as to one of mode 2.
            let mode = CryptographicMode::of_modulus_bits(public.modulus_bits()).unwrap_or(CryptographicMode::Mode2);
            let content_key = ContentKey::generate(ContentCipher::Cbc4k, PROBE_BITS)?;
            let sealed = enabling_bits::seal(&content_key, &public, mode, PROBE)?;
            let opened = enabling_bits::open(*store, key_id, SealAlgorithm::for_mode(mode), &sealed);
            let holds = match opened {
                Ok(opened) => opened.key == content_key && opened.is_bound_to(PROBE),
                Err(Error::Crypto) => false,
                // A store that does not answer says nothing of the key.
                Err(error) => return Err(error),
            };
            if !holds {
                return Err(Error::Negative {
                    what: format!("the key {} does not open what was just sealed to it", key_id.short()),
                    hint: Some("see to the store of the key (`keykit store doctor`); nothing is proven".into()),
                });
            }
        }
        Ok(())
    }

    /// Opens what waits, if it is enough, or `all` of it. All licences that are sealed to one key in one way are opened together:
    /// that is what the engine is fast at.
    fn open_waiting(&self, batch: &mut Batch, all: bool) -> Result<()> {
        let (most, most_bytes) = WAITING;
        if !all && batch.licences.len() < most && batch.bytes < most_bytes {
            return Ok(());
        }
        batch.bytes = 0;
        let licences = take(&mut batch.licences);
        let findings = &mut batch.findings;
        let mut groups: BTreeMap<(KeyId, &'static str), Vec<(&Licence, SealedContentKey<'_>)>> = BTreeMap::new();
        for licence in &licences {
            match SealedContentKey::of(&licence.document) {
                Ok(sealed) => groups.entry((sealed.server_key, sealed.algorithm.as_str())).or_default().push((licence, sealed)),
                Err(error) => wrong(findings, licence, LicenceVerdict::Damaged, None, error.to_string()),
            }
        }
        for ((key_id, _), group) in groups {
            self.open_group(key_id, &group, findings)?;
        }
        Ok(())
    }

    /// Opens licences that are sealed to one key in one way.
    fn open_group(&self, key_id: KeyId, group: &[(&Licence, SealedContentKey<'_>)], findings: &mut [FileFinding]) -> Result<()> {
        let Some(key) = self.keys.get(&key_id) else {
            let problem = format!("it is sealed to the key {}, which the tenant does not have", key_id.short());
            for (licence, _) in group {
                wrong(findings, licence, LicenceVerdict::KeyMissing, Some(key_id), problem.clone());
            }
            return Ok(());
        };
        let Some(algorithm) = group.first().map(|(_, sealed)| sealed.algorithm) else { return Ok(()) };
        let blocks: Vec<&[u8]> = group.iter().map(|(_, sealed)| sealed.bytes).collect();
        let opened = open(key.store, &key_id, algorithm, &blocks)?;
        for ((licence, _), opened) in group.iter().zip(opened) {
            match opened.and_then(|opened| licence.rights_open(&opened.key)) {
                Err(error) => wrong(findings, licence, LicenceVerdict::DoesNotOpen, Some(key_id), error.to_string()),
                Ok(()) => match licence.document.check_signature().problem() {
                    Some(problem) => wrong(findings, licence, LicenceVerdict::NotSound, Some(key_id), problem.to_string()),
                    None => {
                        if let Some(finding) = findings.get_mut(licence.file) {
                            finding.opened(key_id);
                        }
                    }
                },
            }
        }
        Ok(())
    }
}

fn open(store: &dyn KeyStore, key: &KeyId, algorithm: SealAlgorithm, blocks: &[&[u8]]) -> Result<Vec<Result<enabling_bits::OpenedKey>>> {
    let opened = enabling_bits::open_batch(store, key, algorithm, blocks)?;
    if opened.len() == blocks.len() {
        Ok(opened)
    } else {
        Err(Error::Internal(format!("{} sealed keys gave {} answers", blocks.len(), opened.len())))
    }
}

/// One publishing licence, with the number of its file in the batch.
struct Licence {
    file: usize,
    inside: String,
    document: Document,
}

impl Licence {
    /// The rights are encrypted under the content key: that they open shows that it is the right one.
    fn rights_open(&self, content_key: &ContentKey) -> Result<()> {
        self.document.encrypted_rights_data()?.map(|data| rights_data::decrypt(content_key, &data)).transpose().map(drop)
    }
}

/// What was found in the files of a batch, as far as it was opened.
struct Batch {
    findings: Vec<FileFinding>,
    /// Not opened yet.
    licences: Vec<Licence>,
    /// Length of their texts.
    bytes: u64,
}

impl Batch {
    fn take(&mut self, file: usize, hit: Hit) {
        let Hit { inside, found } = hit;
        let (verdict, problem) = match found {
            Found::Licences(_, bytes) => match xrml::documents_in(&bytes) {
                Ok(documents) => {
                    for document in documents.into_iter().filter(|document| *document.kind() == DocumentKind::PublishingLicence) {
                        self.bytes += document.text().len() as u64;
                        self.licences.push(Licence { file, inside: inside.clone(), document });
                    }
                    return;
                }
                Err(error) => (LicenceVerdict::Damaged, error.to_string()),
            },
            // What can't be read was protected; what may hold a licence is not read.
            Found::Damaged(_, error) => (LicenceVerdict::Damaged, error.to_string()),
            Found::NotRead(error) => (LicenceVerdict::NotRead, error.to_string()),
            Found::Foreign(foreign) => (LicenceVerdict::NotLookedInto, foreign.to_string()),
        };
        if let Some(finding) = self.findings.get_mut(file) {
            finding.wrong(LicenceProblem { inside, verdict, key_id: None, server: NamedServer::default(), problem });
        }
    }
}

fn wrong(findings: &mut [FileFinding], licence: &Licence, verdict: LicenceVerdict, key_id: Option<KeyId>, problem: String) {
    if let Some(finding) = findings.get_mut(licence.file) {
        let server = NamedServer::of(&licence.document);
        finding.wrong(LicenceProblem { inside: licence.inside.clone(), verdict, key_id, server, problem });
    }
}

impl Survey for AccessSurvey<'_> {
    type Finding = FileFinding;

    fn examine(&self, files: &[FileInput]) -> Result<Vec<FileFinding>> {
        let findings = files.iter().map(|_| FileFinding::new()).collect();
        let mut batch = Batch { findings, licences: Vec::new(), bytes: 0 };
        for (number, file) in files.iter().enumerate() {
            match &file.problem {
                None => search_with(&file.path, &self.limits, &self.memory, &mut |hit| {
                    batch.take(number, hit);
                    self.open_waiting(&mut batch, false)
                })?,
                Some(problem) => {
                    let found = Found::NotRead(Error::malformed("file", problem.to_string()));
                    batch.take(number, Hit { inside: String::new(), found });
                }
            }
        }
        self.open_waiting(&mut batch, true)?;
        Ok(batch.findings)
    }

    fn problem(finding: &FileFinding) -> Option<Error> {
        let first = finding.problems.first()?;
        let place = if first.inside.is_empty() { String::new() } else { format!("{}: ", first.inside) };
        let more = if finding.problem_count > 1 { format!(" (and {} more)", finding.problem_count - 1) } else { String::new() };
        Some(Error::negative(format!("{place}{}{more}", first.problem)))
    }
}
