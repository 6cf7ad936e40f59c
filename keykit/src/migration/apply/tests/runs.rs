//! Whole runs in a world of names: what is asked of the world and of people, in which order, and what the journal says of it.

use super::*;
use crate::migration::SilentProgress;
use crate::migration::plan::tests::sample as sample_plan;

/// A world in which the effect of a step is its name.
#[derive(Debug, Default)]
struct NamedWorld {
    /// Steps whose effect is there.
    there: BTreeSet<String>,
    /// Steps in whose place something else stands.
    other: BTreeSet<String>,
    /// Calls that fail.
    broken: BTreeSet<String>,
    /// Steps whose effect stays when it is to be undone.
    stubborn: BTreeSet<String>,
    calls: Vec<String>,
}

impl NamedWorld {
    fn call(&mut self, name: &str, step: &Step) -> Result<()> {
        let call = format!("{name} {}", step.id);
        self.calls.push(call.clone());
        if self.broken.contains(&call) { Err(Error::Internal(format!("{call} is broken"))) } else { Ok(()) }
    }

    /// What was called since the last time.
    fn take_calls(&mut self) -> Vec<String> {
        std::mem::take(&mut self.calls)
    }
}

impl World for NamedWorld {
    fn before(&mut self, _: &Plan, step: &Step) -> Result<Option<String>> {
        self.call("before", step)?;
        Ok(Some(format!("before {}", step.id)))
    }

    fn observe(&mut self, _: &Plan, step: &Step) -> Result<Observed> {
        self.call("observe", step)?;
        if self.other.contains(&step.id) {
            return Ok(Observed::Other("a stranger".into()));
        }
        Ok(if self.there.contains(&step.id) { Observed::Present("it is there".into()) } else { Observed::Absent })
    }

    fn perform(&mut self, _: &Plan, step: &Step) -> Result<String> {
        self.call("perform", step)?;
        self.there.insert(step.id.clone());
        Ok("it was made".into())
    }

    fn undo(&mut self, _: &Plan, step: &Step, before: Option<&str>) -> Result<TakenBack> {
        self.call("undo", step)?;
        let before = before.unwrap_or("nothing");
        if self.stubborn.contains(&step.id) {
            return Ok(TakenBack::Kept(format!("it stays, {before}")));
        }
        self.there.remove(&step.id);
        Ok(TakenBack::Undone(format!("it is gone, {before}")))
    }
}

/// People who note what they are asked.
#[derive(Debug, Default)]
struct NotingAttendants {
    seen: Vec<(usize, usize, String, bool)>,
    is_done: bool,
}

impl Attendants for NotingAttendants {
    fn begin(&mut self, number: usize, total: usize, step: &Step, is_done: bool) -> Result<()> {
        self.seen.push((number, total, step.id.clone(), is_done));
        Ok(())
    }

    fn is_done_by_hand(&mut self, _: &Step) -> Result<bool> {
        Ok(self.is_done)
    }
}

/// The sample with these steps only, and nobody who has to approve it.
fn plan_of(steps: &[&str]) -> Plan {
    let mut plan = unguarded("first", false);
    plan.steps = sample_plan().steps;
    plan.steps.retain(|step| steps.contains(&step.id.as_str()));
    plan
}

fn carry_out(folder: &Path, plan: &Plan, world: &mut NamedWorld, confirmed: &[&str]) -> Result<bool> {
    let mut machine = Machine;
    let confirmed = confirmed.iter().map(|name| (*name).to_owned()).collect();
    let run = opened(&mut machine, plan, folder, Opening::Apply)?;
    Ok(run.carry_out(world, &confirmed, &SilentProgress)?.state().changed)
}

fn abort(folder: &Path, plan: &Plan, world: &mut NamedWorld) -> Result<(Vec<AbortedStep>, Vec<AbortedStep>)> {
    let mut machine = Machine;
    let run = Run::of(plan.clone())?.open_to_abort(&mut machine, folder)?.abort(world, "enough")?;
    Ok((run.state().undone.clone(), run.state().kept.clone()))
}

fn events(folder: &Path) -> Vec<Event> {
    read_journal(folder).unwrap().into_iter().map(|record| record.what).collect()
}

fn intended(step: &str) -> Event {
    Event::Intent { step: step.into(), before: Some(format!("before {step}")) }
}

