//! See `keykit_fuzz::targets::pkcs11_uri`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    keykit_fuzz::targets::pkcs11_uri::run(data);
});
