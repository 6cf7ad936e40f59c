//! How many must approve, who may, and whether they have.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::approval::{Approval, ApprovalProblem};
use super::custodian::CustodianPublicKey;
use crate::error::{Error, Result};

/// How far the clocks of two computers may be apart, in seconds.
const CLOCK_TOLERANCE: i64 = 300;

/// A person who may approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approver {
    /// Name.
    pub name: String,
    /// Role.
    pub role: String,
    /// Public key.
    pub key: CustodianPublicKey,
}

/// Who must approve a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalPolicy {
    /// How many people must approve.
    pub threshold: u32,
    /// How many must approve a plan that allows something dangerous.
    pub danger_threshold: u32,
    /// Roles of which at least one person each must approve.
    pub roles: Vec<String>,
    /// For how many days an approval may hold.
    pub valid_days: u32,
    /// The people.
    pub people: Vec<Approver>,
}

/// A quorum that was met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuorumOutcome {
    /// How many were needed.
    pub needed: u32,
    /// Who approved: name, role, and until when it counts.
    pub approved_by: Vec<(String, String, Timestamp)>,
}

impl ApprovalPolicy {
    /// Checks that the policy can be met at all and says what it means.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        let people = u32::try_from(self.people.len()).unwrap_or(u32::MAX);
        let (least, most) = (self.threshold.min(self.danger_threshold), self.threshold.max(self.danger_threshold));
        if most > people {
            return Err(format!("{most} people must approve, and {people} are named"));
        }
        if self.danger_threshold != most {
            return Err(format!("{} must approve what is dangerous, fewer than the {} of what is not", least, self.threshold));
        }
        if self.threshold == self.danger_threshold && most < people {
            return Err(format!(
                "{most} must approve what is dangerous, and as many what is not: something dangerous needs more people than anything else"
            ));
        }
        if self.threshold == 0 && people > 0 {
            return Err(format!("{people} people are named, and none of them must approve"));
        }
        let keys: BTreeSet<&CustodianPublicKey> = self.people.iter().map(|person| &person.key).collect();
        let names: BTreeSet<&str> = self.people.iter().map(|person| person.name.as_str()).collect();
        if keys.len() != self.people.len() || names.len() != self.people.len() {
            return Err("a person or a key is named twice among those who approve".into());
        }
        match self.roles.iter().find(|role| !self.people.iter().any(|person| person.role == **role)) {
            Some(role) => Err(format!("somebody in the role '{role}' must approve, and nobody has it")),
            None => Ok(()),
        }
    }

    /// Whether something dangerous can be approved at all: by more people than anything else.
    #[must_use]
    pub fn allows_danger(&self) -> bool {
        self.danger_threshold > self.threshold
    }

    /// How many must approve.
    #[must_use]
    pub fn needed(&self, is_dangerous: bool) -> u32 {
        if is_dangerous { self.danger_threshold } else { self.threshold }
    }

    /// What speaks against one approval at this time; `before` are those that were taken already.
    #[must_use]
    pub fn problem_of(&self, approval: &Approval, plan: &str, now: Timestamp, before: &[&Approval]) -> Option<ApprovalProblem> {
        let statement = approval.statement();
        let tolerance = SignedDuration::from_secs(CLOCK_TOLERANCE);
        let Some(person) = approval.key().and_then(|key| self.people.iter().find(|person| person.key == key)) else {
            let fingerprint = approval.key().map_or("(not Ed25519)".to_owned(), |key| key.fingerprint());
            return Some(ApprovalProblem::Foreign(fingerprint));
        };
        if !approval.is_signed_by(&person.key) {
            return Some(ApprovalProblem::BadSignature);
        }
        if statement.plan != plan {
            return Some(ApprovalProblem::OtherPlan(statement.plan.clone()));
        }
        if (statement.name.as_str(), statement.role.as_str()) != (person.name.as_str(), person.role.as_str()) {
            return Some(ApprovalProblem::OtherPerson(format!("{} ({})", person.name, person.role)));
        }
        if statement.expires.duration_since(statement.approved) > SignedDuration::from_hours(i64::from(self.valid_days).saturating_mul(24)) {
            return Some(ApprovalProblem::HoldsTooLong(self.valid_days));
        }
        if statement.approved.duration_since(now) > tolerance {
            return Some(ApprovalProblem::FromTheFuture(statement.approved));
        }
        if now >= statement.expires {
            return Some(ApprovalProblem::Expired(statement.expires));
        }
        before.iter().any(|other| other.key() == approval.key()).then_some(ApprovalProblem::Repeated)
    }

    /// Checks approvals of a plan that has other people than this policy, which the tenant is fixed to. Approvals of people whom
    /// this policy does not know are left to the plan's own.
    ///
    /// # Errors
    /// [`Error::Refused`] with the code `quorum-of-the-tenant`.
    pub fn require_of_tenant(&self, approvals: &[Approval], plan: &str, is_dangerous: bool, now: Timestamp) -> Result<()> {
        let mut taken: Vec<&Approval> = Vec::new();
        for approval in approvals {
            if self.problem_of(approval, plan, now, &taken).is_none() {
                taken.push(approval);
            }
        }
        let (given, needed) = (taken.len(), self.needed(is_dangerous));
        let lacks = self.roles.iter().find(|role| !taken.iter().any(|approval| approval.statement().role == **role));
        if u32::try_from(given).is_ok_and(|given| given >= needed) && lacks.is_none() {
            return Ok(());
        }
        let role = lacks.map_or(String::new(), |role| format!(", and nobody in the role '{role}'"));
        let names: Vec<&str> = self.people.iter().map(|person| person.name.as_str()).collect();
        Err(Error::refused_by_policy(
            format!(
                "quorum-of-the-tenant: this plan names other people than those who guard the tenant ({}), of whom {given} of {needed} approved{role}",
                names.join(", ")
            ),
            "plan with the people of the tenant, or have enough of them approve the change of people: then the plan's take their place",
        ))
    }

    /// Checks approvals against the plan with this hash. Every one given must count, and together they must be enough.
    ///
    /// # Errors
    /// [`Error::Refused`] with the code of the first [`ApprovalProblem`], `quorum-too-small` or `quorum-lacks-a-role`.
    pub fn require(&self, approvals: &[Approval], plan: &str, is_dangerous: bool, now: Timestamp) -> Result<QuorumOutcome> {
        let mut taken: Vec<&Approval> = Vec::new();
        for approval in approvals {
            if let Some(problem) = self.problem_of(approval, plan, now, &taken) {
                let statement = approval.statement();
                return Err(Error::refused_by_policy(
                    format!("{}: the approval of {} ({}) does not count: {problem}", problem.code(), statement.name, statement.role),
                    "leave this approval out, or have it made anew with `keykit approve`",
                ));
            }
            taken.push(approval);
        }
        let needed = self.needed(is_dangerous);
        let given = u32::try_from(taken.len()).unwrap_or(u32::MAX);
        if given < needed {
            let why = if is_dangerous && self.danger_threshold > self.threshold { ", because it allows something dangerous" } else { "" };
            return Err(Error::refused_by_policy(
                format!("quorum-too-small: {given} of the {needed} approvals that this plan needs{why}"),
                "have more people approve with `keykit approve PLAN --key KEY -o APPROVAL`, and give each file with --approval",
            ));
        }
        if let Some(role) = self.roles.iter().find(|role| !taken.iter().any(|approval| approval.statement().role == **role)) {
            return Err(Error::refused_by_policy(
                format!("quorum-lacks-a-role: nobody in the role '{role}' has approved"),
                "have a person in that role approve with `keykit approve`",
            ));
        }
        let approved_by = taken
            .iter()
            .map(|approval| {
                let statement = approval.statement();
                (statement.name.clone(), statement.role.clone(), statement.expires)
            })
            .collect();
        Ok(QuorumOutcome { needed, approved_by })
    }
}
