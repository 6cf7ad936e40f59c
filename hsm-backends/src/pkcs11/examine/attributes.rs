//! What protects keys: asked of the token itself, past the checks that keykit makes before it calls.

use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki_sys::{CK_MECHANISM_TYPE, CKM_AES_KEY_WRAP, CKM_RSA_PKCS};
use keykit::key::{EncryptionScheme, Hash};
use keykit::secret::SecretBytes;
use keykit::store::{ExportPlaintext as _, Generate as _, KeyRequest};
use keykit::transfer::KeyEncryptionKey;

use super::super::error::CallError;
use super::super::key::NewObjects;
use super::super::mechanism::{mechanism_name, number};
use super::super::secret_wrap::{SecretWrapping, create_with_value};
use super::super::self_test::{KwpVerdict, PairUse, TEST_KEY_BITS, TestError};
use super::super::store::Pkcs11Store;
use super::super::sys::{Mechanism, Oaep};
use super::keys::signing_pair;
use super::{Findings, Verdict, answer};
use crate::memory::MemoryStore;

/// A length that RFC 3394 takes as well as RFC 5649.
const SECRET_BYTES: usize = 32;

pub(super) fn measure(findings: &mut Findings<'_>) -> Result<(), TestError> {
    private_keys(findings)?;
    arrived_keys(findings)?;
    secret_keys(findings)?;
    wrapped_keys(findings)?;
    sealed_keys(findings)
}

/// What an attribute of an object is now.
fn value(findings: &Findings<'_>, object: ObjectHandle, wanted: &Attribute) -> Result<bool, CallError> {
    Ok(findings.session.get_attributes(object, &[wanted.attribute_type()])?.contains(wanted))
}

/// Tries to change an attribute in place. A token may say yes and change nothing; what counts is what the attribute is then.
fn change(findings: &mut Findings<'_>, object: ObjectHandle, name: &str, attribute: &Attribute) -> Result<(), CallError> {
    let changed = findings.session.update_attributes(object, std::slice::from_ref(attribute)).map_err(CallError::from);
    if changed.is_ok() && !value(findings, object, attribute)? {
        findings.add(name, Verdict::Right, "accepted without effect");
        return Ok(());
    }
    findings.must_refuse(name, changed)
}

/// Tries to change an attribute in a copy.
fn copy(findings: &mut Findings<'_>, object: ObjectHandle, name: &str, attribute: &Attribute) -> Result<(), CallError> {
    let session = findings.session;
    let mut new = NewObjects::new(session);
    let copied = session.copy_object(object, std::slice::from_ref(attribute)).map_err(CallError::from).map(|copy| new.add(copy));
    match copied {
        Ok(copied) if !value(findings, copied, attribute)? => findings.add(name, Verdict::Right, "copied without effect"),
        Err(error) if error.code() == Some(cryptoki::error::RvError::FunctionNotSupported) => {
            findings.add(name, Verdict::Unavailable, error.name());
        }
        other => findings.must_refuse(name, other)?,
    }
    Ok(())
}

/// A sensitive private key that may not leave shows none of its secret parts, and stays as it is. Names start with `prefix`.
fn keeps_its_secrets(findings: &mut Findings<'_>, key: ObjectHandle, prefix: &str) -> Result<(), CallError> {
    let secret_parts = [
        (AttributeType::PrivateExponent, "CKA_PRIVATE_EXPONENT"),
        (AttributeType::Prime1, "CKA_PRIME_1"),
        (AttributeType::Prime2, "CKA_PRIME_2"),
        (AttributeType::Exponent1, "CKA_EXPONENT_1"),
        (AttributeType::Exponent2, "CKA_EXPONENT_2"),
        (AttributeType::Coefficient, "CKA_COEFFICIENT"),
    ];
    for (part, name) in secret_parts {
        let shown = findings.session.get_attributes(key, &[part]).map_err(CallError::from);
        let name = format!("{prefix}read/{name}");
        match shown {
            Ok(shown) if !shown.is_empty() => findings.add(name, Verdict::Wrong, "a sensitive key shows it"),
            Err(error) if error.is_loss() => return Err(error),
            _ => findings.add(name, Verdict::Right, "it is not shown"),
        }
    }
    let weaker = [("CKA_SENSITIVE to false", Attribute::Sensitive(false)), ("CKA_EXTRACTABLE to true", Attribute::Extractable(true))];
    for (what, attribute) in &weaker {
        change(findings, key, &format!("{prefix}change/{what}"), attribute)?;
    }
    for (what, attribute) in &weaker {
        copy(findings, key, &format!("{prefix}copy/{what}"), attribute)?;
    }
    Ok(())
}

