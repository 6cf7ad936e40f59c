//! Keys at work: making them, signing, decrypting, sessions and threads.

use cryptoki::mechanism::Mechanism as CryptokiMechanism;
use cryptoki::object::Attribute;
use cryptoki::session::Session;
use cryptoki::types::Ulong;
use cryptoki_sys::{
    CK_MECHANISM_TYPE, CKM_RSA_PKCS, CKM_SHA1_RSA_PKCS, CKM_SHA224_RSA_PKCS, CKM_SHA256_RSA_PKCS, CKM_SHA384_RSA_PKCS, CKM_SHA512_RSA_PKCS,
};
use keykit::Result;
use keykit::key::{EncryptionScheme, Hash, RsaPublicKey};
use keykit::secret::SecretBytes;

use super::super::error::CallError;
use super::super::key::{NewObjects, read_public};
use super::super::mechanism::{mechanism_name, number};
use super::super::self_test::{PairUse, SessionPair, TEST_KEY_BITS, TestError};
use super::super::store::Pkcs11Store;
use super::super::sys::{Mechanism, Oaep};
use super::{Findings, Measurement, Verdict, answer};

/// Sessions that are asked for at once: more than any work of keykit opens on small machines.
const SESSIONS: usize = 32;
const THREADS: usize = 4;
const SIGNATURES: u8 = 25;

pub(super) fn measure(findings: &mut Findings<'_>) -> Result<(), TestError> {
    sizes(findings)?;
    signing(findings)?;
    decryption(findings)?;
    always_authenticate(findings)
}

/// A pair that signs, for this session only. `more` goes into the private half's template.
pub(super) fn signing_pair(
    store: &Pkcs11Store,
    session: &Session,
    new: &mut NewObjects<'_>,
    bits: usize,
    more: &[Attribute],
) -> Result<SessionPair, TestError> {
    let public = [
        Attribute::Token(false),
        Attribute::Private(false),
        Attribute::ModulusBits(Ulong::try_from(bits)?),
        Attribute::PublicExponent(vec![1, 0, 1]),
    ];
    let mut private = vec![Attribute::Token(false), Attribute::Private(store.private_objects()), Attribute::Sensitive(true), Attribute::Sign(true)];
    private.extend_from_slice(more);
    let (public, private) = session.generate_key_pair(&CryptokiMechanism::RsaPkcsKeyPairGen, &public, &private)?;
    let (public_handle, private_handle) = (new.add(public), new.add(private));
    let public = read_public(session, public_handle)?;
    let public = public.ok_or_else(|| CallError::other("C_GetAttributeValue", "the token does not show a new key's public half".into()))?;
    Ok(SessionPair { public, public_handle, private_handle })
}

/// One signature by CKM_RSA_PKCS over a SHA-256 DigestInfo.
fn signs(store: &Pkcs11Store, session: &Session, pair: &SessionPair, message: &[u8]) -> Result<bool, CallError> {
    let digest = Hash::Sha256.digest(message);
    let length = pair.public.modulus_bytes();
    let signature = store.module.functions.sign(session, &Mechanism::Plain(CKM_RSA_PKCS), pair.private_handle, &digest.to_digest_info(), length)?;
    Ok(pair.public.verify(&digest, &signature))
}

fn sizes(findings: &mut Findings<'_>) -> Result<(), TestError> {
    let (store, session) = (findings.store, findings.session);
    for bits in [1024, 2048, 3072, 4096] {
        let mut new = NewObjects::new(session);
        let works = match answer(signing_pair(store, session, &mut new, bits, &[]))? {
            Ok(pair) if pair.public.modulus_bits() != bits => Ok(false),
            Ok(pair) => signs(store, session, &pair, b"size"),
            Err(error) => Err(error),
        };
        findings.must_work(format!("keys/RSA {bits} is made and signs"), works)?;
    }
    Ok(())
}

fn signing(findings: &mut Findings<'_>) -> Result<(), TestError> {
    let (store, session) = (findings.store, findings.session);
    let mut new = NewObjects::new(session);
    let pair = signing_pair(store, session, &mut new, TEST_KEY_BITS, &[])?;
    let length = pair.public.modulus_bytes();
    let hashing: [(Hash, CK_MECHANISM_TYPE); 5] = [
        (Hash::Sha1, CKM_SHA1_RSA_PKCS),
        (Hash::Sha224, CKM_SHA224_RSA_PKCS),
        (Hash::Sha256, CKM_SHA256_RSA_PKCS),
        (Hash::Sha384, CKM_SHA384_RSA_PKCS),
        (Hash::Sha512, CKM_SHA512_RSA_PKCS),
    ];
    let message = b"what the token signs";
    for (hash, mechanism) in hashing {
        let digest = hash.digest(message);
        let sign = |mechanism, data: &[u8]| -> Result<bool, CallError> {
            let signature = store.module.functions.sign(session, &Mechanism::Plain(mechanism), pair.private_handle, data, length)?;
            Ok(pair.public.verify(&digest, &signature))
        };
        findings.must_work(format!("sign/CKM_RSA_PKCS/{hash}"), sign(CKM_RSA_PKCS, &digest.to_digest_info()))?;
        findings.must_work(format!("sign/{}", mechanism_name(number(mechanism))), sign(mechanism, message))?;
    }
    Ok(())
}

