//! See `keykit_fuzz::targets::transfer_file`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    keykit_fuzz::targets::transfer_file::run(data);
});
