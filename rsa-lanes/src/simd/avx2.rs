//! Four lanes on AVX2 and FMA: digits of 50 bits held as doubles, products by fused multiply-add.
//!
//! # Why the doubles are exact
//! Digits are balanced: `|a|, |b| ≤ 2^49`, for one doubled operand `2^50`. With `|a·b| ≤ 2^101`,
//! - `h = fma(a, b, 1.5·2^102)` lies in `[2^102, 2^103]`, where doubles are `2^50` apart. Its mantissa counts
//!   `hi = round(a·b / 2^50)`, whatever the rounding rule does with ties;
//! - `d = (1.5·2^102 + 1.5·2^52) - h = 1.5·2^52 - hi·2^50` is a small multiple of `2^50`: exact;
//! - `l = fma(a, b, d) = 1.5·2^52 + lo` with `lo = a·b - hi·2^50`, `|lo| ≤ 2^49`: an integer between `2^52` and
//!   `2^53`, so exact too.
//!
//! Three products in one column share their `h` and their `l` ([`product3`]): the sum of the products stays below
//! `2^101`, the sum of the `lo` below `2^51`.
//!
//! So the default rounding mode is used throughout and never changed. The bit patterns of `h` and `l` are linear
//! in `hi` and `lo`: they are summed as integers, and the constant part of the patterns is taken off each column
//! beforehand ([`starts`]). No operand is ever subnormal, infinite or NaN, so the time of an instruction does
//! not depend on the operands. (A caller that changed the rounding mode breaks Rust's rules; even then a wrong
//! result fails the check with the public exponent.)
//!
//! A column sums at most `4 · 84` values of at most `2^52`: below `2^61`. [`POSITIVE`] makes it positive, so that a
//! logical shift takes the carry.

#![expect(clippy::indexing_slicing, reason = "row and column numbers come from loops over fixed sizes, never from data")]

use super::{Kernel, Modulus, SCRATCH, Word4};
use std::arch::x86_64::*;

/// One register of integers.
type V = __m256i;
/// One register of doubles.
type D = __m256d;
/// Digits of the multiplier that one row takes.
const ROW: usize = 3;
const BITS: u32 = 50;
const MASK: u64 = (1 << BITS) - 1;
/// Pattern of `1.5·2^102`.
const HIGH: u64 = (1023 + 102) << 52 | 1 << 51;
/// Pattern of `1.5·2^102 + 1.5·2^52`: six units of `2^50` more.
const BOTH: u64 = HIGH + 6;
/// Patterns of `1.5·2^52` and of `2^51`.
const LOW: u64 = (1023 + 52) << 52 | 1 << 51;
const UNIT: u64 = (1023 + 51) << 52;
/// Added to every column, a multiple of `2^50`; its carry is taken off the next column.
const POSITIVE: u64 = 1 << 61;

/// How many patterns of [`LOW`] and of [`HIGH`] each column takes in; 168 columns are enough for the largest size.
struct Counts {
    low: [u64; 168],
    high: [u64; 168],
}

impl Counts {
    /// One low half to column `k`, its high half to the next.
    const fn add(&mut self, k: usize) {
        self.low[k] += 1;
        self.high[k + 1] += 1;
    }

    /// The columns that [`row`] touches, from column `start + from` on.
    const fn row(&mut self, start: usize, length: usize, from: usize) {
        let mut j = from;
        while j < length + ROW - 1 {
            self.add(start + j);
            j += 1;
        }
    }
}

