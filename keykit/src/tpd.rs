//! Trusted publishing domains: the password-protected XML files in which AD RMS exports a server licensor key with its
//! certificates and templates.
//!
//! **The layout has been proven against an importer's behaviour and against synthetic files. It has not yet been
//! checked against an export from a live server.**
//!
//! A file has two layers. The outer one is XML with two encrypted parts: the information part, which is XML again, and
//! the key part, which is a CryptoAPI private key ([`key_blob`]). A file without key has the first part only.
//!
//! # Security
//! The format has no salt and no authentication. Its protection is the password's strength alone, and a change to the
//! information part may go unnoticed here: the signatures of the certificates and templates must be checked
//! ([`crate::xrml`]), and the key must be compared with the one that the first certificate names.

mod document;
mod encryption;
mod file;
mod inner;
pub mod key_blob;
mod several;

pub use encryption::KeyDerivation;
pub use file::{holds_key, is_trusted_publishing_domain};
pub use several::open_all;

use crate::error::{Error, Malformed, Result};
use crate::key::{CryptographicMode, RsaSecretKey};
use crate::secret::Password;

use encryption::{CipherKey, Decrypted};
use file::EncryptedDomain;

const FORMAT: &str = "trusted publishing domain";
const INFORMATION_PART: &str = "its information part";
const KEY_PART: &str = "its key part";
/// `PROV_RSA_FULL` of CryptoAPI.
const CSP_RSA_FULL: u32 = 1;
/// `PROV_RSA_AES` of CryptoAPI.
const CSP_RSA_AES: u32 = 24;

/// An opened trusted publishing domain (formats §1).
#[derive(Debug)]
pub struct TrustedPublishingDomain {
    /// What the server says of the key.
    pub information: KeyInformation,
    /// The certificate chain as XrML texts, the server licensor certificate first.
    pub chain: Vec<String>,
    /// The rights policy templates as XrML texts.
    pub templates: Vec<String>,
    key: Option<RsaSecretKey>,
    derivation: KeyDerivation,
}

/// What the server says of the key and where it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInformation {
    /// The domain's identity, usually a GUID in braces.
    pub id: String,
    /// The kind of the identity, usually `MS-GUID`.
    pub id_type: String,
    /// Type of the cryptographic provider: 1 (`PROV_RSA_FULL`) or 24 (`PROV_RSA_AES`).
    pub csp_type: u32,
    /// Name of the cryptographic provider; may be empty.
    pub csp_name: String,
    /// Name of the key container; may be empty.
    pub key_container: String,
    /// Which key of the container: 1 for exchange, 2 for signature.
    pub key_number: u32,
}

impl TrustedPublishingDomain {
    /// A domain from its parts, with the checks that an importer makes.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the identity, its type or the first certificate is empty, if the provider type does not
    /// suit the key (1 or 24; only 24 for a 2048-bit key), or if a text has a character that XML cannot carry.
    pub fn new(
        information: KeyInformation,
        chain: Vec<String>,
        templates: Vec<String>,
        key: Option<RsaSecretKey>,
        derivation: KeyDerivation,
    ) -> Result<Self> {
        let domain = Self { information, chain, templates, key, derivation };
        domain.check()?;
        Ok(domain)
    }

    /// Opens a file. Both key derivations are tried; [`Self::derivation`] says which one fitted.
    ///
    /// Whether the key belongs to the first certificate is not checked here.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the file is damaged, which is known before the password is used (XML, base64, whole
    /// blocks) or because a part of it opens with the password; [`Error::WrongPassword`] if nothing of it opens.
    pub fn open(bytes: &[u8], password: &Password) -> Result<Self> {
        let file = file::read(bytes)?;
        let mut keys = Vec::new();
        for derivation in KeyDerivation::ALL {
            let key = derivation.derive(password)?;
            let information = key.decrypt(&file.information)?;
            if inner::is_recognised(information.blocks()) {
                return Self::read_parts(&file, derivation, &key, &information);
            }
            keys.push(key);
        }
        // Nothing readable in the information part. If the key part opens, the password is right all the same.
        for key in &keys {
            let key_data = file.key_data.as_deref().map(|ciphertext| key.decrypt(ciphertext)).transpose()?;
            if key_data.is_some_and(|key_data| key_blob::is_recognised(key_data.blocks())) {
                return Err(damaged(INFORMATION_PART, "nothing in it can be read, though the key part opens with this password"));
            }
        }
        Err(Error::WrongPassword {
            what: "the trusted publishing domain".into(),
            hint: "check the password and that it is the one of this file; shells change characters such as $ unless they are quoted \
                   (rule 57); if the password is certain, the file is damaged: take another copy or export the domain again"
                .into(),
        })
    }

