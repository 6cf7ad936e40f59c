//! Runs of a plan in a simulated computer in which everything fails at every place, and the process dies at every place.
//!
//! After each run: (a) the target has each key once; (d) the keyring is, byte for byte, that of a run without faults; (e) the journal
//! is sound and shows the interruption; (f) the plan carried out once more changes nothing. Beside them, at every change: its intent
//! is on the disk; and after every power cut: no line of the journal that was synced is gone. That (b) the source keeps its keys and
//! (c) no secret is in a file is shown where there are real ones, in `cli/tests/command_line/killed_plans.rs`.
//!
//! A power cut may leave remains of other files in the place of the last line. Where they can't be told from a line that somebody
//! changed, the run stops and changes nothing; a person cuts the journal after its last whole line, and it goes on.
//!
//! `KEYKIT_CRASH_RUNS` sets the number of compound runs (default 600), `KEYKIT_CRASH_SEED` the first seed, for a replay.
//! `KEYKIT_LONG_TESTS` raises the number of power cuts for each fault, and makes a second death happen at every call after every first.

#![expect(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::io::Write as _;

use jiff::Timestamp;
use keykit::Error;
use keykit::migration::apply::{Event, Opening, Run, parse_journal, segment_of};
use keykit::migration::plan::Plan;
use keykit::migration::{MigrationPath, SilentProgress};
use keykit_tests::simulation::{Computer, Fault, FaultKind, Rng, SimulatedWorld, plan_of};

const PATHS: [MigrationPath; 3] = [MigrationPath::SoftwareToSoftware, MigrationPath::HsmToHsm, MigrationPath::SoftwareToHsm];
const TOKEN_ERRORS: [&str; 4] = ["CKR_DEVICE_ERROR", "CKR_SESSION_HANDLE_INVALID", "CKR_TOKEN_NOT_PRESENT", "CKR_PIN_LOCKED"];
/// Power cuts for each death.
const SEEDS: u64 = 16;
/// How many of the calls are the first place of two deaths, in a short run: every so many.
const STRIDE: usize = 17;
/// More tries than any number of faults here needs.
const TRIES: usize = 8;

fn fresh(plan: &Plan) -> Computer {
    let computer = Computer::default();
    plan.keys.iter().for_each(|key| computer.put_source_key(key.key_id.to_string()));
    computer
}

/// One process carries out, or goes on with, the plan. True if it changed anything.
fn process(computer: &Computer, plan: &Plan, fault: Option<Fault>) -> Result<bool, Error> {
    computer.begin(fault);
    let mut platform = computer.clone();
    let run = Run::of(plan.clone())?.approve(&[], Timestamp::UNIX_EPOCH)?;
    let run = run.open(&mut platform, &SimulatedWorld::runs(), Opening::Apply)?;
    let done = run.carry_out(&mut SimulatedWorld::of(computer), &BTreeSet::new(), &SilentProgress)?;
    Ok(done.state().changed)
}

/// One process gives the run up.
fn abort(computer: &Computer, plan: &Plan, fault: Option<Fault>) -> Result<(), Error> {
    computer.begin(fault);
    let mut platform = computer.clone();
    let run = Run::of(plan.clone())?.open_to_abort(&mut platform, &SimulatedWorld::runs())?;
    run.abort(&mut SimulatedWorld::of(computer), "a test").map(drop)
}

fn journal(computer: &Computer) -> Vec<u8> {
    computer.content(&SimulatedWorld::runs().join("journal.jsonl")).unwrap_or_default()
}

/// The keyring of a run without faults, and the number of its calls.
fn undisturbed(plan: &Plan) -> (Vec<u8>, u64) {
    let computer = fresh(plan);
    assert!(process(&computer, plan, None).unwrap());
    (computer.content(&SimulatedWorld::keyring()).unwrap(), computer.calls())
}

