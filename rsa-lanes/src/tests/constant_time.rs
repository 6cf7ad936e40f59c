//! Whether anything secret reaches a branch or an address, asked of valgrind: memcheck follows values that are marked undefined
//! through every instruction and reports such a use.
//!
//! The test starts itself again under valgrind. Valgrind 3.19 knows AVX2 and FMA but not AVX-512, so it sees the AVX2
//! kernel and all code that both kernels share; the IFMA kernel's own loops are judged by reading alone. This crate is compiled with
//! `opt-level = 3` in tests too (`Cargo.toml` of the workspace), as in the release; what link-time optimisation adds to that is not seen.

use std::hint::black_box;
use std::process::{Command, Output};

use super::*;
use crate::simd::valgrind;

/// What valgrind exits with after an error.
const FOUND: i32 = 99;

/// n, p, q, dp, dq and qinv of a PEM file.
fn parts_of(pem: &str) -> [Vec<u8>; 6] {
    let (_, der) = pkcs1::der::Document::from_pem(pem).unwrap();
    let key: pkcs1::RsaPrivateKeyRef<'_> = der.as_bytes().try_into().unwrap();
    [key.modulus, key.prime1, key.prime2, key.exponent1, key.exponent2, key.coefficient].map(|number| number.as_bytes().to_vec())
}

/// The fastest engine's key of 2048 bits.
pub(crate) fn large_key() -> Option<PrivateKey> {
    let [n, p, q, dp, dq, qinv] = parts_of(include_str!("../../../vectors/keys/xrml-2048.pem"));
    PrivateKey::new(&n, 65537, &p, &q, &dp, &dq, &qinv)
}

/// Each size of primes has code of its own.
#[test]
#[ignore = "runs under valgrind"]
fn under_valgrind_operation() {
    assert!(valgrind::running());
    let files = [include_str!("../../../vectors/keys/xrml-2048.pem"), include_str!("../../../vectors/keys/rsa-3072-e65537.pem")];
    for parts in std::iter::once(parts()).chain(files.map(parts_of)) {
        operation_on(parts);
    }
}

/// A key and an operation with all secret parts undefined, from their bytes on.
fn operation_on([n, mut p, mut q, mut dp, mut dq, mut qinv]: [Vec<u8>; 6]) {
    for secret in [&mut p, &mut q, &mut dp, &mut dq, &mut qinv] {
        valgrind::mark_secret(secret);
    }
    for engine in Engine::ALL.into_iter().filter(|engine| engine.available()) {
        let key = PrivateKey::new(&n, 65537, &p, &q, &dp, &dq, &qinv).unwrap().with_engine(engine).unwrap();
        let input = vec![0x5a; n.len()];
        // A fresh blinding, and such that were squared; with half of the lanes, and with all of them.
        for count in [2, 2, key.lanes(), key.lanes(), 1] {
            for result in key.private_operation(&vec![&input[..]; count]) {
                assert_eq!(result.unwrap().len(), n.len());
            }
        }
        // A message that is encrypted is secret, and so is what is confirmed of it; the ciphertext is not.
        let public = PublicKey::on(engine, &n, 65537).unwrap();
        let mut message = input.clone();
        valgrind::mark_secret(&mut message);
        let mut powers = public.power(&[&message, &message, &message]);
        let mut ciphertext = powers.remove(0).unwrap();
        valgrind::mark_public(&mut ciphertext);
        assert!(public.are_powers(&[(&message, &ciphertext), (&message, &ciphertext)]));
        println!("constant time: {engine:?}, {} bits", 8 * n.len());
    }
}

/// A secret that valgrind follows.
fn secret<const N: usize>(values: [u64; N]) -> [u64; N] {
    let mut values = black_box(values);
    valgrind::mark_secret(&mut values);
    values
}

#[test]
#[ignore = "runs under valgrind"]
fn under_valgrind_branch() {
    let [secret] = secret([5]);
    if black_box(secret) > 4 {
        println!("planted: a branch on a secret");
    }
}

#[test]
#[ignore = "runs under valgrind"]
fn under_valgrind_address() {
    let [secret] = secret([5]);
    let table = black_box([1_u8; 64]);
    let entry = table[usize::try_from(black_box(secret) % 64).unwrap_or(0)];
    black_box(entry);
    println!("planted: a table index that is secret");
}

/// The exponentiation of the engine, but windows of zeros are left out: a mistake that is easily made.
#[test]
#[ignore = "runs under valgrind"]
fn under_valgrind_skipped_window() {
    use crate::number;
    use crate::simd::{Kernel, SCRATCH, avx2::Avx2};
    let kernel = Avx2::detect().unwrap();
    let digits = Avx2::digit_count(512).unwrap();
    let prime = limbs::from_be(&parts()[1], 8).unwrap();
    let modulus = number::modulus::<Avx2>(&prime, digits);
    let base = number::everywhere::<Avx2>(&[3], digits);
    let mut value = base.clone();
    let mut other = number::zero::<Avx2>(digits);
    let mut scratch = number::zero::<Avx2>(SCRATCH * digits);
    let exponent = secret([0x1002_0003]);
    for window in (0..8).rev() {
        for _ in 0..2 {
            kernel.square(&mut other, &value, &modulus, &mut scratch);
            kernel.square(&mut value, &other, &modulus, &mut scratch);
        }
        if limbs::bits(&exponent, 4 * window, 4) != 0 {
            kernel.multiply(&mut other, &value, &base, &modulus, &mut scratch);
            std::mem::swap(&mut value, &mut other);
        }
    }
    println!("planted: a window of zeros left out");
}

/// Runs a test of this file under valgrind. `None` where there is none.
fn under_valgrind(test: &str) -> Option<Output> {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", &format!("--error-exitcode={FOUND}"), "--leak-check=no"]).arg(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", "--test-threads=1", &format!("tests::constant_time::under_valgrind_{test}")]);
    command.output().ok()
}

fn skips() -> bool {
    let why = if !Engine::Avx2.available() {
        "this processor has no AVX2"
    } else if Command::new("valgrind").arg("--version").output().is_err() {
        assert!(std::env::var_os("KEYKIT_REQUIRE_TOKENS").is_none(), "valgrind is missing (`cargo xtask setup` installs it)");
        "valgrind is not here"
    } else {
        return false;
    };
    keykit_vectors::say_skipped("constant_time", why);
    true
}

#[test]
fn constant_time_under_valgrind() {
    if skips() {
        return;
    }
    let output = under_valgrind("operation").unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    for bits in [1024, 2048, 3072] {
        assert!(out.contains(&format!("constant time: Avx2, {bits} bits")), "{out}");
    }
    println!("{}", out.lines().filter(|line| line.contains("constant time: ")).collect::<Vec<_>>().join(", "));
}

/// The check can fail: it finds what is planted.
#[test]
fn planted_leaks_are_found() {
    if skips() {
        return;
    }
    for leak in ["branch", "address", "skipped_window"] {
        let output = under_valgrind(leak).unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(out.contains("planted: "), "{leak}: {out}\n{err}");
        assert_eq!(output.status.code(), Some(FOUND), "{leak}: {out}\n{err}");
        assert!(err.contains("ninitialised value"), "{leak}: {err}");
    }
}
