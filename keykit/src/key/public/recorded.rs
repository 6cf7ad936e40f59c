//! Encryption that can be shown to be right without the private key.
//!
//! RSA encryption is random only in the seed (OAEP) or the filling (PKCS#1 v1.5) that goes into the encoded message; what follows is one
//! power modulo `n`. Whoever keeps that seed can make the encoded message again, and its power must be the ciphertext: then the holder
//! of the private key finds the message in it, and nothing else.
//!
//! [`RsaPublicKey::confirm_all`] looks at many ciphertexts at once: the product of all encoded messages, to the power of `e`, must be the
//! product of all ciphertexts (Bellare, Garay and Rabin, 1998, section 2.1: "screening"). Each counts with a weight of its own, its
//! distance from the end, so that two that changed places are seen too; running products give the weights for one more
//! multiplication each. Two faults would have to cancel each other out to get past that. It finds faults of a machine or of a
//! library, not forgeries: nobody chooses the ciphertexts but this process.
//! Ciphertexts are powers of single messages, and confirmed by powers of products, which are other numbers: a fault that depends on the
//! numbers does not come twice. In the lanes ([`super::batch`]) each lane has a product of its own, over fewer items. What a product does
//! not confirm is confirmed or refused by itself, without lanes.

use rsa::BoxedUint;
use rsa::hazmat::rsa_encrypt;
use rsa::traits::PublicKeyParts;
use zeroize::Zeroizing;

use crypto_bigint::modular::BoxedMontyForm;

use super::RsaPublicKey;
use crate::error::{Error, Result};
use crate::key::{EncryptionScheme, Hash};
use crate::secret::SecretBytes;

/// What was random in one encryption: OAEP's seed, or the filling of PKCS#1 v1.5. As secret as the message.
#[derive(Debug)]
pub(crate) struct Recorded(SecretBytes);

/// A message, what was random, and what came out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encryption<'a> {
    pub(crate) message: &'a [u8],
    pub(crate) recorded: &'a Recorded,
    pub(crate) ciphertext: &'a [u8],
}

impl RsaPublicKey {
    /// As [`Self::encrypt`] of many messages, in order, and keeps what was random. OAEP with one hash only.
    pub(crate) fn encrypt_recorded(&self, scheme: &EncryptionScheme, messages: &[&[u8]]) -> Result<Vec<(Vec<u8>, Recorded)>> {
        let made = messages.iter().map(|message| self.encode_recorded(scheme, message)).collect::<Result<Vec<_>>>()?;
        let encoded: Vec<&[u8]> = made.iter().map(|(encoded, _)| encoded.as_slice()).collect();
        let ciphertexts: Vec<Vec<u8>> = match self.lanes_for(encoded.len()) {
            Some(lanes) => {
                lanes.power(&encoded).into_iter().map(|power| power.map(|power| power.to_vec()).ok_or(Error::Crypto)).collect::<Result<_>>()?
            }
            None => encoded.iter().map(|encoded| self.raise(encoded)).collect::<Result<_>>()?,
        };
        Ok(ciphertexts.into_iter().zip(made).map(|(ciphertext, (_, recorded))| (ciphertext, recorded)).collect())
    }

    /// An encoded message, and what is random in it.
    fn encode_recorded(&self, scheme: &EncryptionScheme, message: &[u8]) -> Result<(Zeroizing<Vec<u8>>, Recorded)> {
        let length = self.modulus_bytes();
        let recorded = Recorded(match scheme {
            EncryptionScheme::Pkcs1v15 => filling(length.checked_sub(message.len() + 3).ok_or(Error::Crypto)?)?,
            EncryptionScheme::Oaep { hash, .. } => SecretBytes::random(hash.output_bytes())?,
        });
        let encoded = encode(scheme, message, &recorded, length).ok_or(Error::Crypto)?;
        Ok((encoded, recorded))
    }

    /// `encoded^e mod n`.
    fn raise(&self, encoded: &[u8]) -> Result<Vec<u8>> {
        let key = self.portable().ok_or(Error::Crypto)?;
        let base = Zeroizing::new(form(key, encoded).ok_or(Error::Crypto)?);
        Ok(power(&base, self.exponent).retrieve().to_be_bytes().into())
    }

