//! What happened, from the journal of the runs; interruptions are told by what follows them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::{Approvals, ReportedTranscript, RunsSeen};
use crate::migration::apply::{Event, Record};
use crate::migration::plan::{Action, Phase, Plan, Step};

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MomentKind {
    /// A person approved the plan.
    Approved,
    /// A witness confirmed the hash of the plan.
    Witnessed,
    /// Something was not as the script has it.
    Deviation,
    /// A run began.
    Started,
    /// A step was done.
    Done,
    /// A person confirmed a step that is done by hand.
    Confirmed,
    /// A step failed.
    Failed,
    /// The run stopped without a word: a crash, a power cut, a killed process.
    Interrupted,
    /// The run waited for a person.
    Waited,
    /// The run went on.
    Resumed,
    /// All steps were done.
    Finished,
    /// The run was being given up.
    GivingUp,
    /// A step was undone.
    Undone,
    /// The run was given up.
    GivenUp,
}

impl MomentKind {
    /// The kind in a word or two.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Witnessed => "witnessed",
            Self::Deviation => "deviation",
            Self::Started => "started",
            Self::Done => "done",
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Waited => "waited",
            Self::Resumed => "resumed",
            Self::Finished => "finished",
            Self::GivingUp => "giving up",
            Self::Undone => "undone",
            Self::GivenUp => "given up",
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// When; for an interruption, the last sign of life before it.
    pub time: Timestamp,
    /// What kind.
    pub kind: MomentKind,
    /// The step, if it is about one.
    pub step: Option<String>,
    /// What, in a sentence.
    pub what: String,
    /// What was seen or said.
    pub detail: Option<String>,
    /// For a step: how long it took, in seconds.
    pub seconds: Option<i64>,
}

/// Where the last run of the plan stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// There was none.
    #[default]
    NotBegun,
    /// It is not over.
    Unfinished,
    /// All steps are done.
    Finished,
    /// It was given up, or is being.
    GivenUp,
}

/// What happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// Where the last run stands.
    pub state: RunState,
    /// In the order in which it happened.
    pub moments: Vec<Moment>,
    /// How often a run stopped without a word.
    pub interruptions: usize,
    /// How often a step failed.
    pub failures: usize,
    /// How often a run was taken up again after that.
    pub resumptions: usize,
    /// How often a run waited for a person.
    pub waits: usize,
    /// Who approved, by the journal's own account.
    pub approved_by: Vec<String>,
    /// Programs that began runs, by their own account.
    pub programs: Vec<String>,
    /// Steps by hand, each with whether a person has confirmed it.
    pub by_hand: Vec<(String, bool)>,
    /// Lines of the journal.
    pub lines: usize,
    /// Hash of the last line.
    pub last_hash: Option<String>,
    /// Why the journal can't be read to its end, if it can't.
    pub problem: Option<String>,
    /// Length of a torn line at its end, in bytes.
    pub torn_bytes: u64,
    /// Runs of other plans in the same journal.
    pub other_runs: usize,
}

impl Timeline {
    /// Enters approvals and what a transcript adds, each before the first thing that happened after it. The order of the journal
    /// stays.
    pub(super) fn enter(&mut self, approvals: &Approvals, transcript: Option<&ReportedTranscript>) {
        for approval in &approvals.given {
            let detail = Some(match &approval.problem {
                None => format!("it counted until {}", approval.expires),
                Some(problem) => format!("it does not count: {problem}"),
            });
            let what = format!("{} ({}) approved the plan", approval.name, approval.role);
            self.insert(Moment { time: approval.approved, kind: MomentKind::Approved, step: None, what, detail, seconds: None });
        }
        for time in transcript.iter().flat_map(|transcript| &transcript.witnessed) {
            let what = "a witness typed words of the plan's hash back, rightly".to_owned();
            self.insert(Moment { time: *time, kind: MomentKind::Witnessed, step: None, what, detail: None, seconds: None });
        }
        for deviation in transcript.iter().flat_map(|transcript| &transcript.deviations) {
            let by = deviation.by.as_ref().map_or_else(|| "noted by the program".to_owned(), |by| format!("noted by {by}"));
            let step = deviation.step.clone();
            let what = deviation.note.clone();
            self.insert(Moment { time: deviation.time, kind: MomentKind::Deviation, step, what, detail: Some(by), seconds: None });
        }
    }

