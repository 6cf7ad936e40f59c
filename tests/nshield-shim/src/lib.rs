//! SoftHSM with the face of an nShield module, for tests. `README.md` says what is imitated and how well it is known.

mod faults;
pub mod identity;
mod module;
