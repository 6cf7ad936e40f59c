//! One self-contained page: no scripts, nothing from elsewhere, light and dark, readable without colours.

use std::fmt::Write as _;

use super::{escape, verdict};
use crate::Suite;
use crate::change::{Change, Direction};
use crate::document::{Document, SuiteResult};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1a1a1a;--paper:#fff;--line:#b8b8b8;--soft:#f2f2f2;--good:#0a5c2b;--bad:#9b1c1c;--odd:#6b4a00}\
@media(prefers-color-scheme:dark){:root{--ink:#ececec;--paper:#141414;--line:#5a5a5a;--soft:#222;--good:#7fd69a;--bad:#ff9b9b;--odd:#f0c060}}\
body{font:1rem/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:0 auto;max-width:64rem;padding:1.5rem}\
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}\
.verdict{border:2px solid;border-radius:.4rem;padding:.8rem 1rem;font-size:1.1rem}\
.good{color:var(--good)}.bad{color:var(--bad)}.odd{color:var(--odd)}\
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;margin:.6rem 0}\
caption{text-align:left;font-weight:600;padding:.3rem 0}th,td{border:1px solid var(--line);padding:.3rem .6rem;text-align:left;vertical-align:top}\
thead th{background:var(--soft)}td.n{text-align:right;font-variant-numeric:tabular-nums}code{overflow-wrap:anywhere}\
@media print{body{max-width:none}}";

