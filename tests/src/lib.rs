//! Suites that cross crates live in this package's `tests/` folder. This library is what they share: test tokens.
#![forbid(unsafe_code)]

pub mod fixture;
