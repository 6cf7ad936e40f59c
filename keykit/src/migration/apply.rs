//! Carrying a plan out: approved, journalled, resumable, and undone as far as it can be.
//!
//! A run passes through states that are types: [`Run<Unapproved>`] → [`Run<Approved>`] → [`Run<Running>`] → [`Run<Done>`] or
//! [`Run<Aborted>`]; each has only the methods that are legal in it. Around every effect stand two lines of the journal, an intent
//! and an outcome, each on the disk before the next thing happens. Effects are discoverable and idempotent: whether one is there
//! is asked of the stores and files themselves, never of the journal. So a run may be killed at any moment and resumed.
//!
//! What happens in stores and files is behind [`World`], and the disk and clock of the journal behind [`Platform`]: tests put
//! simulated ones there, in which everything fails at every place.

mod journal;
mod lock;
mod platform;
mod tenant_world;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

pub use journal::{Event, Record, RunJournal, Segment, parse as parse_journal, read as read_journal, segment_of, segments_of};
pub use lock::RunLock;
pub use platform::{Machine, Platform};
pub(super) use tenant_world::OWN_FOLDER;
pub use tenant_world::{Environment, SeenKey, SeenPlace, TenantWorld};

use super::plan::{Action, Plan, Step, Undo};
use super::run::Progress;
use crate::ceremony::{Approval, ApprovalPolicy, QuorumOutcome};
use crate::error::{Error, Result};

/// What is there of the effect of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// Nothing.
    Absent,
    /// All of it, as planned; what was seen.
    Present(String),
    /// Something else is in its place; what was seen.
    Other(String),
}

/// What became of a step that was to be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakenBack {
    /// Its effect is gone; what was seen.
    Undone(String),
    /// Its effect stays; why.
    Kept(String),
}

/// Stores and files, as a run sees them.
pub trait World {
    /// What must be known to undo a step later, taken before it; for example which key was active.
    ///
    /// # Errors
    /// What the store or file says.
    fn before(&mut self, plan: &Plan, step: &Step) -> Result<Option<String>>;

    /// Whether the effect of a step is there. Changes nothing, but makes what is there last: a killed process may have left it
    /// in the memory of the system only.
    ///
    /// # Errors
    /// What the store or file says.
    fn observe(&mut self, plan: &Plan, step: &Step) -> Result<Observed>;

    /// Brings the effect of a step about; what was seen afterwards. It may find a part of it there already.
    ///
    /// # Errors
    /// What the store or file says.
    fn perform(&mut self, plan: &Plan, step: &Step) -> Result<String>;

    /// Takes the effect of a step back, if it is there; `before` is what [`Self::before`] said. Source keys are never touched.
    ///
    /// # Errors
    /// What the store or file says.
    fn undo(&mut self, plan: &Plan, step: &Step, before: Option<&str>) -> Result<TakenBack>;
}

/// The people around a run: they see each step before it begins, and say what was done by hand.
pub trait Attendants {
    /// Step `number` of `total` is about to begin, or to be looked at again if it is done. An error stops the run before it.
    ///
    /// # Errors
    /// Why the run is to stop; [`Error::Interrupted`] if a person wants it so.
    fn begin(&mut self, number: usize, total: usize, step: &Step, is_done: bool) -> Result<()>;

    /// Whether a step that a person does by hand is done.
    ///
    /// # Errors
    /// Why nobody can say.
    fn is_done_by_hand(&mut self, step: &Step) -> Result<bool>;
}

/// Nobody is asked: what was done by hand was said before.
struct Unattended<'a> {
    confirmed: &'a BTreeSet<String>,
    progress: &'a dyn Progress,
}

impl Attendants for Unattended<'_> {
    fn begin(&mut self, number: usize, total: usize, step: &Step, _: bool) -> Result<()> {
        self.progress.step(number, total, &step.id);
        Ok(())
    }

    fn is_done_by_hand(&mut self, step: &Step) -> Result<bool> {
        Ok(self.confirmed.contains(&step.id))
    }
}

/// Nobody has looked at the approvals yet.
#[derive(Debug)]
pub struct Unapproved;

/// The quorum was met.
#[derive(Debug)]
pub struct Approved {
    quorum: QuorumOutcome,
}

/// The journal is open.
#[derive(Debug)]
pub struct Running<'p> {
    journal: RunJournal<'p>,
    segment: Segment,
}

/// Everything is done.
#[derive(Debug)]
pub struct Done {
    /// Whether this run did anything; a finished plan that is applied again does nothing.
    pub changed: bool,
}

/// What became of a step when a run was aborted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AbortedStep {
    /// The step.
    pub step: String,
    /// What happened or why nothing could.
    pub note: String,
}

