//! Journals of runs: no input panics, and the part that is taken is taken again the same.

use keykit::migration::apply::{parse_journal, segment_of};

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    if let Ok((records, whole)) = parse_journal(data) {
        let again = parse_journal(&data[..whole]).expect("the whole lines are whole lines");
        assert_eq!(again, (records.clone(), whole));
        drop(segment_of(&records));
        return true;
    }
    false
}
