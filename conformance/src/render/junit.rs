//! JUnit XML, as build servers read it: one `testsuite` for each suite, one `testcase` for each case.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::escape;
use crate::change::{Change, Direction};
use crate::report::{Outcome, Report};

/// The reports as one JUnit document, and what differs from a stored result as a suite of its own, in which what got worse has failed. A known deviation is a passed case that says its name in `system-out`; a suite that
/// tried nothing has one failed case that says so.
#[must_use]
pub fn junit(reports: &[Report], changes: &[Change]) -> String {
    let mut reports: Vec<Cow<'_, Report>> = reports.iter().map(Cow::Borrowed).collect();
    if !changes.is_empty() {
        let mut report = Report::new("compared with the stored result");
        for change in changes {
            let outcome = if change.direction == Direction::Worse { Outcome::Failed(change.to_string()) } else { Outcome::Passed };
            report.record(change.what.as_str(), outcome);
        }
        reports.push(Cow::Owned(report));
    }
    let sum = |count: fn(&Report) -> usize| reports.iter().map(|report| count(report)).sum::<usize>();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    line(
        &mut text,
        format_args!(
            "<testsuites name=\"keykit store conformance\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\">",
            sum(tests),
            sum(failures),
            sum(Report::skipped_count)
        ),
    );
    for report in &reports {
        suite(&mut text, report);
    }
    text.push_str("</testsuites>\n");
    text
}

/// Cases, and the one that stands for a suite that tried none.
fn tests(report: &Report) -> usize {
    report.seen() + usize::from(report.ran_nothing())
}

fn failures(report: &Report) -> usize {
    report.failed.len() + usize::from(report.ran_nothing())
}

fn suite(text: &mut String, report: &Report) {
    let name = escape(&report.suite);
    line(
        text,
        format_args!(
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\">",
            tests(report),
            failures(report),
            report.skipped_count()
        ),
    );
    for (case, outcome) in &report.cases {
        let case = escape(case);
        match outcome {
            Outcome::Passed => line(text, format_args!("    <testcase classname=\"{name}\" name=\"{case}\"/>")),
            Outcome::Failed(problem) => with(text, &name, &case, &format!("<failure message=\"{}\"/>", escape(problem))),
            Outcome::Skipped(reason) => with(text, &name, &case, &format!("<skipped message=\"{}\"/>", escape(reason))),
            Outcome::Deviated(deviation) => with(text, &name, &case, &format!("<system-out>known deviation: {}</system-out>", escape(deviation))),
        }
    }
    if report.ran_nothing() {
        with(text, &name, "something ran", "<failure message=\"nothing ran\"/>");
    }
    text.push_str("  </testsuite>\n");
}

fn with(text: &mut String, suite: &str, case: &str, inside: &str) {
    line(text, format_args!("    <testcase classname=\"{suite}\" name=\"{case}\">{inside}</testcase>"));
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    writeln!(text, "{arguments}").unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use keykit::xml::{Element, parse};
    use proptest::prelude::*;

    use super::*;

    fn number(element: &Element<'_>, name: &str) -> usize {
        element.attribute(name).unwrap().parse().unwrap()
    }

    /// Checks the shape that build servers rely on: counts agree with what is there, every case has a name and at most one outcome.
    fn check(text: &str) -> usize {
        let root = parse(text, "JUnit result").unwrap();
        assert_eq!(root.name, "testsuites");
        let (mut cases, mut failed, mut skipped) = (0, 0, 0);
        for suite in &root.children {
            assert_eq!(suite.name, "testsuite");
            let count = |name: &str| suite.children.iter().filter(|case| case.child(name).is_some()).count();
            assert_eq!(
                (number(suite, "tests"), number(suite, "failures"), number(suite, "skipped")),
                (suite.children.len(), count("failure"), count("skipped"))
            );
            for case in &suite.children {
                assert_eq!(case.name, "testcase");
                assert!(case.attribute("name").is_some_and(|name| !name.is_empty()) && case.attribute("classname") == suite.attribute("name"));
                assert!(case.children.len() <= 1);
                for outcome in &case.children {
                    assert!(outcome.name == "system-out" || outcome.attribute("message").is_some_and(|message| !message.is_empty()));
                }
            }
            cases += suite.children.len();
            failed += count("failure");
            skipped += count("skipped");
        }
        assert_eq!((number(&root, "tests"), number(&root, "failures"), number(&root, "skipped")), (cases, failed, skipped));
        cases
    }

    #[test]
    fn every_outcome_has_its_form() {
        let mut report = Report::new("a <suite> & more");
        report.record("good", Outcome::Passed);
        report.record("bad \"case\"", Outcome::Failed("<why>".into()));
        report.record("odd", Outcome::Deviated("a-name".into()));
        report.record("left out", Outcome::Skipped("no reason".into()));
        let worse = Change::new(Direction::Worse, "what", "1", "0");
        let text = junit(&[report, Report::new("empty")], &[worse]);
        assert_eq!(check(&text), 6, "{text}");
        assert!(text.contains("nothing ran") && text.contains("known deviation: a-name"));
    }

    proptest! {
        #[test]
        fn any_text_in_it_is_sound_xml(case in ".+", problem in ".+") {
            let mut report = Report::new("suite");
            report.record(case, Outcome::Failed(problem));
            check(&junit(&[report], &[]));
        }
    }
}
