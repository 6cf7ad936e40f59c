//! Proofs of access that a report takes in: no input panics, and what is read has counts that add up.
#![no_main]

use keykit::ceremony::report::AccessProof;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(proof) = AccessProof::parse(data) {
        assert_eq!(proof.not_protected + proof.opens + proof.lost + proof.unknown, proof.files);
        assert_eq!(proof.proven, proof.lost == 0 && proof.unknown == 0);
    }
});