    fn insert(&mut self, moment: Moment) {
        let place = self.moments.iter().position(|other| other.time >= moment.time).unwrap_or(self.moments.len());
        self.moments.insert(place, moment);
    }
}

/// What the journal says of the runs of this plan.
pub(super) fn of(plan: &Plan, hash: &str, runs: &RunsSeen) -> Timeline {
    let mut teller = Teller { plan, timeline: Timeline::default(), done: BTreeSet::new(), begun: None, last: None };
    let mut is_ours = false;
    for record in &runs.records {
        if let Event::Started { plan, .. } = &record.what {
            is_ours = plan == hash;
            teller.timeline.other_runs += usize::from(!is_ours);
        }
        if is_ours {
            teller.tell(record);
        }
    }
    let mut timeline = teller.timeline;
    let manual = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Manual { instruction } => Some((instruction.clone(), teller.done.contains(&step.id))),
        _ => None,
    });
    timeline.by_hand = manual.collect();
    timeline.lines = runs.records.len();
    timeline.last_hash = runs.records.last().map(|record| record.hash.clone());
    timeline.problem = runs.problem.clone();
    timeline.torn_bytes = runs.torn_bytes;
    timeline
}

/// The last sign of life of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LastSign {
    time: Timestamp,
    was_failure: bool,
}

struct Teller<'a> {
    plan: &'a Plan,
    timeline: Timeline,
    done: BTreeSet<String>,
    begun: Option<Timestamp>,
    last: Option<LastSign>,
}

