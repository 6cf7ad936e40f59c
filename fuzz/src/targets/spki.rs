//! SubjectPublicKeyInfo: no input panics, and a key that is read keeps its identity.

use keykit::key::RsaPublicKey;

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    let key = RsaPublicKey::from_spki_der(data);
    if let Ok(key) = &key {
        let again = RsaPublicKey::from_spki_der(key.to_spki_der()).expect("what was written can be read");
        assert_eq!(again, *key);
        assert_eq!(RsaPublicKey::from_pem(&key.to_pem()).expect("PEM too").id(), key.id());
        assert_eq!(RsaPublicKey::from_components(key.modulus(), key.exponent()).expect("and its numbers").id(), key.id());
        assert!((1024..=8192).contains(&key.modulus_bits()));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        drop(RsaPublicKey::from_pem(text));
    }
    key.is_ok()
}
