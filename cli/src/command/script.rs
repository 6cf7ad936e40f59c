//! `keykit script`.

use keykit::ceremony::script::{self, Script};
use keykit::durable::{self, Access, Existing};
use keykit::migration::plan::Plan;
use keykit::{Error, Result};

use crate::arguments::{Format, ScriptArguments};
use crate::exit;
use crate::output::{Output, print, say, to_json};

/// Runs `keykit script`.
pub(super) fn run(arguments: &ScriptArguments, output: Output) -> Result<u8> {
    let plan = Plan::read(&arguments.plan)?;
    // The commands are typed in the folder of the plan.
    let name = arguments.plan.file_name().and_then(|name| name.to_str()).ok_or_else(|| Error::usage("the name of the plan file is not text"))?;
    let script = Script::of(&plan, name)?;
    let text = match output.format {
        Format::Json => to_json("script", &script)? + "\n",
        Format::Html => script::page(&script)?,
        _ => script::markdown(&script),
    };
    match &arguments.output {
        Some(path) => {
            durable::write(path, text.as_bytes(), Access::Shared, Existing::Keep)?;
            say(format!("the script of the plan {} is in {}", script.plan, path.display()));
        }
        None => print(&text)?,
    }
    Ok(exit::DONE)
}
