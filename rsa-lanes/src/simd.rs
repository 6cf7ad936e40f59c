//! The lane kernels: the only module with `unsafe`.
//!
//! A kernel is a value that exists only on a processor that has its instructions, so its methods are safe to
//! call. Inside, all arithmetic runs in functions marked with the needed target features; `unsafe` is left
//! for entering them and for viewing words as registers.

#![allow(unsafe_code)]

use zeroize::{Zeroize, Zeroizing};

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod ifma;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
#[cfg(all(any(test, feature = "valgrind"), target_arch = "x86_64"))]
#[cfg_attr(not(feature = "valgrind"), expect(unreachable_pub, reason = "public with the feature only"))]
pub mod valgrind;

/// One digit of every lane, held as raw 64-bit patterns.
pub(crate) trait Word: Copy + Default + Zeroize + Send + Sync + 'static {
    /// The pattern of one lane.
    fn lane(&self, lane: usize) -> u64;
    /// Sets the pattern of one lane.
    fn set_lane(&mut self, lane: usize, pattern: u64);
    /// The same pattern in every lane.
    fn splat(pattern: u64) -> Self;
}

macro_rules! word {
    ($(#[$attribute:meta])* $name:ident, $lanes:literal) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Default, Zeroize)]
        pub(crate) struct $name([u64; $lanes]);

        impl Word for $name {
            fn lane(&self, lane: usize) -> u64 {
                self.0.get(lane).copied().unwrap_or(0)
            }
            fn set_lane(&mut self, lane: usize, pattern: u64) {
                if let Some(slot) = self.0.get_mut(lane) {
                    *slot = pattern;
                }
            }
            fn splat(pattern: u64) -> Self {
                Self([pattern; $lanes])
            }
        }
    };
}
word!(
    /// Four lanes: one AVX2 register.
    #[repr(C, align(32))]
    Word4,
    4
);
word!(
    /// Eight lanes: one AVX-512 register.
    #[repr(C, align(64))]
    Word8,
    8
);

/// A modulus of a kernel, in every lane the same or one of its own: its digits, and `-1 / n` modulo one digit or modulo `R`
/// ([`Kernel::WHOLE_INVERSE`]).
pub(crate) struct Modulus<W: Word> {
    pub(crate) digits: Vec<W>,
    pub(crate) inverse: Vec<W>,
}

impl<W: Word> Modulus<W> {
    /// Takes both over from what would wipe them.
    pub(crate) fn new(mut digits: Zeroizing<Vec<W>>, mut inverse: Zeroizing<Vec<W>>) -> Self {
        Self { digits: std::mem::take(&mut *digits), inverse: std::mem::take(&mut *inverse) }
    }
}

impl<W: Word> Drop for Modulus<W> {
    fn drop(&mut self) {
        self.digits.zeroize();
        self.inverse.zeroize();
    }
}

/// Montgomery arithmetic on [`Kernel::LANES`] numbers at once.
///
/// With `R = 2^(DIGIT_BITS · digits)` and a modulus `n` at least 8 bits shorter, every product of operands
/// below `4n` in absolute value is again below `2n`, so no final subtraction is needed between operations. Results are
/// never below zero unless digits are balanced, and then above `-n`. Each kernel says why its sums do not overflow.
pub(crate) trait Kernel: Copy + Send + Sync + 'static {
    /// One digit of all lanes.
    type Word: Word;
    /// Numbers worked on together.
    const LANES: usize;
    /// Bits of one digit.
    const DIGIT_BITS: u32;
    /// Digits lie around zero instead of in `0 .. 2^DIGIT_BITS`.
    const BALANCED: bool;
    /// The moduli carry `-1 / n` modulo `R` instead of modulo one digit.
    const WHOLE_INVERSE: bool;

    /// The kernel, when this processor can run it.
    fn detect() -> Option<Self>;
    /// Digits of a modulus of `bits` bits. `None` when there is no code for that size.
    fn digit_count(bits: usize) -> Option<usize>;
    /// The pattern of one digit.
    fn encode(digit: i64) -> u64;
    /// The digit of a pattern.
    fn decode(pattern: u64) -> i64;
    /// `out = a · b / R mod n`. All slices have the digit count of the modulus, `scratch` [`SCRATCH`] times that. Operands are
    /// stored numbers, results of products and squares, or, one of them, a sum of two such from [`Kernel::add`].
    fn multiply(self, out: &mut [Self::Word], a: &[Self::Word], b: &[Self::Word], n: &Modulus<Self::Word>, scratch: &mut [Self::Word]);
    /// `out = a² / R mod n`. `a` is a stored number or the result of a product or square, not a sum.
    fn square(self, out: &mut [Self::Word], a: &[Self::Word], n: &Modulus<Self::Word>, scratch: &mut [Self::Word]);
    /// `a += b`, not reduced. Neither is itself a sum; the sum may only be one operand of `multiply`.
    fn add(self, a: &mut [Self::Word], b: &[Self::Word]);
    /// `out = table[index]`, reading the whole table: a multiple of 8 entries, each of the digits of a prime. `index` is secret and has
    /// a number of its own for each lane.
    fn select(self, out: &mut [Self::Word], table: &[Self::Word], index: &Self::Word);
}

/// Asserts that all operands have the length of the modulus, and returns it.
fn check<W: Word>(out: &[W], operands: &[&[W]], n: &Modulus<W>, scratch: &[W]) -> usize {
    let length = n.digits.len();
    assert!(out.len() == length && operands.iter().all(|operand| operand.len() == length) && scratch.len() >= SCRATCH * length);
    length
}

/// A value that may be known although it comes from secrets: the constant-time test allows branches on it.
pub(crate) fn declassify(value: u64) -> u64 {
    #[cfg(all(test, target_arch = "x86_64"))]
    let value = {
        let mut values = [value];
        valgrind::mark_public(&mut values);
        let [value] = std::hint::black_box(values);
        value
    };
    value
}

/// Words of scratch space for each digit.
pub(crate) const SCRATCH: usize = 3;