/// Was a run begun, by what a new process reads?
fn is_begun(computer: &Computer) -> bool {
    parse_journal(&journal(computer)).is_ok_and(|(records, _)| !records.is_empty())
}

/// What holds of keys at any time.
fn always(computer: &Computer, plan: &Plan, what: &str) {
    for key in &plan.keys {
        let name = key.key_id.to_string();
        assert!(computer.copies(&name) <= 1, "(a) {what}: {} copies", computer.copies(&name));
    }
}

/// The power goes. No record that was on the disk is gone; if remains in the place of the last line look like a change that
/// somebody made, the run stops, changes nothing, and goes on after a person cut them off. True in this case.
fn cut_power(computer: &Computer, plan: &Plan, rng: &mut Rng, what: &str) -> bool {
    let path = SimulatedWorld::runs().join("journal.jsonl");
    let synced = parse_journal(&computer.durable_content(&path).unwrap_or_default()).map(|(records, _)| records);
    let synced = synced.unwrap_or_else(|error| panic!("(e) {what}: {error}"));
    computer.cut_power(rng);
    let bytes = journal(computer);
    let stopped = match parse_journal(&bytes) {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.code(), "malformed", "(e) {what}: {error}");
            let before = computer.files();
            assert_eq!(process(computer, plan, None).unwrap_err().code(), "malformed", "(e) {what}");
            assert_eq!(computer.files(), before, "(e) {what}: something was changed");
            let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(end, _)| end + 1);
            let whole = |end: &usize| parse_journal(bytes.get(..*end).unwrap_or_default()).is_ok_and(|(_, whole)| whole == *end);
            computer.cut(&path, ends.take_while(whole).last().unwrap_or_default());
            true
        }
    };
    let left = parse_journal(&journal(computer)).unwrap().0;
    assert!(left.starts_with(&synced), "(e) {what}: {} of {} synced lines are left", left.len(), synced.len());
    stopped
}

fn is_long() -> bool {
    std::env::var_os("KEYKIT_LONG_TESTS").is_some()
}

/// Ends the run without faults and checks everything.
fn ends_well(computer: &Computer, plan: &Plan, expected: &[u8], interrupted: bool, what: &str) {
    let was_begun = interrupted && is_begun(computer);
    let finished_before = segment_of(&parse_journal(&journal(computer)).unwrap().0).unwrap().is_some_and(|segment| segment.finished);
    process(computer, plan, None).unwrap_or_else(|error| panic!("{what}: {error}"));
    always(computer, plan, what);
    for key in &plan.keys {
        assert_eq!(computer.copies(&key.key_id.to_string()), 1, "(a) {what}");
    }
    assert_eq!(computer.content(&SimulatedWorld::keyring()).unwrap(), expected, "(d) {what}");
    let (records, whole) = parse_journal(&journal(computer)).unwrap_or_else(|error| panic!("(e) {what}: {error}"));
    assert_eq!(whole, journal(computer).len(), "(e) {what}: torn");
    let segment = segment_of(&records).unwrap().unwrap();
    assert!(segment.finished, "(e) {what}");
    let shown = records.iter().any(|record| matches!(record.what, Event::Resumed { .. }));
    assert!(shown || !was_begun || finished_before, "(e) {what}: the interruption is not shown");
    let before = computer.files();
    assert!(!process(computer, plan, None).unwrap(), "(f) {what}");
    assert_eq!(computer.files(), before, "(f) {what}");
}

fn kinds() -> Vec<FaultKind> {
    let mut kinds = vec![FaultKind::KillBefore, FaultKind::KillAfter, FaultKind::InputOutput, FaultKind::NoSpace, FaultKind::ShortWrite];
    kinds.extend(TOKEN_ERRORS.map(FaultKind::Token));
    kinds
}

fn say(text: &str) {
    writeln!(std::io::stdout().lock(), "{text}").unwrap();
}

