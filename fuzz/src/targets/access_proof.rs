//! Proofs of access that a report takes in: no input panics, and what is read has counts that add up.

use keykit::ceremony::report::AccessProof;

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    if let Ok(proof) = AccessProof::parse(data) {
        assert_eq!(proof.not_protected + proof.opens + proof.lost + proof.unknown, proof.files);
        assert_eq!(proof.proven, proof.lost == 0 && proof.unknown == 0);
        return true;
    }
    false
}
