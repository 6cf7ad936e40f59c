//! PKCS#11 URIs and secret sources: no input panics, and the canonical form reads the same.

use keykit_hsm_backends::pkcs11::Pkcs11Uri;
use keykit_hsm_backends::secret_source::SecretSource;

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    drop(SecretSource::parse(text));
    let Ok(uri) = Pkcs11Uri::parse(text) else { return false };
    assert_eq!(Pkcs11Uri::parse(&uri.to_string()).expect("the canonical form can be read"), uri);
    true
}
