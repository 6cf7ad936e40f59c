//! Tests that run their body in a child process.
//!
//! PKCS#11 modules read their configuration from the environment once, and a process may not change its own environment
//! without `unsafe`. So the test binary runs itself again, told to run that one test, with the variables set.

use std::env;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// Set in the child process.
const INSIDE: &str = "KEYKIT_TEST_INSIDE";

/// Runs one test of this binary in a child process with these variables, and fails if it does.
///
/// # Panics
/// If the test fails or does not run.
pub fn in_child(name: &str, environment: &[(&str, &Path)]) {
    let output = Command::new(env::current_exe().expect("this binary"))
        .args(["--exact", name, "--include-ignored", "--nocapture", "--test-threads=1"])
        .envs(environment.iter().copied())
        .env(INSIDE, "1")
        .output()
        .expect("a child process");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // Set apart, or the results of the child are counted as results of this run.
    assert!(output.status.success(), "{name} failed ({}):\n  | {}", output.status, text.replace('\n', "\n  | "));
    assert!(text.contains("1 passed"), "{name} did not run:\n  | {}", text.replace('\n', "\n  | "));
    // What the body printed (counts of suites, skipped cases) is worth seeing.
    text.lines().filter(|line| !line.starts_with("running ") && !line.starts_with("test ")).for_each(|line| println!("{line}"));
}

/// Says that a test was skipped, and why, past the harness that swallows what passing tests print.
///
/// # Panics
/// If tokens are required (KEYKIT_REQUIRE_TOKENS), as they are in CI.
pub fn skip(name: &str, reason: &str) {
    assert!(!tokens_are_required(), "{name} can't be skipped where KEYKIT_REQUIRE_TOKENS is set: {reason}");
    writeln!(std::io::stdout(), "skipped: {name}: {reason}").expect("standard output");
}

/// Whether this is the child process.
#[must_use]
pub fn is_child() -> bool {
    env::var_os(INSIDE).is_some()
}

fn tokens_are_required() -> bool {
    env::var_os("KEYKIT_REQUIRE_TOKENS").is_some()
}