fn made(step: &str) -> Event {
    Event::Done { step: step.into(), seen: "it was made".into(), adopted: false }
}

fn failed(step: &str, code: &str, message: &str) -> Event {
    Event::Failed { step: step.into(), code: code.into(), message: message.into() }
}

fn aborted(step: &str, note: &str) -> AbortedStep {
    AbortedStep { step: step.into(), note: note.into() }
}

#[test]
fn each_step_is_asked_for_intended_looked_for_and_made_in_this_order() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan_of(&["check-sources", "import-key/1", "manual/users"]);
    let mut world = NamedWorld::default();
    assert!(carry_out(folder.path(), &plan, &mut world, &["manual/users"]).unwrap());
    let calls = ["check-sources", "import-key/1"].map(|step| ["before", "observe", "perform"].map(|call| format!("{call} {step}")));
    assert_eq!(world.calls, calls.concat());
    let program = concat!("keykit ", env!("CARGO_PKG_VERSION")).to_owned();
    assert_eq!(
        events(folder.path()),
        [
            Event::Started { plan: plan.hash().unwrap(), program, approved_by: vec![] },
            intended("check-sources"),
            made("check-sources"),
            intended("import-key/1"),
            made("import-key/1"),
            Event::Done { step: "manual/users".into(), seen: "confirmed by the operator".into(), adopted: false },
            Event::Finished {},
        ]
    );
    assert!(!carry_out(folder.path(), &plan, &mut world, &[]).unwrap(), "a finished plan does nothing");
}

#[test]
fn an_effect_that_is_there_is_adopted_but_looking_is_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan_of(&["prove-key/1", "activate/1", "verify/keys"]);
    let mut world = NamedWorld { there: plan.steps.iter().map(|step| step.id.clone()).collect(), ..NamedWorld::default() };
    assert!(carry_out(folder.path(), &plan, &mut world, &[]).unwrap());
    let performed: Vec<&String> = world.calls.iter().filter(|call| call.starts_with("perform")).collect();
    assert_eq!(performed, ["perform prove-key/1", "perform verify/keys"]);
    let found = Event::Done { step: "activate/1".into(), seen: "it is there".into(), adopted: true };
    let outcomes: Vec<Event> = events(folder.path()).into_iter().filter(|event| matches!(event, Event::Done { .. })).collect();
    assert_eq!(outcomes, [made("prove-key/1"), found, made("verify/keys")]);
}

#[test]
fn a_failed_step_is_told_and_tried_again_under_its_first_intent() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan_of(&["activate/1"]);
    let mut world = NamedWorld { other: ["activate/1".to_owned()].into(), ..NamedWorld::default() };
    let error = carry_out(folder.path(), &plan, &mut world, &[]).unwrap_err();
    assert_eq!(error.code(), "conflict");
    assert!(error.to_string().contains("the step activate/1 finds something else in its place: a stranger"), "{error}");
    assert_eq!(world.take_calls(), ["before activate/1", "observe activate/1"], "nothing was overwritten");
    world.other.clear();
    for broken in ["observe activate/1", "perform activate/1"] {
        world.broken = [broken.to_owned()].into();
        let error = carry_out(folder.path(), &plan, &mut world, &[]).unwrap_err();
        assert!(error.to_string().contains(&format!("{broken} is broken")), "{error}");
        let told = events(folder.path()).pop().unwrap();
        assert_eq!(told, failed("activate/1", "internal", &error.to_string()));
    }
    world.broken.clear();
    assert!(carry_out(folder.path(), &plan, &mut world, &[]).unwrap());
    assert!(!world.calls.contains(&"before activate/1".to_owned()), "what was the case before is known already");
    let all = events(folder.path());
    assert_eq!(all.iter().filter(|event| matches!(event, Event::Intent { .. })).count(), 1);
    let resumed = Event::Resumed { open: Some("activate/1".into()), cut_bytes: 0 };
    assert_eq!(all.iter().filter(|event| **event == resumed).count(), 3);
}

