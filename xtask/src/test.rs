//! `cargo xtask test`: everything that must hold before a change lands.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::Result;
use crate::process::{cargo, describe, root, run};
use crate::setup::{self, FOR_TESTS};

/// Runs all checks, also after one that failed; the sum of all test runs is the last line of the output.
pub(crate) fn run_all_checks(long: bool) -> Result<()> {
    setup::packages(FOR_TESTS)?;
    setup::kryoptic()?;
    let mut format = cargo();
    let mut lints = cargo();
    let mut documentation = cargo();
    format.args(["fmt", "--all", "--check"]);
    // The fuzz targets are programs only with this feature; without libFuzzer they compile, but do not link.
    lints.args(["clippy", "--workspace", "--all-targets", "--features", "keykit-fuzz/targets", "--locked", "--", "-D", "warnings"]);
    documentation.args(["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings");
    let checks = [run(&mut format), run(&mut lints), run(&mut comparison()), run(&mut documentation), tests(long)];
    let failed: Vec<String> = checks.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\nxtask: ")) }
}

/// The lints of the program behind `cargo xtask bench`, which is no member of the workspace: it must follow what it measures. In the
/// workspace's target folder, with the profile of the workspace: most of what it needs was checked there just before.
fn comparison() -> Command {
    let mut command = cargo();
    command.args(["clippy", "--locked"]).current_dir(root().join("benches/compare"));
    if std::env::var_os("CARGO_TARGET_DIR").is_none() {
        command.arg("--target-dir").arg(root().join("target"));
    }
    command.args(["--", "-D", "warnings"]);
    command
}

/// Compound runs of the crash simulation in a long run (`tests/tests/crash.rs`).
const LONG_CRASH_RUNS: &str = "20000";

/// Counts of test runs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

fn tests(long: bool) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--workspace", "--locked", "--no-fail-fast", "--", "--show-output"]);
    command.env("KEYKIT_REQUIRE_TOKENS", "1").stdout(Stdio::piped());
    if long {
        command.env("KEYKIT_LONG_TESTS", "1");
        if std::env::var_os("KEYKIT_CRASH_RUNS").is_none() {
            command.env("KEYKIT_CRASH_RUNS", LONG_CRASH_RUNS);
        }
    }
    let name = describe(&command);
    eprintln!("xtask: {name}");
    let mut child = command.spawn().map_err(|error| format!("{name}: {error}"))?;
    let mut counts = Counts::default();
    let mut failures = Failures::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(|error| format!("{name}: {error}"))?;
            println!("{line}");
            counts.add(&line);
            failures.add(&line);
        }
    }
    let status = child.wait().map_err(|error| format!("{name}: {error}"))?;
    for line in &failures.lines {
        println!("{line}");
    }
    println!("\n{} passed, {} failed, {} skipped", counts.passed, counts.failed, counts.skipped);
    match (status.success(), counts.passed) {
        (true, 1..) => Ok(()),
        (true, 0) => Err("no test was run".into()),
        (false, _) => Err(format!("{name}: {status}")),
    }
}

impl Counts {
    /// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; …`, and lines in which a test says that it was skipped.
    fn add(&mut self, line: &str) {
        if line.starts_with("skipped: ") {
            self.skipped += 1;
            self.passed = self.passed.saturating_sub(1);
        }
        let Some((_, result)) = line.strip_prefix("test result: ").and_then(|result| result.split_once(". ")) else { return };
        for part in result.split("; ") {
            let mut words = part.split_whitespace();
            let (Some(Ok(count)), Some(what)) = (words.next().map(str::parse::<u64>), words.next()) else { continue };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.skipped += count,
                _ => {}
            }
        }
    }
}

/// What failed tests printed, to be read again at the end: between it and the counts lie the outputs of many programs.
#[derive(Debug, Default)]
struct Failures {
    lines: Vec<String>,
    inside: bool,
}

impl Failures {
    /// A test program prints `failures:`, the output of each failed test, and `failures:` once more with their names.
    fn add(&mut self, line: &str) {
        match line {
            "failures:" => self.inside = true,
            _ if line.starts_with("test result: ") => self.inside = false,
            _ => {}
        }
        if self.inside {
            self.lines.push(line.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_add_up() {
        let mut counts = Counts::default();
        for line in [
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "skipped: a: no token",
            "  | test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.00s",
            "test a ... ok",
        ] {
            counts.add(line);
        }
        assert_eq!(counts, Counts { passed: 6, failed: 2, skipped: 2 });
    }

    #[test]
    fn failures_are_kept_for_the_end() {
        let mut failures = Failures::default();
        let text = "test a ... FAILED\n\nfailures:\n\n---- a stdout ----\nboth differ\n\nfailures:\n    a\n\ntest result: FAILED. 0 passed; 1 failed\nrunning 0 tests";
        text.lines().for_each(|line| failures.add(line));
        assert_eq!(failures.lines.join("\n"), "failures:\n\n---- a stdout ----\nboth differ\n\nfailures:\n    a\n");
    }
}
