//! An approval: a signed statement over the hash of a plan.

use std::fmt;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use ssh_key::{LineEnding, SshSig};

use super::custodian::{CustodianKey, CustodianPublicKey};
use crate::canonical;
use crate::durable;
use crate::error::{Error, Result};

const FORMAT: &str = "approval";
const SCHEMA: &str = "keykit/approval/1";
const STATEMENT_SCHEMA: &str = "keykit/approval-statement/1";
/// Largest file that is read, in bytes.
const LIMIT: u64 = 64 << 10;

/// The namespace of the signatures: they count for plans and for nothing else.
pub const NAMESPACE: &str = "keykit-plan";

/// What a person signs: one line of canonical JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    pub(super) schema: String,
    /// Hash of the plan, 64 hex digits.
    pub plan: String,
    /// Who approves.
    pub name: String,
    /// In which role.
    pub role: String,
    /// When (RFC 3339, UTC, whole seconds).
    pub approved: Timestamp,
    /// Until when it counts.
    pub expires: Timestamp,
}

impl Statement {
    /// A statement of a person about a plan, made now.
    ///
    /// # Errors
    /// [`Error::Usage`] for a time that no calendar knows.
    pub fn new(plan: &str, name: &str, role: &str, now: Timestamp, valid_days: u32) -> Result<Self> {
        let approved = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let expires = approved
            .checked_add(SignedDuration::from_hours(i64::from(valid_days).saturating_mul(24)))
            .map_err(|_| Error::usage(format!("an approval can't hold for {valid_days} days")))?;
        Ok(Self { schema: STATEMENT_SCHEMA.to_owned(), plan: plan.to_owned(), name: name.to_owned(), role: role.to_owned(), approved, expires })
    }

    /// The text that is signed: canonical JSON and a line feed.
    ///
    /// # Errors
    /// [`Error::Internal`] never in practice.
    pub fn to_text(&self) -> Result<String> {
        Ok(format!("{}\n", canonical::to_string(self)?))
    }

    /// Reads the text that was signed; only the one canonical form is taken.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(text: &str) -> Result<Self> {
        let malformed = |problem: String| Error::malformed(FORMAT, problem);
        let statement: Self = serde_json::from_str(text).map_err(|error| malformed(format!("its statement: {error}")))?;
        if statement.schema != STATEMENT_SCHEMA {
            return Err(malformed(format!("its statement is of schema {}, this program knows {STATEMENT_SCHEMA}", statement.schema)));
        }
        if statement.to_text()? != text {
            return Err(malformed("its statement is not in canonical form: somebody edited or reformatted it".into()));
        }
        Ok(statement)
    }
}

/// What speaks against an approval. Each has a stable code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApprovalProblem {
    /// It is about another plan: its hash.
    OtherPlan(String),
    /// The key is not among the approvers of the plan.
    Foreign(String),
    /// The key belongs to another name or role than the statement says: what the plan says.
    OtherPerson(String),
    /// The signature is not by that key over that statement.
    BadSignature,
    /// It ended at this time.
    Expired(Timestamp),
    /// It was made at this time, which is still to come.
    FromTheFuture(Timestamp),
    /// It holds for more days than the plan allows.
    HoldsTooLong(u32),
    /// The same person has approved already.
    Repeated,
}

impl ApprovalProblem {
    /// A short stable name, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherPlan(_) => "approval-of-another-plan",
            Self::Foreign(_) => "approval-foreign",
            Self::OtherPerson(_) => "approval-of-another-person",
            Self::BadSignature => "approval-bad-signature",
            Self::Expired(_) => "approval-expired",
            Self::FromTheFuture(_) => "approval-from-the-future",
            Self::HoldsTooLong(_) => "approval-holds-too-long",
            Self::Repeated => "approval-repeated",
        }
    }
}

impl fmt::Display for ApprovalProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherPlan(hash) => write!(f, "it approves another plan, {hash}"),
            Self::Foreign(fingerprint) => write!(f, "its key {fingerprint} is not among the approvers of this plan"),
            Self::OtherPerson(who) => write!(f, "its key belongs to {who} by this plan, which is not what the statement says"),
            Self::BadSignature => f.write_str("its signature is not by that key over that statement"),
            Self::Expired(at) => write!(f, "it held until {at}"),
            Self::FromTheFuture(at) => write!(f, "it was made at {at}, which is still to come by the clock of this computer"),
            Self::HoldsTooLong(days) => write!(f, "it holds for longer than the {days} days that the plan allows"),
            Self::Repeated => f.write_str("the same person has approved already: one person counts once"),
        }
    }
}

/// A statement and its signature, as they stand in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    statement: Statement,
    text: String,
    signature: SshSig,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApprovalFile {
    schema: String,
    statement: String,
    signature: String,
}

impl Approval {
    /// Signs a statement.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn sign(statement: Statement, key: &CustodianKey) -> Result<Self> {
        let text = statement.to_text()?;
        let signature = key.sign(NAMESPACE, text.as_bytes())?;
        Ok(Self { statement, text, signature })
    }

    /// Joins a statement and a signature that another program made, `ssh-keygen -Y sign -n keykit-plan` for example.
    ///
    /// # Errors
    /// [`Error::Malformed`]. Whether the signature is right is checked with the quorum.
    pub fn join(statement: &str, signature: &str) -> Result<Self> {
        let signature = SshSig::from_pem(signature.trim_start()).map_err(|error| Error::malformed(FORMAT, format!("its signature: {error}")))?;
        Ok(Self { statement: Statement::parse(statement)?, text: statement.to_owned(), signature })
    }

    /// What was signed.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The key of the signature, if it is of Ed25519.
    #[must_use]
    pub fn key(&self) -> Option<CustodianPublicKey> {
        CustodianPublicKey::of_signature(&self.signature)
    }

    /// Whether the signature is by this key over this statement.
    #[must_use]
    pub fn is_signed_by(&self, key: &CustodianPublicKey) -> bool {
        key.verifies(NAMESPACE, self.text.as_bytes(), &self.signature)
    }

    /// Reads an approval file.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let file: ApprovalFile = serde_json::from_slice(bytes).map_err(|error| Error::malformed(FORMAT, error.to_string()))?;
        if file.schema != SCHEMA {
            return Err(Error::malformed(FORMAT, format!("its schema is {}, this program knows {SCHEMA}", file.schema)));
        }
        Self::join(&file.statement, &file.signature)
    }

    /// Reads an approval file.
    ///
    /// # Errors
    /// As [`Self::parse`], and [`Error::Read`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&durable::read(path, LIMIT, FORMAT)?).map_err(|error| error.in_file(path))
    }

    /// The file: JSON, the statement as the very text that was signed.
    ///
    /// # Errors
    /// [`Error::Internal`] never in practice.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let signature = self.signature.to_pem(LineEnding::LF).map_err(|error| Error::Internal(format!("encoding a signature: {error}")))?;
        let file = ApprovalFile { schema: SCHEMA.to_owned(), statement: self.text.clone(), signature };
        let mut bytes = serde_json::to_vec_pretty(&file).map_err(|error| Error::Internal(format!("encoding an approval: {error}")))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
