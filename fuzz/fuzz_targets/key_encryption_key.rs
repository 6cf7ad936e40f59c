//! See `keykit_fuzz::targets::key_encryption_key`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    keykit_fuzz::targets::key_encryption_key::run(data);
});