#[test]
fn what_can_not_be_learnt_before_a_step_leaves_no_intent() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan_of(&["activate/1"]);
    let mut world = NamedWorld { broken: ["before activate/1".to_owned()].into(), ..NamedWorld::default() };
    assert_eq!(carry_out(folder.path(), &plan, &mut world, &[]).unwrap_err().code(), "internal");
    assert_eq!(events(folder.path()).len(), 1);
    assert_eq!(world.calls, ["before activate/1"]);
}

#[test]
fn a_run_waits_for_people_and_takes_only_what_is_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan_of(&["activate/1", "manual/users"]);
    let mut world = NamedWorld::default();
    for unknown in ["manual/others", "activate/1"] {
        let error = carry_out(folder.path(), &plan, &mut world, &[unknown]).unwrap_err();
        assert!(error.code() == "usage" && error.to_string().contains(unknown), "{error}");
    }
    let error = carry_out(folder.path(), &plan, &mut world, &[]).unwrap_err();
    assert_eq!(error.code(), "interrupted");
    assert!(error.to_string().contains("move them; then go on with `keykit resume PLAN --confirm manual/users`"), "{error}");
    assert!(carry_out(folder.path(), &plan, &mut world, &["manual/users"]).unwrap());
}

#[test]
fn people_see_the_number_of_each_step_and_whether_it_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan_of(&["check-sources", "manual/users"]);
    let mut world = NamedWorld::default();
    let mut attendants = NotingAttendants::default();
    let mut machine = Machine;
    let run = opened(&mut machine, &plan, folder.path(), Opening::Apply).unwrap();
    assert_eq!(run.carry_out_attended(&mut world, &mut attendants).unwrap_err().code(), "interrupted");
    attendants.is_done = true;
    let run = opened(&mut machine, &plan, folder.path(), Opening::Resume).unwrap();
    assert!(run.carry_out_attended(&mut world, &mut attendants).unwrap().state().changed);
    let seen = |number, step: &str, is_done| (number, 2, step.to_owned(), is_done);
    assert_eq!(
        attendants.seen,
        [seen(1, "check-sources", false), seen(2, "manual/users", false), seen(1, "check-sources", true), seen(2, "manual/users", false)]
    );
}

