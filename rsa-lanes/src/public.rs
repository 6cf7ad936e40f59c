//! Powers with a public exponent: checks of signatures, encryption, and the check of every private operation.
//!
//! What is raised may be secret: a message that is encrypted is. So it is with everything here as with private operations: no branch,
//! index or address depends on a number, only on the modulus, the exponent, and on how many numbers there are.

use std::fmt;

use crate::exponent;
use crate::limbs::{self, Limbs};
use crate::number::{self, Number};
use crate::simd::{self, Kernel, Modulus, SCRATCH};
use crate::{Engine, SecretOutput};
use zeroize::Zeroizing;

/// A number below `n` and what should be its power.
type Pair = (Limbs, Limbs);

/// An engine, whatever its kernel.
pub(crate) trait Raise: Send + Sync {
    /// Numbers that are worked on together.
    fn lanes(&self) -> usize;
    /// `x^e mod n` of up to [`Raise::lanes`] numbers below `n`.
    fn power(&self, numbers: &[Limbs]) -> Vec<Limbs>;
    /// Whether weighted products of all pairs agree: see [`PublicKey::are_powers`].
    fn products_agree(&self, pairs: &[Pair]) -> bool;
}

/// A modulus with what its multiplications need.
pub(crate) struct PublicEngine<K: Kernel> {
    kernel: K,
    e: u32,
    n: Vec<u64>,
    modulus: Modulus<K::Word>,
    /// `R² mod n`.
    square: Number<K>,
}

impl<K: Kernel> PublicEngine<K> {
    /// `n` has its top bit set. `None` when the processor or the kernel has no code for this size.
    pub(crate) fn new(n: &[u64], e: u32) -> Option<Self> {
        let kernel = K::detect()?;
        let digits = K::digit_count(64 * n.len())?;
        Some(Self {
            kernel,
            e,
            n: n.to_vec(),
            modulus: number::modulus::<K>(n, digits),
            square: number::everywhere::<K>(&limbs::power_of_two(2 * digits * K::DIGIT_BITS as usize, n), digits),
        })
    }

    /// The modulus.
    pub(crate) fn modulus(&self) -> &[u64] {
        &self.n
    }

    fn zero(&self) -> Number<K> {
        number::zero::<K>(self.modulus.digits.len())
    }

    /// Numbers in their lanes.
    fn stored<'n>(&self, numbers: impl Iterator<Item = &'n Limbs>) -> Number<K> {
        let mut stored = self.zero();
        for (lane, number) in numbers.take(K::LANES).enumerate() {
            number::store::<K>(&mut stored, lane, number);
        }
        stored
    }

    /// The numbers of the first `count` lanes.
    fn loaded(&self, number: &[K::Word], count: usize) -> Vec<Limbs> {
        (0..K::LANES.min(count)).map(|lane| number::load::<K>(number, lane, &self.n)).collect()
    }

    /// The products of numbers in Montgomery form, weighted: of the numbers in one lane the first counts with their count as its power, the
    /// last with 1.
    fn weighted_product(&self, pairs: &[Pair], of: fn(&Pair) -> &Limbs, scratch: &mut [K::Word]) -> Number<K> {
        let mut one = limbs::zero(self.n.len());
        one.iter_mut().take(1).for_each(|limb| *limb = 1);
        let (mut other, mut form) = (self.zero(), self.zero());
        let everywhere = number::everywhere::<K>(&one, self.modulus.digits.len());
        let mut multiply = |into: &mut Number<K>, by: &[K::Word]| {
            self.kernel.multiply(&mut other, into, by, &self.modulus, scratch);
            std::mem::swap(into, &mut other);
        };
        form.copy_from_slice(&everywhere);
        multiply(&mut form, &self.square);
        let (mut running, mut weighted) = (form.clone(), form.clone());
        for group in pairs.chunks(K::LANES) {
            form = self.stored(group.iter().map(of).chain(std::iter::repeat(&one)));
            multiply(&mut form, &self.square);
            multiply(&mut running, &form);
            multiply(&mut weighted, &running);
        }
        weighted
    }
}

impl<K: Kernel> Raise for PublicEngine<K> {
    fn lanes(&self) -> usize {
        K::LANES
    }

    fn power(&self, numbers: &[Limbs]) -> Vec<Limbs> {
        let mut scratch = number::zero::<K>(SCRATCH * self.modulus.digits.len());
        let stored = self.stored(numbers.iter());
        let mut base = self.zero();
        self.kernel.multiply(&mut base, &stored, &self.square, &self.modulus, &mut scratch);
        // x^(e-1) in Montgomery form times plain x: plain x^e. `e` is odd and above 1.
        let power = exponent::public_power(self.kernel, &base, self.e - 1, &self.modulus, &mut scratch);
        self.kernel.multiply(&mut base, &power, &stored, &self.modulus, &mut scratch);
        self.loaded(&base, numbers.len())
    }

