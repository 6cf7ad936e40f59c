//! Signs 8 KB bodies (RSASSA-PKCS1-v1_5, SHA-256, RSA-2048) with every engine, in interleaved rounds on one thread.
//!
//! `cargo run --release -p keykit-rsa-lanes --features compare-openssl --example compare [ROUNDS] [BITS]`
//!
//! Prints the median rate of each engine and the median over rounds of its rate against OpenSSL in the same round.
//! OpenSSL uses what the processor has; `OPENSSL_ia32cap=:~0x200000` takes AVX-512 IFMA away from it. Time is the processor
//! time of the thread where Linux gives it, so that other work on the machine counts less.

#![expect(clippy::indexing_slicing, reason = "sizes are fixed")]

use std::time::{Duration, Instant};

use aws_lc_rs::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use keykit_rsa_lanes::{Engine, PrivateKey};
use openssl::{hash::MessageDigest, pkey::PKey, rsa::Rsa, sign::Signer};
use sha2::{Digest, Sha256};

/// DER of the DigestInfo of SHA-256, without the digest (RFC 8017, section 9.2).
const PREFIX: [u8; 19] = [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];

fn encode(body: &[u8], size: usize) -> Vec<u8> {
    let mut encoded = vec![0xff; size];
    let digest = Sha256::digest(body);
    let end = size - digest.len();
    encoded[end..].copy_from_slice(&digest);
    encoded[end - PREFIX.len()..end].copy_from_slice(&PREFIX);
    encoded[end - PREFIX.len() - 1] = 0;
    encoded[..2].copy_from_slice(&[0, 1]);
    encoded
}

/// Seconds of processor time of this thread, or of the clock.
fn seconds(start: Instant) -> f64 {
    let nanoseconds = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = nanoseconds.and_then(|text| text.split(' ').next().and_then(|number| number.parse::<f64>().ok()));
    nanoseconds.map_or_else(|| start.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u32>());
    let rounds = arguments.next().transpose()?.unwrap_or(31);
    let bits = arguments.next().transpose()?.unwrap_or(2048);
    let rsa = Rsa::generate(bits)?;
    let bytes = |number: Option<&openssl::bn::BigNumRef>| number.map(openssl::bn::BigNumRef::to_vec).unwrap_or_default();
    let (n, p, q) = (rsa.n().to_vec(), bytes(rsa.p()), bytes(rsa.q()));
    let (dp, dq, qinv) = (bytes(rsa.dmp1()), bytes(rsa.dmq1()), bytes(rsa.iqmp()));
    let lanes = |engine| PrivateKey::new(&n, 65537, &p, &q, &dp, &dq, &qinv)?.with_engine(engine);
    let aws = KeyPair::from_der(&rsa.private_key_to_der()?).ok();
    let key = PKey::from_rsa(rsa.clone())?;

    let body: Vec<u8> = (0..8192_u32).map(|number| number.to_le_bytes()[0]).collect();
    let size = n.len();
    type Signing<'a> = Box<dyn Fn(&[&[u8]]) -> Vec<Vec<u8>> + 'a>;
    let mut engines: Vec<(String, Signing)> = vec![(
        "OpenSSL".to_owned(),
        Box::new(|bodies| {
            let sign = |body: &&[u8]| Signer::new(MessageDigest::sha256(), &key).and_then(|mut signer| signer.sign_oneshot_to_vec(body));
            bodies.iter().map(|body| sign(body).unwrap_or_default()).collect()
        }),
    )];
    if let Some(aws) = &aws {
        let random = SystemRandom::new();
        let sign = move |body: &&[u8]| {
            let mut signature = vec![0; size];
            aws.sign(&RSA_PKCS1_SHA256, &random, body, &mut signature).map(|()| signature).unwrap_or_default()
        };
        engines.push(("aws-lc-rs".to_owned(), Box::new(move |bodies| bodies.iter().map(&sign).collect())));
    }
    for engine in Engine::ALL {
        if let Some(key) = lanes(engine) {
            let sign = move |bodies: &[&[u8]]| {
                let encoded: Vec<Vec<u8>> = bodies.iter().map(|body| encode(body, size)).collect();
                let inputs: Vec<&[u8]> = encoded.iter().map(Vec::as_slice).collect();
                key.private_operation(&inputs).into_iter().map(|result| result.map(|bytes| bytes.to_vec()).unwrap_or_default()).collect()
            };
            engines.push((format!("lanes {engine:?}"), Box::new(sign)));
        }
    }

    let bodies = [body.as_slice(); 8];
    let reference = engines[0].1(&bodies);
    assert!(engines.iter().all(|(_, sign)| sign(&bodies) == reference), "all engines make the same signatures");
    let mut rates = vec![Vec::new(); engines.len()];
    let clock = Instant::now();
    for _ in 0..rounds {
        for ((_, sign), rates) in engines.iter().zip(&mut rates) {
            let (start, round, mut count) = (seconds(clock), Instant::now(), 0_u32);
            while round.elapsed() < Duration::from_millis(120) {
                count += u32::try_from(sign(&bodies).len())?;
            }
            rates.push(f64::from(count) / (seconds(clock) - start));
        }
    }
    println!("RSA-{bits}, {rounds} rounds, 8 KB bodies, one thread");
    println!("{:<14}{:>12}{:>20}", "engine", "signatures/s", "paired to OpenSSL");
    let openssl = rates[0].clone();
    for ((name, _), rates) in engines.iter().zip(&mut rates) {
        let mut paired: Vec<f64> = rates.iter().zip(&openssl).map(|(rate, openssl)| rate / openssl).collect();
        println!("{name:<14}{:>12.0}{:>20.2}", median(rates), median(&mut paired));
    }
    Ok(())
}
