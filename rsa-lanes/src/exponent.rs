//! Exponentiation with secret exponents that are the same in all lanes: fixed windows, full table scans.

use crate::limbs;
use crate::number::{self, Number};
use crate::simd::{Kernel, Modulus, SCRATCH};
use zeroize::Zeroizing;

/// Bits of one window.
const WINDOW: u32 = 4;
/// Table entries of one stream.
const ENTRIES: usize = 1 << WINDOW;

/// `base^exponent` in Montgomery form, for `S` streams with moduli of one size. `one` is `R mod n`.
///
/// The instructions and addresses depend on the sizes alone. `bits` is the public length of the exponents.
pub(crate) fn power<K: Kernel, const S: usize>(
    kernel: K,
    base: [&[K::Word]; S],
    exponent: [&[u64]; S],
    bits: usize,
    one: [&[K::Word]; S],
    n: [&Modulus<K::Word>; S],
) -> [Number<K>; S] {
    let length = n.first().map_or(1, |n| n.digits.len());
    let mut scratch = number::zero::<K>(SCRATCH * S * length);
    let mut tables: [Number<K>; S] = std::array::from_fn(|_| number::zero::<K>(ENTRIES * length));
    for ((table, base), one) in tables.iter_mut().zip(base).zip(one) {
        for (slot, source) in table.chunks_exact_mut(length).zip([one, base]) {
            slot.copy_from_slice(source);
        }
    }
    for entry in 2..ENTRIES {
        let mut parts = tables.each_mut().map(|table| table.split_at_mut(entry * length));
        let done = parts.each_ref().map(|(done, _)| &**done);
        let at = |number: usize| done.map(|done| done.chunks_exact(length).nth(number).unwrap_or_default());
        // A second borrow of the parts: the entries to write.
        let mut fresh: [Number<K>; S] = std::array::from_fn(|_| number::zero::<K>(length));
        if entry % 2 == 0 {
            kernel.square(fresh.each_mut().map(|fresh| &mut fresh[..]), at(entry / 2), n, &mut scratch);
        } else {
            kernel.multiply(fresh.each_mut().map(|fresh| &mut fresh[..]), at(entry - 1), at(1), n, &mut scratch);
        }
        for ((_, rest), fresh) in parts.iter_mut().zip(&fresh) {
            if let Some(slot) = rest.get_mut(..length) {
                slot.copy_from_slice(fresh);
            }
        }
    }

    let mut value: [Number<K>; S] = std::array::from_fn(|_| number::zero::<K>(length));
    let mut other: [Number<K>; S] = std::array::from_fn(|_| number::zero::<K>(length));
    let mut factor: [Number<K>; S] = std::array::from_fn(|_| number::zero::<K>(length));
    let windows = bits.div_ceil(WINDOW as usize);
    for window in (0..windows).rev() {
        let index = exponent.map(|exponent| Zeroizing::new(limbs::bits(exponent, window * WINDOW as usize, WINDOW)));
        for ((factor, table), index) in factor.iter_mut().zip(&tables).zip(index) {
            kernel.select(factor, table, *index);
        }
        if window == windows - 1 {
            std::mem::swap(&mut value, &mut factor);
            continue;
        }
        for _ in 0..WINDOW / 2 {
            kernel.square(other.each_mut().map(|other| &mut other[..]), value.each_ref().map(|value| &value[..]), n, &mut scratch);
            kernel.square(value.each_mut().map(|value| &mut value[..]), other.each_ref().map(|other| &other[..]), n, &mut scratch);
        }
        kernel.multiply(
            other.each_mut().map(|other| &mut other[..]),
            value.each_ref().map(|value| &value[..]),
            factor.each_ref().map(|factor| &factor[..]),
            n,
            &mut scratch,
        );
        std::mem::swap(&mut value, &mut other);
    }
    value
}

/// `base^exponent` in Montgomery form for a public exponent above 1.
pub(crate) fn public_power<K: Kernel>(kernel: K, base: &[K::Word], exponent: u32, n: &Modulus<K::Word>, scratch: &mut [K::Word]) -> Number<K> {
    let mut value: Number<K> = Zeroizing::new(base.to_vec());
    let mut other = number::zero::<K>(base.len());
    for bit in (0..exponent.ilog2()).rev() {
        kernel.square([&mut other[..]], [&value[..]], [n], scratch);
        std::mem::swap(&mut value, &mut other);
        if exponent >> bit & 1 == 1 {
            kernel.multiply([&mut other[..]], [&value[..]], [base], [n], scratch);
            std::mem::swap(&mut value, &mut other);
        }
    }
    value
}
