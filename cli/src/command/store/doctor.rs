//! `keykit store doctor`: what a store says, and what it really does.

use std::path::Path;

use keykit::{Error, Result};
use keykit_conformance::change::{Change, is_worse};
use keykit_conformance::doctor::{Doctor, examine_keys, examine_software, examine_token, table};
use serde::Serialize;

use super::checked::Checked;
use super::{comparison, deliver, store_of, stored, two_stored};
use crate::arguments::{DoctorArguments, Format};
use crate::command::migrate::read_evidence;
use crate::output::{Output, say, to_json, warn};
use crate::progress::Steps;
use crate::{exit, transfers};

/// The result, with what differs from a stored one.
#[derive(Debug, Serialize)]
struct Compared<'a> {
    #[serde(flatten)]
    doctor: &'a Doctor,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<&'a [Change]>,
}

pub(super) fn examine(arguments: &DoctorArguments, output: Output) -> Result<u8> {
    let common = &arguments.common;
    let read = |path: &Path| Doctor::from_json(&stored(path)?).map_err(|error| error.in_file(path));
    if let Some((before, after)) = two_stored(common)? {
        let (before, after) = (read(before)?, read(after)?);
        return comparison(common, &after.compare(&before), output);
    }
    let before = common.compare.first().map(|path| read(path)).transpose()?;
    let profiles = transfers::profiles(&arguments.profiles)?;
    let evidence = arguments.evidence.iter().map(|file| read_evidence(file)).collect::<Result<Vec<_>>>()?;
    evidence.iter().for_each(|evidence| warn(format!("{}: {}", evidence.file().display(), evidence.worth())));
    let checked = Checked::open(store_of(common)?, &common.keyring, None)?;
    if !evidence.is_empty() && !matches!(checked, Checked::Token(..)) {
        return Err(Error::usage("--evidence is about the keys of a token").with_hint("name the token with --store pkcs11:…"));
    }
    let steps = Steps::new();
    let mut number = 0;
    let mut step = |what: &str| {
        number += 1;
        steps.step(number, 2, what);
    };
    let mut doctor = match &checked {
        Checked::Token(token, _) => examine_token(token, &profiles, &mut step)?,
        Checked::Memory(store, identity) => examine_software(identity, store.as_ref(), &profiles, &mut step)?,
        Checked::Folder(store) => examine_software(checked.identity(), store.as_ref(), &profiles, &mut step)?,
    };
    if let Checked::Token(token, _) = &checked {
        doctor.instance.keys = examine_keys(token, &evidence)?;
    }
    drop(steps);
    let changes = before.map(|before| doctor.compare(&before));
    let changes = changes.as_deref();
    let text = match output.format {
        Format::Json => to_json("store-doctor", &Compared { doctor: &doctor, changes })?,
        _ => table(&doctor, changes),
    };
    deliver(&text, common.output.as_deref())?;
    let worse = changes.is_some_and(is_worse);
    if let Some(changes) = changes {
        say(format!("{} differences from the stored file{}", changes.len(), if worse { ", and something got worse" } else { "" }));
    }
    Ok(if worse { exit::NEGATIVE } else { exit::DONE })
}
