//! Proofs of access, as `keykit prove-access --format json` prints them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::key::KeyId;
use crate::tenant::KeyStatus;

const FORMAT: &str = "proof of access";
const SCHEMA: &str = "keykit/prove-access/1";

/// What was found below some folders. Members that are not known are left alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessProof {
    /// The tenant under whose keys files were opened.
    pub tenant_id: String,
    /// When the first file was looked at.
    #[serde(default)]
    pub begun: Option<Timestamp>,
    /// When it was made.
    #[serde(default)]
    pub made: Option<Timestamp>,
    /// The folders that were gone through.
    #[serde(default)]
    pub folders: Vec<String>,
    /// Those of them in which no file was.
    #[serde(default)]
    pub empty_folders: Vec<String>,
    /// Whether there are protected files, every file was read but those that are accepted, and every licence opens.
    pub proven: bool,
    /// Files that were looked at.
    pub files: u64,
    /// Files without a licence.
    pub not_protected: u64,
    /// Files whose licences all open.
    pub opens: u64,
    /// Files with a licence that does not open.
    pub lost: u64,
    /// Files that could not be read whole.
    pub unknown: u64,
    /// Files that are or hold archives or stores of kinds that are not looked into.
    #[serde(default)]
    pub not_looked_into: u64,
    /// Files of the last two that a custodian accepted unread, by name and with a reason.
    #[serde(default)]
    pub accepted: u64,
    /// The first of them.
    #[serde(default)]
    pub accepted_files: Vec<AcceptedFile>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Licences by key.
    pub keys: Vec<AccessKey>,
    /// The first of the files that are lost or unknown.
    pub bad: Vec<LostFile>,
    /// What a sample says of all files, if one was drawn.
    pub sample: Option<SampleBound>,
}

/// What was found about one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// The key.
    pub key_id: KeyId,
    /// Its state; `None` if the tenant does not have it.
    pub status: Option<KeyStatus>,
    /// Licences that open under it.
    pub opens: u64,
    /// Licences that do not.
    pub fails: u64,
    /// Whose key it is, as a licence names it.
    #[serde(default)]
    pub licensor: Option<String>,
    /// Where that gives licences.
    #[serde(default)]
    pub licensing_url: Option<String>,
}

/// What becomes of the readers of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessVerdict {
    /// No licence is in it.
    NotProtected,
    /// Every licence opens.
    Opens,
    /// A licence does not open.
    Lost,
    /// It could not be read whole.
    Unknown,
    /// It is or holds an archive or a store of a kind that is not looked into.
    NotLookedInto,
}

/// A file that is lost or unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostFile {
    /// Its path.
    pub id: String,
    /// What becomes of its readers.
    pub verdict: AccessVerdict,
    /// The first of its problems.
    #[serde(default)]
    pub problems: Vec<LostFileProblem>,
}

/// A file that was accepted unread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedFile {
    /// Its path.
    pub id: String,
    /// Why it was accepted.
    pub reason: String,
}

/// What is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostFileProblem {
    /// Where in the file; empty for the file itself.
    #[serde(default)]
    pub inside: String,
    /// In words.
    pub problem: String,
}

/// What a sample says of all files.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SampleBound {
    /// Files that were looked at.
    pub sampled: u64,
    /// Those that are lost or unknown.
    pub bad: u64,
    /// Files in all.
    pub population: u64,
    /// How sure the bound is.
    pub confidence: f64,
    /// At most this share of all files is lost or unknown.
    pub share: f64,
    /// The same as a number of files.
    pub files: u64,
}

