//! PKCS#11 URIs and secret sources: no input panics, and the canonical form reads the same.
#![no_main]

use keykit_hsm_backends::pkcs11::Pkcs11Uri;
use keykit_hsm_backends::secret_source::SecretSource;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(uri) = Pkcs11Uri::parse(text) {
        assert_eq!(Pkcs11Uri::parse(&uri.to_string()).expect("the canonical form can be read"), uri);
    }
    drop(SecretSource::parse(text));
});
