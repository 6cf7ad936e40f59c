//! What a check found, with a short stable code for scripts.

use std::fmt;

use serde::Serialize;

use crate::error::{Error, Malformed};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Note,
    /// The transfer may go wrong; a person should look.
    Warning,
    /// It cannot go on.
    Problem,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A short stable name: `kek-size`, `kid-missing`, …
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What was found, in a sentence.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Byte offset in the file, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
}

impl Finding {
    fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self { code, severity, message: message.into(), hint: None, offset: None }
    }

    /// Something that stops the transfer.
    pub fn problem(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Problem, code, message)
    }

    /// Something that a person should look at.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    /// Something that is good to know.
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, message)
    }

    /// Says what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// Whether the transfer stops here.
    #[must_use]
    pub fn is_problem(&self) -> bool {
        self.severity == Severity::Problem
    }

    /// The finding as a refusal by policy.
    #[must_use]
    pub fn into_refusal(self) -> Error {
        let instead = self.hint.clone().unwrap_or_else(|| "correct it, or ask the owner of the file".into());
        Error::refused_by_policy(self.to_string(), instead)
    }

    /// The finding as an error about malformed input of `format`.
    #[must_use]
    pub fn into_malformed(self, format: &'static str) -> Error {
        Error::Malformed(Malformed { format, problem: self.to_string(), file: None, offset: self.offset, hint: self.hint })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.code)
    }
}
