//! The fuzz targets of keykit: what each of them does with an input, and inputs to begin with.
//!
//! The programs in `fuzz_targets/` hand their inputs to [`targets`]. They need libFuzzer, which is C++, and find most with a nightly
//! compiler; see `README.md`. So that the targets are held to their promises on every change, the tests of this crate run each of
//! them on its [`seeds`] and on some thousand inputs that are made from them by chance.
#![forbid(unsafe_code)]
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::missing_panics_doc, reason = "a panic is what a target is for")]

pub mod seeds;
#[cfg(test)]
mod smoke;
pub mod targets;
