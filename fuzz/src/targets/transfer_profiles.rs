//! Files of transfer profiles (TOML): no input panics, and what is read can be used.

use keykit::transfer::{TransferProfile, Values};

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    if let Ok(profiles) = TransferProfile::parse_file(text) {
        assert!(!profiles.is_empty());
        for profile in profiles {
            assert!(profile.kek.bits.iter().all(|bits| [2048, 3072, 4096].contains(bits)));
            assert_eq!(profile.next_commands(&Values::new()).len(), profile.next.len());
        }
        return true;
    }
    false
}