    fn products_agree(&self, pairs: &[Pair]) -> bool {
        let mut scratch = number::zero::<K>(SCRATCH * self.modulus.digits.len());
        let base = self.weighted_product(pairs, |(base, _)| base, &mut scratch);
        let found = exponent::public_power(self.kernel, &base, self.e, &self.modulus, &mut scratch);
        let wanted = self.weighted_product(pairs, |(_, power)| power, &mut scratch);
        let [found, wanted] = [found, wanted].map(|product| self.loaded(&product, K::LANES));
        let differs = found.iter().zip(&wanted).fold(0, |all, (found, wanted)| all | limbs::difference(found, wanted));
        simd::declassify(differs) == 0
    }
}

/// An RSA public key made ready for one engine. Making it costs about as much as a few operations.
pub struct PublicKey {
    n: Vec<u64>,
    engine: Engine,
    operations: Box<dyn Raise>,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PublicKey").field("bits", &(64 * self.n.len())).field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl PublicKey {
    /// Takes a key, its modulus big-endian, to the fastest engine of this processor.
    ///
    /// `None` when no engine fits: the processor has none, the modulus has not 1024, 2048, 3072 or 4096 bits or is even, or the exponent
    /// is even or below 3.
    #[must_use]
    pub fn new(n: &[u8], e: u32) -> Option<Self> {
        Engine::ALL.into_iter().find_map(|engine| Self::on(engine, n, e))
    }

    /// The same on one engine.
    #[must_use]
    pub fn on(engine: Engine, n: &[u8], e: u32) -> Option<Self> {
        let n = limbs::modulus_from_be(n)?;
        if e < 3 || e.is_multiple_of(2) {
            return None;
        }
        Some(Self { operations: engine.build_public(&n, e)?, n, engine })
    }

    /// The engine in use.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Operations that run together. Fewer inputs take the same time.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.operations.lanes()
    }

    /// Length of the modulus in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        8 * self.n.len()
    }

    /// The raw public operation (RSAEP and RSAVP1 of RFC 8017, section 5) on each input: big-endian, as long as the modulus and below it.
    /// Results are as long, in the order of the inputs; `None` for what is no such number, which is public.
    ///
    /// Nothing is checked: see [`PublicKey::are_powers`] where a wrong result would do harm.
    pub fn power(&self, inputs: &[&[u8]]) -> Vec<Option<SecretOutput>> {
        let numbers: Vec<Option<Limbs>> = inputs.iter().map(|input| self.number(input)).collect();
        let valid: Vec<Limbs> = numbers.iter().flatten().cloned().collect();
        let mut powers = valid.chunks(self.lanes()).flat_map(|group| self.operations.power(group));
        let to_bytes = |power: Limbs| {
            let mut bytes = Zeroizing::new(vec![0; self.size()]);
            limbs::to_be(&power, &mut bytes);
            bytes
        };
        numbers.iter().map(|number| number.as_ref().and_then(|_| powers.next()).map(to_bytes)).collect()
    }

    /// Whether the second number of each pair is the power of the first, all of them at once: in each lane, the product of the first
    /// numbers to the power of `e` must be the product of the second (Bellare, Garay and Rabin, 1998, section 2.1: "screening"). Each
    /// counts with a weight of its own, its distance from the end, so that two that changed places are seen too.
    ///
    /// It takes a third of the time of as many powers. It finds faults of a machine: two of them would have to cancel each other out.
    /// It does **not** find forgeries: whoever chooses several second numbers can choose them so that the products agree. False also
    /// if any is not as long as the modulus and below it. True for none.
    #[must_use]
    pub fn are_powers(&self, pairs: &[(&[u8], &[u8])]) -> bool {
        let numbers: Option<Vec<_>> = pairs.iter().map(|(base, power)| Some((self.number(base)?, self.number(power)?))).collect();
        numbers.is_some_and(|numbers| self.operations.products_agree(&numbers))
    }

    /// A number as long as the modulus and below it. Whether it is that, is public.
    fn number(&self, bytes: &[u8]) -> Option<Limbs> {
        let number = (bytes.len() == self.size()).then(|| limbs::from_be(bytes, self.n.len())).flatten();
        number.filter(|number| simd::declassify(limbs::less_mask(number, &self.n)) != 0)
    }
}

#[cfg(test)]
mod tests;
