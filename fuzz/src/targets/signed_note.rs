//! Signed notes and checkpoints: no input panics, and what is read is written the same.

use keykit::ceremony::CustodianPublicKey;
use keykit::ceremony::signed_note::SignedNote;
use keykit::ceremony::transcript::Checkpoint;

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    let Ok(note) = SignedNote::parse(data) else { return false };
    assert_eq!(note.to_text().as_bytes(), data);
    if let Ok(checkpoint) = Checkpoint::parse(note.text()) {
        assert_eq!(checkpoint.to_text(), note.text());
    }
    let nobody = CustodianPublicKey::from_bytes([7; 32]);
    assert!(!note.verify(&nobody).is_ok_and(|names| !names.is_empty()));
    true
}
