//! The people of a ceremony: their keys, their approvals, and the quorum that a plan demands.
//!
//! Approvals are signatures of OpenSSH (SSHSIG) by Ed25519 keys. So a custodian may use a key that keykit made, one that exists,
//! or one in an agent or in hardware with `ssh-keygen -Y sign -n keykit-plan`; and anybody can check them with
//! `ssh-keygen -Y verify`. No secret is shared or split here.

mod approval;
mod custodian;
pub mod html;
pub mod qr;
mod quorum;
pub mod report;
pub mod script;
pub mod signed_note;
#[cfg(test)]
mod tests;
pub mod transcript;

pub use approval::{Approval, ApprovalProblem, NAMESPACE, Statement};
pub use custodian::{CustodianKey, CustodianPublicKey};
pub use quorum::{ApprovalPolicy, Approver, QuorumOutcome};
