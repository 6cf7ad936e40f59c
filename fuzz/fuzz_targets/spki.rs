//! SubjectPublicKeyInfo: no input panics, and a key that is read keeps its identity.
#![no_main]

use keykit::key::RsaPublicKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(key) = RsaPublicKey::from_spki_der(data) {
        let again = RsaPublicKey::from_spki_der(key.to_spki_der()).expect("what was written can be read");
        assert_eq!(again, key);
        assert_eq!(RsaPublicKey::from_pem(&key.to_pem()).expect("PEM too").id(), key.id());
        assert_eq!(RsaPublicKey::from_components(key.modulus(), key.exponent()).expect("and its numbers").id(), key.id());
        assert!((1024..=8192).contains(&key.modulus_bits()));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        drop(RsaPublicKey::from_pem(text));
    }
});
