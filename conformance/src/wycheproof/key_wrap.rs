//! AES key wrap: by keykit itself, and through the mechanisms of a token.

use keykit::Error;
use keykit::secret::SecretBytes;
use keykit::store::KeyStore;
use keykit::transfer::KeyEncryptionKey;
use keykit_hsm_backends::pkcs11::{Pkcs11Store, quirks_of};

use super::sets::{Expected, for_each_group, judge};
use crate::report::{Outcome, Report};
use crate::vectors::{self, Packed};

/// AES key wrap, RFC 3394 (165 cases), by keykit itself.
#[must_use]
pub fn key_wrap() -> Report {
    let mut report = Report::new("AES-KW");
    let wrap = |key: &SecretBytes, secret: &SecretBytes| own_key(key)?.wrap(secret.expose());
    wrapping(&mut report, vectors::KEY_WRAP, wrap, |key, wrapped| own_key(key)?.unwrap(wrapped), &[]);
    report
}

/// AES key wrap with padding, RFC 5649 (254 cases), by keykit itself.
#[must_use]
pub fn key_wrap_with_padding() -> Report {
    let mut report = Report::new("AES-KWP");
    let wrap = |key: &SecretBytes, secret: &SecretBytes| own_key(key)?.wrap_with_padding(secret.expose());
    let unwrap = |key: &SecretBytes, wrapped: &[u8]| own_key(key)?.unwrap_with_padding(wrapped);
    wrapping(&mut report, vectors::KEY_WRAP_WITH_PADDING, wrap, unwrap, &[]);
    report
}

/// AES key wrap, RFC 3394, through a token (CKM_AES_KEY_WRAP).
#[must_use]
pub fn token_key_wrap(store: &Pkcs11Store) -> Report {
    let mut report = Report::new("AES-KW through CKM_AES_KEY_WRAP");
    token_wrapping(&mut report, store, vectors::KEY_WRAP, CKM_AES_KEY_WRAP);
    report
}

/// AES key wrap with padding, RFC 5649, through the one mechanism that the token has for it (0x210A or 0x210B).
#[must_use]
pub fn token_key_wrap_with_padding(store: &Pkcs11Store) -> Report {
    let mut report = Report::new("AES-KWP through the token");
    match store.key_wrap_abilities() {
        Ok([ability]) => {
            report.suite = format!("AES-KWP through {}", ability.name);
            token_wrapping(&mut report, store, vectors::KEY_WRAP_WITH_PADDING, ability.mechanism);
        }
        Ok(others) => report.record("the mechanism", Outcome::Failed(format!("one was expected: {others:?}"))),
        Err(error) => report.record("the mechanism", Outcome::Failed(error.to_string())),
    }
    report
}

/// The mechanism of RFC 3394 (PKCS#11 3.1 §6.13.3).
const CKM_AES_KEY_WRAP: u64 = 0x2109;
/// SoftHSM 2.6's fault, by its name in the table of quirks: a wrap opens to the message and the zeros up to eight bytes.
const ZERO_PADDING: &str = "kwp-zero-padding";
/// kryoptic's fault: zero bytes unwrap to an empty secret.
const EMPTY_SECRET: &str = "kw-empty-secret";

fn own_key(key: &SecretBytes) -> keykit::Result<KeyEncryptionKey> {
    KeyEncryptionKey::new(SecretBytes::copy_of(key.expose()))
}

fn token_wrapping(report: &mut Report, store: &Pkcs11Store, set: &[Packed], mechanism: u64) {
    let known: Vec<&str> = quirks_of(store.identity()).map(|quirk| quirk.name).collect();
    let wrap = |key: &SecretBytes, secret: &SecretBytes| store.wrap_secret(mechanism, key, secret);
    wrapping(report, set, wrap, |key, wrapped| store.unwrap_secret(mechanism, key, wrapped), &known);
}

/// Unwraps every case, and wraps the valid ones, which has one result only. `known` are the faults that the store is known
/// for: a case that fails in just that way is a deviation of that name.
fn wrapping(
    report: &mut Report,
    set: &[Packed],
    wrap: impl Fn(&SecretBytes, &SecretBytes) -> keykit::Result<Vec<u8>>,
    unwrap: impl Fn(&SecretBytes, &[u8]) -> keykit::Result<SecretBytes>,
    known: &[&str],
) {
    for_each_group(report, set, |report, group| {
        for case in &group.tests {
            let (key, message) = (SecretBytes::copy_of(&case.key.0), SecretBytes::copy_of(&case.msg.0));
            let outcome = match unwrap(&key, &case.ct.0) {
                Err(error @ Error::Unsupported { .. }) => error.into(),
                Ok(opened) if case.ct.0.is_empty() && opened.is_empty() && known.contains(&EMPTY_SECRET) => Outcome::Deviated(EMPTY_SECRET.into()),
                unwrapped => match judge(case.result, message.expose(), unwrapped.ok().as_ref().map(SecretBytes::expose)) {
                    // One result only; or, without a wrapped form, a message of a length that cannot be wrapped.
                    Outcome::Passed if case.result == Expected::Valid || (case.ct.0.is_empty() && !message.is_empty()) => {
                        let wrapped = wrap(&key, &message).ok();
                        let pads =
                            |wrapped: &[u8]| known.contains(&ZERO_PADDING) && unwrap(&key, wrapped).is_ok_and(|opened| is_padded(&opened, &message));
                        match judge(case.result, &case.ct.0, wrapped.as_deref()) {
                            Outcome::Failed(_) if wrapped.as_deref().is_some_and(pads) => Outcome::Deviated(ZERO_PADDING.into()),
                            outcome => outcome,
                        }
                    }
                    outcome => outcome,
                },
            };
            report.record(group.case(case), outcome);
        }
    });
}

/// Whether `opened` is the message with one to seven zeros up to a multiple of eight bytes.
fn is_padded(opened: &SecretBytes, message: &SecretBytes) -> bool {
    let zeros = opened.expose().strip_prefix(message.expose());
    zeros.is_some_and(|zeros| (1..8).contains(&zeros.len()) && opened.len().is_multiple_of(8) && zeros.iter().all(|&byte| byte == 0))
}
