//! The linter of transfer files: no input panics, and nothing with a problem suits a profile.
#![no_main]

use std::sync::OnceLock;

use keykit::transfer::{LintReport, TransferProfile, open_envelope};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    static PROFILES: OnceLock<Vec<TransferProfile>> = OnceLock::new();
    let profiles = PROFILES.get_or_init(|| TransferProfile::built_in().expect("the built-in profiles"));
    for named_byok in [false, true] {
        let report = LintReport::of(data, named_byok, profiles);
        assert_eq!(report.profiles.len(), profiles.len());
        assert!(report.is_sound() || report.profiles.iter().all(|verdict| !verdict.suits));
    }
    for profile in profiles {
        if let Ok(blob) = open_envelope(data, profile) {
            assert!(blob.len() > 256);
        }
    }
});
