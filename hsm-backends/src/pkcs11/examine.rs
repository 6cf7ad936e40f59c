//! What a token says, and what it really does: measured with session objects only, so that nothing stays behind.
//!
//! What the store's own self-tests know ([`super::KwpAbility`] and its kin) is taken from there, not measured again.

mod attributes;
mod defaults;
mod description;
mod keys;
mod transport;

use cryptoki::error::RvError;
use cryptoki::session::Session;
use keykit::{Error, Result};
use serde::Serialize;

pub use description::{ModuleDescription, SlotFacts};

use super::error::CallError;
use super::mechanism::MechanismDescription;
use super::self_test::TestError;
use super::store::Pkcs11Store;

/// How a measurement came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it must be.
    Right,
    /// Not as it must be.
    Wrong,
    /// The token does not offer it.
    Unavailable,
    /// Neither right nor wrong: how this token does it.
    Fact,
}

/// One measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Measurement {
    /// What was measured, for example `sign/CKM_RSA_PKCS/SHA-256`. The same in every run and for every token.
    pub name: String,
    /// How it came out.
    pub verdict: Verdict,
    /// What the token did, in words or as a return value.
    pub detail: String,
}

/// Everything that is known of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// The module.
    pub module: ModuleDescription,
    /// Slot and token.
    pub token: SlotFacts,
    /// Every mechanism, by number.
    pub mechanisms: Vec<MechanismDescription>,
    /// What it really does, by name.
    pub measurements: Vec<Measurement>,
}

impl Pkcs11Store {
    /// Examines the token. Only session objects are made, and none is left.
    ///
    /// # Errors
    /// [`Error::Token`] if the token is lost or cannot make a session or a key at all.
    pub fn examine(&self) -> Result<Examination> {
        let (module, token) = self.describe()?;
        let mut measurements = self.examine_attributes()?;
        measurements.extend(self.measure(|findings| {
            keys::measure(findings)?;
            defaults::measure(findings)?;
            transport::measure(findings)
        })?);
        transport::measure_wrapping(self, &mut measurements)?;
        measurements.extend(self.measure_sessions()?);
        measurements.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(Examination { module, token, mechanisms: self.mechanisms()?, measurements })
    }

    /// Examines what protects keys: attributes that can't be weakened, keys that don't leave, blobs that are not sound.
    ///
    /// # Errors
    /// As [`Self::examine`].
    pub fn examine_attributes(&self) -> Result<Vec<Measurement>> {
        self.measure(attributes::measure)
    }

    fn measure(&self, work: impl FnOnce(&mut Findings<'_>) -> Result<(), TestError>) -> Result<Vec<Measurement>> {
        self.with_session(|session| {
            let mut findings = Findings { store: self, session, list: Vec::new() };
            match work(&mut findings) {
                Ok(()) => Ok(findings.list),
                Err(TestError::Call(error)) => Err(self.failed(error, "examine it")),
                Err(TestError::Keykit(error)) => Err(error),
            }
        })
    }

    /// How many sessions the token gives, and whether it works for several threads.
    fn measure_sessions(&self) -> Result<Vec<Measurement>> {
        keys::measure_sessions(self)
    }
}

/// Measurements on one session.
struct Findings<'a> {
    store: &'a Pkcs11Store,
    session: &'a Session,
    list: Vec<Measurement>,
}

