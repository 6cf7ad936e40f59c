//! All checks of the project, the tests last.

use std::process::{Command, ExitCode};

use keykit_tests::fixture::REQUIRE_TOKENS;

use crate::command::{cargo, root, run, succeeds};
use crate::{Result, setup, summary};

/// Sets up, builds the second token, checks format, lints and documentation, and runs the tests.
///
/// One check that fails does not keep the others from running. The last line is the sum of all tests.
pub(crate) fn run_all() -> Result<ExitCode> {
    setup::set_up(setup::Extent::TokensAndKryoptic)?;
    build_kryoptic()?;
    let mut failed = Vec::new();
    for (name, tool, mut command) in checks() {
        if !succeeds(&mut cargo([tool, "--version"])) {
            eprintln!("not checked: {name}, as cargo {tool} is not installed (rustup component add rustfmt clippy)");
        } else if let Err(error) = run(&mut command) {
            eprintln!("error: {error}");
            failed.push(name);
        }
    }
    let (success, summary) = summary::run(cargo(["test", "--workspace", "--no-fail-fast"]).env(REQUIRE_TOKENS, "1"))?;
    if !success || summary.is_empty() {
        failed.push("tests");
    }
    if !failed.is_empty() {
        eprintln!("\nfailed: {}", failed.join(", "));
    }
    println!("\n{summary}");
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The checks before the tests: a name, the subcommand of cargo it needs, and the command.
fn checks() -> [(&'static str, &'static str, Command); 3] {
    // The program's documentation would be written over that of the library of the same name.
    let mut documentation = cargo(["doc", "--workspace", "--no-deps", "--exclude", "keykit-cli", "--quiet"]);
    documentation.env("RUSTDOCFLAGS", "-D warnings");
    [
        ("format", "fmt", cargo(["fmt", "--all", "--check"])),
        ("lints", "clippy", cargo(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])),
        ("documentation", "doc", documentation),
    ]
}

/// Builds the kryoptic module. Unoptimised: that is quicker to build, and its arithmetic is OpenSSL's.
fn build_kryoptic() -> Result {
    let folder = root().join("tests/kryoptic");
    run(cargo(["build", "--locked", "--quiet", "--target-dir"]).arg(folder.join("target")).current_dir(&folder))
}
