//! `keykit prove-access`: every protected file of a share under the keys of the tenant.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use keykit::bulk::{self, Files, Ledger, LedgerLine, Options};
use keykit::durable::{self, Access, Existing};
use keykit::key::KeyId;
use keykit::tenant::{KeyStatus, TenantKeyring};
use keykit::{Error, Result};
use keykit_access::accepted::{AcceptedFile, AcceptedFiles};
use keykit_access::prove::HeldKey;
use keykit_access::sample::{Sample, UpperBound};
use keykit_access::summary::{CsvOfProblems, Summary};
use keykit_access::{AccessSurvey, FileFinding, Limits, NamedServer};
use serde::Serialize;

use crate::arguments::ProveAccessArguments;
use crate::output::{Output, say, warn};
use crate::progress::Items;
use crate::{exit, stores};

const FORMAT: &str = "keykit/access-ledger/2";
/// So many bad files are named in the result; the ledger and the CSV file name all.
const NAMED: usize = 1000;
/// Longest list of accepted files that is read, in bytes.
const LONGEST_LIST: u64 = 64 << 20;

#[derive(Debug, Serialize)]
struct Proof {
    tenant_id: String,
    /// When the first file was looked at: a run that was stopped and went on began before.
    begun: Timestamp,
    /// When it was made: then every key opened what was sealed to it.
    made: Timestamp,
    /// The folders that were gone through, as they were named.
    folders: Vec<String>,
    /// Those of them in which no file is.
    empty_folders: Vec<String>,
    /// Whether there are protected files, every file was read but those that are accepted, and every licence opens.
    proven: bool,
    #[serde(flatten)]
    summary: Totals,
    keys: Vec<KeyResult>,
    bad: Vec<LedgerLine<FileFinding>>,
    /// Whether there are more bad files than are named here: the ledger and the CSV file have all.
    truncated: bool,
    /// Those of them that were accepted unread, with the reasons that were given; the first of them, if there are many.
    accepted_files: Vec<AcceptedFile>,
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
    not_looked_into: u64,
    /// Files of the last two that are accepted.
    accepted: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct KeyResult {
    key_id: KeyId,
    /// `None` if the tenant does not have the key.
    status: Option<KeyStatus>,
    opens: u64,
    fails: u64,
    /// Whose key it is, as a licence that does not open names it.
    licensor: Option<String>,
    /// Where that gives licences.
    licensing_url: Option<String>,
}

/// Runs `keykit prove-access`. The exit code is 1 unless everything was read and every licence opens, and where no protected file
/// is.
pub(super) fn run(arguments: &ProveAccessArguments, output: Output) -> Result<u8> {
    let tenant = super::tenant::open(&arguments.tenant)?;
    if tenant.keys().is_empty() {
        return Err(Error::NotFound { what: "the tenant has no keys".into(), hint: Some("migrate the domains first: `keykit migrate`".into()) });
    }
    let opened = stores::of_tenant(&tenant, &arguments.keyring, arguments.pin_source.as_deref())?;
    let keys = tenant.keys().iter().filter_map(|key| Some(HeldKey { key_id: key.key_id, store: opened.get(&key.store)?.as_ref() }));
    let limits = Limits { held: arguments.hold_limit << 20, unpacked: arguments.unpack_limit << 20, ..Limits::default() };
    let survey = AccessSurvey::new(keys, limits);
    if let Some(path) = &arguments.csv {
        check_csv(path)?;
    }
    let accepted = accepted(arguments.accept.as_deref())?;
    let empty_folders = empty_folders(&arguments.folders)?;
    survey.check_keys()?;

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
    let mut ledger = Ledger::open(&ledger_path, FORMAT, &job(&tenant, arguments, &seed)?, now())?;
    let mut items = Items::new();
    let report = bulk::survey(files, &mut ledger, &survey, &Options::default(), &mut items);
    let ended = items.finish(report);
    let withheld = stores::withheld_results(&opened);
    ended?;
    // What was found out, also before a stop, is true as long as the keys are there.
    survey.check_keys()?;

    let Sum { summary, bad, accepted_files } = sum_up(&ledger, &accepted, arguments.csv.as_deref())?;
    tell_of_list(&accepted, &summary);
    let begun = ledger.begun();
    let made = now();
    ledger.finish(made)?;
    let proof = Proof {
        tenant_id: tenant.tenant_id().to_owned(),
        begun,
        made,
        folders: arguments.folders.iter().map(|folder| folder.display().to_string()).collect(),
        proven: summary.proves_access() && empty_folders.is_empty(),
        empty_folders,
        keys: per_key(&tenant, &summary),
        sample: sample.map(|sample| sample.upper_bound(summary.bad())),
        truncated: summary.bad() > bad.len() as u64,
        summary: Totals {
            files: summary.files,
            not_protected: summary.not_protected,
            opens: summary.opens,
            lost: summary.lost,
            unknown: summary.unknown,
            not_looked_into: summary.not_looked_into,
            accepted: summary.accepted,
            bytes: summary.bytes,
        },
        bad,
        accepted_files,
        ledger: arguments.output.clone(),
        withheld,
    };
    tell(&proof);
    output.result("prove-access", &proof, || table(&proof))?;
    Ok(if proof.proven { exit::DONE } else { exit::NEGATIVE })
}

/// Before hours of work: is there room for the list of lost files?
fn check_csv(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        return Err(Error::Conflict {
            what: format!("{} exists already", path.display()),
            hint: Some("choose another name; keykit does not overwrite".into()),
        });
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::tempfile_in(folder).map(drop).map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// Folders in which no file is: a share that is not mounted looks like one.
fn empty_folders(folders: &[PathBuf]) -> Result<Vec<String>> {
    let mut empty = Vec::new();
    for folder in folders {
        if Files::walk(std::slice::from_ref(folder))?.next().is_none() {
            empty.push(folder.display().to_string());
        }
    }
    Ok(empty)
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

struct Sum {
    summary: Summary,
    bad: Vec<LedgerLine<FileFinding>>,
    accepted_files: Vec<AcceptedFile>,
}

fn sum_up(ledger: &Ledger, accepted: &AcceptedFiles, csv: Option<&Path>) -> Result<Sum> {
    let (mut bad, mut accepted_files) = (Vec::new(), Vec::new());
    let mut name = |line: &LedgerLine<FileFinding>, accepted: Option<AcceptedFile>| {
        if bad.len() < NAMED {
            bad.push(line.clone());
        }
        if accepted_files.len() < NAMED {
            accepted_files.extend(accepted);
        }
    };
    let summary = match csv {
        None => Summary::of(ledger, accepted, |line, accepted| {
            name(line, accepted);
            Ok(())
        })?,
        Some(path) => durable::write_with(path, Access::Shared, Existing::Keep, |sink| {
            let mut writer = CsvOfProblems::new(|bytes: &[u8]| sink.put(bytes))?;
            let summary = Summary::of(ledger, accepted, |line, accepted| {
                name(line, accepted);
                writer.add(line)
            })?;
            writer.finish()?;
            Ok(summary)
        })?,
    };
    Ok(Sum { summary, bad, accepted_files })
}

/// The files that may stay unread.
fn accepted(path: Option<&Path>) -> Result<AcceptedFiles> {
    let Some(path) = path else { return Ok(AcceptedFiles::default()) };
    AcceptedFiles::parse(&durable::read(path, LONGEST_LIST, "list of accepted files")?).map_err(|error| error.in_file(path))
}

fn tell_of_list(accepted: &AcceptedFiles, summary: &Summary) {
    let others = (accepted.len() as u64).saturating_sub(summary.accepted);
    if others > 0 {
        warn(format!(
            "{others} of the {} files of the list of accepted files were not accepted: no such file was among those that could not be read. A lost file can't be accepted",
            accepted.len()
        ));
    }
}

/// Every key of the tenant, used or not, and every key that licences name beside.
fn per_key(tenant: &TenantKeyring, summary: &Summary) -> Vec<KeyResult> {
    let own = tenant.keys().iter().map(|key| (key.key_id, Some(key.status)));
    let foreign = summary.keys.keys().filter(|id| tenant.key(id).is_none()).map(|id| (*id, None));
    own.chain(foreign)
        .map(|(key_id, status)| {
            let counts = summary.keys.get(&key_id).cloned().unwrap_or_default();
            let NamedServer { licensor, licensing_url } = counts.server;
            KeyResult { key_id, status, opens: counts.opens, fails: counts.fails, licensor, licensing_url }
        })
        .collect()
}

fn tell(proof: &Proof) {
    for key in proof.keys.iter().filter(|key| key.status.is_none()) {
        let server = NamedServer { licensor: key.licensor.clone(), licensing_url: key.licensing_url.clone() };
        let whose = server.in_words().map(|whose| format!(" of {whose}")).unwrap_or_default();
        warn(format!(
            "{} licences are sealed to the key {}{whose}, which the tenant does not have: export that domain too, archived ones as well (rules 43 and 44)",
            key.fails,
            key.key_id.short()
        ));
    }
    for folder in &proof.empty_folders {
        warn(format!("no file is below {folder}: is the share mounted? Nothing found proves nothing"));
    }
    if proof.summary.not_looked_into > 0 && proof.summary.accepted < proof.summary.unknown + proof.summary.not_looked_into {
        warn(format!(
            "{} files are or hold archives or stores of kinds that are not looked into (7-Zip, RAR, Outlook data files…): take out what is in them and go through that, or accept them by name (--accept)",
            proof.summary.not_looked_into
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
        "files looked at   {:>10}\nnot protected     {:>10}\nopen              {:>10}\nLOST              {:>10}\nunknown           {:>10}\nnot looked into   {:>10}\naccepted unread   {:>10}\n",
        proof.summary.files,
        proof.summary.not_protected,
        proof.summary.opens,
        proof.summary.lost,
        proof.summary.unknown,
        proof.summary.not_looked_into,
        proof.summary.accepted
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
    for file in &proof.accepted_files {
        text.push_str(&format!("accepted unread: {}: {}\n", file.id.escape_debug(), file.reason.escape_debug()));
    }
    if proof.truncated {
        text.push_str("more files are not named here: give -o or --csv for all of them\n");
    }
    text.push_str(match proof.proven {
        true if proof.sample.is_some() => "every licence of the sample opens",
        true if proof.summary.accepted > 0 => "every licence opens that is in files that could be read; the others were accepted by name",
        true => "every licence opens",
        false if !proof.bad.is_empty() => "NOT PROVEN: see the files above",
        false if proof.summary.files == 0 => "NOT PROVEN: no file was found, and nothing found proves nothing",
        false if proof.summary.opens == 0 => "NOT PROVEN: no protected file was found, and nothing found proves nothing",
        false => "NOT PROVEN: a folder is empty, and nothing found proves nothing",
    });
    text
}
