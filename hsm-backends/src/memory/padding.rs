//! The paddings of RFC 8017, for the raw operation of [`super::portable`].
//!
//! Removal runs in time that depends on the lengths only, up to the one bit that the caller learns anyway.

use std::convert::Infallible;

use keykit::key::{Digest, Hash};
use keykit::secret::SecretBytes;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater};
use zeroize::Zeroizing;

/// EMSA-PKCS1-v1_5 (RFC 8017 §9.2): `00 01 FF…FF 00 DigestInfo`, `length` bytes; `None` if it does not fit.
pub(super) fn encode_signature(digest: &Digest, length: usize) -> Option<Vec<u8>> {
    let info = digest.to_digest_info();
    let fill = length.checked_sub(info.len() + 3).filter(|&fill| fill >= 8)?;
    let mut encoded = Vec::with_capacity(length);
    encoded.extend([0, 1]);
    encoded.resize(fill + 2, 0xff);
    encoded.push(0);
    encoded.extend(info);
    Some(encoded)
}

/// EME-PKCS1-v1_5 decoding (RFC 8017 §7.2.2 step 3): `00 02 PS 00 M`, with eight or more non-zero bytes in `PS`.
pub(super) fn decode_pkcs1_v15(encoded: &[u8]) -> Option<SecretBytes> {
    let (&first, rest) = encoded.split_first()?;
    let (&second, _) = rest.split_first()?;
    let (found, separator) = first_match(encoded, 2, 0);
    let good = first.ct_eq(&0) & second.ct_eq(&2) & found & separator.ct_gt(&9);
    release(good, encoded, separator)
}

/// EME-OAEP decoding (RFC 8017 §7.1.2 step 3). `encoded` is overwritten.
pub(super) fn decode_oaep(mut encoded: Zeroizing<Vec<u8>>, hash: Hash, mgf1: Hash, label: &[u8]) -> Option<SecretBytes> {
    let hash_bytes = hash.output_bytes();
    if encoded.len() < 2 * hash_bytes + 2 {
        return None;
    }
    let (head, block) = encoded.split_at_mut_checked(hash_bytes + 1)?;
    let (first, seed) = head.split_first_mut()?;
    mask(seed, block, mgf1);
    mask(block, seed, mgf1);
    let (label_hash, message) = block.split_at_checked(hash_bytes)?;
    let (found, separator) = first_match_after_zeros(message);
    let good = first.ct_eq(&0) & label_hash.ct_eq(hash.digest(label).as_bytes()) & found;
    release(good, message, separator)
}

/// Gives out what follows `separator`, once everything has been looked at.
fn release(good: Choice, bytes: &[u8], separator: u32) -> Option<SecretBytes> {
    let (content, length) = after(bytes, separator);
    bool::from(good).then(|| content.shortened(length))
}

/// What follows `separator`, at the front of a buffer of its own with zeros behind, and its length.
///
/// The buffer is made and filled whatever the padding was, always of the same size: locked memory takes longer to get than all
/// else here. What is where is moved in steps of powers of two, each of which is done or not without a branch.
fn after(bytes: &[u8], separator: u32) -> (SecretBytes, usize) {
    let start = separator.saturating_add(1);
    let Ok(content) = SecretBytes::try_init::<Infallible>(bytes.len(), |content| {
        content.copy_from_slice(bytes);
        let mut step = 1_usize;
        for bit in 0..u32::BITS {
            if step > bytes.len() {
                break;
            }
            let moves = ((start >> bit) & 1).ct_eq(&1);
            for place in 0..content.len() {
                let from = content.get(place + step).copied().unwrap_or(0);
                if let Some(byte) = content.get_mut(place) {
                    byte.conditional_assign(&from, moves);
                }
            }
            step *= 2;
        }
        Ok(())
    });
    (content, bytes.len().saturating_sub(usize::try_from(start).unwrap_or(usize::MAX)))
}

/// Where `wanted` is first found from `start` on.
fn first_match(bytes: &[u8], start: usize, wanted: u8) -> (Choice, u32) {
    let mut found = Choice::from(0);
    let mut position = 0_u32;
    for (index, byte) in (0_u32..).zip(bytes).skip(start) {
        let matches = byte.ct_eq(&wanted);
        position.conditional_assign(&index, matches & !found);
        found |= matches;
    }
    (found, position)
}

/// Where the `01` after zero bytes is, if nothing else comes before it.
fn first_match_after_zeros(bytes: &[u8]) -> (Choice, u32) {
    let mut found = Choice::from(0);
    let mut spoilt = Choice::from(0);
    let mut position = 0_u32;
    for (index, byte) in (0_u32..).zip(bytes) {
        let is_one = byte.ct_eq(&1);
        position.conditional_assign(&index, is_one & !found);
        spoilt |= !found & !is_one & !byte.ct_eq(&0);
        found |= is_one;
    }
    (found & !spoilt, position)
}

