//! `keykit nshield`: what concerns nShield modules only.

use keykit::Result;
use keykit::artefact::legacy_toolset::{KeySource, LegacyToolset};
use keykit::durable::{self, Access, Existing};

use crate::arguments::{Format, NshieldCommand, RunBookArguments};
use crate::exit;
use crate::output::{Output, say, warn};

/// Runs `keykit nshield …`.
pub(super) fn run(command: &NshieldCommand, output: Output) -> Result<u8> {
    match command {
        NshieldCommand::RunBook(arguments) => run_book(arguments, output),
    }
}

fn run_book(arguments: &RunBookArguments, output: Output) -> Result<u8> {
    let source = match arguments.application {
        Some(application) => KeySource::Module { application, domain: arguments.domain.clone() },
        None => KeySource::in_domain(arguments.domain.clone(), arguments.keyless.clone(), arguments.pem.clone())?,
    };
    let order = LegacyToolset {
        source,
        identifier: arguments.identifier.clone(),
        friendly_name: arguments.friendly_name.clone(),
        region: arguments.region,
        subscription: arguments.subscription.clone(),
        vault: arguments.vault.clone(),
        resource_group: arguments.resource_group.clone(),
        new_security_world: arguments.new_security_world,
        organisation: arguments.organisation.clone(),
    };
    let book = order.run_book()?;
    warn("the legacy toolset is deprecated by its makers and not supported after 30 June 2021; today's key vaults take another format (rule 106)");
    if let Some(file) = &arguments.output {
        durable::write(file, book.to_markdown().as_bytes(), Access::Shared, Existing::Keep)?;
        say(format!("{} steps written to {}", book.steps.len(), file.display()));
        if output.format == Format::Text {
            return Ok(exit::DONE);
        }
    }
    output.result("nshield-run-book", &book, || book.to_markdown())?;
    Ok(exit::DONE)
}
