//! `keykit plan`: what the rules say of a migration file, and plans.

pub(super) mod check;

use keykit::migration::file::EXAMPLE;
use keykit::{Error, Result};
use serde_json::json;

use super::plan_file;
use crate::arguments::{PlanArguments, PlanCommand};
use crate::exit;
use crate::output::Output;

/// Runs `keykit plan`.
pub(super) fn run(arguments: &PlanArguments, output: Output) -> Result<u8> {
    if arguments.init {
        output.result("migration-file-example", &json!({ "text": EXAMPLE }), || EXAMPLE.to_owned())?;
        return Ok(exit::DONE);
    }
    let named = || Error::usage("name a migration file, and with --output where the plan goes");
    match (&arguments.command, &arguments.file, &arguments.output) {
        (Some(PlanCommand::Show { plan }), _, _) => plan_file::show(plan, output),
        (Some(PlanCommand::Diff { before, after }), _, _) => plan_file::diff(before, after, output),
        (None, Some(file), None) if arguments.check_only => check::run(file, arguments.file_only, output),
        (None, Some(file), Some(to)) => plan_file::make(file, to, output),
        (None, _, _) => Err(named()),
    }
}