#[test]
fn progress_is_told_of_each_step() {
    #[derive(Default)]
    struct Told(std::cell::RefCell<Vec<String>>);
    impl Progress for Told {
        fn step(&self, number: usize, total: usize, what: &str) {
            self.0.borrow_mut().push(format!("{number} of {total}: {what}"));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let told = Told::default();
    let (mut machine, plan) = (Machine, plan_of(&["check-sources", "activate/1"]));
    let run = opened(&mut machine, &plan, folder.path(), Opening::Apply).unwrap();
    run.carry_out(&mut NamedWorld::default(), &BTreeSet::new(), &told).unwrap();
    assert_eq!(*told.0.borrow(), ["1 of 2: check-sources", "2 of 2: activate/1"]);
}

/// A run of these steps, of which `done` are done by keykit and people; then it goes on with effects that are `there`.
fn resumed(steps: &[&str], done: &[&str], there: &[&str], other: &[&str]) -> (Result<bool>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan_of(steps);
    let mut machine = Machine;
    let mut journal = RunJournal::open(&mut machine, folder.path()).unwrap();
    journal.record(Event::Started { plan: plan.hash().unwrap(), program: String::new(), approved_by: vec![] }).unwrap();
    for step in done {
        if !step.starts_with("manual/") {
            journal.record(intended(step)).unwrap();
        }
        journal.record(made(step)).unwrap();
    }
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let mut world = NamedWorld { there: set(there), other: set(other), ..NamedWorld::default() };
    let confirmed: Vec<&str> = steps.iter().copied().filter(|step| step.starts_with("manual/")).collect();
    let outcome = carry_out(folder.path(), &plan, &mut world, &confirmed);
    (outcome, world.calls)
}

#[test]
fn an_effect_that_is_gone_stops_a_run_that_goes_on() {
    let steps = ["import-key/1", "activate/1"];
    let (outcome, calls) = resumed(&steps, &["import-key/1"], &["import-key/1"], &[]);
    assert!(outcome.unwrap());
    assert_eq!(calls[0], "observe import-key/1");
    let (outcome, calls) = resumed(&steps, &["import-key/1"], &[], &[]);
    let error = outcome.unwrap_err();
    assert_eq!((error.code(), calls.len()), ("conflict", 1));
    assert!(error.to_string().contains("import-key/1 is done, and its effect is gone: it is not there"), "{error}");
    let (outcome, _) = resumed(&steps, &["import-key/1"], &[], &["import-key/1"]);
    assert!(outcome.unwrap_err().to_string().contains("its effect is gone: a stranger"));
}

#[test]
fn what_only_looked_and_what_people_did_is_not_looked_for_again() {
    let (outcome, calls) = resumed(&["check-sources", "manual/users", "rekey"], &["check-sources", "manual/users"], &[], &[]);
    assert!(outcome.unwrap());
    assert_eq!(calls, ["before rekey", "observe rekey", "perform rekey"]);
}

#[test]
fn an_effect_that_a_later_step_replaces_is_looked_for_only_until_that_one_begins() {
    // Nothing of the done steps is there any more: it is missed unless what replaces it has begun.
    let missed = |steps: &[&str], done: &[&str]| resumed(steps, done, &[], &[]).0.err().map(|error| error.to_string());
    let gone = |steps: &[&str], done: &[&str]| missed(steps, done).is_some_and(|text| text.contains("its effect is gone"));
    assert!(gone(&["activate/1", "rekey"], &["activate/1"]), "nothing has replaced it yet");
    let step = "import-templates/1";
    assert!(gone(&[step, "publish-templates"], &[step]));
    assert!(gone(&[step, "import-key/2"], &[step, "import-key/2"]), "a key replaces no template");
    assert!(gone(&["import-key/1", "activate/1"], &["import-key/1", "activate/1"]), "no step replaces a key");
    assert!(gone(&["activate/1", "manual/users"], &["activate/1"]), "no person replaces the active key");
    // A step before it replaces nothing of it.
    assert!(
        gone(&["activate/1", "rekey"], &["activate/1", "rekey"])
            && missed(&["activate/1", "rekey"], &["activate/1", "rekey"]).unwrap().contains("rekey is done")
    );
    // A person may be about to replace it, and has not said so yet.
    assert!(!gone(&[step, "manual/users"], &[step]));
    assert!(!gone(&[step, "manual/users"], &[step, "manual/users"]));
    for later in ["activate/1", "publish-templates", "rekey"] {
        let (outcome, calls) = resumed(&[step, later], &[step, later], &[later], &[]);
        assert!(outcome.unwrap());
        assert_eq!(calls, [format!("observe {later}")], "{later}");
    }
    let (outcome, calls) = resumed(&["activate/1", "rekey"], &["activate/1", "rekey"], &["rekey"], &[]);
    assert!(outcome.unwrap());
    assert_eq!(calls, ["observe rekey"]);
}

#[test]
fn files_may_be_carried_away_once_a_person_is_asked_to() {
    let made_files = |action: Action, asked: bool| {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = plan_of(&["import-key/1", "manual/users", "rekey"]);
        plan.steps[0].action = action;
        if !asked {
            // Another step stands between the files and the person.
            plan.steps.swap(1, 2);
        }
        let mut world = NamedWorld { broken: ["before rekey".to_owned()].into(), ..NamedWorld::default() };
        assert!(carry_out(folder.path(), &plan, &mut world, &[]).is_err());
        world.there.clear();
        carry_out(folder.path(), &plan, &mut world, &[]).unwrap_err().code()
    };
    let files = || Action::WriteArtefacts { folder: "artefacts".into(), files: vec![] };
    let package = || Action::MakePackage { key_id: crate::key::KeyId::of_spki(b"first"), file: "package".into() };
    for action in [files(), package()] {
        assert_eq!(made_files(action.clone(), true), "interrupted");
        assert_eq!(made_files(action, false), "conflict");
    }
}

#[test]
fn a_step_whose_replacement_was_begun_and_not_ended_is_not_missed() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan_of(&["activate/1", "rekey"]);
    let mut world = NamedWorld { broken: ["perform rekey".to_owned()].into(), ..NamedWorld::default() };
    assert!(carry_out(folder.path(), &plan, &mut world, &[]).is_err());
    world.there.clear();
    world.broken.clear();
    assert!(carry_out(folder.path(), &plan, &mut world, &[]).unwrap());
}

#[test]
fn giving_up_goes_backwards_and_tells_what_was_undone_and_what_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan_of(&["check-sources", "import-key/1", "activate/1", "publish-templates", "rekey"]);
    plan.steps[0].undo = Undo::Nothing;
    for step in &mut plan.steps[2..] {
        step.undo = Undo::Automatic("the one before".into());
    }
    let mut world = NamedWorld { broken: ["perform publish-templates".to_owned()].into(), ..NamedWorld::default() };
    assert!(carry_out(folder.path(), &plan, &mut world, &[]).is_err());
    world.take_calls();
    world.stubborn.insert("activate/1".into());
    world.broken.clear();
    let (undone, kept) = abort(folder.path(), &plan, &mut world).unwrap();
    // The step that was open is undone too, the one after it was never begun.
    assert_eq!(world.calls, ["undo publish-templates", "undo activate/1"]);
    assert_eq!(undone, [aborted("publish-templates", "it is gone, before publish-templates")]);
    assert_eq!(kept, [aborted("activate/1", "it stays, before activate/1"), aborted("import-key/1", "it stays")]);
    let all = events(folder.path());
    assert_eq!(
        all[all.len() - 4..],
        [
            Event::AbortStarted { reason: "enough".into() },
            Event::Undone { step: "publish-templates".into(), note: "it is gone, before publish-templates".into() },
            Event::Kept { step: "activate/1".into(), note: "it stays, before activate/1".into() },
            Event::Aborted {},
        ]
    );
    // What was given up can't be given up again, and the plan can be applied anew.
    let error = abort(folder.path(), &plan, &mut world).unwrap_err();
    assert!(error.code() == "not-found" && error.to_string().contains("no run of this plan to abort"), "{error}");
    assert!(carry_out(folder.path(), &plan, &mut world, &[]).unwrap());
}

