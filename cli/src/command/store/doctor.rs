//! `keykit store doctor`: what a store says, and what it really does.

use keykit::Result;
use keykit_conformance::change::{Change, is_worse};
use keykit_conformance::doctor::{Doctor, examine_software, examine_token, table};
use serde::Serialize;

use super::checked::Checked;
use super::{deliver, stored};
use crate::arguments::{CheckArguments, Format};
use crate::exit;
use crate::output::{Output, say, to_json};
use crate::progress::Steps;

/// The result, with what differs from a stored one.
#[derive(Debug, Serialize)]
struct Compared<'a> {
    #[serde(flatten)]
    doctor: &'a Doctor,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<&'a [Change]>,
}

pub(super) fn examine(arguments: &CheckArguments, output: Output) -> Result<u8> {
    let before = arguments.compare.as_deref().map(|path| Doctor::from_json(&stored(path)?).map_err(|error| error.in_file(path))).transpose()?;
    let checked = Checked::open(&arguments.store, &arguments.keyring, None)?;
    let steps = Steps::new();
    let mut number = 0;
    let mut step = |what: &str| {
        number += 1;
        steps.step(number, 2, what);
    };
    let doctor = match &checked {
        Checked::Token(token, _) => examine_token(token, &mut step)?,
        Checked::Memory(store, identity) => examine_software(identity, store.as_ref(), &mut step)?,
        Checked::Folder(store) => examine_software(checked.identity(), store.as_ref(), &mut step)?,
    };
    drop(steps);
    let changes = before.map(|before| doctor.compare(&before));
    let changes = changes.as_deref();
    let text = match output.format {
        Format::Json => to_json("store-doctor", &Compared { doctor: &doctor, changes })?,
        _ => table(&doctor, changes),
    };
    deliver(&text, arguments.output.as_deref())?;
    let worse = changes.is_some_and(is_worse);
    if let Some(changes) = changes {
        say(format!("{} differences from the stored file{}", changes.len(), if worse { ", and something got worse" } else { "" }));
    }
    Ok(if worse { exit::NEGATIVE } else { exit::DONE })
}
