//! No input makes the reader of `.reg` files panic, and what is read comes back from its own bytes.

use keykit::artefact::registry::RegistryFile;

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    if let Ok(file) = RegistryFile::parse(data) {
        assert_eq!(RegistryFile::parse(&file.to_bytes()).expect("what was written can be read"), file);
        return true;
    }
    false
}
