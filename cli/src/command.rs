//! The commands, one file each.

mod approve;
mod artefacts;
mod byok;
mod carry_out;
mod content;
mod environment;
mod inspect;
mod issue;
mod licence;
mod manual;
mod migrate;
mod nshield;
mod plan;
mod plan_file;
mod prove_access;
mod recorder;
mod rekey;
mod report;
mod room;
mod script;
mod store;
mod tenant;
mod tpd;
mod transcript;

use keykit::{Error, Result};

use crate::arguments::{Arguments, Command, Format, StoreCommand};
use crate::output::Output;

/// Runs a command; the result is its exit code.
pub(crate) fn run(arguments: Arguments, output: Output) -> Result<u8> {
    let more: &[Format] = match &arguments.command {
        Command::Store(StoreCommand::Conformance(_)) => &[Format::Junit, Format::Html],
        Command::Script(_) => &[Format::Markdown, Format::Html],
        _ => &[],
    };
    if !matches!(output.format, Format::Text | Format::Json) && !more.contains(&output.format) {
        return Err(Error::usage(
            "this command has no such format: junit and html are for `keykit store conformance`, markdown and html for `keykit script`",
        )
        .with_hint("use text or json here"));
    }
    match arguments.command {
        Command::Inspect(arguments) => inspect::run(&arguments, output),
        Command::Tpd(command) => tpd::run(&command, output),
        Command::Plan(arguments) => plan::run(&arguments, output),
        Command::Migrate(command) => migrate::run(&command, output),
        Command::Ceremony(command) => approve::ceremony(&command, output),
        Command::Approve(arguments) => approve::run(&arguments, output),
        Command::Script(arguments) => script::run(&arguments, output),
        Command::Transcript(command) => transcript::run(&command, output),
        Command::Apply(arguments) => carry_out::apply(&arguments, output),
        Command::Resume(arguments) => carry_out::resume(&arguments, output),
        Command::Abort(arguments) => carry_out::abort(&arguments, output),
        Command::Verify(arguments) => carry_out::verify(&arguments, output),
        Command::Report(arguments) => report::run(&arguments, output),
        Command::Artefacts(arguments) => artefacts::run(&arguments, output),
        Command::Tenant(command) => tenant::run(&command, output),
        Command::Licence(command) => licence::run(&command, output),
        Command::Content(command) => content::run(&command, output),
        Command::ProveAccess(arguments) => prove_access::run(&arguments, output),
        Command::Store(command) => store::run(&command, output),
        Command::Nshield(command) => nshield::run(&command, output),
        Command::Byok(command) => byok::run(&command, output),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { output } => manual::pages(output.as_deref()),
    }
}
