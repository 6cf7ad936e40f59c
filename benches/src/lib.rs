//! Benchmarks of keykit: `cargo bench -p keykit-benches`, and what `cargo xtask bench` and its instruction counts work on.
#![forbid(unsafe_code)]

mod timed;
mod workload;

pub use timed::Timed;
pub use workload::Workload;
