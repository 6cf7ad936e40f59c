//! `keykit report`: one page about a migration, for people who were not there.

use std::env;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use jiff::Timestamp;
use keykit::ceremony::Approval;
use keykit::ceremony::report::{AccessProof, Program, Report, ReportInputs, RunsSeen, Status, TenantState};
use keykit::ceremony::transcript::Transcript;
use keykit::durable::{self, Access, Existing};
use keykit::migration::apply::{self, TenantWorld, parse_journal, segments_of};
use keykit::migration::plan::Phase;
use keykit::{Error, Result};

use super::carry_out::Place;
use super::environment::ProgramEnvironment;
use super::recorder;
use crate::arguments::{Format, ReportArguments};
use crate::exit;
use crate::output::{self, Output};
use crate::progress::Steps;

/// Largest proof of access that is read, in bytes.
const ACCESS_LIMIT: u64 = 256 << 20;
/// Largest journal of runs that is read, in bytes.
const JOURNAL_LIMIT: u64 = 256 << 20;

/// Runs `keykit report`. The exit code is 1 if the promise of the migration is not shown in full.
pub(super) fn run(arguments: &ReportArguments, output: Output) -> Result<u8> {
    let place = Place::of(&arguments.plan)?;
    if let Some(named) = &arguments.tenant {
        require_same_folder(named, &place.base.join(&place.plan.tenant.folder))?;
    }
    let approvals = match arguments.approval.as_slice() {
        [] => place.kept_approvals(&place.plan.hash()?)?,
        files => files.iter().map(|file| Approval::read(file)).collect::<Result<Vec<_>>>()?,
    };
    let access = arguments.access.iter().map(|file| read_access(file)).collect::<Result<Vec<_>>>()?;
    let report = look(arguments, &place, &approvals, access)?;
    let page = report.to_html();
    match (&arguments.output, output.format) {
        (None, Format::Json) => output.result("report", &report, String::new)?,
        (None, _) => output::print(&page)?,
        (Some(path), _) => {
            durable::write(path, page.as_bytes(), Access::Shared, Existing::Keep)?;
            output.result("report", &report, || summary(&report, path))?;
        }
    }
    Ok(if report.holds() { exit::DONE } else { exit::NEGATIVE })
}

/// What is to be there by now: all of it after the run, else what the last verification that was passed demands.
fn phase_of(place: &Place) -> Result<Phase> {
    let (plan, hash) = (&place.plan, place.plan.hash()?);
    // A journal that can't be read is told elsewhere in the report.
    let runs = apply::read_journal(&place.runs).and_then(|records| segments_of(&records)).unwrap_or_default();
    let Some(run) = runs.iter().rev().find(|run| run.plan == hash).filter(|run| !run.finished && !run.aborted) else { return Ok(Phase::End) };
    let is_passed = |phase: &&Phase| plan.steps_before(**phase).all(|step| run.done.contains_key(&step.id));
    Ok(Phase::ALL.iter().rev().find(is_passed).copied().filter(|phase| *phase > Phase::Keys).unwrap_or(Phase::Keys))
}

fn look(arguments: &ReportArguments, place: &Place, approvals: &[Approval], access: Vec<AccessProof>) -> Result<Report> {
    let plan = &place.plan;
    let environment = ProgramEnvironment { keyring: &arguments.keyring, base: &place.base };
    let mut world = TenantWorld::new(&environment, &place.base);
    let (verification, places) = if arguments.without_proofs {
        (None, Vec::new())
    } else {
        let steps = Steps::begin(2, "deriving everything again from stores and files");
        let findings = place.verify(&mut world, phase_of(place)?)?;
        steps.step(2, 2, "looking at the keys where they are");
        (Some(findings), world.look_at_keys(plan)?)
    };
    let tenant = world.view(plan)?.as_ref().map(TenantState::from);
    let here = tenant.as_ref().map_or("", |tenant| tenant.tenant_id.as_str());
    if let Some(other) = access.iter().find(|proof| proof.tenant_id != here) {
        return Err(Error::Conflict {
            what: format!("a proof of access is about the tenant {}, this one is {here}", other.tenant_id),
            hint: Some("give the proofs that were made with this tenant's folder".into()),
        });
    }
    let beside = recorder::beside(&arguments.plan)?;
    let transcript = arguments.transcript.clone().or_else(|| beside.exists().then_some(beside));
    let transcript = transcript.as_deref().map(Transcript::read).transpose()?;
    let now = Timestamp::now();
    Report::of(ReportInputs {
        plan,
        approvals,
        tenant,
        runs: read_journal(&place.runs.join("journal.jsonl"))?,
        verification,
        places,
        access,
        transcript: transcript.as_ref(),
        program: program(),
        now: Timestamp::from_second(now.as_second()).unwrap_or(now),
    })
}

/// The two paths must be one folder; a folder that is not there yet is compared by name.
fn require_same_folder(named: &Path, planned: &Path) -> Result<()> {
    let same = match (named.canonicalize(), planned.canonicalize()) {
        (Ok(named), Ok(planned)) => named == planned,
        _ => named == planned,
    };
    if same {
        return Ok(());
    }
    Err(Error::Usage {
        what: format!("the plan is about the tenant in {}, not in {}", planned.display(), named.display()),
        hint: Some("leave --tenant out, or give the plan of that tenant".into()),
    })
}

fn read_access(path: &Path) -> Result<AccessProof> {
    AccessProof::parse(&durable::read(path, ACCESS_LIMIT, "proof of access")?).map_err(|error| error.in_file(path))
}

/// Reads the journal and leaves it as it is. One that somebody changed is part of the report, not an error.
fn read_journal(path: &Path) -> Result<RunsSeen> {
    if !path.exists() {
        return Ok(RunsSeen::default());
    }
    let bytes = durable::read(path, JOURNAL_LIMIT, "journal of runs")?;
    Ok(match parse_journal(&bytes) {
        Ok((records, whole)) => RunsSeen { records, torn_bytes: bytes.len().saturating_sub(whole) as u64, problem: None },
        Err(error) => RunsSeen { records: Vec::new(), torn_bytes: 0, problem: Some(error.to_string()) },
    })
}

fn program() -> Program {
    Program {
        name: concat!("keykit ", env!("CARGO_PKG_VERSION")).to_owned(),
        sha256: own_hash(),
        system: format!("{} on {}", env::consts::OS, env::consts::ARCH),
    }
}

/// SHA-256 of the file that runs, if it can be read.
fn own_hash() -> Option<String> {
    let mut file = File::open(env::current_exe().ok()?).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    Some(keykit::canonical::sha256_hex(&bytes))
}

fn summary(report: &Report, path: &Path) -> String {
    let mut text = format!("{}\n", report.headline);
    for point in report.statements.iter().flat_map(|statement| &statement.but) {
        let word = if point.status == Status::Fails { "failed" } else { "open" };
        text.push_str(&format!("  {word}: {}\n", point.what));
    }
    text.push_str(&format!("report in {}", path.display()));
    text
}
