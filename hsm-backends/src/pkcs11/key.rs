//! Keys of a token: their records, read back from the token, and the templates of new ones.

use std::num::NonZeroUsize;

use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use keykit::key::RsaPublicKey;
use keykit::store::{KeyAttributes, KeyRecord, KeyRequest, Transferability};
use keykit::{Error, Result};

use super::error::CallError;
use super::protection::TokenFacts;
use super::store::ObjectLifetime;

/// Of nShield's `pkcs11extra.h`: application, identifier and hash by which the module's tools know the key.
const CKA_NFKM_APPNAME: AttributeType = AttributeType::VendorDefined(0xDE43_6975);
const CKA_NFKM_ID: AttributeType = AttributeType::VendorDefined(0xDE43_6A74);
const CKA_NFKM_HASH: AttributeType = AttributeType::VendorDefined(0xDE43_698A);

/// A key with its handle.
#[derive(Debug, Clone)]
pub(super) struct FoundKey {
    pub(super) private: ObjectHandle,
    pub(super) record: KeyRecord,
}

/// Handles that one call is asked for: tokens rarely hold more keys, so that a list costs the same number of calls.
const HANDLES_OF_A_CALL: NonZeroUsize = NonZeroUsize::MIN.saturating_add(511);

/// The RSA private keys of the token.
pub(super) fn handles(session: &Session, lifetime: ObjectLifetime) -> Result<Vec<ObjectHandle>, CallError> {
    let mut template = vec![Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::KeyType(KeyType::RSA), token(lifetime)];
    // Key encryption keys of transfers and self-tests live in sessions too; they do not sign.
    template.extend((lifetime == ObjectLifetime::Session).then_some(Attribute::Sign(true)));
    Ok(session.iter_objects_with_cache_size(&template, HANDLES_OF_A_CALL)?.collect::<Result<_, _>>()?)
}

/// Every RSA key of the token with a private half, and a sentence for each that is left out because its public half
/// cannot be read.
pub(super) fn read_keys(session: &Session, facts: &TokenFacts, lifetime: ObjectLifetime) -> Result<(Vec<FoundKey>, Vec<String>), CallError> {
    let (mut keys, mut left_out) = (Vec::new(), Vec::new());
    for private in handles(session, lifetime)? {
        match read_key(session, private, facts)? {
            Ok(record) => keys.push(FoundKey { private, record }),
            Err(sentence) => left_out.push(sentence),
        }
    }
    keys.sort_by(|left, right| (&left.record.attributes.label, left.record.id()).cmp(&(&right.record.attributes.label, right.record.id())));
    Ok((keys, left_out))
}

/// One key, or why it cannot be used.
pub(super) fn read_key(session: &Session, private: ObjectHandle, facts: &TokenFacts) -> Result<Result<KeyRecord, String>, CallError> {
    let (mut attributes, id) = read_attributes(session, private)?;
    let public = match read_public(session, private)? {
        Some(public) => Some(public),
        // Some tokens show the modulus on the public object only, which shares the CKA_ID.
        None if !id.is_empty() => public_by_id(session, &id)?,
        None => None,
    };
    let Some(public) = public else {
        return Ok(Err(format!("the key '{}' (CKA_ID {}) is left out: its public half cannot be read", attributes.label, attributes.local_id)));
    };
    if facts.is_nshield() {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned();
        attributes.nfkm_app = vendor_value(session, private, CKA_NFKM_APPNAME)?.map(text);
        attributes.nfkm_id = vendor_value(session, private, CKA_NFKM_ID)?.map(text);
        attributes.nfkm_hash = vendor_value(session, private, CKA_NFKM_HASH)?.map(|bytes| hex(&bytes));
    }
    let protection = facts.assess(&attributes);
    Ok(Ok(KeyRecord { public, attributes, protection }))
}

fn read_attributes(session: &Session, key: ObjectHandle) -> Result<(KeyAttributes, Vec<u8>), CallError> {
    let wanted = [
        AttributeType::Label,
        AttributeType::Id,
        AttributeType::Sensitive,
        AttributeType::Extractable,
        AttributeType::AlwaysSensitive,
        AttributeType::NeverExtractable,
        AttributeType::WrapWithTrusted,
        AttributeType::Private,
        AttributeType::Local,
        AttributeType::Sign,
        AttributeType::Decrypt,
        AttributeType::Unwrap,
    ];
    let (mut found, mut id) = (KeyAttributes::default(), Vec::new());
    for attribute in session.get_attributes(key, &wanted)? {
        match attribute {
            Attribute::Label(label) => found.label = String::from_utf8_lossy(&label).into_owned(),
            Attribute::Id(bytes) => id = bytes,
            Attribute::Sensitive(value) => found.sensitive = Some(value),
            Attribute::Extractable(value) => found.extractable = Some(value),
            Attribute::AlwaysSensitive(value) => found.always_sensitive = Some(value),
            Attribute::NeverExtractable(value) => found.never_extractable = Some(value),
            Attribute::WrapWithTrusted(value) => found.wrap_with_trusted = Some(value),
            Attribute::Private(value) => found.private = Some(value),
            Attribute::Local(value) => found.local = Some(value),
            Attribute::Sign(value) => found.can_sign = Some(value),
            Attribute::Decrypt(value) => found.can_decrypt = Some(value),
            Attribute::Unwrap(value) => found.can_unwrap = Some(value),
            _ => {}
        }
    }
    found.local_id = hex(&id);
    Ok((found, id))
}

