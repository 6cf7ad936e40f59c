//! `keykit prove-access`: every protected file of a share under the keys of the tenant.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use keykit::bulk::{self, Files, Ledger, LedgerLine, Options};
use keykit::key::KeyId;
use keykit::tenant::{KeyStatus, TenantKeyring};
use keykit::{Error, Result};
use keykit_access::prove::HeldKey;
use keykit_access::sample::{Sample, UpperBound};
use keykit_access::summary::{CsvOfProblems, Summary};
use keykit_access::{AccessSurvey, FileFinding, Limits};
use serde::Serialize;

use crate::arguments::ProveAccessArguments;
use crate::output::{Output, say, warn};
use crate::progress::Items;
use crate::{exit, stores};

const FORMAT: &str = "keykit/access-ledger/1";
/// So many bad files are named in the result; the ledger and the CSV file name all.
const NAMED: usize = 1000;

#[derive(Debug, Serialize)]
struct Proof {
    tenant_id: String,
    /// When it was made.
    made: Timestamp,
    /// The folders that were gone through, as they were named.
    folders: Vec<String>,
    /// Whether every file was read and every licence opens.
    proven: bool,
    #[serde(flatten)]
    summary: Totals,
    keys: Vec<KeyResult>,
    bad: Vec<LedgerLine<FileFinding>>,
    sample: Option<UpperBound>,
    ledger: Option<PathBuf>,
    /// Results of private keys that failed their check on this machine, were withheld, and were computed again.
    withheld: u64,
}