/// What each column starts from, for numbers of `L` digits: minus the constant parts of the patterns it will take in.
const fn starts<const L: usize, const SQUARE: bool>() -> [u64; 168] {
    let mut counts = Counts { low: [0; 168], high: [0; 168] };
    let mut i = 0;
    while i < L {
        if SQUARE {
            // row_diagonal, and the row beyond it.
            let mut r = 0;
            while r < ROW {
                let mut t = r;
                while t < ROW {
                    counts.add(2 * i + r + t);
                    t += 1;
                }
                r += 1;
            }
            if i + ROW < L {
                counts.row(2 * i + ROW, L - i - ROW, 0);
            }
        } else {
            counts.row(i, L, 0);
        }
        // quotient, and the rest of its row.
        let mut r = 0;
        while r < ROW {
            let mut t = 0;
            while t + r < ROW {
                counts.add(i + r + t);
                t += 1;
            }
            r += 1;
        }
        counts.row(i, L, ROW);
        i += ROW;
    }
    let mut starts = [0; 168];
    let mut k = 0;
    while k < 2 * L {
        let carry = if k == 0 { 0 } else { POSITIVE >> BITS };
        starts[k] = POSITIVE.wrapping_sub(carry).wrapping_sub(counts.low[k].wrapping_mul(LOW)).wrapping_sub(counts.high[k].wrapping_mul(HIGH));
        k += 1;
    }
    starts
}

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

/// Adds three digits `x` times the number `y` to the columns, from the products of column `from` on (0 or 3).
#[inline]
#[target_feature(enable = "avx2,fma")]
fn row(columns: &mut [V], x: [D; ROW], y: &[D], from: usize) {
    let length = y.len();
    assert!(columns.len() == length + ROW && length >= ROW);
    let mut carried = _mm256_setzero_si256();
    if from == 0 {
        let (l, h) = product(x[0], y[0]);
        columns[0] = sum(columns[0], l);
        let (l, next) = product2([x[0], x[1]], [y[1], y[0]]);
        columns[1] = sum(sum(columns[1], h), l);
        carried = next;
    }
    let start = if from == 0 { 2 } else { from };
    for j in start..length {
        carried = column(columns, &x, y, j, carried);
    }
    last_columns(columns, &x, y, carried);
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

/// The digit of the Montgomery quotient that clears `column`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn quotient_digit(column: V, inverse: D) -> D {
    // The double 2^51 + (column mod 2^50): the added 2^51 vanishes modulo one digit.
    let digit = _mm256_and_si256(_mm256_slli_epi64::<1>(column), pattern(MASK << 1));
    let digit = _mm256_castsi256_pd(_mm256_or_si256(digit, pattern(UNIT)));
    let (l, _) = product(digit, inverse);
    _mm256_sub_pd(_mm256_castsi256_pd(l), constant(LOW))
}

/// Finds three digits of the Montgomery quotient; adds their products with the low digits of `n` up to the third column, and the carry.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn quotient(columns: &mut [V], n: &[D], inverse: D) -> [D; ROW] {
    let columns = &mut columns[..4];
    let (n0, n1, n2) = (n[0], n[1], n[2]);
    let q0 = quotient_digit(columns[0], inverse);
    let (l00, h00) = product(q0, n0);
    let (l01, h01) = product(q0, n1);
    let (l02, h02) = product(q0, n2);
    let carry = _mm256_srli_epi64::<50>(sum(columns[0], l00));
    let column1 = sum(sum(sum(columns[1], h00), l01), carry);
    let q1 = quotient_digit(column1, inverse);
    let (l10, h10) = product(q1, n0);
    let (l11, h11) = product(q1, n1);
    let carry = _mm256_srli_epi64::<50>(sum(column1, l10));
    let column2 = sum(sum(sum(columns[2], h01), sum(l02, h10)), sum(l11, carry));
    let q2 = quotient_digit(column2, inverse);
    let (l20, h20) = product(q2, n0);
    let carry = _mm256_srli_epi64::<50>(sum(column2, l20));
    columns[3] = sum(sum(sum(columns[3], h02), sum(h11, h20)), carry);
    [q0, q1, q2]
}

