//! What a verification found.

use serde::Serialize;

use crate::error::{Error, Result};

/// Why a check that is not as planned is no failure, or one that is not shown is no damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It was as planned, and was changed afterwards by an operation that recorded it; `detail` names it.
    ChangedLater,
    /// The store did not answer: nothing is known of it. `detail` is what the store said.
    CouldNotBeChecked,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable name, for example `key-is-at-its-target-once`.
    pub name: &'static str,
    /// The key, template, file or folder that it is about.
    pub about: String,
    /// Whether it is as planned, or was changed later on purpose.
    pub ok: bool,
    /// What there is to say beside `ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What was seen.
    pub detail: String,
}

impl Check {
    /// Whether something is there that should not be, or is not there that should be.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        !self.ok && self.reason != Some(Reason::CouldNotBeChecked)
    }

    /// Whether the store did not answer.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.reason == Some(Reason::CouldNotBeChecked)
    }

    /// How it came out, in a word for tables.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match (self.ok, self.reason) {
            (_, Some(Reason::ChangedLater)) => "changed later",
            (_, Some(Reason::CouldNotBeChecked)) => "NOT CHECKED",
            (true, None) => "held",
            (false, None) => "FAILED",
        }
    }
}

/// Everything that was looked at.
#[derive(Debug, Default)]
pub struct Findings {
    /// In the order in which it was looked at.
    pub checks: Vec<Check>,
    /// What the first store that did not answer said.
    pub unavailable: Option<Error>,
}

impl Findings {
    /// Whether all is as planned, or was changed later on purpose.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }

    /// Whether a check failed, whatever could not be checked beside it.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        self.checks.iter().any(Check::is_failure)
    }

    /// Writes down what was seen.
    pub(in crate::migration) fn note(&mut self, name: &'static str, about: &str, ok: bool, detail: impl Into<String>) {
        self.push(name, about, ok, None, detail.into());
    }

    /// Writes down what was changed later; `seen` is what is there now.
    pub(super) fn note_later(&mut self, name: &'static str, about: &str, seen: &str, change: &str) {
        self.push(name, about, true, Some(Reason::ChangedLater), format!("{seen}; changed later: {change}"));
    }

    /// Writes down that a check ended in an error: it failed, unless the store did not answer.
    pub(in crate::migration) fn note_error(&mut self, name: &'static str, about: &str, error: Error) {
        let reason = is_no_answer(&error).then_some(Reason::CouldNotBeChecked);
        self.push(name, about, false, reason, error.to_string());
        if reason.is_some() {
            self.unavailable.get_or_insert(error);
        }
    }

    /// Writes down that a store could not be opened: what is in it is not known, also if it is not there at all.
    pub(in crate::migration) fn note_not_opened(&mut self, name: &'static str, about: &str, error: Error) {
        if matches!(error, Error::NotFound { .. }) {
            self.push(name, about, false, Some(Reason::CouldNotBeChecked), error.to_string());
            self.unavailable.get_or_insert(error);
        } else {
            self.note_error(name, about, error);
        }
    }

    fn push(&mut self, name: &'static str, about: &str, ok: bool, reason: Option<Reason>, detail: String) {
        self.checks.push(Check { name, about: about.to_owned(), ok, reason, detail });
    }

    /// How many checks were made, or what the first that failed says.
    ///
    /// # Errors
    /// [`Error::Negative`] if a check failed; what the store said if none did and it did not answer.
    pub fn require(self) -> Result<String> {
        let failed: Vec<&Check> = self.checks.iter().filter(|check| check.is_failure()).collect();
        match (failed.first(), self.unavailable) {
            (None, None) => Ok(format!("{} checks held", self.checks.len())),
            (None, Some(error)) => Err(error),
            (Some(first), _) => Err(Error::Negative {
                what: format!(
                    "{} of {} checks failed; the first is '{}' of {}: {}",
                    failed.len(),
                    self.checks.len(),
                    first.name,
                    first.about,
                    first.detail
                ),
                hint: Some("`keykit verify PLAN` lists all of them; switch nothing off before they hold".into()),
            }),
        }
    }
}

/// Whether an error says something of the token and nothing of what was looked for in it.
fn is_no_answer(error: &Error) -> bool {
    matches!(error, Error::Token(_) | Error::WrongPin { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::TokenError;

    fn lost() -> Error {
        Error::Token(TokenError {
            store: "pkcs11:token=t".into(),
            function: "C_FindObjectsInit".into(),
            code: "CKR_TOKEN_NOT_PRESENT".into(),
            doing: "list the keys".into(),
            hint: None,
        })
    }

    #[test]
    fn a_store_that_does_not_answer_is_no_failure_and_nothing_is_shown() {
        let mut findings = Findings::default();
        findings.note("tenant-is-there", "t", true, "");
        findings.note_error("target-lists-its-keys", "t", lost());
        assert!(!findings.is_sound() && !findings.has_failures());
        assert_eq!(findings.checks.iter().map(Check::outcome).collect::<Vec<_>>(), ["held", "NOT CHECKED"]);
        assert_eq!(findings.require().unwrap_err().code(), "token");
    }

    #[test]
    fn a_failure_goes_before_a_store_that_does_not_answer() {
        let mut findings = Findings::default();
        findings.note_error("target-lists-its-keys", "t", lost());
        findings.note_error("key-is-at-its-target-once", "k", Error::NotFound { what: "no such key".into(), hint: None });
        assert!(findings.has_failures());
        let error = findings.require().unwrap_err();
        assert!(error.code() == "negative" && error.to_string().contains("1 of 2 checks failed"), "{error}");
    }

    #[test]
    fn what_was_changed_later_holds() {
        let mut findings = Findings::default();
        findings.note_later("custodians-are-those-of-the-plan", "t", "2 of 3", "custodians");
        assert!(findings.is_sound());
        assert_eq!(findings.require().unwrap(), "1 checks held");
    }
}
