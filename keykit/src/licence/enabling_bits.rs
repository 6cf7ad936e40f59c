//! ENABLINGBITS: a content key sealed to the RSA key of a recipient (MS-RMPR §2.2.9.1.13).
//!
//! ```text
//! raw       = RSA(recipient, KeyHeader ‖ Ks) ‖ AES-ECB(Ks, header ‖ KeyHeader ‖ K ‖ hash ‖ filling)
//! KeyHeader = u16 size of KeyHeader and key ‖ u16 cipher ‖ u16 key bytes ‖ u16 block bytes ‖ u32 flags
//! header    = u32 version (1 or 2) ‖ u32 size of KeyHeader, K and hash ‖ u32 0 ‖ u32 0
//! ```
//! Numbers are little-endian, the RSA block is big-endian. Ks is a fresh AES-128 key, K the content key. The hash is that of
//! the licence element that the key belongs to, as UTF-16LE text, tags included: ISSUEDPRINCIPALS of a publishing licence,
//! ISSUER of a use licence. The filling goes up to a whole block.
//!
//! | | `sealed-key`, mode 1 | `sealed-key-v2`, mode 2 |
//! |---|---|---|
//! | RSA block | 1024 bits, PKCS#1 v1.5 | 2048 bits, OAEP with SHA-1 |
//! | hash | SHA-1 | SHA-256 |
//! | size with an AES-128 content key | 1536 bits | 2688 bits |
//! | size with an AES-256 content key | 1664 bits | 2816 bits |
//!
//! Reading is lenient where the specification and what is known of implementations differ: the cipher in either byte
//! order, the key size in bytes or in bits, either hash and either version under both algorithms, and any block size, flags
//! and filling.
//!
//! # Security
//! The format has no integrity check over the sealed part. What a change of its bytes does:
//!
//! - in the RSA block, or in the first two AES blocks (header, KeyHeader): [`Error::Crypto`];
//! - in a block that holds bytes of the hash: it opens, but [`OpenedKey::is_bound_to`] is false, and bytes of the key that
//!   share the block are wrong;
//! - in the third AES block, with an AES-256 content key: **nothing shows it**. That block holds bytes 4 to 19 of the key and
//!   nothing else. The key that comes out is wrong and does not decrypt the content.
//!
//! So an opened key is proven only by the signature of the licence around it, or by the content that it decrypts.
//!
//! An RSA block that does not open is replaced by a random session key, and the same work is done with it before the one
//! opaque error comes out. So nobody learns from an item whether its PKCS#1 v1.5 padding was right (Bleichenbacher, Marvin).

use std::fmt;

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use super::ecb::{self, BLOCK};
use super::{ContentCipher, ContentKey};
use crate::error::{Error, Result};
use crate::key::{CryptographicMode, Digest, Encryption, EncryptionScheme, Hash, KeyId, Recorded, RsaPublicKey};
use crate::secret::SecretBytes;
use crate::store::{DecryptionFailed, KeyStore};

const FORMAT: &str = "ENABLINGBITS value";
/// Bytes of a KeyHeader.
const KEY_HEADER: usize = 12;
/// Bytes of the header of the part under the session key.
const HEADER: usize = 16;
/// Bytes of a session key.
const SESSION_KEY: usize = 16;
/// Flags of a KeyHeader for a key that is used in ECB, and in CBC. The specification does not give the numbers; they are
/// constants of the Windows client. Never checked.
const FLAGS_ECB: u32 = 0x1002;
const FLAGS_CBC: u32 = 0x2002;

/// The `type` of an ENABLINGBITS element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SealAlgorithm {
    /// `sealed-key`: RSAES-PKCS1-v1_5 and SHA-1.
    SealedKey,
    /// `sealed-key-v2`: RSAES-OAEP (SHA-1) and SHA-256.
    SealedKeyV2,
}

impl SealAlgorithm {
    /// The algorithm of a cryptographic mode.
    #[must_use]
    pub fn for_mode(mode: CryptographicMode) -> Self {
        match mode {
            CryptographicMode::Mode1 => Self::SealedKey,
            CryptographicMode::Mode2 => Self::SealedKeyV2,
        }
    }

