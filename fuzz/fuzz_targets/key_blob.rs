//! No input makes the reader of private key blobs panic, and what it reads comes back.
#![no_main]

use keykit::tpd::key_blob;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(key) = key_blob::decode(data)
        && let Ok(blob) = key_blob::encode(&key)
    {
        let again = key_blob::decode(blob.expose()).expect("what was written can be read");
        assert!(key.to_pkcs1_der() == again.to_pkcs1_der());
    }
});