/// The result as one HTML page (WCAG 2.1 AA in mind: headings in order, captions, scopes, words beside colours).
#[must_use]
pub fn html(document: &Document, changes: Option<&[Change]>) -> String {
    let (class, word) = if document.passed { ("good", "Passed") } else { ("bad", "Not passed") };
    let store = &document.store;
    let mut page = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    add(&mut page, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    add(&mut page, &format!("<title>{word}: conformance of {}</title>", escape(&store.manufacturer)));
    add(&mut page, &format!("<style>{STYLE}</style>\n</head>\n<body>\n<main>"));
    add(&mut page, "<h1>Conformance of a key store</h1>");
    add(&mut page, &format!("<p class=\"verdict {class}\"><strong>{word}.</strong> {}</p>", escape(&verdict(document))));
    summary(&mut page, document);
    add(&mut page, "<h2>What was tested</h2>");
    let maximum = format!("{} bits", document.max_modulus_bits);
    let (tested_with, examples) = (format!("keykit {}", document.keykit), document.vectors.join("; "));
    let facts = [
        ("Manufacturer", store.manufacturer.as_str()),
        ("Model", &store.model),
        ("Firmware", &store.firmware),
        ("Label", &store.label),
        ("Serial number", &store.serial),
        ("Store", &store.uri),
        ("Test keys lived in", &store.keys_lived_in),
        ("Largest key", &maximum),
        ("Tested with", &tested_with),
        ("Date", if document.date.is_empty() { "not stated" } else { &document.date }),
        ("Published examples", &examples),
    ];
    let rows = facts.iter().map(|(name, value)| format!("<tr><th scope=\"row\">{name}</th><td><code>{}</code></td></tr>", escape(value)));
    add(&mut page, &format!("<table><caption>The store</caption><tbody>{}</tbody></table>", rows.collect::<String>()));
    if let Some(changes) = changes {
        differences(&mut page, changes);
    }
    add(&mut page, "<h2>Results</h2>");
    let heading: String =
        ["Suite", "Result", "Ran", "Passed", "Failed", "Deviated", "Skipped"].iter().map(|cell| format!("<th scope=\"col\">{cell}</th>")).collect();
    let rows: String = document.suites.iter().map(row).collect();
    let caption =
        "<caption>Cases of each suite. Deviated: wrong in a way that is known and named. Skipped: not tried, for a reason given below.</caption>";
    add(&mut page, &format!("<div class=\"scroll\"><table>{caption}<thead><tr>{heading}</tr></thead><tbody>{rows}</tbody></table></div>"));
    if !document.left_out.is_empty() {
        add(&mut page, &format!("<p>Not asked for: {}.</p>", escape(&document.left_out.join(", "))));
    }
    failures(&mut page, document);
    known(&mut page, document);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// What it means, for who has to decide by it.
fn summary(page: &mut String, document: &Document) {
    add(page, "<h2>What this means</h2>");
    let totals = document.totals;
    let cases = format!("{} examples with known answers were tried on this store", totals.ran);
    let mut sentences = vec![if document.passed {
        format!("{cases}, and none came out wrong in a way that is not known. For what was tried, the store can be relied on.")
    } else {
        format!("{cases}, and {} came out wrong. Do not use this store for a migration before each of them is explained.", totals.failed)
    }];
    if totals.deviated > 0 {
        sentences.push(format!(
            "{} came out wrong in ways that stores of this kind are known for. Each has a name and a sentence below; the migration takes account of them.",
            totals.deviated
        ));
    }
    if totals.skipped > 0 {
        sentences.push(format!(
            "{} were not tried, most often because the store does not offer what they are about. They say nothing for it and nothing against it.",
            totals.skipped
        ));
    }
    sentences.push("The tests show how the store behaved on this day. They do not show how it is guarded, nor who may use it.".to_owned());
    add(page, &format!("<p>{}</p>", escape(&sentences.join(" "))));
    let rows: String = document
        .suites
        .iter()
        .map(|suite| {
            let meaning = Suite::of_name(&suite.suite).map_or("", Suite::meaning);
            let (class, word) = result(suite);
            let title = escape(&suite.title);
            format!("<tr><th scope=\"row\">{title}</th><td>{}</td><td class=\"{class}\">{word}</td></tr>", escape(meaning))
        })
        .collect();
    let heading = "<tr><th scope=\"col\">Suite</th><th scope=\"col\">What it shows</th><th scope=\"col\">Result</th></tr>";
    let caption = "<caption>The suites in plain words</caption>";
    add(page, &format!("<div class=\"scroll\"><table>{caption}<thead>{heading}</thead><tbody>{rows}</tbody></table></div>"));
}

fn result(suite: &SuiteResult) -> (&'static str, &'static str) {
    match (suite.passed, suite.counts.ran, suite.counts.deviated) {
        (false, 0, _) => ("bad", "nothing ran"),
        (false, ..) => ("bad", "failed"),
        (true, 0, _) => ("odd", "not offered"),
        (true, _, 0) => ("good", "passed"),
        (true, ..) => ("odd", "passed, with deviations"),
    }
}

fn row(suite: &SuiteResult) -> String {
    let (class, word) = result(suite);
    let counts = suite.counts;
    let numbers: String = [counts.ran, counts.passed, counts.failed, counts.deviated, counts.skipped]
        .iter()
        .map(|number| format!("<td class=\"n\">{number}</td>"))
        .collect();
    format!("<tr><th scope=\"row\">{}</th><td class=\"{class}\">{word}</td>{numbers}</tr>", escape(&suite.title))
}

fn differences(page: &mut String, changes: &[Change]) {
    add(page, "<h2>Compared with the stored result</h2>");
    if changes.is_empty() {
        add(page, "<p>Nothing differs.</p>");
        return;
    }
    let rows = changes.iter().map(|change| {
        let (class, word) = match change.direction {
            Direction::Worse => ("bad", "worse"),
            Direction::Better => ("good", "better"),
            Direction::Different => ("odd", "different"),
        };
        let cells = [&change.what, &change.before, &change.after].map(|cell| format!("<td>{}</td>", escape(cell))).concat();
        format!("<tr><td class=\"{class}\">{word}</td>{cells}</tr>")
    });
    let heading = "<tr><th scope=\"col\">Direction</th><th scope=\"col\">What</th><th scope=\"col\">Before</th><th scope=\"col\">Now</th></tr>";
    let rows: String = rows.collect();
    add(
        page,
        &format!(
            "<div class=\"scroll\"><table><caption>What got worse, better or just different</caption><thead>{heading}</thead><tbody>{rows}</tbody></table></div>"
        ),
    );
}

fn failures(page: &mut String, document: &Document) {
    let all = document.suites.iter().flat_map(|suite| suite.failures.iter().map(move |failure| (suite, failure)));
    let rows: String = all
        .map(|(suite, failure)| {
            format!("<tr><td>{}</td><td>{}</td><td>{}</td></tr>", escape(&suite.title), escape(&failure.case), escape(&failure.problem))
        })
        .collect();
    if !rows.is_empty() {
        let heading = "<tr><th scope=\"col\">Suite</th><th scope=\"col\">Case</th><th scope=\"col\">What was wrong</th></tr>";
        add(page, "<h2>Failures</h2>");
        add(
            page,
            &format!(
                "<div class=\"scroll\"><table><caption>Every case that failed</caption><thead>{heading}</thead><tbody>{rows}</tbody></table></div>"
            ),
        );
    }
}

fn known(page: &mut String, document: &Document) {
    let mut rows = String::new();
    for suite in &document.suites {
        for deviation in &suite.deviations {
            let what = format!("<strong>deviated</strong>: <code>{}</code>. {}", escape(&deviation.name), escape(&deviation.meaning));
            cells(&mut rows, suite, deviation.cases, &what);
        }
        for (reason, count) in &suite.skips {
            cells(&mut rows, suite, *count, &format!("skipped: {}", escape(reason)));
        }
    }
    if !rows.is_empty() {
        let heading = "<tr><th scope=\"col\">Suite</th><th scope=\"col\">Cases</th><th scope=\"col\">What</th></tr>";
        add(page, "<h2>Deviations and cases left out</h2>");
        add(
            page,
            &format!(
                "<div class=\"scroll\"><table><caption>Nothing is hidden: every case that did not simply pass</caption><thead>{heading}</thead><tbody>{rows}</tbody></table></div>"
            ),
        );
    }
}

fn cells(rows: &mut String, suite: &SuiteResult, cases: usize, what: &str) {
    // Writing to a string cannot fail.
    write!(rows, "<tr><td>{}</td><td class=\"n\">{cases}</td><td>{what}</td></tr>", escape(&suite.title)).unwrap_or_default();
}

fn add(page: &mut String, line: &str) {
    page.push_str(line);
    page.push('\n');
}
