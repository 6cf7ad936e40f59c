//! A key that is ready for work: parsed once, with the engine that fits.

use std::fmt;
use std::sync::OnceLock;

use keykit::Result;
use keykit::key::{Digest, EncryptionScheme, RsaSecretKey};
use keykit::secret::SecretBytes;
use keykit::store::DecryptionFailed;

use super::aws_lc::{self, AwsLc};
use super::lanes::{self, Lanes};
use super::parallel;
use super::portable::Portable;

/// A thread is not worth its start for fewer operations of a library, of a fifth of a millisecond or more each.
const FEWEST_ALONE: usize = 2;

/// What runs the private operations of a store of our own. The results are the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum EngineChoice {
    /// What is fastest on this processor.
    #[default]
    Fastest,
    /// Lanes of AVX-512 IFMA wherever lanes are worth it; the libraries on a processor without them.
    Ifma,
    /// Lanes of AVX2 wherever lanes are worth it; the libraries on a processor without them.
    Avx2,
    /// The libraries alone, one operation after the other.
    Libraries,
}

/// A secret key and its prepared engines.
pub(crate) struct Engine {
    key: RsaSecretKey,
    choice: EngineChoice,
    aws_lc: Option<AwsLc>,
    /// Made at once for small keys, on first need for others.
    portable: OnceLock<Portable>,
    /// Made with the first batch; `None` where the processor has no lanes for keys of this size.
    lanes: OnceLock<Option<Lanes>>,
}

impl Engine {
    /// Prepares a key.
    pub(crate) fn new(key: RsaSecretKey, choice: EngineChoice) -> Result<Self> {
        let large = key.public().modulus_bits() >= aws_lc::MIN_MODULUS_BITS;
        let aws_lc = if large { Some(AwsLc::new(&key)?) } else { None };
        let portable = if large { OnceLock::new() } else { OnceLock::from(Portable::new(&key)?) };
        Ok(Self { key, choice, aws_lc, portable, lanes: OnceLock::new() })
    }

    /// The key itself.
    pub(crate) fn key(&self) -> &RsaSecretKey {
        &self.key
    }

    /// Signs digests; none is returned if one fails.
    pub(crate) fn sign(&self, digests: &[Digest]) -> Result<Vec<Vec<u8>>> {
        let library = self.aws_lc.is_some() && digests.iter().all(|digest| AwsLc::can_sign(digest.hash()));
        match self.lanes_for(digests.len(), library) {
            Some((lanes, fewest)) => lanes.map(digests, fewest, |batch| lanes.sign(batch), |digest| self.sign_one(digest)).into_iter().collect(),
            None => parallel::map(digests, FEWEST_ALONE, |digest| self.sign_one(digest)).into_iter().collect(),
        }
    }

    /// Decrypts ciphertexts, all of them before it returns.
    pub(crate) fn decrypt(&self, scheme: &EncryptionScheme, ciphertexts: &[&[u8]]) -> Result<Vec<Result<SecretBytes, DecryptionFailed>>> {
        let library = self.aws_lc.is_some() && AwsLc::can_decrypt(scheme);
        let portable = if library { None } else { Some(self.portable()?) };
        let one = |ciphertext: &&[u8]| {
            let opened = match (&self.aws_lc, portable) {
                (_, Some(engine)) => engine.decrypt(scheme, ciphertext),
                (Some(engine), None) => engine.decrypt(scheme, ciphertext),
                (None, None) => None,
            };
            opened.ok_or(DecryptionFailed)
        };
        Ok(match self.lanes_for(ciphertexts.len(), library) {
            Some((lanes, fewest)) => lanes.map(ciphertexts, fewest, |batch| lanes.decrypt(scheme, batch), one),
            None => parallel::map(ciphertexts, FEWEST_ALONE, one),
        })
    }

    /// Results that the lanes withheld because their check failed; each was computed again by a library.
    pub(crate) fn withheld(&self) -> u64 {
        self.lanes.get().and_then(Option::as_ref).map_or(0, Lanes::withheld)
    }

