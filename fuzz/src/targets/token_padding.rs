//! Padding that tokens leave behind a PKCS#8 key: no input panics, and the key is a prefix of the input.

use keykit::transfer::strip_token_padding;

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    if let Ok((key, padding)) = strip_token_padding(data) {
        assert!(data.starts_with(key));
        assert_eq!(key.len() + padding, data.len());
        assert_eq!(strip_token_padding(key).expect("without padding it is sound too"), (key, 0));
        return true;
    }
    false
}
