//! Keys on their way: OAEP and AES key wrap, both directions, and what a token makes of padding.

use cryptoki::object::{Attribute, KeyType, ObjectClass};
use cryptoki_sys::CK_MECHANISM_TYPE;
use keykit::Result;
use keykit::key::Hash;
use keykit::secret::SecretBytes;
use keykit::store::{ExportPlaintext as _, Generate as _, KeyRequest};
use keykit::transfer::KeyEncryptionKey;

use super::super::key::NewObjects;
use super::super::self_test::{KwpVerdict, PairUse, TEST_KEY_BITS, TestError};
use super::super::store::Pkcs11Store;
use super::super::sys::Mechanism;
use super::{Findings, Measurement, Verdict, answer, name_of};
use crate::memory::MemoryStore;

/// Key encryption keys of the sizes that providers use.
const KEK_BITS: [usize; 3] = [2048, 3072, 4096];

/// Unwrap routes by hash and size of the key encryption key, and padding behind a PKCS#8 key.
pub(super) fn measure(findings: &mut Findings<'_>) -> Result<(), TestError> {
    let (store, session) = (findings.store, findings.session);
    for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
        let mut new = NewObjects::new(session);
        let pair = store.test_key_pair(session, &mut new, TEST_KEY_BITS, PairUse::Unwrap)?;
        let name = format!("unwrap/OAEP with {hash}, then RFC 5649");
        match store.prove_route(session, &pair.public, pair.private_handle, hash)? {
            Ok(_) => findings.add(name, Verdict::Right, "works"),
            Err(reason) => findings.add(name, Verdict::Unavailable, reason),
        }
    }
    for bits in KEK_BITS {
        let mut new = NewObjects::new(session);
        let made = answer(store.test_key_pair(session, &mut new, bits, PairUse::Unwrap))?;
        let works = made.map(|pair| pair.public.modulus_bits() == bits);
        findings.must_work(format!("unwrap/key encryption key of {bits} bits is made"), works)?;
    }
    padding(findings)
}

/// Whether a wrapped PKCS#8 key with bytes behind its DER is taken. keykit itself takes up to seven zeros, and says so.
fn padding(findings: &mut Findings<'_>) -> Result<(), TestError> {
    let (store, session) = (findings.store, findings.session);
    let proven = store.key_wrap_abilities()?.iter().find(|ability| ability.unwrap == KwpVerdict::Correct);
    let Some(mechanism) = proven.and_then(|ability| CK_MECHANISM_TYPE::try_from(ability.mechanism).ok()) else {
        findings.add("unwrap/PKCS#8", Verdict::Unavailable, "no mechanism is RFC 5649");
        return Ok(());
    };
    let own = MemoryStore::new();
    let source = own.generate(TEST_KEY_BITS, &KeyRequest::default())?;
    let pkcs8 = own.export_plaintext_danger(&source.id())?.to_pkcs8_der()?;
    let key = KeyEncryptionKey::random()?;
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
    for (what, behind) in [("nothing", &[][..]), ("three zero bytes", &[0; 3]), ("eight zero bytes", &[0; 8]), ("another byte", &[1])] {
        let plaintext = SecretBytes::take([pkcs8.expose(), behind].concat());
        let blob = key.wrap_with_padding(plaintext.expose())?;
        let unwrapped = store.module.functions.unwrap_key(session, &Mechanism::Plain(mechanism), shared, &blob, &template);
        let taken = match unwrapped {
            Ok(object) => {
                new.add(object);
                "taken".to_owned()
            }
            Err(error) if error.is_loss() => return Err(error.into()),
            Err(error) => format!("refused ({})", error.name()),
        };
        let name = format!("unwrap/PKCS#8 with {what} behind");
        match (behind, taken.as_str()) {
            ([], "taken") => findings.add(name, Verdict::Right, taken),
            ([], _) => findings.add(name, Verdict::Wrong, taken),
            _ => findings.add(name, Verdict::Fact, taken),
        }
    }
    Ok(())
}

/// The store's own self-tests: CKM_RSA_AES_KEY_WRAP, and RFC 5649 under either number.
pub(super) fn measure_wrapping(store: &Pkcs11Store, list: &mut Vec<Measurement>) -> Result<()> {
    let mut add = |name: String, verdict, detail: &str| list.push(Measurement { name, verdict, detail: detail.to_owned() });
    match store.rsa_aes_key_wrap_works() {
        Ok(true) => add("wrap/CKM_RSA_AES_KEY_WRAP".into(), Verdict::Right, "gives OAEP and RFC 5649"),
        Ok(false) => add("wrap/CKM_RSA_AES_KEY_WRAP".into(), Verdict::Unavailable, "not offered, or not as it must be"),
        Err(error) => add("wrap/CKM_RSA_AES_KEY_WRAP".into(), Verdict::Unavailable, &name_of(&error)),
    }
    let abilities = store.key_wrap_abilities()?;
    for name in ["CKM_AES_KEY_WRAP_KWP", "CKM_AES_KEY_WRAP_PAD"] {
        let ability = abilities.iter().find(|ability| ability.name == name);
        for (direction, verdict) in [("wrap", ability.map(|ability| ability.wrap)), ("unwrap", ability.map(|ability| ability.unwrap))] {
            let (verdict, detail) = match verdict {
                Some(KwpVerdict::Correct) => (Verdict::Right, "is RFC 5649"),
                Some(KwpVerdict::ZeroPads) => (Verdict::Wrong, "adds up to seven zero bytes before it wraps"),
                Some(KwpVerdict::Wrong) => (Verdict::Wrong, "is not RFC 5649"),
                Some(KwpVerdict::Absent) => (Verdict::Unavailable, "refused"),
                None => (Verdict::Unavailable, "not in the mechanism list"),
            };
            add(format!("{direction}/{name}"), verdict, detail);
        }
    }
    Ok(())
}
