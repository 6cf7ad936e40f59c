//! What the suites of several crates share: conformance, sample clusters, tokens.
#![forbid(unsafe_code)]
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

pub mod child;
pub mod conformance;
pub mod kryoptic;
pub mod nshield;
pub mod samples;
pub mod softhsm;
pub mod tokens;
