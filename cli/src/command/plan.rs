//! `keykit plan`: what the rules say of a migration file.

mod check;

use keykit::migration::file::EXAMPLE;
use keykit::{Error, Result};
use serde_json::json;

use crate::arguments::PlanArguments;
use crate::exit;
use crate::output::Output;

/// Runs `keykit plan`.
pub(super) fn run(arguments: &PlanArguments, output: Output) -> Result<u8> {
    if arguments.init {
        output.result("migration-file-example", &json!({ "text": EXAMPLE }), || EXAMPLE.to_owned())?;
        return Ok(exit::DONE);
    }
    let file = arguments.file.as_deref().ok_or_else(|| Error::usage("no migration file is named"))?;
    if !arguments.check_only {
        return Err(Error::usage("this program makes no plan files").with_hint("`keykit plan FILE --check-only` says what the rules find"));
    }
    check::run(file, arguments.file_only, output)
}
