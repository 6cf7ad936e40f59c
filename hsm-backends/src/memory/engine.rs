//! A key that is ready for work: parsed once, with the engine that fits.

use std::fmt;
use std::sync::OnceLock;

use keykit::key::{Digest, EncryptionScheme, RsaSecretKey};
use keykit::secret::SecretBytes;
use keykit::store::DecryptionFailed;
use keykit::{Error, Result};

use super::aws_lc::{self, AwsLc};
use super::lanes::{self, Lanes};
use super::parallel;
use super::portable::Portable;

/// A secret key and its prepared engines.
pub(crate) struct Engine {
    key: RsaSecretKey,
    aws_lc: Option<AwsLc>,
    /// Made at once for small keys, on first need for others.
    portable: OnceLock<Portable>,
    /// Made with the first batch; `None` where the processor has no lanes for keys of this size.
    lanes: OnceLock<Option<Lanes>>,
}

impl Engine {
    /// Prepares a key.
    pub(crate) fn new(key: RsaSecretKey) -> Result<Self> {
        let engine = if key.public().modulus_bits() >= aws_lc::MIN_MODULUS_BITS {
            Self { aws_lc: Some(AwsLc::new(&key)?), portable: OnceLock::new(), lanes: OnceLock::new(), key }
        } else {
            Self { aws_lc: None, portable: OnceLock::from(Portable::new(&key)?), lanes: OnceLock::new(), key }
        };
        Ok(engine)
    }

    /// The key itself.
    pub(crate) fn key(&self) -> &RsaSecretKey {
        &self.key
    }

    /// Signs digests; none is returned if one fails or does not verify.
    pub(crate) fn sign(&self, digests: &[Digest]) -> Result<Vec<Vec<u8>>> {
        match self.lanes_for(digests.len()) {
            Some(lanes) => lanes.map(digests, |batch| lanes.sign(batch), |digest| self.sign_one(digest)).into_iter().collect(),
            None => parallel::map(digests, |digest| self.sign_one(digest)).into_iter().collect(),
        }
    }

    /// Decrypts ciphertexts, all of them before it returns.
    pub(crate) fn decrypt(&self, scheme: &EncryptionScheme, ciphertexts: &[&[u8]]) -> Result<Vec<Result<SecretBytes, DecryptionFailed>>> {
        let portable = if self.aws_lc.is_some() && AwsLc::can_decrypt(scheme) { None } else { Some(self.portable()?) };
        let one = |ciphertext: &&[u8]| {
            let opened = match (&self.aws_lc, portable) {
                (_, Some(engine)) => engine.decrypt(scheme, ciphertext),
                (Some(engine), None) => engine.decrypt(scheme, ciphertext),
                (None, None) => None,
            };
            opened.ok_or(DecryptionFailed)
        };
        Ok(match self.lanes_for(ciphertexts.len()) {
            Some(lanes) => lanes.map(ciphertexts, |batch| lanes.decrypt(scheme, batch), one),
            None => parallel::map(ciphertexts, one),
        })
    }

    /// Results that the lanes withheld because their check failed; each was computed again by a library.
    pub(crate) fn withheld(&self) -> u64 {
        self.lanes.get().and_then(Option::as_ref).map_or(0, Lanes::withheld)
    }

    /// The lanes, if the processor has some and the batch is worth them.
    fn lanes_for(&self, items: usize) -> Option<&Lanes> {
        (items >= lanes::MIN_ITEMS).then(|| self.lanes.get_or_init(|| Lanes::new(&self.key)).as_ref()).flatten()
    }

    fn sign_one(&self, digest: &Digest) -> Result<Vec<u8>> {
        let signature = match &self.aws_lc {
            Some(engine) if AwsLc::can_sign(digest.hash()) => engine.sign(digest)?,
            _ => self.portable()?.sign(digest)?,
        };
        // A signature with a fault in one of the two primes gives the key away (Boneh, DeMillo and Lipton, 1997).
        if self.key.public().verify(digest, &signature) { Ok(signature) } else { Err(Error::Crypto) }
    }

    fn portable(&self) -> Result<&Portable> {
        if let Some(engine) = self.portable.get() {
            return Ok(engine);
        }
        let engine = Portable::new(&self.key)?;
        Ok(self.portable.get_or_init(|| engine))
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Engine({:?}, {})", self.key, if self.aws_lc.is_some() { "aws-lc" } else { "rsa" })
    }
}

