//! What to do when a command ends otherwise than it should.

use serde::Serialize;

use super::quoted;

/// A row of the table of failures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Exit code, which `echo $?` shows.
    pub exit: u8,
    /// What it means.
    pub meaning: &'static str,
    /// What the room does.
    pub action: String,
}

/// What the room does after each exit code.
pub(super) fn table(plan_file: &str) -> Vec<Failure> {
    let plan = quoted(plan_file);
    let resume = format!("keykit resume {plan} --ceremony");
    [
        (1, "a check came out negative", "read out which; switch nothing off; the auditor decides whether the ceremony goes on".to_owned()),
        (2, "the command can't be understood, or a file is not there", "compare with the script, letter by letter, and type it again".to_owned()),
        (3, "a file is malformed; the message names file and place", "stop; keep the file; bring a sound copy and record a deviation".to_owned()),
        (4, "a rule, the policy or the quorum refuses", "do what the hint says; if that is not in this script, stop and plan anew".to_owned()),
        (5, "the token failed", format!("see to the token and its cables, then: {resume}")),
        (
            6,
            "wrong PIN or password; keykit does not try again",
            format!("two people check what is typed, then: {resume}. A token locks itself after a few tries"),
        ),
        (7, "the token can't do it", "stop; abort; another token or another path needs a new plan".to_owned()),
        (8, "interrupted, or the disk is full", format!("see to the cause (power, space), then: {resume}")),
        (9, "something else is in the place", format!("stop; a person must look; `keykit verify {plan}` shows what is there")),
        (70, "a bug in keykit", "stop; keep all files; report it".to_owned()),
    ]
    .into_iter()
    .map(|(exit, meaning, action)| Failure { exit, meaning, action })
    .collect()
}
