use std::sync::LazyLock;

use proptest::prelude::*;
use rsa::{Oaep, Pkcs1v15Encrypt};

use super::*;
use crate::key::RsaSecretKey;
use crate::store::protection::Assessment;
use crate::store::{KeyAttributes, KeyRecord, StoreIdentity};

const BOUND: &str = "<ISSUEDPRINCIPALS><PRINCIPAL internal-id=\"1\">é</PRINCIPAL></ISSUEDPRINCIPALS>";
const MODES: [CryptographicMode; 2] = [CryptographicMode::Mode1, CryptographicMode::Mode2];

/// A store of one key, on the `rsa` crate.
#[derive(Debug)]
struct OneKey {
    identity: StoreIdentity,
    public: RsaPublicKey,
    secret: rsa::RsaPrivateKey,
}

impl OneKey {
    fn from_file(path: &str) -> Self {
        let pem = std::fs::read_to_string(format!("{}/../vectors/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let secret = RsaSecretKey::from_pem(&pem).unwrap();
        let identity = StoreIdentity {
            uri: "test:".into(),
            manufacturer: String::new(),
            model: String::new(),
            serial: String::new(),
            firmware: String::new(),
            label: String::new(),
        };
        Self { identity, public: secret.public().clone(), secret: secret.to_rsa().unwrap() }
    }

    fn id(&self) -> KeyId {
        self.public.id()
    }
}

impl KeyStore for OneKey {
    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    fn keys(&self) -> Result<Vec<KeyRecord>> {
        Ok(vec![KeyRecord { public: self.public.clone(), attributes: KeyAttributes::default(), protection: Assessment::software() }])
    }

    fn sign(&self, _: &KeyId, _: &[Digest]) -> Result<Vec<Vec<u8>>> {
        Err(self.unsupported("sign"))
    }

    fn decrypt(&self, key: &KeyId, scheme: &EncryptionScheme, items: &[&[u8]]) -> Result<Vec<Result<SecretBytes, DecryptionFailed>>> {
        if *key != self.id() {
            return Err(self.no_such_key(key));
        }
        let decrypt = |item: &&[u8]| match scheme {
            EncryptionScheme::Pkcs1v15 => self.secret.decrypt(Pkcs1v15Encrypt, item),
            EncryptionScheme::Oaep { hash: Hash::Sha1, mgf1: Hash::Sha1, .. } => self.secret.decrypt(Oaep::<sha1::Sha1>::new(), item),
            EncryptionScheme::Oaep { .. } => panic!("enabling bits use OAEP with SHA-1 only"),
        };
        Ok(items.iter().map(|item| decrypt(item).map(SecretBytes::take).map_err(|_| DecryptionFailed)).collect())
    }
}

static MODE_1: LazyLock<OneKey> = LazyLock::new(|| OneKey::from_file("keys/licence-1024.pem"));
static MODE_2: LazyLock<OneKey> = LazyLock::new(|| OneKey::from_file("tpd/key.pem"));

fn store(mode: CryptographicMode) -> &'static OneKey {
    match mode {
        CryptographicMode::Mode1 => &MODE_1,
        CryptographicMode::Mode2 => &MODE_2,
    }
}

fn reopen(mode: CryptographicMode, bytes: &[u8]) -> Result<OpenedKey> {
    open(store(mode), &store(mode).id(), SealAlgorithm::for_mode(mode), bytes)
}

fn sealed(mode: CryptographicMode, cipher: ContentCipher, bits: usize) -> (ContentKey, Vec<u8>) {
    let key = ContentKey::generate(cipher, bits).unwrap();
    let bytes = seal(&key, &store(mode).public, mode, BOUND).unwrap();
    (key, bytes)
}

/// The part under the session key, in the clear, with its fields in the caller's hands.
fn clear_tail(version: u32, key_header: [u16; 4], flags: u32, key: &[u8], hash: &[u8], filling: u8) -> Vec<u8> {
    let size = u32::try_from(KEY_HEADER + key.len() + hash.len()).unwrap();
    let mut tail: Vec<u8> = [version, size, 0, 0].iter().flat_map(|field| field.to_le_bytes()).collect();
    tail.extend(key_header.iter().flat_map(|field| field.to_le_bytes()));
    tail.extend(flags.to_le_bytes());
    tail.extend(key);
    tail.extend(hash);
    tail.resize(ecb::round_up(tail.len()), filling);
    tail
}

#[test]
fn sizes_are_those_of_real_licences() {
    for (mode, bits, expected) in [(MODES[0], 128, 1536), (MODES[0], 256, 1664), (MODES[1], 128, 2688), (MODES[1], 256, 2816)] {
        for cipher in ContentCipher::ALL {
            assert_eq!(sealed(mode, cipher, bits).1.len() * 8, expected, "{mode}, {bits} bits");
        }
    }
}

/// Field by field, so that writer and reader cannot be wrong in the same way.
#[test]
fn what_is_written_is_the_documented_layout() {
    for (mode, version, hash) in [(MODES[0], 1, Hash::Sha1), (MODES[1], 2, Hash::Sha256)] {
        for (cipher, code, flags) in [(ContentCipher::Ecb, 0xffff, 0x1002), (ContentCipher::Cbc4k, 0xfffd, 0x2002)] {
            for (bits, size) in [(128, 28), (256, 44)] {
                let (key, bytes) = sealed(mode, cipher, bits);
                let (block, tail) = bytes.split_at(store(mode).public.modulus_bytes());
                let message = store(mode).decrypt(&store(mode).id(), &mode.encryption_scheme(), &[block]).unwrap().remove(0).unwrap();
                let (key_header, session_key) = message.expose().split_at(KEY_HEADER);
                assert_eq!(key_header, [28, 0, 0xff, 0xff, 16, 0, 16, 0, 0x02, 0x10, 0, 0]);
                assert_eq!(session_key.len(), 16);
                let mut plain = tail.to_vec();
                ecb::decrypt(&SecretBytes::copy_of(session_key), &mut plain).unwrap();
                let utf16: Vec<u8> = BOUND.encode_utf16().flat_map(u16::to_le_bytes).collect();
                let key_size = u16::try_from(bits / 8).unwrap();
                let expected = clear_tail(version, [size, code, key_size, 16], flags, key.key().expose(), hash.digest(&utf16).as_bytes(), 0);
                assert_eq!(plain, expected, "{mode}, {cipher}, {bits} bits");
            }
        }
    }
}

#[test]
fn every_seal_has_a_session_key_of_its_own() {
    let mode = CryptographicMode::Mode2;
    let key = ContentKey::generate(ContentCipher::Ecb, 128).unwrap();
    let [first, second] = [0, 1].map(|_| seal(&key, &store(mode).public, mode, BOUND).unwrap());
    assert_ne!(first[..256], second[..256]);
    assert_ne!(first[256..], second[256..]);
}

#[test]
fn names_come_back() {
    for mode in MODES {
        let algorithm = SealAlgorithm::for_mode(mode);
        assert_eq!(SealAlgorithm::from_name(algorithm.as_str()), Some(algorithm));
        assert_eq!(algorithm.mode(), mode);
    }
    assert_eq!(SealAlgorithm::SealedKey.to_string(), "sealed-key");
    assert_eq!(SealAlgorithm::SealedKeyV2.to_string(), "sealed-key-v2");
    assert_eq!(SealAlgorithm::from_name("sealed-key-v3"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_key_comes_back(
        mode in prop::sample::select(MODES.to_vec()),
        cipher in prop::sample::select(ContentCipher::ALL.to_vec()),
        bits in prop::sample::select(vec![128_usize, 256]),
        text in "\\PC{0,40}",
    ) {
        let key = ContentKey::generate(cipher, bits).unwrap();
        let bytes = seal(&key, &store(mode).public, mode, &text).unwrap();
        let opened = reopen(mode, &bytes).unwrap();
        prop_assert_eq!(&opened.key, &key);
        prop_assert_eq!(opened.bound_hash.hash(), mode.signature_hash());
        prop_assert!(opened.is_bound_to(&text));
        let other = format!("{text} ");
        prop_assert!(!opened.is_bound_to(&other));
    }
}

proptest! {
    #[test]
    fn no_tail_panics(tail in prop::collection::vec(any::<u8>(), 0..130)) {
        prop_assert!(parse_tail(&tail).is_none());
    }

    #[test]
    fn no_length_panics(length in 0_usize..2000, modulus in prop::sample::select(vec![128_usize, 256])) {
        let expected = match length.checked_sub(modulus) {
            Some(64 | 80 | 96) => Some(Payload::ContentKey),
            Some(640 | 656 | 1216 | 1232) => Some(Payload::PrivateKey),
            _ => None,
        };
        prop_assert_eq!(Payload::of_length(length, modulus).ok(), expected);
    }
}

/// What the documentation of the module says of changes, for every byte: one bit each, through the store.
#[test]
fn every_changed_byte_has_its_documented_effect() {
    for mode in MODES {
        for bits in [128, 256] {
            let (key, bytes) = sealed(mode, ContentCipher::Cbc4k, bits);
            let rsa_block = store(mode).public.modulus_bytes();
            for position in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[position] ^= 1 << (position % 8);
                let result = reopen(mode, &changed);
                let block = position.checked_sub(rsa_block).map(|offset| offset / BLOCK);
                match (block, bits) {
                    (None | Some(0 | 1), _) => assert_eq!(result.unwrap_err().code(), "crypto", "{mode}, {bits} bits, byte {position}"),
                    (Some(2), 256) => {
                        let opened = result.unwrap();
                        assert!(opened.is_bound_to(BOUND), "the third block holds no byte of the hash");
                        assert_ne!(opened.key, key);
                    }
                    _ => assert!(!result.unwrap().is_bound_to(BOUND), "{mode}, {bits} bits, byte {position}"),
                }
            }
        }
    }
}

/// Every single bit of the part under the session key, without the RSA step.
#[test]
fn every_changed_bit_of_the_headers_is_refused() {
    let session_key = SecretBytes::random(SESSION_KEY).unwrap();
    let hash = hash_of(Hash::Sha1, BOUND);
    let mut tail = clear_tail(1, [28, 0xffff, 16, 16], FLAGS_ECB, &[7; 16], hash.as_bytes(), 0);
    ecb::encrypt(&session_key, &mut tail).unwrap();
    assert!(open_tail(&session_key, &tail, Choice::from(1)).unwrap().is_bound_to(BOUND));
    assert_eq!(open_tail(&session_key, &tail, Choice::from(0)).unwrap_err().code(), "crypto");
    for bit in 0..tail.len() * 8 {
        let mut changed = tail.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let result = open_tail(&session_key, &changed, Choice::from(1));
        if bit / 8 < 2 * BLOCK {
            assert_eq!(result.unwrap_err().code(), "crypto", "bit {bit}");
        } else {
            assert!(!result.unwrap().is_bound_to(BOUND), "bit {bit}");
        }
    }
}

#[test]
fn reading_is_lenient_where_writers_differ() {
    let sha1 = hash_of(Hash::Sha1, BOUND);
    let sha256 = hash_of(Hash::Sha256, BOUND);
    for (version, key_header, flags, key_bytes, hash, filling) in [
        (1, [28, 0xffff, 16, 16], 0x1002, 16, sha1, 0),
        (2, [28, 0xffff, 16, 16], 0x1002, 16, sha1, 0),
        (1, [28, 0xfffe, 16, 16], 0, 16, sha256, 0xff),
        (1, [28, 0xfeff, 16, 16], 0xffff_ffff, 16, sha256, 0xff),
        (2, [28, 0xfdff, 128, 128], 0x2002, 16, sha256, 4),
        (2, [44, 0xfffd, 256, 128], 0x2002, 32, sha256, 0),
        (2, [44, 0xfcff, 32, 0], 0x2002, 32, sha1, 0),
    ] {
        let tail = clear_tail(version, key_header, flags, &vec![7; key_bytes], hash.as_bytes(), filling);
        let opened = parse_tail(&tail).unwrap();
        assert!(opened.is_bound_to(BOUND), "{key_header:?}");
        assert_eq!(opened.key.key().expose(), vec![7; key_bytes]);
        assert_eq!(opened.key.cipher(), ContentCipher::from_code(key_header[1]).unwrap());
    }
}

#[test]
fn reading_is_strict_where_nothing_excuses_it() {
    let hash = hash_of(Hash::Sha1, BOUND);
    let sound = || clear_tail(1, [28, 0xffff, 16, 16], 0x1002, &[7; 16], hash.as_bytes(), 0);
    assert!(parse_tail(&sound()).is_some());
    for (what, version, key_header, key_bytes) in [
        ("version 0", 0, [28, 0xffff, 16, 16], 16),
        ("version 3", 3, [28, 0xffff, 16, 16], 16),
        ("unknown cipher", 1, [28, 0xfffb, 16, 16], 16),
        ("size without the header", 1, [16, 0xffff, 16, 16], 16),
        ("size of another key", 1, [44, 0xffff, 16, 16], 16),
        ("key size of another key", 1, [28, 0xffff, 32, 16], 16),
        ("192 bits", 1, [36, 0xffff, 24, 16], 24),
        ("no key", 1, [12, 0xffff, 0, 16], 0),
    ] {
        assert!(parse_tail(&clear_tail(version, key_header, 0, &vec![7; key_bytes], hash.as_bytes(), 0)).is_none(), "{what}");
    }
    for (what, offset, value) in [("reserved", 8, 1), ("reserved", 15, 1), ("size", 4, 47), ("size", 4, 60), ("size", 7, 0xff)] {
        let mut tail = sound();
        tail[offset] = value;
        assert!(parse_tail(&tail).is_none(), "{what}");
    }
    assert!(parse_tail(&[sound(), vec![0; 16]].concat()).is_none(), "a block too many");
    assert!(parse_tail(&sound()[..48]).is_none(), "a block too few");
}

#[test]
fn an_rsa_block_that_holds_something_else_is_an_opaque_failure() {
    let store = store(CryptographicMode::Mode1);
    let (_, bytes) = sealed(CryptographicMode::Mode1, ContentCipher::Ecb, 128);
    let key_header = |size: u8, cipher: u8, key: u8| vec![size, 0, cipher, 0xff, key, 0, 16, 0, 2, 0x10, 0, 0];
    for message in [
        vec![],
        vec![0; 28],
        key_header(28, 0xff, 16),
        [key_header(28, 0xff, 16), vec![1; 17]].concat(),
        [key_header(44, 0xff, 32), vec![1; 32]].concat(),
        [key_header(29, 0xff, 16), vec![1; 16]].concat(),
        [key_header(28, 0xfd, 16), vec![1; 16]].concat(),
        [key_header(28, 0xff, 15), vec![1; 16]].concat(),
        // Well-formed, but not the session key of what follows.
        [key_header(28, 0xff, 16), vec![1; 16]].concat(),
    ] {
        let block = store.public.encrypt(&EncryptionScheme::Pkcs1v15, &message).unwrap();
        let error = reopen(CryptographicMode::Mode1, &[&block, &bytes[128..]].concat()).unwrap_err();
        assert_eq!(error.to_string(), Error::Crypto.to_string(), "{} bytes", message.len());
    }
}

#[test]
fn the_wrong_algorithm_is_an_opaque_failure() {
    let (_, bytes) = sealed(CryptographicMode::Mode2, ContentCipher::Ecb, 128);
    let store = store(CryptographicMode::Mode2);
    assert_eq!(open(store, &store.id(), SealAlgorithm::SealedKey, &bytes).unwrap_err().code(), "crypto");
}

#[test]
fn a_batch_reports_each_item_in_its_place() {
    let mode = CryptographicMode::Mode1;
    let (first_key, first) = sealed(mode, ContentCipher::Ecb, 128);
    let (last_key, last) = sealed(mode, ContentCipher::Cbc4k, 256);
    let mut damaged = first.clone();
    damaged[5] ^= 1;
    let items: [&[u8]; 6] = [&first, &damaged, b"short", &[0; 128 + 640], &[], &last];
    let results = open_batch(store(mode), &store(mode).id(), SealAlgorithm::SealedKey, &items).unwrap();
    let codes: Vec<_> = results.iter().map(|result| result.as_ref().map_or_else(Error::code, |_| "opened")).collect();
    assert_eq!(codes, ["opened", "crypto", "malformed", "refused", "malformed", "opened"]);
    assert_eq!(results[0].as_ref().unwrap().key, first_key);
    assert_eq!(results[5].as_ref().unwrap().key, last_key);
    assert!(open_batch(store(mode), &store(mode).id(), SealAlgorithm::SealedKey, &[]).unwrap().is_empty());
}

#[test]
fn an_absent_key_is_named() {
    let (_, bytes) = sealed(CryptographicMode::Mode1, ContentCipher::Ecb, 128);
    let error = open(store(CryptographicMode::Mode1), &store(CryptographicMode::Mode2).id(), SealAlgorithm::SealedKey, &bytes).unwrap_err();
    assert_eq!(error.code(), "not-found");
}

#[test]
fn real_licences_have_sizes_that_are_recognised() {
    let mut found = Vec::new();
    for (name, from) in [("LicenseParserTest_PL_0101right_CBC_xml.bin", 3), ("CleanAlice.txt.pfile", 0), ("android_template_01.ptxt", 0)] {
        let bytes = std::fs::read(format!("{}/../vectors/xrml/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let text = String::from_utf8_lossy(&bytes[from..]);
        for value in text.split("<ENABLINGBITS type=\"").skip(1) {
            let (algorithm, value) = value.split_once('"').unwrap();
            assert_eq!(SealAlgorithm::from_name(algorithm), Some(SealAlgorithm::SealedKeyV2));
            let value = value.split_once("size=\"").unwrap().1;
            let bits: usize = value.split_once('"').unwrap().0.parse().unwrap();
            found.push((bits, Payload::of_length(bits / 8, 256).unwrap()));
        }
    }
    assert_eq!(found, [(2688, Payload::ContentKey), (11904, Payload::PrivateKey), (2816, Payload::ContentKey), (2688, Payload::ContentKey)]);
}

type Sealed = (Vec<u8>, Sealing);

fn confirm(mode: CryptographicMode, made: &[Sealed]) -> Vec<Result<OpenedKey>> {
    let items: Vec<_> = made.iter().map(|(sealed, sealing)| (sealed.as_slice(), sealing)).collect();
    confirm_batch(&store(mode).public, mode, &items)
}

/// What was recorded shows what the recipient finds, and any change of what was sealed is seen. Only what was changed is refused.
#[test]
fn what_was_sealed_is_confirmed_without_the_private_key() {
    for mode in MODES {
        let recipient = &store(mode).public;
        let keys = [128, 256, 128].map(|bits| ContentKey::generate(ContentCipher::Cbc4k, bits).unwrap());
        let mut made = seal_recorded(&keys.each_ref().map(|key| (key, hash_of(mode.signature_hash(), BOUND))), recipient, mode).unwrap();
        for ((found, key), (sealed, _)) in confirm(mode, &made).into_iter().zip(&keys).zip(&made) {
            let found = found.unwrap();
            assert!(found.key == *key && found.is_bound_to(BOUND));
            assert_eq!(reopen(mode, sealed).unwrap(), found, "the private key finds the same");
        }
        for position in (0..recipient.modulus_bytes()).step_by(7).chain([recipient.modulus_bytes() - 1]) {
            made[1].0[position] ^= 0x10;
            let codes: Vec<_> = confirm(mode, &made).into_iter().map(|found| found.map_or_else(|error| error.code(), |_| "ok")).collect();
            assert_eq!(codes, ["ok", "negative", "ok"], "{position}");
            made[1].0[position] ^= 0x10;
        }
        for position in recipient.modulus_bytes()..made[1].0.len() {
            made[1].0[position] ^= 0x10;
            let found = confirm(mode, &made).remove(1);
            assert!(!found.is_ok_and(|found| found.key == keys[1] && found.is_bound_to(BOUND)), "{position}");
            made[1].0[position] ^= 0x10;
        }
        let short = (vec![0; 10], made.remove(0).1);
        assert!(confirm(mode, &[short]).remove(0).is_err());
        assert!(confirm(mode, &[]).is_empty());
    }
}
