//! `keykit licence rekey`: publishing licences from archived keys to the active one.

use std::collections::BTreeMap;
use std::io;

use keykit::bulk::{self, Counts, Files, Item, LinesOutput, Observer, Options, Output as Transformed, OutputFolder, Progress, Report};
use keykit::container::{ContainerKind, find_licences, replace_compound_licence};
use keykit::key::KeyId;
use keykit::licence::rekey::replace_licence;
use keykit::licence::{ActiveKey, Rekey};
use keykit::store::KeyStore;
use keykit::tenant::TenantKeyring;
use keykit::{Error, Result};
use serde::Serialize;

use crate::arguments::RekeyArguments;
use crate::output::{Output, say, warn};
use crate::{exit, stores};

#[derive(Debug, Serialize)]
struct Rekeyed {
    key_id: KeyId,
    done: u64,
    unchanged: u64,
    skipped: u64,
    failed: u64,
}

/// Runs `keykit licence rekey`. The exit code is 1 if an item failed.
pub(super) fn run(arguments: &RekeyArguments, output: Output) -> Result<u8> {
    let tenant = super::tenant::open(&arguments.tenant)?;
    let active = tenant.active().ok_or_else(|| Error::NotFound {
        what: "the tenant has no active key".into(),
        hint: Some("make one active with `keykit tenant activate KEY --tenant DIR`".into()),
    })?;
    let opened = open_stores(&tenant, arguments)?;
    let store_of = |name: &str| opened.get(name).map(Box::as_ref).ok_or_else(|| Error::Internal("a store was not opened".into()));
    let archived = tenant
        .keys()
        .iter()
        .filter(|key| key.key_id != active.key_id)
        .map(|key| Ok((store_of(&key.store)?, key.key_id)))
        .collect::<Result<Vec<(&dyn KeyStore, KeyId)>>>()?;
    let licensor = tenant.licensor(&active.key_id)?;
    let mut rekey = Rekey::new(&archived, ActiveKey { store: store_of(&active.store)?, server: &licensor.server, chain: &licensor.chain })?;
    if arguments.reissue_offline {
        rekey = rekey.reissue_offline();
    }
    let transform = |items: &[Item]| transform(&rekey, items);
    let job = format!("re-key to {}", active.key_id);
    let counts = match (&arguments.output, arguments.inputs.as_slice()) {
        (Some(folder), [_, ..]) => {
            let folder = OutputFolder::open(folder, &Files::walk(&arguments.inputs)?, &job)?;
            let total = Files::walk(&arguments.inputs)?.count()?;
            let files = Files::walk(&arguments.inputs)?.with_total(total);
            finish(bulk::files(files, &folder, &transform, &Options::default(), &mut Teller))?
        }
        (None, []) => {
            let lines = LinesOutput::stream(io::stdout());
            let counts = finish(bulk::lines(io::BufReader::new(io::stdin()), lines, &transform, &Options::default(), &mut Teller))?;
            tell(&counts);
            return Ok(if counts.failed == 0 { exit::DONE } else { exit::NEGATIVE });
        }
        _ => return Err(Error::usage("give inputs and -o OUT, or neither for JSON Lines from standard input to standard output")),
    };
    let rekeyed = Rekeyed { key_id: active.key_id, done: counts.done, unchanged: counts.unchanged, skipped: counts.skipped, failed: counts.failed };
    tell(&counts);
    output.result("licence-rekey", &rekeyed, || {
        format!("{} licences are under the key {} now", rekeyed.done + rekeyed.unchanged + rekeyed.skipped, active.key_id.short())
    })?;
    Ok(if rekeyed.failed == 0 { exit::DONE } else { exit::NEGATIVE })
}

/// Every store that holds a key of the tenant, opened once.
fn open_stores(tenant: &TenantKeyring, arguments: &RekeyArguments) -> Result<BTreeMap<String, Box<dyn KeyStore>>> {
    let mut opened = BTreeMap::new();
    for key in tenant.keys() {
        if !opened.contains_key(&key.store) {
            let store = stores::of_tenant_key(tenant, key, &arguments.keyring, arguments.pin_source.as_deref())?;
            opened.insert(key.store.clone(), store);
        }
    }
    Ok(opened)
}

/// A batch of files or texts: the licences go through in one batch of the engine, and each back into its container.
fn transform(rekey: &Rekey<'_>, items: &[Item]) -> Result<Vec<Result<Transformed>>> {
    let found: Vec<_> = items.iter().map(|item| find_licences(&item.bytes)).collect();
    let licences: Vec<&[u8]> = found.iter().flatten().map(|found| found.licences.as_ref()).collect();
    let mut results = rekey.rekey_batch(&licences)?.into_iter();
    let finished = items.iter().zip(found).map(|(item, found)| {
        let kind = found?.kind;
        let rekeyed = results.next().unwrap_or_else(|| Err(Error::Internal("a batch came back short".into())))?;
        if rekeyed.checks.already_active {
            return Ok(Transformed::Unchanged);
        }
        Ok(Transformed::Changed(match kind {
            ContainerKind::Pfile => replace_licence(&item.bytes, &rekeyed.text)?,
            ContainerKind::OfficeCompound | ContainerKind::Rpmsg => replace_compound_licence(&item.bytes, &rekeyed.text)?,
            _ => rekeyed.text,
        }))
    });
    Ok(finished.collect())
}

fn finish(report: Report) -> Result<Counts> {
    report.into_result()
}

fn tell(counts: &Counts) {
    say(format!(
        "{} re-keyed, {} under the active key already, {} done by an earlier run, {} failed",
        counts.done, counts.unchanged, counts.skipped, counts.failed
    ));
}

/// Tells of bad items, and now and then of the progress.
struct Teller;

impl Observer for Teller {
    fn progress(&mut self, progress: &Progress) {
        if let (Some(total), Some(left)) = (progress.total, progress.left)
            && progress.counts.total() < total
        {
            say(format!("{} of {total}, {:.0} a second, {} s left", progress.counts.total(), progress.rate, left.as_secs()));
        }
    }

    fn failed(&mut self, id: &str, error: &Error) {
        warn(format!("{id}: {error}"));
    }
}