/// The run was given up.
#[derive(Debug)]
pub struct Aborted {
    /// What was undone.
    pub undone: Vec<AbortedStep>,
    /// What stays.
    pub kept: Vec<AbortedStep>,
}

/// A run of a plan, in one of its states.
#[derive(Debug)]
pub struct Run<S> {
    plan: Plan,
    hash: String,
    state: S,
}

impl<S> Run<S> {
    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &S {
        &self.state
    }

    fn into_state<T>(self, state: T) -> Run<T> {
        Run { plan: self.plan, hash: self.hash, state }
    }
}

impl Run<Unapproved> {
    /// A run of this plan.
    ///
    /// # Errors
    /// [`Error::Internal`] never in practice.
    pub fn of(plan: Plan) -> Result<Self> {
        let hash = plan.hash()?;
        Ok(Self { plan, hash, state: Unapproved })
    }

    /// Checks the approvals.
    ///
    /// # Errors
    /// [`Error::Refused`] as [`crate::ceremony::ApprovalPolicy::require`].
    pub fn approve(self, approvals: &[Approval], now: jiff::Timestamp) -> Result<Run<Approved>> {
        self.approve_in(None, approvals, now)
    }

    /// As [`Self::approve`], for a tenant whose custodians are fixed: a plan with other people needs their quorum as well.
    ///
    /// # Errors
    /// [`Error::Refused`] as [`crate::ceremony::ApprovalPolicy::require`] and
    /// [`crate::ceremony::ApprovalPolicy::require_of_tenant`].
    pub fn approve_in(self, custodians: Option<&ApprovalPolicy>, approvals: &[Approval], now: jiff::Timestamp) -> Result<Run<Approved>> {
        let is_dangerous = self.plan.is_dangerous();
        if let Some(custodians) = custodians.filter(|custodians| **custodians != self.plan.approval) {
            custodians.require_of_tenant(approvals, &self.hash, is_dangerous, now)?;
        }
        let quorum = self.plan.approval.require(approvals, &self.hash, is_dangerous, now)?;
        Ok(self.into_state(Approved { quorum }))
    }
}

/// Whether a journal is begun or gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// `apply`: begins, or goes on with a run of the same plan.
    Apply,
    /// `resume`: there must be a run of the same plan.
    Resume,
}

impl Run<Approved> {
    /// Opens the journal in `folder` and says in it that the run begins, or that it goes on. The caller holds the lock.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the run of another plan is not over, or this one is being aborted; [`Error::NotFound`] if there is
    /// nothing to resume; [`Error::Malformed`] for a journal that was changed; [`Error::Write`].
    pub fn open<'p>(self, platform: &'p mut dyn Platform, folder: &Path, opening: Opening) -> Result<Run<Running<'p>>> {
        let mut journal = RunJournal::open(platform, folder)?;
        let mut segments = journal.segments()?;
        // What is over stays over, whatever other plans were carried out after it.
        let is_over = segments.last().is_none_or(|last| last.finished || last.aborted);
        if is_over && let Some(finished) = segments.iter().rev().find(|segment| segment.plan == self.hash).filter(|segment| segment.finished) {
            let segment = finished.clone();
            segment.check_against(&self.plan)?;
            return Ok(self.into_state(Running { journal, segment }));
        }
        let segment = segments.pop();
        let nothing = || Error::NotFound {
            what: "there is no run of this plan to resume".into(),
            hint: Some("begin it with `keykit apply PLAN --approval FILE…`".into()),
        };
        match segment.filter(|segment| !segment.aborted) {
            Some(segment) if segment.plan != self.hash && !segment.finished => return Err(other_plan(&segment)),
            Some(segment) if segment.plan == self.hash && segment.aborting => {
                return Err(Error::Conflict {
                    what: "this run is being aborted".into(),
                    hint: Some("end that with `keykit abort PLAN`; then the plan can be applied anew".into()),
                });
            }
            Some(segment) if segment.plan == self.hash => {
                let cut = journal.cut_bytes();
                journal.record(Event::Resumed { open: segment.open.as_ref().map(|(step, _)| step.clone()), cut_bytes: cut })?;
            }
            _ if opening == Opening::Resume => return Err(nothing()),
            _ => {
                let approved_by = self.state.quorum.approved_by.iter().map(|(name, role, _)| format!("{name} ({role})")).collect();
                journal.record(Event::Started {
                    plan: self.hash.clone(),
                    program: concat!("keykit ", env!("CARGO_PKG_VERSION")).into(),
                    approved_by,
                })?;
            }
        }
        let segment = journal.segment()?.ok_or_else(|| Error::Internal("a journal without a beginning".into()))?;
        segment.check_against(&self.plan)?;
        Ok(self.into_state(Running { journal, segment }))
    }
}

