//! See `keykit_fuzz::targets::lanes`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    keykit_fuzz::targets::lanes::run(data);
});