/// Carries through the columns and writes them out as balanced digits.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn output(columns: &[V], out: &mut [D]) {
    let half = pattern(1 << (BITS - 1));
    let exponent = (1023 + 52) << 52;
    // 2^52 + 2^49
    let offset = constant(exponent + (1 << (BITS - 1)));
    let last = out.len() - 1;
    let mut carry = _mm256_setzero_si256();
    for (&column, out) in columns.iter().zip(out.iter_mut()).take(last) {
        let value = sum(sum(column, half), carry);
        carry = _mm256_srli_epi64::<50>(value);
        let digit = _mm256_or_si256(_mm256_and_si256(value, pattern(MASK)), pattern(exponent));
        *out = _mm256_sub_pd(_mm256_castsi256_pd(digit), offset);
    }
    // The highest digit keeps its sign; it is small.
    let value = sum(sum(columns[last], carry), pattern(LOW.wrapping_sub(POSITIVE)));
    out[last] = _mm256_sub_pd(_mm256_castsi256_pd(value), constant(LOW));
}

/// Adds to column `j` the low half of `x[0]·y[j] + x[1]·y[j-1] + x[2]·y[j-2]`, and what the column before carried; returns the high half.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn column(columns: &mut [V], x: &[D; ROW], y: &[D], j: usize, carried: V) -> V {
    let (l, h) = product3(x, [y[j], y[j - 1], y[j - 2]]);
    columns[j] = sum(sum(columns[j], carried), l);
    h
}

/// Adds the products of the columns beyond the length of `y`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn last_columns(columns: &mut [V], x: &[D; ROW], y: &[D], carried: V) {
    let length = y.len();
    let (l, next) = product2([x[1], x[2]], [y[length - 1], y[length - 2]]);
    columns[length] = sum(sum(columns[length], carried), l);
    let (l, h) = product(x[2], y[length - 1]);
    columns[length + 1] = sum(sum(columns[length + 1], next), l);
    columns[length + 2] = sum(columns[length + 2], h);
}

/// Keeps the compiler from moving the making of `value` to the other side of the memory accesses around.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn pin(value: &mut V) {
    // SAFETY: there is no instruction; the register comes back unchanged.
    unsafe { std::arch::asm!("/* {0} */", inout(ymm_reg) *value, options(nostack, preserves_flags)) }
}

/// As [`pin`], for doubles.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn pin_double(value: &mut D) {
    // SAFETY: there is no instruction; the register comes back unchanged.
    unsafe { std::arch::asm!("/* {0} */", inout(ymm_reg) *value, options(nostack, preserves_flags)) }
}

/// The work of [`quotient`] in fifteen steps, five for each digit, to be mixed with other work.
#[derive(Clone, Copy)]
struct Chain {
    /// The column to clear.
    column: V,
    /// What the next columns have got so far.
    pending: [V; 3],
    /// The column as a double, then the digit of the quotient.
    digit: D,
    /// High halves, as doubles: of `digit · inverse` first, then of the products with `n`.
    high: [D; 3],
    low: [V; 3],
    q: [D; ROW],
}

impl Chain {
    /// `columns` begins with the three columns to clear.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn new(columns: &[V]) -> Self {
        let (zero, none) = (_mm256_setzero_pd(), _mm256_setzero_si256());
        Self { column: columns[0], pending: [columns[1], columns[2], none], digit: zero, high: [zero; 3], low: [none; 3], q: [zero; ROW] }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn step<const STEP: usize>(&mut self, columns: &mut [V], n: &[D], inverse: D) {
        let (high, both) = (constant(HIGH), constant(BOTH));
        let d = STEP / 5;
        match STEP % 5 {
            0 => {
                let digit = _mm256_and_si256(sum(self.column, self.column), pattern(MASK << 1));
                self.digit = _mm256_castsi256_pd(_mm256_or_si256(digit, pattern(UNIT)));
                self.high[0] = _mm256_fmadd_pd(self.digit, inverse, high);
                pin_double(&mut self.high[0]);
            }
            1 => {
                self.low[0] = _mm256_castpd_si256(_mm256_fmadd_pd(self.digit, inverse, _mm256_sub_pd(both, self.high[0])));
                pin(&mut self.low[0]);
            }
            2 => {
                self.digit = _mm256_sub_pd(_mm256_castsi256_pd(self.low[0]), constant(LOW));
                self.q[d] = self.digit;
                for k in 0..ROW - d {
                    self.high[k] = _mm256_fmadd_pd(self.digit, n[k], high);
                    pin_double(&mut self.high[k]);
                }
            }
            3 => {
                for k in 0..ROW - d {
                    self.low[k] = _mm256_castpd_si256(_mm256_fmadd_pd(self.digit, n[k], _mm256_sub_pd(both, self.high[k])));
                    pin(&mut self.low[k]);
                }
            }
            _ => {
                let carry = _mm256_srli_epi64::<50>(sum(self.column, self.low[0]));
                for k in 0..ROW - d {
                    self.pending[k] = sum(self.pending[k], _mm256_castpd_si256(self.high[k]));
                    if k > 0 {
                        self.pending[k - 1] = sum(self.pending[k - 1], self.low[k]);
                    }
                }
                self.column = sum(self.pending[0], carry);
                self.pending = [self.pending[1], self.pending[2], _mm256_setzero_si256()];
                pin(&mut self.column);
                if d == ROW - 1 {
                    columns[ROW] = sum(columns[ROW], self.column);
                }
            }
        }
    }
}