    /// The cryptographic mode of the algorithm.
    #[must_use]
    pub fn mode(self) -> CryptographicMode {
        match self {
            Self::SealedKey => CryptographicMode::Mode1,
            Self::SealedKeyV2 => CryptographicMode::Mode2,
        }
    }

    /// The attribute's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SealedKey => "sealed-key",
            Self::SealedKeyV2 => "sealed-key-v2",
        }
    }

    /// The algorithm with this name; `None` for another name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::SealedKey, Self::SealedKeyV2].into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// How the session key is encrypted to the recipient.
    #[must_use]
    pub fn encryption_scheme(self) -> EncryptionScheme {
        self.mode().encryption_scheme()
    }

    /// The hash that binds the key to its licence.
    #[must_use]
    pub fn hash(self) -> Hash {
        self.mode().signature_hash()
    }

    /// The version in the header.
    fn version(self) -> u32 {
        match self {
            Self::SealedKey => 1,
            Self::SealedKeyV2 => 2,
        }
    }
}

impl fmt::Display for SealAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What enabling bits hold, by their size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Payload {
    /// The content key of a publishing or use licence.
    ContentKey,
    /// The RSA private key of an account or client licensor certificate, as PRIVATEKEYBLOB. Recognised, not opened.
    PrivateKey,
}

impl Payload {
    /// What `length` bytes of enabling bits hold that are sealed to a key of `modulus_bytes`.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a length that no payload has.
    pub fn of_length(length: usize, modulus_bytes: usize) -> Result<Self> {
        let sealed = |payload: usize, hash: usize| ecb::round_up(HEADER + payload + hash);
        match length.checked_sub(modulus_bytes) {
            Some(rest) if [16, 32].iter().any(|key| [20, 32].iter().any(|&hash| rest == sealed(KEY_HEADER + key, hash))) => Ok(Self::ContentKey),
            // PRIVATEKEYBLOB of 1024 and 2048 bits.
            Some(rest) if [596, 1172].iter().any(|&blob| [20, 32].iter().any(|&hash| rest == sealed(blob, hash))) => Ok(Self::PrivateKey),
            _ => Err(Error::malformed(FORMAT, format!("{length} bytes cannot be sealed to a key of {} bits", modulus_bytes * 8))
                .with_hint("check that the licence was sealed to this key, and that it is complete")),
        }
    }
}

/// A content key that was opened, and the hash of what it belongs to.
#[derive(Debug, PartialEq, Eq)]
pub struct OpenedKey {
    /// The content key.
    pub key: ContentKey,
    /// The hash that was sealed with it. Its algorithm is known by its length.
    pub bound_hash: Digest,
}

impl OpenedKey {
    /// Whether the key was sealed for the licence with this element: ISSUEDPRINCIPALS of a publishing licence, ISSUER of a
    /// use licence, as it stands in the licence, tags included.
    #[must_use]
    pub fn is_bound_to(&self, text: &str) -> bool {
        self.bound_hash == hash_of(self.bound_hash.hash(), text)
    }
}

/// Seals a content key to a recipient.
///
/// `bound_text` is the element that the key belongs to (see [`OpenedKey::is_bound_to`]); its hash is sealed with the key.
///
/// # Errors
/// [`Error::Crypto`] if the recipient's key cannot encrypt; [`Error::Internal`] if the system has no randomness to give.
pub fn seal(content_key: &ContentKey, recipient: &RsaPublicKey, mode: CryptographicMode, bound_text: &str) -> Result<Vec<u8>> {
    let bound = hash_of(mode.signature_hash(), bound_text);
    let made = seal_recorded(&[(content_key, bound)], recipient, mode)?.pop();
    made.map(|(sealed, _)| sealed).ok_or_else(|| Error::Internal("a batch of one gave nothing".into()))
}

/// What was random when a content key was sealed: with it, [`confirm_batch`] shows what the recipient finds.
#[derive(Debug)]
pub(super) struct Sealing {
    session_key: SecretBytes,
    recorded: Recorded,
}

