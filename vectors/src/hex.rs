//! Bytes as hex digits, the form of Wycheproof files.

use serde::{Deserialize, Deserializer, de::Error};

/// Reads a field of hex digits.
pub(crate) fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    decode(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is not an even number of hex digits")))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_bytes() {
        assert_eq!(decode("00fFa0").unwrap(), [0, 0xff, 0xa0]);
        assert!(decode("").unwrap().is_empty());
        for text in ["0", "0g", "+1", "é", "0x00"] {
            assert!(decode(text).is_none(), "{text}");
        }
    }
}
