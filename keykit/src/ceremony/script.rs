//! The script of a ceremony: what the people in the room read, do, see, and initial, step by step.
//!
//! It is made from the plan alone, so it is the same wherever it is made, and no secret is in it. [`Script`] is the content;
//! [`markdown`] and [`page`] put it on paper.

mod content;
mod failure;
mod markdown;
mod page;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use failure::Failure;
pub use markdown::markdown;
pub use page::page;

use super::signed_note::key_name;
use crate::error::Result;
use crate::key::KeyId;
use crate::migration::plan::Plan;

/// What the operator is asked before a step.
pub const QUESTION: &str = "go, stop, or note TEXT";
/// What the operator is asked at a step that a person does by hand.
pub const QUESTION_BY_HAND: &str = "done, stop, or note TEXT";
/// What is asked before the first step: whether the source is quiet.
pub const QUESTION_OF_SOURCE: &str = "is the source quiet until the run has ended? quiet, stop, or note TEXT";
/// Who is asked for by name.
pub const QUESTIONS_OF_PEOPLE: [&str; 2] = ["name of the operator", "name of the witness"];
/// How many words of the hash a witness types back.
pub const WITNESSED_WORDS: usize = 2;

/// The line with which a step begins on the screen.
#[must_use]
pub fn step_line(number: usize, total: usize, id: &str) -> String {
    format!("[{number}/{total}] {id}")
}

/// The name of the transcript of a plan file, beside it.
#[must_use]
pub fn transcript_name(plan_file: &str) -> String {
    format!("{}.transcript.jsonl", plan_file.strip_suffix(".json").unwrap_or(plan_file))
}

/// A script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Script {
    /// Who migrates.
    pub organisation: String,
    /// Where the keys go, in words.
    pub tenant: String,
    /// Hash of the plan, 64 hex digits.
    pub plan: String,
    /// The same as PGP words.
    pub words: Vec<String>,
    /// Name of the plan file.
    pub plan_file: String,
    /// How many must approve, in words.
    pub approvals: String,
    /// What is allowed although it is dangerous.
    pub dangers: Vec<String>,
    /// The people.
    pub people: Vec<Person>,
    /// The files, each with its SHA-256.
    pub files: Vec<CheckedFile>,
    /// The keys, each with its check value.
    pub keys: Vec<CheckedKey>,
    /// How the check values are made, in sentences.
    pub check_values: Vec<String>,
    /// What the people who approve must know.
    pub findings: Vec<String>,
    /// What is done, in this order.
    pub parts: Vec<Part>,
    /// What to do after which exit code.
    pub failures: Vec<Failure>,
}

/// A person in the room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// Name; empty where the plan names nobody, to be filled in by hand.
    pub name: String,
    /// Role.
    pub role: String,
    /// SHA-256 of the key that the person approves with, as OpenSSH shows it; empty for people who approve nothing.
    pub key: String,
}

/// A file with its check value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckedFile {
    /// Its path, as the plan has it.
    pub path: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// SHA-256 of its content, in hex.
    pub sha256: String,
    /// The same as PGP words.
    pub words: Vec<String>,
}

/// A key with its check value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckedKey {
    /// Its identity, which is its check value.
    pub key_id: KeyId,
    /// The same as PGP words.
    pub words: Vec<String>,
    /// Size, mode, path and origin, in words.
    pub about: String,
    /// Whether a key that wraps it has a check value of its own, to be written down by hand.
    pub is_wrapped: bool,
}

/// A part of the script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Heading.
    pub title: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Its steps.
    pub steps: Vec<Task>,
}

/// A step of the script.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Task {
    /// Name of the step of the plan, if it is one.
    pub id: Option<String>,
    /// What is done.
    pub what: String,
    /// What belongs to it, in sentences.
    pub details: Vec<String>,
    /// The commands, each a line for a POSIX shell.
    pub commands: Vec<String>,
    /// What the screen shows.
    pub expected: Vec<String>,
    /// What to do when it fails, beside the table at the end.
    pub when_it_fails: String,
    /// What `keykit abort` can do about it.
    pub undo: String,
    /// What is to be written down beside time and initials.
    pub to_fill_in: Vec<&'static str>,
}

/// Names of what is typed and of what is seen.
const TYPE: &str = "Type";
const SCREEN: &str = "The screen shows";

impl Task {
    /// What is typed and what is seen, in the order of time: steps of the plan ask first.
    fn screen_and_commands(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        let (typed, seen) = ((TYPE, self.commands.as_slice()), (SCREEN, self.expected.as_slice()));
        if self.id.is_some() { [seen, typed] } else { [typed, seen] }.into_iter()
    }
}

impl Script {
    /// The script of a plan. `plan_file` is the name of its file, as the commands are to name it.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] never in practice.
    pub fn of(plan: &Plan, plan_file: &str) -> Result<Self> {
        let hash = plan.hash()?;
        let words = words_of(&hash.parse::<KeyId>()?);
        Ok(Self {
            organisation: plan.organisation.clone(),
            tenant: content::tenant(plan),
            plan_file: plan_file.to_owned(),
            approvals: content::approvals(plan),
            dangers: plan.dangers.clone(),
            people: content::people(plan),
            files: content::files(plan)?,
            keys: content::keys(plan),
            check_values: content::check_values(),
            findings: content::findings(plan),
            parts: content::parts(plan, &hash, &words.join(" "), plan_file),
            words,
            failures: failure::table(plan_file),
            plan: hash,
        })
    }

    /// The command with which the run is given up.
    fn abort_command(&self) -> String {
        format!("keykit abort {} --reason 'WHY'", quoted(&self.plan_file))
    }

    /// Lines of eight words with their places, as the witness is asked for them.
    fn numbered(words: &[String]) -> impl Iterator<Item = Vec<(usize, &str)>> {
        let numbered: Vec<(usize, &str)> = words.iter().enumerate().map(|(at, word)| (at + 1, word.as_str())).collect();
        numbered.chunks(8).map(<[_]>::to_vec).collect::<Vec<_>>().into_iter()
    }
}

/// A store as paper may show it: where its PIN comes from is nobody's business.
fn without_pin(store: &str) -> String {
    let Some((path, query)) = store.split_once('?') else { return store.to_owned() };
    let shown: Vec<&str> = query.split('&').filter(|attribute| !attribute.starts_with("pin-")).collect();
    if shown.is_empty() { path.to_owned() } else { format!("{path}?{}", shown.join("&")) }
}

/// The same as a command takes it: the PIN is asked for.
fn with_prompt(store: &str) -> String {
    let store = without_pin(store);
    let joint = if store.contains('?') { '&' } else { '?' };
    format!("{store}{joint}pin-source=prompt")
}

fn words_of(id: &KeyId) -> Vec<String> {
    id.words().split_whitespace().map(str::to_owned).collect()
}

/// An argument as a POSIX shell takes it.
fn quoted(argument: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@,+%".contains(&byte);
    if !argument.is_empty() && argument.bytes().all(is_plain) { argument.to_owned() } else { format!("'{}'", argument.replace('\'', "'\\''")) }
}

/// Name of the approval file of a person.
fn approval_file(name: &str) -> String {
    format!("{}.approval", key_name(name).to_lowercase().replace(['/', '\\'], "-"))
}
