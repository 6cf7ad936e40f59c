//! The result of a run as it is stored: `keykit/store-conformance/1`.

use std::collections::BTreeMap;

use keykit::store::StoreIdentity;
use keykit::{Error, Result};
use keykit_hsm_backends::pkcs11::quirks_of;
use serde::{Deserialize, Serialize};

use crate::change::{Change, Direction, direction};
use crate::report::Report;
use crate::vectors;

/// The schema of the file.
pub const SCHEMA: &str = "keykit/store-conformance/1";
const FORMAT: &str = "conformance result";

/// A run of suites on one store. Fields are in the order in which they are written; there is nothing secret in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of the program that ran the suites.
    pub keykit: String,
    /// When they ran (RFC 3339), if whoever wrote the result said so. Not compared.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub date: String,
    /// Which published vectors ran, with their versions. Not compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vectors: Vec<String>,
    /// Whether every suite that was asked for ran and failed nowhere.
    pub passed: bool,
    /// What was tested.
    pub store: Tested,
    /// Largest modulus that was tested, in bits.
    pub max_modulus_bits: usize,
    /// Sums over all suites.
    pub totals: Counts,
    /// The suites, in the order in which they ran.
    pub suites: Vec<SuiteResult>,
    /// Suites that were not asked for.
    pub left_out: Vec<String>,
}

/// A store, without what only this one token has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    /// How the store is named, without secrets. Not compared.
    pub uri: String,
    /// Serial number. Not compared.
    pub serial: String,
    /// Label. Not compared.
    pub label: String,
    /// Maker.
    pub manufacturer: String,
    /// Model.
    pub model: String,
    /// Firmware or library version.
    pub firmware: String,
    /// Where the test keys lived: `memory`, `session-objects` or `token-objects`.
    pub keys_lived_in: String,
}

impl Tested {
    /// The store of this identity.
    #[must_use]
    pub fn new(identity: &StoreIdentity, keys_lived_in: &str) -> Self {
        Self {
            uri: identity.uri.clone(),
            serial: identity.serial.clone(),
            label: identity.label.clone(),
            manufacturer: identity.manufacturer.clone(),
            model: identity.model.clone(),
            firmware: identity.firmware.clone(),
            keys_lived_in: keys_lived_in.to_owned(),
        }
    }
}

/// Counts of cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Cases that were seen, tried or not.
    pub seen: usize,
    /// Cases that were tried.
    pub ran: usize,
    /// Of these, the ones that came out as they must.
    pub passed: usize,
    /// Of these, the ones that did not.
    pub failed: usize,
    /// Of these, the ones that came out wrong in a way that has a name.
    pub deviated: usize,
    /// Cases that were not tried.
    pub skipped: usize,
}

impl Counts {
    fn of(report: &Report) -> Self {
        Self {
            seen: report.seen(),
            ran: report.ran(),
            passed: report.passed,
            failed: report.failed.len(),
            deviated: report.deviated_count(),
            skipped: report.skipped_count(),
        }
    }

    fn add(self, other: Self) -> Self {
        Self {
            seen: self.seen + other.seen,
            ran: self.ran + other.ran,
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            deviated: self.deviated + other.deviated,
            skipped: self.skipped + other.skipped,
        }
    }
}

/// One suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuiteResult {
    /// Its name on the command line.
    pub suite: String,
    /// What was tested, in words.
    pub title: String,
    /// Whether something passed, or there was nothing to try, and nothing failed.
    pub passed: bool,
    /// Whether the store offers nothing that the suite could try.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
    /// Counts.
    pub counts: Counts,
    /// Cases that failed, with what was wrong.
    pub failures: Vec<Failure>,
    /// Cases that came out wrong in a known way.
    pub deviations: Vec<Deviation>,
    /// How many cases were not tried, by reason.
    pub skips: BTreeMap<String, usize>,
}

/// A case that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The case.
    pub case: String,
    /// What was wrong.
    pub problem: String,
}