fn other_plan(segment: &Segment) -> Error {
    Error::Conflict {
        what: format!("a run of another plan, {}, is not over in this tenant", segment.plan),
        hint: Some("end it with `keykit resume` or `keykit abort` and that plan".into()),
    }
}

impl<'p> Run<Running<'p>> {
    /// Carries out what is not done yet. Steps done by hand count once their names are in `confirmed`.
    ///
    /// # Errors
    /// [`Error::Interrupted`] at a step that a person must do and confirm; [`Error::Conflict`] if something else is in the place
    /// of an effect, or an effect that was there is gone; what the world says. The run can be resumed after all of them.
    pub fn carry_out(self, world: &mut dyn World, confirmed: &BTreeSet<String>, progress: &dyn Progress) -> Result<Run<Done>> {
        if let Some(unknown) = confirmed.iter().find(|id| !self.plan.step(id).is_some_and(|step| matches!(step.action, Action::Manual { .. }))) {
            return Err(Error::usage(format!("the plan has no step '{unknown}' that a person does by hand")));
        }
        self.carry_out_attended(world, &mut Unattended { confirmed, progress })
    }

    /// As [`Self::carry_out`], asking people on the way.
    ///
    /// # Errors
    /// As [`Self::carry_out`], and what the attendants say.
    pub fn carry_out_attended(mut self, world: &mut dyn World, attendants: &mut dyn Attendants) -> Result<Run<Done>> {
        if self.state.segment.finished {
            return Ok(self.into_state(Done { changed: false }));
        }
        let total = self.plan.steps.len();
        let steps = self.plan.steps.clone();
        for (index, step) in steps.iter().enumerate() {
            let is_done = self.state.segment.done.contains_key(&step.id);
            attendants.begin(index + 1, total, step, is_done)?;
            if is_done {
                self.check_done(world, step)?;
            } else {
                self.carry_out_step(world, step, attendants)?;
            }
        }
        self.state.journal.record(Event::Finished {})?;
        Ok(self.into_state(Done { changed: true }))
    }

    fn carry_out_step(&mut self, world: &mut dyn World, step: &Step, attendants: &mut dyn Attendants) -> Result<()> {
        if let Action::Manual { instruction } = &step.action {
            if !attendants.is_done_by_hand(step)? {
                return Err(Error::Interrupted {
                    what: format!("the run waits for a person: {instruction}; then go on with `keykit resume PLAN --confirm {}`", step.id),
                });
            }
            return self.note_done(step, "confirmed by the operator".into(), false);
        }
        // An intent that a killed run left stands, with what was the case before it.
        if self.state.segment.open.as_ref().is_none_or(|(open, _)| *open != step.id) {
            let before = world.before(&self.plan, step)?;
            self.state.journal.record(Event::Intent { step: step.id.clone(), before: before.clone() })?;
            self.state.segment.open = Some((step.id.clone(), before));
        }
        let outcome = match world.observe(&self.plan, step) {
            Ok(Observed::Present(seen)) if !step.action.only_looks() => Ok((seen, true)),
            Ok(Observed::Other(seen)) => Err(Error::Conflict {
                what: format!("the step {} finds something else in its place: {seen}", step.id),
                hint: Some("a person must decide; nothing was overwritten. `keykit verify PLAN` shows what is there".into()),
            }),
            Ok(_) => world.perform(&self.plan, step).map(|seen| (seen, false)),
            Err(error) => Err(error),
        };
        match outcome {
            Ok((seen, adopted)) => self.note_done(step, seen, adopted),
            Err(error) => {
                // The first failure is what the operator must hear of, even if the disk is the next to fail.
                drop(self.state.journal.record(Event::Failed { step: step.id.clone(), code: error.code().into(), message: error.to_string() }));
                Err(error)
            }
        }
    }

    fn note_done(&mut self, step: &Step, seen: String, adopted: bool) -> Result<()> {
        self.state.journal.record(Event::Done { step: step.id.clone(), seen, adopted })?;
        let before = self.state.segment.open.take().and_then(|(_, before)| before);
        self.state.segment.done.insert(step.id.clone(), before);
        Ok(())
    }

    /// The journal says that a step is done: its effect must be there, unless a later step was to replace it.
    fn check_done(&self, world: &mut dyn World, step: &Step) -> Result<()> {
        if step.action.only_looks() || matches!(step.action, Action::Manual { .. }) || self.is_replaced(step) {
            return Ok(());
        }
        match world.observe(&self.plan, step)? {
            Observed::Present(_) => Ok(()),
            Observed::Absent => Err(gone(step, "it is not there")),
            Observed::Other(seen) => Err(gone(step, &seen)),
        }
    }

