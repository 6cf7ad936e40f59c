//! Test tokens: a private folder with freshly initialised tokens, removed when dropped.
//!
//! ```no_run
//! use keykit_tests::fixture::{SoftHsm, in_own_process};
//!
//! // #[test]
//! fn signs_in_the_token() {
//!     let Some(softhsm) = SoftHsm::set_up(&["accelerator"]) else { return };
//!     // A child process is given the configuration in its environment: softhsm.command("keykit").
//!     // A module loaded by the test itself needs it in this process: hence a process of its own.
//!     in_own_process(&[&softhsm], || {
//!         // load softhsm.module() and use the token "accelerator" with PIN
//!     });
//! }
//! ```
//!
//! SoftHSM and kryoptic find their configuration by an environment variable, and setting one in a process that has
//! threads is unsound. So no test sets one: [`in_own_process`] runs the test a second time, alone in a child process that
//! was started with the variables set. Every such test has its own tokens and its own copy of the module, and works the
//! same with `cargo test`, `cargo nextest` and `cargo xtask test`.
//!
//! Where a token's software is missing, `set_up` prints `skipped: …` and returns `None`. With `KEYKIT_REQUIRE_TOKENS=1`
//! (set by `cargo xtask test`) it fails instead.

mod kryoptic;
mod process;
mod softhsm;
mod tokens;
mod tool;

pub use kryoptic::Kryoptic;
pub use process::in_own_process;
pub use softhsm::SoftHsm;
pub use tokens::{PIN, SO_PIN, Tokens};
pub use tool::{find_program, openssl, pkcs11_tool, text};

use std::fmt;
use std::io::{Write, stderr};

/// The variable that turns a missing token from a skipped test into a failed one.
pub const REQUIRE_TOKENS: &str = "KEYKIT_REQUIRE_TOKENS";

/// Why there are no test tokens.
#[derive(Debug)]
pub enum Failure {
    /// The software is not on this machine. The text says what to install.
    Missing(String),
    /// The software is there and did not do what it should.
    Broken(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(text) | Self::Broken(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Failure {}

impl Failure {
    fn broken(what: impl fmt::Display) -> Self {
        Self::Broken(what.to_string())
    }
}

/// Turns what is missing into a skipped test, or a failed one where tokens are required.
///
/// # Panics
/// When the software is broken, or is missing and [`REQUIRE_TOKENS`] is `1`.
#[expect(clippy::panic, reason = "a fixture that is broken fails its test")]
fn or_skip<T>(outcome: Result<T, Failure>) -> Option<T> {
    let required = std::env::var_os(REQUIRE_TOKENS).is_some_and(|value| value == "1");
    match outcome {
        Ok(value) => Some(value),
        Err(Failure::Missing(why)) if !required => {
            // Written past the test runner's capture, or nobody would see it. A lost line changes no result.
            let _written = writeln!(stderr(), "skipped: {why}");
            None
        }
        Err(failure) => panic!("test tokens: {failure}"),
    }
}
