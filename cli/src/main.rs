//! The `keykit` command. See README.md for what it is for and docs/exit-codes.md for its exit codes.
#![forbid(unsafe_code)]

mod arguments;
mod command;
mod confirm;
mod exit;
mod files;
mod inspection;
mod output;
mod progress;
mod rights;
mod secrets;
mod stores;
mod transfers;

use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use output::Output;

fn main() -> ExitCode {
    // No core dumps and no debuggers: secrets are about to be in memory. A system that can't do this says so and goes on.
    if let Err(error) = secmem_proc::harden_process() {
        output::warn(format!("this system does not keep secrets out of core dumps: {error}"));
    }
    let arguments = Arguments::parse();
    let output = Output { format: arguments.format };
    ExitCode::from(match command::run(arguments, output) {
        Ok(code) => code,
        Err(error) => {
            output.error(&error);
            exit::code_of(&error)
        }
    })
}
