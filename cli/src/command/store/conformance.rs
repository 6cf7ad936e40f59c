//! `keykit store conformance`: does this store do what it must?

use std::path::Path;

use jiff::{Timestamp, Unit};
use keykit::{Error, Result};
use keykit_conformance::change::{Change, is_worse};
use keykit_conformance::document::Document;
use keykit_conformance::{Options, Suite, render, run};
use serde::Serialize;

use super::checked::Checked;
use super::{comparison, deliver, store_of, stored, two_stored};
use crate::arguments::{ConformanceArguments, Format};
use crate::exit;
use crate::output::{Output, say, to_json};
use crate::progress::Steps;

/// Largest keys of tokens: larger ones are slow, or not to be had.
const TOKEN_MODULUS_BITS: usize = 4096;

/// The result, with what differs from a stored one.
#[derive(Debug, Serialize)]
struct Compared<'a> {
    #[serde(flatten)]
    document: &'a Document,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<&'a [Change]>,
}

pub(super) fn run_suites(arguments: &ConformanceArguments, output: Output) -> Result<u8> {
    let read = |path: &Path| Document::from_json(&stored(path)?).map_err(|error| error.in_file(path));
    if let Some((before, after)) = two_stored(&arguments.common)? {
        let (before, after) = (read(before)?, read(after)?);
        return comparison(&arguments.common, &after.compare(&before), output);
    }
    let before = arguments.common.compare.first().map(|path| read(path)).transpose()?;
    let suites = suites(&arguments.suite)?;
    let checked = Checked::open(store_of(&arguments.common)?, &arguments.common.keyring, arguments.allow_write.as_deref())?;
    let subject = checked.subject();
    let default_bits = if subject.token.is_some() { TOKEN_MODULUS_BITS } else { Options::default().max_modulus_bits };
    let options = Options { max_modulus_bits: arguments.max_bits.map_or(default_bits, usize::from), ..Options::default() };
    let steps = Steps::new();
    let mut number = 0;
    let reports = run(&subject, &suites, &options, &mut |suite| {
        number += 1;
        steps.step(number, suites.len(), suite.name());
    });
    drop(steps);
    let left_out = Suite::ALL.into_iter().filter(|suite| !suites.contains(suite)).map(|suite| suite.name().to_owned()).collect();
    let mut document = Document::new(checked.identity(), checked.keys_live_in(), options.max_modulus_bits, &reports, left_out);
    document.date = Timestamp::now().round(Unit::Second).map_or_else(|_| String::new(), |now| now.to_string());
    let changes = before.map(|before| document.compare(&before));
    let changes = changes.as_deref();
    let text = match output.format {
        Format::Text | Format::Markdown => render::table(&document, changes),
        Format::Json => to_json("store-conformance", &Compared { document: &document, changes })?,
        Format::Junit => render::junit(&reports, changes.unwrap_or_default()),
        Format::Html => render::html(&document, changes),
    };
    deliver(&text, arguments.common.output.as_deref())?;
    let worse = changes.is_some_and(is_worse);
    say(format!(
        "{}: {} of {} cases passed, {} failed, {} deviated in known ways, {} left out{}",
        if document.passed { "passed" } else { "NOT passed" },
        document.totals.passed,
        document.totals.ran,
        document.totals.failed,
        document.totals.deviated,
        document.totals.skipped,
        if worse { "; worse than the stored result" } else { "" }
    ));
    Ok(if document.passed && !worse { exit::DONE } else { exit::NEGATIVE })
}

/// The suites of these names, in the order in which they run; all if none is named.
fn suites(names: &[String]) -> Result<Vec<Suite>> {
    let unknown = |name: &String| Error::Usage {
        what: format!("there is no suite '{name}'"),
        hint: Some(format!("the suites are {}", Suite::ALL.map(Suite::name).join(", "))),
    };
    let mut suites = names.iter().map(|name| Suite::of_name(name).ok_or_else(|| unknown(name))).collect::<Result<Vec<_>>>()?;
    suites.sort();
    suites.dedup();
    Ok(if suites.is_empty() { Suite::ALL.to_vec() } else { suites })
}
