//! See `keykit_fuzz::targets::accepted_files`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    keykit_fuzz::targets::accepted_files::run(data);
});
