//! What the suites of several crates share: sample clusters, tokens, conformance.
#![forbid(unsafe_code)]

pub mod samples;
pub mod tokens;
