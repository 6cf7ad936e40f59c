//! Hashes of the published vectors, those too that keykit does not use: SHA-512/224 and SHA-512/256 (FIPS 180-4), SHA-3 and
//! SHAKE (FIPS 202, as RFC 8702 uses them for RSA).

use keykit::key::{Hash, RsaPublicKey};
use rsa::traits::SignatureScheme as _;
use rsa::{BoxedUint, Pkcs1v15Sign};
use sha1::Sha1;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};
use sha3::digest::{ExtendableOutput as _, Update as _, XofReader as _};
use sha3::{Sha3_224, Sha3_256, Sha3_384, Sha3_512, Shake128, Shake256};

use super::sets::Group;
use crate::report::Outcome;

/// A hash of the vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnyHash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512Of224,
    Sha512Of256,
    Sha3Of224,
    Sha3Of256,
    Sha3Of384,
    Sha3Of512,
    /// With 32 bytes of output where it stands for a hash.
    Shake128,
    /// With 64 bytes.
    Shake256,
}

impl AnyHash {
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "SHA-1" => Self::Sha1,
            "SHA-224" => Self::Sha224,
            "SHA-256" => Self::Sha256,
            "SHA-384" => Self::Sha384,
            "SHA-512" => Self::Sha512,
            "SHA-512/224" => Self::Sha512Of224,
            "SHA-512/256" => Self::Sha512Of256,
            "SHA3-224" => Self::Sha3Of224,
            "SHA3-256" => Self::Sha3Of256,
            "SHA3-384" => Self::Sha3Of384,
            "SHA3-512" => Self::Sha3Of512,
            "SHAKE128" => Self::Shake128,
            "SHAKE256" => Self::Shake256,
            _ => return None,
        })
    }

    pub(super) fn is_extendable(self) -> bool {
        matches!(self, Self::Shake128 | Self::Shake256)
    }

    pub(super) fn output_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 | Self::Sha512Of224 | Self::Sha3Of224 => 28,
            Self::Sha256 | Self::Sha512Of256 | Self::Sha3Of256 | Self::Shake128 => 32,
            Self::Sha384 | Self::Sha3Of384 => 48,
            Self::Sha512 | Self::Sha3Of512 | Self::Shake256 => 64,
        }
    }

    pub(super) fn digest(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(message).to_vec(),
            Self::Sha224 => Sha224::digest(message).to_vec(),
            Self::Sha256 => Sha256::digest(message).to_vec(),
            Self::Sha384 => Sha384::digest(message).to_vec(),
            Self::Sha512 => Sha512::digest(message).to_vec(),
            Self::Sha512Of224 => Sha512_224::digest(message).to_vec(),
            Self::Sha512Of256 => Sha512_256::digest(message).to_vec(),
            Self::Sha3Of224 => Sha3_224::digest(message).to_vec(),
            Self::Sha3Of256 => Sha3_256::digest(message).to_vec(),
            Self::Sha3Of384 => Sha3_384::digest(message).to_vec(),
            Self::Sha3Of512 => Sha3_512::digest(message).to_vec(),
            Self::Shake128 | Self::Shake256 => self.output(message, self.output_bytes()),
        }
    }

    /// So much output of an extendable function; of a hash, its digest.
    fn output(self, message: &[u8], length: usize) -> Vec<u8> {
        let mut output = vec![0; length];
        match self {
            Self::Shake128 => Shake128::default().chain(message).finalize_xof().read(&mut output),
            Self::Shake256 => Shake256::default().chain(message).finalize_xof().read(&mut output),
            hash => return hash.digest(message),
        }
        output
    }

    /// The DER of `DigestInfo` up to the digest, with NULL parameters (RFC 8017 §9.2 note 1). All of these hashes but SHA-1 are
    /// under the arc 2.16.840.1.101.3.4.2 of NIST.
    fn digest_info_prefix(self) -> Option<Vec<u8>> {
        let last = match self {
            Self::Sha512Of224 => 5,
            Self::Sha512Of256 => 6,
            Self::Sha3Of224 => 7,
            Self::Sha3Of256 => 8,
            Self::Sha3Of384 => 9,
            Self::Sha3Of512 => 10,
            _ => return None,
        };
        let length = u8::try_from(self.output_bytes()).ok()?;
        Some(vec![0x30, 0x11 + length, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last, 0x05, 0x00, 0x04, length])
    }
}