/// Clears the low half of the columns of both streams and writes out the high half.
///
/// A quotient is one long chain of dependent operations. So the two streams go side by side, and the next quotients are
/// worked out step by step between the columns of the current row.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn reduce_pair<const L: usize>(out: [&mut [Word4]; 2], columns: &mut [V], n: [&Modulus<Word4>; 2]) {
    let [n0, n1] = n.map(|n| &doubles(&n.digits)[..L]);
    let [inverse0, inverse1] = n.map(|n| doubles(std::slice::from_ref(&n.inverse))[0]);
    let (columns0, columns1) = columns.split_at_mut(2 * L);
    let mut q0 = quotient(columns0, n0, inverse0);
    let mut q1 = quotient(columns1, n1, inverse1);
    for i in (0..L - ROW).step_by(ROW) {
        let (columns0, columns1) = (&mut columns0[i..][..L + 2 * ROW], &mut columns1[i..][..L + 2 * ROW]);
        let (mut carried0, mut carried1) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        for j in ROW..2 * ROW {
            carried0 = column(columns0, &q0, n0, j, carried0);
            carried1 = column(columns1, &q1, n1, j, carried1);
        }
        let (mut chain0, mut chain1) = (Chain::new(&columns0[ROW..]), Chain::new(&columns1[ROW..]));
        macro_rules! mixed {
            ($($step:literal)*) => {$(
                if 2 * ROW + $step < L {
                    carried0 = column(columns0, &q0, n0, 2 * ROW + $step, carried0);
                }
                chain0.step::<$step>(&mut columns0[ROW..], n0, inverse0);
                if 2 * ROW + $step < L {
                    carried1 = column(columns1, &q1, n1, 2 * ROW + $step, carried1);
                }
                chain1.step::<$step>(&mut columns1[ROW..], n1, inverse1);
            )*};
        }
        mixed!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
        for j in 2 * ROW + 15..L {
            carried0 = column(columns0, &q0, n0, j, carried0);
            carried1 = column(columns1, &q1, n1, j, carried1);
        }
        last_columns(columns0, &q0, n0, carried0);
        last_columns(columns1, &q1, n1, carried1);
        (q0, q1) = (chain0.q, chain1.q);
    }
    row(&mut columns0[L - ROW..], q0, n0, ROW);
    row(&mut columns1[L - ROW..], q1, n1, ROW);
    let [out0, out1] = out;
    output(&columns0[L..], &mut doubles_mut(out0)[..L]);
    output(&columns1[L..], &mut doubles_mut(out1)[..L]);
}

