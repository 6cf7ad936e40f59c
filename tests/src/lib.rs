//! What the suites of several crates share: sample clusters, tokens, tables of the documentation.
#![forbid(unsafe_code)]
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

pub mod browser;
pub mod child;
pub mod documentation;
pub mod kryoptic;
pub mod nshield;
pub mod samples;
pub mod schema;
pub mod simulation;
pub mod softhsm;
pub mod tokens;
pub mod transfers;