    /// Whether each ciphertext is the encryption of its message under this key, with what was recorded. True for none.
    pub(crate) fn confirm_all(&self, scheme: &EncryptionScheme, encryptions: &[Encryption<'_>]) -> bool {
        let Some(lanes) = self.lanes_for(encryptions.len()) else {
            return self.products(scheme, encryptions).is_some_and(|(confirmed, product)| confirmed == product);
        };
        let encode = |item: &Encryption<'_>| encode(scheme, item.message, item.recorded, self.modulus_bytes());
        let Some(encoded) = encryptions.iter().map(encode).collect::<Option<Vec<_>>>() else { return false };
        let pairs: Vec<(&[u8], &[u8])> = encoded.iter().zip(encryptions).map(|(encoded, item)| (encoded.as_slice(), item.ciphertext)).collect();
        lanes.are_powers(&pairs)
    }

    /// The weighted product of the encoded messages to the power of `e`, and that of the ciphertexts: of so many, the first counts with
    /// their number as its power, the last with 1. `None` for what is no encryption.
    fn products(&self, scheme: &EncryptionScheme, encryptions: &[Encryption<'_>]) -> Option<(BoxedUint, BoxedUint)> {
        let key = self.portable()?;
        let one = || BoxedMontyForm::one(key.n_params());
        let (mut running_messages, mut messages) = (Zeroizing::new(one()), Zeroizing::new(one()));
        let (mut running_ciphertexts, mut ciphertexts) = (one(), one());
        for Encryption { message, recorded, ciphertext } in encryptions {
            let encoded = encode(scheme, message, recorded, self.modulus_bytes())?;
            *running_messages = running_messages.mul(&Zeroizing::new(form(key, &encoded)?));
            *messages = messages.mul(&running_messages);
            running_ciphertexts = running_ciphertexts.mul(&form(key, ciphertext)?);
            ciphertexts = ciphertexts.mul(&running_ciphertexts);
        }
        let confirmed = rsa_encrypt(key, &Zeroizing::new(messages.retrieve())).ok()?;
        Some((confirmed, ciphertexts.retrieve()))
    }

    fn portable(&self) -> Option<&rsa::RsaPublicKey> {
        self.prepared.portable(|| self.to_rsa())
    }
}

/// A number below the modulus, from as many bytes as the modulus has.
fn form(key: &rsa::RsaPublicKey, bytes: &[u8]) -> Option<BoxedMontyForm> {
    let number = Zeroizing::new(BoxedUint::from_be_slice(bytes, key.n_params().bits_precision()).ok()?);
    let is_below = bytes.len() == key.size() && *number < **key.n();
    is_below.then(|| BoxedMontyForm::new((*number).clone(), key.n_params()))
}

/// `base^exponent`. The exponent is public, the base is not: what is done with it depends on the exponent alone.
fn power(base: &BoxedMontyForm, exponent: u32) -> BoxedMontyForm {
    let mut result = base.clone();
    for bit in (0..exponent.checked_ilog2().unwrap_or_default()).rev() {
        result = result.square();
        if exponent >> bit & 1 == 1 {
            result = result.mul(base);
        }
    }
    result
}

/// Random bytes without a zero among them.
fn filling(length: usize) -> Result<SecretBytes> {
    SecretBytes::try_init(length, |bytes| {
        let failed = |error: getrandom::Error| Error::Internal(format!("no randomness: {error}"));
        getrandom::fill(bytes).map_err(failed)?;
        for byte in bytes {
            while *byte == 0 {
                getrandom::fill(std::slice::from_mut(byte)).map_err(failed)?;
            }
        }
        Ok(())
    })
}

/// The encoded message, `length` bytes (RFC 8017 §7.1.1 step 2, §7.2.1 step 2). `None` if it does not fit.
fn encode(scheme: &EncryptionScheme, message: &[u8], recorded: &Recorded, length: usize) -> Option<Zeroizing<Vec<u8>>> {
    let mut encoded = Zeroizing::new(vec![0; length]);
    let random = recorded.0.expose();
    match scheme {
        EncryptionScheme::Pkcs1v15 => {
            // 00 02 PS 00 M
            let [_, kind, rest @ ..] = encoded.as_mut_slice() else { return None };
            *kind = 2;
            let (filling, rest) = rest.split_at_mut_checked(random.len()).filter(|_| random.len() >= 8)?;
            filling.copy_from_slice(random);
            let (_, place) = rest.split_first_mut().filter(|(_, place)| place.len() == message.len())?;
            place.copy_from_slice(message);
        }
        EncryptionScheme::Oaep { hash, mgf1, label } if hash == mgf1 && random.len() == hash.output_bytes() => {
            // 00 ‖ seed ‖ hash of the label ‖ 00 … 00 ‖ 01 ‖ M
            let (_, rest) = encoded.split_first_mut()?;
            let (seed, block) = rest.split_at_mut_checked(random.len())?;
            seed.copy_from_slice(random);
            let (label_hash, rest) = block.split_at_mut_checked(random.len())?;
            label_hash.copy_from_slice(hash.digest(label).as_bytes());
            let (filling, place) = rest.split_at_mut_checked(rest.len().checked_sub(message.len())?)?;
            *filling.last_mut()? = 1;
            place.copy_from_slice(message);
            mask(block, seed, *hash);
            mask(seed, block, *hash);
        }
        EncryptionScheme::Oaep { .. } => return None,
    }
    Some(encoded)
}

/// XORs MGF1 of `seed` (RFC 8017 §B.2.1) onto `target`.
fn mask(target: &mut [u8], seed: &[u8], hash: Hash) {
    let mut input = Zeroizing::new(Vec::with_capacity(seed.len() + 4));
    for (counter, chunk) in (0_u32..).zip(target.chunks_mut(hash.output_bytes())) {
        input.clear();
        input.extend_from_slice(seed);
        input.extend_from_slice(&counter.to_be_bytes());
        chunk.iter_mut().zip(hash.digest(&input).as_bytes()).for_each(|(byte, mask)| *byte ^= mask);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::RsaSecretKey;

    /// 1024 bits with exponents 3 and 65537, and 2048 bits.
    pub(in crate::key::public) fn keys() -> Vec<RsaSecretKey> {
        ["keys/rsa-1024-e3.pem", "keys/rsa-1024-e65537.pem", "keys/xrml-2048.pem"]
            .map(|path| std::fs::read_to_string(format!("{}/../vectors/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap())
            .map(|pem| RsaSecretKey::from_pem(&pem).unwrap())
            .into()
    }

    fn schemes() -> [EncryptionScheme; 3] {
        let labelled = EncryptionScheme::Oaep { hash: Hash::Sha256, mgf1: Hash::Sha256, label: b"a label".to_vec() };
        [EncryptionScheme::Pkcs1v15, EncryptionScheme::oaep(Hash::Sha1), labelled]
    }

    /// `rsa` opens, with padding code of its own.
    fn open(key: &RsaSecretKey, scheme: &EncryptionScheme, ciphertext: &[u8]) -> Option<Vec<u8>> {
        let key = key.to_rsa().unwrap();
        match scheme {
            EncryptionScheme::Pkcs1v15 => key.decrypt(rsa::Pkcs1v15Encrypt, ciphertext),
            EncryptionScheme::Oaep { hash: Hash::Sha1, .. } => key.decrypt(rsa::Oaep::<sha1::Sha1>::new(), ciphertext),
            EncryptionScheme::Oaep { .. } => key.decrypt(rsa::Oaep::<sha2::Sha256>::new_with_label(*b"a label"), ciphertext),
        }
        .ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn what_was_recorded_opens_elsewhere_and_is_confirmed(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5)) {
            for key in keys() {
                for scheme in schemes() {
                    let made = sealed(&key, &scheme, &messages);
                    for (message, (ciphertext, _)) in messages.iter().zip(&made) {
                        prop_assert_eq!(open(&key, &scheme, ciphertext), Some(message.clone()));
                    }
                    prop_assert!(key.public().confirm_all(&scheme, &encryptions(&messages, &made)));
                }
            }
        }
    }

    fn sealed(key: &RsaSecretKey, scheme: &EncryptionScheme, messages: &[Vec<u8>]) -> Vec<(Vec<u8>, Recorded)> {
        key.public().encrypt_recorded(scheme, &messages.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap()
    }

    fn encryptions<'a>(messages: &'a [Vec<u8>], made: &'a [(Vec<u8>, Recorded)]) -> Vec<Encryption<'a>> {
        let both = messages.iter().zip(made);
        both.map(|(message, (ciphertext, recorded))| Encryption { message, recorded, ciphertext }).collect()
    }

    #[test]
    fn a_fault_in_any_part_is_seen() {
        for key in keys() {
            for scheme in schemes() {
                let messages = [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()];
                let mut made = sealed(&key, &scheme, &messages);
                for position in 0..key.public().modulus_bytes() {
                    made[1].0[position] ^= 1;
                    assert!(!key.public().confirm_all(&scheme, &encryptions(&messages, &made)), "ciphertext {position}");
                    made[1].0[position] ^= 1;
                }
                let other = [b"one".to_vec(), b"tow".to_vec(), b"three".to_vec()];
                assert!(!key.public().confirm_all(&scheme, &encryptions(&other, &made)));
                made[2].1 = Recorded(SecretBytes::copy_of(&made[1].1.0.expose().iter().map(|byte| byte ^ 1).collect::<Vec<_>>()));
                assert!(!key.public().confirm_all(&scheme, &encryptions(&messages, &made)));
            }
        }
    }

    #[test]
    fn two_that_changed_places_are_seen() {
        for key in keys() {
            let messages = [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()];
            let made = sealed(&key, &EncryptionScheme::Pkcs1v15, &messages);
            for (one, other) in [(0, 1), (1, 2), (0, 2)] {
                let mut swapped = encryptions(&messages, &made);
                assert!(key.public().confirm_all(&EncryptionScheme::Pkcs1v15, &swapped));
                (swapped[one].ciphertext, swapped[other].ciphertext) = (swapped[other].ciphertext, swapped[one].ciphertext);
                assert!(!key.public().confirm_all(&EncryptionScheme::Pkcs1v15, &swapped));
            }
        }
    }

    /// A number and the number plus `n` have one residue; only one of them is a ciphertext.
    #[test]
    fn a_ciphertext_is_a_number_below_the_modulus() {
        let key = &keys()[0];
        let (scheme, message) = (EncryptionScheme::Pkcs1v15, vec![b"m".to_vec()]);
        let n = BoxedUint::from_be_slice_vartime(key.public().modulus());
        let (above, recorded) = loop {
            let (ciphertext, recorded) = sealed(key, &scheme, &message).remove(0);
            let above = (BoxedUint::from_be_slice(&ciphertext, 1088).unwrap() + &n).to_be_bytes();
            if above[..8] == [0; 8] {
                break (above[8..].to_vec(), recorded);
            }
        };
        let made = [(above, recorded)];
        assert!(!key.public().confirm_all(&scheme, &encryptions(&message, &made)));
        let longer = [([&[0], &made[0].0[..]].concat(), Recorded(SecretBytes::copy_of(made[0].1.0.expose())))];
        assert!(!key.public().confirm_all(&scheme, &encryptions(&message, &longer)));
    }

    #[test]
    fn messages_that_do_not_fit_are_refused() {
        let key = &keys()[0];
        assert!(key.public().encrypt_recorded(&EncryptionScheme::Pkcs1v15, &[&[1; 117]]).is_ok());
        assert!(key.public().encrypt_recorded(&EncryptionScheme::Pkcs1v15, &[&[1; 118]]).is_err());
        assert!(key.public().encrypt_recorded(&EncryptionScheme::Pkcs1v15, &[&[1; 200]]).is_err());
        assert!(key.public().encrypt_recorded(&EncryptionScheme::oaep(Hash::Sha1), &[&[1; 86]]).is_ok());
        assert!(key.public().encrypt_recorded(&EncryptionScheme::oaep(Hash::Sha1), &[&[1; 87]]).is_err());
        assert!(filling(5000).unwrap().expose().iter().all(|byte| *byte != 0));
    }
}
