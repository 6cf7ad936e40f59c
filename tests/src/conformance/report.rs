//! Counts of a suite, and their table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What came of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it must be.
    Passed,
    /// Not as it must be, in words.
    Failed(String),
    /// Not tried, and why. Reasons are counted: use the same words for the same reason.
    Skipped(String),
}

impl From<keykit::Error> for Outcome {
    /// What a store does not offer is skipped; every other error is a failure.
    fn from(error: keykit::Error) -> Self {
        match error {
            keykit::Error::Unsupported { operation, mechanism, .. } => Self::Skipped(format!("the store cannot {operation}: {mechanism}")),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// The counts of a suite.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What was tested.
    pub suite: String,
    /// Cases that passed.
    pub passed: usize,
    /// Cases that failed, with their names and what was wrong.
    pub failed: Vec<(String, String)>,
    /// Cases that were not tried, by reason.
    pub skipped: BTreeMap<String, usize>,
}

impl Report {
    /// A suite with no case yet.
    #[must_use]
    pub fn new(suite: impl Into<String>) -> Self {
        Self { suite: suite.into(), ..Self::default() }
    }

    /// Counts a case.
    pub fn record(&mut self, case: impl Into<String>, outcome: Outcome) {
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed(problem) => self.failed.push((case.into(), problem)),
            Outcome::Skipped(reason) => *self.skipped.entry(reason).or_default() += 1,
        }
    }

    /// Cases that were tried.
    #[must_use]
    pub fn ran(&self) -> usize {
        self.passed + self.failed.len()
    }

    /// Cases that were not tried, whatever the reason.
    #[must_use]
    pub fn skipped_count(&self) -> usize {
        self.skipped.values().sum()
    }

    /// Whether something ran and all of it passed.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.passed > 0 && self.failed.is_empty()
    }
}

/// The table of several suites, with reasons and the first failures below.
#[must_use]
pub fn table(reports: &[Report]) -> String {
    let mut text = format!("{:<44} {:>6} {:>6} {:>6} {:>7}\n", "suite", "ran", "passed", "failed", "skipped");
    for report in reports {
        let line = (report.suite.as_str(), report.ran(), report.passed, report.failed.len(), report.skipped_count());
        text += &format!("{:<44} {:>6} {:>6} {:>6} {:>7}\n", line.0, line.1, line.2, line.3, line.4);
    }
    for report in reports {
        for (reason, count) in &report.skipped {
            // Writing to a string cannot fail.
            writeln!(text, "skipped {count:>5}  {}: {reason}", report.suite).unwrap_or_default();
        }
        for (case, problem) in report.failed.iter().take(20) {
            writeln!(text, "FAILED  {}, {case}: {problem}", report.suite).unwrap_or_default();
        }
        if report.ran() == 0 {
            writeln!(text, "FAILED  {}: nothing ran", report.suite).unwrap_or_default();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ran_is_no_success() {
        let mut report = Report::new("empty");
        assert!(!report.is_success());
        report.record("1", Outcome::Skipped("why".into()));
        assert!(!report.is_success() && table(&[report.clone()]).contains("FAILED  empty: nothing ran"));
        report.record("2", Outcome::Passed);
        assert!(report.is_success() && report.ran() == 1 && report.skipped_count() == 1);
        report.record("3", Outcome::Failed("broken".into()));
        assert!(!report.is_success());
        let text = table(&[report]);
        assert!(text.contains("skipped     1  empty: why") && text.contains("FAILED  empty, 3: broken"), "{text}");
    }
}