/// Cases that came out wrong in a known way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deviation {
    /// Its name in the table of quirks.
    pub name: String,
    /// What it is and what follows.
    pub meaning: String,
    /// How many cases.
    pub cases: usize,
}

impl Document {
    /// The result of these reports.
    #[must_use]
    pub fn new(identity: &StoreIdentity, keys_lived_in: &str, max_modulus_bits: usize, reports: &[Report], left_out: Vec<String>) -> Self {
        let meaning = |name: &str| quirks_of(identity).find(|quirk| quirk.name == name).map_or_else(String::new, |quirk| quirk.sentence.to_owned());
        let suites: Vec<SuiteResult> = reports
            .iter()
            .map(|report| SuiteResult {
                suite: report.name.to_owned(),
                title: report.suite.clone(),
                passed: report.is_success(),
                absent: report.absent,
                counts: Counts::of(report),
                failures: report.failed.iter().map(|(case, problem)| Failure { case: case.clone(), problem: problem.clone() }).collect(),
                deviations: report
                    .deviated
                    .iter()
                    .map(|(name, cases)| Deviation { name: name.clone(), meaning: meaning(name), cases: *cases })
                    .collect(),
                skips: report.skipped.clone(),
            })
            .collect();
        Self {
            schema: SCHEMA.to_owned(),
            keykit: env!("CARGO_PKG_VERSION").to_owned(),
            date: String::new(),
            vectors: vectors::SOURCES.map(str::to_owned).to_vec(),
            passed: !suites.is_empty() && suites.iter().all(|suite| suite.passed),
            store: Tested::new(identity, keys_lived_in),
            max_modulus_bits,
            totals: suites.iter().fold(Counts::default(), |sum, suite| sum.add(suite.counts)),
            suites,
            left_out,
        }
    }

    /// Reads a stored result.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let document: Self = serde_json::from_slice(json).map_err(|error| Error::malformed(FORMAT, error.to_string()))?;
        if document.schema == SCHEMA {
            Ok(document)
        } else {
            Err(Error::malformed(FORMAT, format!("its schema is '{}', not '{SCHEMA}'", document.schema)))
        }
    }

    /// What differs from a result that was stored before. Suites that were not asked for now are not compared.
    #[must_use]
    pub fn compare(&self, before: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (what, old, new) in [
            ("manufacturer", &before.store.manufacturer, &self.store.manufacturer),
            ("model", &before.store.model, &self.store.model),
            ("firmware", &before.store.firmware, &self.store.firmware),
        ] {
            if old != new {
                changes.push(Change::new(Direction::Different, what, old, new));
            }
        }
        if before.max_modulus_bits != self.max_modulus_bits {
            changes.push(Change::new(Direction::Different, "largest modulus", before.max_modulus_bits, self.max_modulus_bits));
        }
        for old in &before.suites {
            match self.suites.iter().find(|new| new.suite == old.suite) {
                Some(new) => new.compare(old, before.max_modulus_bits == self.max_modulus_bits, &mut changes),
                None if self.left_out.contains(&old.suite) => {}
                None => changes.push(Change::new(Direction::Worse, &old.suite, format!("{} cases", old.counts.ran), "")),
            }
        }
        for new in self.suites.iter().filter(|new| before.suites.iter().all(|old| old.suite != new.suite)) {
            changes.push(Change::new(Direction::Different, &new.suite, "", format!("{} cases", new.counts.ran)));
        }
        changes.sort();
        changes
    }
}

impl SuiteResult {
    /// Whether nothing was tried though something should have been.
    #[must_use]
    pub fn ran_nothing(&self) -> bool {
        self.counts.ran == 0 && !self.absent
    }

