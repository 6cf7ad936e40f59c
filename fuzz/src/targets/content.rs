//! Content of protected files under a fixed key: no input panics, and no more comes out than the file can hold.

use std::io::Cursor;

use keykit::content::ProtectedContent;
use keykit::licence::{ContentCipher, ContentKey};
use keykit::secret::SecretBytes;

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    let mut was_read = false;
    for cipher in ContentCipher::ALL {
        let Ok(content) = ProtectedContent::open(Cursor::new(data)) else { return false };
        let key = ContentKey::new(cipher, SecretBytes::copy_of(&[7; 16])).expect("a key of 16 bytes");
        let (encrypted, mut given) = (content.encrypted_size, 0);
        let decrypted = content.decrypt(&key, |bytes| {
            given += bytes.len() as u64;
            Ok(())
        });
        assert!(given <= encrypted);
        if let Ok(decrypted) = decrypted {
            assert_eq!(decrypted.bytes, given);
            was_read = true;
        }
    }
    was_read
}