    /// Whether a later step, of keykit or of a person, may have put something else in the place of a step's effect already.
    fn is_replaced(&self, step: &Step) -> bool {
        let segment = &self.state.segment;
        let next = self.plan.steps.iter().find(|step| !segment.done.contains_key(&step.id));
        let begun = |later: &Step| {
            segment.done.contains_key(&later.id)
                || segment.open.as_ref().is_some_and(|(open, _)| *open == later.id)
                // A person does first and confirms then.
                || next.is_some_and(|next| next.id == later.id && matches!(next.action, Action::Manual { .. }))
        };
        let replaces = |later: &Step| match (&step.action, &later.action) {
            (Action::Activate { .. }, Action::Activate { .. } | Action::Rekey { .. }) => true,
            // A new active key signs templates anew, and a person may edit them.
            (
                Action::ImportTemplates { .. },
                Action::Activate { .. } | Action::Rekey { .. } | Action::PublishTemplates { .. } | Action::Manual { .. },
            ) => true,
            // Files are carried away by people, who may not leave a copy.
            (Action::WriteArtefacts { .. } | Action::MakePackage { .. }, Action::Manual { .. }) => true,
            _ => false,
        };
        self.plan.steps.iter().skip_while(|other| other.id != step.id).skip(1).any(|later| replaces(later) && begun(later))
    }

    /// Gives the run up: undoes what can be undone, last step first, and lists what stays.
    ///
    /// # Errors
    /// What the world or the disk says; `abort` can be repeated then. [`Error::Conflict`] for a run that is finished.
    pub fn abort(mut self, world: &mut dyn World, reason: &str) -> Result<Run<Aborted>> {
        if self.state.segment.finished {
            return Err(Error::Conflict {
                what: "the run is finished, there is nothing to abort".into(),
                hint: Some("`keykit tenant activate` makes another key active, which is the way back".into()),
            });
        }
        if !self.state.segment.aborting {
            self.state.journal.record(Event::AbortStarted { reason: reason.to_owned() })?;
        }
        let (mut undone, mut kept) = (Vec::new(), Vec::new());
        for step in self.plan.steps.iter().rev() {
            let open = self.state.segment.open.as_ref().filter(|(open, _)| *open == step.id).map(|(_, before)| before.clone());
            let Some(before) = self.state.segment.done.get(&step.id).cloned().or(open) else { continue };
            match &step.undo {
                Undo::Nothing => {}
                Undo::Stays(note) => kept.push(AbortedStep { step: step.id.clone(), note: note.clone() }),
                Undo::Automatic(_) if self.state.segment.undone.contains(&step.id) => {
                    undone.push(AbortedStep { step: step.id.clone(), note: "undone already".into() });
                }
                Undo::Automatic(_) if self.state.segment.kept.contains_key(&step.id) => {
                    let note = self.state.segment.kept.get(&step.id).cloned().unwrap_or_default();
                    kept.push(AbortedStep { step: step.id.clone(), note });
                }
                Undo::Automatic(_) => match world.undo(&self.plan, step, before.as_deref())? {
                    TakenBack::Undone(note) => {
                        self.state.journal.record(Event::Undone { step: step.id.clone(), note: note.clone() })?;
                        undone.push(AbortedStep { step: step.id.clone(), note });
                    }
                    TakenBack::Kept(note) => {
                        self.state.journal.record(Event::Kept { step: step.id.clone(), note: note.clone() })?;
                        kept.push(AbortedStep { step: step.id.clone(), note });
                    }
                },
            }
        }
        self.state.journal.record(Event::Aborted {})?;
        Ok(self.into_state(Aborted { undone, kept }))
    }
}

impl Run<Unapproved> {
    /// Opens the journal to abort a run. No approval is needed to stop. The caller holds the lock.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no run of this plan; otherwise as [`Run::<Approved>::open`].
    pub fn open_to_abort<'p>(self, platform: &'p mut dyn Platform, folder: &Path) -> Result<Run<Running<'p>>> {
        let mut journal = RunJournal::open(platform, folder)?;
        match journal.segment()?.filter(|segment| !segment.aborted) {
            Some(segment) if segment.plan == self.hash => {
                segment.check_against(&self.plan)?;
                let cut_bytes = journal.cut_bytes();
                if cut_bytes > 0 && !segment.finished {
                    journal.record(Event::Resumed { open: segment.open.as_ref().map(|(step, _)| step.clone()), cut_bytes })?;
                }
                Ok(self.into_state(Running { journal, segment }))
            }
            Some(segment) if !segment.finished => Err(other_plan(&segment)),
            _ => Err(Error::NotFound { what: "there is no run of this plan to abort".into(), hint: None }),
        }
    }
}

fn gone(step: &Step, seen: &str) -> Error {
    Error::Conflict {
        what: format!("the journal says that the step {} is done, and its effect is gone: {seen}", step.id),
        hint: Some("somebody changed stores or files after it; a person must find out who. `keykit verify PLAN` shows what is there".into()),
    }
}
