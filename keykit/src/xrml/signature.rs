//! The signature of one document (MS-RMPR §2.2.9.1.12).
//!
//! The digest is over the exact text of the body in UTF-16LE, whatever the document is stored in, and the signature is
//! RSASSA-PKCS1-v1_5 over that digest, big-endian. Nothing is canonicalised.

use serde::Serialize;

use super::document::Document;
use super::time::shorten;
use super::value::{Reading, bytes_of, fault, only_child, required};
use crate::error::{Error, Result};
use crate::key::{Digest, Hash, RsaPublicKey};
use crate::xml::Element;

/// How the algorithm of every known signature is named.
pub(super) const SIGNATURE_ALGORITHM: &str = "RSA PKCS#1-V1.5";
/// How the coding of every known digest is named: the text itself.
pub(super) const CODING: &str = "surface-coding";

/// The signature block, as it is stored. It is a claim until it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The digest's algorithm as it is named: `SHA1`, `SHA256`.
    pub digest_algorithm: String,
    /// The hash that this names, if it is known.
    pub hash: Option<Hash>,
    /// The digest.
    pub digest: Vec<u8>,
    /// The signature, big-endian.
    pub value: Vec<u8>,
}

impl Signature {
    /// Reads `<SIGNATURE>`. The order of its parts varies, so they are found by name.
    pub(super) fn read(element: &Element<'_>) -> Result<Self> {
        let digest = required(element, "DIGEST")?;
        let algorithm = required(element, "ALGORITHM")?.trimmed();
        if algorithm != SIGNATURE_ALGORITHM {
            return Err(fault(element, format!("a signature of the algorithm '{}'; only '{SIGNATURE_ALGORITHM}' is known", shorten(algorithm))));
        }
        if let Some(parameter) = only_child(digest, "PARAMETER")? {
            let coding = required(parameter, "VALUE")?;
            if (parameter.attribute("name"), coding.attribute("encoding"), coding.trimmed()) != (Some("codingtype"), Some("string"), CODING) {
                return Err(fault(parameter, format!("a digest with a parameter other than {CODING}")));
            }
        }
        let digest_algorithm = required(digest, "ALGORITHM")?.trimmed();
        Ok(Self {
            digest_algorithm: digest_algorithm.to_owned(),
            hash: match digest_algorithm {
                "SHA1" | "SHA-1" => Some(Hash::Sha1),
                "SHA256" | "SHA-256" => Some(Hash::Sha256),
                _ => None,
            },
            digest: bytes_of(required(digest, "VALUE")?, Reading::Strict)?,
            value: bytes_of(required(element, "VALUE")?, Reading::Strict)?,
        })
    }
}

/// What came out of checking one signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureCheck {
    /// The hash, if the document is signed and its hash is known.
    pub hash: Option<Hash>,
    /// Whether the stored digest is the digest of the body.
    pub digest_ok: bool,
    /// Whether the digest is right *and* the signature over it verifies under the key. `None` if there is no signature.
    pub signature_ok: Option<bool>,
}

impl SignatureCheck {
    const UNSIGNED: Self = Self { hash: None, digest_ok: false, signature_ok: None };

    /// Whether the document is signed, and soundly.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.digest_ok && self.signature_ok == Some(true)
    }

    /// What is wrong, in words; `None` if nothing is.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        match self {
            Self { signature_ok: None, .. } => Some("it is not signed"),
            Self { hash: None, .. } => Some("its digest is of an unknown algorithm"),
            Self { digest_ok: false, .. } => Some("its text is not what was signed: the digest differs"),
            Self { signature_ok: Some(false), .. } => Some("its signature does not verify"),
            Self { .. } => None,
        }
    }
}

impl Serialize for SignatureCheck {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut fields = serializer.serialize_struct("SignatureCheck", 3)?;
        fields.serialize_field("hash", &self.hash.map(digest_name))?;
        fields.serialize_field("digest_ok", &self.digest_ok)?;
        fields.serialize_field("signature_ok", &self.signature_ok)?;
        fields.end()
    }
}

/// The name of a hash in a digest; only two are ever written.
pub(super) fn digest_name(hash: Hash) -> &'static str {
    match hash {
        Hash::Sha1 => "SHA1",
        _ => "SHA256",
    }
}

/// The digest of a body: over its text in UTF-16LE, without a byte order mark.
#[must_use]
pub(super) fn body_digest(body: &str, hash: Hash) -> Digest {
    hash.digest_utf16le(body)
}

impl Document {
    /// Checks the signature under the key that the document itself names as its issuer's.
    ///
    /// A sound check says that the holder of that key signed this text. It does not say who that is: see
    /// [`super::Chain`].
    #[must_use]
    pub fn check_signature(&self) -> SignatureCheck {
        self.check_signature_under(self.issuer_key())
    }

    /// Checks that the document was signed by the holder of `key`.
    ///
    /// # Errors
    /// [`Error::Negative`] that says what does not hold.
    pub fn verify_with(&self, key: &RsaPublicKey) -> Result<()> {
        match self.check_signature_under(Some(key)).problem() {
            None => Ok(()),
            Some(problem) => Err(Error::negative(format!("the {} does not verify under the key {}: {problem}", self.kind(), key.id().short()))),
        }
    }

    /// Checks the signature under a key, or the digest alone without one.
    pub(crate) fn check_signature_under(&self, key: Option<&RsaPublicKey>) -> SignatureCheck {
        match self.signature_claim() {
            Ok(claim) => claim.found(key.is_some_and(|key| key.verify(&claim.digest, claim.value))),
            Err(check) => check,
        }
    }

    /// The digest of the body, if it is the stored one, and the signature that is to be verified over it. Else what came out already.
    pub(crate) fn signature_claim(&self) -> Result<SignatureClaim<'_>, SignatureCheck> {
        let signature = self.signature().ok_or(SignatureCheck::UNSIGNED)?;
        let hash = signature.hash.ok_or(SignatureCheck { signature_ok: Some(false), ..SignatureCheck::UNSIGNED })?;
        let digest = body_digest(self.body_text(), hash);
        if digest.as_bytes() == signature.digest {
            Ok(SignatureClaim { digest, value: &signature.value })
        } else {
            Err(SignatureCheck { hash: Some(hash), digest_ok: false, signature_ok: Some(false) })
        }
    }
}

/// A signature whose digest is right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignatureClaim<'a> {
    /// The digest of the body.
    pub(crate) digest: Digest,
    /// The signature, big-endian.
    pub(crate) value: &'a [u8],
}

impl SignatureClaim<'_> {
    /// What came out, given whether the signature verifies.
    pub(crate) fn found(&self, verifies: bool) -> SignatureCheck {
        SignatureCheck { hash: Some(self.digest.hash()), digest_ok: true, signature_ok: Some(verifies) }
    }
}
