//! Batches of private operations on keys of every size: all kernels give the same, and it is what aws-lc-rs gives.
//!
//! aws-lc-rs has no raw operation, so it signs the inputs, and the lanes are given what it exponentiates (RFC 8017, section 9.2).
//! The inputs as they are go through the lanes too; their results must lead back with the public exponent. Keys of 1024 bits,
//! which aws-lc-rs does not take, are judged by `rsa`.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use keykit::key::{Hash, RsaSecretKey};
use keykit_rsa_lanes::{Engine, PrivateKey};
use rsa::{BoxedUint, RsaPrivateKey};

/// One more than the lanes of the widest kernel.
const MOST_INPUTS: usize = 9;
/// DigestInfo of SHA-256 without the digest (RFC 8017, section 9.2, note 1).
const DIGEST_INFO: [u8; 19] = [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];

struct Key {
    size: usize,
    rsa: RsaPrivateKey,
    aws_lc: Option<RsaKeyPair>,
    /// On every kernel of this processor.
    lanes: Vec<PrivateKey>,
}

impl Key {
    fn from_pem(pem: &str) -> Self {
        let key = RsaSecretKey::from_pem(pem).expect("a key");
        let on = |engine| {
            let made = key.with_components(|key| Ok(PrivateKey::new(key.n, key.e, key.p, key.q, key.dp, key.dq, key.qinv)));
            made.expect("the parts of a key")?.with_engine(engine)
        };
        Self {
            size: key.public().modulus_bytes(),
            rsa: key.to_rsa().expect("a key"),
            aws_lc: RsaKeyPair::from_der(key.to_pkcs1_der().expose()).ok(),
            lanes: Engine::ALL.into_iter().filter_map(on).collect(),
        }
    }

    fn number(&self, bytes: &[u8]) -> BoxedUint {
        BoxedUint::from_be_slice(bytes, u32::try_from(8 * self.size).expect("a small number")).expect("as long as the modulus")
    }

    fn bytes(&self, number: &BoxedUint) -> Vec<u8> {
        let bytes = number.to_be_bytes();
        bytes[bytes.len() - self.size..].to_vec()
    }

    /// What the other library gives for an encoded message, and for the message it encodes.
    fn signature(&self, message: &[u8], encoded: &[u8]) -> Vec<u8> {
        let Some(aws_lc) = &self.aws_lc else {
            type NoNumbers = getrandom::rand_core::UnwrapErr<getrandom::SysRng>;
            let result = rsa::hazmat::rsa_decrypt::<NoNumbers>(None, &self.rsa, &self.number(encoded)).expect("below the modulus");
            return self.bytes(&result);
        };
        let mut signature = vec![0; self.size];
        aws_lc.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).expect("a signature");
        signature
    }
}

/// Keys of 1024, 2048, 3072 and 4096 bits.
static KEYS: LazyLock<[Key; 4]> = LazyLock::new(|| {
    let [small, usual, large] =
        ["keys/xrml-1024.pem", "keys/xrml-2048.pem", "keys/rsa-3072-e65537.pem"].map(|path| keykit_vectors::read_text(path).expect("a vector"));
    let published = keykit_vectors::read("wycheproof/rsa_pkcs1_4096_sig_gen_test.json").expect("a vector");
    let published: serde_json::Value = serde_json::from_slice(&published).expect("JSON");
    let largest = published["testGroups"][0]["privateKeyPem"].as_str().expect("a key").to_owned();
    [small, usual, large, largest].map(|pem| Key::from_pem(&pem))
});

fn encode(digest: &[u8], size: usize) -> Vec<u8> {
    let tail = [&DIGEST_INFO, digest].concat();
    [&[0, 1], vec![0xff; size - tail.len() - 3].as_slice(), &[0], &tail].concat()
}

/// The results of all kernels, which are the same; `None` where the processor has none.
fn results(key: &Key, inputs: &[&[u8]]) -> Option<Vec<Option<Vec<u8>>>> {
    let run = |lanes: &PrivateKey| lanes.private_operation(inputs).into_iter().map(|result| result.ok().map(|bytes| bytes.to_vec())).collect::<Vec<_>>();
    let mut all = key.lanes.iter().map(run);
    let first = all.next()?;
    assert!(all.all(|others| others == first));
    assert!(key.lanes.iter().all(|lanes| lanes.withheld() == 0));
    Some(first)
}

/// Whether there was an input. The first byte chooses the key.
pub fn run(data: &[u8]) -> bool {
    let Some((choice, data)) = data.split_first() else { return false };
    let key = &KEYS[usize::from(*choice) % KEYS.len()];
    let inputs: Vec<&[u8]> = data.chunks(key.size).take(MOST_INPUTS).collect();
    for (result, input) in results(key, &inputs).into_iter().flatten().zip(&inputs) {
        // What is too short or not below the modulus has no result.
        if let Some(result) = result {
            let back = rsa::hazmat::rsa_encrypt(&key.rsa, &key.number(&result)).expect("below the modulus");
            assert_eq!(key.bytes(&back), *input);
        }
    }
    let encoded: Vec<Vec<u8>> = inputs.iter().map(|input| encode(Hash::Sha256.digest(input).as_bytes(), key.size)).collect();
    let views: Vec<&[u8]> = encoded.iter().map(Vec::as_slice).collect();
    for ((result, input), encoded) in results(key, &views).into_iter().flatten().zip(&inputs).zip(&encoded) {
        assert_eq!(result.expect("every encoded message has a signature"), key.signature(input, encoded));
    }
    !inputs.is_empty()
}
