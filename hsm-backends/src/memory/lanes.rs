//! Batches on the lanes of wide registers: several private operations of one key at once.
//!
//! The lanes give raw results that were checked with the public exponent; the paddings are those of [`super::padding`]. What is
//! left over of a batch, and what was withheld because its check failed, is done one by one by the library.

use keykit::key::{Digest, EncryptionScheme, RsaSecretKey};
use keykit::secret::SecretBytes;
use keykit::store::DecryptionFailed;
use keykit::{Error, Result};
use keykit_rsa_lanes::{Engine as Kernel, PrivateKey, SecretOutput};

use super::engine::EngineChoice;
use super::{padding, parallel};

/// No kernel is worth its while for fewer items, where a fast library does them too.
pub(super) const FEWEST_ITEMS: usize = 2;

/// A key that is ready for the lanes of this processor.
#[derive(Debug)]
pub(super) struct Lanes(PrivateKey);

impl Lanes {
    /// `None` where the processor has no such lanes for keys of this size.
    pub(super) fn new(key: &RsaSecretKey, choice: EngineChoice) -> Option<Self> {
        let made = key.with_components(|key| Ok(PrivateKey::new(key.n, key.e, key.p, key.q, key.dp, key.dq, key.qinv)));
        let fastest = made.ok().flatten()?;
        match choice {
            EngineChoice::Fastest => Some(fastest),
            EngineChoice::Ifma => fastest.with_engine(Kernel::Ifma),
            EngineChoice::Avx2 => fastest.with_engine(Kernel::Avx2),
            EngineChoice::Libraries => None,
        }
        .map(Self)
    }

    /// The fewest items that take less time together than one by one in aws-lc, which has code for IFMA of its own: half of the lanes take
    /// the time that one takes. Reckoned from the rates of full batches on Zen 4; measured as such on Zen 5 only, with 2048 bits.
    pub(super) fn fewest_items(&self) -> usize {
        match self.0.engine() {
            Kernel::Ifma => 3,
            Kernel::Avx2 => FEWEST_ITEMS,
        }
    }

    /// What the lanes run on.
    #[cfg(test)]
    pub(super) fn kernel(&self) -> Kernel {
        self.0.engine()
    }

    /// `items` in order: batches of `fewest` and more by `together`, which leaves out what was withheld; that and the rest by `alone`.
    pub(super) fn map<T: Sync, R: Send>(
        &self,
        items: &[T],
        fewest: usize,
        together: impl Fn(&[T]) -> Vec<Option<R>> + Sync,
        alone: impl Fn(&T) -> R + Sync,
    ) -> Vec<R> {
        // Half of the lanes take half of the time: what fits them all is shared by two processors.
        let lanes = self.0.lanes();
        let batches: Vec<&[T]> = items.chunks(if items.len() > lanes { lanes } else { lanes / 2 }).collect();
        let done = parallel::map(&batches, 1, |batch| {
            if batch.len() < fewest {
                return batch.iter().map(&alone).collect();
            }
            let results = together(batch);
            batch.iter().zip(results).map(|(item, result)| result.unwrap_or_else(|| alone(item))).collect::<Vec<R>>()
        });
        done.into_iter().flatten().collect()
    }

    /// Signatures, each checked; `None` for one that was withheld.
    pub(super) fn sign(&self, digests: &[Digest]) -> Vec<Option<Result<Vec<u8>>>> {
        let encoded: Option<Vec<Vec<u8>>> = digests.iter().map(|digest| padding::encode_signature(digest, self.0.size())).collect();
        // A digest that does not fit the key is an error in either engine.
        let Some(encoded) = encoded else { return digests.iter().map(|_| Some(Err(Error::Crypto))).collect() };
        let encoded: Vec<&[u8]> = encoded.iter().map(Vec::as_slice).collect();
        self.raw(&encoded).map(|result| result.map(|signature| Ok(signature.to_vec()))).collect()
    }

    /// Plaintexts, or that there is none; `None` for one that was withheld, and for what is no ciphertext of this key.
    pub(super) fn decrypt(&self, scheme: &EncryptionScheme, ciphertexts: &[&[u8]]) -> Vec<Option<Result<SecretBytes, DecryptionFailed>>> {
        let open = |encoded: SecretOutput| match scheme {
            EncryptionScheme::Pkcs1v15 => padding::decode_pkcs1_v15(&encoded),
            EncryptionScheme::Oaep { hash, mgf1, label } => padding::decode_oaep(encoded, *hash, *mgf1, label),
            _ => None,
        };
        self.raw(ciphertexts).map(|result| result.map(|encoded| open(encoded).ok_or(DecryptionFailed))).collect()
    }