/// The CKA_ID that a record shows in hex; `None` if the key has none.
pub(super) fn bytes_of_local_id(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks_exact(2).filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    Some(pairs.collect::<Vec<u8>>()).filter(|id| !id.is_empty())
}

/// The public half that an object of either class shows.
pub(super) fn read_public(session: &Session, object: ObjectHandle) -> Result<Option<RsaPublicKey>, CallError> {
    let (mut modulus, mut exponent) = (None, None);
    for attribute in session.get_attributes(object, &[AttributeType::Modulus, AttributeType::PublicExponent])? {
        match attribute {
            Attribute::Modulus(bytes) => modulus = Some(bytes),
            Attribute::PublicExponent(bytes) => exponent = exponent_of(&bytes),
            _ => {}
        }
    }
    Ok(modulus.zip(exponent).and_then(|(modulus, exponent)| RsaPublicKey::from_components(&modulus, exponent).ok()))
}

fn public_by_id(session: &Session, id: &[u8]) -> Result<Option<RsaPublicKey>, CallError> {
    let template = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::KeyType(KeyType::RSA), Attribute::Id(id.to_vec())];
    // More than one with this CKA_ID: nobody can say which is the right one.
    match session.find_objects(&template)?.as_slice() {
        [only] => read_public(session, *only),
        _ => Ok(None),
    }
}

fn exponent_of(bytes: &[u8]) -> Option<u32> {
    let significant: Vec<u8> = bytes.iter().copied().skip_while(|&byte| byte == 0).collect();
    (significant.len() <= 4).then(|| significant.iter().fold(0, |value, &byte| value << 8 | u32::from(byte)))
}

/// An attribute that only this maker's tokens have; `None` if this one does not, or if it is empty.
fn vendor_value(session: &Session, object: ObjectHandle, attribute: AttributeType) -> Result<Option<Vec<u8>>, CallError> {
    Ok(session.get_attributes(object, &[attribute])?.into_iter().find_map(|attribute| match attribute {
        Attribute::VendorDefined((_, bytes)) if !bytes.is_empty() => Some(bytes),
        _ => None,
    }))
}

fn token(lifetime: ObjectLifetime) -> Attribute {
    Attribute::Token(lifetime == ObjectLifetime::Token)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Public objects of the token that hold this very key.
pub(super) fn public_objects(session: &Session, key: &RsaPublicKey, lifetime: ObjectLifetime) -> Result<Vec<ObjectHandle>, CallError> {
    let template =
        [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::KeyType(KeyType::RSA), token(lifetime), Attribute::Modulus(key.modulus().to_vec())];
    Ok(session.find_objects(&template)?)
}

/// Public halves under this label whose private halves are nowhere in the token: what a generation that was cut off in the middle
/// leaves. None if a private key has the label.
pub(super) fn lone_public_halves(session: &Session, label: &str, lifetime: ObjectLifetime) -> Result<Vec<ObjectHandle>, CallError> {
    let labelled = |class| session.find_objects(&[Attribute::Class(class), token(lifetime), Attribute::Label(label.as_bytes().to_vec())]);
    if !labelled(ObjectClass::PRIVATE_KEY)?.is_empty() {
        return Ok(Vec::new());
    }
    let mut lone = Vec::new();
    for object in labelled(ObjectClass::PUBLIC_KEY)? {
        let Some(public) = read_public(session, object)? else { continue };
        let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), token(lifetime), Attribute::Modulus(public.modulus().to_vec())];
        if session.find_objects(&template)?.is_empty() {
            lone.push(object);
        }
    }
    Ok(lone)
}

/// What stands in the way of a new key with this label and CKA_ID, in words. Public halves of `expected` itself don't.
pub(super) fn occupied(
    session: &Session,
    label: &str,
    id: Option<&[u8]>,
    expected: Option<&RsaPublicKey>,
    lifetime: ObjectLifetime,
) -> Result<Option<String>, CallError> {
    let own = expected.map_or_else(|| Ok(Vec::new()), |key| public_objects(session, key, lifetime))?;
    let mut marks = Vec::new();
    if !label.is_empty() {
        marks.push((Attribute::Label(label.as_bytes().to_vec()), format!("the label '{label}'")));
    }
    if let Some(id) = id {
        marks.push((Attribute::Id(id.to_vec()), format!("the CKA_ID {}", hex(id))));
    }
    for (mark, words) in marks {
        for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
            let template = [Attribute::Class(class), token(lifetime), mark.clone()];
            let others = session.find_objects(&template)?.into_iter().filter(|object| own.iter().all(|own| own.handle() != object.handle()));
            if others.count() > 0 {
                return Ok(Some(format!("another key has {words}")));
            }
        }
    }
    Ok(None)
}

