//! The linter of transfer files: no input panics, and nothing with a problem suits a profile.

use std::sync::OnceLock;

use keykit::transfer::{LintReport, TransferProfile, open_envelope};

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    static PROFILES: OnceLock<Vec<TransferProfile>> = OnceLock::new();
    let profiles = PROFILES.get_or_init(|| TransferProfile::built_in().expect("the built-in profiles"));
    let mut is_sound = false;
    for named_byok in [false, true] {
        let report = LintReport::of(data, named_byok, profiles);
        assert_eq!(report.profiles.len(), profiles.len());
        is_sound |= report.is_sound();
        assert!(report.is_sound() || report.profiles.iter().all(|verdict| !verdict.suits));
    }
    for profile in profiles {
        if let Ok(blob) = open_envelope(data, profile) {
            assert!(blob.len() > 256);
        }
    }
    is_sound
}
