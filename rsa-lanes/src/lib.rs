//! Batches of RSA operations of one key, several at once in the lanes of wide registers: private operations ([`PrivateKey`]), and public
//! ones ([`PublicKey`]).
//!
//! Independent messages go through one exponentiation together: eight on AVX-512 IFMA, four on AVX2. Of half as many messages or fewer, the
//! exponentiations modulo both primes go through one together. On any
//! other processor there is no engine and the caller uses its library; so it does for key sizes that have no
//! code and for results that were withheld.
//!
//! # Security
//! - Constant time by construction: no branch, index or address depends on a secret. Exponents are read in fixed
//!   windows; the table is scanned in full with masks. Lengths, the number of inputs and the modulus are public.
//! - The base is blinded, in each lane with another number: random at first, squared from batch to batch,
//!   random again after 256 batches or after a fault. Exponents are not blinded.
//! - Every result is checked with the public exponent, after the blinding is taken off and before it leaves. A wrong one (a fault in the processor or in
//!   memory would give the factors of the modulus away) is withheld and counted.
//! - What is secret is wiped when dropped. Copies that the compiler leaves in registers and on the stack are not.
//!
//! # Speed
//! RSA-2048 signatures a second on one Zen 4 core that other work shared: AVX2 4,000, which is 2.4 times OpenSSL 3.0 without
//! AVX-512; IFMA 7,000, which is 1.8 times OpenSSL's own IFMA code. On Sapphire Rapids: AVX2 2.1 times, IFMA 2.9 times. ARCHITECTURE.md
//! has the tables.
//!
//! The results are raw: padding, and telling nobody how it failed, is the caller's business.

#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "there is no kernel for this processor"))]

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use zeroize::Zeroizing;

mod engine;
mod exponent;
mod limbs;
mod number;
mod public;
mod simd;

use engine::{Fault, Operate, Parts};
use public::{PublicEngine, Raise};

#[cfg(any(test, feature = "fault-injection"))]
pub use engine::FaultPoint;
pub use public::PublicKey;
#[cfg(all(feature = "valgrind", target_arch = "x86_64"))]
pub use simd::valgrind;

/// A result: big-endian, as long as the modulus, wiped when dropped.
pub type SecretOutput = Zeroizing<Vec<u8>>;

/// The instructions that the lanes run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// AVX-512 IFMA: eight lanes.
    Ifma,
    /// AVX2 and FMA: four lanes.
    Avx2,
}

impl Engine {
    /// All engines, fastest first.
    pub const ALL: [Self; 2] = [Self::Ifma, Self::Avx2];

    /// Whether this processor can run it and it was not [withdrawn](Self::withdraw).
    #[must_use]
    pub fn available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            use simd::{Kernel, avx2::Avx2, ifma::Ifma};
            let has = match self {
                Self::Ifma => Ifma::detect().is_some(),
                Self::Avx2 => Avx2::detect().is_some(),
            };
            has && !self.withdrawn().load(Ordering::Relaxed)
        }
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Takes the engine from this process, as if the processor did not have it: for comparisons, and for machines whose lanes are not
    /// trusted. Keys that were made before keep it.
    pub fn withdraw(self) {
        self.withdrawn().store(true, Ordering::Relaxed);
    }

    fn withdrawn(self) -> &'static AtomicBool {
        static WITHDRAWN: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];
        let [ifma, avx2] = &WITHDRAWN;
        match self {
            Self::Ifma => ifma,
            Self::Avx2 => avx2,
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn build_public(self, n: &[u64], e: u32) -> Option<Box<dyn Raise>> {
        use simd::{avx2::Avx2, ifma::Ifma};
        self.available().then_some(())?;
        Some(match self {
            Self::Ifma => Box::new(PublicEngine::<Ifma>::new(n, e)?),
            Self::Avx2 => Box::new(PublicEngine::<Avx2>::new(n, e)?),
        })
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn build_public(self, _: &[u64], _: u32) -> Option<Box<dyn Raise>> {
        None
    }

    #[cfg(target_arch = "x86_64")]
    fn build(self, parts: &Parts) -> Option<Box<dyn Operate>> {
        use engine::LaneEngine;
        use simd::{avx2::Avx2, ifma::Ifma};
        self.available().then_some(())?;
        Some(match self {
            Self::Ifma => Box::new(LaneEngine::<Ifma>::new(parts)?),
            Self::Avx2 => Box::new(LaneEngine::<Avx2>::new(parts)?),
        })
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn build(self, _: &Parts) -> Option<Box<dyn Operate>> {
        None
    }
}

/// Why there is no result for an input. Run this operation on another implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// The input is not as long as the modulus, or not below it.
    Input,
    /// The result did not pass the check with the public exponent, or the system gave no random numbers.
    Fault,
}

impl fmt::Display for Withheld {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Input => "the input of the private operation is not a number below the modulus",
            Self::Fault => "the result of the private operation failed its check; use another implementation",
        })
    }
}

impl std::error::Error for Withheld {}