#[test]
fn every_fault_at_every_call_of_every_path() {
    for path in PATHS {
        let plan = plan_of(path);
        let (expected, calls) = undisturbed(&plan);
        let (mut met, mut cuts, mut stopped) = (0, 0, 0);
        for at in 1..=calls {
            for kind in kinds() {
                for for_ever in [false, true] {
                    // A death before a call is one after those before it, and leaves most to chance.
                    let seeds = if is_long() || (!for_ever && kind == FaultKind::KillBefore) { SEEDS } else { 1 };
                    for cut in 0..=seeds {
                        let what = format!("{} call {at} {kind:?} for ever {for_ever} power cut {cut}", path.name());
                        let computer = fresh(&plan);
                        let outcome = process(&computer, &plan, Some(Fault { at, kind, for_ever }));
                        if outcome.is_ok() {
                            // No call of that kind came from there on.
                            assert_eq!(computer.content(&SimulatedWorld::keyring()).unwrap(), expected, "(d) {what}");
                            continue;
                        }
                        met += 1;
                        if cut > 0 {
                            cuts += 1;
                            stopped += u64::from(cut_power(&computer, &plan, &mut Rng(at * 31 + cut * 1009), &what));
                        }
                        always(&computer, &plan, &what);
                        ends_well(&computer, &plan, &expected, true, &what);
                    }
                }
            }
        }
        assert!(met > 400, "{met} faults were met");
        assert!(stopped * 20 < cuts, "{stopped} of {cuts} power cuts stopped the run for a person");
        say(&format!(
            "{}: {calls} calls, {met} runs interrupted by one fault, {cuts} of them with a power cut, after {stopped} of which a person had to cut the journal",
            path.name()
        ));
    }
}

#[test]
fn a_second_death_at_every_call_of_the_process_that_goes_on() {
    let kill = |at| Some(Fault { at, kind: FaultKind::KillBefore, for_ever: false });
    for path in PATHS {
        let plan = plan_of(path);
        let (expected, calls) = undisturbed(&plan);
        let (mut met, mut given_up) = (0, 0);
        for first in (1..=calls).step_by(if is_long() { 1 } else { STRIDE }) {
            // Another process goes on, or gives up, and dies as well.
            for (gives_up, second) in [false, true].into_iter().flat_map(|gives_up| (1..=calls).map(move |at| (gives_up, at))) {
                let what = format!("{} call {first}, then call {second}, giving up {gives_up}", path.name());
                let computer = fresh(&plan);
                process(&computer, &plan, kill(first)).unwrap_err();
                let standing = segment_of(&parse_journal(&journal(&computer)).unwrap().0).unwrap();
                if gives_up && standing.is_none_or(|segment| segment.finished) {
                    continue;
                }
                let outcome = if gives_up { abort(&computer, &plan, kill(second)) } else { process(&computer, &plan, kill(second)).map(drop) };
                always(&computer, &plan, &what);
                if outcome.is_ok() {
                    continue;
                }
                met += 1;
                if gives_up {
                    given_up += 1;
                    let tries = (0..TRIES).find(|_| is_aborted(&computer) || abort(&computer, &plan, None).is_ok());
                    assert!(tries.is_some(), "{what}: the run can't be given up");
                }
                ends_well(&computer, &plan, &expected, !gives_up, &what);
            }
        }
        assert!(met > 500 && given_up > 10, "{met} and {given_up}");
        say(&format!("{}: {met} runs in which two processes died, {given_up} of the second ones giving up", path.name()));
    }
}

/// A fault at random; also none.
fn any_fault(rng: &mut Rng, calls: u64) -> Option<Fault> {
    let kinds = kinds();
    let kind = *kinds.get(rng.below(kinds.len() as u64) as usize)?;
    (rng.below(8) > 0).then(|| Fault { at: 1 + rng.below(calls), kind, for_ever: rng.below(4) == 0 })
}

