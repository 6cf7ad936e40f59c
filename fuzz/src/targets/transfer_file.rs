//! Transfer files (.byok): no input panics, and what is read is written the same.

use keykit::transfer::AzureTransferFile;

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    if let Ok(file) = AzureTransferFile::parse(data) {
        let again = AzureTransferFile::parse(&file.to_bytes().expect("what was read can be written")).expect("what was written can be read");
        assert_eq!((again.kid, again.blob, again.generator), (file.kid.clone(), file.blob.clone(), file.generator.clone()));
        assert!(file.possible_sizes().len() <= 3);
        return true;
    }
    false
}
