//! See `keykit_fuzz::targets::run_journal`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    keykit_fuzz::targets::run_journal::run(data);
});