/// How the mask of PSS is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mask {
    /// MGF1 (RFC 8017 §B.2.1) with this hash.
    Mgf1(AnyHash),
    /// The output of an extendable function (RFC 8702 §3.2.1).
    Output(AnyHash),
}

impl Mask {
    pub(super) fn generate(self, seed: &[u8], length: usize) -> Vec<u8> {
        match self {
            Self::Output(function) => function.output(seed, length),
            Self::Mgf1(hash) => {
                let blocks = (0_u32..).flat_map(|counter| hash.digest(&[seed, &counter.to_be_bytes()].concat()));
                blocks.take(length).collect()
            }
        }
    }
}

/// The hash as keykit knows it, if it does.
pub(super) fn keykit_hash(name: &str) -> Option<Hash> {
    Hash::ALL.into_iter().find(|hash| hash.to_string() == name)
}

/// The public key of a group, as the engine `rsa` has it.
pub(super) fn public_key(group: &Group) -> Result<rsa::RsaPublicKey, Outcome> {
    let refused = |error: String| Outcome::Skipped(format!("keykit refuses the key: {error}"));
    let key = RsaPublicKey::from_spki_der(&group.public_key_der.0).map_err(|error| refused(error.to_string()))?;
    engine_key(&key).map_err(refused)
}

fn engine_key(key: &RsaPublicKey) -> Result<rsa::RsaPublicKey, String> {
    let modulus = BoxedUint::from_be_slice_vartime(key.modulus());
    rsa::RsaPublicKey::new(modulus, BoxedUint::from(u64::from(key.exponent()))).map_err(|error| error.to_string())
}

/// Verifies RSASSA-PKCS1-v1_5 with a hash that keykit does not use, by the engine `rsa`, which does so for keykit with SHA-224,
/// SHA-384 and SHA-512 too. `None` if there is no such hash here.
pub(super) fn verify_pkcs1(key: &rsa::RsaPublicKey, hash: AnyHash, message: &[u8], signature: &[u8]) -> Option<bool> {
    let padding = Pkcs1v15Sign { hash_len: Some(hash.output_bytes()), prefix: hash.digest_info_prefix()?.into() };
    Some(padding.verify(key, &hash.digest(message), signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// FIPS 180-4 and FIPS 202 examples for the empty message.
    #[test]
    fn hashes_of_nothing() {
        for (name, start) in [
            ("SHA-512/224", "6ed0dd02806fa89e25de060c19d3ac86cabb87d6a0ddd05c333b84f4"),
            ("SHA-512/256", "c672b8d1ef56ed28ab87c3622c5114069bdd3ad7b8f9737498d0c01ecef0967a"),
            ("SHA3-256", "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"),
            ("SHAKE128", "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26"),
        ] {
            let hash = AnyHash::of_name(name).unwrap();
            assert_eq!(hex(&hash.digest(b"")), start, "{name}");
            assert_eq!(hash.digest(b"").len(), hash.output_bytes());
        }
        assert_eq!(AnyHash::of_name("MD5"), None);
    }

    #[test]
    fn masks_are_as_long_as_asked_for() {
        for mask in [Mask::Mgf1(AnyHash::Sha1), Mask::Mgf1(AnyHash::Sha512Of256), Mask::Output(AnyHash::Shake256)] {
            let long = mask.generate(b"seed", 100);
            assert_eq!((long.len(), mask.generate(b"seed", 33).as_slice()), (100, &long[..33]));
        }
    }
}