/// As [`seal`] of many content keys, in order, each with the hash of what it is bound to; keeps what was random.
pub(super) fn seal_recorded(items: &[(&ContentKey, Digest)], recipient: &RsaPublicKey, mode: CryptographicMode) -> Result<Vec<(Vec<u8>, Sealing)>> {
    let algorithm = SealAlgorithm::for_mode(mode);
    let session_keys = items.iter().map(|_| SecretBytes::random(SESSION_KEY)).collect::<Result<Vec<_>>>()?;
    let messages = session_keys.iter().map(rsa_message).collect::<Result<Vec<_>>>()?;
    let messages: Vec<&[u8]> = messages.iter().map(|message| message.as_slice()).collect();
    let blocks = recipient.encrypt_recorded(&algorithm.encryption_scheme(), &messages)?;
    let sealed = items.iter().zip(session_keys).zip(blocks).map(|(((content_key, bound), session_key), (mut sealed, recorded))| {
        let size = KEY_HEADER + content_key.key().len() + bound.as_bytes().len();
        // Of its final size from the start: a buffer that grows would leave copies behind.
        let mut tail = Zeroizing::new(Vec::with_capacity(ecb::round_up(HEADER + size)));
        for field in [algorithm.version(), narrow(size)?, 0, 0] {
            tail.extend_from_slice(&field.to_le_bytes());
        }
        write_key(&mut tail, content_key.cipher(), content_key.key())?;
        tail.extend_from_slice(bound.as_bytes());
        tail.resize(ecb::round_up(HEADER + size), 0);
        ecb::encrypt(&session_key, &mut tail)?;
        sealed.extend_from_slice(&tail);
        Ok((sealed, Sealing { session_key, recorded }))
    });
    sealed.collect()
}

/// What is encrypted to the recipient: the session key with its KeyHeader.
fn rsa_message(session_key: &SecretBytes) -> Result<Zeroizing<Vec<u8>>> {
    let mut message = Zeroizing::new(Vec::with_capacity(KEY_HEADER + SESSION_KEY));
    write_key(&mut message, ContentCipher::Ecb, session_key)?;
    Ok(message)
}

/// Enabling bits, and what was recorded when they were made.
pub(super) type RecordedBits<'a> = (&'a [u8], &'a Sealing);

/// What the recipient will find in enabling bits that were sealed here, in order: the RSA block is made again from what was recorded (all of
/// them at once, each by itself if that does not hold), and the rest is opened. No private key is used, and none could find
/// anything else.
///
/// [`Error::Negative`] in the place of what is not what was sealed.
pub(super) fn confirm_batch(recipient: &RsaPublicKey, mode: CryptographicMode, items: &[RecordedBits<'_>]) -> Vec<Result<OpenedKey>> {
    let scheme = SealAlgorithm::for_mode(mode).encryption_scheme();
    let confirmed = |items: &[RecordedBits<'_>]| -> Result<bool> {
        let messages = items.iter().map(|(_, sealing)| rsa_message(&sealing.session_key)).collect::<Result<Vec<_>>>()?;
        let encryptions = items.iter().zip(&messages).map(|((bytes, sealing), message)| {
            let ciphertext = bytes.get(..recipient.modulus_bytes()).unwrap_or_default();
            Encryption { message, recorded: &sealing.recorded, ciphertext }
        });
        Ok(recipient.confirm_all(&scheme, &encryptions.collect::<Vec<_>>()))
    };
    let all = confirmed(items).unwrap_or(false);
    let one = |item: &RecordedBits<'_>| {
        if !all && !confirmed(std::slice::from_ref(item))? {
            return Err(Error::negative("the sealed session key is not what was to be sealed"));
        }
        let (bytes, sealing) = item;
        let parts = Parts::split(bytes, recipient.modulus_bytes())?;
        open_tail(&sealing.session_key, parts.tail, Choice::from(1))
    };
    items.iter().map(one).collect()
}

/// Opens enabling bits with a key of a store.
///
/// # Errors
/// [`Error::Malformed`] for a length that cannot be right, and [`Error::Refused`] for a sealed private key, both before the
/// key is used; [`Error::Crypto`] for everything that goes wrong after; what the store says.
pub fn open(store: &dyn KeyStore, key: &KeyId, algorithm: SealAlgorithm, bytes: &[u8]) -> Result<OpenedKey> {
    open_batch(store, key, algorithm, &[bytes])?.pop().unwrap_or_else(|| Err(Error::Internal("a batch of one gave nothing".into())))
}