/// The same of a key that came in wrapped, as migrated keys do: that it was in the clear once must not make it weaker.
fn arrived_keys(findings: &mut Findings<'_>) -> Result<(), TestError> {
    const NAME: &str = "protect/arrived/a wrapped key is taken in";
    let (store, session) = (findings.store, findings.session);
    let Some(mechanism) = kwp_mechanism(store)? else {
        findings.add(NAME, Verdict::Unavailable, "no mechanism is RFC 5649");
        return Ok(());
    };
    let own = MemoryStore::new();
    let source = own.generate(TEST_KEY_BITS, &KeyRequest::default())?;
    let pkcs8 = own.export_plaintext_danger(&source.id())?.to_pkcs8_der()?;
    let key = KeyEncryptionKey::random()?;
    let blob = key.wrap_with_padding(pkcs8.expose())?;
    let mut new = NewObjects::new(session);
    let shared = store.share_key(session, &mut new, key.expose())?;
    let template = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::KeyType(KeyType::RSA),
        Attribute::Token(false),
        Attribute::Private(store.private_objects()),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
    ];
    match store.module.functions.unwrap_key(session, &Mechanism::Plain(mechanism), shared, &blob, &template) {
        Ok(arrived) => {
            let arrived = new.add(arrived);
            findings.add(NAME, Verdict::Right, "works");
            keeps_its_secrets(findings, arrived, "protect/arrived/")?;
            let wrapping = SecretWrapping { store, session, mechanism, key: shared };
            findings.must_refuse("protect/arrived/wrap/it is not extractable", wrapping.wrap(arrived, 4096))?;
        }
        Err(error) if error.is_loss() => return Err(error.into()),
        Err(error) => findings.add(NAME, Verdict::Unavailable, error.name()),
    }
    Ok(())
}

/// The mechanism that unwraps as RFC 5649 has it.
fn kwp_mechanism(store: &Pkcs11Store) -> Result<Option<CK_MECHANISM_TYPE>, TestError> {
    let proven = store.key_wrap_abilities()?.iter().find(|ability| ability.unwrap == KwpVerdict::Correct);
    Ok(proven.and_then(|ability| CK_MECHANISM_TYPE::try_from(ability.mechanism).ok()))
}

fn private_keys(findings: &mut Findings<'_>) -> Result<(), TestError> {
    let (store, session) = (findings.store, findings.session);
    let mut new = NewObjects::new(session);
    let pair = store.test_key_pair(session, &mut new, TEST_KEY_BITS, PairUse::Unwrap)?;
    let key = pair.private_handle;
    keeps_its_secrets(findings, key, "protect/")?;
    let digest_info = Hash::Sha256.digest(b"no use for it").to_digest_info();
    let length = pair.public.modulus_bytes();
    let signed = store.module.functions.sign(session, &Mechanism::Plain(CKM_RSA_PKCS), key, &digest_info, length);
    findings.must_refuse("protect/use/sign without CKA_SIGN", signed)?;
    let sealed = pair.public.encrypt(&EncryptionScheme::oaep(Hash::Sha1), b"no use for it")?;
    let opened = store.module.functions.decrypt(session, &Mechanism::Oaep(Oaep::plain(Hash::Sha1)), key, &sealed, length);
    findings.must_refuse("protect/use/decrypt without CKA_DECRYPT", opened)?;
    with_both_uses(findings)
}

/// The same two uses of a key that may be used so.
fn with_both_uses(findings: &mut Findings<'_>) -> Result<(), TestError> {
    let (store, session) = (findings.store, findings.session);
    let mut new = NewObjects::new(session);
    let pair = signing_pair(store, session, &mut new, TEST_KEY_BITS, &[Attribute::Decrypt(true)])?;
    let (key, length) = (pair.private_handle, pair.public.modulus_bytes());
    let digest = Hash::Sha256.digest(b"its use");
    let signed = store.module.functions.sign(session, &Mechanism::Plain(CKM_RSA_PKCS), key, &digest.to_digest_info(), length);
    let signed = signed.map(|signature| pair.public.verify(&digest, &signature));
    findings.control("protect/use/sign without", "protect/use/and sign with CKA_SIGN", signed)?;
    let sealed = pair.public.encrypt(&EncryptionScheme::oaep(Hash::Sha1), b"its use")?;
    let opened = store.module.functions.decrypt(session, &Mechanism::Oaep(Oaep::plain(Hash::Sha1)), key, &sealed, length);
    let opened = opened.map(|opened| opened.expose() == b"its use");
    findings.control("protect/use/decrypt without", "protect/use/and decrypt with CKA_DECRYPT", opened)?;
    Ok(())
}

