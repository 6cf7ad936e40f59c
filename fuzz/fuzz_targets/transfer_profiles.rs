//! Files of transfer profiles (TOML): no input panics, and what is read can be used.
#![no_main]

use keykit::transfer::{TransferProfile, Values};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(profiles) = TransferProfile::parse_file(text) {
        assert!(!profiles.is_empty());
        for profile in profiles {
            assert!(profile.kek.bits.iter().all(|bits| [2048, 3072, 4096].contains(bits)));
            assert_eq!(profile.next_commands(&Values::new()).len(), profile.next.len());
        }
    }
});
