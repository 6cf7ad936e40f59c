//! Many public operations of one key at once, in the lanes of wide registers where the processor has them.
//!
//! A lane that computes wrongly condemns nothing: what does not verify is verified again by the library, alone. What it finds right is
//! right: it must give the one block that the digest is encoded as.

use super::RsaPublicKey;
use crate::key::Digest;

/// For fewer operations the library is as fast.
const FEWEST: usize = 2;

impl RsaPublicKey {
    /// [`Self::verify`] of many signatures, in order.
    pub(crate) fn verify_all(&self, items: &[(Digest, &[u8])]) -> Vec<bool> {
        let alone = |(digest, signature): &(Digest, &[u8])| self.verify(digest, signature);
        let Some(lanes) = self.lanes_for(items.len()) else { return items.iter().map(alone).collect() };
        let signatures: Vec<&[u8]> = items.iter().map(|(_, signature)| *signature).collect();
        let encoded = lanes.power(&signatures);
        let is_right = |item: &(Digest, &[u8]), block: Option<_>| block.is_some_and(|block: keykit_rsa_lanes::SecretOutput| encodes(&block, &item.0));
        items.iter().zip(encoded).map(|(item, block)| is_right(item, block) || alone(item)).collect()
    }

    /// The lanes, if the processor has some for this key and so many operations are worth them.
    pub(super) fn lanes_for(&self, operations: usize) -> Option<&keykit_rsa_lanes::PublicKey> {
        (operations >= FEWEST).then(|| self.prepared.lanes(&self.modulus, self.exponent))?
    }
}

/// Whether a block is EMSA-PKCS1-v1_5 of a digest (RFC 8017 §9.2): `00 01 FF…FF 00 DigestInfo`, with eight bytes `FF` or more.
fn encodes(block: &[u8], digest: &Digest) -> bool {
    let Some(rest) = block.strip_suffix(digest.as_bytes()) else { return false };
    let Some([0, 1, filling @ .., 0]) = rest.strip_suffix(digest.hash().digest_info_prefix()) else { return false };
    filling.len() >= 8 && filling.iter().all(|byte| *byte == 0xff)
}

#[cfg(test)]
mod tests {
    use super::super::recorded::tests::keys;
    use super::*;
    use crate::key::{Hash, RsaSecretKey};
    use rsa::{BoxedUint, hazmat};

    /// The power of a block that was never encoded as it should be, as a forger would have it made.
    fn signed(key: &RsaSecretKey, block: &[u8]) -> Vec<u8> {
        let number = BoxedUint::from_be_slice(block, u32::try_from(block.len() * 8).unwrap()).unwrap();
        let signature = hazmat::rsa_decrypt(None::<&mut rsa::rand_core::UnwrapErr<getrandom::SysRng>>, &key.to_rsa().unwrap(), &number).unwrap();
        let bytes = signature.to_be_bytes();
        bytes[bytes.len() - block.len()..].to_vec()
    }

    fn encoded(digest: &Digest, length: usize) -> Vec<u8> {
        let info = digest.to_digest_info();
        [&[0, 1][..], &vec![0xff; length - 3 - info.len()], &[0], &info].concat()
    }

    #[test]
    fn a_batch_says_what_single_checks_say() {
        for key in keys() {
            let length = key.public().modulus_bytes();
            let digests: Vec<Digest> = (0..11_u8).map(|n| if n % 2 == 0 { Hash::Sha256 } else { Hash::Sha1 }.digest(&[n])).collect();
            let mut signatures: Vec<Vec<u8>> = digests.iter().map(|digest| signed(&key, &encoded(digest, length))).collect();
            signatures.swap(2, 4);
            signatures[5][length - 1] ^= 1;
            signatures[7].insert(0, 0);
            signatures[8] = key.public().modulus().to_vec();
            let items: Vec<(Digest, &[u8])> = digests.iter().copied().zip(signatures.iter().map(Vec::as_slice)).collect();
            let expected: Vec<bool> = items.iter().map(|(digest, signature)| key.public().verify(digest, signature)).collect();
            assert_eq!(expected, [true, true, false, true, false, false, true, false, false, true, true]);
            for count in 0..=items.len() {
                assert_eq!(key.public().verify_all(&items[..count]), expected[..count]);
            }
        }
    }

    /// Blocks that a lax reader would take (Bleichenbacher, 2006, and its relatives).
    #[test]
    fn one_encoding_only_is_taken() {
        for key in keys() {
            let (length, digest) = (key.public().modulus_bytes(), Hash::Sha256.digest(b"m"));
            let right = encoded(&digest, length);
            let info = digest.to_digest_info();
            let mut bad = vec![[&[0, 1][..], &[0xff; 8], &[0], &info, &vec![7; length - 11 - info.len()]].concat()];
            for (place, byte) in [(0, 1), (1, 2), (2, 0xfe), (length / 2, 0), (length - info.len() - 1, 0xff), (length - info.len() + 2, 0x31)] {
                let mut block = right.clone();
                block[place] = byte;
                bad.push(block);
            }
            let without_null: Vec<u8> = info.iter().enumerate().filter(|(place, _)| !(15..17).contains(place)).map(|(_, byte)| *byte).collect();
            bad.push([&[0, 1][..], &vec![0xff; length - 3 - without_null.len()], &[0], &without_null].concat());
            assert!(encodes(&right, &digest) && bad.iter().all(|block| !encodes(block, &digest)));
            assert!(!encodes(&[&[0, 1][..], &[0xff; 7], &[0], &info].concat(), &digest) && !encodes(&[], &digest));
            let signatures: Vec<Vec<u8>> = bad.iter().filter(|block| block[0] == 0).map(|block| signed(&key, block)).collect();
            let items: Vec<(Digest, &[u8])> = signatures.iter().map(|signature| (digest, signature.as_slice())).collect();
            assert!(key.public().verify_all(&items).iter().all(|right| !right));
        }
    }
}
