//! The private operation of one key on one kernel: blinding, both exponentiations, recombination, check.

use crate::exponent;
use crate::limbs::{self, Limbs};
use crate::number::{self, Number};
use crate::public::{PublicEngine, Raise};
use crate::simd::{self, Kernel, Modulus, SCRATCH, Word};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// Batches after which the blinding starts from fresh random numbers.
const BLINDING_LIFE: u32 = 256;

/// The parts of a private key, each as limbs.
pub(crate) struct Parts {
    /// Bits of `p` and of `q`: both have their top bit set.
    pub(crate) prime_bits: usize,
    pub(crate) n: Vec<u64>,
    pub(crate) e: u32,
    /// `p` and `q`.
    pub(crate) primes: [Limbs; 2],
    /// `d mod p - 1` and `d mod q - 1`.
    pub(crate) exponents: [Limbs; 2],
    /// `1 / q mod p`.
    pub(crate) coefficient: Limbs,
}

/// Where a test damages an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(any(test, feature = "fault-injection")), expect(unreachable_pub, reason = "public with the feature only"))]
pub enum FaultPoint {
    /// The result of the exponentiation modulo `p`.
    PowerP,
    /// The result of the exponentiation modulo `q`.
    PowerQ,
    /// The blinding factor.
    Blinding,
    /// The recombined result.
    Recombined,
}

/// A fault to put into the next operation, if there is a point. (Not an `Option` as a whole: all its memory is then defined, and
/// the constant-time test takes no offence when the compiler looks at it early.)
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fault {
    pub(crate) point: Option<FaultPoint>,
    pub(crate) lane: usize,
    pub(crate) bit: usize,
}

/// An engine, whatever its kernel.
pub(crate) trait Operate: Send + Sync {
    /// Inputs that are worked on together.
    fn lanes(&self) -> usize;
    /// Up to [`Operate::lanes`] private operations. Inputs are below `n`. `None`: the result was wrong.
    fn run(&self, inputs: &[Limbs], fault: Fault) -> Vec<Option<Limbs>>;
}

/// Both primes in the lanes of one modulus, for batches that leave half of the lanes empty: `p` in the first half, `q` in the second.
struct Woven<K: Kernel> {
    modulus: Modulus<K::Word>,
    /// `R` modulo them.
    one: Number<K>,
}

impl<K: Kernel> Woven<K> {
    fn new(primes: &[Prime<K>; 2]) -> Self {
        let weave = |of: fn(&Prime<K>) -> &[K::Word]| weave::<K>(primes.each_ref().map(of));
        Self { modulus: Modulus::new(weave(|prime| &prime.modulus.digits), weave(|prime| &prime.modulus.inverse)), one: weave(|prime| &prime.one) }
    }
}

/// The first half of the lanes of two numbers, side by side.
fn weave<K: Kernel>(numbers: Pair<&[K::Word]>) -> Number<K> {
    let mut woven = number::zero::<K>(numbers.iter().map(|number| number.len()).min().unwrap_or(0));
    for (side, number) in numbers.iter().enumerate() {
        for (into, from) in woven.iter_mut().zip(*number) {
            exponent::halves::<K>(side).zip(0..).for_each(|(to, lane)| into.set_lane(to, from.lane(lane)));
        }
    }
    woven
}

/// Two numbers again. The second half of their lanes is as the first.
fn unweave<K: Kernel>(woven: &[K::Word]) -> Pair<Number<K>> {
    [0, 1].map(|side| {
        let mut number = number::zero::<K>(woven.len());
        for (into, from) in number.iter_mut().zip(woven) {
            for half in [0, 1] {
                exponent::halves::<K>(half).zip(exponent::halves::<K>(side)).for_each(|(to, lane)| into.set_lane(to, from.lane(lane)));
            }
        }
        number
    })
}

/// One prime: its modulus and the constants in Montgomery form.
struct Prime<K: Kernel> {
    value: Limbs,
    modulus: Modulus<K::Word>,
    exponent: Limbs,
    /// `p - 1 - e`: raises a number to `-e`.
    negated_e: Limbs,
    /// `R mod p`.
    one: Number<K>,
    /// `R² mod p`: brings the low half of an input into Montgomery form.
    square: Number<K>,
    /// `R² · 2^bits mod p`: the same for the high half.
    high: Number<K>,
}