/// XORs MGF1 of `seed` (RFC 8017 §B.2.1) onto `target`.
fn mask(target: &mut [u8], seed: &[u8], hash: Hash) {
    let mut input = Zeroizing::new(Vec::with_capacity(seed.len() + 4));
    for (counter, chunk) in (0_u32..).zip(target.chunks_mut(hash.output_bytes())) {
        input.clear();
        input.extend_from_slice(seed);
        input.extend_from_slice(&counter.to_be_bytes());
        let digest = hash.digest(&input);
        chunk.iter_mut().zip(digest.as_bytes()).for_each(|(byte, mask)| *byte ^= mask);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// EME-OAEP encoding (RFC 8017 §7.1.1 step 2), only to test its opposite.
    fn encode_oaep(message: &[u8], length: usize, hash: Hash, mgf1: Hash, label: &[u8], seed: &[u8]) -> Vec<u8> {
        let hash_bytes = hash.output_bytes();
        let mut block = hash.digest(label).as_bytes().to_vec();
        block.resize(length - hash_bytes - 2 - message.len(), 0);
        block.push(1);
        block.extend(message);
        let mut seed = seed[..hash_bytes].to_vec();
        mask(&mut block, &seed, mgf1);
        mask(&mut seed, &block, mgf1);
        [vec![0], seed, block].concat()
    }

    fn pkcs1(fill: &[u8], message: &[u8]) -> Vec<u8> {
        [&[0, 2], fill, &[0], message].concat()
    }

    #[test]
    fn signature_encoding_has_the_shape_of_the_rfc() {
        let digest = Hash::Sha256.digest(b"x");
        let encoded = encode_signature(&digest, 128).unwrap();
        assert_eq!(encoded.len(), 128);
        assert_eq!(encoded[..3], [0, 1, 0xff]);
        assert_eq!(encoded[128 - 52..128 - 51], [0]);
        assert!(encode_signature(&digest, 51 + 11).is_some());
        assert!(encode_signature(&digest, 51 + 10).is_none());
    }

    #[test]
    fn short_fill_wrong_type_and_no_separator_are_refused() {
        assert_eq!(decode_pkcs1_v15(&pkcs1(&[7; 8], b"m")).unwrap().expose(), b"m");
        assert!(decode_pkcs1_v15(&pkcs1(&[7; 8], b"")).unwrap().is_empty());
        assert!(decode_pkcs1_v15(&pkcs1(&[7; 7], b"m")).is_none());
        assert!(decode_pkcs1_v15(&[vec![0, 1], vec![7; 8], vec![0, 1]].concat()).is_none());
        assert!(decode_pkcs1_v15(&[vec![1, 2], vec![7; 8], vec![0, 1]].concat()).is_none());
        assert!(decode_pkcs1_v15(&[vec![0, 2], vec![7; 80]].concat()).is_none());
        assert!(decode_pkcs1_v15(&[]).is_none());
        assert!(decode_pkcs1_v15(&[0]).is_none());
    }

    /// Whatever the padding was, as much memory is taken and filled.
    #[test]
    fn what_follows_is_copied_wherever_it_starts() {
        let bytes: Vec<u8> = (0..=255).cycle().take(300).collect();
        for separator in [0, 1, 2, 9, 127, 128, 255, 256, 298, 299] {
            let (content, length) = after(&bytes, separator);
            let expected = &bytes[usize::try_from(separator).unwrap() + 1..];
            assert_eq!((content.len(), length), (300, expected.len()), "{separator}");
            assert_eq!(&content.expose()[..length], expected, "{separator}");
            assert!(content.expose()[length..].iter().all(|byte| *byte == 0), "{separator}");
        }
        assert_eq!(after(&[], 0).1, 0);
    }

    fn any_hash() -> impl Strategy<Value = Hash> {
        proptest::sample::select(Hash::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn pkcs1_round_trip(fill in prop::collection::vec(1_u8.., 8..60), message: Vec<u8>) {
            let decoded = decode_pkcs1_v15(&pkcs1(&fill, &message)).unwrap();
            prop_assert_eq!(decoded.expose(), message);
        }

        #[test]
        fn oaep_round_trip(hash in any_hash(), mgf1 in any_hash(), message in prop::collection::vec(any::<u8>(), 0..100),
                           label in prop::collection::vec(any::<u8>(), 0..20), seed in any::<[u8; 64]>(), flip in 0..256_usize) {
            let encoded = encode_oaep(&message, 256, hash, mgf1, &label, &seed);
            let opened = decode_oaep(Zeroizing::new(encoded.clone()), hash, mgf1, &label).unwrap();
            prop_assert_eq!(opened.expose(), &message);
            let other_label = [&label[..], b"x"].concat();
            prop_assert!(decode_oaep(Zeroizing::new(encoded.clone()), hash, mgf1, &other_label).is_none());
            let mut broken = encoded;
            broken[flip] ^= 1;
            let opened = decode_oaep(Zeroizing::new(broken), hash, mgf1, &label);
            // A flipped byte of the seed or block garbles the label's hash.
            prop_assert!(opened.is_none());
        }

        #[test]
        fn no_input_panics(bytes: Vec<u8>, hash in any_hash(), mgf1 in any_hash()) {
            drop(decode_pkcs1_v15(&bytes));
            drop(decode_oaep(Zeroizing::new(bytes), hash, mgf1, b""));
        }
    }
}
