//! Transcripts: no input panics, what is taken is taken again the same, and its checkpoint is that of no other.

use keykit::ceremony::transcript::{Checkpoint, Transcript};

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    let Ok(transcript) = Transcript::parse(data) else { return false };
    let whole = data.len() - usize::try_from(transcript.torn_bytes()).expect("part of the input");
    let again = Transcript::parse(&data[..whole]).expect("the whole lines are whole lines");
    assert_eq!((again.lines(), again.torn_bytes()), (transcript.lines(), 0));
    if let Some(checkpoint) = transcript.checkpoint() {
        let read = Checkpoint::parse(&checkpoint.to_text()).expect("what is written is read");
        read.compare(&transcript).expect("a transcript is what its checkpoint says");
    }
    !transcript.lines().is_empty()
}
