//! Operands with all digits at their bounds, which ordinary numbers never have: products stay exact, results in range.

use super::super::avx2::bounds::DIGIT_BOUND;
use super::super::{Kernel, SCRATCH, Word, avx2::Avx2, ifma::Ifma};
use super::{one, slow_product};
use crate::limbs::{self, Limbs};
use crate::number;

/// The lowest and the highest digit.
fn extremes<K: Kernel>() -> [i64; 2] {
    let bound = DIGIT_BOUND.cast_signed();
    if K::BALANCED { [-bound, bound] } else { [0, (1 << K::DIGIT_BITS) - 1] }
}

/// Digit `k` of pattern number `pattern`: one extreme throughout, both by turns (by one, by three), and by a generator.
fn digit<K: Kernel>(pattern: usize, k: usize) -> i64 {
    let [low, high] = extremes::<K>();
    let mixed = (pattern as u64 * 1000 + k as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61;
    match pattern {
        0 => high,
        1 => low,
        2 => [low, high][k % 2],
        3 => [high, low][k / 3 % 2],
        _ => [low, high, low, high, low, high, 0, 1][usize::try_from(mixed).unwrap()],
    }
}
const PATTERNS: usize = 8;

/// As many digits of a pattern as a number below `2^bits` in absolute value has; the others are zero.
fn operand<K: Kernel>(pattern: usize, bits: usize, digits: usize) -> Vec<i64> {
    let width = K::DIGIT_BITS as usize;
    let kept = |k: usize| match bits.saturating_sub(k * width) {
        0 => 0,
        room if room < width => (1 << (room - 1)) - 1,
        _ => i64::MAX,
    };
    (0..digits).map(|k| digit::<K>(pattern, k).clamp(-kept(k), kept(k))).collect()
}

/// The value of signed digits modulo `n`, from the highest on.
fn residue<K: Kernel>(digits: &[i64], n: &[u64]) -> Limbs {
    let mut sum = limbs::zero(n.len() + 1);
    for &digit in digits.iter().rev() {
        for _ in 0..K::DIGIT_BITS {
            let copy = sum.clone();
            limbs::add_masked(&mut sum, &copy, u64::MAX);
            limbs::subtract_if_not_less(&mut sum, n);
        }
        if digit < 0 {
            limbs::add_masked(&mut sum, n, u64::MAX);
            limbs::subtract_masked(&mut sum, &[digit.unsigned_abs()], u64::MAX);
        } else {
            limbs::add_masked(&mut sum, &[digit.unsigned_abs()], u64::MAX);
        }
        limbs::subtract_if_not_less(&mut sum, n);
    }
    sum.truncate(n.len());
    sum
}

/// Moduli: ones throughout, one bit at each end, and digits that are the lowest or the highest balanced ones.
fn moduli<K: Kernel>(bits: usize) -> Vec<Vec<u64>> {
    let width = K::DIGIT_BITS as usize;
    let filled = |one: &dyn Fn(usize) -> bool| {
        let mut n: Vec<u64> = (0..bits / 64).map(|limb| (0..64).fold(0, |sum, bit| sum | u64::from(one(64 * limb + bit)) << bit)).collect();
        n[0] |= 1;
        *n.last_mut().unwrap() |= 1 << 63;
        n
    };
    vec![
        filled(&|_| true),
        filled(&|_| false),
        filled(&|bit| if bit < width { bit + 1 == width } else { bit % width + 1 != width }),
        filled(&|bit| bit % width + 1 != width),
        filled(&|bit| bit.wrapping_mul(0x9e37_79b9) >> 7 & 1 == 1),
    ]
}

/// Every digit of a result keeps its bound, and the value is what it should be.
fn check_result<K: Kernel>(result: &[K::Word], lane: usize, n: &[u64], r: &[u64], expected: &[u64]) {
    let [low, high] = extremes::<K>();
    assert!(result.iter().all(|word| (low..=high).contains(&K::decode(word.lane(lane)))));
    let value = number::load::<K>(result, lane, n);
    assert!(limbs::less_mask(&value, n) != 0);
    assert_eq!(*slow_product(&value, r, n), *expected);
}

fn digits_at_their_bounds<K: Kernel>(bits: usize) {
    let Some(kernel) = K::detect() else { return };
    let digits = K::digit_count(bits).unwrap();
    let mut scratch = number::zero::<K>(SCRATCH * digits);
    let [mut a, mut b, mut out] = std::array::from_fn(|_| number::zero::<K>(digits));
    for n in moduli::<K>(bits) {
        let modulus = number::modulus::<K>(&n, digits);
        let r = limbs::power_of_two(digits * K::DIGIT_BITS as usize, &n);
        let operands: Vec<Vec<i64>> = (0..PATTERNS).map(|pattern| operand::<K>(pattern, bits, digits)).collect();
        let residues: Vec<Limbs> = operands.iter().map(|digits| residue::<K>(digits, &n)).collect();
        let fill = |number: &mut [K::Word], pattern_of: &dyn Fn(usize) -> usize| {
            for lane in 0..K::LANES {
                for (word, &digit) in number.iter_mut().zip(&operands[pattern_of(lane)]) {
                    word.set_lane(lane, K::encode(digit));
                }
            }
        };
        // All pairs of patterns, several at once in the lanes.
        for first in (0..PATTERNS * PATTERNS).step_by(K::LANES) {
            let (left, right) = (|lane: usize| (first + lane) % PATTERNS, |lane: usize| (first + lane) / PATTERNS);
            fill(&mut a, &left);
            fill(&mut b, &right);
            kernel.multiply(&mut out, &a, &b, &modulus, &mut scratch);
            for lane in 0..K::LANES {
                check_result::<K>(&out, lane, &n, &r, &slow_product(&residues[left(lane)], &residues[right(lane)], &n));
            }
            // The sum of both, times one of them.
            kernel.add(&mut a, &b);
            for (x, y) in [(&a, &b), (&b, &a)] {
                kernel.multiply(&mut out, x, y, &modulus, &mut scratch);
                for lane in 0..K::LANES {
                    let [left, right] = [left(lane), right(lane)].map(|pattern| &residues[pattern]);
                    let mut sum = limbs::zero(n.len() + 1);
                    limbs::add_masked(&mut sum, left, u64::MAX);
                    limbs::add_masked(&mut sum, right, u64::MAX);
                    limbs::subtract_if_not_less(&mut sum, &n);
                    check_result::<K>(&out, lane, &n, &r, &slow_product(&sum[..n.len()], right, &n));
                }
            }
        }
        for first in (0..PATTERNS).step_by(K::LANES) {
            fill(&mut a, &|lane| first + lane);
            kernel.square(&mut out, &a, &modulus, &mut scratch);
            for lane in 0..K::LANES {
                let value = &residues[first + lane];
                check_result::<K>(&out, lane, &n, &r, &slow_product(value, value, &n));
            }
        }
    }
}

macro_rules! sizes {
    ($($name:ident: $bits:literal;)*) => {$(
        #[test]
        fn $name() {
            digits_at_their_bounds::<Avx2>($bits);
            digits_at_their_bounds::<Ifma>($bits);
        }
    )*};
}
sizes! {
    digits_at_their_bounds_512: 512;
    digits_at_their_bounds_1024: 1024;
    digits_at_their_bounds_1536: 1536;
    digits_at_their_bounds_2048: 2048;
    digits_at_their_bounds_3072: 3072;
    digits_at_their_bounds_4096: 4096;
}

#[test]
fn residues_of_signed_digits() {
    let n = [u64::MAX - 58]; // 2^64 - 59
    assert_eq!(*residue::<Avx2>(&[-1, 0], &n), [n[0] - 1]);
    assert_eq!(*residue::<Avx2>(&[0, 1 << 14], &n), [59]);
    assert_eq!(*residue::<Avx2>(&[5, -(1 << 14)], &n), [n[0] - 54]);
    assert_eq!(*slow_product(&one(1), &[7], &n), [7]);
}