impl<K: Kernel> Prime<K> {
    fn new(parts: &Parts, value: &Limbs, exponent: &Limbs) -> Option<Self> {
        let digits = K::digit_count(parts.prime_bits)?;
        let radix = digits * K::DIGIT_BITS as usize;
        let mut negated_e = value.clone();
        let one_more_e = [u64::from(parts.e) + 1];
        limbs::subtract_masked(&mut negated_e, &one_more_e, u64::MAX);
        let power = |exponent| number::everywhere::<K>(&limbs::power_of_two(exponent, value), digits);
        Some(Self {
            modulus: number::modulus::<K>(value, digits),
            exponent: exponent.clone(),
            negated_e,
            one: power(radix),
            square: power(2 * radix),
            high: power(2 * radix + parts.prime_bits),
            value: value.clone(),
        })
    }
}

/// Numbers that hide the base: `factor = u^-e`, `remover = u`, for both primes, another `u` in each lane.
struct Blinding<K: Kernel> {
    factor: [Number<K>; 2],
    remover: [Number<K>; 2],
    /// Batches until the next random start.
    left: u32,
}

pub(crate) struct LaneEngine<K: Kernel> {
    kernel: K,
    prime_bits: usize,
    primes: [Prime<K>; 2],
    woven: Woven<K>,
    /// `1 / q mod p`, and `-1 / q · R mod p`.
    coefficient: Number<K>,
    negated_coefficient: Number<K>,
    /// The modulus and the public exponent, which every result is checked with.
    public: PublicEngine<K>,
    blinding: Mutex<Option<Blinding<K>>>,
}

type Pair<T> = [T; 2];

fn views<W>(numbers: &Pair<Zeroizing<Vec<W>>>) -> Pair<&[W]>
where
    Vec<W>: zeroize::Zeroize,
{
    numbers.each_ref().map(|number| &number[..])
}

impl<K: Kernel> LaneEngine<K> {
    /// `None` when the processor or the kernel has no code for this size.
    pub(crate) fn new(parts: &Parts) -> Option<Self> {
        let kernel = K::detect()?;
        let [p, q] = &parts.primes;
        let [dp, dq] = &parts.exponents;
        let digits = K::digit_count(parts.prime_bits)?;
        let primes = [Prime::new(parts, p, dp)?, Prime::new(parts, q, dq)?];
        let mut engine = Self {
            kernel,
            prime_bits: parts.prime_bits,
            woven: Woven::new(&primes),
            primes,
            coefficient: number::everywhere::<K>(&parts.coefficient, digits),
            negated_coefficient: number::zero::<K>(digits),
            public: PublicEngine::new(&parts.n, parts.e)?,
            blinding: Mutex::new(None),
        };
        let mut negated = p.clone();
        limbs::subtract_masked(&mut negated, &parts.coefficient, u64::MAX);
        let negated = number::everywhere::<K>(&negated, digits);
        let [prime, _] = &engine.primes;
        kernel.multiply(&mut engine.negated_coefficient, &negated, &prime.square, &prime.modulus, &mut number::zero::<K>(SCRATCH * digits));
        Some(engine)
    }

    fn digits(&self) -> usize {
        self.primes.first().map_or(0, |prime| prime.modulus.digits.len())
    }

    fn pair(&self) -> Pair<Number<K>> {
        [number::zero::<K>(self.digits()), number::zero::<K>(self.digits())]
    }

    /// One product for each prime.
    fn multiply(&self, a: Pair<&[K::Word]>, b: Pair<&[K::Word]>, scratch: &mut [K::Word]) -> Pair<Number<K>> {
        let mut out = self.pair();
        for (((out, a), b), prime) in out.iter_mut().zip(a).zip(b).zip(&self.primes) {
            self.kernel.multiply(out, a, b, &prime.modulus, scratch);
        }
        out
    }

    /// One power for each prime.
    fn power(&self, base: &Pair<Number<K>>, exponents: Pair<&[u64]>) -> Pair<Number<K>> {
        let ([p, q], [base_p, base_q], [exponent_p, exponent_q]) = (&self.primes, base, exponents);
        let power = |prime: &Prime<K>, base, exponent| exponent::power(self.kernel, base, [exponent; 2], self.prime_bits, &prime.one, &prime.modulus);
        [power(p, base_p, exponent_p), power(q, base_q, exponent_q)]
    }

    /// The same for the first half of the lanes, in half of the time. The others are as these.
    fn power_woven(&self, base: &Pair<Number<K>>, exponents: Pair<&[u64]>) -> Pair<Number<K>> {
        let Woven { modulus, one } = &self.woven;
        unweave::<K>(&exponent::power(self.kernel, &weave::<K>(views(base)), exponents, self.prime_bits, one, modulus))
    }

