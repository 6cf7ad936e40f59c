//! The chores of the project: `cargo xtask setup`, `cargo xtask test`, `cargo xtask demo`.
#![forbid(unsafe_code)]

mod check;
mod command;
mod demo;
mod setup;
mod summary;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
The chores of keykit.

  cargo xtask setup [--with-kryoptic]   install what is missing: SoftHSM, OpenSC, OpenSSL; and what kryoptic is built with
  cargo xtask test                      set up, then check format, lints and documentation, and run all tests
  cargo xtask ci                        the same as test
  cargo xtask demo                      set up, then show the three migrations on SoftHSM in a private folder
";

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = |()| ExitCode::SUCCESS;
    let outcome = match arguments.as_slice() {
        ["setup"] => setup::set_up(setup::Extent::Tokens).map(done),
        ["setup", "--with-kryoptic"] => setup::set_up(setup::Extent::TokensAndKryoptic).map(done),
        ["test" | "ci"] => check::run_all(),
        ["demo"] => setup::set_up(setup::Extent::Tokens).and_then(|()| demo::run()).map(done),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
