//! Lane results against independent implementations, byte for byte, on every engine that this processor has.
//!
//! `KEYKIT_LANES_LONG=1` raises the 3,000 signatures to 100,000 (use `--release`).

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
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
    let rsa = RsaPrivateKey::new(&mut getrandom::rand_core::UnwrapErr(getrandom::SysRng), bits).unwrap();
    let der = rsa.to_pkcs1_der().unwrap().as_bytes().to_vec();
    let lanes = Engine::ALL.into_iter().filter(|engine| engine.available()).map(|engine| lane_key(&der).with_engine(engine).unwrap()).collect();
    Key { rsa, der, size: bits / 8, lanes }
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
            assert_eq!(lanes.withheld(), 0);
        }
    }
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

fn edges(key: &Key) -> Vec<Vec<u8>> {
    let size = key.size;
    let [_, p, q, ..] = parts(&key.der);
    let mut inputs = vec![vec![0; size]];
    for low in [1, 2, 255] {
        let mut input = vec![0; size];
        input[size - 1] = low;
        inputs.push(input);
    }
    let n = key.modulus();
    for below in [1, 2] {
        let mut input = n.clone();
        input[size - 1] -= below; // n is odd and its last byte is seldom 1; then the borrow is left out
        if input < n {
            inputs.push(input);
        }
    }
    for prime in [p, q] {
        for factor in [1, 2, 3, 200] {
            inputs.push(times(&prime, factor, size));
        }
        // A large multiple: the prime moved up by almost half the size.
        let mut input = vec![0; size];
        input[1..=prime.len()].copy_from_slice(&prime);
        inputs.push(input);
    }
    // Ones everywhere below the top byte, runs of ones and of zeros at digit borders.
    let mut ones = vec![0xff; size];
    ones[0] = 0x7f;
    inputs.push(ones);
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

fn all_for(bits: usize, random: usize) {
    let key = key(bits);
    key.agrees(&edges(&key));
    let inputs: Vec<Vec<u8>> = (0..random).map(|_| key.random_input()).collect();
    key.agrees(&inputs);
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
fn agrees_with_the_rsa_crate_3072() {
    all_for(3072, 24);
}

#[test]
fn agrees_with_the_rsa_crate_4096() {
    all_for(4096, 16);
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
    let total: u32 = if std::env::var_os("KEYKIT_LANES_LONG").is_some() { 100_000 } else { 3_000 };
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