    /// A blinding from fresh random numbers; `None` when the system has none to give.
    fn fresh_blinding(&self, scratch: &mut [K::Word]) -> Option<Blinding<K>> {
        let mut random = self.pair();
        let mut bytes = Zeroizing::new(vec![0; self.prime_bits / 8]);
        for number in &mut random {
            for lane in 0..K::LANES {
                getrandom::fill(&mut bytes).ok()?;
                number::store::<K>(number, lane, &limbs::from_be(&bytes, self.prime_bits / 64)?);
            }
        }
        let square = self.primes.each_ref().map(|prime| &prime.square[..]);
        let remover = self.multiply(views(&random), square, scratch);
        let factor = self.power(&remover, self.primes.each_ref().map(|prime| &prime.negated_e[..]));
        Some(Blinding { factor, remover, left: BLINDING_LIFE })
    }

    /// The pair for one batch. The stored pair moves on by squaring.
    fn blinding(&self, scratch: &mut [K::Word]) -> Option<Blinding<K>> {
        let mut stored = self.blinding.lock().unwrap_or_else(PoisonError::into_inner);
        let current = match stored.take() {
            Some(blinding) if blinding.left > 0 => blinding,
            _ => self.fresh_blinding(scratch)?,
        };
        *stored = Some(Blinding {
            factor: self.multiply(views(&current.factor), views(&current.factor), scratch),
            remover: self.multiply(views(&current.remover), views(&current.remover), scratch),
            left: current.left - 1,
        });
        Some(current)
    }

    /// The inputs modulo both primes, in Montgomery form, below `4p`.
    fn residues(&self, inputs: &[Limbs], scratch: &mut [K::Word]) -> Pair<Number<K>> {
        let [mut low, mut high] = self.pair();
        for lane in 0..K::LANES {
            // Lanes without an input of their own repeat the first.
            if let Some(input) = inputs.get(lane).or(inputs.first()) {
                let (low_limbs, high_limbs) = input.split_at(self.prime_bits / 64);
                number::store::<K>(&mut low, lane, low_limbs);
                number::store::<K>(&mut high, lane, high_limbs);
            }
        }
        let mut sum = self.multiply([&low[..]; 2], self.primes.each_ref().map(|prime| &prime.square[..]), scratch);
        let addend = self.multiply([&high[..]; 2], self.primes.each_ref().map(|prime| &prime.high[..]), scratch);
        for (sum, addend) in sum.iter_mut().zip(&addend) {
            self.kernel.add(sum, addend);
        }
        sum
    }

    /// Garner's recombination of results in Montgomery form, of the first `count` lanes.
    fn recombine(&self, powers: &Pair<Number<K>>, count: usize, scratch: &mut [K::Word]) -> Vec<Limbs> {
        let [p, q] = &self.primes;
        let digits = self.digits();
        let mut unit = number::zero::<K>(digits);
        let mut one = limbs::zero(1);
        one.fill(1);
        for lane in 0..K::LANES {
            number::store::<K>(&mut unit, lane, &one);
        }
        // mp / q mod p, and mq.
        let [left, residues] = self.multiply(views(powers), [&self.coefficient[..], &unit[..]], scratch);
        let residues: Vec<Limbs> = (0..K::LANES.min(count)).map(|lane| number::load::<K>(&residues, lane, &q.value)).collect();
        let mut reduced = number::zero::<K>(digits);
        for (lane, residue) in residues.iter().enumerate() {
            number::store::<K>(&mut reduced, lane, residue);
        }
        // - mq / q mod p
        let mut right = number::zero::<K>(digits);
        self.kernel.multiply(&mut right, &reduced, &self.negated_coefficient, &p.modulus, scratch);
        let mut results = Vec::with_capacity(K::LANES);
        for (lane, residue) in residues.iter().enumerate() {
            let mut factor = number::load::<K>(&left, lane, &p.value);
            let carry = limbs::add_masked(&mut factor, &number::load::<K>(&right, lane, &p.value), u64::MAX);
            let mask = carry.wrapping_neg() | !limbs::less_mask(&factor, &p.value);
            limbs::subtract_masked(&mut factor, &p.value, mask);
            let mut result = limbs::multiply(&factor, &q.value);
            limbs::add_masked(&mut result, residue, u64::MAX);
            results.push(result);
        }
        results
    }
}

/// Flips a bit of one digit of one lane.
fn damage<K: Kernel>(number: &mut [K::Word], fault: Fault) {
    let width = K::DIGIT_BITS as usize - 2;
    let digits = number.len() - 1;
    if let Some(word) = number.get_mut(fault.bit / width % digits) {
        let digit = K::decode(word.lane(fault.lane)) ^ (1 << (fault.bit % width));
        word.set_lane(fault.lane, K::encode(digit));
    }
}

impl<K: Kernel> Operate for LaneEngine<K> {
    fn lanes(&self) -> usize {
        K::LANES
    }

