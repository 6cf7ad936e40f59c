//! Exit codes, one for each kind of reaction (docs/exit-codes.md).

use keykit::Error;

/// Done.
pub(crate) const DONE: u8 = 0;
/// A check came out negative.
pub(crate) const NEGATIVE: u8 = 1;
/// The command line can't be understood.
pub(crate) const USAGE: u8 = 2;

/// A rule refuses.
pub(crate) const REFUSED: u8 = 4;

/// The exit code of an error.
pub(crate) fn code_of(error: &Error) -> u8 {
    match error {
        Error::Negative { .. } | Error::Crypto => NEGATIVE,
        Error::Usage { .. } | Error::Read { .. } | Error::NotFound { .. } => USAGE,
        Error::Malformed(_) => 3,
        Error::Refused(_) => REFUSED,
        Error::Token(_) => 5,
        Error::WrongPin { .. } | Error::WrongPassword { .. } => 6,
        Error::Unsupported { .. } => 7,
        Error::Write { .. } | Error::Interrupted { .. } => 8,
        Error::Conflict { .. } => 9,
        // `Internal`, and kinds that this program does not know.
        _ => 70,
    }
}