/// An RSA private key made ready for one engine.
///
/// Keep it: making it costs about as much as a few operations. It can be shared between threads.
pub struct PrivateKey {
    parts: Parts,
    engine: Engine,
    operations: Box<dyn Operate>,
    withheld: AtomicU64,
    #[cfg(any(test, feature = "fault-injection"))]
    fault: std::sync::Mutex<Fault>,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PrivateKey").field("bits", &(2 * self.parts.prime_bits)).field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl PrivateKey {
    /// Takes a key from its big-endian parts (RFC 8017, section 3.2) to the fastest engine of this processor.
    ///
    /// `None` when no engine fits: the processor has none, the modulus has not 1024, 2048, 3072 or 4096 bits, the
    /// primes are not of half its length, or the parts do not belong together.
    #[must_use]
    pub fn new(n: &[u8], e: u32, p: &[u8], q: &[u8], dp: &[u8], dq: &[u8], qinv: &[u8]) -> Option<Self> {
        let n = limbs::modulus_from_be(n)?;
        if e < 3 || e.is_multiple_of(2) {
            return None;
        }
        let count = n.len() / 2;
        let number = |bytes| limbs::from_be(bytes, count);
        let parts = Parts {
            prime_bits: 32 * n.len(),
            n,
            e,
            primes: [number(p)?, number(q)?],
            exponents: [number(dp)?, number(dq)?],
            coefficient: number(qinv)?,
        };
        Self::check(&parts).then_some(())?;
        let (engine, operations) = Engine::ALL.into_iter().find_map(|engine| Some((engine, engine.build(&parts)?)))?;
        Some(Self {
            parts,
            engine,
            operations,
            withheld: AtomicU64::new(0),
            #[cfg(any(test, feature = "fault-injection"))]
            fault: std::sync::Mutex::default(),
        })
    }

    /// Whether the parts have the shape that the arithmetic relies on, and `p · q = n`. The answer alone is public.
    fn check(parts: &Parts) -> bool {
        let [p, q] = &parts.primes;
        let [dp, dq] = &parts.exponents;
        // All zero bits where the top and the lowest bit are set.
        let shape = |number: &[u64]| match number {
            [low, .., top] => (!top >> 63) | (!low & 1),
            _ => 1,
        };
        let not_below = |a: &[u64], b: &[u64]| !limbs::less_mask(a, b);
        let order = not_below(dp, p) | not_below(dq, q) | not_below(&parts.coefficient, p);
        let product = limbs::difference(&limbs::multiply(p, q), &parts.n);
        simd::declassify(shape(p) | shape(q) | shape(&parts.n) | order | product) == 0
    }

    /// The engine in use.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Operations that run together. Fewer inputs take the same time; up to half as many take half of it, since the lanes that are left
    /// work on the other prime.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.operations.lanes()
    }

    /// Length of the modulus in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.parts.prime_bits / 4
    }

    /// Results withheld since the key was made because their check failed or there were no random numbers. Anything but 0
    /// deserves a look at the machine.
    #[must_use]
    pub fn withheld(&self) -> u64 {
        self.withheld.load(Ordering::Relaxed)
    }

    /// The same key on another engine; `None` when this processor cannot run it.
    #[must_use]
    pub fn with_engine(self, engine: Engine) -> Option<Self> {
        let operations = engine.build(&self.parts)?;
        Some(Self { engine, operations, ..self })
    }

    /// The raw private operation (RSADP and RSASP1 of RFC 8017, section 5) on each input: big-endian, as long as the modulus and below it.
    ///
    /// Results come in the order of the inputs. Batches of a multiple of [`PrivateKey::lanes`] make best use of the lanes.
    pub fn private_operation(&self, inputs: &[&[u8]]) -> Vec<Result<SecretOutput, Withheld>> {
        let size = self.size();
        let mut outputs = Vec::with_capacity(inputs.len());
        let mut valid = Vec::with_capacity(inputs.len());
        for input in inputs {
            let number = (input.len() == size).then(|| limbs::from_be(input, size / 8)).flatten();
            let number = number.filter(|number| limbs::less_mask(number, &self.parts.n) != 0);
            // A placeholder, replaced below, for inputs in range.
            outputs.push(Err(if number.is_some() { Withheld::Fault } else { Withheld::Input }));
            valid.extend(number);
        }
        let mut places = outputs.iter_mut().filter(|output| **output == Err(Withheld::Fault));
        for batch in valid.chunks(self.lanes()) {
            for (result, place) in self.operations.run(batch, self.next_fault()).into_iter().zip(places.by_ref()) {
                match result {
                    Some(result) => {
                        let mut bytes = Zeroizing::new(vec![0; size]);
                        limbs::to_be(&result, &mut bytes);
                        *place = Ok(bytes);
                    }
                    None => {
                        self.withheld.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
        outputs
    }

    #[cfg(any(test, feature = "fault-injection"))]
    fn next_fault(&self) -> Fault {
        std::mem::take(&mut *self.fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    #[cfg(not(any(test, feature = "fault-injection")))]
    #[expect(clippy::unused_self, reason = "the test build needs it")]
    fn next_fault(&self) -> Fault {
        Fault::default()
    }

    /// Damages one lane of the next batch. Tests only.
    #[cfg(any(test, feature = "fault-injection"))]
    pub fn inject_fault(&self, point: FaultPoint, lane: usize, bit: usize) {
        *self.fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Fault { point: Some(point), lane, bit };
    }
}

#[cfg(test)]
mod tests;