#[cfg(test)]
mod tests {
    use keykit::key::Hash;
    use proptest::prelude::*;

    use super::super::generate::generate;
    use super::*;

    /// The two engines of one key, made once: they must agree on everything.
    fn engines() -> &'static (AwsLc, Portable, RsaSecretKey) {
        static ENGINES: OnceLock<(AwsLc, Portable, RsaSecretKey)> = OnceLock::new();
        ENGINES.get_or_init(|| {
            let key = generate(2048, "test").unwrap();
            (AwsLc::new(&key).unwrap(), Portable::new(&key).unwrap(), key)
        })
    }

    fn schemes() -> Vec<EncryptionScheme> {
        let oaep = [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512].map(EncryptionScheme::oaep);
        let labelled = EncryptionScheme::Oaep { hash: Hash::Sha256, mgf1: Hash::Sha256, label: b"label".to_vec() };
        [EncryptionScheme::Pkcs1v15, labelled].into_iter().chain(oaep).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn both_engines_sign_alike(message: Vec<u8>) {
            let (aws_lc, portable, key) = engines();
            for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
                let digest = hash.digest(&message);
                let signature = aws_lc.sign(&digest).unwrap();
                prop_assert_eq!(&signature, &portable.sign(&digest).unwrap());
                prop_assert!(key.public().verify(&digest, &signature));
            }
        }

        #[test]
        fn both_engines_open_what_either_is_sent(message in prop::collection::vec(any::<u8>(), 0..100)) {
            let (aws_lc, portable, key) = engines();
            let independent = rsa::RsaPublicKey::from(&key.to_rsa().unwrap());
            for scheme in schemes() {
                let mut sealed = vec![key.public().encrypt(&scheme, &message).unwrap()];
                if scheme == EncryptionScheme::Pkcs1v15 {
                    let mut rng = rsa::rand_core::UnwrapErr(getrandom::SysRng);
                    sealed.push(independent.encrypt(&mut rng, rsa::Pkcs1v15Encrypt, &message).unwrap());
                }
                for ciphertext in &sealed {
                    let opened = aws_lc.decrypt(&scheme, ciphertext).unwrap();
                    prop_assert_eq!(opened.expose(), &message);
                    let opened = portable.decrypt(&scheme, ciphertext).unwrap();
                    prop_assert_eq!(opened.expose(), &message);
                }
            }
        }

        #[test]
        fn both_engines_judge_any_ciphertext_alike(ciphertext in prop::collection::vec(any::<u8>(), 255..258)) {
            let (aws_lc, portable, _) = engines();
            for scheme in schemes() {
                prop_assert_eq!(aws_lc.decrypt(&scheme, &ciphertext), portable.decrypt(&scheme, &ciphertext));
            }
        }
    }

    #[test]
    fn a_ciphertext_of_the_wrong_length_or_above_the_modulus_fails_alone() {
        for bits in [1024, 2048] {
            let engine = Engine::new(generate(bits, "test").unwrap()).unwrap();
            let good = engine.key().public().encrypt(&EncryptionScheme::Pkcs1v15, b"content key").unwrap();
            let long = [&[0], good.as_slice()].concat();
            let above = vec![0xff; bits / 8];
            let batch = [&good, &good[1..], &long, &above, &[], &good];
            let results = engine.decrypt(&EncryptionScheme::Pkcs1v15, &batch).unwrap();
            let opened: Vec<bool> = results.iter().map(Result::is_ok).collect();
            assert_eq!(opened, [true, false, false, false, false, true], "{bits}");
        }
    }

    #[test]
    fn modes_and_odd_schemes_work_through_the_engine() {
        for bits in [1024, 2048] {
            let engine = Engine::new(generate(bits, "test").unwrap()).unwrap();
            for hash in Hash::ALL {
                let digest = hash.digest(b"licence");
                let signatures = engine.sign(&[digest; 9]).unwrap();
                assert_eq!(signatures.len(), 9);
                assert!(signatures.iter().all(|signature| engine.key().public().verify(&digest, signature)), "{bits} {hash}");
            }
        }
        assert!(format!("{:?}", Engine::new(generate(1024, "test").unwrap()).unwrap()).ends_with("rsa)"));
    }
}
