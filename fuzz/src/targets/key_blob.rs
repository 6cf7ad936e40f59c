//! No input makes the reader of private key blobs panic, and what it reads comes back.

use keykit::tpd::key_blob;

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    if let Ok(key) = key_blob::decode(data)
        && let Ok(blob) = key_blob::encode(&key)
    {
        let again = key_blob::decode(blob.expose()).expect("what was written can be read");
        assert!(key.to_pkcs1_der() == again.to_pkcs1_der());
        return true;
    }
    false
}
