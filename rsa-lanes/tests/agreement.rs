//! Lane results against independent implementations, byte for byte, on every engine that this processor has.
//!
//! Judges are aws-lc-rs (assembly) and `rsa` (crypto-bigint). aws-lc-rs offers no raw operation, so it signs; edge inputs such as 0
//! and `n - 1`, which it refuses, go to `rsa` alone. Each engine runs 100,000 random inputs of 2048 bits (20,000 of them once more in
//! batches so small that both primes share the lanes) and some hundreds of 3072 and
//! 4096 bits; `KEYKIT_LONG_TESTS=1`, or `cargo xtask test --long`, raises the 2,000 signatures of messages to 100,000 too.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair};
use keykit_rsa_lanes::{Engine, PrivateKey, Withheld};
use pkcs1::EncodeRsaPrivateKey;
use rsa::{BoxedUint, RsaPrivateKey};
use sha2::{Digest, Sha256};

struct Key {
    rsa: RsaPrivateKey,
    der: Vec<u8>,
    size: usize,
    lanes: Vec<PrivateKey>,
}

fn key(bits: usize) -> Key {
    key_of(RsaPrivateKey::new(&mut getrandom::rand_core::UnwrapErr(getrandom::SysRng), bits).unwrap())
}

fn key_of(rsa: RsaPrivateKey) -> Key {
    let size = rsa::traits::PublicKeyParts::size(&rsa);
    let der = rsa.to_pkcs1_der().unwrap().as_bytes().to_vec();
    let lanes = Engine::ALL.into_iter().filter(|engine| engine.available()).map(|engine| lane_key(&der).with_engine(engine).unwrap()).collect();
    Key { rsa, der, size, lanes }
}

/// `n`, `p`, `q`, `dp`, `dq` and `1 / q mod p`.
fn parts(der: &[u8]) -> [Vec<u8>; 6] {
    let parts: pkcs1::RsaPrivateKeyRef<'_> = der.try_into().unwrap();
    [parts.modulus, parts.prime1, parts.prime2, parts.exponent1, parts.exponent2, parts.coefficient].map(|number| number.as_bytes().to_vec())
}

fn lane_key(der: &[u8]) -> PrivateKey {
    let [n, p, q, dp, dq, qinv] = parts(der);
    PrivateKey::new(&n, 65537, &p, &q, &dp, &dq, &qinv).unwrap()
}

impl Key {
    fn number(&self, bytes: &[u8]) -> BoxedUint {
        BoxedUint::from_be_slice(bytes, u32::try_from(8 * self.size).unwrap()).unwrap()
    }

    /// The result of the `rsa` crate.
    fn expected(&self, input: &[u8]) -> Vec<u8> {
        let result = rsa::hazmat::rsa_decrypt::<getrandom::rand_core::UnwrapErr<getrandom::SysRng>>(None, &self.rsa, &self.number(input)).unwrap();
        let bytes = result.to_be_bytes();
        bytes[bytes.len() - self.size..].to_vec()
    }

    fn modulus(&self) -> Vec<u8> {
        let [n, ..] = parts(&self.der);
        n
    }

    /// A random number below `n`: the top byte of `n` is at least 0x80.
    fn random_input(&self) -> Vec<u8> {
        let mut input = vec![0; self.size];
        getrandom::fill(&mut input).unwrap();
        input[0] &= 0x7f;
        input
    }

    fn agrees(&self, inputs: &[Vec<u8>]) {
        let views: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let expected: Vec<Vec<u8>> = inputs.iter().map(|input| self.expected(input)).collect();
        for lanes in &self.lanes {
            let results: Vec<Vec<u8>> = lanes.private_operation(&views).into_iter().map(|result| result.unwrap().to_vec()).collect();
            assert!(results == expected, "{lanes:?} differs");
            assert!(by_halves(lanes, &views) == expected, "{lanes:?} differs with half of the lanes");
            assert_eq!(lanes.withheld(), 0);
        }
    }
}

/// So few inputs at a time that both primes share the lanes.
fn by_halves(lanes: &PrivateKey, inputs: &[&[u8]]) -> Vec<Vec<u8>> {
    let results = inputs.chunks(lanes.lanes() / 2).flat_map(|inputs| lanes.private_operation(inputs));
    results.map(|result| result.unwrap().to_vec()).collect()
}

