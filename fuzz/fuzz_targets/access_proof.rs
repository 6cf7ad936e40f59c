//! See `keykit_fuzz::targets::access_proof`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    keykit_fuzz::targets::access_proof::run(data);
});
