//! `keykit apply`, `resume`, `abort` and `verify`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use keykit::canonical;
use keykit::ceremony::{Approval, ApprovalPolicy};
use keykit::durable::{self, Access, Existing};
use keykit::migration::apply::{AbortedStep, Opening, Run, RunLock, TenantWorld, read_journal};
use keykit::migration::plan::{Phase, Plan};
use keykit::migration::verify::{Check, Findings};
use keykit::tenant::TenantView;
use keykit::{Error, Result};
use serde::Serialize;

use super::environment::ProgramEnvironment;
use super::recorder::{RecordedMachine, Recorder};
use super::room::Room;
use crate::arguments::{AbortArguments, ApplyArguments, PhaseArgument, VerifyArguments};
use crate::exit;
use crate::output::{Output, say, table};
use crate::progress::Steps;

/// Folder of the runs, in the folder of the tenant.
const RUNS: &str = "migration";

#[derive(Debug, Serialize)]
struct Applied<'a> {
    plan: &'a str,
    changed: bool,
    steps: usize,
    approved_by: Vec<String>,
}

#[derive(Debug, Serialize)]
struct GivenUp<'a> {
    plan: &'a str,
    undone: &'a [AbortedStep],
    kept: &'a [AbortedStep],
}

#[derive(Debug, Serialize)]
struct Verified<'a> {
    plan: &'a str,
    sound: bool,
    checks: &'a [Check],
}

/// A plan and the folders that belong to it.
pub(super) struct Place {
    pub(super) plan: Plan,
    pub(super) base: PathBuf,
    pub(super) runs: PathBuf,
}

impl Place {
    pub(super) fn of(path: &Path) -> Result<Self> {
        let plan = Plan::read(path)?;
        let base = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new(".")).to_owned();
        let runs = base.join(&plan.tenant.folder).join(RUNS);
        Ok(Self { plan, base, runs })
    }

    /// The people who guard the tenant, if it is there and they are fixed.
    fn custodians(&self) -> Result<Option<ApprovalPolicy>> {
        match TenantView::open(&self.base.join(&self.plan.tenant.folder)) {
            Ok(tenant) => Ok(tenant.custodians().cloned()),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn approvals(&self) -> PathBuf {
        self.runs.join("approvals")
    }

    /// The approvals that a run of this plan was begun with.
    pub(super) fn kept_approvals(&self, hash: &str) -> Result<Vec<Approval>> {
        Ok(self.all_kept_approvals()?.into_iter().filter(|approval| approval.statement().plan == hash).collect())
    }

    /// The approvals of all runs of the tenant.
    fn all_kept_approvals(&self) -> Result<Vec<Approval>> {
        let folder = self.approvals();
        let Ok(entries) = fs::read_dir(&folder) else { return Ok(Vec::new()) };
        let mut paths: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        paths.sort();
        paths.iter().map(|path| Approval::read(path)).collect()
    }

    /// Derives everything again; what was changed after the run on purpose is told as such.
    pub(super) fn verify(&self, world: &mut TenantWorld<'_>, phase: Phase) -> Result<Findings> {
        // An approval that can't be read explains nothing.
        let approvals = self.all_kept_approvals().unwrap_or_default();
        world.verify_afterwards(&self.plan, phase, &self.runs, &approvals)
    }

    fn keep_approvals(&self, approvals: &[Approval]) -> Result<()> {
        durable::make_folder(&self.approvals())?;
        for approval in approvals {
            let bytes = approval.to_bytes()?;
            let name: String = canonical::sha256_hex(&bytes).chars().take(16).collect();
            durable::write(&self.approvals().join(format!("{name}.json")), &bytes, Access::OwnerOnly, Existing::Replace)?;
        }
        Ok(())
    }
}

/// Runs `keykit apply`.
pub(super) fn apply(arguments: &ApplyArguments, output: Output) -> Result<u8> {
    carry_out(arguments, Opening::Apply, output)
}

/// Runs `keykit resume`.
pub(super) fn resume(arguments: &ApplyArguments, output: Output) -> Result<u8> {
    carry_out(arguments, Opening::Resume, output)
}

fn carry_out(arguments: &ApplyArguments, opening: Opening, output: Output) -> Result<u8> {
    let place = Place::of(&arguments.plan)?;
    let run = Run::of(place.plan.clone())?;
    let hash = run.hash().to_owned();
    let given = match arguments.approval.as_slice() {
        [] => place.kept_approvals(&hash)?,
        files => files.iter().map(|file| Approval::read(file)).collect::<Result<Vec<_>>>()?,
    };
    let run = run.approve_in(place.custodians()?.as_ref(), &given, Timestamp::now())?;
    if opening == Opening::Resume && !place.runs.is_dir() {
        return Err(Error::NotFound {
            what: "there is no run of this plan to resume".into(),
            hint: Some("begin it with `keykit apply PLAN --approval FILE…`".into()),
        });
    }
    let _lock = RunLock::take(&place.runs, Duration::from_secs(arguments.wait))?;
    if place.approvals().is_dir() {
        durable::remove_temporary_files(&place.approvals())?;
    }
    if !arguments.approval.is_empty() {
        replace_approvals(&place, &hash, &given)?;
    }
    let approved_by = given.iter().map(|approval| format!("{} ({})", approval.statement().name, approval.statement().role)).collect();
    let recorder = Recorder::open(&arguments.plan, &hash, arguments.transcript.as_deref(), arguments.ceremony)?;
    let journal = read_journal(&place.runs)?;
    let run = recorder.session(
        match opening {
            Opening::Apply => "apply",
            Opening::Resume => "resume",
        },
        &place.plan,
        &journal,
        || {
            recorder.approvals(&given)?;
            let environment = ProgramEnvironment { keyring: &arguments.keyring, base: &place.base };
            let mut world = TenantWorld::new(&environment, &place.base).waiting(Duration::from_secs(arguments.wait));
            let mut machine = RecordedMachine(&recorder);
            let confirmed: BTreeSet<String> = arguments.confirm.iter().cloned().collect();
            if arguments.ceremony {
                let mut room = Room::enter(&recorder, &confirmed)?;
                room.witness(&hash)?;
                room.source_is_quiet()?;
                let run = run.open(&mut machine, &place.runs, opening)?.carry_out_attended(&mut world, &mut room)?;
                return Ok(run.state().changed);
            }
            let progress = Steps::new();
            let run = run.open(&mut machine, &place.runs, opening)?.carry_out(&mut world, &confirmed, &progress)?;
            Ok(run.state().changed)
        },
    );
    let changed = run?;
    if let Some(transcript) = recorder.path() {
        say(format!("the transcript is {0}; `keykit transcript close {0} --key KEY` ends and signs it", transcript.display()));
    }
    let applied = Applied { plan: &hash, changed, steps: place.plan.steps.len(), approved_by };
    if !applied.changed {
        say("nothing changed: this plan was carried out already; `keykit verify PLAN` checks it");
    }
    output.result("apply", &applied, || format!("all {} steps of the plan {hash} are done", applied.steps))?;
    Ok(exit::DONE)
}

/// Keeps new approvals in the place of older ones of the same plan.
fn replace_approvals(place: &Place, hash: &str, given: &[Approval]) -> Result<()> {
    if place.kept_approvals(hash)? == given {
        return Ok(());
    }
    if let Ok(entries) = fs::read_dir(place.approvals()) {
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            if Approval::read(&path).is_ok_and(|approval| approval.statement().plan == hash) {
                fs::remove_file(&path).map_err(|source| Error::Write { path, source })?;
            }
        }
    }
    place.keep_approvals(given)
}

