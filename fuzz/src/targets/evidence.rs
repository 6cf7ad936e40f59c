//! Output of the nShield tools: no input panics, and no input makes a strange key module-protected.

use std::path::Path;

use keykit::key::RsaPublicKey;
use keykit::store::protection::{Assessment, Protection};
use keykit_hsm_backends::protection::nshield::{Evidence, KeyIdentifiers};

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    if let Ok(evidence) = Evidence::parse(text, Path::new("input")) {
        let key = RsaPublicKey::from_components(&[0xc3; 256], 65537).expect("a possible key");
        // Nothing names this key: no identifier, and a modulus that no fixture has.
        let verdict = Assessment::weigh(evidence.signals_for(&key, &KeyIdentifiers::default())).protection;
        assert_ne!(verdict, Protection::Module);
        return true;
    }
    false
}
