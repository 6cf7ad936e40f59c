//! Between limbs and the digits of a kernel.

use crate::limbs::{self, Limbs};
use crate::simd::{Kernel, Modulus, Word};
use zeroize::Zeroizing;

/// A number in every lane, or several such numbers in a row; wiped when dropped.
pub(crate) type Number<K> = Zeroizing<Vec<<K as Kernel>::Word>>;

/// Zero in every lane.
pub(crate) fn zero<K: Kernel>(digits: usize) -> Number<K> {
    Zeroizing::new(vec![K::Word::default(); digits])
}

/// Writes a number below `2^(DIGIT_BITS · digits - 2)` into one lane; of a larger one, the value modulo `2^(DIGIT_BITS · digits)`.
///
/// Balanced digits lie between `-2^(DIGIT_BITS - 1)` and below `2^(DIGIT_BITS - 1)`.
pub(crate) fn store<K: Kernel>(number: &mut [K::Word], lane: usize, limbs: &[u64]) {
    let mut carry = 0;
    for (position, word) in number.iter_mut().enumerate() {
        let digit = limbs::bits(limbs, position * K::DIGIT_BITS as usize, K::DIGIT_BITS).wrapping_add(carry);
        if K::BALANCED {
            carry = digit.wrapping_add(1 << (K::DIGIT_BITS - 1)) >> K::DIGIT_BITS;
        }
        word.set_lane(lane, K::encode(digit.wrapping_sub(carry << K::DIGIT_BITS).cast_signed()));
    }
}

/// The same number in every lane.
pub(crate) fn everywhere<K: Kernel>(limbs: &[u64], digits: usize) -> Number<K> {
    let mut number = zero::<K>(digits);
    store::<K>(&mut number, 0, limbs);
    for word in number.iter_mut() {
        *word = K::Word::splat(word.lane(0));
    }
    number
}

/// Reads one lane, reduced to `0 .. n`. The lane holds a value above `-n` and below `4n`.
pub(crate) fn load<K: Kernel>(number: &[K::Word], lane: usize, n: &[u64]) -> Limbs {
    let width = K::DIGIT_BITS as usize;
    let mask = (1_u64 << width) - 1;
    // One limb more than `n`, in two's complement while the value may be negative.
    let mut limbs = limbs::zero(n.len() + 1);
    let mut carry = 0_i64;
    for (position, word) in number.iter().enumerate() {
        let value = K::decode(word.lane(lane)).wrapping_add(carry);
        carry = value >> width;
        // Bits of a positive value end below the last limb; those of a negative one go on as ones.
        let top = position + 1 == number.len();
        let wide = u128::from(value.cast_unsigned() & mask) | if top { u128::from(carry.cast_unsigned()) << width } else { 0 };
        place(&mut limbs, wide, position * width);
    }
    let sign = (carry >> 63).cast_unsigned();
    limbs::add_masked(&mut limbs, n, sign);
    for _ in 0..3 {
        limbs::subtract_if_not_less(&mut limbs, n);
    }
    limbs.truncate(n.len());
    limbs
}

/// `limbs |= value << offset`; bits beyond the end are dropped.
#[expect(clippy::cast_possible_truncation, reason = "the number is cut into limbs")]
fn place(limbs: &mut [u64], value: u128, offset: usize) {
    let shift = offset % 64;
    let parts = [(value << shift) as u64, ((value << shift) >> 64) as u64, ((value >> 64) << shift >> 64) as u64];
    for (limb, part) in limbs.iter_mut().skip(offset / 64).zip(parts) {
        *limb |= part;
    }
}

/// The modulus `n` (odd) for a kernel.
pub(crate) fn modulus<K: Kernel>(n: &[u64], digits: usize) -> Modulus<K::Word> {
    let inverse_digits = if K::WHOLE_INVERSE { digits } else { 1 };
    let inverse = limbs::negated_inverse(n, (inverse_digits * K::DIGIT_BITS as usize).div_ceil(64));
    // What the highest digit would carry is a multiple of the power that the inverse is taken modulo.
    Modulus::new(everywhere::<K>(n, digits), everywhere::<K>(&inverse, inverse_digits))
}
