//! Exponentiation with secret exponents: fixed windows, full table scans.

use crate::limbs;
use crate::number::{self, Number};
use crate::simd::{Kernel, Modulus, SCRATCH, Word};
use zeroize::Zeroizing;

/// Bits of one window.
const WINDOW: u32 = 4;
/// Entries of the table.
const ENTRIES: usize = 1 << WINDOW;

/// `base^exponent` in Montgomery form, in the first half of the lanes with the first exponent, in the others with the second. `one` is
/// `R mod n`.
///
/// The instructions and addresses depend on the sizes alone. `bits` is the public length of the exponents.
pub(crate) fn power<K: Kernel>(kernel: K, base: &[K::Word], exponents: [&[u64]; 2], bits: usize, one: &[K::Word], n: &Modulus<K::Word>) -> Number<K> {
    let length = n.digits.len();
    let mut scratch = number::zero::<K>(SCRATCH * length);
    let mut table = number::zero::<K>(ENTRIES * length);
    for entry in 0..ENTRIES {
        let (done, rest) = table.split_at_mut(entry * length);
        let Some(out) = rest.get_mut(..length) else { break };
        let at = |number: usize| done.chunks_exact(length).nth(number).unwrap_or_default();
        match entry {
            0 => out.copy_from_slice(one),
            1 => out.copy_from_slice(base),
            _ if entry % 2 == 0 => kernel.square(out, at(entry / 2), n, &mut scratch),
            _ => kernel.multiply(out, at(entry - 1), at(1), n, &mut scratch),
        }
    }

    let mut value = number::zero::<K>(length);
    let mut other = number::zero::<K>(length);
    let mut factor = number::zero::<K>(length);
    let select = |factor: &mut [K::Word], window: usize| {
        let bits = Zeroizing::new(exponents.map(|exponent| limbs::bits(exponent, window * WINDOW as usize, WINDOW)));
        let mut index = Zeroizing::new(K::Word::default());
        for (side, bits) in bits.iter().enumerate() {
            halves::<K>(side).for_each(|lane| index.set_lane(lane, *bits));
        }
        kernel.select(factor, &table, &index);
    };
    let windows = bits.div_ceil(WINDOW as usize);
    select(&mut value, windows.saturating_sub(1));
    for window in (0..windows.saturating_sub(1)).rev() {
        for _ in 0..WINDOW / 2 {
            kernel.square(&mut other, &value, n, &mut scratch);
            kernel.square(&mut value, &other, n, &mut scratch);
        }
        select(&mut factor, window);
        kernel.multiply(&mut other, &value, &factor, n, &mut scratch);
        std::mem::swap(&mut value, &mut other);
    }
    value
}

/// The lanes of one half.
pub(crate) fn halves<K: Kernel>(side: usize) -> std::ops::Range<usize> {
    let half = K::LANES / 2;
    side * half..(side + 1) * half
}

/// `base^exponent` in Montgomery form for a public exponent above 1.
pub(crate) fn public_power<K: Kernel>(kernel: K, base: &[K::Word], exponent: u32, n: &Modulus<K::Word>, scratch: &mut [K::Word]) -> Number<K> {
    let mut value: Number<K> = Zeroizing::new(base.to_vec());
    let mut other = number::zero::<K>(base.len());
    for bit in (0..exponent.ilog2()).rev() {
        kernel.square(&mut other, &value, n, scratch);
        std::mem::swap(&mut value, &mut other);
        if exponent >> bit & 1 == 1 {
            kernel.multiply(&mut other, &value, base, n, scratch);
            std::mem::swap(&mut value, &mut other);
        }
    }
    value
}