    /// The lanes, and the fewest items that are worth them beside a fast `library` or without one; `None` if `items` are fewer, or
    /// if there are no lanes.
    fn lanes_for(&self, items: usize, library: bool) -> Option<(&Lanes, usize)> {
        let least = if library { lanes::FEWEST_ITEMS } else { 1 };
        if items < least || self.choice == EngineChoice::Libraries {
            return None;
        }
        let lanes = self.lanes.get_or_init(|| Lanes::new(&self.key, self.choice)).as_ref()?;
        let fewest = if library { lanes.fewest_items() } else { 1 };
        (items >= fewest).then_some((lanes, fewest))
    }

    /// The lanes, made now if there are some.
    #[cfg(test)]
    pub(super) fn all_lanes(&self) -> Option<&Lanes> {
        self.lanes.get_or_init(|| Lanes::new(&self.key, self.choice)).as_ref()
    }

    fn sign_one(&self, digest: &Digest) -> Result<Vec<u8>> {
        // Both libraries check their result with the public exponent.
        match &self.aws_lc {
            Some(engine) if AwsLc::can_sign(digest.hash()) => engine.sign(digest),
            _ => self.portable()?.sign(digest),
        }
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
            let engine = Engine::new(generate(bits, "test").unwrap(), EngineChoice::Fastest).unwrap();
            let good = engine.key().public().encrypt(&EncryptionScheme::Pkcs1v15, b"content key").unwrap();
            let long = [&[0], good.as_slice()].concat();
            let above = vec![0xff; bits / 8];
            let batch = [&good, &good[1..], &long, &above, &[], &good];
            let results = engine.decrypt(&EncryptionScheme::Pkcs1v15, &batch).unwrap();
            let opened: Vec<bool> = results.iter().map(Result::is_ok).collect();
            assert_eq!(opened, [true, false, false, false, false, true], "{bits}");
        }
    }

    /// Whatever engine is chosen: the same signatures and plaintexts, in batches and alone.
    #[test]
    fn the_choice_of_engine_changes_nothing_but_speed() {
        for bits in [1024, 2048] {
            let made = generate(bits, "test").unwrap();
            let der = made.to_pkcs1_der();
            let [fastest, ifma, avx2, libraries] = [EngineChoice::Fastest, EngineChoice::Ifma, EngineChoice::Avx2, EngineChoice::Libraries]
                .map(|choice| Engine::new(RsaSecretKey::from_pkcs1_der(der.expose()).unwrap(), choice).unwrap());
            for hash in [Hash::Sha1, Hash::Sha256] {
                let digests: Vec<Digest> = (0..17).map(|number: u8| hash.digest(&[number])).collect();
                let expected = libraries.sign(&digests).unwrap();
                let sealed: Vec<Vec<u8>> =
                    (0..17).map(|number: u8| made.public().encrypt(&EncryptionScheme::oaep(hash), &[number; 16]).unwrap()).collect();
                let ciphertexts: Vec<&[u8]> = sealed.iter().map(Vec::as_slice).collect();
                for engine in [&fastest, &ifma, &avx2] {
                    for count in [1, 2, 5, 17] {
                        assert_eq!(engine.sign(&digests[..count]).unwrap(), expected[..count]);
                        let opened = engine.decrypt(&EncryptionScheme::oaep(hash), &ciphertexts[..count]).unwrap();
                        assert!(opened.iter().zip(0_u8..).all(|(plaintext, number)| plaintext.as_ref().unwrap().expose() == [number; 16]));
                    }
                }
            }
            assert!(libraries.lanes.get().is_none());
            for (engine, kernel) in [(&ifma, keykit_rsa_lanes::Engine::Ifma), (&avx2, keykit_rsa_lanes::Engine::Avx2)] {
                assert_eq!(engine.lanes.get().unwrap().as_ref().map(Lanes::kernel), kernel.available().then_some(kernel));
            }
        }
    }

    #[test]
    fn modes_and_odd_schemes_work_through_the_engine() {
        for bits in [1024, 2048] {
            let engine = Engine::new(generate(bits, "test").unwrap(), EngineChoice::Fastest).unwrap();
            for hash in Hash::ALL {
                let digest = hash.digest(b"licence");
                let signatures = engine.sign(&[digest; 9]).unwrap();
                assert_eq!(signatures.len(), 9);
                assert!(signatures.iter().all(|signature| engine.key().public().verify(&digest, signature)), "{bits} {hash}");
            }
        }
        assert!(format!("{:?}", Engine::new(generate(1024, "test").unwrap(), EngineChoice::Fastest).unwrap()).ends_with("rsa)"));
    }
}
