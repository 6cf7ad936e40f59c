//! Tables: for the terminal and for the documentation.

use std::fmt::Write as _;

use crate::change::Change;
use crate::document::{Document, SuiteResult};

/// Failures beyond this many are counted, not listed.
const LISTED_FAILURES: usize = 20;

/// The result for a terminal: the verdict, the counts, then deviations, reasons and failures.
#[must_use]
pub fn table(document: &Document, changes: Option<&[Change]>) -> String {
    let mut lines = vec![super::verdict(document), String::new()];
    let widest = document.suites.iter().map(|suite| suite.title.chars().count()).max().unwrap_or_default().max(5);
    lines.push(format!("{:<widest$}  {:>6} {:>6} {:>6} {:>8} {:>7}", "suite", "ran", "passed", "failed", "deviated", "skipped"));
    for suite in &document.suites {
        let counts = suite.counts;
        lines.push(format!(
            "{:<widest$}  {:>6} {:>6} {:>6} {:>8} {:>7}",
            suite.title, counts.ran, counts.passed, counts.failed, counts.deviated, counts.skipped
        ));
    }
    for suite in &document.suites {
        lines.extend(details(suite));
    }
    if !document.left_out.is_empty() {
        lines.push(format!("not asked for: {}", document.left_out.join(", ")));
    }
    match changes {
        None => {}
        Some([]) => lines.push("compared: nothing differs".into()),
        Some(changes) => lines.extend(changes.iter().map(ToString::to_string)),
    }
    lines.join("\n")
}

fn details(suite: &SuiteResult) -> Vec<String> {
    let mut lines = Vec::new();
    for deviation in &suite.deviations {
        let meaning = if deviation.meaning.is_empty() { String::new() } else { format!(": {}", deviation.meaning) };
        lines.push(format!("deviated {:>5}  {}: {}{meaning}", deviation.cases, suite.suite, deviation.name));
    }
    lines.extend(suite.skips.iter().map(|(reason, cases)| format!("skipped  {cases:>5}  {}: {reason}", suite.suite)));
    lines.extend(
        suite.failures.iter().take(LISTED_FAILURES).map(|failure| format!("FAILED          {}: {}: {}", suite.suite, failure.case, failure.problem)),
    );
    if suite.failures.len() > LISTED_FAILURES {
        lines.push(format!("FAILED          {}: {} more; the JSON file lists all", suite.suite, suite.failures.len() - LISTED_FAILURES));
    }
    if suite.ran_nothing() {
        lines.push(format!("FAILED          {}: nothing ran", suite.suite));
    }
    lines
}

/// The counts with deviations and reasons, as tables of Markdown.
#[must_use]
pub fn markdown(document: &Document) -> String {
    let mut text = String::from("| suite | seen | ran | passed | failed | deviated | skipped |\n|---|---:|---:|---:|---:|---:|---:|\n");
    let totals = ("all", document.totals);
    for (title, counts) in document.suites.iter().map(|suite| (suite.title.as_str(), suite.counts)).chain([totals]) {
        // Writing to a string cannot fail.
        writeln!(
            text,
            "| {title} | {} | {} | {} | {} | {} | {} |",
            counts.seen, counts.ran, counts.passed, counts.failed, counts.deviated, counts.skipped
        )
        .unwrap_or_default();
    }
    text.push_str("\n| suite | cases | what |\n|---|---:|---|\n");
    for suite in &document.suites {
        for deviation in &suite.deviations {
            writeln!(text, "| {} | {} | deviated: `{}` |", suite.title, deviation.cases, deviation.name).unwrap_or_default();
        }
        for (reason, cases) in &suite.skips {
            writeln!(text, "| {} | {cases} | skipped: {reason} |", suite.title).unwrap_or_default();
        }
    }
    text
}
