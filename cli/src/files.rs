//! Files that a command must not touch.

use std::fs;
use std::path::Path;

use keykit::{Error, Result};

/// Rule 75: no output may be the input, nor exist.
pub(crate) fn refuse_overwriting(inputs: &[&Path], outputs: &[&Path]) -> Result<()> {
    let same = |left: &Path, right: &Path| {
        left == right || matches!((fs::canonicalize(left), fs::canonicalize(right)), (Ok(left), Ok(right)) if left == right)
    };
    for (number, output) in outputs.iter().enumerate() {
        if inputs.iter().any(|input| same(input, output)) || outputs.iter().skip(number + 1).any(|other| same(output, other)) {
            return Err(Error::refused(
                75,
                format!("{} would be written over another file of this command", output.display()),
                "give every output a name of its own",
            ));
        }
        if output.exists() {
            return Err(Error::Conflict {
                what: format!("{} exists already", output.display()),
                hint: Some("choose another name; keykit does not overwrite".into()),
            });
        }
    }
    Ok(())
}
