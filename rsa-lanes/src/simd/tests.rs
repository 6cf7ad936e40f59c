//! The kernels against slow arithmetic, and their speed.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

mod bounds;

use super::{Kernel, SCRATCH, Word, avx2::Avx2, ifma::Ifma};
use crate::limbs::{self, Limbs};
use crate::number;
use proptest::prelude::*;

/// `a · b mod n`, bit by bit; `a < n`, and `b` of any length.
fn slow_product(a: &[u64], b: &[u64], n: &[u64]) -> Limbs {
    let mut sum = limbs::zero(n.len() + 1);
    for bit in (0..64 * b.len()).rev() {
        let copy = sum.clone();
        limbs::add_masked(&mut sum, &copy, u64::MAX);
        limbs::subtract_if_not_less(&mut sum, n);
        if b[bit / 64] >> (bit % 64) & 1 == 1 {
            limbs::add_masked(&mut sum, a, u64::MAX);
            limbs::subtract_if_not_less(&mut sum, n);
        }
    }
    sum.truncate(n.len());
    sum
}

/// A number with long runs of ones and zeros as well as random stretches.
fn pattern(count: usize) -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), any::<u64>().prop_map(|x| 1 << (x % 64))], count)
}

fn modulus(count: usize) -> impl Strategy<Value = Vec<u64>> {
    pattern(count).prop_map(|mut n| {
        *n.first_mut().unwrap() |= 1;
        *n.last_mut().unwrap() |= 1 << 63;
        n
    })
}

/// Multiplies, squares the product, adds the operands and multiplies the sum, with two moduli and other operands in each lane.
fn matches_slow_arithmetic<K: Kernel>(n: [&[u64]; 2], operands: &[Vec<u64>]) -> Result<(), TestCaseError> {
    let Some(kernel) = K::detect() else { return Ok(()) };
    let bits = 64 * n[0].len();
    let digits = K::digit_count(bits).unwrap();
    let radix_inverse_check = |n: &[u64]| limbs::power_of_two(digits * K::DIGIT_BITS as usize, n);
    let moduli = n.map(|n| number::modulus::<K>(n, digits));
    let mut scratch = number::zero::<K>(SCRATCH * digits);
    let mut numbers: [_; 8] = std::array::from_fn(|_| number::zero::<K>(digits));
    let [a0, a1, b0, b1, p0, p1, s0, s1] = &mut numbers;
    for lane in 0..K::LANES {
        for (position, number) in [&mut *a0, a1, b0, b1].into_iter().enumerate() {
            number::store::<K>(number, lane, &operands[(4 * lane + position) % operands.len()]);
        }
    }
    let [n0, n1] = &moduli;
    kernel.multiply(p0, a0, b0, n0, &mut scratch);
    kernel.multiply(p1, a1, b1, n1, &mut scratch);
    kernel.square(s0, p0, n0, &mut scratch);
    kernel.square(s1, p1, n1, &mut scratch);
    let products = [p0.clone(), p1.clone()];
    kernel.add(a0, b0);
    kernel.add(a1, b1);
    kernel.multiply(p0, a0, &products[0], n0, &mut scratch);
    kernel.multiply(p1, a1, &products[1], n1, &mut scratch);
    for lane in 0..K::LANES {
        for side in 0..2 {
            let n = n[side];
            let r = radix_inverse_check(n);
            let [a, b] = [side, 2 + side].map(|position| slow_product(&one(n.len()), &operands[(4 * lane + position) % operands.len()], n));
            let product = number::load::<K>(&products[side], lane, n);
            prop_assert!(limbs::less_mask(&product, n) != 0);
            prop_assert_eq!(&slow_product(&product, &r, n), &slow_product(&a, &b, n));
            let square = number::load::<K>([&s0, &s1][side], lane, n);
            prop_assert_eq!(&slow_product(&square, &r, n), &slow_product(&product, &product, n));
            let mut sum = limbs::zero(n.len() + 1);
            limbs::add_masked(&mut sum, &a, u64::MAX);
            limbs::add_masked(&mut sum, &b, u64::MAX);
            limbs::subtract_if_not_less(&mut sum, n);
            let last = number::load::<K>([&p0, &p1][side], lane, n);
            prop_assert_eq!(&slow_product(&last, &r, n), &slow_product(&product, &sum[..n.len()], n));
        }
    }
    Ok(())
}