#[derive(Debug, Serialize)]
struct Totals {
    files: u64,
    not_protected: u64,
    opens: u64,
    lost: u64,
    unknown: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct KeyResult {
    key_id: KeyId,
    /// `None` if the tenant does not have the key.
    status: Option<KeyStatus>,
    opens: u64,
    fails: u64,
}

/// Runs `keykit prove-access`. The exit code is 1 if a file is lost or unknown.
pub(super) fn run(arguments: &ProveAccessArguments, output: Output) -> Result<u8> {
    let tenant = super::tenant::open(&arguments.tenant)?;
    if tenant.keys().is_empty() {
        return Err(Error::NotFound { what: "the tenant has no keys".into(), hint: Some("migrate the domains first: `keykit migrate`".into()) });
    }
    let opened = stores::of_tenant(&tenant, &arguments.keyring, arguments.pin_source.as_deref())?;
    let keys = tenant.keys().iter().filter_map(|key| Some(HeldKey { key_id: key.key_id, store: opened.get(&key.store)?.as_ref() }));
    let survey = AccessSurvey::new(keys, Limits::default());

    let walk = || Files::walk(&arguments.folders);
    let seed = arguments.seed.clone().unwrap_or_else(|| tenant.tenant_id().to_owned());
    let sample = arguments.sample.map(|size| Sample::choose(walk()?, size.get(), &seed)).transpose()?;
    let files = match &sample {
        None => walk()?.with_total(walk()?.count()?),
        Some(sample) => {
            let chosen = sample.clone();
            walk()?.only(move |file| chosen.holds(file)).with_total(sample.size)
        }
    };

    // Without a ledger of its own a run can't be resumed, and leaves nothing.
    let scratch = tempfile::tempdir().map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
    let ledger_path = arguments.output.clone().unwrap_or_else(|| scratch.path().join("ledger.jsonl"));
    let mut ledger = Ledger::open(&ledger_path, FORMAT, &job(&tenant, arguments, &seed)?)?;
    let mut items = Items::new();
    let report = bulk::survey(files, &mut ledger, &survey, &Options::default(), &mut items);
    let ended = items.finish(report);
    let withheld = stores::withheld_results(&opened);
    ended?;

    let (summary, bad) = sum_up(&ledger, arguments.csv.as_deref())?;
    let proof = Proof {
        tenant_id: tenant.tenant_id().to_owned(),
        made: now(),
        folders: arguments.folders.iter().map(|folder| folder.display().to_string()).collect(),
        proven: summary.proves_access(),
        keys: per_key(&tenant, &summary),
        sample: sample.map(|sample| sample.upper_bound(summary.lost + summary.unknown)),
        summary: Totals {
            files: summary.files,
            not_protected: summary.not_protected,
            opens: summary.opens,
            lost: summary.lost,
            unknown: summary.unknown,
            bytes: summary.bytes,
        },
        bad,
        ledger: arguments.output.clone(),
        withheld,
    };
    tell(&proof);
    output.result("prove-access", &proof, || table(&proof))?;
    Ok(if proof.proven { exit::DONE } else { exit::NEGATIVE })
}

/// The time, to the second.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// What the ledger is about: another tenant, other folders or another sample have another ledger.
fn job(tenant: &TenantKeyring, arguments: &ProveAccessArguments, seed: &str) -> Result<String> {
    let folders = arguments
        .folders
        .iter()
        .map(|folder| Ok(folder.canonicalize().map_err(|source| Error::Read { path: folder.clone(), source })?.display().to_string()))
        .collect::<Result<Vec<_>>>()?;
    let sample = arguments.sample.map(|size| format!(", a sample of {size} by the seed {seed}")).unwrap_or_default();
    Ok(format!("access under the tenant {} to {}{sample}", tenant.tenant_id(), folders.join(", ")))
}

fn sum_up(ledger: &Ledger, csv: Option<&Path>) -> Result<(Summary, Vec<LedgerLine<FileFinding>>)> {
    let mut bad = Vec::new();
    let mut writer = csv
        .map(|path| {
            let file = File::create_new(path).map_err(|source| match source.kind() {
                std::io::ErrorKind::AlreadyExists => Error::Conflict {
                    what: format!("{} exists already", path.display()),
                    hint: Some("choose another name; keykit does not overwrite".into()),
                },
                _ => Error::Write { path: path.to_owned(), source },
            })?;
            CsvOfProblems::new(BufWriter::new(file))
        })
        .transpose()?;
    let summary = Summary::of(ledger, |line| {
        if let Some(writer) = &mut writer {
            writer.add(line)?;
        }
        if bad.len() < NAMED {
            bad.push(line.clone());
        }
        Ok(())
    })?;
    if let Some(writer) = writer {
        writer.finish()?;
    }
    Ok((summary, bad))
}

/// Every key of the tenant, used or not, and every key that licences name beside.
fn per_key(tenant: &TenantKeyring, summary: &Summary) -> Vec<KeyResult> {
    let own = tenant.keys().iter().map(|key| (key.key_id, Some(key.status)));
    let foreign = summary.keys.keys().filter(|id| tenant.key(id).is_none()).map(|id| (*id, None));
    own.chain(foreign)
        .map(|(key_id, status)| {
            let counts = summary.keys.get(&key_id).copied().unwrap_or_default();
            KeyResult { key_id, status, opens: counts.opens, fails: counts.fails }
        })
        .collect()
}

fn tell(proof: &Proof) {
    for key in proof.keys.iter().filter(|key| key.status.is_none()) {
        warn(format!(
            "{} licences are sealed to the key {}, which the tenant does not have: export that domain too, archived ones as well (rules 43 and 44)",
            key.fails,
            key.key_id.short()
        ));
    }
    if let Some(bound) = proof.sample {
        say(format!(
            "a sample of {} of {} files, {} of them bad: with {:.0} % confidence at most {:.2} % of all files ({}) are lost or unknown. A sample can't show that none is.",
            bound.sampled,
            bound.population,
            bound.bad,
            bound.confidence * 100.0,
            bound.share * 100.0,
            bound.files
        ));
    }
}

fn table(proof: &Proof) -> String {
    let mut text = format!(
        "files looked at   {:>10}\nnot protected     {:>10}\nopen              {:>10}\nLOST              {:>10}\nunknown           {:>10}\n",
        proof.summary.files, proof.summary.not_protected, proof.summary.opens, proof.summary.lost, proof.summary.unknown
    );
    for key in &proof.keys {
        let status = match key.status {
            Some(KeyStatus::Active) => "active",
            Some(KeyStatus::Archived) => "archived",
            None => "NOT HERE",
        };
        text.push_str(&format!("key {}  {status:<9} {:>8} open, {} do not\n", key.key_id.short(), key.opens, key.fails));
    }
    for line in &proof.bad {
        for problem in &line.finding.problems {
            let inside = if problem.inside.is_empty() { String::new() } else { format!(" / {}", problem.inside) };
            text.push_str(&format!("{}{inside}: {}\n", line.id.escape_debug(), problem.problem));
        }
    }
    text.push_str(if proof.proven {
        if proof.sample.is_some() { "every licence of the sample opens" } else { "every licence opens" }
    } else {
        "NOT PROVEN: see the files above"
    });
    text
}
