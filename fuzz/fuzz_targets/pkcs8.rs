//! See `keykit_fuzz::targets::pkcs8`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    keykit_fuzz::targets::pkcs8::run(data);
});
