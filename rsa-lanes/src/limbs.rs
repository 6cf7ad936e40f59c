//! Whole numbers as 64-bit limbs, least significant first: key set-up, recombination, comparison.
//!
//! Lengths and shift distances are public. No branch, index or address depends on a value: masks pass through
//! [`black_box`], or the compiler would see that they are all ones or zero and branch on them.

use std::hint::black_box;

use crate::simd;
use zeroize::Zeroizing;

/// A number that is wiped when dropped.
pub(crate) type Limbs = Zeroizing<Vec<u64>>;

/// Zero, `count` limbs long.
pub(crate) fn zero(count: usize) -> Limbs {
    Zeroizing::new(vec![0; count])
}

/// Splits a double-width value into its low and high halves.
#[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
const fn split(wide: u128) -> (u64, u64) {
    (wide as u64, (wide >> 64) as u64)
}

/// Reads big-endian bytes. `None` when the number needs more than `count` limbs; that is public.
pub(crate) fn from_be(bytes: &[u8], count: usize) -> Option<Limbs> {
    let mut limbs = zero(count);
    let mut excess = 0_u64;
    let mut places = limbs.iter_mut();
    for bytes in bytes.rchunks(8) {
        let limb = bytes.iter().fold(0_u64, |limb, &byte| (limb << 8) | u64::from(byte));
        match places.next() {
            Some(place) => *place = limb,
            None => excess |= limb,
        }
    }
    (simd::declassify(excess) == 0).then_some(limbs)
}

/// The modulus of a key, from big-endian bytes with leading zeros or without; `None` unless it is odd and has 1024, 2048, 3072 or 4096 bits.
pub(crate) fn modulus_from_be(bytes: &[u8]) -> Option<Vec<u64>> {
    let start = bytes.iter().position(|&byte| byte != 0)?;
    let bytes = bytes.get(start..)?;
    let limbs = matches!(8 * bytes.len(), 1024 | 2048 | 3072 | 4096).then(|| from_be(bytes, bytes.len() / 8)).flatten()?;
    let sound = limbs.last().is_some_and(|top| top >> 63 == 1) && limbs.first().is_some_and(|low| low & 1 == 1);
    sound.then(|| limbs.to_vec())
}

/// Writes the low bytes of a number, big-endian; what does not fit is dropped.
pub(crate) fn to_be(limbs: &[u64], bytes: &mut [u8]) {
    let mut limbs = limbs.iter().copied();
    for bytes in bytes.rchunks_mut(8) {
        let limb = limbs.next().unwrap_or(0).to_be_bytes();
        let length = bytes.len();
        bytes.copy_from_slice(limb.get(8 - length..).unwrap_or_default());
    }
}

/// `a += b & mask`, returns the carry. `b` may be shorter.
pub(crate) fn add_masked(a: &mut [u64], b: &[u64], mask: u64) -> u64 {
    let mask = black_box(mask);
    let mut carry = 0;
    for (position, limb) in a.iter_mut().enumerate() {
        let addend = b.get(position).copied().unwrap_or(0) & mask;
        (*limb, carry) = split(u128::from(*limb) + u128::from(addend) + u128::from(carry));
    }
    carry
}

/// `a -= b & mask`, returns the borrow (0 or 1). `b` may be shorter.
pub(crate) fn subtract_masked(a: &mut [u64], b: &[u64], mask: u64) -> u64 {
    let mask = black_box(mask);
    let mut borrow = 0;
    for (position, limb) in a.iter_mut().enumerate() {
        let subtrahend = b.get(position).copied().unwrap_or(0) & mask;
        let (low, high) = split(u128::from(*limb).wrapping_sub(u128::from(subtrahend)).wrapping_sub(u128::from(borrow)));
        *limb = low;
        borrow = high & 1;
    }
    borrow
}

/// All ones when `a < b`, else zero. Equal lengths are not needed.
pub(crate) fn less_mask(a: &[u64], b: &[u64]) -> u64 {
    let mut borrow = 0;
    for position in 0..a.len().max(b.len()) {
        let (left, right) = (a.get(position).copied().unwrap_or(0), b.get(position).copied().unwrap_or(0));
        let (_, high) = split(u128::from(left).wrapping_sub(u128::from(right)).wrapping_sub(u128::from(borrow)));
        borrow = high & 1;
    }
    borrow.wrapping_neg()
}

/// `a -= n` when `a ≥ n`.
pub(crate) fn subtract_if_not_less(a: &mut [u64], n: &[u64]) {
    let mask = !less_mask(a, n);
    subtract_masked(a, n, mask);
}

