//! Four lanes on AVX2 and FMA: digits of 50 bits held as doubles, products by fused multiply-add.
//!
//! With base `B = 2^50`, `L` digits and `R = B^L`, a number is `d[0] + d[1]·B + …`; the size of a modulus leaves `R` at least
//! `2^26` times as large ([`Kernel::digit_count`]).
//!
//! # Bounds
//! Each is checked by the compiler for every size, in `DIGIT_BOUND` and `Counts::start` ([`bounds`]), and by tests with all digits
//! at their bounds.
//! 1. **Digits** are balanced: `|d| ≤ D = 2^49 + 2^9`. Stored numbers have `|d| ≤ 2^49`; [`normalise`] gives
//!    `-2^49 ≤ d < 2^49` and then adds the carry of the lower neighbour, at most `2^58 / B = 2^8` and one (bound 4). One operand
//!    of a product, but never both, may be a sum of two numbers or a doubled one: `|d| ≤ 2D`.
//! 2. **High halves.** A column takes up to three products at once ([`product3`]), of at most `2D²` each, so their partial sums
//!    stay below `6D² + 2B < 2^101`. `h = fma(a, b, 1.5·2^102)`, and what is added to it, then lies between `2^102` and `2^103`,
//!    where doubles are `2^50` apart: its mantissa counts `hi = round(a·b / B)`, whatever the rounding does with ties, and the
//!    bit pattern of `h` is linear in the sum of the `hi`, which is at most `2^51`.
//! 3. **Low halves.** `(1.5·2^102 + 1.5·2^52) - h` and `h - h'` are multiples of `2^50` of at most 53 bits: exact. So
//!    `l = fma(a, b, -hi·B) = a·b - hi·B` is exact as well: a whole number, `|l| ≤ 2^49`. Three of them on top of `1.5·2^52`
//!    stay between `2^52` and `2^53`, where doubles are whole numbers: exact, and linear in the pattern.
//! 4. **Columns.** The patterns are summed as 64-bit integers that wrap; [`starts`] takes off the constant part beforehand.
//!    What is left is the true value of the column. A low half is at most `3·2^49`, a high half `2^51`; there are at most 56
//!    of each in a column, product and reduction together. That is below `2^58`. `POSITIVE` makes it positive, and with it
//!    every value lies between `2^60` and `2^62`, so that a logical shift takes the carry.
//! 5. **Results.** Let `t = a·b` and `q` the quotient below: `|q| ≤ R/2 · (1 + 2^-30)`. For operands below `4n` in absolute
//!    value, `|t + q·n| / R ≤ 16·n²/R + n/2·(1 + 2^-30) < n`, since `n ≤ R / 2^26`. So a result is above `-n` and below `n`, and its
//!    highest digit has room to spare: what the last carry would be is 0.
//!
//! The default rounding mode is used throughout and never changed. (A caller that changed it breaks Rust's rules; even then a
//! wrong result fails the check with the public exponent.) No operand is ever subnormal, infinite or NaN, so the time of an
//! instruction does not depend on the operands.
//!
//! # Reduction without a chain
//! Finding the quotient digit by digit is one long chain of dependent operations. Instead the whole quotient is a
//! product: `q = (t mod R) · (-1/n) mod R`, of which only the low columns are needed, and `(t + q·n) / R`, of which
//! only the high columns are needed. The low half of `t + q·n` is a multiple of `R`, so what it carries into the
//! high half is a whole number: the value of its highest column divided by `B`, and what the columns below add, which is less
//! than `2^58 · B^(L-2) · (1 + 2^-40) / R < 2^-41`. So the highest column divided by `B` and rounded is that number. Digits take one
//! carry from their neighbour and are then a little above `2^49`; nothing ripples.

#![expect(clippy::indexing_slicing, reason = "row and column numbers come from loops over fixed sizes, never from data")]

pub(super) mod bounds;

use std::arch::x86_64::*;

use self::bounds::{BITS, BOTH, CARRIED, HIGH, LOW, MASK, OFFSET, ROW, UNIT, border_start, quotient_starts, starts};
use super::{Kernel, Modulus, Word4, check};

