//! Enabling bits: no input panics, and whatever opens is a key of a possible size.
//!
//! The store here does no RSA: the plaintext of the RSA step is the input's. The first byte of the input says whether the
//! rest under the session key comes as ciphertext, or in the clear to be encrypted here, which lets the fuzzer reach the
//! fields behind AES.

use std::sync::LazyLock;

use aes::Aes128;
use aes::cipher::array::Array;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use keykit::Result;
use keykit::key::{Digest, EncryptionScheme, KeyId, RsaPublicKey};
use keykit::licence::{SealAlgorithm, open};
use keykit::secret::SecretBytes;
use keykit::store::protection::Assessment;
use keykit::store::{DecryptionFailed, KeyAttributes, KeyRecord, KeyStore, StoreIdentity};

const MODULUS_BYTES: usize = 128;
const SESSION_KEY_MESSAGE: usize = 28;

/// Gives back the end of the ciphertext, as long as its first byte says.
#[derive(Debug)]
struct Echo {
    identity: StoreIdentity,
    public: RsaPublicKey,
}

impl KeyStore for Echo {
    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    fn keys(&self) -> Result<Vec<KeyRecord>> {
        Ok(vec![KeyRecord { public: self.public.clone(), attributes: KeyAttributes::default(), protection: Assessment::software() }])
    }

    fn sign(&self, _: &KeyId, _: &[Digest]) -> Result<Vec<Vec<u8>>> {
        Err(self.unsupported("sign"))
    }

    fn decrypt(&self, _: &KeyId, _: &EncryptionScheme, items: &[&[u8]]) -> Result<Vec<Result<SecretBytes, DecryptionFailed>>> {
        let echo = |item: &[u8]| {
            let length = usize::from(*item.first().ok_or(DecryptionFailed)?);
            item.len().checked_sub(length).and_then(|start| item.get(start..)).map(SecretBytes::copy_of).ok_or(DecryptionFailed)
        };
        Ok(items.iter().map(|item| echo(item)).collect())
    }
}

static STORE: LazyLock<Echo> = LazyLock::new(|| Echo {
    identity: StoreIdentity {
        uri: "echo:".into(),
        manufacturer: String::new(),
        model: String::new(),
        serial: String::new(),
        firmware: String::new(),
        label: String::new(),
    },
    public: RsaPublicKey::from_components(&[0xff; MODULUS_BYTES], 65537).expect("an odd number of 1024 bits"),
});

/// Whether the input was read.
pub fn run(data: &[u8]) -> bool {
    let Some((kind, rest)) = data.split_first() else { return false };
    let bytes = if kind % 2 == 0 { rest.to_vec() } else { in_the_clear(rest) };
    let mut was_opened = false;
    for algorithm in [SealAlgorithm::SealedKey, SealAlgorithm::SealedKeyV2] {
        match open(&*STORE, &STORE.public.id(), algorithm, &bytes) {
            Ok(opened) => {
                assert!(matches!(opened.key.bits(), 128 | 256) && matches!(opened.bound_hash.as_bytes().len(), 20 | 32));
                was_opened = true;
            }
            Err(error) => assert!(matches!(error.code(), "malformed" | "refused" | "crypto"), "{error}"),
        }
    }
    was_opened
}

/// A sound RSA block with a fixed session key, and `tail` encrypted under that.
fn in_the_clear(tail: &[u8]) -> Vec<u8> {
    let session_key = [7; 16];
    let mut bytes = vec![0; MODULUS_BYTES - SESSION_KEY_MESSAGE];
    bytes[0] = 28;
    bytes.extend_from_slice(&[28, 0, 0xff, 0xff, 16, 0, 16, 0, 2, 0x10, 0, 0]);
    bytes.extend_from_slice(&session_key);
    let mut tail = tail.to_vec();
    tail.resize(tail.len().next_multiple_of(16), 0);
    Aes128::new(&session_key.into()).encrypt_blocks(Array::slice_as_chunks_mut(&mut tail).0);
    bytes.extend_from_slice(&tail);
    bytes
}
