//! Transfer files (.byok): no input panics, and what is read is written the same.
#![no_main]

use keykit::transfer::AzureTransferFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(file) = AzureTransferFile::parse(data) {
        let again = AzureTransferFile::parse(&file.to_bytes().expect("what was read can be written")).expect("what was written can be read");
        assert_eq!((again.kid, again.blob, again.generator), (file.kid.clone(), file.blob.clone(), file.generator.clone()));
        assert!(file.possible_sizes().len() <= 3);
    }
});