/// One register of integers.
type V = __m256i;
/// One register of doubles.
type D = __m256d;

/// Proof that the processor has AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

fn integers_mut(words: &mut [Word4]) -> &mut [V] {
    // SAFETY: `Word4` and `__m256i` have the same size and alignment (32 bytes), no padding, and take every bit pattern.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), words.len()) }
}

fn doubles(words: &[Word4]) -> &[D] {
    // SAFETY: `Word4` and `__m256d` have the same size and alignment (32 bytes), no padding, and take every bit pattern.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), words.len()) }
}

fn doubles_mut(words: &mut [Word4]) -> &mut [D] {
    // SAFETY: as in `doubles`; the exclusive borrow passes over to the result.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), words.len()) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn pattern(bits: u64) -> V {
    _mm256_set1_epi64x(bits.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn constant(bits: u64) -> D {
    _mm256_castsi256_pd(pattern(bits))
}

/// The patterns of the low and the high half of `a · b`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn product(a: D, b: D) -> (V, V) {
    let (high, both) = (constant(HIGH), constant(BOTH));
    let h = _mm256_fmadd_pd(a, b, high);
    let l = _mm256_fmadd_pd(a, b, _mm256_sub_pd(both, h));
    (_mm256_castpd_si256(l), _mm256_castpd_si256(h))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum(a: V, b: V) -> V {
    _mm256_add_epi64(a, b)
}

/// The patterns of the low and the high half of `x[0]·y[0] + x[1]·y[1] + x[2]·y[2]`.
///
/// The high halves gather in one double; what each product leaves over is summed as doubles too. That is fewer
/// instructions than three times [`product`], on units that the multiplications leave free.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn product3(x: &[D; ROW], y: [D; ROW]) -> (V, V) {
    let (high, both) = (constant(HIGH), constant(BOTH));
    let h0 = _mm256_fmadd_pd(x[0], y[0], high);
    let h1 = _mm256_fmadd_pd(x[1], y[1], h0);
    let h2 = _mm256_fmadd_pd(x[2], y[2], h1);
    let l0 = _mm256_fmadd_pd(x[0], y[0], _mm256_sub_pd(both, h0));
    let l1 = _mm256_fmadd_pd(x[1], y[1], _mm256_sub_pd(h0, h1));
    let l2 = _mm256_fmadd_pd(x[2], y[2], _mm256_sub_pd(h1, h2));
    (_mm256_castpd_si256(_mm256_add_pd(_mm256_add_pd(l0, l1), l2)), _mm256_castpd_si256(h2))
}

/// As [`product3`], for two products.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn product2(x: [D; 2], y: [D; 2]) -> (V, V) {
    let (high, both) = (constant(HIGH), constant(BOTH));
    let h0 = _mm256_fmadd_pd(x[0], y[0], high);
    let h1 = _mm256_fmadd_pd(x[1], y[1], h0);
    let l0 = _mm256_fmadd_pd(x[0], y[0], _mm256_sub_pd(both, h0));
    let l1 = _mm256_fmadd_pd(x[1], y[1], _mm256_sub_pd(h0, h1));
    (_mm256_castpd_si256(_mm256_add_pd(l0, l1)), _mm256_castpd_si256(h1))
}

/// Adds `x[0]·y[k+2] + x[1]·y[k+1] + x[2]·y[k]` to each column `k`, after `carried`; returns the high half of the last.
/// The number of columns is a multiple of 3.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn columns3(columns: &mut [V], x: &[D; ROW], y: &[D], mut carried: V) -> V {
    let (mut y0, mut y1) = (y[0], y[1]);
    for (column, y) in columns.as_chunks_mut::<3>().0.iter_mut().zip(y[2..].as_chunks::<3>().0) {
        let (l, h) = product3(x, [y[0], y1, y0]);
        column[0] = sum(sum(column[0], carried), l);
        let (l, next) = product3(x, [y[1], y[0], y1]);
        column[1] = sum(sum(column[1], h), l);
        let (l, h) = product3(x, [y[2], y[1], y[0]]);
        column[2] = sum(sum(column[2], next), l);
        (y0, y1, carried) = (y[1], y[2], h);
    }
    carried
}

