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
    wrapping(&mut report, vectors::KEY_WRAP, wrap, |key, wrapped| own_key(key)?.unwrap(wrapped), &[], "");
    report
}

/// AES key wrap with padding, RFC 5649 (254 cases), by keykit itself.
#[must_use]
pub fn key_wrap_with_padding() -> Report {
    let mut report = Report::new("AES-KWP");
    let wrap = |key: &SecretBytes, secret: &SecretBytes| own_key(key)?.wrap_with_padding(secret.expose());
    let unwrap = |key: &SecretBytes, wrapped: &[u8]| own_key(key)?.unwrap_with_padding(wrapped);
    wrapping(&mut report, vectors::KEY_WRAP_WITH_PADDING, wrap, unwrap, &[], "");
    report
}

/// AES key wrap, RFC 3394, through a token (CKM_AES_KEY_WRAP).
#[must_use]
pub fn token_key_wrap(store: &Pkcs11Store) -> Report {
    let mut report = Report::new("AES-KW through CKM_AES_KEY_WRAP");
    token_wrapping(&mut report, store, vectors::KEY_WRAP, CKM_AES_KEY_WRAP, "");
    report
}

/// AES key wrap with padding, RFC 5649, through every mechanism that the token has for it (0x210A, 0x210B or both).
#[must_use]
pub fn token_key_wrap_with_padding(store: &Pkcs11Store) -> Report {
    with_each_kwp_mechanism("AES-KWP", store, |report, mechanism, prefix| {
        token_wrapping(report, store, vectors::KEY_WRAP_WITH_PADDING, mechanism, prefix);
    })
}

/// A report over every mechanism that the token has for RFC 5649. `run` is told the mechanism, and what stands before the names
/// of its cases where there are several.
pub(crate) fn with_each_kwp_mechanism(title: &str, store: &Pkcs11Store, run: impl Fn(&mut Report, u64, &str)) -> Report {
    let mut report = Report::new(format!("{title} through the token"));
    match store.key_wrap_abilities() {
        Ok([]) => report.record_absent("the token offers neither CKM_AES_KEY_WRAP_KWP nor CKM_AES_KEY_WRAP_PAD"),
        Ok(abilities) => {
            let names: Vec<&str> = abilities.iter().map(|ability| ability.name.as_str()).collect();
            report.suite = format!("{title} through {}", names.join(" and "));
            for ability in abilities {
                let prefix = if abilities.len() > 1 { format!("{} ", ability.name) } else { String::new() };
                run(&mut report, ability.mechanism, &prefix);
            }
        }
        Err(error) => report.record("the mechanism", Outcome::Failed(error.to_string())),
    }
    report
}

/// The mechanism of RFC 3394 (PKCS#11 3.1 §6.13.3).
pub(crate) const CKM_AES_KEY_WRAP: u64 = 0x2109;
/// SoftHSM 2.6's fault, by its name in the table of quirks: a wrap opens to the message and the zeros up to eight bytes.
const ZERO_PADDING: &str = "kwp-zero-padding";
/// kryoptic's fault: zero bytes unwrap to an empty secret.
const EMPTY_SECRET: &str = "kw-empty-secret";

/// keykit's own AES key wrap; it has no keys of 192 bits.
pub(crate) fn own_key(key: &SecretBytes) -> keykit::Result<KeyEncryptionKey> {
    KeyEncryptionKey::new(SecretBytes::copy_of(key.expose()))
}

/// The faults that a token is known for, by their names in the table of quirks.
pub(crate) fn token_faults(store: &Pkcs11Store) -> Vec<&'static str> {
    quirks_of(store.identity()).map(|quirk| quirk.name).collect()
}

fn token_wrapping(report: &mut Report, store: &Pkcs11Store, set: &[Packed], mechanism: u64, prefix: &str) {
    let known = token_faults(store);
    let wrap = |key: &SecretBytes, secret: &SecretBytes| store.wrap_secret(mechanism, key, secret);
    wrapping(report, set, wrap, |key, wrapped| store.unwrap_secret(mechanism, key, wrapped), &known, prefix);
}

