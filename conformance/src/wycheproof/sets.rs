//! The sets as they are stored.

use serde::{Deserialize, Deserializer};

use crate::report::{Outcome, Report};
use crate::vectors::Packed;

/// The fields of all the sets that are read here; each set has some of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Set {
    pub(super) number_of_tests: usize,
    pub(super) test_groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    pub(super) key_size: usize,
    #[serde(default)]
    pub(super) sha: String,
    #[serde(default)]
    pub(super) mgf: String,
    #[serde(default)]
    pub(super) mgf_sha: String,
    /// Length of the salt of PSS in bytes.
    #[serde(default, rename = "sLen")]
    pub(super) salt_length: usize,
    #[serde(default)]
    pub(super) private_key_pkcs8: Bytes,
    #[serde(default)]
    pub(super) public_key_der: Bytes,
    /// RSAPublicKey (RFC 8017 §A.1.1).
    #[serde(default)]
    pub(super) public_key_asn: Bytes,
    pub(super) tests: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Case {
    pub(super) tc_id: usize,
    pub(super) result: Expected,
    #[serde(default)]
    pub(super) key: Bytes,
    #[serde(default)]
    pub(super) iv: Bytes,
    pub(super) msg: Bytes,
    #[serde(default)]
    pub(super) sig: Bytes,
    #[serde(default)]
    pub(super) ct: Bytes,
    #[serde(default)]
    pub(super) label: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Expected {
    Valid,
    Acceptable,
    Invalid,
}

/// Bytes that are hex in the file.
#[derive(Debug, Default)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let byte = |pair: &[u8; 2]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        bytes.filter(|_| rest.is_empty()).map(Self).ok_or_else(|| serde::de::Error::custom("not hex"))
    }
}

/// Calls `run` for every group of every set; a set that does not hold what it says is a failure.
pub(super) fn for_each_group(report: &mut Report, files: &[Packed], mut run: impl FnMut(&mut Report, &Group)) {
    for file in files {
        let set: Set = match file.text().ok_or_else(|| "it cannot be unpacked".to_owned()).and_then(|text| read(&text)) {
            Ok(set) => set,
            Err(problem) => {
                report.record("a set", Outcome::Failed(problem));
                continue;
            }
        };
        set.test_groups.iter().for_each(|group| run(report, group));
    }
}

/// Reads a set, and counts its cases.
fn read(text: &str) -> Result<Set, String> {
    let set: Set = serde_json::from_str(text).map_err(|error| format!("it cannot be read: {error}"))?;
    let found: usize = set.test_groups.iter().map(|group| group.tests.len()).sum();
    if set.number_of_tests == found { Ok(set) } else { Err(format!("it has {found} cases and says {}", set.number_of_tests)) }
}

impl Group {
    pub(super) fn case(&self, case: &Case) -> String {
        format!("{} bits {} {} tc{}", self.key_size, self.sha, self.mgf_sha, case.tc_id).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Records the same outcome for all cases.
    pub(super) fn record_all(&self, report: &mut Report, outcome: &Outcome) {
        self.tests.iter().for_each(|case| report.record(self.case(case), outcome.clone()));
    }
}

/// Whether what came out is what must come out; `None` is a refusal.
pub(super) fn judge(expected: Expected, wanted: &[u8], got: Option<&[u8]>) -> Outcome {
    match (expected, got) {
        (Expected::Valid | Expected::Acceptable, Some(got)) if got == wanted => Outcome::Passed,
        (Expected::Acceptable | Expected::Invalid, None) => Outcome::Passed,
        (Expected::Valid | Expected::Acceptable, Some(_)) => Outcome::Failed("another result".into()),
        (Expected::Valid, None) => Outcome::Failed("a valid case was refused".into()),
        (Expected::Invalid, Some(_)) => Outcome::Failed("an invalid case was accepted".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_lost_a_case_is_refused() {
        let group = r#"{"keySize":128,"tests":[{"tcId":1,"result":"valid","msg":"00"}]}"#;
        assert!(read(&format!(r#"{{"numberOfTests":1,"testGroups":[{group}]}}"#)).is_ok());
        assert!(read(&format!(r#"{{"numberOfTests":2,"testGroups":[{group}]}}"#)).is_err());
        assert!(read(r#"{"numberOfTests":0}"#).is_err());
        assert!(read(&format!(r#"{{"numberOfTests":1,"testGroups":[{}]}}"#, group.replace("00", "0g"))).is_err());
    }

    #[test]
    fn what_must_come_out() {
        use Expected::{Acceptable, Invalid, Valid};
        for (expected, got, passes) in [
            (Valid, Some(&b"a"[..]), true),
            (Valid, None, false),
            (Valid, Some(b"b"), false),
            (Acceptable, None, true),
            (Acceptable, Some(b"b"), false),
            (Invalid, None, true),
            (Invalid, Some(b"a"), false),
        ] {
            assert_eq!(judge(expected, b"a", got) == Outcome::Passed, passes, "{expected:?} {got:?}");
        }
    }
}