/// `number · factor`, cut to `size` bytes.
fn times(number: &[u8], factor: u8, size: usize) -> Vec<u8> {
    let mut out = vec![0; size];
    let mut carry = 0;
    for (slot, byte) in out.iter_mut().rev().zip(number.iter().rev().chain(std::iter::repeat(&0))) {
        let product = u16::from(*byte) * u16::from(factor) + carry;
        *slot = product.to_le_bytes()[0];
        carry = product >> 8;
    }
    out
}

/// `number - less`, for a `number` above 255.
fn minus(number: &[u8], less: u8) -> Vec<u8> {
    let mut out = number.to_vec();
    let mut borrow = less;
    for byte in out.iter_mut().rev() {
        let (rest, below) = byte.overflowing_sub(borrow);
        (*byte, borrow) = (rest, u8::from(below));
    }
    out
}

fn edges(key: &Key) -> Vec<Vec<u8>> {
    let size = key.size;
    let [_, p, q, ..] = parts(&key.der);
    let mut inputs = vec![vec![0; size]];
    for low in [1, 2, 255] {
        let mut input = vec![0; size];
        input[size - 1] = low;
        inputs.push(input);
    }
    for less in [1, 2, 255] {
        inputs.push(minus(&key.modulus(), less));
    }
    // (n - 1) / 2, and one more: what is nearest to n / 2.
    let n = BoxedUint::from_be_slice_vartime(&key.modulus());
    for half in [&n >> 1_u32, (&n >> 1_u32) + BoxedUint::one()] {
        inputs.push(half.to_be_bytes().to_vec());
    }
    for prime in [p, q] {
        for factor in [1, 2, 3, 200] {
            inputs.push(times(&prime, factor, size));
            // One more and one less than a multiple.
            inputs.push(minus(&times(&prime, factor, size), 1));
        }
        // A large multiple: the prime moved up by almost half the size.
        let mut input = vec![0; size];
        input[1..=prime.len()].copy_from_slice(&prime);
        inputs.push(input);
    }
    // Ones everywhere below the top bit, digits of one pattern throughout, runs of ones and of zeros at digit borders.
    let mut ones = vec![0xff; size];
    ones[0] = 0x7f;
    inputs.push(ones);
    for width in [50, 52] {
        for digit in [1_u64 << (width - 1), (1 << (width - 1)) - 1, 1, 0x5_5555_5555_5555] {
            let mut input = vec![0; size];
            for bit in 0..8 * size - 1 {
                input[size - 1 - bit / 8] |= u8::from(digit >> (bit % width) & 1 == 1) << (bit % 8);
            }
            inputs.push(input);
        }
    }
    for bit in [51, 52, 102, 104, 1019, 1020, 1023, 1024, 1025, 1039, 1040, 1070, 1071] {
        if bit < 8 * size - 1 {
            let mut power = vec![0; size];
            power[size - 1 - bit / 8] = 1 << (bit % 8);
            inputs.push(power.clone());
            // 2^bit - 1
            let mut less = vec![0; size];
            less[size - bit / 8..].fill(0xff);
            less[size - 1 - bit / 8] = (1 << (bit % 8)) - 1;
            inputs.push(less);
        }
    }
    inputs
}

fn all_for(bits: usize, random: usize) -> Key {
    let key = key(bits);
    key.agrees(&edges(&key));
    let inputs: Vec<Vec<u8>> = (0..random).map(|_| key.random_input()).collect();
    key.agrees(&inputs);
    key
}

#[test]
fn agrees_with_the_rsa_crate_1024() {
    all_for(1024, 500);
}

#[test]
fn agrees_with_the_rsa_crate_2048() {
    for _ in 0..3 {
        all_for(2048, 120);
    }
}

#[test]
fn agrees_with_the_rsa_crate_and_aws_lc_3072() {
    random_inputs_agree_with_aws_lc(&all_for(3072, 48), 600);
}

#[test]
fn agrees_with_the_rsa_crate_and_aws_lc_4096() {
    random_inputs_agree_with_aws_lc(&all_for(4096, 32), 300);
}

/// `2^bits - offset`, the sum of two powers and `offset`, or digits of `width` bits at the border of balanced digits plus `offset`.
enum Shape {
    Ones(u32),
    Sparse(u32),
    Digits(usize, u32),
}