    fn run(&self, inputs: &[Limbs], fault: Fault) -> Vec<Option<Limbs>> {
        let mut scratch = number::zero::<K>(SCRATCH * self.digits());
        let Some(mut blinding) = self.blinding(&mut scratch) else {
            return inputs.iter().map(|_| None).collect();
        };
        let at = |point| (fault.point == Some(point)).then_some(fault);
        if let (Some(fault), [_, factor]) = (at(FaultPoint::Blinding), &mut blinding.factor) {
            damage::<K>(factor, fault);
        }
        let residues = self.residues(inputs, &mut scratch);
        let blinded = self.multiply(views(&residues), views(&blinding.factor), &mut scratch);
        let exponents = self.primes.each_ref().map(|prime| &prime.exponent[..]);
        // How many inputs there are is public.
        let half_empty = inputs.len() <= K::LANES / 2;
        let mut powers = if half_empty { self.power_woven(&blinded, exponents) } else { self.power(&blinded, exponents) };
        for (power, point) in powers.iter_mut().zip([FaultPoint::PowerP, FaultPoint::PowerQ]) {
            if let Some(fault) = at(point) {
                damage::<K>(power, fault);
            }
        }
        let powers = self.multiply(views(&powers), views(&blinding.remover), &mut scratch);
        let mut results = self.recombine(&powers, inputs.len(), &mut scratch);
        if let Some(fault) = at(FaultPoint::Recombined)
            && let Some(limb) = results.get_mut(fault.lane).and_then(|result| result.get_mut(fault.bit / 64 % self.public.modulus().len()))
        {
            *limb ^= 1 << (fault.bit % 64);
        }
        let checks = self.public.power(&results);
        // Right: below n, and its power is the input. That it is right is no secret.
        let right = |input: &Limbs, result: &Limbs, check: &Limbs| {
            simd::declassify(limbs::difference(input, check) | !limbs::less_mask(result, self.public.modulus())) == 0
        };
        let results: Vec<Option<Limbs>> =
            inputs.iter().zip(results).zip(&checks).map(|((input, result), check)| right(input, &result, check).then_some(result)).collect();
        if results.contains(&None) {
            // The fault may sit in the stored blinding: do not carry it on.
            *self.blinding.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        results
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod speed {
    #![expect(clippy::unwrap_used, reason = "test code")]
    use super::*;
    use crate::PrivateKey;
    use crate::simd::{avx2::Avx2, ifma::Ifma};

    fn best(mut run: impl FnMut()) -> f64 {
        (0..30)
            .map(|_| {
                let start = std::time::Instant::now();
                run();
                start.elapsed().as_secs_f64() * 1e6
            })
            .fold(f64::MAX, f64::min)
    }

    fn shares<K: Kernel>(name: &str, key: &PrivateKey) {
        let parts = &key.parts;
        let bits = 2 * parts.prime_bits;
        let Some(engine) = LaneEngine::<K>::new(parts) else { return };
        let mut scratch = number::zero::<K>(SCRATCH * engine.digits());
        let inputs: Vec<Limbs> = (0..K::LANES).map(|_| Zeroizing::new(vec![0x5a5a; parts.n.len()])).collect();
        assert!(engine.run(&inputs, Fault::default()).iter().all(Option::is_some));
        let blinding = engine.blinding(&mut scratch).unwrap();
        let exponents = engine.primes.each_ref().map(|prime| &prime.exponent[..]);
        println!("{name}, {bits} bits, whole batch: {:.0} us", best(|| drop(engine.run(&inputs, Fault::default()))));
        println!("  one input {:.0}", best(|| drop(engine.run(inputs.get(..1).unwrap(), Fault::default()))));
        println!("  exponentiations {:.1}", best(|| drop(engine.power(&blinding.factor, exponents))));
        println!("  blinding {:.1}", best(|| drop(engine.blinding(&mut scratch))));
        println!("  residues {:.1}", best(|| drop(engine.residues(&inputs, &mut scratch))));
        println!("  exponentiations of half of the lanes {:.1}", best(|| drop(engine.power_woven(&blinding.factor, exponents))));
        println!("  recombination {:.1}", best(|| drop(engine.recombine(&blinding.factor, K::LANES, &mut scratch))));
        println!("  check {:.1}", best(|| drop(engine.public.power(&inputs))));
    }

    /// `cargo test --release -p keykit-rsa-lanes --lib -- --ignored --nocapture speed`
    #[test]
    #[ignore = "prints times, checks nothing"]
    fn speed_of_the_parts() {
        for key in [crate::tests::small_key(), crate::tests::large_key()].into_iter().flatten() {
            shares::<Ifma>("ifma", &key);
            shares::<Avx2>("avx2", &key);
        }
    }
}
