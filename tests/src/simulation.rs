//! A computer and a token that are not there: every call can fail, the process can die between any two of them, and a power cut
//! leaves of what was not synced whatever the disk happened to write.

mod computer;
mod world;

pub use computer::{Computer, Fault, FaultKind, Rng};
pub use world::{SimulatedWorld, plan_of};
