//! The proofs at the end of every path: what was sealed and signed before must open and match after.

use serde::Serialize;

use crate::error::{Error, Result};
use crate::key::{CryptographicMode, Digest, KeyId, RsaPublicKey};
use crate::licence::{ContentCipher, ContentKey, SealAlgorithm, open, seal};
use crate::store::{KeyRecord, KeyStore, Transferability};
use crate::xrml::writer::{PublishingLicence, principal_element};
use crate::xrml::{Document, EnablingBits, Guid, Object, Principal, XrmlTime};

/// A proof, as reports show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Stable name, for example `licence-sealed-before-opens-after`.
    pub name: &'static str,
    /// Whether it held.
    pub ok: bool,
    /// What was seen.
    pub detail: String,
}

impl Proof {
    pub(super) fn new(name: &'static str, ok: bool, detail: impl Into<String>) -> Self {
        Self { name, ok, detail: detail.into() }
    }
}

/// What the source key did before the transfer: a publishing licence sealed to it and signed by it.
#[derive(Debug)]
pub(super) struct BeforeImage {
    licence: Document,
    content_key: ContentKey,
    bound_text: String,
    digest: Digest,
    signature: Vec<u8>,
    algorithm: SealAlgorithm,
    enabling_bits: Vec<u8>,
}

impl BeforeImage {
    /// Issues a licence with the source key. `mode` is the key's.
    pub(super) fn take(source: &dyn KeyStore, public: &RsaPublicKey, mode: CryptographicMode, licensor_name: &str) -> Result<Self> {
        let content_key = ContentKey::generate(ContentCipher::Cbc4k, 128)?;
        let mut server = Principal::new(Object::new("MS-DRM-Server", "MS-GUID", &Guid::random()?.braced()).named(licensor_name), public.clone());
        server.internal_id = Some("1".to_owned());
        // The element that the key is bound to can't hold the sealed key itself.
        let bound_text = format!("<ISSUEDPRINCIPALS>{}</ISSUEDPRINCIPALS>", principal_element(&server)?);
        let enabling_bits = seal(&content_key, public, mode, &bound_text)?;
        let algorithm = SealAlgorithm::for_mode(mode);
        let sealed_server =
            Principal { enabling_bits: vec![EnablingBits { algorithm: algorithm.as_str().into(), bytes: enabling_bits.clone() }], ..server.clone() };
        let unsigned = PublishingLicence {
            issued: XrmlTime::now(),
            valid: None,
            descriptor: None,
            issuer: &server,
            distribution_points: &[],
            server: &sealed_server,
            content_id: Guid::random()?,
            owner: None,
            authenticated_data: &[],
        }
        .to_unsigned()?;
        let digest = unsigned.digest();
        let signature = source.sign(&public.id(), &[digest])?.pop().ok_or_else(|| Error::Internal("a batch of one came back empty".into()))?;
        let licence = Document::read(unsigned.with_signature(&signature)?.as_bytes())?;
        Ok(Self { licence, content_key, bound_text, digest, signature, algorithm, enabling_bits })
    }

    /// Repeats everything with the key at its target.
    pub(super) fn prove(&self, target: &dyn KeyStore, record: &KeyRecord, licensor: &RsaPublicKey) -> Result<Vec<Proof>> {
        let id = licensor.id();
        let mut proofs = vec![Proof::new(
            "modulus-is-that-of-the-certificate",
            record.public.modulus() == licensor.modulus(),
            format!("{} bits, key {}", record.public.modulus_bits(), id.short()),
        )];
        let signature = target.sign(&id, &[self.digest])?.pop().unwrap_or_default();
        proofs.push(Proof::new(
            "signature-verifies",
            licensor.verify(&self.digest, &signature),
            format!("RSASSA-PKCS1-v1_5 with {}", self.digest.hash()),
        ));
        proofs.push(Proof::new("signatures-before-and-after-are-equal", signature == self.signature, format!("{} bytes", signature.len())));
        let opened = unless_store_failed(open(target, &id, self.algorithm, &self.enabling_bits))?;
        let same = opened.is_some_and(|opened| opened.key == self.content_key && opened.is_bound_to(&self.bound_text));
        proofs.push(Proof::new(
            "licence-sealed-before-opens-after",
            same && self.licence.verify_with(licensor).is_ok(),
            format!("{} of {} bits", self.algorithm.as_str(), self.enabling_bits.len() * 8),
        ));
        Ok(proofs)
    }
}

/// Whether a token keeps the key as it was asked to.
pub(super) fn token_attributes(record: &KeyRecord, transferability: Transferability) -> Proof {
    let attributes = &record.attributes;
    let leaves = match transferability {
        Transferability::Never => attributes.extractable == Some(false),
        Transferability::UnderTrustedKey => attributes.extractable == Some(true) && attributes.wrap_with_trusted == Some(true),
        Transferability::Wrapped => attributes.extractable == Some(true),
    };
    let works = attributes.can_sign == Some(true) && attributes.can_decrypt == Some(true);
    let name =
        if transferability == Transferability::Never { "sensitive-and-not-extractable" } else { "sensitive-and-wrappable-under-a-trusted-key" };
    let show = |name: &str, value: Option<bool>| format!("{name}={}", value.map_or("not told".to_owned(), |value| value.to_string()));
    let detail = [
        show("sensitive", attributes.sensitive),
        show("extractable", attributes.extractable),
        show("wrap-with-trusted", attributes.wrap_with_trusted),
        show("sign", attributes.can_sign),
        show("decrypt", attributes.can_decrypt),
    ];
    Proof::new(name, attributes.sensitive == Some(true) && leaves && works, detail.join(", "))
}

/// Opens a real licence of the organisation with the key at its target.
///
/// # Errors
/// What the store says of itself: that it failed proves nothing of the licence.
pub(super) fn sample_opens(target: &dyn KeyStore, id: &KeyId, name: &str, sealed: &[(SealAlgorithm, Vec<u8>)]) -> Result<Proof> {
    let mut opens = false;
    for (algorithm, bytes) in sealed {
        opens = opens || unless_store_failed(open(target, id, *algorithm, bytes))?.is_some();
    }
    Ok(Proof::new("given-licence-opens", opens, name))
}

/// Nothing for what does not open; an error for a store that can't tell.
fn unless_store_failed<T>(opened: Result<T>) -> Result<Option<T>> {
    match opened {
        Ok(opened) => Ok(Some(opened)),
        Err(error @ (Error::Token(_) | Error::WrongPin { .. } | Error::Read { .. } | Error::Interrupted { .. } | Error::Internal(_))) => Err(error),
        Err(_) => Ok(None),
    }
}
