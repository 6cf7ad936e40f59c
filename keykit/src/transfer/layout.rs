//! The lengths of a transfer blob: they tell what is in it without a key.
//!
//! `k` bytes of RSAES-OAEP, `k` the modulus of the key encryption key, then `8 + 8·⌈n/8⌉` bytes of AES-KWP (RFC 5649 §4.1) around
//! `n` bytes of PKCS#8.

use std::ops::RangeInclusive;

use super::finding::Finding;

/// Sizes of key encryption keys that providers use, in bits.
pub const KEY_ENCRYPTION_KEY_BITS: [usize; 3] = [2048, 3072, 4096];

/// Lengths of AES-KWP over PKCS#8 with public exponent 65537, by size of the key. Tokens encode alike, give or take a few bytes.
const WRAPPED: [(usize, RangeInclusive<usize>); 4] = [(1024, 632..=656), (2048, 1224..=1232), (3072, 1800..=1808), (4096, 2376..=2392)];
/// What attributes, another exponent or bytes that a token adds may make it longer. With this much, no two sizes overlap.
const LONGER: usize = 64;
/// AES-KWP of an AES-256 key.
const WRAPPED_AES_256: usize = 40;
/// The longest AES-KWP of an EC private key (P-521 with its public half).
const LONGEST_WRAPPED_EC: usize = 264;

/// Pairs of (bits of the key encryption key, bits of the RSA key inside) that fit a blob of this length.
#[must_use]
pub fn possible_sizes(blob_bytes: usize) -> Vec<(usize, usize)> {
    KEY_ENCRYPTION_KEY_BITS.into_iter().filter_map(|kek| Some((kek, target_bits(blob_bytes.checked_sub(kek / 8)?)?))).collect()
}

/// How long a wrapped RSA key is that lost or got a few bytes, if this may be one: seven on either side, so that its length is no
/// multiple of 8.
pub(super) fn damaged_length(bytes: usize) -> Option<usize> {
    if bytes.is_multiple_of(8) {
        return None;
    }
    let above = bytes.next_multiple_of(8);
    let mut near = [above, above - 8];
    near.sort_by_key(|length| length.abs_diff(bytes));
    near.into_iter().find(|length| !possible_sizes(*length).is_empty())
}

/// The size of the RSA key in AES-KWP of this length.
fn target_bits(wrapped: usize) -> Option<usize> {
    let fits = |lengths: &RangeInclusive<usize>| (*lengths.start()..=lengths.end() + LONGER).contains(&wrapped);
    WRAPPED.iter().find(|(_, lengths)| wrapped.is_multiple_of(8) && fits(lengths)).map(|(bits, _)| *bits)
}

/// A warning if a blob is longer than keys with public exponent 65537 and nothing added are.
pub(super) fn unusual_length(blob_bytes: usize) -> Option<Finding> {
    let (kek, target) = possible_sizes(blob_bytes).into_iter().next()?;
    let (_, lengths) = WRAPPED.iter().find(|(bits, _)| *bits == target)?;
    let longer = blob_bytes.checked_sub(kek / 8)?.checked_sub(*lengths.end()).filter(|longer| *longer > 0)?;
    let message =
        format!("it is {longer} bytes longer than RSA keys of {target} bits usually are: attributes, zeros or another exponent may be inside");
    Some(Finding::warning("length-unusual", message))
}

/// What is wrong with a blob of this length, if the key encryption key has one of these sizes (in bits).
#[must_use]
pub fn check_length(blob_bytes: usize, kek_bits: &[usize]) -> Option<Finding> {
    let wrapped: Vec<(usize, usize)> = kek_bits.iter().filter_map(|bits| Some((*bits, blob_bytes.checked_sub(bits / 8)?))).collect();
    if wrapped.iter().any(|(_, wrapped)| target_bits(*wrapped).is_some()) {
        return None;
    }
    if wrapped.is_empty() {
        return Some(Finding::problem("truncated", format!("{blob_bytes} bytes are less than the OAEP part alone has")).with_hint(COPY_AGAIN));
    }
    let finding = |code, what: String| Some(Finding::problem(code, what).with_hint(COPY_AGAIN));
    let under = |length: usize| wrapped.iter().find(|(_, wrapped)| *wrapped == length).map(|(bits, _)| bits);
    if let Some(bits) = under(0) {
        return finding("no-wrapped-key", format!("it ends after the OAEP part of a {bits}-bit key encryption key: the wrapped key is missing"));
    }
    if under(8).is_some() {
        return finding("empty-key", "the wrapped part has 8 bytes: it would hold an empty key, which RFC 5649 does not know".into());
    }
    if let Some(bits) = under(WRAPPED_AES_256) {
        return finding("not-rsa", format!("it fits an AES-256 key under {bits} bits, not an RSA key"));
    }
    if let Some((bits, wrapped)) = wrapped.iter().find(|(_, wrapped)| (16..=LONGEST_WRAPPED_EC).contains(wrapped) && wrapped.is_multiple_of(8)) {
        return finding("not-rsa", format!("under {bits} bits it would hold {} bytes: an EC or AES key, not an RSA key", wrapped - 8));
    }
    if blob_bytes.is_multiple_of(8) {
        finding("length", format!("{blob_bytes} bytes fit no RSA key under a key encryption key of {} bits", list(kek_bits)))
    } else {
        finding("truncated", format!("{blob_bytes} bytes: a wrapped key has a multiple of 8, so bytes are missing or were added"))
    }
}

const COPY_AGAIN: &str = "compare the file's length with the one at its source, and copy it again in binary mode";

/// "2048, 3072 or 4096".
pub(crate) fn list(numbers: &[usize]) -> String {
    match numbers.split_last() {
        None => "no".into(),
        Some((last, [])) => last.to_string(),
        Some((last, others)) => format!("{} or {last}", others.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_the_specifications() {
        for (length, kek, target) in [
            (1480, 2048, 2048),
            (1488, 2048, 2048),
            (1608, 3072, 2048),
            (1744, 4096, 2048),
            (2064, 2048, 3072),
            (2312, 4096, 3072),
            (2640, 2048, 4096),
            (2896, 4096, 4096),
            (904, 2048, 1024),
            (1536, 2048, 2048),
        ] {
            assert_eq!(possible_sizes(length), [(kek, target)], "{length}");
            assert_eq!(check_length(length, &KEY_ENCRYPTION_KEY_BITS), None);
        }
    }

    #[test]
    fn every_other_length_has_a_reason() {
        for (length, code) in [
            (0, "truncated"),
            (255, "truncated"),
            (256, "no-wrapped-key"),
            (264, "empty-key"),
            (520, "empty-key"),
            (552, "not-rsa"),
            (408, "not-rsa"),
            (1000, "length"),
            (1487, "truncated"),
            (1489, "truncated"),
            (100_000, "length"),
        ] {
            assert_eq!(check_length(length, &KEY_ENCRYPTION_KEY_BITS).unwrap().code, code, "{length}");
        }
        assert_eq!(unusual_length(1536).unwrap().code, "length-unusual");
        assert_eq!((unusual_length(1488), unusual_length(1744), unusual_length(7)), (None, None, None));
        assert_eq!([1487, 1489, 1479, 1488, 1000, 3].map(damaged_length), [Some(1488), Some(1488), Some(1480), None, None, None]);
        // No length has two meanings.
        assert!((0..5000).all(|length| possible_sizes(length).len() <= 1));
        assert_eq!(check_length(1488, &[4096]).unwrap().code, "length");
        assert_eq!(list(&[2048, 3072, 4096]), "2048, 3072 or 4096");
    }
}