/// Opens many enabling bits that are sealed to one key, in order. All are tried before anything is returned.
///
/// # Errors
/// What the store says of the key or of itself: then nothing was opened. What is wrong with one item is in its place, as
/// for [`open`].
pub fn open_batch(store: &dyn KeyStore, key: &KeyId, algorithm: SealAlgorithm, items: &[&[u8]]) -> Result<Vec<Result<OpenedKey>>> {
    let modulus_bytes = store.find(key)?.public.modulus_bytes();
    let parts: Vec<Result<Parts<'_>>> = items.iter().map(|bytes| Parts::split(bytes, modulus_bytes)).collect();
    let blocks: Vec<&[u8]> = parts.iter().flatten().map(|parts| parts.rsa_block).collect();
    let plaintexts = if blocks.is_empty() { Vec::new() } else { store.decrypt(key, &algorithm.encryption_scheme(), &blocks)? };
    if plaintexts.len() != blocks.len() {
        return Err(Error::Internal(format!("the store was given {} ciphertexts and answered {}", blocks.len(), plaintexts.len())));
    }
    let mut plaintexts = plaintexts.into_iter();
    let mut failed = 0;
    let mut refused = Vec::new();
    let mut opened = Vec::with_capacity(parts.len());
    for parts in parts {
        opened.push(parts.and_then(|Parts { rsa_block, tail }| {
            let plaintext = plaintexts.next().unwrap_or(Err(DecryptionFailed));
            let (session_key, valid) = session_key(&plaintext)?;
            let opened = open_tail(&session_key, tail, valid);
            match plaintext {
                Err(DecryptionFailed) => failed += 1,
                Ok(_) if opened.is_err() => refused.push(rsa_block),
                Ok(_) => {}
            }
            opened
        }));
    }
    store.refused_after_decryption(key, &algorithm.encryption_scheme(), failed, &refused);
    Ok(opened)
}

/// The two parts of enabling bits that hold a content key.
struct Parts<'a> {
    rsa_block: &'a [u8],
    tail: &'a [u8],
}

impl<'a> Parts<'a> {
    fn split(bytes: &'a [u8], modulus_bytes: usize) -> Result<Self> {
        match Payload::of_length(bytes.len(), modulus_bytes)? {
            Payload::ContentKey => {}
            Payload::PrivateKey => {
                return Err(Error::refused_by_policy(
                    "these enabling bits seal the private key of a certificate, not a content key",
                    "give a publishing or use licence; the keys of account and client licensor certificates stay sealed",
                ));
            }
        }
        let (rsa_block, tail) = bytes.split_at_checked(modulus_bytes).ok_or_else(|| Error::Internal("a checked length is too short".into()))?;
        Ok(Self { rsa_block, tail })
    }
}

/// The session key of the RSA step, or a random one if that failed, and which of the two it is.
fn session_key(plaintext: &Result<SecretBytes, DecryptionFailed>) -> Result<(SecretBytes, Choice)> {
    let decoy = SecretBytes::random(KEY_HEADER + SESSION_KEY)?;
    let (candidate, opened) = match plaintext {
        Ok(plaintext) if plaintext.len() == decoy.len() => (plaintext, Choice::from(1)),
        _ => (&decoy, Choice::from(0)),
    };
    let (header, found) = candidate.expose().split_at_checked(KEY_HEADER).ok_or(Error::Crypto)?;
    let valid = opened & KeyHeader::read(header).is_for(ContentCipher::Ecb, SESSION_KEY);
    let replacement = decoy.expose().get(KEY_HEADER..).unwrap_or_default();
    let key = SecretBytes::try_init(SESSION_KEY, |key| {
        for ((key, found), replacement) in key.iter_mut().zip(found).zip(replacement) {
            *key = u8::conditional_select(replacement, found, valid);
        }
        Ok::<_, Error>(())
    })?;
    Ok((key, valid))
}