    /// Results that were withheld because their check failed.
    pub(super) fn withheld(&self) -> u64 {
        self.0.withheld()
    }

    /// Damages a result of the next batch.
    #[cfg(test)]
    pub(super) fn inject_fault(&self, point: keykit_rsa_lanes::FaultPoint, lane: usize, bit: usize) {
        self.0.inject_fault(point, lane % self.0.lanes(), bit);
    }

    fn raw(&self, inputs: &[&[u8]]) -> impl Iterator<Item = Option<SecretOutput>> {
        self.0.private_operation(inputs).into_iter().map(Result::ok)
    }
}

#[cfg(test)]
mod tests {
    use keykit::key::Hash;
    use keykit_rsa_lanes::FaultPoint;

    use super::super::engine::Engine;
    use super::super::generate::generate;
    use super::*;

    fn lanes(bits: usize) -> Option<(Engine, Lanes)> {
        let key = generate(bits, "test").unwrap();
        let Some(lanes) = Lanes::new(&key, EngineChoice::Fastest) else {
            keykit_tests::child::say_skipped("memory::lanes", "this processor has no lanes");
            return None;
        };
        Some((Engine::new(key, EngineChoice::Fastest).unwrap(), lanes))
    }

    /// Batches of every size give what single operations of the libraries give.
    #[test]
    fn batches_equal_single_operations() {
        for bits in [1024, 2048] {
            let Some((engine, _)) = lanes(bits) else { return };
            let library = Engine::new(RsaSecretKey::from_pkcs1_der(engine.key().to_pkcs1_der().expose()).unwrap(), EngineChoice::Libraries).unwrap();
            let digests: Vec<Digest> = (0..37).map(|n: u8| if n.is_multiple_of(2) { Hash::Sha256 } else { Hash::Sha1 }.digest(&[n])).collect();
            let single: Vec<Vec<u8>> = digests.iter().map(|digest| library.sign(&[*digest]).unwrap().remove(0)).collect();
            for count in [1, 2, 3, 4, 7, 8, 9, 12, 16, 37] {
                assert_eq!(engine.sign(&digests[..count]).unwrap(), single[..count], "{bits} bits, {count}");
            }
            for scheme in [EncryptionScheme::Pkcs1v15, EncryptionScheme::oaep(Hash::Sha1)] {
                let sealed: Vec<Vec<u8>> = (0..11).map(|n: u8| engine.key().public().encrypt(&scheme, &[n; 16]).unwrap()).collect();
                let mut ciphertexts: Vec<&[u8]> = sealed.iter().map(Vec::as_slice).collect();
                // One that does not open, one of the wrong length, one above the modulus.
                let (bad, short, above) = (vec![1; bits / 8], vec![1; 7], vec![0xff; bits / 8]);
                ciphertexts.splice(5..5, [&bad[..], &short, &above]);
                let together = engine.decrypt(&scheme, &ciphertexts).unwrap();
                let alone: Vec<_> = ciphertexts.iter().map(|ciphertext| library.decrypt(&scheme, &[ciphertext]).unwrap().remove(0)).collect();
                assert_eq!(together, alone, "{bits} bits, {scheme}");
                assert_eq!(together.iter().filter(|result| result.is_ok()).count(), 11);
            }
        }
    }

    /// A fault in one prime is never seen outside: the result is withheld, counted, and computed again.
    #[test]
    fn a_wrong_result_is_withheld_and_computed_again() {
        let Some((engine, lanes)) = lanes(2048) else { return };
        let digests: Vec<Digest> = (0..8).map(|n: u8| Hash::Sha256.digest(&[n])).collect();
        let expected = engine.sign(&digests).unwrap();
        for (lane, point) in [FaultPoint::PowerP, FaultPoint::PowerQ, FaultPoint::Blinding, FaultPoint::Recombined].into_iter().enumerate() {
            lanes.0.inject_fault(point, lane % lanes.0.lanes(), 13);
            let alone = |digest: &Digest| engine.sign(&[*digest]).map(|mut signatures| signatures.remove(0));
            let signatures: Result<Vec<Vec<u8>>> = lanes.map(&digests, 1, |batch| lanes.sign(batch), alone).into_iter().collect();
            assert_eq!(signatures.unwrap(), expected, "{point:?}");
        }
        assert!(lanes.withheld() > 0);
    }
}
