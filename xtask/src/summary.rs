//! Runs `cargo test`, lets its output through as it comes, and adds up its results.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::thread;

use crate::Result;

/// The results of all test programs of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// Tests that passed because they had nothing to run on, and said so.
    skipped: u64,
}

impl Summary {
    /// Adds what one line of output says.
    fn read(&mut self, line: &str) {
        if line.starts_with("skipped: ") {
            self.skipped += 1;
        }
        let Some(results) = line.strip_prefix("test result: ") else { return };
        // "ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s"
        for result in results.split(['.', ';']) {
            match result.trim().split_once(' ').map(|(number, what)| (number.parse::<u64>(), what)) {
                Some((Ok(number), "passed")) => self.passed += number,
                Some((Ok(number), "failed")) => self.failed += number,
                Some((Ok(number), "ignored")) => self.ignored += number,
                _ => {}
            }
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            ignored: self.ignored + other.ignored,
            skipped: self.skipped + other.skipped,
        }
    }

    /// Whether tests ran at all. A build that fails runs none.
    pub(crate) fn is_empty(self) -> bool {
        self.passed + self.failed == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, ignored, skipped } = *self;
        write!(f, "{} passed, {failed} failed, {} skipped", passed.saturating_sub(skipped), ignored + skipped)
    }
}

/// Runs a command, passes its output on line by line, and adds up the results in it. True when the command succeeded.
pub(crate) fn run(command: &mut Command) -> Result<(bool, Summary)> {
    eprintln!("$ {}", crate::command::shown(command));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let summary = thread::scope(|scope| {
        let errors = scope.spawn(|| errors.map_or(Ok(Summary::default()), |errors| pass_on(errors, io::stderr())));
        let output = output.map_or(Ok(Summary::default()), |output| pass_on(output, io::stdout()));
        let errors = errors.join().map_err(|_panic| io::Error::other("the reader of the test output failed"))?;
        io::Result::Ok(output?.plus(errors?))
    })?;
    Ok((child.wait()?.success(), summary))
}

fn pass_on(from: impl Read, mut to: impl Write) -> io::Result<Summary> {
    let mut from = BufReader::new(from);
    let mut summary = Summary::default();
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        to.flush()?;
        summary.read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up() {
        let output = "running 3 tests\n\
            skipped: SoftHSM is not installed (apt-get install softhsm2)\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.02s\n\
            \x20   | test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.01s\n\
            test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s\n\
            error: test failed\n";
        let mut passed_on = Vec::new();
        let summary = pass_on(output.as_bytes(), &mut passed_on).unwrap();
        assert_eq!(passed_on, output.as_bytes());
        assert_eq!(summary, Summary { passed: 13, failed: 2, ignored: 1, skipped: 1 });
        assert_eq!(summary.to_string(), "12 passed, 2 failed, 2 skipped");
    }

    #[test]
    fn a_run_without_results_is_empty() {
        let mut summary = Summary::default();
        summary.read("error: could not compile `keykit`");
        assert!(summary.is_empty());
        summary.read("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        assert!(summary.is_empty());
        summary.read("test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        assert!(!summary.is_empty());
    }
}