impl Findings<'_> {
    fn add(&mut self, name: impl Into<String>, verdict: Verdict, detail: impl Into<String>) {
        self.list.push(Measurement { name: name.into(), verdict, detail: detail.into() });
    }

    /// Something that must work: `Ok(true)` if it gave what it must.
    fn must_work(&mut self, name: impl Into<String>, result: Result<bool, CallError>) -> Result<(), CallError> {
        match result {
            Ok(true) => self.add(name, Verdict::Right, "works"),
            Ok(false) => self.add(name, Verdict::Wrong, "gives another result"),
            Err(error) if error.is_loss() => return Err(error),
            Err(error) => self.add(name, Verdict::Unavailable, error.name()),
        }
        Ok(())
    }

    /// Something that must be refused.
    fn must_refuse<T>(&mut self, name: impl Into<String>, result: Result<T, CallError>) -> Result<(), CallError> {
        match result {
            Ok(_) => self.add(name, Verdict::Wrong, "it was allowed"),
            Err(error) if error.is_loss() => return Err(error),
            Err(error) => self.add(name, verdict_of_refusal(&error), error.name()),
        }
        Ok(())
    }

    /// A positive control: the like of what must be refused, that must work. Where it does not, the refusals under `prefix` say
    /// nothing of the token, and count as not offered.
    fn control(&mut self, prefix: &str, name: impl Into<String>, result: Result<bool, CallError>) -> Result<(), CallError> {
        let works = matches!(result, Ok(true));
        self.must_work(name, result)?;
        if !works {
            without_control(&mut self.list, prefix);
        }
        Ok(())
    }
}

/// A token that cannot do something at all does not refuse it.
fn verdict_of_refusal(error: &CallError) -> Verdict {
    match error.code() {
        Some(RvError::MechanismInvalid | RvError::MechanismParamInvalid | RvError::FunctionNotSupported) => Verdict::Unavailable,
        _ => Verdict::Right,
    }
}

fn without_control(list: &mut [Measurement], prefix: &str) {
    for refusal in list.iter_mut().filter(|one| one.verdict == Verdict::Right && one.name.starts_with(prefix)) {
        refusal.verdict = Verdict::Unavailable;
        refusal.detail = format!("{}, and so is what should work", refusal.detail);
    }
}

/// An error of keykit's own part, or of a call that says that the token is lost; any other is the token's answer.
fn answer<T>(result: Result<T, TestError>) -> Result<Result<T, CallError>, TestError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(TestError::Call(error)) if !error.is_loss() => Ok(Err(error)),
        Err(error) => Err(error),
    }
}

impl From<cryptoki::error::Error> for TestError {
    fn from(error: cryptoki::error::Error) -> Self {
        Self::Call(error.into())
    }
}

/// The name of what went wrong inside a store, for measurements that go through its contract.
fn name_of(error: &Error) -> String {
    match error {
        Error::Token(token) => token.code.clone(),
        Error::Unsupported { mechanism, .. } => format!("{mechanism} is not offered"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use cryptoki_sys::{CKR_ARGUMENTS_BAD, CKR_FUNCTION_NOT_SUPPORTED, CKR_GENERAL_ERROR, CKR_KEY_UNEXTRACTABLE, CKR_MECHANISM_INVALID};

    use super::*;

    #[test]
    fn what_a_token_cannot_do_at_all_is_no_refusal() {
        for (code, verdict) in [
            (CKR_KEY_UNEXTRACTABLE, Verdict::Right),
            (CKR_GENERAL_ERROR, Verdict::Right),
            // The answer to nothing at all, on SoftHSM.
            (CKR_ARGUMENTS_BAD, Verdict::Right),
            (CKR_MECHANISM_INVALID, Verdict::Unavailable),
            (CKR_FUNCTION_NOT_SUPPORTED, Verdict::Unavailable),
        ] {
            assert_eq!(verdict_of_refusal(&CallError::from_code("C_WrapKey", code)), verdict);
        }
    }

    #[test]
    fn a_refusal_without_its_control_says_nothing() {
        let one = |name: &str, verdict| Measurement { name: name.into(), verdict, detail: "CKR_X".into() };
        let mut list = vec![one("refuse/M/a", Verdict::Right), one("refuse/M/b", Verdict::Wrong), one("refuse/N/a", Verdict::Right)];
        without_control(&mut list, "refuse/M/");
        assert_eq!(list.iter().map(|one| one.verdict).collect::<Vec<_>>(), [Verdict::Unavailable, Verdict::Wrong, Verdict::Right]);
        assert_eq!(list[0].detail, "CKR_X, and so is what should work");
    }
}
