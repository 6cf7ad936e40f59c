//! Licences sealed to keys that are known: samples for a migration, and what `licence open` opens.

use std::path::{Path, PathBuf};

use keykit::container;
use keykit::durable;
use keykit::key::KeyId;
use keykit::licence::SealAlgorithm;
use keykit::migration::{ProtectedSample, SourceDomain};
use keykit::xrml::{self, DocumentKind};
use keykit::{Error, Result};

/// Largest protected file that is read, in bytes.
const LIMIT: u64 = 1 << 30;

/// Reads files with licences, each of which must be sealed to a key of the domains.
pub(crate) fn read(files: &[PathBuf], domains: &[SourceDomain]) -> Result<Vec<ProtectedSample>> {
    let mut samples = Vec::new();
    for file in files {
        let ours: Vec<ProtectedSample> =
            sealed_in(file)?.into_iter().filter(|sample| domains.iter().any(|domain| domain.key_id() == sample.key_id)).collect();
        if ours.is_empty() {
            return Err(Error::Negative {
                what: format!("{} is sealed to none of the keys of these domains", file.display()),
                hint: Some("export all domains of the cluster, archived ones too: a licence needs the key it was sealed to (rules 43 and 44)".into()),
            });
        }
        samples.extend(ours);
    }
    Ok(samples)
}

/// The publishing licences of a file with the keys they are sealed to.
pub(crate) fn sealed_in(file: &Path) -> Result<Vec<ProtectedSample>> {
    sealed_in_content(file, &durable::read(file, LIMIT, "protected file")?)
}

/// As [`sealed_in`], for a file that was read already.
pub(crate) fn sealed_in_content(file: &Path, bytes: &[u8]) -> Result<Vec<ProtectedSample>> {
    let found = container::find_licences(bytes).map_err(|error| error.in_file(file))?;
    sealed_in_licences(file, &found.licences)
}

/// As [`sealed_in`], for licences that were found in the file already.
pub(crate) fn sealed_in_licences(file: &Path, licences: &[u8]) -> Result<Vec<ProtectedSample>> {
    let documents = xrml::documents_in(licences).map_err(|error| error.in_file(file))?;
    let mut samples = Vec::new();
    for document in documents.iter().filter(|document| *document.kind() == DocumentKind::PublishingLicence) {
        for principal in document.issued_principals() {
            let sealed: Vec<(SealAlgorithm, Vec<u8>)> = principal
                .enabling_bits
                .iter()
                .filter_map(|bits| Some((SealAlgorithm::from_name(bits.algorithm.name())?, bits.bytes.clone())))
                .collect();
            if let (Some(key), false) = (&principal.public_key, sealed.is_empty()) {
                samples.push(ProtectedSample { name: file.display().to_string(), key_id: key.id(), sealed });
            }
        }
    }
    if samples.is_empty() {
        return Err(Error::malformed("protected file", "there is no publishing licence with a sealed key in it").in_file(file));
    }
    Ok(samples)
}

/// The sample that is sealed to a key which `knows` knows.
pub(crate) fn for_key(samples: &[ProtectedSample], knows: impl Fn(&KeyId) -> bool) -> Option<&ProtectedSample> {
    samples.iter().find(|sample| knows(&sample.key_id))
}
