//! Journals of runs: no input panics, and the part that is taken is taken again the same.
#![no_main]

use keykit::migration::apply::{parse_journal, segment_of};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok((records, whole)) = parse_journal(data) {
        let again = parse_journal(&data[..whole]).expect("the whole lines are whole lines");
        assert_eq!(again, (records.clone(), whole));
        drop(segment_of(&records));
    }
});
