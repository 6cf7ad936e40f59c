//! `keykit completions` and `keykit man`.

use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use keykit::durable::{self, Access, Existing};
use keykit::{Error, Result};

use crate::arguments::Arguments;
use crate::exit;

/// Prints a completion script.
pub(super) fn completions(shell: Shell) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "keykit", &mut script);
    print(&script)
}

/// Prints the manual page, or writes one page a command into a folder.
pub(super) fn pages(folder: Option<&Path>) -> Result<u8> {
    let Some(folder) = folder else { return print(&render(&Arguments::command())?) };
    durable::make_folder(folder)?;
    let mut root = Arguments::command();
    root.build();
    write_pages(&root, "keykit", folder)?;
    Ok(exit::DONE)
}

fn write_pages(command: &clap::Command, name: &str, folder: &Path) -> Result<()> {
    let page = render(&command.clone().display_name(name.to_owned()))?;
    durable::write(&folder.join(format!("{name}.1")), &page, Access::Shared, Existing::Replace)?;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        write_pages(sub, &format!("{name}-{}", sub.get_name()), folder)?;
    }
    Ok(())
}

fn render(command: &clap::Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page).map_err(|error| Error::Internal(format!("writing a manual page: {error}")))?;
    Ok(page)
}

fn print(bytes: &[u8]) -> Result<u8> {
    match io::Write::write_all(&mut io::stdout().lock(), bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Write { path: "standard output".into(), source: error }),
        _ => Ok(exit::DONE),
    }
}
