//! Output of the nShield tools: no input panics, and no input makes a strange key module-protected.
#![no_main]

use std::path::Path;

use keykit::key::RsaPublicKey;
use keykit::store::protection::{Assessment, Protection};
use keykit_hsm_backends::protection::nshield::{Evidence, KeyIdentifiers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(evidence) = Evidence::parse(text, Path::new("input")) {
        let key = RsaPublicKey::from_components(&[0xc3; 256], 65537).expect("a possible key");
        // Nothing names this key: no identifier, and a modulus that no fixture has.
        let verdict = Assessment::weigh(evidence.signals_for(&key, &KeyIdentifiers::default())).protection;
        assert_ne!(verdict, Protection::Module);
    }
});