/// Decrypts and reads the part under the session key. `valid` says whether the session key is to be believed.
fn open_tail(session_key: &SecretBytes, tail: &[u8], valid: Choice) -> Result<OpenedKey> {
    let plain = SecretBytes::try_init(tail.len(), |plain| {
        plain.copy_from_slice(tail);
        ecb::decrypt(session_key, plain)
    })?;
    let parsed = parse_tail(plain.expose());
    // Nothing is returned early: a session key that is not to be believed fails here like everything else.
    if valid.into() { parsed.ok_or(Error::Crypto) } else { Err(Error::Crypto) }
}

/// Reads the decrypted part. `None` for whatever is wrong.
fn parse_tail(plain: &[u8]) -> Option<OpenedKey> {
    let (header, body) = plain.split_at_checked(HEADER)?;
    let [version, size, first_reserved, second_reserved] = [0, 4, 8, 12].map(|offset| u32_at(header, offset));
    let (key_header, rest) = body.split_at_checked(KEY_HEADER)?;
    let key_header = KeyHeader::read(key_header);
    let key_bytes = usize::from(key_header.size).checked_sub(KEY_HEADER)?;
    let hash_bytes = usize::try_from(size).ok()?.checked_sub(KEY_HEADER + key_bytes)?;
    let cipher = ContentCipher::from_code(key_header.cipher)?;
    let hash = [Hash::Sha1, Hash::Sha256].into_iter().find(|hash| hash.output_bytes() == hash_bytes)?;

    let sound = (version.ct_eq(&1) | version.ct_eq(&2))
        & first_reserved.ct_eq(&0)
        & second_reserved.ct_eq(&0)
        & key_header.is_for(cipher, key_bytes)
        & (key_bytes.ct_eq(&16) | key_bytes.ct_eq(&32))
        & plain.len().ct_eq(&ecb::round_up(HEADER + KEY_HEADER + key_bytes + hash_bytes));
    if !bool::from(sound) {
        return None;
    }
    let (key, rest) = rest.split_at_checked(key_bytes)?;
    let bound_hash = Digest::from_bytes(hash, rest.get(..hash_bytes)?)?;
    Some(OpenedKey { key: ContentKey::new(cipher, SecretBytes::copy_of(key)).ok()?, bound_hash })
}

/// The header in front of a symmetric key (MS-RMPR §2.2.9.1.13.1), without block size and flags, which nobody agrees on.
struct KeyHeader {
    size: u16,
    cipher: u16,
    key_size: u16,
}

impl KeyHeader {
    fn read(bytes: &[u8]) -> Self {
        let [size, cipher, key_size] = [0, 2, 4].map(|offset| u16_at(bytes, offset));
        Self { size, cipher, key_size }
    }

    /// Whether the header announces a key of this cipher and length. The key size may be in bytes, as implementations have
    /// it, or in bits, as the specification says.
    fn is_for(&self, cipher: ContentCipher, key_bytes: usize) -> Choice {
        let [size, bytes, bits] = [KEY_HEADER + key_bytes, key_bytes, key_bytes * 8].map(|number| number.try_into().unwrap_or(u16::MAX));
        self.size.ct_eq(&size)
            & (self.cipher.ct_eq(&cipher.code()) | self.cipher.ct_eq(&cipher.code().swap_bytes()))
            & (self.key_size.ct_eq(&bytes) | self.key_size.ct_eq(&bits))
    }
}

/// Appends KeyHeader and key. The caller has reserved the room.
fn write_key(output: &mut Vec<u8>, cipher: ContentCipher, key: &SecretBytes) -> Result<()> {
    for field in [narrow(KEY_HEADER + key.len())?, cipher.code(), narrow(key.len())?, narrow(BLOCK)?] {
        output.extend_from_slice(&field.to_le_bytes());
    }
    let flags = if cipher == ContentCipher::Ecb { FLAGS_ECB } else { FLAGS_CBC };
    output.extend_from_slice(&flags.to_le_bytes());
    output.extend_from_slice(key.expose());
    Ok(())
}

/// The hash of an element that a content key is bound to.
pub(super) fn hash_of(hash: Hash, text: &str) -> Digest {
    hash.digest_utf16le(text)
}

fn narrow<T: TryFrom<usize>>(number: usize) -> Result<T> {
    T::try_from(number).map_err(|_| Error::Internal(format!("{number} does not fit its field")))
}

fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    bytes.get(offset..).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests;
