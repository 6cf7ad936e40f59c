//! `keykit store`: what is in a store, new keys, and what it is worth.

mod checked;
mod conformance;
mod doctor;

use std::path::Path;

use keykit::durable::{self, Access, Existing};
use keykit::store::protection::Assessment;
use keykit::store::{KeyAttributes, KeyRecord, KeyRequest, StoreIdentity, Transferability};
use keykit::{Error, Result};
use keykit_conformance::change::{Change, is_worse};
use serde::Serialize;

use crate::arguments::{CheckArguments, Format, StoreCommand};
use crate::output::{self, Output, say, table};
use crate::progress::Steps;
use crate::{exit, stores};

/// A key, as it is printed.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    key_id: String,
    words: String,
    modulus_bits: usize,
    #[serde(flatten)]
    attributes: &'a KeyAttributes,
    protection: &'a Assessment,
}

impl<'a> Listed<'a> {
    fn of(key: &'a KeyRecord) -> Self {
        Self {
            key_id: key.id().to_string(),
            words: key.id().words(),
            modulus_bits: key.public.modulus_bits(),
            attributes: &key.attributes,
            protection: &key.protection,
        }
    }

    fn row(&self) -> Vec<String> {
        let yes = |value: Option<bool>| value.map_or("?", |value| if value { "yes" } else { "no" }).to_owned();
        vec![
            self.key_id.chars().take(16).collect(),
            self.modulus_bits.to_string(),
            self.attributes.label.clone(),
            self.protection.protection.to_string(),
            yes(self.attributes.sensitive),
            yes(self.attributes.extractable),
            yes(self.attributes.can_sign),
            yes(self.attributes.can_decrypt),
        ]
    }
}

#[derive(Debug, Serialize)]
struct Keys<'a> {
    store: &'a StoreIdentity,
    keys: Vec<Listed<'a>>,
}

/// Runs `keykit store …`.
pub(super) fn run(command: &StoreCommand, output: Output) -> Result<u8> {
    let (arguments, keys, store) = match command {
        StoreCommand::Keys(arguments) => {
            let store = stores::open(&arguments.store, &arguments.keyring)?;
            (arguments, store.keys()?, store)
        }
        StoreCommand::Doctor(arguments) => return doctor::examine(arguments, output),
        StoreCommand::Conformance(arguments) => return conformance::run_suites(arguments, output),
        StoreCommand::Generate { store: arguments, bits, label, wrappable } => {
            let store = stores::open(&arguments.store, &arguments.keyring)?;
            let transferability = if *wrappable { Transferability::Wrapped } else { Transferability::Never };
            let request = KeyRequest { label: label.clone(), local_id: None, transferability };
            let steps = Steps::new();
            steps.step(1, 1, &format!("generating a key of {bits} bits"));
            let key = store.as_generate()?.generate(usize::from(*bits), &request)?;
            drop(steps);
            (arguments, vec![key], store)
        }
    };
    let schema = if matches!(command, StoreCommand::Keys(_)) { "store-keys" } else { "store-generate" };
    let value = Keys { store: store.identity(), keys: keys.iter().map(Listed::of).collect() };
    output.result(schema, &value, || {
        let rows: Vec<Vec<String>> = value.keys.iter().map(Listed::row).collect();
        match rows.as_slice() {
            [] => format!("no RSA keys in {}", arguments.store.split('?').next().unwrap_or_default()),
            rows => table(&["KEY", "BITS", "LABEL", "PROTECTION", "SENSITIVE", "EXTRACTABLE", "SIGN", "DECRYPT"], rows),
        }
    })?;
    Ok(exit::DONE)
}

/// Most bytes of a stored result. One that lists every failure of every case has less.
const STORED_LIMIT: u64 = 16 << 20;

/// A result that was stored before.
fn stored(path: &Path) -> Result<Vec<u8>> {
    durable::read(path, STORED_LIMIT, "stored result")
}

/// The store that is named, where one is needed.
fn store_of(arguments: &CheckArguments) -> Result<&str> {
    arguments
        .store
        .as_deref()
        .ok_or_else(|| Error::usage("no store is named").with_hint("--store URI; or --compare OLD.json NEW.json for two stored results"))
}

/// The two results that are to be compared with each other, if two are named.
fn two_stored(arguments: &CheckArguments) -> Result<Option<(&Path, &Path)>> {
    match (arguments.compare.as_slice(), &arguments.store) {
        ([before, after], None) => Ok(Some((before, after))),
        ([_, _], Some(_)) => {
            Err(Error::usage("two stored results are compared with each other, not with a store").with_hint("leave --store out, or one of the files"))
        }
        _ => Ok(None),
    }
}

/// What differs between two stored results.
#[derive(Debug, Serialize)]
struct Comparison<'a> {
    worse: bool,
    changes: &'a [Change],
}

fn comparison(arguments: &CheckArguments, changes: &[Change], output: Output) -> Result<u8> {
    let worse = is_worse(changes);
    let text = match (output.format, changes) {
        (Format::Json, _) => output::to_json("store-comparison", &Comparison { worse, changes })?,
        (_, []) => "nothing differs".to_owned(),
        _ => changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    };
    deliver(&text, arguments.output.as_deref())?;
    say(format!("{} differences{}", changes.len(), if worse { ", and something got worse" } else { "" }));
    Ok(if worse { exit::NEGATIVE } else { exit::DONE })
}

/// Prints a result, or writes it into a file.
fn deliver(text: &str, file: Option<&Path>) -> Result<()> {
    let Some(file) = file else { return output::print(text) };
    durable::write(file, format!("{}\n", text.trim_end()).as_bytes(), Access::Shared, Existing::Replace)?;
    say(format!("written to {}", file.display()));
    Ok(())
}