/// Adds three digits `x` times the number `y` to as many columns as `y` has digits; returns what goes to the next column.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn row_low(columns: &mut [V], x: &[D; ROW], y: &[D]) -> V {
    assert!(columns.len() == y.len() && y.len() >= ROW);
    let (l, h) = product(x[0], y[0]);
    columns[0] = sum(columns[0], l);
    let (l, next) = product2([x[0], x[1]], [y[1], y[0]]);
    columns[1] = sum(sum(columns[1], h), l);
    let (l, h) = product3(x, [y[2], y[1], y[0]]);
    columns[2] = sum(sum(columns[2], next), l);
    columns3(&mut columns[3..], x, &y[1..], h)
}

/// Adds the products beyond the highest digit of `y` to three columns.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn row_end(columns: &mut [V], x: &[D; ROW], y: &[D], carried: V) {
    let length = y.len();
    let columns = &mut columns[..ROW];
    let (l, next) = product2([x[1], x[2]], [y[length - 1], y[length - 2]]);
    columns[0] = sum(sum(columns[0], carried), l);
    let (l, h) = product(x[2], y[length - 1]);
    columns[1] = sum(sum(columns[1], next), l);
    columns[2] = sum(columns[2], h);
}

/// Adds three digits `x` times the number `y` to three columns more than `y` has digits.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn row(columns: &mut [V], x: &[D; ROW], y: &[D]) {
    let (low, end) = columns.split_at_mut(y.len());
    let carried = row_low(low, x, y);
    row_end(end, x, y, carried);
}

/// Adds three digits `x`, the digits `i` on of a number, times `y` to the columns from `y.len() - 1` on.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn row_high(columns: &mut [V], x: &[D; ROW], y: &[D], i: usize) {
    let length = y.len();
    // The high halves of the column below.
    let first = length - 2 - i;
    let (_, carried) = if first == 1 { product2([x[0], x[1]], [y[1], y[0]]) } else { product3(x, [y[first], y[first - 1], y[first - 2]]) };
    let (middle, end) = columns.split_at_mut(i + 1);
    let (l, h) = product3(x, [y[first + 1], y[first], y[first - 1]]);
    middle[0] = sum(sum(middle[0], carried), l);
    let carried = columns3(&mut middle[1..], x, &y[first..], h);
    row_end(end, x, y, carried);
}

/// Adds the square of three digits `x` to six columns.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn row_diagonal(columns: &mut [V], x: [D; ROW]) {
    let columns = &mut columns[..6];
    let (twice0, twice1) = (_mm256_add_pd(x[0], x[0]), _mm256_add_pd(x[1], x[1]));
    let (l00, h00) = product(x[0], x[0]);
    let (l01, h01) = product(twice0, x[1]);
    let (l02, h02) = product(twice0, x[2]);
    let (l11, h11) = product(x[1], x[1]);
    let (l12, h12) = product(twice1, x[2]);
    let (l22, h22) = product(x[2], x[2]);
    columns[0] = sum(columns[0], l00);
    columns[1] = sum(columns[1], sum(h00, l01));
    columns[2] = sum(sum(columns[2], h01), sum(l02, l11));
    columns[3] = sum(sum(columns[3], l12), sum(h02, h11));
    columns[4] = sum(columns[4], sum(h12, l22));
    columns[5] = sum(columns[5], h22);
}

/// Cuts columns into balanced digits, each with the carry of its lower neighbour. Returns the last digit plus [`OFFSET`], as
/// an integer, and the carry of the last column.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn normalise(columns: &[V], digits: &mut [D]) -> (V, V) {
    let mut carry = pattern(CARRIED);
    let mut last = carry;
    for (&column, digit) in columns.iter().zip(digits) {
        let value = sum(column, pattern(1 << (BITS - 1)));
        last = sum(_mm256_and_si256(value, pattern(MASK)), carry);
        carry = _mm256_srli_epi64::<{ BITS.cast_signed() }>(value);
        *digit = _mm256_sub_pd(_mm256_castsi256_pd(sum(last, pattern(UNIT))), constant(UNIT + OFFSET));
    }
    (last, carry)
}

