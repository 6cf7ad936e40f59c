//! `cargo xtask demo`, `cargo xtask test`, `cargo xtask bench`, `cargo xtask install`, and how far tests reach: everything that the project needs, from a fresh machine with Rust.
#![forbid(unsafe_code)]

mod bench;
mod coverage;
mod demo;
mod install;
mod process;
mod setup;
mod test;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND

  demo     set up what is missing, then show all three paths, the refusals and the proofs, in a private folder
  test     [--long]
           set up what is missing, then format, lints, documentation and all tests, on both tokens; --long: also those
           that take minutes
  bench    [--quick] [--only TEXT] [--growth] [--format text|json]
           set up what is missing, then keykit and other RSA engines side by side, held against the goals, and streams of
           up to a million licences; target/bench.json keeps the figures. --quick: within a minute, what has a goal and
           10,000 licences; --only: works whose name has TEXT; --growth: the streams alone
           --instructions [--keep]: count the instructions of a licence with callgrind, compare them with those that are
           kept (more than 5 % above them is an error) or keep them
  install  [--prefix DIR] [--debug]
           build the release and install the program, its manual pages and its completions below DIR (~/.local)
  setup    set up what is missing (Debian packages, the second token)
  coverage the branches of journal, quorum, rules and plan that their tests take; less than 95 % of a part is an error
  mutants  [OPTION...]
           the same sources changed in every way that cargo-mutants knows (its options may follow): which changes no test notices";

/// What went wrong, for people.
pub(crate) type Result<T, E = String> = std::result::Result<T, E>;

fn main() -> ExitCode {
    if let Some(code) = coverage::as_wrapper() {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["bench", rest @ ..] => match bench::Options::read(rest) {
            Some(options) => bench::compare(&options),
            None => return wrong_usage(),
        },
        ["install", rest @ ..] => match install::Options::read(rest) {
            Some(options) => install::install(&options),
            None => return wrong_usage(),
        },
        ["coverage"] => coverage::coverage(),
        ["mutants", rest @ ..] => coverage::mutants(rest),
        ["demo"] => demo::show_everything(),
        ["test"] => test::run_all_checks(false),
        ["test", "--long"] => test::run_all_checks(true),
        ["setup"] => setup::packages(setup::FOR_TESTS).and_then(|()| setup::kryoptic()),
        _ => return wrong_usage(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn wrong_usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}
