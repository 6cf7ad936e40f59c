//! Plans: no input panics, and what is read is, byte for byte, what is written.

use keykit::migration::plan::{Plan, diff, show};

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    if let Ok(plan) = Plan::parse(data) {
        assert_eq!(plan.to_bytes().expect("what was read can be written"), data);
        assert!(diff(&plan, &plan).expect("a plan can be compared").is_empty());
        show(&plan).expect("a plan can be shown");
        return true;
    }
    false
}
