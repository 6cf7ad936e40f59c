//! Any file of a share: archives, mail, compound files, protected files.
#![no_main]

use keykit_access::Limits;
use keykit_access::search::search_bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { unpacked: 8 << 20, held: 1 << 20, entries: 500, depth: 4 };
    for hit in search_bytes(bytes, &limits) {
        assert!(!hit.inside.chars().any(char::is_control));
    }
});