/// Clears the low half of the columns of one stream and writes out the high half.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn reduce_one<const L: usize>(out: &mut [Word4], columns: &mut [V], n: &Modulus<Word4>) {
    let (digits, inverse) = (&doubles(&n.digits)[..L], doubles(std::slice::from_ref(&n.inverse))[0]);
    for i in (0..L).step_by(ROW) {
        let columns = &mut columns[i..][..L + ROW];
        let q = quotient(columns, digits, inverse);
        row(columns, q, digits, ROW);
    }
    output(&columns[L..][..L], &mut doubles_mut(out)[..L]);
}

/// Reduces as many streams as there are.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn reduce<const L: usize, const S: usize>(mut out: [&mut [Word4]; S], columns: &mut [V], n: [&Modulus<Word4>; S]) {
    let mut out = out.iter_mut();
    let mut columns = columns;
    let mut n = n.into_iter();
    while let (Some(first), Some(modulus)) = (out.next(), n.next()) {
        if let (Some(second), Some(next)) = (out.next(), n.next()) {
            let (now, rest) = columns.split_at_mut(4 * L);
            reduce_pair::<L>([first, second], now, [modulus, next]);
            columns = rest;
        } else {
            reduce_one::<L>(first, &mut columns[..2 * L], modulus);
            columns = &mut [];
        }
    }
}

#[target_feature(enable = "avx2,fma")]
fn multiply<const L: usize, const S: usize>(
    out: [&mut [Word4]; S],
    a: [&[Word4]; S],
    b: [&[Word4]; S],
    n: [&Modulus<Word4>; S],
    scratch: &mut [Word4],
) {
    let columns = &mut integers_mut(scratch)[..2 * L * S];
    for s in 0..S {
        let (a, b) = (&doubles(a[s])[..L], &doubles(b[s])[..L]);
        let columns = &mut columns[2 * L * s..][..2 * L];
        for (k, column) in columns.iter_mut().enumerate() {
            *column = pattern(const { starts::<L, false>() }[k]);
        }
        for i in (0..L).step_by(ROW) {
            row(&mut columns[i..][..L + ROW], [a[i], a[i + 1], a[i + 2]], b, 0);
        }
    }
    reduce::<L, S>(out, columns, n);
}

#[target_feature(enable = "avx2,fma")]
fn square<const L: usize, const S: usize>(out: [&mut [Word4]; S], a: [&[Word4]; S], n: [&Modulus<Word4>; S], scratch: &mut [Word4]) {
    let columns = &mut integers_mut(scratch)[..2 * L * S];
    for s in 0..S {
        let a = &doubles(a[s])[..L];
        let columns = &mut columns[2 * L * s..][..2 * L];
        for (k, column) in columns.iter_mut().enumerate() {
            *column = pattern(const { starts::<L, true>() }[k]);
        }
        for i in (0..L).step_by(ROW) {
            let x = [a[i], a[i + 1], a[i + 2]];
            row_diagonal(&mut columns[2 * i..], x);
            if i + ROW < L {
                row(&mut columns[2 * i + ROW..][..L - i], x.map(|x| _mm256_add_pd(x, x)), &a[i + ROW..], 0);
            }
        }
    }
    reduce::<L, S>(out, columns, n);
}

#[target_feature(enable = "avx2,fma")]
fn add(a: &mut [Word4], b: &[Word4]) {
    for (a, &b) in doubles_mut(a).iter_mut().zip(doubles(b)) {
        *a = _mm256_add_pd(*a, b);
    }
}

#[target_feature(enable = "avx2,fma")]
fn select<const ENTRIES: usize>(out: &mut [Word4], table: &[Word4], index: u64) {
    let wanted = pattern(index);
    let mut masks = [_mm256_setzero_pd(); ENTRIES];
    let mut number = _mm256_setzero_si256();
    for mask in &mut masks {
        *mask = _mm256_castsi256_pd(_mm256_cmpeq_epi64(wanted, number));
        number = sum(number, pattern(1));
    }
    let (out, table) = (doubles_mut(out), doubles(table));
    let length = out.len();
    assert_eq!(table.len(), ENTRIES * length);
    for (position, digit) in out.iter_mut().enumerate() {
        let mut value = _mm256_setzero_pd();
        for entry in 0..ENTRIES {
            value = _mm256_or_pd(value, _mm256_and_pd(masks[entry], table[entry * length + position]));
        }
        *digit = value;
    }
}

