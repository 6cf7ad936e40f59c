//! What a test did with its vectors.

use std::collections::BTreeMap;
use std::fmt;

/// Counts of vectors: run, passed, failed, and skipped with the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Vectors that were run.
    pub ran: usize,
    /// Of these, the ones that came out as stated.
    pub passed: usize,
    /// Of these, the ones that did not.
    pub failed: usize,
    /// Vectors that were not run, by reason.
    pub skipped: BTreeMap<String, usize>,
    /// What failed, in words, in order.
    pub failures: Vec<String>,
}

impl Report {
    /// An empty report.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one vector that was run. `name` tells which one it was if it failed.
    pub fn count(&mut self, passed: bool, name: impl FnOnce() -> String) {
        self.ran += 1;
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
            self.failures.push(name());
        }
    }

    /// Counts one vector that was not run.
    pub fn skip(&mut self, reason: impl Into<String>) {
        *self.skipped.entry(reason.into()).or_default() += 1;
    }

    /// Adds the counts of another report.
    pub fn merge(&mut self, other: Self) {
        self.ran += other.ran;
        self.passed += other.passed;
        self.failed += other.failed;
        self.failures.extend(other.failures);
        for (reason, count) in other.skipped {
            *self.skipped.entry(reason).or_default() += count;
        }
    }

    /// Whether at least one vector ran, none failed, the counts agree, and every skip has a reason.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.ran > 0
            && self.failed == 0
            && self.failures.is_empty()
            && self.passed == self.ran
            && self.skipped.keys().all(|reason| !reason.trim().is_empty())
    }

    /// Number of vectors that were seen, run or not.
    #[must_use]
    pub fn seen(&self) -> usize {
        self.ran + self.skipped.values().sum::<usize>()
    }

    /// Ends a test: fails unless the report is sound.
    ///
    /// # Panics
    /// If [`Self::is_sound`] is false. It shows the counts and the first failures.
    pub fn assert_sound(&self) {
        assert!(self.is_sound(), "{self}");
    }

    /// As [`Self::assert_sound`], and exactly `expected` vectors must have been seen, run or not.
    ///
    /// # Panics
    /// If the report is not sound, or vectors are missing.
    pub fn assert_sound_and_complete(&self, expected: usize) {
        self.assert_sound();
        assert!(self.seen() == expected, "{self}; {expected} should have been seen");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} run, {} passed, {} failed", self.ran, self.passed, self.failed)?;
        for (reason, count) in &self.skipped {
            write!(f, "; {count} skipped: {reason}")?;
        }
        for failure in self.failures.iter().take(20) {
            write!(f, "\n  failed: {failure}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_passed() -> Report {
        let mut report = Report::new();
        report.count(true, || unreachable!("a passed vector is not named"));
        report
    }

    #[test]
    fn nothing_run_is_not_sound() {
        let mut report = Report::new();
        assert!(!report.is_sound());
        report.skip("the store has no SHA-224");
        assert!(!report.is_sound(), "only skips");
    }

    #[test]
    fn one_failure_is_not_sound() {
        let mut report = one_passed();
        assert!(report.is_sound());
        report.count(false, || "tcId 7".into());
        assert!(!report.is_sound());
        assert!(report.to_string().contains("tcId 7"));
    }

    #[test]
    fn a_skip_without_reason_is_not_sound() {
        let mut report = one_passed();
        report.skip(" ");
        assert!(!report.is_sound());
    }

    #[test]
    fn counts_add_up() {
        let mut report = one_passed();
        report.skip("a");
        let mut other = one_passed();
        other.skip("a");
        other.skip("b");
        report.merge(other);
        assert_eq!((report.ran, report.seen()), (2, 5));
        assert_eq!(report.to_string(), "2 run, 2 passed, 0 failed; 2 skipped: a; 1 skipped: b");
        report.assert_sound_and_complete(5);
    }

    #[test]
    #[should_panic(expected = "0 run")]
    fn an_empty_report_panics() {
        Report::new().assert_sound();
    }

    #[test]
    #[should_panic(expected = "2 should have been seen")]
    fn a_missing_vector_panics() {
        one_passed().assert_sound_and_complete(2);
    }
}
