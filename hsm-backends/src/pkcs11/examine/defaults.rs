//! What the token gives keys that ask for nothing: the CKA_* defaults, and what it says of keys that came from outside.

use cryptoki::mechanism::Mechanism as CryptokiMechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectHandle};
use cryptoki::types::Ulong;

use super::super::error::CallError;
use super::super::key::NewObjects;
use super::super::secret_wrap::create_with_value;
use super::super::self_test::{TEST_KEY_BITS, TestError};
use super::{Findings, Verdict, answer};
use keykit::secret::SecretBytes;

/// Attributes that decide what may be done with a key.
const ASKED: [(AttributeType, &str); 16] = [
    (AttributeType::Private, "CKA_PRIVATE"),
    (AttributeType::Modifiable, "CKA_MODIFIABLE"),
    (AttributeType::Copyable, "CKA_COPYABLE"),
    (AttributeType::Destroyable, "CKA_DESTROYABLE"),
    (AttributeType::Sensitive, "CKA_SENSITIVE"),
    (AttributeType::Extractable, "CKA_EXTRACTABLE"),
    (AttributeType::AlwaysSensitive, "CKA_ALWAYS_SENSITIVE"),
    (AttributeType::NeverExtractable, "CKA_NEVER_EXTRACTABLE"),
    (AttributeType::Local, "CKA_LOCAL"),
    (AttributeType::WrapWithTrusted, "CKA_WRAP_WITH_TRUSTED"),
    (AttributeType::AlwaysAuthenticate, "CKA_ALWAYS_AUTHENTICATE"),
    (AttributeType::Sign, "CKA_SIGN"),
    (AttributeType::Decrypt, "CKA_DECRYPT"),
    (AttributeType::Wrap, "CKA_WRAP"),
    (AttributeType::Unwrap, "CKA_UNWRAP"),
    (AttributeType::Derive, "CKA_DERIVE"),
];

pub(super) fn measure(findings: &mut Findings<'_>) -> Result<(), TestError> {
    let (store, session) = (findings.store, findings.session);
    let mut new = NewObjects::new(session);
    let public = [Attribute::Token(false), Attribute::ModulusBits(Ulong::try_from(TEST_KEY_BITS)?), Attribute::PublicExponent(vec![1, 0, 1])];
    let pair = session.generate_key_pair(&CryptokiMechanism::RsaPkcsKeyPairGen, &public, &[Attribute::Token(false)]);
    match pair.map_err(CallError::from) {
        Ok((public, private)) => {
            new.add(public);
            record(findings, "private key that is made", new.add(private))?;
        }
        Err(error) if error.is_loss() => return Err(error.into()),
        Err(error) => findings.add("defaults/private key that is made", Verdict::Unavailable, error.name()),
    }
    let length = [Attribute::Token(false), Attribute::ValueLen(Ulong::try_from(32_usize)?)];
    match session.generate_key(&CryptokiMechanism::AesKeyGen, &length).map_err(CallError::from) {
        Ok(key) => record(findings, "AES key that is made", new.add(key))?,
        Err(error) if error.is_loss() => return Err(error.into()),
        Err(error) => findings.add("defaults/AES key that is made", Verdict::Unavailable, error.name()),
    }
    // In the clear, into a session: what a token says of a key that it did not make.
    let created = create_with_value(session, &mut store.secret_template(false), &SecretBytes::random(32)?);
    match answer(created.map_err(TestError::from))? {
        Ok(key) => record(findings, "secret from outside", new.add(key))?,
        Err(error) => findings.add("defaults/secret from outside", Verdict::Unavailable, error.name()),
    }
    Ok(())
}

fn record(findings: &mut Findings<'_>, what: &str, object: ObjectHandle) -> Result<(), TestError> {
    for (attribute, name) in ASKED {
        let shown = findings.session.get_attributes(object, &[attribute]).map_err(CallError::from);
        let value = match shown {
            Ok(shown) => shown.first().and_then(truth).unwrap_or("not shown"),
            Err(error) if error.is_loss() => return Err(error.into()),
            Err(_) => "not shown",
        };
        findings.add(format!("defaults/{what}/{name}"), Verdict::Fact, value);
    }
    Ok(())
}

fn truth(attribute: &Attribute) -> Option<&'static str> {
    let value = match attribute {
        Attribute::Private(value)
        | Attribute::Modifiable(value)
        | Attribute::Copyable(value)
        | Attribute::Destroyable(value)
        | Attribute::Sensitive(value)
        | Attribute::Extractable(value)
        | Attribute::AlwaysSensitive(value)
        | Attribute::NeverExtractable(value)
        | Attribute::Local(value)
        | Attribute::WrapWithTrusted(value)
        | Attribute::AlwaysAuthenticate(value)
        | Attribute::Sign(value)
        | Attribute::Decrypt(value)
        | Attribute::Wrap(value)
        | Attribute::Unwrap(value)
        | Attribute::Derive(value) => *value,
        _ => return None,
    };
    Some(if value { "true" } else { "false" })
}
