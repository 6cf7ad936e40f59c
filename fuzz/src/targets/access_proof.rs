//! Proofs of access that a report takes in: no input panics, and what is read has counts that add up.

use keykit::ceremony::report::AccessProof;

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    if let Ok(proof) = AccessProof::parse(data) {
        let unread = proof.unknown + proof.not_looked_into;
        assert_eq!(proof.not_protected + proof.opens + proof.lost + unread, proof.files);
        assert!(proof.accepted <= unread && proof.accepted_files.len() as u64 <= proof.accepted);
        assert_eq!(proof.proven, proof.lost == 0 && unread == proof.accepted && proof.opens > 0 && proof.empty_folders.is_empty());
        return true;
    }
    false
}
