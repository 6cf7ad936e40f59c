//! `keykit licence rekey`: publishing licences from archived keys to the active one.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use keykit::bulk::{self, Files, Item, LinesOutput, Options, Output as Transformed, OutputFolder};
use keykit::container::{ContainerKind, find_licences, replace_compound_licence};
use keykit::key::KeyId;
use keykit::licence::rekey::replace_licence;
use keykit::licence::{ActiveKey, Rekey};
use keykit::store::KeyStore;
use keykit::{Error, Result};
use serde::Serialize;

use crate::arguments::RekeyArguments;
use crate::output::Output;
use crate::progress::Items;
use crate::{exit, stores};

/// What the resume log of a file of lines is called, behind the file's name.
const RESUME_LOG: &str = ".keykit-resume.jsonl";

#[derive(Debug, Serialize)]
struct Rekeyed {
    key_id: KeyId,
    done: u64,
    unchanged: u64,
    skipped: u64,
    failed: u64,
    /// Results that were opened again with the active key, in this run.
    opened: u64,
    /// Results of private keys that failed their check on this machine, were withheld, and were computed again.
    withheld: u64,
}

/// Runs `keykit licence rekey`. The exit code is 1 if an item failed.
pub(super) fn run(arguments: &RekeyArguments, output: Output) -> Result<u8> {
    let tenant = super::tenant::open(&arguments.tenant)?;
    let active = tenant.active().ok_or_else(|| Error::NotFound {
        what: "the tenant has no active key".into(),
        hint: Some("make one active with `keykit tenant activate KEY --tenant DIR`".into()),
    })?;
    let opened = stores::of_tenant(&tenant, &arguments.keyring, arguments.pin_source.as_deref())?;
    let store_of = |name: &str| opened.get(name).map(Box::as_ref).ok_or_else(|| Error::Internal("a store was not opened".into()));
    let archived = tenant
        .keys()
        .iter()
        .filter(|key| key.key_id != active.key_id)
        .map(|key| Ok((store_of(&key.store)?, key.key_id)))
        .collect::<Result<Vec<(&dyn KeyStore, KeyId)>>>()?;
    let licensor = tenant.licensor(&active.key_id)?;
    let active_key = ActiveKey { store: store_of(&active.store)?, server: &licensor.server, chain: &licensor.chain };
    let mut rekey = Rekey::new(&archived, active_key)?.open_every(arguments.open_every);
    if arguments.reissue_offline {
        rekey = rekey.reissue_offline();
    }
    let results_opened = AtomicU64::new(0);
    let transform = |items: &[Item]| transform(&rekey, items, &results_opened);
    let mut items = Items::new();
    let job = format!("re-key to {}", active.key_id);
    let report = match (&arguments.output, arguments.inputs.as_slice()) {
        (Some(folder), [_, ..]) => {
            let folder = OutputFolder::open(folder, &Files::walk(&arguments.inputs)?, &job)?;
            let total = Files::walk(&arguments.inputs)?.count()?;
            let files = Files::walk(&arguments.inputs)?.with_total(total);
            bulk::files(files, &folder, &transform, &Options::default(), &mut items)
        }
        (file, []) => {
            let lines = match file {
                Some(file) => lines_in(file, &job)?,
                None => LinesOutput::stream(io::stdout()),
            };
            bulk::lines(io::BufReader::new(io::stdin()), lines, &transform, &Options::default(), &mut items)
        }
        (None, [_, ..]) => return Err(Error::usage("give the results of files a folder: -o DIR")),
    };
    let ended = items.finish(report);
    let withheld = stores::withheld_results(&opened);
    let counts = ended?;
    let code = if counts.failed == 0 { exit::DONE } else { exit::NEGATIVE };
    if arguments.inputs.is_empty() && arguments.output.is_none() {
        // Standard output is for the lines.
        return Ok(code);
    }
    let rekeyed = Rekeyed {
        key_id: active.key_id,
        done: counts.done,
        unchanged: counts.unchanged,
        skipped: counts.skipped,
        failed: counts.failed,
        opened: results_opened.into_inner(),
        withheld,
    };
    output.result("licence-rekey", &rekeyed, || {
        format!("{} licences are under the key {} now", rekeyed.done + rekeyed.unchanged + rekeyed.skipped, active.key_id.short())
    })?;
    Ok(code)
}

/// Lines into a file, with a resume log beside it.
fn lines_in(file: &Path, job: &str) -> Result<LinesOutput<'static>> {
    let name = file.file_name().filter(|_| !file.is_dir());
    let name = name.ok_or_else(|| {
        Error::usage(format!("{} is a folder, and there are no inputs", file.display()))
            .with_hint("name the files and folders with licences, or a new file for JSON Lines from standard input")
    })?;
    let mut log = name.to_owned();
    log.push(RESUME_LOG);
    LinesOutput::file(file, Some((&file.with_file_name(log), job)))
}

/// A batch of files or texts: the licences go through in one batch of the engine, and each back into its container.
fn transform(rekey: &Rekey<'_>, items: &[Item], opened: &AtomicU64) -> Result<Vec<Result<Transformed>>> {
    let found: Vec<_> = items.iter().map(|item| find_licences(&item.bytes)).collect();
    let licences: Vec<&[u8]> = found.iter().flatten().map(|found| found.licences.as_ref()).collect();
    let mut results = rekey.rekey_batch(&licences)?.into_iter();
    let finished = items.iter().zip(found).map(|(item, found)| {
        let kind = found?.kind;
        let rekeyed = results.next().unwrap_or_else(|| Err(Error::Internal("a batch came back short".into())))?;
        if rekeyed.checks.already_active {
            return Ok(Transformed::Unchanged);
        }
        opened.fetch_add(u64::from(rekeyed.checks.opened_with_new_key), Ordering::Relaxed);
        Ok(Transformed::Changed(match kind {
            ContainerKind::Pfile => replace_licence(&item.bytes, &rekeyed.text)?,
            ContainerKind::OfficeCompound | ContainerKind::Rpmsg => replace_compound_licence(&item.bytes, &rekeyed.text)?,
            _ => rekeyed.text,
        }))
    });
    Ok(finished.collect())
}