#[test]
fn giving_up_that_was_interrupted_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan_of(&["import-templates/1", "activate/1", "publish-templates", "manual/users"]);
    for step in &mut plan.steps[..3] {
        step.undo = Undo::Automatic("the one before".into());
    }
    let mut world = NamedWorld::default();
    assert_eq!(carry_out(folder.path(), &plan, &mut world, &[]).unwrap_err().code(), "interrupted");
    world.take_calls();
    world.broken = ["undo import-templates/1".to_owned()].into();
    world.stubborn = ["activate/1".to_owned()].into();
    assert_eq!(abort(folder.path(), &plan, &mut world).unwrap_err().code(), "internal");
    assert_eq!(world.take_calls(), ["undo publish-templates", "undo activate/1", "undo import-templates/1"]);
    // Meanwhile the plan is neither applied nor resumed.
    for opening in [Opening::Apply, Opening::Resume] {
        let error = opened(&mut Machine, &plan, folder.path(), opening).unwrap_err();
        assert!(error.code() == "conflict" && error.to_string().contains("being aborted"), "{error}");
    }
    world.broken.clear();
    let (undone, kept) = abort(folder.path(), &plan, &mut world).unwrap();
    assert_eq!(world.calls, ["undo import-templates/1"]);
    assert_eq!(undone, [aborted("publish-templates", "undone already"), aborted("import-templates/1", "it is gone, before import-templates/1")]);
    assert_eq!(kept, [aborted("activate/1", "it stays, before activate/1")]);
    assert_eq!(events(folder.path()).iter().filter(|event| matches!(event, Event::AbortStarted { .. })).count(), 1);
}

#[test]
fn a_finished_run_is_not_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan_of(&["check-sources"]);
    let mut world = NamedWorld::default();
    assert_eq!(abort(folder.path(), &plan, &mut world).unwrap_err().code(), "not-found");
    assert!(carry_out(folder.path(), &plan, &mut world, &[]).unwrap());
    let error = abort(folder.path(), &plan, &mut world).unwrap_err();
    assert!(error.code() == "conflict" && error.to_string().contains("nothing to abort"), "{error}");
    // Nor is it looked at after a torn line.
    let path = folder.path().join("journal.jsonl");
    fs::write(&path, [fs::read(&path).unwrap(), b"{\"hash\":\"12".to_vec()].concat()).unwrap();
    let lines = events(folder.path()).len();
    assert_eq!(abort(folder.path(), &plan, &mut world).unwrap_err().code(), "conflict");
    assert_eq!(events(folder.path()).len(), lines);
}

