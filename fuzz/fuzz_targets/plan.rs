//! Plans: no input panics, and what is read is, byte for byte, what is written.
#![no_main]

use keykit::migration::plan::{Plan, diff, show};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(plan) = Plan::parse(data) {
        assert_eq!(plan.to_bytes().expect("what was read can be written"), data);
        assert!(diff(&plan, &plan).expect("a plan can be compared").is_empty());
        show(&plan).expect("a plan can be shown");
    }
});
