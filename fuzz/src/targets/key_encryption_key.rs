//! Key encryption keys in PEM, DER, certificates and JSON: no input panics, and what is read passes or fails its checks.

use std::sync::OnceLock;

use keykit::transfer::{OfferedKey, TransferProfile};

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    static PROFILES: OnceLock<Vec<TransferProfile>> = OnceLock::new();
    let profiles = PROFILES.get_or_init(|| TransferProfile::built_in().expect("the built-in profiles"));
    if let Ok(offered) = OfferedKey::parse(data, None) {
        assert!((1024..=8192).contains(&offered.public.modulus_bits()));
        // A fixed time: what is found must not depend on the clock.
        let now = "2026-11-23T00:00:00Z".parse().expect("a time");
        for profile in profiles {
            let refused = offered.check(profile, now).iter().any(keykit::transfer::Finding::is_problem);
            let fingerprint = offered.public.id().to_string();
            assert_eq!(offered.clone().confirm(Some(&fingerprint), profile, now).is_err(), refused);
        }
        return true;
    }
    false
}
