//! Tests that cannot run here: said where people see it, and a failure where everything must be there.

use std::env;
use std::io::Write as _;

/// Set where every tool and token is there, as in CI: then nothing may be skipped that a tool would have made possible.
const REQUIRED: &str = "KEYKIT_REQUIRE_TOKENS";

/// Says that a test was skipped for want of a tool or a token, and why, past the harness that swallows what passing tests print.
///
/// # Panics
/// If tools and tokens are required (`KEYKIT_REQUIRE_TOKENS`), as they are in CI.
pub fn skip(name: &str, reason: &str) {
    assert!(env::var_os(REQUIRED).is_none(), "{name} can't be skipped where {REQUIRED} is set: {reason}");
    say_skipped(name, reason);
}

/// Says that a test was skipped that nothing one could install would have made possible: the processor or the system lacks something.
///
/// # Panics
/// If standard output is gone.
#[expect(clippy::expect_used, reason = "a test that cannot speak fails")]
pub fn say_skipped(name: &str, reason: &str) {
    writeln!(std::io::stdout(), "skipped: {name}: {reason}").expect("standard output");
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    #[test]
    fn a_skip_is_said_to_people_and_fails_where_tools_are_required() {
        if env_is_child() {
            return super::skip("a_test", "a tool is missing");
        }
        let run = |required: bool| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            // Without --nocapture: the harness must not swallow it.
            command.args(["--exact", "skip::tests::a_skip_is_said_to_people_and_fails_where_tools_are_required"]).env("KEYKIT_TEST_SKIP", "1");
            if required { command.env(super::REQUIRED, "1") } else { command.env_remove(super::REQUIRED) }.output().unwrap()
        };
        let (free, required) = (run(false), run(true));
        assert!(free.status.success() && String::from_utf8(free.stdout).unwrap().contains("skipped: a_test: a tool is missing"));
        assert!(!required.status.success());
    }

    fn env_is_child() -> bool {
        std::env::var_os("KEYKIT_TEST_SKIP").is_some()
    }
}
