//! Licences under keys, and what became of each file.

use std::collections::BTreeMap;

use keykit::bulk::{FileInput, Survey};
use keykit::container::ContainerKind;
use keykit::key::KeyId;
use keykit::licence::{SealAlgorithm, SealedContentKey, enabling_bits, rights_data};
use keykit::store::KeyStore;
use keykit::xrml::{self, Document, DocumentKind};
use keykit::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::search::{Hit, Limits, search};

/// So many problems of one file are listed; all are counted.
const LISTED_PROBLEMS: usize = 50;

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
}

impl LicenceVerdict {
    /// What it makes of its file.
    fn of_file(self) -> FileVerdict {
        match self {
            Self::KeyMissing | Self::DoesNotOpen | Self::NotSound | Self::Damaged => FileVerdict::Lost,
            Self::NotRead => FileVerdict::Unknown,
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
    /// In words.
    pub problem: String,
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
        self.verdict = self.verdict.max(FileVerdict::Opens);
    }

    fn wrong(&mut self, problem: LicenceProblem) {
        // A file that is lost in part is lost; one that is known in part is unknown.
        if self.verdict != FileVerdict::Lost {
            self.verdict = problem.verdict.of_file();
        }
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
}

impl<'a> AccessSurvey<'a> {
    /// A survey with these keys.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = HeldKey<'a>>, limits: Limits) -> Self {
        Self { keys: keys.into_iter().map(|key| (key.key_id, key)).collect(), limits }
    }

    /// Opens the licences that were found in several files: one finding for each file, in order.
    ///
    /// # Errors
    /// [`Error::Token`] and the like: what stops the run. What is wrong with a licence is in its file's finding.
    pub fn judge(&self, files: Vec<Vec<Hit>>) -> Result<Vec<FileFinding>> {
        let mut findings = Vec::with_capacity(files.len());
        let mut licences = Vec::new();
        for (file, hits) in files.into_iter().enumerate() {
            let mut finding = FileFinding::new();
            for hit in hits {
                match read_licences(&hit) {
                    Ok(documents) => licences.extend(documents.into_iter().map(|document| Licence { file, inside: hit.inside.clone(), document })),
                    Err(error) => finding.wrong(unread(&hit, &error)),
                }
            }
            findings.push(finding);
        }
        // All licences of a batch that are sealed to one key in one way are opened together: that is what the engine is fast at.
        let mut groups: BTreeMap<(KeyId, &'static str), Vec<(&Licence, SealedContentKey<'_>)>> = BTreeMap::new();
        for licence in &licences {
            match SealedContentKey::of(&licence.document) {
                Ok(sealed) => groups.entry((sealed.server_key, sealed.algorithm.as_str())).or_default().push((licence, sealed)),
                Err(error) => wrong(&mut findings, licence, LicenceVerdict::Damaged, None, error.to_string()),
            }
        }
        for ((key_id, _), group) in groups {
            self.open_group(key_id, &group, &mut findings)?;
        }
        Ok(findings)
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
    fn rights_open(&self, content_key: &keykit::licence::ContentKey) -> Result<()> {
        self.document.encrypted_rights_data()?.map(|data| rights_data::decrypt(content_key, &data)).transpose().map(drop)
    }
}

fn read_licences(hit: &Hit) -> Result<Vec<Document>, String> {
    let bytes = hit.licences.as_ref().map_err(ToString::to_string)?;
    let documents = xrml::documents_in(bytes).map_err(|error| error.to_string())?;
    Ok(documents.into_iter().filter(|document| *document.kind() == DocumentKind::PublishingLicence).collect())
}

/// A container that can't be read is damaged: it was protected. What may hold one is not read.
fn unread(hit: &Hit, problem: &str) -> LicenceProblem {
    let verdict = match hit.kind {
        Some(ContainerKind::Pfile | ContainerKind::Rpmsg | ContainerKind::Text) => LicenceVerdict::Damaged,
        // A compound file that is damaged may have been protected or not.
        _ => LicenceVerdict::NotRead,
    };
    LicenceProblem { inside: hit.inside.clone(), verdict, key_id: None, problem: problem.to_owned() }
}

fn wrong(findings: &mut [FileFinding], licence: &Licence, verdict: LicenceVerdict, key_id: Option<KeyId>, problem: String) {
    if let Some(finding) = findings.get_mut(licence.file) {
        finding.wrong(LicenceProblem { inside: licence.inside.clone(), verdict, key_id, problem });
    }
}

impl Survey for AccessSurvey<'_> {
    type Finding = FileFinding;

    fn examine(&self, files: &[FileInput]) -> Result<Vec<FileFinding>> {
        let hits = files.iter().map(|file| match &file.problem {
            None => search(&file.path, &self.limits),
            Some(problem) => {
                vec![Hit { inside: String::new(), kind: None, licences: Err(Error::malformed("file", problem.to_string())) }]
            }
        });
        self.judge(hits.collect())
    }

    fn problem(finding: &FileFinding) -> Option<Error> {
        let first = finding.problems.first()?;
        let place = if first.inside.is_empty() { String::new() } else { format!("{}: ", first.inside) };
        let more = if finding.problem_count > 1 { format!(" (and {} more)", finding.problem_count - 1) } else { String::new() };
        Some(Error::negative(format!("{place}{}{more}", first.problem)))
    }
}
