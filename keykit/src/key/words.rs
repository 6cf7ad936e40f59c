//! Bytes as PGP words, for reading fingerprints aloud: two syllables for even positions, three for odd,
//! so that a swapped or dropped word is heard.

/// Spells `bytes`, one word a byte, separated by blanks.
pub(super) fn spell(bytes: &[u8]) -> String {
    pgp_words::to_words(bytes).join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example() {
        // E582 94F2 E9A2 from the description of the PGP word list (Juola and Zimmermann, 1996).
        let words = spell(&[0xe5, 0x82, 0x94, 0xf2, 0xe9, 0xa2]);
        assert_eq!(words.to_lowercase(), "topmost istanbul pluto vagabond treadmill pacific");
    }

    #[test]
    fn every_byte_has_two_words_and_no_two_share_one() {
        let mut all: Vec<String> = (0..=255).flat_map(|byte| spell(&[byte, byte]).split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 512);
    }
}
