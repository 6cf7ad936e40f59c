//! The private key as CryptoAPI stores it: PRIVATEKEYBLOB, all numbers little-endian (formats §1; "RSA/Schannel key
//! BLOBs" in the Windows documentation).
//!
//! | offset | bytes | value |
//! |---|---|---|
//! | 0 | 1 | 7: private key |
//! | 1 | 1 | version 2 |
//! | 2 | 2 | 0 |
//! | 4 | 4 | 0xA400 (key exchange) or 0x2400 (signature) |
//! | 8 | 4 | `RSA2` |
//! | 12 | 4 | modulus bits |
//! | 16 | 4 | public exponent |
//! | 20 | k | n; then p, q, dp, dq, qinv of k/2 bytes each; then d of k bytes; k = modulus bits / 8 |

use crate::error::{Error, Malformed, Result};
use crate::key::{RsaComponents, RsaSecretKey};
use crate::secret::SecretBytes;

const FORMAT: &str = "private key blob";
/// Bytes before the numbers.
const HEADER_BYTES: usize = 20;
/// A strong-name header in front of the blob, which importers skip.
const STRONG_NAME_BYTES: usize = 12;
const TYPE_PRIVATE: u8 = 7;
const TYPE_PUBLIC: u8 = 6;
const VERSION: u8 = 2;
const ALGORITHM_KEY_EXCHANGE: u32 = 0xa400;
const ALGORITHM_SIGNATURE: u32 = 0x2400;
const MAGIC: &[u8; 4] = b"RSA2";

/// Reads a PRIVATEKEYBLOB, with or without a strong-name header of 12 bytes in front.
///
/// All numbers are checked against each other, as [`RsaSecretKey::from_components`] does.
///
/// # Errors
/// [`Error::Malformed`] with the offset of the field that is wrong. Values of numbers are never shown.
pub fn decode(blob: &[u8]) -> Result<RsaSecretKey> {
    let skipped = start(blob).unwrap_or(0);
    decode_after(blob.get(skipped..).unwrap_or_default(), skipped)
}

/// Writes a PRIVATEKEYBLOB for key exchange.
///
/// # Errors
/// [`Error::Malformed`] if the modulus does not have a multiple of 16 bits or a number is longer than the form allows.
pub fn encode(key: &RsaSecretKey) -> Result<SecretBytes> {
    let bits = key.public().modulus_bits();
    if !bits.is_multiple_of(16) {
        return Err(Error::malformed(FORMAT, format!("a modulus of {bits} bits; the form needs a multiple of 16")));
    }
    let modulus_bits = u32::try_from(bits).map_err(|_| Error::Internal("a modulus of over 2³² bits".into()))?;
    let (whole, half) = (bits / 8, bits / 16);
    key.with_components(|numbers| {
        SecretBytes::try_init(HEADER_BYTES + 2 * whole + 5 * half, |blob| {
            let mut blob = Writer(blob);
            blob.put(&[TYPE_PRIVATE, VERSION, 0, 0])?;
            blob.put(&ALGORITHM_KEY_EXCHANGE.to_le_bytes())?;
            blob.put(MAGIC)?;
            blob.put(&modulus_bits.to_le_bytes())?;
            blob.put(&numbers.e.to_le_bytes())?;
            blob.put_number("n", numbers.n, whole)?;
            blob.put_number("p", numbers.p, half)?;
            blob.put_number("q", numbers.q, half)?;
            blob.put_number("dp", numbers.dp, half)?;
            blob.put_number("dq", numbers.dq, half)?;
            blob.put_number("qinv", numbers.qinv, half)?;
            blob.put_number("d", numbers.d, whole)
        })
    })
}

/// Whether the bytes begin like a PRIVATEKEYBLOB. Random bytes do not.
pub(super) fn is_recognised(blob: &[u8]) -> bool {
    start(blob).is_some()
}

/// Where the blob begins: at once, or after a strong-name header.
fn start(blob: &[u8]) -> Option<usize> {
    [0, STRONG_NAME_BYTES].into_iter().find(|&start| {
        let Some(header) = blob.get(start..) else { return false };
        matches!(header, [TYPE_PRIVATE, _, _, _, _, _, _, _, b'R', b'S', b'A', b'2', ..])
    })
}

