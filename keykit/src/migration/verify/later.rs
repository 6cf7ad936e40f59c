//! What was changed on purpose after a plan was carried out.
//!
//! A plan is verified for years, and a tenant does not stand still: templates are edited, a new key takes over, custodians come and go.
//! Each of these changes is in the journal of the tenant. A difference that such a change explains is told as one, and is no damage:
//!
//! - a template that was edited, and is signed by a key of the tenant; not one that an import overwrote, which rule 143 warns of;
//! - the active key, if it is one that a re-key of this tenant made, or that a later, approved plan made active; not one that was
//!   gone back to, which protects new content by a key that the plan retired;
//! - other custodians, if enough of those of the plan signed approvals of a later plan.
//!
//! Everything that is about where keys are and what they open is checked without any journal, and nothing explains a failure there.

use std::path::Path;

use jiff::Timestamp;

use crate::ceremony::Approval;
use crate::error::Result;
use crate::key::KeyId;
use crate::migration::apply::{Event, Record, read_journal};
use crate::migration::plan::Plan;
use crate::tenant::{RecordedChange, TenantView};

/// A run that began after another was finished.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LaterRun {
    plan: String,
    began: Timestamp,
}

/// What was changed after a plan was carried out. Without a run that is finished there is nothing: until then all must be as planned.
#[derive(Debug, Clone, Default)]
pub struct LaterChanges {
    changes: Vec<RecordedChange>,
    runs: Vec<LaterRun>,
    approvals: Vec<Approval>,
    /// Why nothing can be said.
    problem: Option<String>,
}

impl LaterChanges {
    /// What the journals say. `runs` is the folder of the journal of runs, `approvals` are all that were kept there.
    #[must_use]
    pub fn since(plan: &Plan, tenant: &TenantView, runs: &Path, approvals: &[Approval]) -> Self {
        Self::read(plan, tenant, runs, approvals).unwrap_or_else(|error| Self { problem: Some(error.to_string()), ..Self::default() })
    }

    fn read(plan: &Plan, tenant: &TenantView, runs: &Path, approvals: &[Approval]) -> Result<Self> {
        let records = read_journal(runs)?;
        let own = plan.hash()?;
        let Some((finished, line)) = finish_of(&records, &own) else { return Ok(Self::default()) };
        let mut changes = tenant.recorded_changes()?;
        // Times are whole seconds. In the last one of a run, which holds the lock, what it did not do itself was done after it.
        changes.retain(|change| change.time >= finished && change.plan.as_deref() != Some(&own));
        let runs = records.iter().filter(|record| record.number > line).filter_map(|record| match &record.what {
            Event::Started { plan, .. } => Some(LaterRun { plan: plan.clone(), began: record.time }),
            _ => None,
        });
        let runs = runs.collect();
        Ok(Self { changes, runs, approvals: approvals.to_vec(), problem: None })
    }

    /// The edit that gave a template its text, if nothing gave it another since.
    pub(super) fn of_template(&self, id: &str) -> Option<String> {
        let is_of = |change: &&RecordedChange| {
            ["template-edit", "template-import"].contains(&change.action.as_str()) && change.note.split(' ').any(|named| named == id)
        };
        self.changes.iter().rev().find(is_of).filter(|change| change.action == "template-edit").map(in_words)
    }

    /// The change that made this key the active one, if none made another one so since. `is_own` says whether it is a key that the
    /// tenant made.
    pub(super) fn of_active_key(&self, plan: &Plan, active: &KeyId, is_own: bool) -> Option<String> {
        let activates = |change: &&RecordedChange| ["activate", "rollback", "rekey"].contains(&change.action.as_str());
        let change = self.changes.iter().rev().find(activates).filter(|change| change.key_id == Some(*active))?;
        match change.action.as_str() {
            "rekey" if is_own => Some(in_words(change)),
            "activate" => Some(format!("{}, {}", in_words(change), self.authority_of(plan, change)?)),
            _ => None,
        }
    }

    /// The change that fixed other custodians: by a later plan that enough of those of this one approved.
    pub(super) fn of_custodians(&self, plan: &Plan) -> Option<String> {
        let change = self.changes.iter().rev().find(|change| change.action == "custodians")?;
        // Custodians after next were approved by the next ones: of those of this plan there is the change before.
        let first = self.changes.iter().filter(|change| change.action == "custodians").find_map(|change| self.authority_of(plan, change))?;
        Some(format!("{}, {first}", in_words(change)))
    }

    /// The later plan in whose run a change was made, if those of this plan approved it.
    fn authority_of(&self, plan: &Plan, change: &RecordedChange) -> Option<String> {
        let made = |run: &&LaterRun| change.plan.as_ref() == Some(&run.plan) && run.began <= change.time;
        let run = self.runs.iter().filter(made).find(|run| self.is_approved_by_people_of(plan, run))?;
        let approved = if plan.approval.people.is_empty() { "" } else { ", which those of this plan approved" };
        Some(format!("by the plan {}{approved}", run.plan))
    }

    fn is_approved_by_people_of(&self, plan: &Plan, run: &LaterRun) -> bool {
        let given: Vec<Approval> = self.approvals.iter().filter(|approval| approval.statement().plan == run.plan).cloned().collect();
        plan.approval.require_of_tenant(&given, &run.plan, false, run.began).is_ok()
    }

    /// What to say of a difference that no change explains.
    pub(super) fn unexplained(&self) -> String {
        match &self.problem {
            Some(problem) => format!("; whether it was changed later on purpose is not known: {problem}"),
            None => String::new(),
        }
    }
}

/// When the last run of a plan was finished, and the line that says so.
fn finish_of(records: &[Record], plan: &str) -> Option<(Timestamp, u64)> {
    let (mut current, mut finish) = (None, None);
    for record in records {
        match &record.what {
            Event::Started { plan, .. } => current = Some(plan.as_str()),
            Event::Finished {} if current == Some(plan) => finish = Some((record.time, record.number)),
            _ => {}
        }
    }
    finish
}

fn in_words(change: &RecordedChange) -> String {
    format!("{} at {}, line {} of the tenant's journal", change.action, change.time, change.line)
}
