//! Eight lanes on AVX-512 IFMA: digits of 52 bits, products by `vpmadd52luq` and `vpmadd52huq`.
//!
//! Numbers are cut into tiles of five digits. A product is built tile column by tile column: ten accumulators
//! take all tile products of the column and of the reduction, five digits leave, five move down.
//!
//! # Bounds
//! With base `B = 2^52`, `L` digits and `R = B^L`; the size of a modulus leaves `R` at least `2^8` times as large
//! ([`Kernel::digit_count`]).
//! 1. **Digits** are between 0 and `B - 1`: stored numbers by their making, quotients as low halves, results and sums by masking.
//!    The instructions read the low 52 bits of a factor alone, so nothing else would do.
//! 2. **Columns.** A low and a high half are below `2^52` each. A column takes at most `L` of each from `a·b` (in a square: half
//!    of them, doubled) and `L` of each from `q·n`, and one carry: below `4·80·2^52 + 2^12 < 2^61`. So 64 bits never overflow;
//!    nothing is negative. ([`COLUMN_BOUND`])
//! 3. **Results.** `q < R`. For operands below `4n`, `(a·b + q·n) / R < 16·n²/R + n ≤ n·(1 + 2^-4) < 2n`, since `n ≤ R / 2^8`. Sums
//!    of two results are below `4n < R`. So the last carry of a result and of a sum is 0.

#![expect(clippy::indexing_slicing, reason = "tile and column numbers come from loops over fixed sizes, never from data")]

use super::{Kernel, Modulus, Word8, check};
use std::arch::x86_64::*;

/// One register: a digit of eight lanes.
type V = __m512i;
/// Digits of one tile.
const TILE: usize = 5;
const MASK: i64 = (1 << 52) - 1;
/// Whether columns of numbers of `T` tiles fit 64 bits (bound 2).
const fn columns_fit<const T: usize>() -> bool {
    let digits = (T * TILE) as u64;
    4 * digits * (1 << 52) + (1 << 12) < 1 << 61
}

/// Proof that the processor has AVX-512 F and IFMA.
#[derive(Clone, Copy)]
pub(crate) struct Ifma(());

fn registers(words: &[Word8]) -> &[V] {
    // SAFETY: `Word8` and `__m512i` have the same size and alignment (64 bytes), no padding, and both take every bit pattern.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), words.len()) }
}

fn registers_mut(words: &mut [Word8]) -> &mut [V] {
    // SAFETY: as in `registers`; the exclusive borrow passes over to the result.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), words.len()) }
}

fn tiles(words: &[Word8]) -> &[[V; TILE]] {
    registers(words).as_chunks().0
}

fn tiles_mut(words: &mut [Word8]) -> &mut [[V; TILE]] {
    registers_mut(words).as_chunks_mut().0
}

/// `acc += a · b` for one digit of `a` and a tile `b`; the lowest column is `$at`.
macro_rules! madd_row {
    ($acc:ident, $at:expr, $a:expr, $b:ident) => {
        let a = $a;
        $acc[$at] = _mm512_madd52lo_epu64($acc[$at], a, $b[0]);
        $acc[$at + 1] = _mm512_madd52hi_epu64($acc[$at + 1], a, $b[0]);
        $acc[$at + 1] = _mm512_madd52lo_epu64($acc[$at + 1], a, $b[1]);
        $acc[$at + 2] = _mm512_madd52hi_epu64($acc[$at + 2], a, $b[1]);
        $acc[$at + 2] = _mm512_madd52lo_epu64($acc[$at + 2], a, $b[2]);
        $acc[$at + 3] = _mm512_madd52hi_epu64($acc[$at + 3], a, $b[2]);
        $acc[$at + 3] = _mm512_madd52lo_epu64($acc[$at + 3], a, $b[3]);
        $acc[$at + 4] = _mm512_madd52hi_epu64($acc[$at + 4], a, $b[3]);
        $acc[$at + 4] = _mm512_madd52lo_epu64($acc[$at + 4], a, $b[4]);
        $acc[$at + 5] = _mm512_madd52hi_epu64($acc[$at + 5], a, $b[4]);
    };
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn tile(mut acc: [V; 10], a: &[V; TILE], b: &[V; TILE]) -> [V; 10] {
    madd_row!(acc, 0, a[0], b);
    madd_row!(acc, 1, a[1], b);
    madd_row!(acc, 2, a[2], b);
    madd_row!(acc, 3, a[3], b);
    madd_row!(acc, 4, a[4], b);
    acc
}

/// The products of different digits of one tile, each once (to be doubled).
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn tile_cross(mut acc: [V; 10], a: &[V; TILE]) -> [V; 10] {
    macro_rules! pair {
        ($i:literal, $j:literal) => {
            acc[$i + $j] = _mm512_madd52lo_epu64(acc[$i + $j], a[$i], a[$j]);
            acc[$i + $j + 1] = _mm512_madd52hi_epu64(acc[$i + $j + 1], a[$i], a[$j]);
        };
    }
    pair!(0, 1);
    pair!(0, 2);
    pair!(0, 3);
    pair!(0, 4);
    pair!(1, 2);
    pair!(1, 3);
    pair!(1, 4);
    pair!(2, 3);
    pair!(2, 4);
    pair!(3, 4);
    acc
}

/// The squares of the digits of one tile.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn tile_squares(mut acc: [V; 10], a: &[V; TILE]) -> [V; 10] {
    for i in 0..TILE {
        acc[2 * i] = _mm512_madd52lo_epu64(acc[2 * i], a[i], a[i]);
        acc[2 * i + 1] = _mm512_madd52hi_epu64(acc[2 * i + 1], a[i], a[i]);
    }
    acc
}