/// Reads a blob that `skipped` bytes stand before.
fn decode_after(blob: &[u8], skipped: usize) -> Result<RsaSecretKey> {
    let wrong = |offset: usize, problem: String| Error::malformed(FORMAT, problem).at((skipped + offset) as u64);
    let Some((header, numbers)) = blob.split_first_chunk::<HEADER_BYTES>() else {
        return Err(wrong(blob.len(), format!("it ends after {} bytes, inside its header of {HEADER_BYTES}", blob.len())));
    };
    let [kind, version, reserved_0, reserved_1, a0, a1, a2, a3, magic @ .., b0, b1, b2, b3, e0, e1, e2, e3] = *header;
    match kind {
        TYPE_PRIVATE => {}
        TYPE_PUBLIC => return Err(wrong(0, "it holds a public key only".into())),
        _ => return Err(wrong(0, format!("its type is {kind:#04x}, not {TYPE_PRIVATE:#04x}"))),
    }
    if version != VERSION {
        return Err(wrong(1, format!("its version is {version}, not {VERSION}")));
    }
    if [reserved_0, reserved_1] != [0, 0] {
        return Err(wrong(2, "the reserved bytes are not 0".into()));
    }
    let algorithm = u32::from_le_bytes([a0, a1, a2, a3]);
    if ![ALGORITHM_KEY_EXCHANGE, ALGORITHM_SIGNATURE].contains(&algorithm) {
        return Err(wrong(4, format!("its algorithm is {algorithm:#x}, not that of RSA key exchange (0xa400) or signature (0x2400)")));
    }
    if magic != *MAGIC {
        return Err(wrong(8, "it is not marked RSA2".into()));
    }
    let modulus_bits = u32::from_le_bytes([b0, b1, b2, b3]);
    let half = usize::try_from(modulus_bits / 16).unwrap_or(usize::MAX);
    if modulus_bits % 16 != 0 || half.checked_mul(9) != Some(numbers.len()) {
        return Err(wrong(12, format!("it says {modulus_bits} bits, which does not fit its {} bytes", blob.len())));
    }
    let exponent = u32::from_le_bytes([e0, e1, e2, e3]);
    if exponent < 3 || exponent.is_multiple_of(2) {
        return Err(wrong(16, format!("the public exponent {exponent} is not an odd number from 3 on")));
    }
    let reversed = SecretBytes::try_init(numbers.len(), |bytes| {
        bytes.iter_mut().zip(numbers.iter().rev()).for_each(|(to, from)| *to = *from);
        Ok::<_, Error>(())
    })?;
    let key = from_reversed(reversed.expose(), exponent, half).ok_or_else(|| Error::Internal("a checked length does not hold".into()))?;
    let key = key.map_err(|error| match error {
        Error::Malformed(Malformed { problem, .. }) => wrong(HEADER_BYTES, format!("its numbers are not an RSA key: {problem}")),
        other => other,
    })?;
    let found = key.public().modulus_bits();
    if usize::try_from(modulus_bits) != Ok(found) {
        return Err(wrong(12, format!("it says {modulus_bits} bits, its modulus has {found}")));
    }
    Ok(key)
}

/// The key whose numbers stand in `bytes` back to front, which makes each big-endian; `None` if the length is wrong.
fn from_reversed(bytes: &[u8], e: u32, half: usize) -> Option<Result<RsaSecretKey>> {
    let (d, rest) = bytes.split_at_checked(half * 2)?;
    let (qinv, rest) = rest.split_at_checked(half)?;
    let (dq, rest) = rest.split_at_checked(half)?;
    let (dp, rest) = rest.split_at_checked(half)?;
    let (q, rest) = rest.split_at_checked(half)?;
    let (p, n) = rest.split_at_checked(half)?;
    Some(RsaSecretKey::from_components(&RsaComponents { n, e, d, p, q, dp, dq, qinv }))
}

/// What is left of the buffer to write.
struct Writer<'a>(&'a mut [u8]);

