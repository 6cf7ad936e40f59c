//! Proof of access: every protected file of a share is found, and its licence is opened under the keys of the tenant.
//!
//! The licence is opened, not the content: that is enough to know that the service can still give its readers a licence,
//! and no document is decrypted.
//!
//! | module | what it knows |
//! |---|---|
//! | [`search`](mod@search) | where licences lie: protected files, Office documents, mail, and all of these inside archives and mail |
//! | [`prove`] | licences under keys, in batches; what became of each file |
//! | [`summary`] | the result per key, the files that would be lost, CSV |
//! | [`accepted`] | files that a custodian accepts unread, by name and with a reason |
//! | [`sample`] | a part of a share that is too large, and what the part says of the whole |
#![forbid(unsafe_code)]

pub mod accepted;
pub mod prove;
pub mod sample;
pub mod search;
pub mod summary;

pub use prove::{AccessSurvey, FileFinding, FileVerdict, LicenceProblem, LicenceVerdict, NamedServer};
pub use search::{Limits, search};
pub use summary::Summary;
