//! Batches of private operations: both kernels give the same, and it leads back to the input with the public exponent.
#![no_main]

use std::sync::LazyLock;

use keykit_rsa_lanes::{Engine, PrivateKey};
use libfuzzer_sys::fuzz_target;
use rsa::traits::PrivateKeyParts;
use rsa::{BoxedUint, RsaPrivateKey};

const SIZE: usize = 128;

/// A key of the two largest primes of 512 bits, with every kernel of this processor.
static KEY: LazyLock<(RsaPrivateKey, Vec<PrivateKey>)> = LazyLock::new(|| {
    let prime = |less: u16| {
        let mut bytes = [0xff; SIZE / 2];
        bytes[SIZE / 2 - 2..].copy_from_slice(&(u16::MAX - (less - 1)).to_be_bytes());
        BoxedUint::from_be_slice(&bytes, 512).expect("64 bytes")
    };
    let [p, q] = [prime(569), prime(629)];
    let rsa = RsaPrivateKey::from_p_q(p.clone(), q.clone(), BoxedUint::from(65537_u32)).expect("primes");
    let bytes = |number: Option<&BoxedUint>| number.expect("precomputed").to_be_bytes();
    let coefficient = rsa.crt_coefficient();
    let (dp, dq, qinv) = (bytes(rsa.dp()), bytes(rsa.dq()), bytes(coefficient.as_ref()));
    let n = rsa::traits::PublicKeyParts::n_bytes(&rsa);
    let on = |engine| PrivateKey::new(&n, 65537, &p.to_be_bytes(), &q.to_be_bytes(), &dp, &dq, &qinv)?.with_engine(engine);
    let lanes = Engine::ALL.into_iter().filter_map(on).collect();
    (rsa, lanes)
});

fuzz_target!(|bytes: &[u8]| {
    let (rsa, lanes) = &*KEY;
    let inputs: Vec<&[u8]> = bytes.chunks(SIZE).take(9).collect();
    let mut results = lanes.iter().map(|lanes| lanes.private_operation(&inputs));
    let Some(first) = results.next() else { return };
    assert!(results.all(|others| others == first));
    for (result, input) in first.iter().zip(inputs) {
        if let Ok(result) = result {
            let number = BoxedUint::from_be_slice(result, 1024).expect("as long as the modulus");
            let back = rsa::hazmat::rsa_encrypt(rsa, &number).expect("below the modulus").to_be_bytes();
            assert_eq!(back[back.len() - SIZE..], *input);
        }
    }
    assert!(lanes.iter().all(|lanes| lanes.withheld() == 0));
});