/// Three digits of a number from `i` on.
fn digits3(number: &[D], i: usize) -> [D; ROW] {
    [number[i], number[i + 1], number[i + 2]]
}

/// Brings the `2 · L` columns down to `L` digits: divides by `R` modulo `n`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn reduce<const L: usize>(out: &mut [Word4], columns: &mut [V], digits: &mut [D], n: &Modulus<Word4>) {
    let (columns, digits) = (&mut columns[..2 * L], &mut digits[..L]);
    let (inverse, n) = (&doubles(&n.inverse)[..L], &doubles(&n.digits)[..L]);
    // t mod R
    let (border, carry) = normalise(&columns[..L], digits);
    columns[L] = sum(columns[L], carry);
    // q
    for (column, start) in columns.iter_mut().zip(const { quotient_starts::<L>() }).take(L) {
        *column = pattern(start);
    }
    for i in (0..L).step_by(ROW) {
        row_low(&mut columns[i..L], &digits3(digits, i), &inverse[..L - i]);
    }
    normalise(&columns[..L], digits);
    // t + q · n
    columns[L - 1] = sum(border, pattern(const { border_start::<L>() }));
    for i in (0..L).step_by(ROW) {
        row_high(&mut columns[L - 1..L + i + ROW], &digits3(digits, i), n, i);
    }
    let carry = _mm256_srli_epi64::<{ BITS.cast_signed() }>(sum(columns[L - 1], pattern(1 << (BITS - 1))));
    columns[L] = sum(columns[L], carry);
    normalise(&columns[L..], &mut doubles_mut(out)[..L]);
}

/// The scratch space as columns and digits.
fn split<const L: usize>(scratch: &mut [Word4]) -> (&mut [V], &mut [D]) {
    let (columns, digits) = scratch.split_at_mut(2 * L);
    (integers_mut(columns), doubles_mut(digits))
}

#[target_feature(enable = "avx2,fma")]
fn multiply<const L: usize>(out: &mut [Word4], a: &[Word4], b: &[Word4], n: &Modulus<Word4>, scratch: &mut [Word4]) {
    let (columns, digits) = split::<L>(scratch);
    let (a, b) = (&doubles(a)[..L], &doubles(b)[..L]);
    for (column, start) in columns.iter_mut().zip(const { starts::<L, false>() }) {
        *column = pattern(start);
    }
    for i in (0..L).step_by(ROW) {
        row(&mut columns[i..][..L + ROW], &digits3(a, i), b);
    }
    reduce::<L>(out, columns, digits, n);
}

#[target_feature(enable = "avx2,fma")]
fn square<const L: usize>(out: &mut [Word4], a: &[Word4], n: &Modulus<Word4>, scratch: &mut [Word4]) {
    let (columns, digits) = split::<L>(scratch);
    let a = &doubles(a)[..L];
    for (column, start) in columns.iter_mut().zip(const { starts::<L, true>() }) {
        *column = pattern(start);
    }
    for i in (0..L).step_by(ROW) {
        let x = digits3(a, i);
        row_diagonal(&mut columns[2 * i..], x);
        if i + ROW < L {
            row(&mut columns[2 * i + ROW..][..L - i], &x.map(|x| _mm256_add_pd(x, x)), &a[i + ROW..]);
        }
    }
    reduce::<L>(out, columns, digits, n);
}

#[target_feature(enable = "avx2,fma")]
fn add(a: &mut [Word4], b: &[Word4]) {
    for (a, &b) in doubles_mut(a).iter_mut().zip(doubles(b)) {
        *a = _mm256_add_pd(*a, b);
    }
}