fn one(count: usize) -> Vec<u64> {
    let mut one = vec![0; count];
    one[0] = 1;
    one
}

macro_rules! kernel_tests {
    ($($name:ident: $kernel:ty, $count:literal, $cases:literal;)*) => {$(
        proptest! {
            #![proptest_config(ProptestConfig::with_cases($cases))]
            #[test]
            fn $name(n0 in modulus($count), n1 in modulus($count), operands in prop::collection::vec(pattern($count), 1..33)) {
                matches_slow_arithmetic::<$kernel>([&n0, &n1], &operands)?;
            }
        }
    )*};
}
kernel_tests! {
    ifma_512: Ifma, 8, 40;
    ifma_1024: Ifma, 16, 40;
    ifma_1536: Ifma, 24, 10;
    ifma_2048: Ifma, 32, 10;
    ifma_3072: Ifma, 48, 4;
    ifma_4096: Ifma, 64, 4;
    avx2_512: Avx2, 8, 40;
    avx2_1024: Avx2, 16, 40;
    avx2_1536: Avx2, 24, 10;
    avx2_2048: Avx2, 32, 10;
    avx2_3072: Avx2, 48, 4;
    avx2_4096: Avx2, 64, 4;
}

fn select_finds_every_entry<K: Kernel>() {
    let Some(kernel) = K::detect() else { return };
    for (entries, bits) in [(16_u64, 512), (16, 1024), (32, 1536), (32, 2048)] {
        let length = K::digit_count(bits).unwrap();
        let table: Vec<K::Word> = (0..length as u64 * entries).map(K::Word::splat).collect();
        for index in 0..entries {
            let mut out = vec![K::Word::default(); length];
            // Another entry in each lane.
            let mut indices = K::Word::default();
            (0..K::LANES).zip(index..).for_each(|(lane, index)| indices.set_lane(lane, index % entries));
            kernel.select(&mut out, &table, &indices);
            for (position, word) in (0..).zip(&out) {
                for lane in 0..K::LANES {
                    assert_eq!(word.lane(lane), length as u64 * indices.lane(lane) + position);
                }
            }
        }
    }
}

#[test]
fn tables_are_read_right() {
    select_finds_every_entry::<Ifma>();
    select_finds_every_entry::<Avx2>();
}

fn digits_both_ways<K: Kernel>() {
    for digit in [0, 1, -1, (1 << (K::DIGIT_BITS - 1)) - 1, 1 << (K::DIGIT_BITS - 1), -(1 << (K::DIGIT_BITS - 1))] {
        if K::BALANCED || digit >= 0 {
            assert_eq!(K::decode(K::encode(digit)), digit);
        }
    }
}

#[test]
fn digits_are_read_back() {
    digits_both_ways::<Ifma>();
    digits_both_ways::<Avx2>();
}

fn speed<K: Kernel>(name: &str) {
    let Some(kernel) = K::detect() else { return };
    let digits = K::digit_count(1024).unwrap();
    let mut n = vec![u64::MAX; 16];
    n[3] = 12345;
    let n = &number::modulus::<K>(&n, digits);
    let mut scratch = number::zero::<K>(SCRATCH * digits);
    let [a, b] = &mut [123, 456].map(|limb| number::everywhere::<K>(&[limb; 16], digits));
    let table = number::zero::<K>(16 * digits);
    let report = |what: &str, run: &mut dyn FnMut()| {
        let mut best = f64::MAX;
        for _ in 0..200 {
            let start = std::time::Instant::now();
            for _ in 0..100 {
                run();
            }
            best = best.min(start.elapsed().as_secs_f64() / 100.0);
        }
        println!("{name} {what}: {:.0} ns", best * 1e9);
    };
    report("square", &mut || {
        kernel.square(b, a, n, &mut scratch);
        std::mem::swap(a, b);
    });
    let factor = b.clone();
    report("multiply", &mut || {
        kernel.multiply(b, a, &factor, n, &mut scratch);
        std::mem::swap(a, b);
    });
    report("select", &mut || kernel.select(b, &table, &Word::splat(5)));
}

/// `cargo test --release -p keykit-rsa-lanes -- --ignored --nocapture kernel_speed`
#[test]
#[ignore = "prints times, checks nothing"]
fn kernel_speed() {
    speed::<Ifma>("ifma");
    speed::<Avx2>("avx2");
}
