//! Everything that can go wrong, told apart by whose fault it is.
//!
//! One variant is one kind of reaction: the command line gives each its own exit code
//! (`docs/exit-codes.md`). Failures of cryptography carry no detail on purpose: [`Error::Crypto`]
//! says neither which check failed nor how far the operation got.

use std::fmt;
use std::path::{Path, PathBuf};

/// The result of everything fallible in keykit.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. See the module's documentation for the idea behind the variants.
#[non_exhaustive]
#[derive(Debug)]
pub enum Error {
    /// Input that does not have the form it must have (fault: the input).
    Malformed(Malformed),
    /// The password does not open this file (fault: the operator, or a damaged file; the text says what is known).
    WrongPassword {
        /// What was to be opened, for people.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The token refused the PIN (fault: the operator). Never retried.
    WrongPin {
        /// The store, as its URI.
        store: String,
        /// What the token says of the tries left, for example "the PIN is locked" or "one try left".
        tries: String,
    },
    /// A check came out negative: a signature that does not verify, a proof that failed.
    Negative {
        /// What was checked and did not hold.
        what: String,
        /// What to do, if anything.
        hint: Option<String>,
    },
    /// A rule of the migration, a policy or a quorum forbids it.
    Refused(Refusal),
    /// The store cannot do this.
    Unsupported {
        /// The operation, in words ("wrap a key out").
        operation: String,
        /// The mechanism or algorithm that is missing.
        mechanism: String,
        /// The store, as its URI or name.
        store: String,
    },
    /// The token or its module failed (fault: the token).
    Token(TokenError),
    /// A key, a token or a file that should be there is not, or is not the only one.
    NotFound {
        /// What was looked for, and where.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The destination already holds something else. Nothing was changed.
    Conflict {
        /// What is in the way.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A cryptographic operation failed. No detail, on purpose.
    Crypto,
    /// The operator's request cannot be understood (fault: the operator).
    Usage {
        /// What is wrong with the request.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A file could not be read (fault: the operator or the system).
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file could not be written. What was there before is as it was.
    Write {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The work was interrupted and can be resumed.
    Interrupted {
        /// What was going on and how to go on.
        what: String,
    },
    /// A bug in keykit: an invariant that was proven does not hold.
    Internal(String),
}

/// Input that does not have the form it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The format that was expected, for example "trusted publishing domain".
    pub format: &'static str,
    /// What is wrong, in words.
    pub problem: String,
    /// The file, once known.
    pub file: Option<PathBuf>,
    /// Byte offset in the file (or in the part that `problem` names), if known.
    pub offset: Option<u64>,
    /// What to do.
    pub hint: Option<String>,
}

/// A refusal by rule, with what to do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Number of the migration rule that refuses, if one does (docs/rules.md).
    pub rule: Option<u16>,
    /// What is refused and why.
    pub problem: String,
    /// What to do instead.
    pub instead: String,
}

/// A failed call into a PKCS#11 module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenError {
    /// The store, as its URI.
    pub store: String,
    /// The PKCS#11 function, for example `C_UnwrapKey`.
    pub function: String,
    /// The return value's name, for example `CKR_DEVICE_ERROR`.
    pub code: String,
    /// What keykit was doing.
    pub doing: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Error {
    /// Input of `format` that is wrong in the way that `problem` says.
    pub fn malformed(format: &'static str, problem: impl Into<String>) -> Self {
        Self::Malformed(Malformed { format, problem: problem.into(), file: None, offset: None, hint: None })
    }

    /// A refusal under a numbered rule.
    pub fn refused(rule: u16, problem: impl Into<String>, instead: impl Into<String>) -> Self {
        Self::Refused(Refusal { rule: Some(rule), problem: problem.into(), instead: instead.into() })
    }

    /// A refusal that no numbered rule covers.
    pub fn refused_by_policy(problem: impl Into<String>, instead: impl Into<String>) -> Self {
        Self::Refused(Refusal { rule: None, problem: problem.into(), instead: instead.into() })
    }

    /// A negative result.
    pub fn negative(what: impl Into<String>) -> Self {
        Self::Negative { what: what.into(), hint: None }
    }

    /// A request that cannot be understood.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), hint: None }
    }

    /// Names the file in an error about malformed input that does not name one yet.
    #[must_use]
    pub fn in_file(mut self, path: &Path) -> Self {
        if let Self::Malformed(malformed) = &mut self {
            malformed.file.get_or_insert_with(|| path.to_owned());
        }
        self
    }

    /// Adds the byte offset to an error about malformed input that has none yet.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        if let Self::Malformed(malformed) = &mut self {
            malformed.offset.get_or_insert(offset);
        }
        self
    }

