//! Stored results of `store doctor` and `store conformance`: no input panics, what is read is written as it was read, and
//! nothing differs from itself.
#![no_main]

use keykit_conformance::doctor::Doctor;
use keykit_conformance::document::Document;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(doctor) = Doctor::from_json(data) {
        assert!(doctor.compare(&doctor).is_empty());
    }
    if let Ok(document) = Document::from_json(data) {
        assert!(document.compare(&document).is_empty());
    }
});