impl Teller<'_> {
    fn add(&mut self, time: Timestamp, kind: MomentKind, step: Option<&str>, what: impl Into<String>, detail: Option<String>) {
        self.timeline.moments.push(Moment { time, kind, step: step.map(str::to_owned), what: what.into(), detail, seconds: None });
    }

    fn title(&self, id: &str) -> String {
        self.plan.step(id).map_or_else(|| id.to_owned(), title)
    }

    fn tell(&mut self, record: &Record) {
        let time = record.time;
        match &record.what {
            Event::Started { program, approved_by, .. } => {
                self.done.clear();
                self.timeline.state = RunState::Unfinished;
                self.timeline.approved_by.clone_from(approved_by);
                if !self.timeline.programs.contains(program) {
                    self.timeline.programs.push(program.clone());
                }
                let approved =
                    if approved_by.is_empty() { "nobody had to approve".to_owned() } else { format!("approved by {}", approved_by.join(", ")) };
                self.add(time, MomentKind::Started, None, "the run began", Some(format!("{program}; {approved}")));
            }
            Event::Resumed { open, cut_bytes } => self.resumed(time, open.as_deref(), *cut_bytes),
            Event::Intent { .. } => self.begun = Some(time),
            Event::Done { step, seen, adopted } => {
                let by_hand = matches!(self.plan.step(step).map(|step| &step.action), Some(Action::Manual { .. }));
                let kind = if by_hand { MomentKind::Confirmed } else { MomentKind::Done };
                let detail = if *adopted { format!("{seen} (it was there already, and was taken over)") } else { seen.clone() };
                self.add(time, kind, Some(step), self.title(step), Some(detail));
                let seconds = self.begun.take().map(|begun| time.as_second().saturating_sub(begun.as_second()));
                if let Some(moment) = self.timeline.moments.last_mut() {
                    moment.seconds = seconds;
                }
                self.done.insert(step.clone());
            }
            Event::Failed { step, code, message } => {
                self.timeline.failures += 1;
                self.add(time, MomentKind::Failed, Some(step), self.title(step), Some(format!("{message} ({code})")));
            }
            Event::Finished {} => {
                self.timeline.state = RunState::Finished;
                self.add(time, MomentKind::Finished, None, "all steps are done", None);
            }
            Event::AbortStarted { reason } => {
                self.timeline.state = RunState::GivenUp;
                let reason = (!reason.is_empty()).then(|| format!("the reason given: {reason}"));
                self.add(time, MomentKind::GivingUp, None, "the operator gave the run up", reason);
            }
            Event::Undone { step, note } => self.add(time, MomentKind::Undone, Some(step), self.title(step), Some(note.clone())),
            Event::Kept { step, note } => self.add(time, MomentKind::GivingUp, Some(step), self.title(step), Some(format!("it stays: {note}"))),
            Event::Aborted {} => self.add(time, MomentKind::GivenUp, None, "the run was given up", None),
        }
        self.last = Some(LastSign { time, was_failure: matches!(record.what, Event::Failed { .. }) });
    }

    /// A run went on: why had it stopped?
    fn resumed(&mut self, time: Timestamp, open: Option<&str>, cut_bytes: u64) {
        let waits =
            self.plan.steps.iter().find(|step| !self.done.contains(&step.id)).is_some_and(|step| matches!(step.action, Action::Manual { .. }));
        if let Some(last) = self.last {
            let torn = (cut_bytes > 0).then(|| format!("the last line of the journal was torn; its {cut_bytes} bytes were cut off"));
            match open {
                _ if last.was_failure && cut_bytes == 0 => {}
                Some(step) => {
                    self.timeline.interruptions += 1;
                    let what = format!("the run stopped without a word in the middle of: {}", self.title(step));
                    self.add(last.time, MomentKind::Interrupted, Some(step), what, torn);
                }
                None if waits && cut_bytes == 0 => {
                    self.timeline.waits += 1;
                    let until = format!("until {}", time.strftime("%Y-%m-%d %H:%M:%S UTC"));
                    return self.add(last.time, MomentKind::Waited, None, "the run waited for a person", Some(until));
                }
                None => {
                    self.timeline.interruptions += 1;
                    self.add(last.time, MomentKind::Interrupted, None, "the run stopped without a word between two steps", torn);
                }
            }
        }
        self.begun = None;
        self.timeline.resumptions += 1;
        let detail = open.map(|step| format!("with what it had stopped in: {}", self.title(step)));
        self.add(time, MomentKind::Resumed, open, "the run went on", detail);
    }
}

/// What a step is to do.
pub(super) fn title(step: &Step) -> String {
    match &step.action {
        Action::CheckSources => "check that every file and source key is as planned".to_owned(),
        Action::ImportKey { key_id } => format!("bring key {} to its target", key_id.short()),
        Action::ProveKey { key_id, .. } => format!("prove key {} at its target", key_id.short()),
        Action::ImportTemplates { key_id, templates } => match templates.as_slice() {
            [one] => format!("import the template '{}' of key {}", one.name, key_id.short()),
            several => format!("import the {} templates of key {}", several.len(), key_id.short()),
        },
        Action::Activate { key_id } => format!("make key {} the active one", key_id.short()),
        Action::PublishTemplates { templates } => match templates.len() {
            1 => "offer one template to users".to_owned(),
            count => format!("offer {count} templates to users"),
        },
        Action::Rekey { bits } => format!("make a new key of {bits} bits, which takes over"),
        Action::Verify { phase } => match phase {
            Phase::Preparation => "verify the sources before anything moves",
            Phase::Keys => "verify everything after the keys have moved",
            Phase::Templates => "verify everything after the templates are configured",
            Phase::Clients => "verify everything after the users have moved",
            Phase::Services => "verify everything after the servers have moved",
            Phase::End => "verify everything at the end",
        }
        .to_owned(),
        Action::WriteArtefacts { files, .. } => format!("write {} files for other people and systems", files.len()),
        Action::MakePackage { key_id, .. } => format!("wrap key {} for its receiver", key_id.short()),
        Action::Manual { instruction } => format!("by hand: {instruction}"),
    }
}
