//! Stored results of `store doctor` and `store conformance`: no input panics, what is read is written as it was read, and
//! nothing differs from itself.

use keykit_conformance::doctor::Doctor;
use keykit_conformance::document::Document;

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    let mut was_read = false;
    if let Ok(doctor) = Doctor::from_json(data) {
        assert!(doctor.compare(&doctor).is_empty());
        was_read = true;
    }
    if let Ok(document) = Document::from_json(data) {
        assert!(document.compare(&document).is_empty());
        was_read = true;
    }
    was_read
}