/// Unwraps every case, and wraps the valid ones, which has one result only. `known` are the faults that the store is known
/// for: a case that fails in just that way is a deviation of that name. `prefix` stands before the names of cases.
fn wrapping(
    report: &mut Report,
    set: &[Packed],
    wrap: impl Fn(&SecretBytes, &SecretBytes) -> keykit::Result<Vec<u8>>,
    unwrap: impl Fn(&SecretBytes, &[u8]) -> keykit::Result<SecretBytes>,
    known: &[&str],
    prefix: &str,
) {
    for_each_group(report, set, |report, group| {
        for case in &group.tests {
            let (key, message) = (SecretBytes::copy_of(&case.key.0), SecretBytes::copy_of(&case.msg.0));
            let outcome = wrapping_case(case.result, &key, &message, &case.ct.0, &wrap, &unwrap, known);
            report.record(format!("{prefix}{}", group.case(case)), outcome.unwrap_or_else(|outcome| outcome));
        }
    });
}

/// One case: the message, and its wrapped form.
pub(crate) fn wrapping_case(
    expected: Expected,
    key: &SecretBytes,
    message: &SecretBytes,
    form: &[u8],
    wrap: impl Fn(&SecretBytes, &SecretBytes) -> keykit::Result<Vec<u8>>,
    unwrap: impl Fn(&SecretBytes, &[u8]) -> keykit::Result<SecretBytes>,
    known: &[&str],
) -> Result<Outcome, Outcome> {
    let opened = answer(unwrap(key, form))?;
    if form.is_empty() && opened.as_ref().is_some_and(SecretBytes::is_empty) && known.contains(&EMPTY_SECRET) {
        return Ok(Outcome::Deviated(EMPTY_SECRET.into()));
    }
    match judge(expected, message.expose(), opened.as_ref().map(SecretBytes::expose)) {
        // One result only; or, without a wrapped form, a message of a length that cannot be wrapped.
        Outcome::Passed if expected == Expected::Valid || (form.is_empty() && !message.is_empty()) => {}
        outcome => return Ok(outcome),
    }
    let wrapped = answer(wrap(key, message))?;
    let pads = |wrapped: &[u8]| known.contains(&ZERO_PADDING) && unwrap(key, wrapped).is_ok_and(|opened| is_padded(&opened, message));
    Ok(match judge(expected, form, wrapped.as_deref()) {
        Outcome::Failed(_) if wrapped.as_deref().is_some_and(pads) => Outcome::Deviated(ZERO_PADDING.into()),
        outcome => outcome,
    })
}

/// What an operation gave; `None` for a refusal, which only an opaque failure of cryptography is. Any other error is what is to be
/// said of the case.
fn answer<T>(result: keykit::Result<T>) -> Result<Option<T>, Outcome> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Crypto) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether `opened` is the message with one to seven zeros up to a multiple of eight bytes.
fn is_padded(opened: &SecretBytes, message: &SecretBytes) -> bool {
    let zeros = opened.expose().strip_prefix(message.expose());
    zeros.is_some_and(|zeros| (1..8).contains(&zeros.len()) && opened.len().is_multiple_of(8) && zeros.iter().all(|&byte| byte == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(expected: Expected, unwrap: impl Fn() -> keykit::Result<SecretBytes>, wrap: impl Fn() -> keykit::Result<Vec<u8>>) -> Outcome {
        let (key, message) = (SecretBytes::copy_of(&[1; 16]), SecretBytes::copy_of(b"message"));
        wrapping_case(expected, &key, &message, b"wrapped", |_, _| wrap(), |_, _| unwrap(), &[]).unwrap_or_else(|outcome| outcome)
    }

    #[test]
    fn only_a_failure_of_cryptography_is_a_refusal() {
        let lost =
            || Error::Token(keykit::error::TokenError { store: "s".into(), function: "f".into(), code: "c".into(), doing: "d".into(), hint: None });
        let message = || Ok(SecretBytes::copy_of(b"message"));
        let crypto = || Err(Error::Crypto);
        assert_eq!(case(Expected::Invalid, crypto, || unreachable!()), Outcome::Passed);
        assert!(matches!(case(Expected::Invalid, || Err(lost()), || unreachable!()), Outcome::Failed(_)));
        assert!(matches!(case(Expected::Invalid, || Err(Error::usage("x")), || unreachable!()), Outcome::Failed(_)));
        assert_eq!(case(Expected::Valid, message, || Ok(b"wrapped".to_vec())), Outcome::Passed);
        assert!(matches!(case(Expected::Valid, message, || Err(lost())), Outcome::Failed(_)));
        assert!(matches!(case(Expected::Valid, crypto, || unreachable!()), Outcome::Failed(_)));
        let unsupported = || Error::Unsupported { operation: "o".into(), mechanism: "m".into(), store: "s".into() };
        assert!(matches!(case(Expected::Valid, || Err(unsupported()), || unreachable!()), Outcome::Skipped(_)));
    }
}