/// Eight entries at a time, so that their masks stay in registers.
#[target_feature(enable = "avx2,fma")]
fn select<const L: usize>(out: &mut [Word4], table: &[Word4], index: &Word4) {
    const GROUP: usize = 8;
    let wanted = _mm256_castpd_si256(doubles(std::slice::from_ref(index))[0]);
    let mut number = _mm256_setzero_si256();
    let (out, table) = (&mut doubles_mut(out)[..L], doubles(table).as_chunks::<L>().0);
    out.fill(_mm256_setzero_pd());
    for group in table.as_chunks::<GROUP>().0 {
        let masks: [D; GROUP] = std::array::from_fn(|_| {
            let mask = _mm256_castsi256_pd(_mm256_cmpeq_epi64(wanted, number));
            number = sum(number, pattern(1));
            mask
        });
        for (position, digit) in out.iter_mut().enumerate() {
            for (entry, &mask) in masks.iter().enumerate() {
                *digit = _mm256_or_pd(*digit, _mm256_and_pd(mask, group[entry][position]));
            }
        }
    }
}

impl Kernel for Avx2 {
    type Word = Word4;
    const LANES: usize = 4;
    const DIGIT_BITS: u32 = BITS;
    const BALANCED: bool = true;
    const WHOLE_INVERSE: bool = true;

    fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }

    fn digit_count(bits: usize) -> Option<usize> {
        match bits {
            512 => Some(12),
            1024 => Some(21),
            1536 => Some(33),
            2048 => Some(42),
            3072 => Some(63),
            4096 => Some(84),
            _ => None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "digits have at most 52 bits")]
    fn encode(digit: i64) -> u64 {
        (digit as f64).to_bits()
    }

    fn decode(pattern: u64) -> i64 {
        // The pattern of 1.5·2^52 + digit is linear in the digit.
        (f64::from_bits(pattern) + f64::from_bits(LOW)).to_bits().wrapping_sub(LOW).cast_signed()
    }

    fn multiply(self, out: &mut [Word4], a: &[Word4], b: &[Word4], n: &Modulus<Word4>, scratch: &mut [Word4]) {
        let length = check(out, &[a, b], n, scratch);
        // SAFETY: a value of `Avx2` exists, so the processor has AVX2 and FMA.
        unsafe {
            match length {
                12 => multiply::<12>(out, a, b, n, scratch),
                21 => multiply::<21>(out, a, b, n, scratch),
                33 => multiply::<33>(out, a, b, n, scratch),
                42 => multiply::<42>(out, a, b, n, scratch),
                63 => multiply::<63>(out, a, b, n, scratch),
                84 => multiply::<84>(out, a, b, n, scratch),
                _ => {}
            }
        }
    }

    fn square(self, out: &mut [Word4], a: &[Word4], n: &Modulus<Word4>, scratch: &mut [Word4]) {
        let length = check(out, &[a], n, scratch);
        // SAFETY: a value of `Avx2` exists, so the processor has AVX2 and FMA.
        unsafe {
            match length {
                12 => square::<12>(out, a, n, scratch),
                21 => square::<21>(out, a, n, scratch),
                33 => square::<33>(out, a, n, scratch),
                42 => square::<42>(out, a, n, scratch),
                63 => square::<63>(out, a, n, scratch),
                84 => square::<84>(out, a, n, scratch),
                _ => {}
            }
        }
    }

    fn add(self, a: &mut [Word4], b: &[Word4]) {
        // SAFETY: a value of `Avx2` exists, so the processor has AVX2 and FMA.
        unsafe { add(a, b) }
    }

    fn select(self, out: &mut [Word4], table: &[Word4], index: &Word4) {
        // SAFETY: a value of `Avx2` exists, so the processor has AVX2 and FMA.
        unsafe {
            match out.len() {
                12 => select::<12>(out, table, index),
                21 => select::<21>(out, table, index),
                33 => select::<33>(out, table, index),
                42 => select::<42>(out, table, index),
                _ => out.fill(Self::Word::default()),
            }
        }
    }
}