impl AccessProof {
    /// Reads what `keykit prove-access --format json` printed.
    ///
    /// # Errors
    /// [`Error::Malformed`] for anything else, and for counts that contradict each other.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let malformed = |problem: String| Error::malformed(FORMAT, problem).with_hint("give the output of `keykit prove-access --format json`");
        let head: Head = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        if head.schema != SCHEMA {
            return Err(malformed(format!("its schema is {}, this program knows {SCHEMA}", head.schema)));
        }
        let proof: Self = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        let sum = [proof.not_protected, proof.opens, proof.lost, proof.unknown, proof.not_looked_into]
            .iter()
            .try_fold(0_u64, |sum, count| sum.checked_add(*count));
        if sum != Some(proof.files) {
            return Err(malformed(format!("its counts do not add up to its {} files", proof.files)));
        }
        // The sum is one of a part of the files, which do not overflow.
        let unread = proof.unknown + proof.not_looked_into;
        if proof.accepted > unread || (proof.accepted_files.len() as u64) > proof.accepted {
            return Err(malformed("more files are accepted than could not be read".into()));
        }
        if proof.proven != (proof.lost == 0 && unread == proof.accepted && proof.opens > 0 && proof.empty_folders.is_empty()) {
            return Err(malformed("it says something else than its counts".into()));
        }
        match proof.sample {
            Some(sample) if sample.sampled != proof.files || sample.population < sample.sampled => {
                Err(malformed("its sample is not the files that were looked at".into()))
            }
            Some(sample) if !(0.0..=1.0).contains(&sample.share) || !(0.0..=1.0).contains(&sample.confidence) => {
                Err(malformed("its sample has a share that is none".into()))
            }
            _ => Ok(proof),
        }
    }

    /// Whether it looked at a part of the files only.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.sample.is_some_and(|sample| sample.sampled < sample.population)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn sample() -> Value {
        json!({
            "schema": "keykit/prove-access/1", "tenant_id": "ab", "proven": false, "files": 10, "not_protected": 4, "opens": 5, "lost": 1,
            "unknown": 0, "bytes": 7, "keys": [{"key_id": "ab".repeat(32), "status": null, "opens": 0, "fails": 1}],
            "bad": [{"id": "a.pfile", "bytes": 3, "verdict": "lost", "settled": false, "problems": [{"verdict": "key-missing", "problem": "no key"}]}],
            "sample": {"sampled": 10, "bad": 1, "population": 40, "confidence": 0.95, "share": 0.4, "files": 16}, "ledger": null
        })
    }

    fn parse(value: &Value) -> Result<AccessProof> {
        AccessProof::parse(value.to_string().as_bytes())
    }

    #[test]
    fn what_prove_access_prints_is_read() {
        let proof = parse(&sample()).unwrap();
        assert!(proof.is_partial() && !proof.proven);
        assert_eq!((proof.bad[0].problems[0].problem.as_str(), proof.keys[0].status), ("no key", None));
    }

    #[test]
    fn counts_that_contradict_each_other_are_refused() {
        for (member, value) in [
            ("files", json!(11)),
            ("lost", json!(u64::MAX)),
            ("proven", json!(true)),
            ("not_looked_into", json!(1)),
            ("accepted", json!(1)),
            ("accepted_files", json!([{"id": "a.7z", "reason": "looked into by hand"}])),
            ("schema", json!("keykit/prove-access/2")),
            ("sample", json!({"sampled": 9, "bad": 1, "population": 40, "confidence": 0.95, "share": 0.4, "files": 16})),
            ("sample", json!({"sampled": 10, "bad": 1, "population": 40, "confidence": 0.95, "share": 4.0, "files": 16})),
        ] {
            let mut changed = sample();
            changed[member] = value;
            assert_eq!(parse(&changed).unwrap_err().code(), "malformed", "{member}");
        }
    }

    #[test]
    fn a_proof_of_nothing_is_refused() {
        let mut empty = sample();
        for (member, value) in [("files", 0), ("not_protected", 0), ("opens", 0), ("lost", 0)] {
            empty[member] = json!(value);
        }
        empty["sample"] = Value::Null;
        assert!(!parse(&empty).unwrap().proven);
        empty["proven"] = json!(true);
        assert!(parse(&empty).unwrap_err().to_string().contains("something else than its counts"));
        // One of its folders was not there.
        let mut half = empty;
        (half["files"], half["opens"]) = (json!(3), json!(3));
        assert!(parse(&half).unwrap().proven);
        // Files that nobody looked into are proven if somebody took that on himself, and only they.
        let mut unread = half.clone();
        (unread["files"], unread["not_looked_into"]) = (json!(5), json!(2));
        assert!(parse(&unread).is_err());
        unread["accepted"] = json!(1);
        assert!(parse(&unread).is_err());
        unread["accepted"] = json!(2);
        assert!(parse(&unread).unwrap().proven);
        half["empty_folders"] = json!(["/shares/two"]);
        assert!(parse(&half).is_err());
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), position in 0_usize..600, byte in any::<u8>()) {
            drop(AccessProof::parse(&bytes));
            let mut changed = sample().to_string().into_bytes();
            let position = position % changed.len();
            changed[position] = byte;
            drop(AccessProof::parse(&changed));
        }
    }
}
