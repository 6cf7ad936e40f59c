//! The patterns of the kernel for AVX2, and where its columns start: the bounds 1 to 4 of the module above, checked by the compiler.

/// Digits of the multiplier that one row takes.
pub(super) const ROW: usize = 3;
pub(super) const BITS: u32 = 50;
pub(super) const MASK: u64 = (1 << BITS) - 1;
/// Pattern of `1.5·2^102`.
pub(super) const HIGH: u64 = (1023 + 102) << 52 | 1 << 51;
/// Pattern of `1.5·2^102 + 1.5·2^52`: six units of `2^50` more.
pub(super) const BOTH: u64 = HIGH + 6;
/// Patterns of `1.5·2^52` and of `2^52`.
pub(super) const LOW: u64 = (1023 + 52) << 52 | 1 << 51;
pub(super) const UNIT: u64 = (1023 + 52) << 52;
/// Added to every column, a multiple of `2^50`; what it carries is taken off again.
const POSITIVE: u64 = 1 << 61;
/// Bound of the true value of a column (bound 4).
const COLUMN_BOUND: u64 = 1 << 58;
/// Bounds of one low and of one high half in a column, of up to three products (bounds 2 and 3).
const LOW_BOUND: u64 = 3 << 49;
const HIGH_BOUND: u64 = 1 << 51;
/// Bound of a digit (bound 1).
pub(in crate::simd) const DIGIT_BOUND: u64 = {
    let bound = (1 << 49) + (1 << 9);
    assert!(bound > (1 << (BITS - 1)) + (COLUMN_BOUND >> BITS) + 1, "bound 1");
    assert!(6 * (bound as u128 * bound as u128) + (2 << BITS) < 1 << 101, "bound 2");
    assert!(6 * (bound as u128 * bound as u128) + (2 << BITS) <= (HIGH_BOUND as u128) << BITS, "bound 2");
    assert!(LOW_BOUND <= 1 << 51, "bound 3");
    let (least, most) = (POSITIVE - COLUMN_BOUND, POSITIVE + COLUMN_BOUND);
    assert!(least > 1 << 60 && most < 1 << 62, "bound 4");
    bound
};
/// What [`normalise`](super::normalise) adds to a digit.
pub(super) const OFFSET: u64 = (1 << (BITS - 1)) + CARRIED;

/// What [`POSITIVE`] adds to the carry of a column.
pub(super) const CARRIED: u64 = POSITIVE >> BITS;
/// Columns of the largest size.
const COLUMNS: usize = 168;

/// How many patterns of [`LOW`] and of [`HIGH`] each column takes in.
struct Counts {
    low: [u64; COLUMNS + 1],
    high: [u64; COLUMNS + 1],
}

impl Counts {
    const NONE: Self = Self { low: [0; COLUMNS + 1], high: [0; COLUMNS + 1] };

    /// One low half to each column from `start` to before `end`, the high half to the next.
    const fn add(&mut self, start: usize, end: usize) {
        let mut k = start;
        while k < end {
            self.low[k] += 1;
            self.high[k + 1] += 1;
            k += 1;
        }
    }

    /// The start of a column, from which the patterns leave its true value and [`POSITIVE`].
    const fn start(&self, k: usize) -> u64 {
        // Besides, a column takes a digit at most, two carries, and half of the base.
        let besides = DIGIT_BOUND + 2 * ((COLUMN_BOUND >> BITS) + 1) + (1 << (BITS - 1));
        assert!(self.low[k] * LOW_BOUND + self.high[k] * HIGH_BOUND + besides < COLUMN_BOUND, "bound 4");
        POSITIVE.wrapping_sub(self.low[k].wrapping_mul(LOW)).wrapping_sub(self.high[k].wrapping_mul(HIGH))
    }
}

/// Where the columns of a product or square of numbers of `L` digits start, with what the reduction will add.
pub(super) const fn starts<const L: usize, const SQUARE: bool>() -> [u64; COLUMNS] {
    let mut counts = Counts::NONE;
    let mut i = 0;
    while i < L {
        if SQUARE {
            // row_diagonal, and the row beyond it.
            let mut r = 0;
            while r < ROW {
                let mut t = r;
                while t < ROW {
                    counts.add(2 * i + r + t, 2 * i + r + t + 1);
                    t += 1;
                }
                r += 1;
            }
            if i + ROW < L {
                counts.add(2 * i + ROW, i + L + ROW - 1);
            }
        } else {
            counts.add(i, i + L + ROW - 1);
        }
        // row_high
        counts.add(L, i + L + ROW - 1);
        counts.high[L] += 1;
        i += ROW;
    }
    let mut starts = [0; COLUMNS];
    let mut k = 0;
    while k < 2 * L {
        starts[k] = counts.start(k);
        k += 1;
    }
    // Column L takes a carry of the product and one of the reduction.
    starts[L] = starts[L].wrapping_sub(2 * CARRIED);
    starts
}

/// Where the columns of the quotient start.
pub(super) const fn quotient_starts<const L: usize>() -> [u64; COLUMNS] {
    let mut counts = Counts::NONE;
    let mut starts = [0; COLUMNS];
    let mut i = 0;
    while i < L {
        counts.add(i, L);
        i += ROW;
    }
    let mut k = 0;
    while k < L {
        starts[k] = counts.start(k);
        k += 1;
    }
    starts
}

/// Where column `L - 1` starts in the last step of the reduction, besides the digit that [`normalise`](super::normalise) gives for it.
pub(super) const fn border_start<const L: usize>() -> u64 {
    let mut counts = Counts::NONE;
    // Each row brings one low half, one high half from below, and one that starts the row.
    counts.low[0] = (L / ROW) as u64;
    counts.high[0] = (L / ROW) as u64;
    counts.start(0).wrapping_sub(OFFSET)
}