    fn read_parts(file: &EncryptedDomain, derivation: KeyDerivation, cipher: &CipherKey, information: &Decrypted) -> Result<Self> {
        let information = information.content().ok_or_else(|| damaged(INFORMATION_PART, "its end is missing or was changed"))?;
        let inner = inner::read(information).map_err(|error| in_part(error, INFORMATION_PART))?;
        let key = file.key_data.as_deref().map(|ciphertext| open_key(cipher, ciphertext)).transpose()?;
        Self::new(inner.information, inner.chain, inner.templates, key, derivation)
    }

    /// Writes the domain as a file that the password opens, with the key derivation that [`Self::derivation`] names.
    ///
    /// # Errors
    /// [`Error::Malformed`] as [`Self::new`], if a public field was changed to something impossible, or if the file
    /// would be too large to be read again; [`Error::Internal`] or [`Error::Crypto`] never in practice.
    pub fn seal(&self, password: &Password) -> Result<Vec<u8>> {
        self.check()?;
        let cipher = self.derivation.derive(password)?;
        let information = cipher.encrypt(inner::write(&self.information, &self.chain, &self.templates).as_bytes())?;
        let key_data = self.key.as_ref().map(|key| cipher.encrypt(key_blob::encode(key)?.expose())).transpose()?;
        let bytes = file::write(&EncryptedDomain { information, key_data });
        if bytes.len() > file::MAX_FILE_BYTES {
            return Err(Error::malformed(FORMAT, format!("it would have {} bytes; at most {} are read", bytes.len(), file::MAX_FILE_BYTES)));
        }
        Ok(bytes)
    }

    /// The private key, if the file has one.
    #[must_use]
    pub fn key(&self) -> Option<&RsaSecretKey> {
        self.key.as_ref()
    }

    /// The domain without its key, which is wiped.
    #[must_use]
    pub fn without_key(self) -> Self {
        self.into_key().0
    }

    /// The domain without its key, and the key.
    #[must_use]
    pub fn into_key(mut self) -> (Self, Option<RsaSecretKey>) {
        let key = self.key.take();
        (self, key)
    }

    /// How the cipher key comes out of the password.
    #[must_use]
    pub fn derivation(&self) -> KeyDerivation {
        self.derivation
    }

    /// The same domain, to be sealed with another key derivation.
    #[must_use]
    pub fn with_derivation(self, derivation: KeyDerivation) -> Self {
        Self { derivation, ..self }
    }

    fn check(&self) -> Result<()> {
        let wrong = |problem: String| Err(Error::malformed(FORMAT, problem));
        let information = &self.information;
        for (name, text) in [("strID", &information.id), ("strIDType", &information.id_type)] {
            if text.trim().is_empty() {
                return wrong(format!("{name} is empty"));
            }
        }
        if self.chain.first().is_none_or(|certificate| certificate.trim().is_empty()) {
            return wrong("there is no server licensor certificate".into());
        }
        let texts = [&information.id, &information.id_type, &information.csp_name, &information.key_container];
        for text in texts.into_iter().chain(&self.chain).chain(&self.templates) {
            if let Some(character) = text.chars().find(|&character| !document::is_xml_character(character)) {
                return wrong(format!("a text has the character U+{:04X}, which XML cannot carry", u32::from(character)));
            }
        }
        let mode = self.key.as_ref().and_then(RsaSecretKey::mode);
        match information.csp_type {
            CSP_RSA_AES => Ok(()),
            CSP_RSA_FULL if mode != Some(CryptographicMode::Mode2) => Ok(()),
            CSP_RSA_FULL => wrong(format!("nCSPType is {CSP_RSA_FULL}; a 2048-bit key needs {CSP_RSA_AES} (PROV_RSA_AES)")),
            other => wrong(format!("nCSPType is {other}, neither {CSP_RSA_FULL} (PROV_RSA_FULL) nor {CSP_RSA_AES} (PROV_RSA_AES)")),
        }
    }
}

fn open_key(cipher: &CipherKey, ciphertext: &[u8]) -> Result<RsaSecretKey> {
    let decrypted = cipher.decrypt(ciphertext)?;
    let Some(blob) = decrypted.content() else {
        return Err(if key_blob::is_recognised(decrypted.blocks()) {
            damaged(KEY_PART, "its end is missing or was changed")
        } else {
            damaged(KEY_PART, "it does not open with the password that opens the information part")
        });
    };
    key_blob::decode(blob).map_err(|error| in_part(error, KEY_PART))
}

fn damaged(part: &str, problem: &str) -> Error {
    in_part(Error::malformed(FORMAT, problem), part)
}

/// Says which decrypted part an error is about. The offset then counts in that part.
fn in_part(error: Error, part: &str) -> Error {
    match error {
        Error::Malformed(Malformed { problem, offset, hint, .. }) => {
            let hint = hint.or_else(|| Some("the password is right: take another copy of the file or export the domain again".into()));
            Error::Malformed(Malformed { format: FORMAT, problem: format!("{part} is damaged: {problem}"), file: None, offset, hint })
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