impl Kernel for Avx2 {
    type Word = Word4;
    const LANES: usize = 4;
    const DIGIT_BITS: u32 = BITS;
    const BALANCED: bool = true;
    const PAIRED: bool = true;

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

    fn multiply<const S: usize>(self, out: [&mut [Word4]; S], a: [&[Word4]; S], b: [&[Word4]; S], n: [&Modulus<Word4>; S], scratch: &mut [Word4]) {
        assert!(scratch.len() >= SCRATCH * S * n[0].digits.len());
        // SAFETY: a value of `Avx2` exists, so the processor has AVX2 and FMA.
        unsafe {
            match n[0].digits.len() {
                12 => multiply::<12, S>(out, a, b, n, scratch),
                21 => multiply::<21, S>(out, a, b, n, scratch),
                33 => multiply::<33, S>(out, a, b, n, scratch),
                42 => multiply::<42, S>(out, a, b, n, scratch),
                63 => multiply::<63, S>(out, a, b, n, scratch),
                84 => multiply::<84, S>(out, a, b, n, scratch),
                _ => {}
            }
        }
    }

    fn square<const S: usize>(self, out: [&mut [Word4]; S], a: [&[Word4]; S], n: [&Modulus<Word4>; S], scratch: &mut [Word4]) {
        assert!(scratch.len() >= SCRATCH * S * n[0].digits.len());
        // SAFETY: a value of `Avx2` exists, so the processor has AVX2 and FMA.
        unsafe {
            match n[0].digits.len() {
                12 => square::<12, S>(out, a, n, scratch),
                21 => square::<21, S>(out, a, n, scratch),
                33 => square::<33, S>(out, a, n, scratch),
                42 => square::<42, S>(out, a, n, scratch),
                63 => square::<63, S>(out, a, n, scratch),
                84 => square::<84, S>(out, a, n, scratch),
                _ => {}
            }
        }
    }

    fn add(self, a: &mut [Word4], b: &[Word4]) {
        // SAFETY: a value of `Avx2` exists, so the processor has AVX2 and FMA.
        unsafe { add(a, b) }
    }

    fn select(self, out: &mut [Word4], table: &[Word4], index: u64) {
        // SAFETY: a value of `Avx2` exists, so the processor has AVX2 and FMA.
        unsafe {
            match table.len() / out.len() {
                16 => select::<16>(out, table, index),
                32 => select::<32>(out, table, index),
                _ => {}
            }
        }
    }
}
#[cfg(test)]
pub(crate) mod probe {
    use super::*;
    #[target_feature(enable = "avx2,fma")]
    fn inner(which: u32, a: &[Word4], scratch: &mut [Word4], n: &Modulus<Word4>, out: [&mut [Word4]; 2]) {
        const L: usize = 21;
        let columns = integers_mut(scratch);
        let a = &doubles(a)[..L];
        match which {
            0 => {
                for i in (0..L).step_by(ROW) {
                    row(&mut columns[i..][..L + ROW], [a[i], a[i + 1], a[i + 2]], a, 0);
                }
            }
            1 => reduce::<L, 2>(out, columns, [n, n]),
            2 => {
                let q = [a[0], a[1], a[2]];
                row(&mut columns[..L + ROW], q, a, 3);
            }
            3 => {
                let q = quotient(columns, a, a[3]);
                doubles_mut(out.into_iter().next().unwrap())[..3].copy_from_slice(&q);
            }
            _ => output(&columns[L..2 * L], &mut doubles_mut(out.into_iter().next().unwrap())[..L]),
        }
    }
    pub(crate) fn run(which: u32, a: &[Word4], scratch: &mut [Word4], n: &Modulus<Word4>, out: [&mut [Word4]; 2]) {
        unsafe { inner(which, a, scratch, n, out) }
    }
}
