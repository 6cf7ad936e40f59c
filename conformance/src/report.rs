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
    /// Not as it must be, in a way that is known of this store: the deviation's name. Names are counted.
    Deviated(String),
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
    /// Name of the suite ([`crate::Suite::name`]); empty for a report that is made apart.
    pub name: &'static str,
    /// What was tested, in words.
    pub suite: String,
    /// Cases that passed.
    pub passed: usize,
    /// Cases that failed, with their names and what was wrong.
    pub failed: Vec<(String, String)>,
    /// Cases that came out wrong in a way that is known of the store, by the name of the deviation.
    pub deviated: BTreeMap<String, usize>,
    /// Cases that were not tried, by reason.
    pub skipped: BTreeMap<String, usize>,
    /// Every case with its outcome, in order.
    pub cases: Vec<(String, Outcome)>,
    /// Whether the store says that it has nothing that the suite could try, which is no failure.
    pub absent: bool,
}

impl Report {
    /// A suite with no case yet.
    #[must_use]
    pub fn new(suite: impl Into<String>) -> Self {
        Self { suite: suite.into(), ..Self::default() }
    }

    /// Counts a case.
    pub fn record(&mut self, case: impl Into<String>, outcome: Outcome) {
        let case = case.into();
        match &outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed(problem) => self.failed.push((case.clone(), problem.clone())),
            Outcome::Deviated(name) => *self.deviated.entry(name.clone()).or_default() += 1,
            Outcome::Skipped(reason) => *self.skipped.entry(reason.clone()).or_default() += 1,
        }
        self.cases.push((case, outcome));
    }

    /// Counts the whole suite as one case that was left out, since the store does not offer what it tests.
    pub fn record_absent(&mut self, reason: impl Into<String>) {
        self.absent = true;
        self.record("the mechanism", Outcome::Skipped(reason.into()));
    }

    /// Whether nothing was tried though something should have been.
    #[must_use]
    pub fn ran_nothing(&self) -> bool {
        self.ran() == 0 && !self.absent
    }

    /// Cases that were tried.
    #[must_use]
    pub fn ran(&self) -> usize {
        self.passed + self.failed.len() + self.deviated_count()
    }

    /// Cases with a known deviation, whichever.
    #[must_use]
    pub fn deviated_count(&self) -> usize {
        self.deviated.values().sum()
    }

    /// Cases that were not tried, whatever the reason.
    #[must_use]
    pub fn skipped_count(&self) -> usize {
        self.skipped.values().sum()
    }

    /// Cases that were seen, tried or not.
    #[must_use]
    pub fn seen(&self) -> usize {
        self.cases.len()
    }

    /// Whether something passed, or the store offers nothing to try, and nothing failed. Known deviations are no failures: they are
    /// counted and shown.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (self.passed > 0 || self.absent) && self.failed.is_empty()
    }
}

/// The table of several suites, with reasons and the first failures below.
#[must_use]
pub fn table(reports: &[Report]) -> String {
    let mut text = format!("{:<44} {:>6} {:>6} {:>6} {:>8} {:>7}\n", "suite", "ran", "passed", "failed", "deviated", "skipped");
    for report in reports {
        let counts = (report.ran(), report.passed, report.failed.len(), report.deviated_count(), report.skipped_count());
        text += &format!("{:<44} {:>6} {:>6} {:>6} {:>8} {:>7}\n", report.suite, counts.0, counts.1, counts.2, counts.3, counts.4);
    }
    for report in reports {
        for (name, count) in &report.deviated {
            writeln!(text, "deviated {count:>4}  {}: {name}", report.suite).unwrap_or_default();
        }
        for (reason, count) in &report.skipped {
            // Writing to a string cannot fail.
            writeln!(text, "skipped {count:>5}  {}: {reason}", report.suite).unwrap_or_default();
        }
        for (case, problem) in report.failed.iter().take(20) {
            writeln!(text, "FAILED  {}, {case}: {problem}", report.suite).unwrap_or_default();
        }
        if report.ran_nothing() {
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
        report.record("2b", Outcome::Deviated("odd".into()));
        assert!(report.is_success() && report.ran() == 2 && table(&[report.clone()]).contains("deviated    1  empty: odd"));
        report.record("3", Outcome::Failed("broken".into()));
        assert!(!report.is_success());
        let mut absent = Report::new("absent");
        absent.record_absent("the token has none");
        assert!(absent.is_success() && absent.skipped_count() == 1 && !table(&[absent.clone()]).contains("FAILED"));
        absent.record("x", Outcome::Failed("broken".into()));
        assert!(!absent.is_success());
        let text = table(&[report]);
        assert!(text.contains("skipped     1  empty: why") && text.contains("FAILED  empty, 3: broken"), "{text}");
    }
}
