//! The published vectors, packed into the program by `build.rs`.

use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// A file of vectors: DEFLATE (RFC 1951) without a header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packed {
    bytes: &'static [u8],
    /// Length of the text in bytes.
    length: usize,
}

impl Packed {
    /// The JSON text; `None` if the program was damaged.
    pub(crate) fn text(&self) -> Option<String> {
        let bytes = decompress_to_vec_with_limit(self.bytes, self.length).ok().filter(|bytes| bytes.len() == self.length)?;
        String::from_utf8(bytes).ok()
    }
}

include!(concat!(env!("OUT_DIR"), "/vectors.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_is_whole_and_small() {
        let sets = [SIGN, VERIFY, OAEP, PKCS1_DECRYPT, KEY_WRAP, KEY_WRAP_WITH_PADDING];
        let files: Vec<&Packed> = sets.iter().copied().flatten().collect();
        assert_eq!(files.len(), 5 + 24 + 22 + 3 + 3 + 1 + 1);
        assert!(files.iter().all(|file| file.text().is_some_and(|text| text.starts_with('{'))));
        let packed: usize = files.iter().map(|file| file.bytes.len()).sum();
        assert!(packed < 6 << 20, "{packed} bytes");
    }

    #[test]
    fn a_damaged_file_is_noticed() {
        let whole = KEY_WRAP[0];
        assert!(Packed { bytes: &whole.bytes[..whole.bytes.len() / 2], ..whole }.text().is_none());
        assert!(Packed { length: whole.length - 1, ..whole }.text().is_none());
        assert!(Packed { length: whole.length + 1, ..whole }.text().is_none());
    }
}
