//! `cargo xtask bench --instructions`: how many instructions one licence takes, counted by callgrind. Unlike times, the counts are
//! the same on a busy machine, so a change that makes the hot path longer is seen.
//!
//! Valgrind knows no AVX-512, so the engine is the lanes of AVX2, whatever the processor. Only the work itself is counted, on one
//! processor: libraries gather entropy when they start, for a time that nobody knows. The keys are always the same; blinding and sealing
//! are random, which moves the counts by much less than what is allowed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::stage::processors;
use crate::Result;
use crate::process::{describe, root};

/// Where the counts are kept.
const KEPT: &str = "benches/instructions.json";
/// A batch, and what is counted: the difference of one and two batches, so that what is prepared once falls out.
const BATCH: u64 = 64;
/// The function of the program that does one batch.
const COUNTED: &str = "*single::batch*";
const WORKS: [&str; 3] = ["sign", "verify", "rekey"];
/// More than this above the kept count is an error, in percent.
const TOLERANCE: u64 = 5;

/// What the counts are of: valgrind decides what the programs see of the processor.
const PATH: &str =
    "lanes of AVX2 (KEYKIT_BENCH_ENGINE=avx2); under valgrind, which hides AVX-512 and the SHA extensions, so hashes are computed without them";
/// The fields of the kept counts.
const PATH_FIELD: &str = "path";
const COUNTS_FIELD: &str = "instructions_per_licence";

type Counts = BTreeMap<String, u64>;

/// Counts, and keeps the counts or compares them with those that were kept.
pub(super) fn run(program: &Path, keep: bool) -> Result<()> {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        return Err("valgrind is not there (`cargo xtask setup` installs it)".into());
    }
    let mut counts = Counts::new();
    for work in WORKS {
        let difference = count(program, work, 2 * BATCH)?.saturating_sub(count(program, work, BATCH)?);
        counts.insert(work.to_owned(), difference / BATCH);
    }
    let path = root().join(KEPT);
    if keep {
        let kept = json!({ PATH_FIELD: PATH, COUNTS_FIELD: counts });
        return fs::write(&path, format!("{kept:#}\n")).map_err(|error| format!("{KEPT}: {error}"));
    }
    let text = fs::read_to_string(&path).map_err(|error| format!("{KEPT}: {error}"))?;
    let kept = kept_counts(&text).map_err(|error| format!("{KEPT}: {error}"))?;
    for (work, count) in &counts {
        println!("{work}: {count} instructions a licence, {} kept", kept.get(work).copied().unwrap_or_default());
    }
    match grown(&counts, &kept).as_slice() {
        [] => Ok(()),
        works => Err(format!("more than {TOLERANCE} % above {KEPT}: {}; if that must be, keep the new counts with --keep", works.join(", "))),
    }
}

/// The counts in a file that was kept.
fn kept_counts(text: &str) -> Result<Counts> {
    let mut kept: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if kept.get(PATH_FIELD).and_then(Value::as_str) != Some(PATH) {
        return Err("the counts are of another path through the processor: keep new ones with --keep".into());
    }
    let counts = kept.get_mut(COUNTS_FIELD).map(Value::take).unwrap_or_default();
    serde_json::from_value(counts).map_err(|error| error.to_string())
}

/// The works that take more than is allowed, or that no count is kept of.
fn grown(counts: &Counts, kept: &Counts) -> Vec<String> {
    let is_too_much = |work: &str, count: u64| kept.get(work).is_none_or(|kept| count.saturating_mul(100) > kept.saturating_mul(100 + TOLERANCE));
    counts.iter().filter(|(work, count)| is_too_much(work, **count)).map(|(work, _)| work.clone()).collect()
}

/// All instructions of the program for so many licences.
fn count(program: &Path, work: &str, licences: u64) -> Result<u64> {
    // On one processor nothing runs on threads beside the one that is counted.
    let processor = processors(1).ok_or("there is no processor to use")?;
    let mut command = Command::new("taskset");
    command.args(["-c", &processor, "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(format!("--toggle-collect={COUNTED}"));
    command.arg(program).args(["single", work, &licences.to_string()]);
    command.env("KEYKIT_BENCH_ENGINE", "avx2");
    let name = describe(&command);
    eprintln!("xtask: {name}");
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    collected(&text).filter(|_| output.status.success()).ok_or_else(|| format!("{name}: {}\n{text}", output.status))
}

/// The number in callgrind's line `==1== Collected : 123`.
fn collected(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.split_once("Collected :"))?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_callgrind_is_read() {
        assert_eq!(collected("==1== Callgrind\n==1== Events    : Ir\n==1== Collected : 123456\n"), Some(123_456));
        assert_eq!(collected("==1== Process terminating\n"), None);
    }

    #[test]
    fn counts_of_another_path_are_not_compared() {
        let counts = Counts::from([("sign".to_owned(), 7)]);
        let text = |path: &str| json!({ PATH_FIELD: path, COUNTS_FIELD: counts }).to_string();
        assert_eq!(kept_counts(&text(PATH)), Ok(counts.clone()));
        assert!(kept_counts(&text("lanes of AVX-512")).is_err() && kept_counts("{\"sign\": 7}").is_err());
    }

    #[test]
    fn growth_above_the_tolerance_is_told() {
        let counts = |rekey, sign| Counts::from([("rekey".to_owned(), rekey), ("sign".to_owned(), sign)]);
        let kept = counts(1000, 100);
        assert!(grown(&counts(1050, 90), &kept).is_empty());
        assert_eq!(grown(&counts(1051, 90), &kept), ["rekey"]);
        assert_eq!(grown(&counts(1, 1), &Counts::new()), ["rekey", "sign"]);
    }
}
