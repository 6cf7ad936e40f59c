//! The vectors of NIST's validation programme for key wrap (SP 800-38F, CAVS): `vectors/nist`.
//!
//! A file of the kind *AE* (authenticated encryption) has messages and what they are wrapped to; one of the kind *AD* has
//! wrapped forms, and the message or FAIL. Key wrap has one result only, so every sound case is tried in both directions.

use std::collections::BTreeMap;

use keykit::secret::SecretBytes;
use keykit_hsm_backends::pkcs11::Pkcs11Store;

use crate::report::{Outcome, Report};
use crate::vectors::{self, Packed};
use crate::wycheproof::{CKM_AES_KEY_WRAP, Expected, own_key, token_faults, wrapping_case};

/// AES-KW (3,000 cases), by keykit itself.
#[must_use]
pub fn key_wrap() -> Report {
    let mut report = Report::new("AES-KW of NIST");
    let wrap = |key: &SecretBytes, secret: &SecretBytes| own_key(key)?.wrap(secret.expose());
    cases(&mut report, vectors::NIST_KEY_WRAP, wrap, |key, wrapped| own_key(key)?.unwrap(wrapped), &[], "");
    report
}

/// AES-KWP (3,000 cases), by keykit itself.
#[must_use]
pub fn key_wrap_with_padding() -> Report {
    let mut report = Report::new("AES-KWP of NIST");
    let wrap = |key: &SecretBytes, secret: &SecretBytes| own_key(key)?.wrap_with_padding(secret.expose());
    let unwrap = |key: &SecretBytes, wrapped: &[u8]| own_key(key)?.unwrap_with_padding(wrapped);
    cases(&mut report, vectors::NIST_KEY_WRAP_WITH_PADDING, wrap, unwrap, &[], "");
    report
}

/// AES-KW through a token.
#[must_use]
pub fn token_key_wrap(store: &Pkcs11Store) -> Report {
    let mut report = Report::new("AES-KW of NIST through CKM_AES_KEY_WRAP");
    token_cases(&mut report, store, vectors::NIST_KEY_WRAP, CKM_AES_KEY_WRAP, "");
    report
}

/// AES-KWP through every mechanism that the token has for it.
#[must_use]
pub fn token_key_wrap_with_padding(store: &Pkcs11Store) -> Report {
    crate::wycheproof::with_each_kwp_mechanism("AES-KWP of NIST", store, |report, mechanism, prefix| {
        token_cases(report, store, vectors::NIST_KEY_WRAP_WITH_PADDING, mechanism, prefix);
    })
}

fn token_cases(report: &mut Report, store: &Pkcs11Store, files: &[Packed], mechanism: u64, prefix: &str) {
    let wrap = |key: &SecretBytes, secret: &SecretBytes| store.wrap_secret(mechanism, key, secret);
    let unwrap = |key: &SecretBytes, wrapped: &[u8]| store.unwrap_secret(mechanism, key, wrapped);
    cases(report, files, wrap, unwrap, &token_faults(store), prefix);
}

fn cases(
    report: &mut Report,
    files: &[Packed],
    wrap: impl Fn(&SecretBytes, &SecretBytes) -> keykit::Result<Vec<u8>>,
    unwrap: impl Fn(&SecretBytes, &[u8]) -> keykit::Result<SecretBytes>,
    known: &[&str],
    prefix: &str,
) {
    for file in files {
        let read = file.text().ok_or_else(|| "it cannot be unpacked".to_owned()).and_then(|text| read(&text));
        let cases = match read {
            Ok(cases) => cases,
            Err(problem) => {
                report.record("a file", Outcome::Failed(problem));
                continue;
            }
        };
        for case in cases {
            let outcome = wrapping_case(case.expected, &case.key, &case.message, &case.wrapped, &wrap, &unwrap, known);
            report.record(format!("{prefix}{}", case.name), outcome.unwrap_or_else(|outcome| outcome));
        }
    }
}

/// One case.
#[derive(Debug)]
struct Case {
    name: String,
    key: SecretBytes,
    message: SecretBytes,
    wrapped: Vec<u8>,
    expected: Expected,
}

/// Cases of a file. Each has COUNT, K, C, and P or FAIL.
const CASES: usize = 500;

/// Reads a file. A line that is not known here is an error, so that no meaning goes unseen.
fn read(text: &str) -> Result<Vec<Case>, String> {
    let title = text.lines().find_map(|line| line.strip_prefix("# 'NIST SP 800-38F ")).ok_or("it does not say what it holds")?;
    let kind = title.split(' ').next().unwrap_or_default();
    let mut length = "";
    let mut fields: BTreeMap<&str, &str> = BTreeMap::new();
    let mut cases = Vec::with_capacity(CASES);
    for line in text.lines().chain([""]).map(str::trim) {
        if line.is_empty() {
            if !fields.is_empty() {
                cases.push(case(&format!("{kind} of {length} bits"), &fields)?);
                fields.clear();
            }
        } else if let Some(rest) = line.strip_prefix("[PLAINTEXT LENGTH = ") {
            length = rest.trim_end_matches(']');
        } else if line == "FAIL" {
            fields.insert("FAIL", "");
        } else if let Some((name @ ("COUNT" | "K" | "P" | "C"), value)) = line.split_once(" = ") {
            fields.insert(name, value);
        } else if !line.starts_with('#') {
            return Err(format!("a line that is not known: {line}"));
        }
    }
    if cases.len() == CASES { Ok(cases) } else { Err(format!("it has {} cases, not {CASES}", cases.len())) }
}

fn case(kind: &str, fields: &BTreeMap<&str, &str>) -> Result<Case, String> {
    let field = |name: &str| fields.get(name).copied().ok_or_else(|| format!("a case without {name}"));
    let key = SecretBytes::take(hex(field("K")?)?);
    let (message, expected) = match (fields.get("P"), fields.contains_key("FAIL")) {
        (Some(message), false) => (hex(message)?, Expected::Valid),
        (None, true) => (Vec::new(), Expected::Invalid),
        _ => return Err("a case with neither P nor FAIL, or with both".into()),
    };
    let name = format!("{} bits {kind} COUNT {}", key.len() * 8, field("COUNT")?);
    Ok(Case { name, key, message: SecretBytes::take(message), wrapped: hex(field("C")?)?, expected })
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    bytes.filter(|_| rest.is_empty()).ok_or_else(|| "not hex".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_whole() {
        for (files, valid) in [(vectors::NIST_KEY_WRAP, 6), (vectors::NIST_KEY_WRAP_WITH_PADDING, 6)] {
            assert_eq!(files.len(), valid);
            for file in files {
                let cases = read(&file.text().unwrap()).unwrap();
                // FAIL in about a fifth of the cases of AD, and nowhere in AE.
                let failing = cases.iter().filter(|case| case.expected == Expected::Invalid).count();
                let decrypts = cases[0].name.contains("-AD");
                assert_eq!(failing > 0, decrypts, "{}", cases[0].name);
                assert!(failing < 200 && cases.iter().all(|case| [16, 24, 32].contains(&case.key.len())), "{failing}");
            }
        }
    }

    #[test]
    fn a_file_that_lost_a_line_is_refused() {
        let text = vectors::NIST_KEY_WRAP[0].text().unwrap();
        assert!(read(&text).is_ok());
        for (from, to) in [("COUNT = 7", ""), ("K = ", "Q = "), ("# 'NIST", "# 'NONE"), ("K = ", "K = 0")] {
            assert!(read(&text.replacen(from, to, 1)).is_err(), "{from}");
        }
    }
}
