//! Asking before something that many people will notice.

use std::io::{self, IsTerminal, Write};

use keykit::{Error, Result};

use crate::progress::paused;

/// Asks on the terminal, unless `yes`. Without a terminal the command itself is the answer: a script wrote it on purpose.
///
/// # Errors
/// [`Error::Refused`] for any answer but `yes`.
pub(crate) fn confirm(what: &str, yes: bool) -> Result<()> {
    if yes || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(());
    }
    let mut answer = String::new();
    let read = paused(|| {
        let mut stderr = io::stderr().lock();
        // Nobody is there to read the question if this fails; then there is no answer either.
        drop(write!(stderr, "keykit: {what}. Type yes to go on: ").and_then(|()| stderr.flush()));
        io::stdin().read_line(&mut answer)
    });
    match read {
        Ok(_) if answer.trim().eq_ignore_ascii_case("yes") => Ok(()),
        _ => Err(Error::refused_by_policy("it was not confirmed; nothing was changed", "answer yes, or give --yes")),
    }
}
