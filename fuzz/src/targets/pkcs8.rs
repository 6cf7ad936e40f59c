//! Private keys: no input panics, and a key that is read is written as it was.

use keykit::key::RsaSecretKey;

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    let keys = [RsaSecretKey::from_pkcs8_der(data), RsaSecretKey::from_pkcs1_der(data)];
    let was_read = keys.iter().any(Result::is_ok);
    for key in keys.into_iter().flatten() {
        let pkcs8 = key.to_pkcs8_der().expect("a sound key can be written");
        let again = RsaSecretKey::from_pkcs8_der(pkcs8.expose()).expect("what was written can be read");
        assert_eq!(again.to_pkcs1_der(), key.to_pkcs1_der());
        assert_eq!(again.id(), key.id());
    }
    if let Ok(text) = std::str::from_utf8(data) {
        drop(RsaSecretKey::from_pem(text));
    }
    was_read
}