/// Zero when two numbers of one length are equal.
pub(crate) fn difference(a: &[u64], b: &[u64]) -> u64 {
    let differs = a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b));
    black_box(differs | u64::from(a.len() != b.len()))
}

/// `a · b`, as long as both together.
pub(crate) fn multiply(a: &[u64], b: &[u64]) -> Limbs {
    let mut product = zero(a.len() + b.len());
    for (offset, &left) in a.iter().enumerate() {
        let mut carry = 0;
        let mut columns = product.iter_mut().skip(offset);
        for (&right, column) in b.iter().zip(columns.by_ref()) {
            (*column, carry) = split(u128::from(left) * u128::from(right) + u128::from(*column) + u128::from(carry));
        }
        if let Some(column) = columns.next() {
            *column = carry;
        }
    }
    product
}

/// `2^exponent mod n`, for an `n` whose top bit is set and an exponent of at least its length in bits.
pub(crate) fn power_of_two(exponent: usize, n: &[u64]) -> Limbs {
    // 2^bits - n, which is below n.
    let mut value = zero(n.len());
    subtract_masked(&mut value, n, u64::MAX);
    for _ in 64 * n.len()..exponent {
        let mut top = 0;
        for limb in value.iter_mut() {
            let next = *limb >> 63;
            *limb = (*limb << 1) | top;
            top = next;
        }
        let mask = !less_mask(&value, n) | top.wrapping_neg();
        subtract_masked(&mut value, n, mask);
    }
    value
}

/// `-1 / n mod 2^(64 · count)`, for an odd `n`.
pub(crate) fn negated_inverse(n: &[u64], count: usize) -> Limbs {
    let mut inverse = zero(count);
    if let (Some(inverse), Some(&n)) = (inverse.first_mut(), n.first()) {
        *inverse = n; // right in its low 3 bits
        for _ in 0..5 {
            *inverse = inverse.wrapping_mul(2_u64.wrapping_sub(n.wrapping_mul(*inverse)));
        }
    }
    // Newton: each step doubles the number of right limbs.
    let mut right = 1;
    while right < count {
        let mut rest = multiply(n, &inverse);
        rest.truncate(count);
        let mut factor = zero(count);
        factor.iter_mut().take(1).for_each(|limb| *limb = 2);
        subtract_masked(&mut factor, &rest, u64::MAX);
        inverse = multiply(&inverse, &factor);
        inverse.truncate(count);
        right *= 2;
    }
    let mut negated = zero(count);
    subtract_masked(&mut negated, &inverse, u64::MAX);
    negated
}

/// `width` bits from bit `offset` on; `width` below 64.
pub(crate) fn bits(limbs: &[u64], offset: usize, width: u32) -> u64 {
    let low = limbs.get(offset / 64).copied().unwrap_or(0);
    let high = limbs.get(offset / 64 + 1).copied().unwrap_or(0);
    let (value, _) = split((u128::from(high) << 64 | u128::from(low)) >> (offset % 64));
    value & ((1 << width) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_both_ways() {
        let bytes: Vec<u8> = (1..=20).collect();
        let limbs = from_be(&bytes, 3).unwrap();
        assert_eq!(limbs[0], 0x0d0e_0f10_1112_1314);
        assert_eq!(limbs[2], 0x0102_0304);
        let mut back = vec![0; 20];
        to_be(&limbs, &mut back);
        assert_eq!(back, bytes);
        assert!(from_be(&bytes, 2).is_none());
    }

    #[test]
    fn powers_of_two() {
        let n = [0xffff_ffff_ffff_ffc5]; // 2^64 - 59
        assert_eq!(*power_of_two(64, &n), [59]);
        assert_eq!(*power_of_two(70, &n), [59 * 64]);
    }

    proptest! {
        #[test]
        fn inverses(mut n: [u64; 5], count in 1..8_usize) {
            n[0] |= 1;
            let product = multiply(&n, &negated_inverse(&n, count));
            prop_assert!(product[..count].iter().all(|&limb| limb == u64::MAX));
        }

        #[test]
        fn products_agree_with_u128(a: u64, b: u64) {
            let product = multiply(&[a], &[b]);
            prop_assert_eq!(u128::from(product[1]) << 64 | u128::from(product[0]), u128::from(a) * u128::from(b));
        }

        #[test]
        fn sums_and_differences(a: [u64; 3], b: [u64; 3]) {
            let mut sum = a.to_vec();
            let carry = add_masked(&mut sum, &b, u64::MAX);
            prop_assert_eq!(carry == 1, less_mask(&sum, &a) != 0);
            prop_assert_eq!(subtract_masked(&mut sum, &b, u64::MAX), carry);
            prop_assert_eq!(sum, a.to_vec());
        }
    }
}
