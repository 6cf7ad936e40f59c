//! New documents, in the shape that real ones have.
//!
//! A builder gives an [`UnsignedDocument`]: the exact text of a body and the hash to sign it with. Any key store can then
//! sign the digest, one by one with [`UnsignedDocument::sign_with`] or many in one batch with
//! [`UnsignedDocument::digest`] and [`UnsignedDocument::with_signature`].

mod certificate;
mod element;
mod licence;
mod template;

pub use certificate::{Certificate, CertificateRole, demonstration_root};
pub use element::{
    authenticated_data_element, distribution_point_element, enabling_bits_element, issuer_element, object_element, principal_element,
    public_key_element, right_element, time_range_elements,
};
pub use licence::PublishingLicence;
pub use template::Template;

use super::FORMAT;
use super::document::Document;
use super::signature::{CODING, SIGNATURE_ALGORITHM, body_digest, digest_name};
use super::value::encode_base64;
use crate::error::{Error, Result};
use crate::key::{CryptographicMode, Digest, Hash, RsaPublicKey};
use crate::store::KeyStore;

/// What stands before the first document of a file.
pub const XML_DECLARATION: &str = "<?xml version=\"1.0\"?>";

/// A body that waits for its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedDocument {
    body: String,
    digest: Digest,
    issuer: RsaPublicKey,
}

impl UnsignedDocument {
    /// A body made elsewhere, from `<BODY` to `</BODY>`, with the key of its issuer. The hash is that of the key's
    /// cryptographic mode; keys of other sizes take SHA-256.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the text is not the body of a document, or names another issuer.
    pub fn from_body(body: String, issuer: &RsaPublicKey) -> Result<Self> {
        let document = Document::read(format!("<XrML>{body}</XrML>").as_bytes())?;
        if document.body_text() != body {
            return Err(Error::malformed(FORMAT, "there is text before or after the body"));
        }
        if document.issuer_key() != Some(issuer) {
            return Err(Error::malformed(FORMAT, "the body names another issuer than the key that is to sign it"));
        }
        Ok(Self::unread(body, issuer))
    }

    /// As [`Self::from_body`], for a caller who reads and verifies the whole document once it is signed.
    pub(crate) fn unread(body: String, issuer: &RsaPublicKey) -> Self {
        let hash = CryptographicMode::of_modulus_bits(issuer.modulus_bits()).map_or(Hash::Sha256, CryptographicMode::signature_hash);
        Self { digest: body_digest(&body, hash), body, issuer: issuer.clone() }
    }

    /// The same, to be signed with another hash: real roots of mode 1 have 2048 bits and sign with SHA-1.
    ///
    /// # Errors
    /// [`Error::Usage`] for a hash other than SHA-1 and SHA-256.
    pub fn with_hash(mut self, hash: Hash) -> Result<Self> {
        if !matches!(hash, Hash::Sha1 | Hash::Sha256) {
            return Err(Error::usage(format!("an XrML document cannot be signed with {hash}")));
        }
        if hash != self.digest.hash() {
            self.digest = body_digest(&self.body, hash);
        }
        Ok(self)
    }

    /// The text of the body.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The key that is to sign it.
    #[must_use]
    pub fn issuer(&self) -> &RsaPublicKey {
        &self.issuer
    }

    /// What is to be signed with RSASSA-PKCS1-v1_5.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// `<SIGNATURE>` with a signature (big-endian) under the digest. The signature is verified first.
    ///
    /// # Errors
    /// [`Error::Negative`] if the signature does not verify under the issuer's key.
    pub fn signature_element(&self, signature: &[u8]) -> Result<String> {
        if !self.issuer.verify(&self.digest, signature) {
            return Err(Error::negative(format!("a new signature does not verify under the key {}", self.issuer.id().short()))
                .with_hint("the store signed with another key or in another way; nothing was written"));
        }
        Ok(self.unverified_signature_element(signature))
    }

    /// `<SIGNATURE>` with a signature that the caller verifies in the whole document.
    pub(crate) fn unverified_signature_element(&self, signature: &[u8]) -> String {
        let (name, digest_bits) = (digest_name(self.digest.hash()), self.digest.as_bytes().len() * 8);
        let (digest, bits, value) = (encode_base64(self.digest.as_bytes()), signature.len() * 8, encode_base64(signature));
        format!(
            "<SIGNATURE><DIGEST><ALGORITHM>{name}</ALGORITHM><PARAMETER name=\"codingtype\"><VALUE encoding=\"string\">{CODING}</VALUE>\
             </PARAMETER><VALUE encoding=\"base64\" size=\"{digest_bits}\">{digest}</VALUE></DIGEST>\
             <ALGORITHM>{SIGNATURE_ALGORITHM}</ALGORITHM><VALUE encoding=\"base64\" size=\"{bits}\">{value}</VALUE></SIGNATURE>"
        )
    }

    /// The whole document with its signature (big-endian), without an XML declaration. The signature is verified first.
    ///
    /// # Errors
    /// [`Error::Negative`] if the signature does not verify under the issuer's key.
    pub fn with_signature(&self, signature: &[u8]) -> Result<String> {
        Ok(format!("<XrML xmlns=\"\" version=\"1.2\">{}{}</XrML>", self.body, self.signature_element(signature)?))
    }

    /// The whole document, signed by the store that holds the issuer's key.
    ///
    /// # Errors
    /// Those of [`KeyStore::sign`], and [`Error::Negative`] as [`Self::with_signature`].
    pub fn sign_with(&self, store: &dyn KeyStore) -> Result<String> {
        let signatures = store.sign(&self.issuer.id(), &[self.digest()])?;
        match signatures.as_slice() {
            [signature] => self.with_signature(signature),
            others => Err(Error::Internal(format!("a store gave {} signatures for one digest", others.len()))),
        }
    }
}