fn decryption(findings: &mut Findings<'_>) -> Result<(), TestError> {
    let (store, session) = (findings.store, findings.session);
    let mut new = NewObjects::new(session);
    let pair = store.test_key_pair(session, &mut new, TEST_KEY_BITS, PairUse::Decrypt)?;
    let secret = SecretBytes::random(16)?;
    let opens = |mechanism: &Mechanism<'_>, scheme: &EncryptionScheme, public: &RsaPublicKey| -> Result<bool, TestError> {
        let sealed = public.encrypt(scheme, secret.expose())?;
        Ok(store.module.functions.decrypt(session, mechanism, pair.private_handle, &sealed, public.modulus_bytes())? == secret)
    };
    let pkcs1 = answer(opens(&Mechanism::Plain(CKM_RSA_PKCS), &EncryptionScheme::Pkcs1v15, &pair.public))?;
    findings.must_work("decrypt/CKM_RSA_PKCS", pkcs1)?;
    for hash in Hash::ALL {
        let oaep = answer(opens(&Mechanism::Oaep(Oaep::plain(hash)), &EncryptionScheme::oaep(hash), &pair.public))?;
        findings.must_work(format!("decrypt/CKM_RSA_PKCS_OAEP/{hash}"), oaep)?;
    }
    let (verdict, detail) = if store.oaep_label_works()? {
        (Verdict::Right, "a label is regarded")
    } else {
        (Verdict::Wrong, "a label is refused, or taken and ignored; keykit uses none here")
    };
    findings.add("decrypt/CKM_RSA_PKCS_OAEP/label", verdict, detail);
    Ok(())
}

/// A key that wants its PIN for every use must not work without.
fn always_authenticate(findings: &mut Findings<'_>) -> Result<(), TestError> {
    const NAME: &str = "protect/use/CKA_ALWAYS_AUTHENTICATE without a PIN";
    let (store, session) = (findings.store, findings.session);
    let mut new = NewObjects::new(session);
    match answer(signing_pair(store, session, &mut new, TEST_KEY_BITS, &[Attribute::AlwaysAuthenticate(true)]))? {
        Err(error) => findings.add(NAME, Verdict::Unavailable, error.name()),
        Ok(pair) => {
            let kept = session.get_attributes(pair.private_handle, &[cryptoki::object::AttributeType::AlwaysAuthenticate])?;
            if kept.contains(&Attribute::AlwaysAuthenticate(true)) {
                // CKR_USER_NOT_LOGGED_IN is the answer that is due, and no loss here.
                match signs(store, session, &pair, b"without a PIN") {
                    Ok(_) => findings.add(NAME, Verdict::Wrong, "it was used all the same"),
                    Err(error) => findings.add(NAME, Verdict::Right, error.name()),
                }
            } else {
                findings.add(NAME, Verdict::Unavailable, "the attribute is not kept");
            }
        }
    }
    Ok(())
}

/// Sessions at once, and threads at once.
pub(super) fn measure_sessions(store: &Pkcs11Store) -> Result<Vec<Measurement>> {
    let one = |name: &str, verdict, detail: String| Measurement { name: name.to_owned(), verdict, detail };
    let mut sessions = Vec::new();
    let mut limit = format!("{SESSIONS} and more");
    while sessions.len() < SESSIONS {
        match store.module.context.open_rw_session(store.slot).map_err(CallError::from) {
            Ok(session) => sessions.push(session),
            Err(error) => {
                limit = format!("{} ({})", sessions.len(), error.name());
                break;
            }
        }
    }
    drop(sessions);
    let threads = store.with_session(|session| {
        let mut new = NewObjects::new(session);
        let mut work = || -> Result<bool, TestError> {
            let pair = signing_pair(store, session, &mut new, TEST_KEY_BITS, &[])?;
            let results: Vec<Result<bool, CallError>> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| sign_many(store, &pair))).collect();
                let ended_early = |_| Err(CallError::other("PKCS#11", "a thread of keykit ended early".into()));
                threads.into_iter().map(|thread| thread.join().unwrap_or_else(ended_early)).collect()
            });
            results.into_iter().try_fold(true, |all, right| Ok(all && right?))
        };
        match answer(work()) {
            Ok(outcome) => Ok(outcome),
            Err(error) => Err(store.test_failed(error)),
        }
    })?;
    let threads = match threads {
        Ok(true) => one(THREADS_NAME, Verdict::Right, "all signatures verify".into()),
        Ok(false) => one(THREADS_NAME, Verdict::Wrong, "a signature does not verify".into()),
        Err(error) => one(THREADS_NAME, Verdict::Wrong, error.name()),
    };
    Ok(vec![one("sessions/at once", Verdict::Fact, limit), threads])
}

const THREADS_NAME: &str = "sessions/four threads sign with one key, each in a session of its own";

fn sign_many(store: &Pkcs11Store, pair: &SessionPair) -> Result<bool, CallError> {
    store.pool.with(|session| {
        let mut all = true;
        for number in 0..SIGNATURES {
            all &= signs(store, session, pair, &[number])?;
        }
        Ok(all)
    })
}
