//! `cargo xtask bench`: keykit and other RSA engines side by side, held against the goals.
//!
//! The program that runs them is `benches/compare`, a workspace of its own. Here: its keys and its token in a private folder, the
//! processors it may use, and the figures made of its rounds.

mod goals;
mod growth;
mod instructions;
mod rows;
mod stage;
mod statistics;

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::Result;
use crate::process::{cargo, root, run};
use crate::setup::{self, FOR_BENCH};
use goals::Goal;
use growth::Stream;
use rows::{Row, machine_of, rows_of, table};
use stage::{Setting, Stage};

/// Where the figures of the last run are.
const FIGURES: &str = "target/bench.json";

/// How the comparison is run and shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    quick: bool,
    json: bool,
    /// Only works whose name contains this.
    only: String,
    /// The streams alone, up to a million licences.
    growth: bool,
    /// Instructions are counted instead, and compared with those that are kept.
    instructions: bool,
    /// They are kept.
    keep: bool,
}

impl Options {
    /// Reads what follows `bench`; `None` if it is not understood.
    pub(crate) fn read(words: &[&str]) -> Option<Self> {
        Self::read_words(words).filter(|options| options.instructions || !options.keep)
    }

    fn read_words(words: &[&str]) -> Option<Self> {
        match words {
            [] => Some(Self::default()),
            ["--quick", rest @ ..] => Self::read_words(rest).map(|options| Self { quick: true, ..options }),
            ["--growth", rest @ ..] => Self::read_words(rest).map(|options| Self { growth: true, ..options }),
            ["--instructions", rest @ ..] => Self::read_words(rest).map(|options| Self { instructions: true, ..options }),
            ["--keep", rest @ ..] => Self::read_words(rest).map(|options| Self { keep: true, ..options }),
            ["--format", "json", rest @ ..] => Self::read_words(rest).map(|options| Self { json: true, ..options }),
            ["--format", "text", rest @ ..] => Self::read_words(rest),
            ["--only", text, rest @ ..] => Self::read_words(rest).map(|options| Self { only: (*text).to_owned(), ..options }),
            _ => None,
        }
    }
}

/// Runs the comparison and prints one table with all goals, or JSON with the table on standard error. The JSON is also kept, in
/// `target/bench.json`.
pub(crate) fn compare(options: &Options) -> Result<()> {
    setup::packages(FOR_BENCH)?;
    let workspace = root().join("benches/compare");
    run(cargo().args(["build", "--release", "--locked"]).current_dir(&workspace).env_remove("CARGO_TARGET_DIR").stdout(Stdio::null()))?;
    let program = workspace.join("target/release/keykit-compare");
    if options.instructions {
        return instructions::run(&program, options.keep);
    }
    let (mut rows, mut machine) = (Vec::new(), Value::Null);
    if !options.growth {
        let stage = Stage::set_up()?;
        for setting in [Setting::Native, Setting::Avx2, Setting::TwoThreads] {
            // A processor without AVX-512 IFMA has been measured as one with AVX2 only.
            if setting == Setting::Avx2 && !has_ifma(&machine) {
                continue;
            }
            let Some(measured) = stage.run(&program, setting, options)? else { continue };
            rows.extend(rows_of(setting, &measured)?);
            if setting == Setting::Native {
                machine = measured.get("machine").cloned().unwrap_or_default();
            }
        }
    }
    let streams = if options.only.is_empty() { growth::measure(&program, options.quick)? } else { Vec::new() };
    let goals = goals::of(&rows, &streams, has_ifma(&machine));
    let figures = json!({
        "schema": "keykit/bench/1",
        "goals": goals.iter().map(Goal::to_json).collect::<Vec<_>>(),
        "rows": rows.iter().map(Row::to_json).collect::<Vec<_>>(),
        "streams": streams.iter().map(Stream::to_json).collect::<Vec<_>>(),
        "machine": machine,
    });
    let path = root().join(FIGURES);
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, format!("{figures:#}\n")));
    written.map_err(|error| format!("{FIGURES}: {error}"))?;
    let text = format!("{}{}\n{}\n{}", machine_of(&machine), table(&rows), growth::table(&streams), goals::table(&goals));
    if options.json {
        eprint!("{text}");
        println!("{figures}");
    } else {
        print!("{text}");
    }
    Ok(())
}

fn has_ifma(machine: &Value) -> bool {
    let features = machine.get("features").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    features.iter().any(|feature| feature == "avx512ifma")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_in_any_order() {
        let all = Options { quick: true, json: true, ..Options::default() };
        assert_eq!(Options::read(&["--quick", "--format", "json"]), Some(all.clone()));
        assert_eq!(Options::read(&["--format", "json", "--quick"]), Some(all.clone()));
        assert_eq!(Options::read(&["--quick", "--only", "sign", "--format", "json"]), Some(Options { only: "sign".into(), ..all }));
        assert_eq!(Options::read(&["--only"]), None);
        assert_eq!(Options::read(&["--instructions"]), Some(Options { instructions: true, ..Options::default() }));
        assert_eq!(Options::read(&["--keep", "--instructions"]), Some(Options { instructions: true, keep: true, ..Options::default() }));
        assert_eq!(Options::read(&["--growth"]), Some(Options { growth: true, ..Options::default() }));
        assert_eq!(Options::read(&["--keep"]), None);
        assert_eq!(Options::read(&[]), Some(Options::default()));
        assert_eq!(Options::read(&["--format"]), None);
        assert_eq!(Options::read(&["--slow"]), None);
    }
}