/// A secret of this session that protects nothing.
fn secret(findings: &Findings<'_>, new: &mut NewObjects<'_>, more: &[Attribute]) -> Result<ObjectHandle, TestError> {
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(false),
        Attribute::Private(findings.store.private_objects()),
        Attribute::Sensitive(true),
    ];
    template.extend_from_slice(more);
    let value = SecretBytes::random(SECRET_BYTES)?;
    Ok(new.add(create_with_value(findings.session, &mut template, &value)?))
}

fn secret_keys(findings: &mut Findings<'_>) -> Result<(), TestError> {
    let session = findings.session;
    let mut new = NewObjects::new(session);
    let bound = [Attribute::Extractable(true), Attribute::WrapWithTrusted(true)];
    match answer(secret(findings, &mut new, &bound))? {
        Ok(object) if value(findings, object, &Attribute::WrapWithTrusted(true))? => {
            change(findings, object, "protect/change/CKA_WRAP_WITH_TRUSTED to false", &Attribute::WrapWithTrusted(false))?;
            copy(findings, object, "protect/copy/CKA_WRAP_WITH_TRUSTED to false", &Attribute::WrapWithTrusted(false))?;
        }
        Ok(_) => findings.add("protect/change/CKA_WRAP_WITH_TRUSTED to false", Verdict::Unavailable, "the attribute is not kept"),
        Err(error) => findings.add("protect/change/CKA_WRAP_WITH_TRUSTED to false", Verdict::Unavailable, error.name()),
    }
    if let Ok(object) = answer(secret(findings, &mut new, &[Attribute::Extractable(true)]))? {
        for (what, attribute) in [
            ("CKA_NEVER_EXTRACTABLE to true", Attribute::NeverExtractable(true)),
            ("CKA_ALWAYS_SENSITIVE to true", Attribute::AlwaysSensitive(true)),
            ("CKA_LOCAL to true", Attribute::Local(true)),
        ] {
            change(findings, object, &format!("protect/change/{what}"), &attribute)?;
        }
        let shown = session.get_attributes(object, &[AttributeType::Value]).map_err(CallError::from);
        match shown {
            Ok(shown) if !shown.is_empty() => findings.add("protect/read/CKA_VALUE", Verdict::Wrong, "a sensitive secret shows it"),
            _ => findings.add("protect/read/CKA_VALUE", Verdict::Right, "it is not shown"),
        }
    }
    let trusted = answer(secret(findings, &mut new, &[Attribute::Extractable(true), Attribute::Trusted(true)]))?;
    match trusted {
        Ok(object) if !value(findings, object, &Attribute::Trusted(true))? => {
            findings.add("protect/create/CKA_TRUSTED by the user", Verdict::Right, "accepted without effect");
        }
        other => findings.must_refuse("protect/create/CKA_TRUSTED by the user", other)?,
    }
    Ok(())
}

/// C_WrapKey and C_UnwrapKey under an AES key that software and token share.
fn wrapped_keys(findings: &mut Findings<'_>) -> Result<(), TestError> {
    let (store, session) = (findings.store, findings.session);
    let mut mechanisms: Vec<CK_MECHANISM_TYPE> = kwp_mechanism(store)?.into_iter().collect();
    mechanisms.push(CKM_AES_KEY_WRAP);
    let mut new = NewObjects::new(session);
    let (key, other) = (KeyEncryptionKey::random()?, KeyEncryptionKey::random()?);
    let shared = store.share_key(session, &mut new, key.expose())?;
    for mechanism in mechanisms {
        let name = mechanism_name(number(mechanism));
        if store.module.functions.mechanism_info(store.slot, mechanism)?.is_none() {
            findings.add(format!("protect/wrap/{name}"), Verdict::Unavailable, "not in the mechanism list");
            continue;
        }
        let wrapping = SecretWrapping { store, session, mechanism, key: shared };
        leaving(findings, &wrapping, &name)?;
        let blob = |key: &KeyEncryptionKey| {
            let secret = SecretBytes::random(SECRET_BYTES)?;
            if mechanism == CKM_AES_KEY_WRAP { key.wrap(secret.expose()) } else { key.wrap_with_padding(secret.expose()) }
        };
        let (whole, foreign) = (blob(&key)?, blob(&other)?);
        let flipped =
            |position: usize| whole.iter().enumerate().map(|(index, byte)| if index == position { byte ^ 1 } else { *byte }).collect::<Vec<u8>>();
        let cut = whole.iter().take(whole.len() - 8).copied().collect();
        let attempts = [
            ("another key's blob", foreign),
            ("a flipped bit in the first byte", flipped(0)),
            ("a flipped bit in the middle", flipped(whole.len() / 2)),
            ("a flipped bit in the last byte", flipped(whole.len() - 1)),
            ("a cut blob", cut),
            ("a longer blob", [whole.as_slice(), &[0; 8]].concat()),
            ("eight bytes", whole.iter().take(8).copied().collect()),
            ("nothing", Vec::new()),
        ];
        for (what, blob) in attempts {
            let result = wrapping.unwrap(&blob, false).map(|object| new.add(object));
            findings.must_refuse(format!("refuse/{name}/{what}"), result)?;
        }
        let sound = wrapping.unwrap(&whole, false).map(|object| new.add(object)).map(|_| true);
        findings.control(&format!("refuse/{name}/"), format!("refuse/{name}/and the sound blob opens"), sound)?;
    }
    Ok(())
}