#[test]
fn only_the_run_of_this_plan_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, other) = (plan_of(&["check-sources", "manual/users"]), plan_of(&["check-sources"]));
    let error = opened(&mut Machine, &plan, folder.path(), Opening::Resume).unwrap_err();
    assert!(error.code() == "not-found" && error.to_string().contains("no run of this plan to resume"), "{error}");
    assert!(carry_out(folder.path(), &plan, &mut NamedWorld::default(), &[]).is_err());
    let hash = plan.hash().unwrap();
    for error in [
        opened(&mut Machine, &other, folder.path(), Opening::Apply).unwrap_err(),
        opened(&mut Machine, &other, folder.path(), Opening::Resume).unwrap_err(),
        Run::of(other.clone()).unwrap().open_to_abort(&mut Machine, folder.path()).unwrap_err(),
    ] {
        assert!(error.code() == "conflict" && error.to_string().contains(&format!("a run of another plan, {hash}, is not over")), "{error}");
    }
    assert!(carry_out(folder.path(), &plan, &mut NamedWorld::default(), &["manual/users"]).unwrap());
    // Over is over: another plan may begin, and is neither resumed nor given up before it did.
    assert_eq!(opened(&mut Machine, &other, folder.path(), Opening::Resume).unwrap_err().code(), "not-found");
    assert_eq!(Run::of(other.clone()).unwrap().open_to_abort(&mut Machine, folder.path()).unwrap_err().code(), "not-found");
    assert!(carry_out(folder.path(), &other, &mut NamedWorld::default(), &[]).unwrap());
}

#[test]
fn a_run_that_goes_on_without_a_torn_line_is_given_up_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan_of(&["check-sources", "manual/users"]);
    assert!(carry_out(folder.path(), &plan, &mut NamedWorld::default(), &[]).is_err());
    abort(folder.path(), &plan, &mut NamedWorld::default()).unwrap();
    assert!(!events(folder.path()).iter().any(|event| matches!(event, Event::Resumed { .. })));
}

#[test]
fn a_journal_of_steps_that_the_plan_does_not_have_is_refused_in_every_opening() {
    let plan = plan_of(&["check-sources"]);
    for end in [None, Some(Event::Finished {})] {
        let folder = tempfile::tempdir().unwrap();
        let mut machine = Machine;
        let mut journal = RunJournal::open(&mut machine, folder.path()).unwrap();
        journal.record(Event::Started { plan: plan.hash().unwrap(), program: String::new(), approved_by: vec![] }).unwrap();
        journal.record(made("manual/strange")).unwrap();
        end.into_iter().for_each(|end| journal.record(end).unwrap());
        let openings = [
            opened(&mut Machine, &plan, folder.path(), Opening::Apply).unwrap_err(),
            Run::of(plan.clone()).unwrap().open_to_abort(&mut Machine, folder.path()).unwrap_err(),
        ];
        for error in openings {
            assert!(error.code() == "conflict" && error.to_string().contains("the step manual/strange"), "{error}");
        }
    }
}

#[test]
fn who_approved_stands_in_the_journal() {
    use crate::ceremony::{Approver, CustodianKey, Statement};
    let folder = tempfile::tempdir().unwrap();
    let now: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let key = CustodianKey::generate("Ann").unwrap();
    let mut plan = plan_of(&["check-sources"]);
    plan.approval.people = vec![Approver { name: "Ann".into(), role: "custodian".into(), key: key.public() }];
    (plan.approval.threshold, plan.approval.danger_threshold) = (1, 1);
    let approval = Approval::sign(Statement::new(&plan.hash().unwrap(), "Ann", "custodian", now, 3).unwrap(), &key).unwrap();
    let run = Run::of(plan.clone()).unwrap();
    assert_eq!((run.plan(), run.hash()), (&plan, plan.hash().unwrap().as_str()));
    let mut machine = Machine;
    drop(run.approve(&[approval], now).unwrap().open(&mut machine, folder.path(), Opening::Apply).unwrap());
    let Some(Event::Started { approved_by, .. }) = events(folder.path()).pop() else { panic!() };
    assert_eq!(approved_by, ["Ann (custodian)"]);
}