/// Finds five digits of the Montgomery quotient that clear the low five columns, and adds their products with the lowest tile of `n`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn reduce(mut acc: [V; 10], q: &mut [V; TILE], n: &[V; TILE], inverse: V) -> [V; 10] {
    macro_rules! digit {
        ($d:literal) => {
            let quotient = _mm512_madd52lo_epu64(_mm512_setzero_si512(), acc[$d], inverse);
            q[$d] = quotient;
            madd_row!(acc, $d, quotient, n);
            acc[$d + 1] = _mm512_add_epi64(acc[$d + 1], _mm512_srli_epi64::<52>(acc[$d]));
        };
    }
    digit!(0);
    digit!(1);
    digit!(2);
    digit!(3);
    digit!(4);
    acc
}

/// Carries through the low five columns and writes them out as digits.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn output(mut acc: [V; 10], out: &mut [V; TILE]) -> [V; 10] {
    let mask = _mm512_set1_epi64(MASK);
    for d in 0..TILE {
        out[d] = _mm512_and_si512(acc[d], mask);
        acc[d + 1] = _mm512_add_epi64(acc[d + 1], _mm512_srli_epi64::<52>(acc[d]));
    }
    acc
}

/// Drops the low five columns.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn shift(acc: [V; 10]) -> [V; 10] {
    let zero = _mm512_setzero_si512();
    [acc[5], acc[6], acc[7], acc[8], acc[9], zero, zero, zero, zero, zero]
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn multiply<const T: usize>(out: &mut [Word8], a: &[Word8], b: &[Word8], n: &Modulus<Word8>, scratch: &mut [Word8]) {
    const { assert!(columns_fit::<T>(), "bound 2") };
    let (out, q) = (tiles_mut(out), tiles_mut(scratch));
    let (a, b, digits, inverse) = (tiles(a), tiles(b), tiles(&n.digits), registers(&n.inverse)[0]);
    let mut acc = [_mm512_setzero_si512(); 10];
    for k in 0..2 * T {
        let first = k.saturating_sub(T - 1);
        for i in first..=k.min(T - 1) {
            acc = tile(acc, &a[i], &b[k - i]);
        }
        for i in first..k.min(T) {
            acc = tile(acc, &q[i], &digits[k - i]);
        }
        acc = shift(if k < T { reduce(acc, &mut q[k], &digits[0], inverse) } else { output(acc, &mut out[k - T]) });
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn square<const T: usize>(out: &mut [Word8], a: &[Word8], n: &Modulus<Word8>, scratch: &mut [Word8]) {
    const { assert!(columns_fit::<T>(), "bound 2") };
    let (out, q) = (tiles_mut(out), tiles_mut(scratch));
    let (a, digits, inverse) = (tiles(a), tiles(&n.digits), registers(&n.inverse)[0]);
    let mut acc = [_mm512_setzero_si512(); 10];
    // Products of different digits, once instead of twice.
    let mut cross = acc;
    for k in 0..2 * T {
        let first = k.saturating_sub(T - 1);
        for i in first..k.div_ceil(2) {
            cross = tile(cross, &a[i], &a[k - i]);
        }
        if k % 2 == 0 {
            cross = tile_cross(cross, &a[k / 2]);
            acc = tile_squares(acc, &a[k / 2]);
        }
        for d in 0..TILE {
            acc[d] = _mm512_add_epi64(acc[d], _mm512_slli_epi64::<1>(cross[d]));
        }
        cross = shift(cross);
        for i in first..k.min(T) {
            acc = tile(acc, &q[i], &digits[k - i]);
        }
        acc = shift(if k < T { reduce(acc, &mut q[k], &digits[0], inverse) } else { output(acc, &mut out[k - T]) });
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn add(a: &mut [Word8], b: &[Word8]) {
    let mask = _mm512_set1_epi64(MASK);
    let mut carry = _mm512_setzero_si512();
    for (a, b) in registers_mut(a).iter_mut().zip(registers(b)) {
        let sum = _mm512_add_epi64(_mm512_add_epi64(*a, *b), carry);
        *a = _mm512_and_si512(sum, mask);
        carry = _mm512_srli_epi64::<52>(sum);
    }
}

/// Eight entries at a time, so that their masks stay in registers. The masks are made by arithmetic and used by logic, not
/// with mask registers: a load under a mask register of zeros need not touch its memory.
#[target_feature(enable = "avx512f,avx512ifma")]
fn select<const L: usize>(out: &mut [Word8], table: &[Word8], index: &Word8) {
    const GROUP: usize = 8;
    let (wanted, one) = (registers(std::slice::from_ref(index))[0], _mm512_set1_epi64(1));
    let mut number = _mm512_setzero_si512();
    let (out, table) = (&mut registers_mut(out)[..L], registers(table).as_chunks::<L>().0);
    out.fill(_mm512_setzero_si512());
    for group in table.as_chunks::<GROUP>().0 {
        let masks: [V; GROUP] = std::array::from_fn(|_| {
            // Only the difference 0 becomes negative: both are far below 2^63.
            let mask = _mm512_srai_epi64::<63>(_mm512_sub_epi64(_mm512_xor_si512(wanted, number), one));
            number = _mm512_add_epi64(number, one);
            mask
        });
        for (position, digit) in out.iter_mut().enumerate() {
            for (entry, &mask) in masks.iter().enumerate() {
                // digit | (entry & mask)
                *digit = _mm512_ternarylogic_epi64::<0xf8>(*digit, group[entry][position], mask);
            }
        }
    }
}

impl Kernel for Ifma {
    type Word = Word8;
    const LANES: usize = 8;
    const DIGIT_BITS: u32 = 52;
    const BALANCED: bool = false;
    const WHOLE_INVERSE: bool = false;

    fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma")).then_some(Self(()))
    }

    fn digit_count(bits: usize) -> Option<usize> {
        match bits {
            512 => Some(10),
            1024 => Some(20),
            1536 => Some(30),
            2048 => Some(40),
            3072 => Some(60),
            4096 => Some(80),
            _ => None,
        }
    }

    fn encode(digit: i64) -> u64 {
        digit.cast_unsigned()
    }

    fn decode(pattern: u64) -> i64 {
        pattern.cast_signed()
    }

    fn multiply(self, out: &mut [Word8], a: &[Word8], b: &[Word8], n: &Modulus<Word8>, scratch: &mut [Word8]) {
        let length = check(out, &[a, b], n, scratch);
        // SAFETY: a value of `Ifma` exists, so the processor has AVX-512 F and IFMA.
        unsafe {
            match length {
                10 => multiply::<2>(out, a, b, n, scratch),
                20 => multiply::<4>(out, a, b, n, scratch),
                30 => multiply::<6>(out, a, b, n, scratch),
                40 => multiply::<8>(out, a, b, n, scratch),
                60 => multiply::<12>(out, a, b, n, scratch),
                80 => multiply::<16>(out, a, b, n, scratch),
                _ => {}
            }
        }
    }

    fn square(self, out: &mut [Word8], a: &[Word8], n: &Modulus<Word8>, scratch: &mut [Word8]) {
        let length = check(out, &[a], n, scratch);
        // SAFETY: a value of `Ifma` exists, so the processor has AVX-512 F and IFMA.
        unsafe {
            match length {
                10 => square::<2>(out, a, n, scratch),
                20 => square::<4>(out, a, n, scratch),
                30 => square::<6>(out, a, n, scratch),
                40 => square::<8>(out, a, n, scratch),
                60 => square::<12>(out, a, n, scratch),
                80 => square::<16>(out, a, n, scratch),
                _ => {}
            }
        }
    }

    fn add(self, a: &mut [Word8], b: &[Word8]) {
        // SAFETY: a value of `Ifma` exists, so the processor has AVX-512 F and IFMA.
        unsafe { add(a, b) }
    }

    fn select(self, out: &mut [Word8], table: &[Word8], index: &Word8) {
        // SAFETY: a value of `Ifma` exists, so the processor has AVX-512 F and IFMA.
        unsafe {
            match out.len() {
                10 => select::<10>(out, table, index),
                20 => select::<20>(out, table, index),
                30 => select::<30>(out, table, index),
                40 => select::<40>(out, table, index),
                _ => out.fill(Self::Word::default()),
            }
        }
    }
}
