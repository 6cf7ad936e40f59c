//! Any file of a share: archives, mail, compound files, protected files.

use keykit_access::Limits;
use keykit_access::search::search_bytes;

/// Whether the input was read.
pub fn run(bytes: &[u8]) -> bool {
    let limits = Limits { unpacked: 8 << 20, held: 1 << 20, entries: 500, depth: 4 };
    let hits = search_bytes(bytes, &limits);
    assert!(hits.iter().all(|hit| !hit.inside.chars().any(char::is_control)));
    !hits.is_empty()
}