#[test]
fn faults_upon_faults() {
    let number = |name: &str, default: u64| std::env::var(name).ok().map_or(default, |text| text.parse().unwrap());
    let (first, runs) = (number("KEYKIT_CRASH_SEED", 1), number("KEYKIT_CRASH_RUNS", 600));
    let plans: Vec<(Plan, Vec<u8>, u64)> = PATHS
        .map(plan_of)
        .into_iter()
        .map(|plan| {
            let (expected, calls) = undisturbed(&plan);
            (plan, expected, calls)
        })
        .collect();
    let (mut processes, mut cuts, mut interrupted, mut aborted) = (0, 0, 0, 0);
    for seed in first..first + runs {
        let mut rng = Rng(seed);
        let (plan, expected, calls) = &plans[rng.below(3) as usize];
        let what = format!("seed {seed}");
        let computer = fresh(plan);
        let mut was_interrupted = false;
        for _ in 0..=rng.below(4) {
            let outcome = process(&computer, plan, any_fault(&mut rng, *calls));
            processes += 1;
            was_interrupted |= outcome.is_err();
            if outcome.is_err() {
                interrupted += 1;
                if rng.coin() {
                    cut_power(&computer, plan, &mut rng, &what);
                    cuts += 1;
                }
            }
            always(&computer, plan, &what);
        }
        let finished = segment_of(&parse_journal(&journal(&computer)).unwrap().0).unwrap().is_some_and(|segment| segment.finished);
        if seed % 5 == 0 && is_begun(&computer) && !finished {
            // A crash in the middle of giving up, then giving up for good, then the plan anew.
            for _ in 0..rng.below(3) {
                if abort(&computer, plan, any_fault(&mut rng, *calls)).is_err() && rng.coin() {
                    cut_power(&computer, plan, &mut rng, &what);
                    cuts += 1;
                }
                always(&computer, plan, &what);
            }
            let tries = (0..TRIES).find(|_| abort(&computer, plan, None).is_ok() || is_aborted(&computer));
            assert!(tries.is_some(), "{what}: the run can't be given up");
            aborted += 1;
            was_interrupted = false;
        }
        ends_well(&computer, plan, expected, was_interrupted, &what);
    }
    assert!(interrupted > runs / 2 && cuts > 0, "{interrupted} interruptions, {cuts} power cuts");
    say(&format!(
        "{runs} compound runs from seed {first}: {processes} processes, {interrupted} interrupted, {cuts} power cuts, {aborted} runs given up and begun anew"
    ));
}

fn is_aborted(computer: &Computer) -> bool {
    segment_of(&parse_journal(&journal(computer)).unwrap().0).unwrap().is_some_and(|segment| segment.aborted)
}

#[test]
fn what_was_there_and_is_gone_is_a_conflict() {
    let plan = plan_of(MigrationPath::HsmToHsm);
    let (_, calls) = undisturbed(&plan);
    let computer = fresh(&plan);
    process(&computer, &plan, Some(Fault { at: calls - 20, kind: FaultKind::KillBefore, for_ever: false })).unwrap_err();
    computer.forget_target_keys();
    let error = process(&computer, &plan, None).unwrap_err();
    assert_eq!(error.code(), "conflict", "{error}");
    assert!(error.to_string().contains("is gone"), "{error}");
}

#[test]
fn another_plan_waits_until_the_first_is_over() {
    let (first, second) = (plan_of(MigrationPath::HsmToHsm), plan_of(MigrationPath::SoftwareToHsm));
    let computer = fresh(&first);
    process(&computer, &first, Some(Fault { at: 40, kind: FaultKind::KillBefore, for_ever: false })).unwrap_err();
    let error = process(&computer, &second, None).unwrap_err();
    assert_eq!(error.code(), "conflict");
    assert!(error.to_string().contains(&first.hash().unwrap()), "{error}");
    abort(&computer, &first, None).unwrap();
    assert!(process(&computer, &second, None).unwrap());
}