/// Template of a private key that stays (PKCS#11 3.1 §6.1.3): sensitive, signs and decrypts and does nothing else.
pub(super) fn private_template(request: &KeyRequest, id: Option<&[u8]>, private: bool, lifetime: ObjectLifetime) -> Vec<Attribute> {
    let mut template = vec![
        token(lifetime),
        Attribute::Private(private),
        Attribute::Sensitive(true),
        Attribute::Extractable(request.transferability != Transferability::Never),
        Attribute::Sign(true),
        Attribute::Decrypt(true),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
        Attribute::Label(request.label.as_bytes().to_vec()),
    ];
    template.extend((request.transferability == Transferability::UnderTrustedKey).then_some(Attribute::WrapWithTrusted(true)));
    template.extend(id.map(|id| Attribute::Id(id.to_vec())));
    template
}

/// Template of the public half beside it.
pub(super) fn public_template(label: &str, id: Option<&[u8]>, lifetime: ObjectLifetime) -> Vec<Attribute> {
    let mut template = vec![
        token(lifetime),
        Attribute::Private(false),
        Attribute::Verify(true),
        Attribute::Encrypt(true),
        Attribute::Wrap(false),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    template.extend(id.map(|id| Attribute::Id(id.to_vec())));
    template
}

/// Class, type and numbers of a public key object that is created.
pub(super) fn public_numbers(key: &RsaPublicKey) -> Vec<Attribute> {
    let exponent: Vec<u8> = key.exponent().to_be_bytes().into_iter().skip_while(|&byte| byte == 0).collect();
    vec![
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::KeyType(KeyType::RSA),
        Attribute::Modulus(key.modulus().to_vec()),
        Attribute::PublicExponent(exponent),
    ]
}

/// Whether the token stored a key as it was asked to. A token may change a template without a word.
///
/// # Errors
/// [`Error::Negative`].
pub(super) fn check_stored(record: &KeyRecord, request: &KeyRequest) -> Result<()> {
    let found = &record.attributes;
    let problem = if found.sensitive != Some(true) {
        "it does not say that the key is sensitive"
    } else if request.transferability == Transferability::Never && found.extractable != Some(false) {
        "it does not say that the key cannot be wrapped out"
    } else if request.transferability == Transferability::UnderTrustedKey && found.wrap_with_trusted != Some(true) {
        "it does not say that the key can be wrapped out under trusted keys only"
    } else {
        return Ok(());
    };
    Err(Error::negative(format!("the token did not store the key '{}' as asked: {problem}; the key was removed", request.label)))
}

/// Objects that go again unless they are kept.
#[derive(Debug)]
pub(super) struct NewObjects<'a> {
    session: &'a Session,
    objects: Vec<ObjectHandle>,
}

impl<'a> NewObjects<'a> {
    pub(super) fn new(session: &'a Session) -> Self {
        Self { session, objects: Vec::new() }
    }

    pub(super) fn add(&mut self, object: ObjectHandle) -> ObjectHandle {
        self.objects.push(object);
        object
    }

    pub(super) fn keep(mut self) {
        self.objects.clear();
    }
}

impl Drop for NewObjects<'_> {
    fn drop(&mut self) {
        for object in self.objects.drain(..) {
            // There is no one to tell: the error that led here is on its way, and session objects end with their session.
            drop(self.session.destroy_object(object));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_ids_are_read_back() {
        assert_eq!(bytes_of_local_id("ab01ff"), Some(vec![0xab, 1, 0xff]));
        assert_eq!(bytes_of_local_id(""), None);
    }

    #[test]
    fn exponents() {
        assert_eq!(exponent_of(&[1, 0, 1]), Some(65537));
        assert_eq!(exponent_of(&[0, 0, 0, 0, 0, 3]), Some(3));
        assert_eq!(exponent_of(&[1, 0, 0, 0, 0]), None);
        assert_eq!(exponent_of(&[]), Some(0));
    }

    #[test]
    fn a_key_that_never_leaves_is_not_extractable() {
        let has = |transferability, wanted: &Attribute| {
            let request = KeyRequest { transferability, ..KeyRequest::labelled("k") };
            private_template(&request, None, true, ObjectLifetime::Token).contains(wanted)
        };
        assert!(has(Transferability::Never, &Attribute::Extractable(false)));
        assert!(!has(Transferability::Never, &Attribute::WrapWithTrusted(true)));
        assert!(has(Transferability::UnderTrustedKey, &Attribute::Extractable(true)));
        assert!(has(Transferability::UnderTrustedKey, &Attribute::WrapWithTrusted(true)));
        assert!(has(Transferability::Wrapped, &Attribute::Extractable(true)));
        assert!(!has(Transferability::Wrapped, &Attribute::WrapWithTrusted(true)));
    }
}
