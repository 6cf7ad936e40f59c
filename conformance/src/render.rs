//! A result in the forms that people and other programs read.

mod html;
mod junit;
mod text;

pub use html::html;
pub use junit::junit;
pub use text::{markdown, table};

/// Text that can stand in XML and HTML, in content and in attributes, on one line. Characters that XML 1.0 does not know become
/// `\u{FFFD}`.
fn escape(text: &str) -> String {
    keykit::ceremony::html::escape(text).replace(['\t', '\n'], " ").replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// The sentence that a manager reads first.
fn verdict(document: &crate::document::Document) -> String {
    let totals = document.totals;
    let store = format!("{} {} {}", document.store.manufacturer, document.store.model, document.store.firmware);
    let named =
        if totals.deviated == 0 { String::new() } else { format!(" {} came out wrong in ways that are known and named below.", totals.deviated) };
    let skipped = if totals.skipped == 0 { String::new() } else { format!(" {} were left out, each for a reason that is listed.", totals.skipped) };
    if document.passed {
        format!("{store} did what it must in {} of {} cases.{named}{skipped}", totals.passed, totals.ran)
    } else {
        let empty = document.suites.iter().filter(|suite| suite.ran_nothing()).count();
        let empty = if empty == 0 { String::new() } else { format!(" {empty} suite(s) could not try a single case.") };
        format!("{store} did NOT pass: {} of {} cases failed.{empty}{named}{skipped}", totals.failed, totals.ran)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_text() {
        assert_eq!(escape("<a href='x'>\"&\u{0}\n"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;\u{fffd} ");
    }
}