    /// Adds a hint where the variant can carry one and has none yet.
    #[must_use]
    pub fn with_hint(mut self, text: impl Into<String>) -> Self {
        match &mut self {
            Self::Malformed(Malformed { hint, .. })
            | Self::Token(TokenError { hint, .. })
            | Self::Negative { hint, .. }
            | Self::NotFound { hint, .. }
            | Self::Conflict { hint, .. }
            | Self::Usage { hint, .. } => {
                hint.get_or_insert_with(|| text.into());
            }
            _ => {}
        }
        self
    }

    /// A short stable name of the kind, for scripts: `malformed`, `wrong-password`, …
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::WrongPassword { .. } => "wrong-password",
            Self::WrongPin { .. } => "wrong-pin",
            Self::Negative { .. } => "negative",
            Self::Refused(_) => "refused",
            Self::Unsupported { .. } => "unsupported",
            Self::Token(_) => "token",
            Self::NotFound { .. } => "not-found",
            Self::Conflict { .. } => "conflict",
            Self::Crypto => "crypto",
            Self::Usage { .. } => "usage",
            Self::Read { .. } => "read",
            Self::Write { .. } => "write",
            Self::Interrupted { .. } => "interrupted",
            Self::Internal(_) => "internal",
        }
    }

    /// The code of the finding behind the error, where a check of a transfer made it: `kek-size`, `trailing-bytes`, …
    ///
    /// It stands in brackets at the end of what is said: `… [kek-size]`.
    #[must_use]
    pub fn finding(&self) -> Option<&str> {
        let said = match self {
            Self::Malformed(malformed) => &malformed.problem,
            Self::Refused(refusal) => &refusal.problem,
            Self::Negative { what, .. } | Self::NotFound { what, .. } | Self::Conflict { what, .. } | Self::Usage { what, .. } => what,
            _ => return None,
        };
        let (_, code) = said.strip_suffix(']')?.rsplit_once(" [")?;
        let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        code.split('-').all(word).then_some(code)
    }

    /// What to do about it, if there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Malformed(Malformed { hint, .. })
            | Self::Token(TokenError { hint, .. })
            | Self::Negative { hint, .. }
            | Self::NotFound { hint, .. }
            | Self::Conflict { hint, .. }
            | Self::Usage { hint, .. } => hint.as_deref(),
            Self::WrongPassword { hint, .. } => Some(hint),
            Self::WrongPin { .. } => Some("check the PIN before you try again: keykit never retries, and a token locks itself"),
            Self::Refused(refusal) => Some(&refusal.instead),
            Self::Unsupported { .. } => Some("`keykit store keys --store URI` shows what the store is"),
            Self::Write { .. } => {
                Some("what was at that place is as it was; free some space or choose another folder, then run the same command again")
            }
            Self::Internal(_) => Some("this is a bug in keykit: stop the ceremony and report it with this message"),
            Self::Crypto | Self::Read { .. } | Self::Interrupted { .. } => None,
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        write!(f, "not a sound {}: {}", self.format, self.problem)?;
        match self.offset {
            Some(offset) => write!(f, " (at byte {offset})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::WrongPassword { what, .. } => write!(f, "the password does not open {what}"),
            Self::WrongPin { store, tries } => write!(f, "wrong PIN for {store}: {tries}"),
            Self::Negative { what, .. } | Self::Interrupted { what } => f.write_str(what),
            Self::Refused(Refusal { rule: Some(rule), problem, .. }) => write!(f, "refused by rule {rule}: {problem}"),
            Self::Refused(Refusal { problem, .. }) => write!(f, "refused: {problem}"),
            Self::Unsupported { operation, mechanism, store } => write!(f, "{store} cannot {operation}: {mechanism} is not offered"),
            Self::Token(TokenError { store, function, code, doing, .. }) => write!(f, "{function} on {store}: {code} while keykit was to {doing}"),
            Self::NotFound { what, .. } | Self::Conflict { what, .. } | Self::Usage { what, .. } => f.write_str(what),
            Self::Crypto => f.write_str("the cryptographic operation failed"),
            Self::Read { path, source } => write!(f, "can't read {}: {source}", path.display()),
            Self::Write { path, source } => write!(f, "can't write {}: {source}", path.display()),
            Self::Internal(what) => write!(f, "internal error: {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finding_is_at_the_end_in_brackets() {
        assert_eq!(Error::refused_by_policy("too small [kek-size]", "x").finding(), Some("kek-size"));
        assert_eq!(Error::malformed("file", "odd [utf-16]").in_file(Path::new("a [b]")).finding(), Some("utf-16"));
        assert_eq!(Error::negative("another hash [oaep-hash]").finding(), Some("oaep-hash"));
        for none in ["", "nothing", "[code] first", "a [Code]", "a []", "a [a b]", "a [a-]", "tight[code]"] {
            assert_eq!(Error::negative(none).finding(), None, "{none}");
        }
        assert_eq!(Error::Crypto.finding(), None);
    }
}