/// A prime of this shape; the offsets below were searched for.
fn prime(bits: usize, shape: &Shape) -> BoxedUint {
    let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, u32::try_from(bits).unwrap()).unwrap();
    let small = |value: u32| {
        let mut bytes = vec![0; bits / 8];
        bytes[bits / 8 - 4..].copy_from_slice(&value.to_be_bytes());
        number(&bytes)
    };
    let mut bytes = vec![0; bits / 8];
    match *shape {
        Shape::Ones(less) => {
            bytes.fill(0xff);
            number(&bytes) - small(less - 1)
        }
        Shape::Sparse(more) => {
            bytes[0] = 0xc0;
            number(&bytes) + small(more)
        }
        Shape::Digits(width, more) => {
            for bit in 0..bits {
                // Digits 2^(width - 1) first, then 2^(width - 1) - 1: each becomes the lowest one, with a carry.
                let one = if bit < width { bit + 1 == width } else { bit % width + 1 != width };
                bytes[bits / 8 - 1 - bit / 8] |= u8::from(one) << (bit % 8);
            }
            bytes[0] |= 0xc0;
            number(&bytes) + small(more)
        }
    }
}

/// Keys of 1024 or 2048 bits from primes with long runs and with digits at their bounds, in both orders: `p` above and below `q`.
fn extreme_keys(bits: usize) -> Vec<Key> {
    let shapes = match bits {
        1024 => [Shape::Ones(569), Shape::Ones(629), Shape::Sparse(761), Shape::Sparse(1505), Shape::Digits(50, 81), Shape::Digits(52, 867)],
        _ => [Shape::Ones(105), Shape::Ones(179), Shape::Sparse(1037), Shape::Sparse(1697), Shape::Digits(50, 607), Shape::Digits(52, 3)],
    };
    let primes = shapes.each_ref().map(|shape| prime(bits / 2, shape));
    let pairs = [(0, 1), (1, 0), (2, 3), (3, 2), (4, 5), (5, 4), (0, 2), (2, 0), (4, 1)];
    pairs.map(|(p, q)| key_of(RsaPrivateKey::from_p_q(primes[p].clone(), primes[q].clone(), BoxedUint::from(65537_u32)).unwrap())).into()
}

#[test]
fn keys_of_extreme_primes_agree() {
    for bits in [1024, 2048] {
        for key in extreme_keys(bits) {
            assert_eq!((key.size, key.lanes.len()), (bits / 8, Engine::ALL.into_iter().filter(|engine| engine.available()).count()));
            key.agrees(&edges(&key));
            if bits == 2048 {
                random_inputs_agree_with_aws_lc(&key, 16);
            }
        }
    }
}

/// Random inputs of 2048 bits for each engine, under so many keys.
const INPUTS: usize = 100_000;
const KEYS: usize = 4;

/// How many messages are signed.
fn messages() -> u32 {
    if std::env::var_os("KEYKIT_LONG_TESTS").is_some() { 100_000 } else { 2_000 }
}

/// PSS signatures of aws-lc: behind each is a number with random bits in all its length, which `rsa` finds with the public exponent.
fn random_inputs_agree_with_aws_lc(key: &Key, count: usize) {
    let aws = RsaKeyPair::from_der(&key.der).unwrap();
    let random = SystemRandom::new();
    for start in (0..count).step_by(500) {
        let mut inputs = Vec::new();
        let mut expected = Vec::new();
        for number in start..count.min(start + 500) {
            let mut signature = vec![0; key.size];
            aws.sign(&RSA_PSS_SHA256, &random, &number.to_be_bytes(), &mut signature).unwrap();
            let input = rsa::hazmat::rsa_encrypt(&key.rsa, &key.number(&signature)).unwrap().to_be_bytes();
            inputs.push(input[input.len() - key.size..].to_vec());
            expected.push(signature);
        }
        let views: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        for lanes in &key.lanes {
            for (result, expected) in lanes.private_operation(&views).iter().zip(&expected) {
                assert!(result.as_ref().unwrap()[..] == expected[..], "{lanes:?}");
            }
            // A fifth of them with half of the lanes too.
            let few = views.len().div_ceil(5);
            assert!(by_halves(lanes, &views[..few]) == expected[..few], "{lanes:?}");
        }
    }
    assert!(key.lanes.iter().all(|lanes| lanes.withheld() == 0));
}

#[test]
fn random_inputs_agree() {
    let keys: Vec<Key> = (0..KEYS).map(|_| key(2048)).collect();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(KEYS);
    std::thread::scope(|scope| {
        for keys in keys.chunks(KEYS.div_ceil(threads)) {
            scope.spawn(move || keys.iter().for_each(|key| random_inputs_agree_with_aws_lc(key, INPUTS / KEYS)));
        }
    });
    let engines: Vec<Engine> = Engine::ALL.into_iter().filter(|engine| engine.available()).collect();
    println!("{INPUTS} random inputs under {KEYS} keys on each of {engines:?}");
}

