//! See `keykit_fuzz::targets::stored_result`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    keykit_fuzz::targets::stored_result::run(data);
});
