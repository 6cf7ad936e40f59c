//! See `keykit_fuzz::targets::transfer_profiles`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    keykit_fuzz::targets::transfer_profiles::run(data);
});
