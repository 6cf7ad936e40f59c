//! Benchmarks of keykit: `cargo bench -p keykit-benches`.
#![forbid(unsafe_code)]
