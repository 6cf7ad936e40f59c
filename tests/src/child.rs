//! Tests that run their body in a child process.
//!
//! PKCS#11 modules read their configuration from the environment once, and a process may not change its own environment
//! without `unsafe`. So the test binary runs itself again, told to run that one test, with the variables set.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

pub use keykit_vectors::{say_skipped, skip};

/// Set in the child process.
const INSIDE: &str = "KEYKIT_TEST_INSIDE";

/// The user without rights, on Linux.
pub const NOBODY: u32 = 65534;

/// Runs one test of this binary in a child process with these variables, and fails if it does.
///
/// # Panics
/// If the test fails or does not run.
pub fn in_child(name: &str, environment: &[(&str, &Path)]) {
    let mut command = child(name, environment);
    judge(name, &command.output().expect("a child process"));
}

/// As [`in_child`], without the rights of the superuser: file permissions do not bind those. False if the system does not
/// let that user run this binary; then nothing ran.
///
/// # Panics
/// If the test fails.
#[must_use]
pub fn in_child_as_nobody(name: &str, environment: &[(&str, &Path)]) -> bool {
    let mut command = child(name, environment);
    match command.uid(NOBODY).gid(NOBODY).current_dir("/").output() {
        Ok(output) => {
            judge(name, &output);
            true
        }
        Err(_) => false,
    }
}

fn child(name: &str, environment: &[(&str, &Path)]) -> Command {
    let mut command = Command::new(env::current_exe().expect("this binary"));
    command.args(["--exact", name, "--include-ignored", "--nocapture", "--test-threads=1"]).envs(environment.iter().copied()).env(INSIDE, "1");
    command
}

fn judge(name: &str, output: &Output) {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // Set apart, or the results of the child are counted as results of this run.
    assert!(output.status.success(), "{name} failed ({}):\n  | {}", output.status, text.replace('\n', "\n  | "));
    assert!(text.contains("1 passed"), "{name} did not run:\n  | {}", text.replace('\n', "\n  | "));
    // What the body printed (counts of suites, skipped cases) is worth seeing. Its first line stands behind the name of the test.
    let begins = format!("test {name} ... ");
    let lines = text.lines().map(|line| line.strip_prefix(&begins).unwrap_or(line));
    lines
        .filter(|line| !["", "ok"].contains(line) && !["running ", "test "].iter().any(|word| line.starts_with(word)))
        .for_each(|line| println!("{line}"));
}

/// Whether this is the child process.
#[must_use]
pub fn is_child() -> bool {
    env::var_os(INSIDE).is_some()
}