/// Runs `keykit abort`.
pub(super) fn abort(arguments: &AbortArguments, output: Output) -> Result<u8> {
    let place = Place::of(&arguments.plan)?;
    if !place.runs.is_dir() {
        return Err(Error::NotFound { what: "there is no run of this plan to abort".into(), hint: None });
    }
    let _lock = RunLock::take(&place.runs, Duration::from_secs(arguments.wait))?;
    let run = Run::of(place.plan.clone())?;
    let hash = run.hash().to_owned();
    let recorder = Recorder::open(&arguments.plan, &hash, arguments.transcript.as_deref(), false)?;
    let journal = read_journal(&place.runs)?;
    let (undone, kept) = recorder.session("abort", &place.plan, &journal, || {
        let environment = ProgramEnvironment { keyring: &arguments.keyring, base: &place.base };
        let mut world = TenantWorld::new(&environment, &place.base).waiting(Duration::from_secs(arguments.wait));
        let mut machine = RecordedMachine(&recorder);
        let run = run.open_to_abort(&mut machine, &place.runs)?.abort(&mut world, &arguments.reason)?;
        Ok((run.state().undone.clone(), run.state().kept.clone()))
    })?;
    let given_up = GivenUp { plan: &hash, undone: &undone, kept: &kept };
    output.result("abort", &given_up, || {
        let list = |steps: &[AbortedStep]| steps.iter().map(|step| format!("\n  {}: {}", step.step, step.note)).collect::<String>();
        format!("the run is given up\nundone:{}\nstays:{}", list(given_up.undone), list(given_up.kept))
    })?;
    Ok(exit::DONE)
}

impl From<PhaseArgument> for Phase {
    fn from(argument: PhaseArgument) -> Self {
        match argument {
            PhaseArgument::Preparation => Self::Preparation,
            PhaseArgument::Keys => Self::Keys,
            PhaseArgument::Templates => Self::Templates,
            PhaseArgument::Clients => Self::Clients,
            PhaseArgument::Services => Self::Services,
            PhaseArgument::End => Self::End,
        }
    }
}

/// Runs `keykit verify`. The exit code is 1 if a check failed, and that of the store's error if none did and a store did not answer.
pub(super) fn verify(arguments: &VerifyArguments, output: Output) -> Result<u8> {
    let place = Place::of(&arguments.plan)?;
    let environment = ProgramEnvironment { keyring: &arguments.keyring, base: &place.base };
    let steps = Steps::begin(1, "deriving everything again from stores and files");
    let findings = place.verify(&mut TenantWorld::new(&environment, &place.base), arguments.phase.into())?;
    drop(steps);
    let verified = Verified { plan: &place.plan.hash()?, sound: findings.is_sound(), checks: &findings.checks };
    output.result("verify", &verified, || {
        let rows: Vec<Vec<String>> = findings
            .checks
            .iter()
            .map(|check| {
                let about = if check.about.len() == 64 { check.about.chars().take(16).collect() } else { check.about.clone() };
                vec![check.outcome().to_owned(), check.name.to_owned(), about, check.detail.clone()]
            })
            .collect();
        table(&["", "CHECK", "OF", "SEEN"], &rows)
    })?;
    let unknown = findings.checks.iter().filter(|check| check.is_unknown()).count();
    if let Some(error) = &findings.unavailable {
        say(format!("{unknown} of {} checks could not be made: {error}", findings.checks.len()));
    }
    Ok(match &findings.unavailable {
        _ if findings.has_failures() => exit::NEGATIVE,
        Some(error) => exit::code_of(error),
        None => exit::DONE,
    })
}
