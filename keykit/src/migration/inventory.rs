//! What an exported domain says, checked before anything is changed.

use std::path::{Path, PathBuf};

use super::{MigrationPath, Warning, rules};
use crate::error::{Error, Result};
use crate::key::{CryptographicMode, KeyId, RsaPublicKey, RsaSecretKey};
use crate::tenant::{TemplateAddition, template_warnings};
use crate::tpd::{KeyDerivation, TrustedPublishingDomain};
use crate::xrml::{self, Chain, Document, Trust, TrustAnchors};

/// A trusted publishing domain, read and checked: its key fits its certificate, and its size is one the service knows.
#[derive(Debug)]
pub struct SourceDomain {
    file: PathBuf,
    domain: TrustedPublishingDomain,
    licensor: RsaPublicKey,
    licensor_id: String,
    licensor_name: String,
    mode: CryptographicMode,
    trust: Trust,
    templates: Vec<TemplateAddition>,
    warnings: Vec<Warning>,
}

impl SourceDomain {
    /// Examines a domain that was opened from `file`.
    ///
    /// # Errors
    /// [`Error::Malformed`] if its certificates or templates can't be read, its certificate is not signed, or its key is not that
    /// of its certificate; [`Error::Negative`] if the signature of a certificate or a template does not hold; [`Error::Refused`]
    /// for a key of another size than 1024 or 2048 bits (rule 32). An unknown root is a warning only.
    pub fn examine(file: &Path, domain: TrustedPublishingDomain) -> Result<Self> {
        Self::read(file, domain).map_err(|error| error.in_file(file))
    }

    fn read(file: &Path, domain: TrustedPublishingDomain) -> Result<Self> {
        let documents = documents_of(&domain.chain)?;
        let leaf = documents.first().ok_or_else(|| Error::malformed("trusted publishing domain", "its certificate chain is empty"))?;
        let licensor = issued_key(leaf)?;
        if let Some(key) = domain.key()
            && key.id() != licensor.id()
        {
            return Err(Error::malformed(
                "trusted publishing domain",
                format!("its key {} is not the key of its server licensor certificate, {}", key.id().short(), licensor.id().short()),
            ));
        }
        let mode = rules::mode_of(&licensor)?;
        check_signatures(&documents)?;
        let chain = Chain::of(&documents, 0, &TrustAnchors::microsoft())?;
        let mut warnings = Vec::new();
        if domain.derivation() == KeyDerivation::Pbkdf1Sha1 {
            warnings.push(rules::version_1_export(file));
        }
        if chain.trust != Trust::MicrosoftProductionRoot {
            warnings.push(Warning::plain(format!(
                "the certificate chain in {} does not end in the Microsoft production root ({}): expected for tests, not for a production cluster",
                file.display(),
                chain.trust
            )));
        }
        warnings.extend(chain.problems.iter().map(|problem| Warning::plain(format!("{}: {problem}", file.display()))));
        let templates = domain.templates.iter().map(|text| TemplateAddition::read(text)).collect::<Result<Vec<_>>>()?;
        for template in &templates {
            let signed = template.check_signature()?;
            if !signed || template.signed_by != Some(licensor.id()) {
                let by = match template.signed_by.filter(|_| signed) {
                    Some(key) => format!("by the key {}, not by that of this domain", key.short()),
                    None => "by nobody".to_owned(),
                };
                warnings.push(Warning::plain(format!(
                    "the template '{}' ({}) in {} is signed {by}: look at it before you publish it",
                    template.name,
                    template.id,
                    file.display()
                )));
            }
            warnings.extend(template_warnings(template).into_iter().map(|(rule, message)| Warning::of_rule(rule, message)));
        }
        let (licensor_id, licensor_name) = leaf
            .issued_principals()
            .first()
            .map(|principal| (principal.object.id.clone(), principal.object.name.clone().unwrap_or_default()))
            .unwrap_or_default();
        let trust = chain.trust;
        Ok(Self { file: file.to_owned(), domain, licensor, licensor_id, licensor_name, mode, trust, templates, warnings })
    }

    /// The file it came from.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The domain as it was read.
    #[must_use]
    pub fn domain(&self) -> &TrustedPublishingDomain {
        &self.domain
    }

    /// The key inside, if it is a software key.
    #[must_use]
    pub fn key(&self) -> Option<&RsaSecretKey> {
        self.domain.key()
    }

    /// The public key of its server licensor certificate: the key that is to move.
    #[must_use]
    pub fn licensor(&self) -> &RsaPublicKey {
        &self.licensor
    }

    /// Identity of that key.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.licensor.id()
    }

    /// GUID of the server licensor certificate.
    #[must_use]
    pub fn licensor_id(&self) -> &str {
        &self.licensor_id
    }

    /// Friendly name of the server licensor certificate.
    #[must_use]
    pub fn licensor_name(&self) -> &str {
        &self.licensor_name
    }

    /// Cryptographic mode of the key.
    #[must_use]
    pub fn mode(&self) -> CryptographicMode {
        self.mode
    }

    /// Where the certificate chain ends.
    #[must_use]
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// Its templates.
    #[must_use]
    pub fn templates(&self) -> &[TemplateAddition] {
        &self.templates
    }

    /// What the operator must know.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The domain itself.
    #[must_use]
    pub fn into_domain(self) -> TrustedPublishingDomain {
        self.domain
    }

    /// Refuses a domain that does not fit a path.
    ///
    /// # Errors
    /// [`Error::Refused`] (rules 30 and 41).
    pub fn check_path(&self, path: MigrationPath) -> Result<()> {
        rules::wrong_path(path, &self.file, self.key().is_some()).map_or(Ok(()), Err)
    }
}

/// Refuses certificates that were changed after they were signed, as `inspect` does; and a domain's own one that nobody signed.
fn check_signatures(documents: &[Document]) -> Result<()> {
    for (number, document) in documents.iter().enumerate() {
        let check = document.check_signature();
        let Some(problem) = check.problem() else { continue };
        let about = format!("document {} of the certificate chain ({}): {problem}", number + 1, document.kind());
        if check.signature_ok.is_some() {
            return Err(Error::negative(about).with_hint(
                "the file was changed or damaged after it was exported: export the domain from AD RMS again, and find out who had the file",
            ));
        }
        if number == 0 || document.signature().is_some() {
            return Err(Error::malformed("trusted publishing domain", about).with_hint("export the domain from AD RMS again"));
        }
    }
    Ok(())
}

/// The documents of a domain's chain, in its order.
///
/// # Errors
/// [`Error::Malformed`].
pub fn documents_of(chain: &[String]) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    for text in chain {
        documents.extend(xrml::documents_in(text.as_bytes())?);
    }
    Ok(documents)
}

/// The key that a certificate certifies.
///
/// # Errors
/// [`Error::Malformed`] if it certifies none.
pub fn issued_key(certificate: &Document) -> Result<RsaPublicKey> {
    certificate.subject_keys().next().cloned().ok_or_else(|| Error::malformed("server licensor certificate", "it certifies no key"))
}