/// Keys that must not leave, and wrapping keys that must not wrap.
fn leaving(findings: &mut Findings<'_>, wrapping: &SecretWrapping<'_>, name: &str) -> Result<(), TestError> {
    let session = findings.session;
    let mut new = NewObjects::new(session);
    for (what, attributes) in [
        ("a secret that is not extractable", vec![Attribute::Extractable(false)]),
        ("a secret for trusted keys only", vec![Attribute::Extractable(true), Attribute::WrapWithTrusted(true)]),
    ] {
        let name = format!("protect/wrap/{name}/{what}");
        match answer(secret(findings, &mut new, &attributes))? {
            Ok(object) => findings.must_refuse(name, wrapping.wrap(object, 256))?,
            Err(error) => findings.add(name, Verdict::Unavailable, error.name()),
        }
    }
    let pair = findings.store.test_key_pair(session, &mut new, TEST_KEY_BITS, PairUse::Unwrap)?;
    findings.must_refuse(format!("protect/wrap/{name}/a private key that is not extractable"), wrapping.wrap(pair.private_handle, 4096))?;
    let leaves = answer(secret(findings, &mut new, &[Attribute::Extractable(true)]))?;
    let mut template = findings.store.wrapping_key_template(false);
    let useless = answer(create_with_value(session, &mut template, KeyEncryptionKey::random()?.expose()).map_err(TestError::from))?;
    if let (Ok(object), Ok(useless)) = (leaves, useless) {
        let without = SecretWrapping { key: new.add(useless), ..*wrapping };
        findings.must_refuse(format!("protect/use/{name} without CKA_WRAP"), without.wrap(object, 256))?;
        let leaves = wrapping.wrap(object, 256).map(|blob| !blob.is_empty());
        let control = format!("protect/wrap/{name}/and one that may leave is wrapped");
        findings.control(&format!("protect/use/{name} without CKA_WRAP"), format!("protect/use/{name} with CKA_WRAP"), leaves.clone())?;
        findings.control(&format!("protect/wrap/{name}/"), control, leaves)?;
    }
    Ok(())
}

/// C_UnwrapKey of an AES key that is sealed with OAEP.
fn sealed_keys(findings: &mut Findings<'_>) -> Result<(), TestError> {
    let (store, session) = (findings.store, findings.session);
    let mut new = NewObjects::new(session);
    let pair = store.test_key_pair(session, &mut new, TEST_KEY_BITS, PairUse::Unwrap)?;
    let other = store.test_key_pair(session, &mut new, TEST_KEY_BITS, PairUse::Unwrap)?;
    let key = KeyEncryptionKey::random()?;
    let scheme = EncryptionScheme::oaep(Hash::Sha1);
    let whole = pair.public.encrypt(&scheme, key.expose().expose())?;
    let foreign = other.public.encrypt(&scheme, key.expose().expose())?;
    let flipped: Vec<u8> = whole.iter().enumerate().map(|(index, byte)| if index == 100 { byte ^ 1 } else { *byte }).collect();
    let oaep = Mechanism::Oaep(Oaep::plain(Hash::Sha1));
    let template = store.wrapping_key_template(false);
    let mut unwrap = |blob: &[u8]| {
        let object = store.module.functions.unwrap_key(session, &oaep, pair.private_handle, blob, &template);
        object.map(|object| new.add(object))
    };
    let name = "refuse/CKM_RSA_PKCS_OAEP";
    findings.must_refuse(format!("{name}/another key's blob"), unwrap(&foreign))?;
    findings.must_refuse(format!("{name}/a flipped bit"), unwrap(&flipped))?;
    findings.must_refuse(format!("{name}/a cut blob"), unwrap(whole.get(..whole.len() - 1).unwrap_or_default()))?;
    findings.must_refuse(format!("{name}/nothing"), unwrap(&[]))?;
    findings.control(&format!("{name}/"), format!("{name}/and the sound blob opens"), unwrap(&whole).map(|_| true))?;
    Ok(())
}
