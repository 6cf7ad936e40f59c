//! What the suites of `tests/tests` share.
#![forbid(unsafe_code)]

pub mod conformance;
