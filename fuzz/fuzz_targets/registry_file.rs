//! No input makes the reader of `.reg` files panic, and what is read comes back from its own bytes.
#![no_main]

use keykit::artefact::registry::RegistryFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(file) = RegistryFile::parse(data) {
        assert_eq!(RegistryFile::parse(&file.to_bytes()).expect("what was written can be read"), file);
    }
});