    /// `same_cases` is false if the two runs did not see the same cases: then fewer that pass are no worse.
    fn compare(&self, before: &Self, same_cases: bool, changes: &mut Vec<Change>) {
        let name = |what: &str| format!("{}: {what}", self.suite);
        if let Some(direction) = direction(&before.counts.passed, &self.counts.passed) {
            let direction = if same_cases { direction } else { Direction::Different };
            changes.push(Change::new(direction, name("cases that pass"), before.counts.passed, self.counts.passed));
        }
        for failure in &self.failures {
            if before.failures.iter().all(|old| old.case != failure.case) {
                changes.push(Change::new(Direction::Worse, name(&failure.case), "", &failure.problem));
            }
        }
        for failure in &before.failures {
            if self.failures.iter().all(|new| new.case != failure.case) {
                changes.push(Change::new(Direction::Better, name(&failure.case), &failure.problem, ""));
            }
        }
        let count = |of: &Self, deviation: &str| of.deviations.iter().find(|found| found.name == deviation).map_or(0, |found| found.cases);
        let mut names: Vec<&str> = self.deviations.iter().chain(&before.deviations).map(|deviation| deviation.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for deviation in names {
            // More deviations are worse: the other way round.
            if let Some(direction) = direction(&count(self, deviation), &count(before, deviation)) {
                changes.push(Change::new(direction, name(&format!("deviation {deviation}")), count(before, deviation), count(self, deviation)));
            }
        }
        if before.skips != self.skips {
            changes.push(Change::new(Direction::Different, name("cases left out"), before.counts.skipped, self.counts.skipped));
        }
    }
}

#[cfg(test)]
mod tests {
    use keykit::store::KeyStore as _;
    use keykit_hsm_backends::memory::MemoryStore;
    use proptest::prelude::*;

    use super::*;
    use crate::change::is_worse;
    use crate::report::Outcome;

    fn document(outcomes: &[Outcome]) -> Document {
        let mut report = Report::new("suite");
        report.name = "kw";
        for (number, outcome) in outcomes.iter().enumerate() {
            report.record(format!("tc{number}"), outcome.clone());
        }
        Document::new(MemoryStore::new().identity(), "memory", 4096, &[report], Vec::new())
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            Just(Outcome::Passed),
            ".{0,8}".prop_map(Outcome::Failed),
            "[a-c]".prop_map(Outcome::Deviated),
            "[a-c]".prop_map(Outcome::Skipped),
        ]
    }

    #[test]
    fn a_suite_that_ran_nothing_has_failed() {
        assert!(!document(&[]).passed && !document(&[Outcome::Skipped("why".into())]).passed);
        assert!(document(&[Outcome::Passed, Outcome::Skipped("why".into())]).passed);
        assert!(!document(&[Outcome::Passed, Outcome::Failed("why".into())]).passed);
        let none = Document::new(MemoryStore::new().identity(), "memory", 4096, &[], Vec::new());
        assert!(!none.passed);
    }

    #[test]
    fn fewer_that_pass_and_more_that_deviate_are_worse() {
        let good = document(&[Outcome::Passed, Outcome::Passed]);
        let odd = document(&[Outcome::Passed, Outcome::Deviated("odd".into())]);
        let bad = document(&[Outcome::Passed, Outcome::Failed("why".into())]);
        for (before, after, worse) in [(&good, &odd, true), (&good, &bad, true), (&odd, &good, false), (&bad, &good, false), (&good, &good, false)] {
            assert_eq!(is_worse(&after.compare(before)), worse);
        }
        let lost = Document { suites: Vec::new(), ..good.clone() };
        assert!(is_worse(&lost.compare(&good)));
        assert!(!is_worse(&Document { left_out: vec!["kw".into()], ..lost }.compare(&good)), "it was not asked for");
        // Another selection of cases is no loss.
        assert!(!is_worse(&Document { max_modulus_bits: 2048, ..document(&[Outcome::Passed]) }.compare(&good)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(outcomes in prop::collection::vec(outcome(), 0..20)) {
            let document = document(&outcomes);
            let read = Document::from_json(&serde_json::to_vec(&document).unwrap()).unwrap();
            prop_assert!(document.compare(&read).is_empty());
            prop_assert_eq!(read, document);
        }

        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Document::from_json(&bytes).is_err());
        }
    }
}