impl Writer<'_> {
    fn next(&mut self, length: usize) -> Result<&mut [u8]> {
        self.0.split_off_mut(..length).ok_or_else(|| Error::Internal("a buffer smaller than what it was made for".into()))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.next(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// Writes a big-endian number little-endian, filled up with zeros.
    fn put_number(&mut self, name: &str, number: &[u8], length: usize) -> Result<()> {
        if number.iter().rev().skip(length).any(|&byte| byte != 0) {
            return Err(Error::malformed(FORMAT, format!("{name} is longer than {length} bytes")));
        }
        let digits = number.iter().rev().copied().chain(std::iter::repeat(0));
        self.next(length)?.iter_mut().zip(digits).for_each(|(to, from)| *to = from);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEYS: [&str; 4] = [
        include_str!("../../../vectors/tpd/key.pem"),
        include_str!("../../../vectors/keys/rsa-1024-e65537.pem"),
        include_str!("../../../vectors/keys/rsa-1024-e3.pem"),
        include_str!("../../../vectors/keys/rsa-3072-e65537.pem"),
    ];

    fn key(index: usize) -> RsaSecretKey {
        RsaSecretKey::from_pem(KEYS[index]).unwrap()
    }

    fn offset(error: Error) -> u64 {
        let Error::Malformed(malformed) = error else { panic!("{error:?}") };
        assert_eq!(malformed.format, FORMAT);
        malformed.offset.unwrap()
    }

    #[test]
    fn every_key_comes_back() {
        for index in 0..KEYS.len() {
            let key = key(index);
            let blob = encode(&key).unwrap();
            let back = decode(blob.expose()).unwrap();
            assert_eq!(back.to_pkcs1_der(), key.to_pkcs1_der());
            assert_eq!(blob, encode(&back).unwrap());
        }
        assert_eq!(encode(&key(0)).unwrap().len(), 1172);
        assert_eq!(encode(&key(1)).unwrap().len(), 596);
    }

    #[test]
    fn the_other_algorithm_and_a_strong_name_header_are_read() {
        let key = key(1);
        let mut blob = encode(&key).unwrap().expose().to_vec();
        blob[5] = 0x24;
        assert_eq!(decode(&blob).unwrap().id(), key.id());
        let mut named = vec![0xee; STRONG_NAME_BYTES];
        named.extend_from_slice(&blob);
        assert_eq!(decode(&named).unwrap().id(), key.id());
        // Offsets count from the first byte of the whole.
        named[STRONG_NAME_BYTES + 1] = 3;
        assert_eq!(offset(decode(&named).unwrap_err()), 13);
    }

    #[test]
    fn every_flipped_bit_of_the_header_is_an_error_at_its_field() {
        let blob = encode(&key(1)).unwrap();
        for bit in 0..HEADER_BYTES * 8 {
            let mut damaged = blob.expose().to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // 0xa400 and 0x2400 differ in one bit, and both are right.
            if bit == 47 {
                assert!(decode(&damaged).is_ok());
                continue;
            }
            let at = offset(decode(&damaged).unwrap_err());
            let expected = match bit / 8 {
                byte @ 0..2 => vec![byte as u64],
                2..4 => vec![2],
                4..8 => vec![4],
                8..12 => vec![8],
                12..16 => vec![12],
                // Another odd exponent is found out by the numbers.
                _ => vec![16, 20],
            };
            assert!(expected.contains(&at), "bit {bit}: {at}");
        }
    }

    #[test]
    fn every_damaged_number_is_an_error() {
        let blob = encode(&key(1)).unwrap();
        for byte in (HEADER_BYTES..blob.len()).step_by(7) {
            let mut damaged = blob.expose().to_vec();
            damaged[byte] ^= 1 << (byte % 8);
            assert_eq!(offset(decode(&damaged).unwrap_err()), 20, "byte {byte}");
        }
    }

    #[test]
    fn swapped_primes_are_found_by_their_coefficient() {
        let mut blob = encode(&key(1)).unwrap().expose().to_vec();
        let (p, rest) = blob[20 + 128..].split_at_mut(64);
        p.swap_with_slice(&mut rest[..64]);
        let (dp, rest) = blob[20 + 256..].split_at_mut(64);
        dp.swap_with_slice(&mut rest[..64]);
        assert!(decode(&blob).unwrap_err().to_string().contains("qinv"));
    }

    #[test]
    fn public_and_shortened_blobs_are_named() {
        let blob = encode(&key(1)).unwrap();
        let mut public = blob.expose().to_vec();
        public[0] = 6;
        assert!(decode(&public).unwrap_err().to_string().contains("public key only"));
        for length in 0..blob.len() {
            assert_eq!(offset(decode(&blob.expose()[..length]).unwrap_err()), if length < 20 { length as u64 } else { 12 });
        }
        let longer = [blob.expose(), &[0]].concat();
        assert_eq!(offset(decode(&longer).unwrap_err()), 12);
    }

    #[test]
    fn absurd_lengths_are_refused() {
        for bits in [0_u32, 1, 8, 512, u32::MAX, u32::MAX - 15] {
            let mut blob = encode(&key(1)).unwrap().expose()[..20].to_vec();
            blob[12..16].copy_from_slice(&bits.to_le_bytes());
            assert!(decode(&blob).is_err());
            if bits == 512 {
                blob.resize(20 + 512 / 16 * 9, 0xff);
                assert!(decode(&blob).unwrap_err().to_string().contains("512 bits"), "{}", decode(&blob).unwrap_err());
            }
        }
    }

    proptest! {
        #[test]
        fn no_input_panics(mut blob in proptest::collection::vec(any::<u8>(), 0..700), like in any::<bool>()) {
            if like {
                let header = encode(&key(1)).unwrap();
                let length = blob.len().min(16);
                blob[..length].copy_from_slice(&header.expose()[..length]);
            }
            prop_assert!(decode(&blob).is_err());
        }

        #[test]
        fn damage_never_gives_another_key(byte in 0_usize..596, value: u8) {
            let key = key(2);
            let mut blob = encode(&key).unwrap().expose().to_vec();
            blob[byte] = value;
            if let Ok(back) = decode(&blob) {
                prop_assert_eq!(back.to_pkcs1_der(), key.to_pkcs1_der());
            }
        }
    }
}
