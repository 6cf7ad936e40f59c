//! Signed notes and checkpoints: no input panics, and what is read is written the same.
#![no_main]

use keykit::ceremony::CustodianPublicKey;
use keykit::ceremony::signed_note::SignedNote;
use keykit::ceremony::transcript::Checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(note) = SignedNote::parse(data) else { return };
    assert_eq!(note.to_text().as_bytes(), data);
    if let Ok(checkpoint) = Checkpoint::parse(note.text()) {
        assert_eq!(checkpoint.to_text(), note.text());
    }
    let nobody = CustodianPublicKey::from_bytes([7; 32]);
    assert!(!note.verify(&nobody).is_ok_and(|names| !names.is_empty()));
});
