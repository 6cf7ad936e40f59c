//! Encrypted rights data: the rights of a licence that only the owner of the content key may read.
//!
//! It is the whole XrML text as UTF-16LE without a byte order mark, filled with zeros to a whole AES block (not at all if
//! it ends on one), under AES-ECB, whatever cipher the content uses. There is no integrity check in the format: a wrong
//! key shows in a text that is none, and a changed block may go unseen. Trust it no further than the signed licence around it.

use zeroize::Zeroizing;

use super::{ContentKey, ecb};
use crate::error::{Error, Result};
use crate::xml::{self, Encoding};

const FORMAT: &str = "encrypted rights data";

/// Encrypts the XrML text of rights. The result is a multiple of 16 bytes.
///
/// # Errors
/// [`Error::Malformed`] if the text does not begin with `<`, or holds a NUL, which the zero filling would swallow.
pub fn encrypt(key: &ContentKey, text: &str) -> Result<Vec<u8>> {
    if !text.starts_with('<') || text.contains('\0') {
        return Err(Error::malformed("rights data", "it must be XML text, from its first `<`"));
    }
    let mut data = xml::encode(text, Encoding::Utf16Le);
    data.resize(ecb::round_up(data.len()), 0);
    ecb::encrypt(key.key(), &mut data)?;
    Ok(data)
}

/// Decrypts rights data to its XrML text.
///
/// # Errors
/// [`Error::Malformed`] unless the length is a positive multiple of 16; [`Error::Crypto`] if what comes out is no XML text,
/// as with a wrong key.
pub fn decrypt(key: &ContentKey, data: &[u8]) -> Result<String> {
    if data.is_empty() || !data.len().is_multiple_of(ecb::BLOCK) {
        return Err(Error::malformed(FORMAT, format!("its length of {} bytes is not a positive multiple of 16", data.len())));
    }
    let mut plain = Zeroizing::new(data.to_vec());
    ecb::decrypt(key.key(), &mut plain)?;
    let (units, _) = plain.as_chunks::<2>();
    let filling = units.iter().rev().take_while(|unit| **unit == [0, 0]).count();
    if filling * 2 >= ecb::BLOCK {
        return Err(Error::Crypto);
    }
    let text = plain.get(..plain.len() - filling * 2).unwrap_or_default();
    if !text.starts_with(b"<\0") {
        return Err(Error::Crypto);
    }
    let (text, _) = xml::decode(text, FORMAT).map_err(|_| Error::Crypto)?;
    if text.contains('\0') {
        return Err(Error::Crypto);
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::licence::ContentCipher;

    proptest! {
        #[test]
        fn every_text_comes_back(text in "<[^\\x00]{0,60}", bits in prop::sample::select(vec![128_usize, 256])) {
            let key = ContentKey::generate(ContentCipher::Cbc4k, bits).unwrap();
            let data = encrypt(&key, &text).unwrap();
            let plain_bytes = text.encode_utf16().count() * 2;
            prop_assert_eq!(data.len(), plain_bytes.next_multiple_of(16));
            prop_assert_eq!(decrypt(&key, &data).unwrap(), text);
        }

        #[test]
        fn no_input_panics(data in prop::collection::vec(any::<u8>(), 0..80)) {
            let key = ContentKey::generate(ContentCipher::Ecb, 128).unwrap();
            match decrypt(&key, &data) {
                // One random text in about 65536 begins like XML.
                Ok(text) => prop_assert_eq!(encrypt(&key, &text).unwrap(), data),
                Err(error) => prop_assert_eq!(error.code(), if data.is_empty() || data.len() % 16 != 0 { "malformed" } else { "crypto" }),
            }
        }
    }

    #[test]
    fn a_text_that_ends_on_a_block_is_not_filled() {
        let key = ContentKey::generate(ContentCipher::Ecb, 128).unwrap();
        assert_eq!(encrypt(&key, "<1234567").unwrap().len(), 16);
        assert_eq!(encrypt(&key, "<12345678").unwrap().len(), 32);
    }

    #[test]
    fn a_wrong_key_is_an_opaque_failure() {
        let [right, wrong] = [0, 1].map(|_| ContentKey::generate(ContentCipher::Ecb, 128).unwrap());
        let data = encrypt(&right, "<XrML version=\"1.2\"></XrML>").unwrap();
        assert_eq!(decrypt(&wrong, &data).unwrap_err().code(), "crypto");
    }

    #[test]
    fn text_that_would_not_come_back_is_refused() {
        let key = ContentKey::generate(ContentCipher::Ecb, 128).unwrap();
        for text in ["", "x", "<a>\0", "\u{feff}<a/>"] {
            assert_eq!(encrypt(&key, text).unwrap_err().code(), "malformed");
        }
    }

    #[test]
    fn a_whole_block_of_filling_is_refused() {
        let key = ContentKey::generate(ContentCipher::Ecb, 128).unwrap();
        let mut data = [b"<\0a\0/\0>\0".as_slice(), &[0; 24]].concat();
        ecb::encrypt(key.key(), &mut data).unwrap();
        assert_eq!(decrypt(&key, &data).unwrap_err().code(), "crypto");
    }
}