/// PKCS#1 v1.5 encoding of a SHA-256 digest (RFC 8017, section 9.2).
fn encode(message: &[u8], size: usize) -> Vec<u8> {
    const PREFIX: [u8; 19] = [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
    let digest = Sha256::digest(message);
    let padding = size - 3 - PREFIX.len() - digest.len();
    [&[0, 1][..], &vec![0xff; padding], &[0], &PREFIX, &digest].concat()
}

#[test]
fn signatures_agree_with_aws_lc() {
    let total = messages();
    let key = key(2048);
    let aws = RsaKeyPair::from_der(&key.der).unwrap();
    let random = SystemRandom::new();
    for start in (0..total).step_by(1000) {
        let messages: Vec<[u8; 4]> = (start..start + 1000).map(u32::to_be_bytes).collect();
        let inputs: Vec<Vec<u8>> = messages.iter().map(|message| encode(message, key.size)).collect();
        let views: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let expected: Vec<Vec<u8>> = messages
            .iter()
            .map(|message| {
                let mut signature = vec![0; key.size];
                aws.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            })
            .collect();
        for lanes in &key.lanes {
            for (result, expected) in lanes.private_operation(&views).iter().zip(&expected) {
                assert!(result.as_ref().unwrap()[..] == expected[..], "{lanes:?}");
            }
        }
    }
}

#[test]
fn partial_batches_and_bad_inputs() {
    let key = key(1024);
    let n = key.modulus();
    for count in 0..=17 {
        let inputs: Vec<Vec<u8>> = (0..count).map(|_| key.random_input()).collect();
        key.agrees(&inputs);
    }
    let good = key.random_input();
    let expected = key.expected(&good);
    let above = vec![0xff; key.size];
    for lanes in &key.lanes {
        let results = lanes.private_operation(&[&n, &good, &good[1..], &above, &[], &good]);
        for (position, result) in results.into_iter().enumerate() {
            match position {
                1 | 5 => assert_eq!(result.unwrap()[..], expected[..]),
                _ => assert_eq!(result.unwrap_err(), Withheld::Input),
            }
        }
    }
}

#[test]
fn blinding_goes_on_across_its_life() {
    // More batches than one blinding lasts, from two threads.
    let key = key(1024);
    let input = key.random_input();
    let expected = key.expected(&input);
    for lanes in &key.lanes {
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..300 {
                        assert_eq!(lanes.private_operation(&[&input]).remove(0).unwrap()[..], expected[..]);
                    }
                });
            }
        });
        assert_eq!(lanes.withheld(), 0);
    }
}

#[test]
fn keys_that_do_not_fit_are_refused() {
    let key = key(1024);
    let all = parts(&key.der);
    let make = |e, change: &dyn Fn(&mut [Vec<u8>; 6])| {
        let mut all = all.clone();
        change(&mut all);
        let [n, p, q, dp, dq, qinv] = all;
        PrivateKey::new(&n, e, &p, &q, &dp, &dq, &qinv).is_some()
    };
    let available = Engine::ALL.into_iter().any(Engine::available);
    assert_eq!(make(65537, &|_| ()), available);
    assert_eq!(make(65537, &|all| all.iter_mut().for_each(|number| number.insert(0, 0))), available, "leading zeros are harmless");
    assert!(!make(65536, &|_| ()));
    assert!(!make(1, &|_| ()));
    assert!(!make(65537, &|all| all[0][50] ^= 1));
    assert!(!make(65537, &|all| all[1][0] = 0));
    assert!(!make(65537, &|all| all[2].push(1)));
    assert!(!make(65537, &|all| all[3] = all[1].clone()));
    assert!(!make(65537, &|all| all.iter_mut().for_each(Vec::clear)));
}

#[test]
fn a_key_with_a_wrong_exponent_withholds_everything() {
    let key = key(1024);
    let [n, p, q, mut dp, dq, qinv] = parts(&key.der);
    *dp.last_mut().unwrap() ^= 2;
    let lanes = PrivateKey::new(&n, 65537, &p, &q, &dp, &dq, &qinv).unwrap();
    let input = key.random_input();
    assert_eq!(lanes.private_operation(&[&input]).remove(0).unwrap_err(), Withheld::Fault);
    assert_eq!(lanes.withheld(), 1);
}

#[test]
fn debug_shows_no_secret() {
    let key = key(1024);
    for lanes in &key.lanes {
        let shown = format!("{lanes:?}");
        assert!(shown.starts_with("PrivateKey { bits: 1024, engine: ") && shown.len() < 60, "{shown}");
    }
}
