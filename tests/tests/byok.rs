//! Transfer files of every profile, judged by OpenSSL in both directions, and everything that can be wrong with one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use keykit::key::{EncryptionScheme, Hash, RsaPublicKey};
use keykit::secret::SecretBytes;
use keykit::store::{KeyRequest, KeyStore, UnwrapIn as _, UnwrapOutcome, WrapRoute};
use keykit::transfer::{
    AzureTransferFile, Envelope, KeyEncryptionKey, LintReport, Package, PackageOptions, TransferProfile, open_envelope, rehearse, wrap_rsa_aes,
};
use keykit::{Error, Result};
use keykit_hsm_backends::memory::MemoryStore;
use keykit_tests::child::skip;
use keykit_tests::transfers::{KID, KeyInMemory, OpenSsl, confirmed, kek, profile, profiles};

fn options() -> PackageOptions {
    PackageOptions::default()
}

fn options_for(profile: &TransferProfile) -> PackageOptions {
    PackageOptions { kid: profile.kek.kid.then(|| KID.to_owned()), ..options() }
}

fn package(key: &KeyInMemory, kek_bits: usize, profile: &TransferProfile) -> Package {
    let kek = confirmed(&kek(kek_bits).public, profile).unwrap();
    Package::make(&key.store, &key.public.id(), &kek, profile, &options_for(profile)).unwrap()
}

/// Unwraps in a fresh store that holds the key encryption key.
fn receive(blob: &[u8], kek: &KeyInMemory, hash: Hash) -> Result<UnwrapOutcome> {
    let store = MemoryStore::new();
    store.as_import_plaintext()?.import_plaintext(&kek.secret, &KeyRequest::labelled("kek"))?;
    let outcome = store.unwrap_under(&kek.public.id(), hash, blob, None, &KeyRequest::labelled("arrived"));
    assert_eq!(store.keys()?.len(), if outcome.is_ok() { 2 } else { 1 }, "a refused blob leaves nothing");
    outcome
}

/// A blob around any plaintext.
fn blob_around(plaintext: &[u8], kek: &RsaPublicKey, hash: Hash) -> Vec<u8> {
    let ephemeral = KeyEncryptionKey::random().unwrap();
    let mut blob = kek.encrypt(&EncryptionScheme::oaep(hash), ephemeral.expose().expose()).unwrap();
    blob.extend(ephemeral.wrap_with_padding(plaintext).unwrap());
    blob
}

fn pkcs8(key: &KeyInMemory) -> SecretBytes {
    key.secret.to_pkcs8_der().unwrap()
}

#[test]
fn openssl_opens_what_we_write_for_every_profile_and_size() {
    let Some(openssl) = OpenSsl::find() else { return skip("openssl_opens_what_we_write_for_every_profile_and_size", "openssl is not installed") };
    let mut opened = 0;
    for bits in [1024, 2048, 3072, 4096] {
        let key = KeyInMemory::make(bits).unwrap();
        for profile in profiles().iter().filter(|profile| profile.target_bits.contains(&bits)) {
            for &kek_bits in &profile.kek.bits {
                let package = package(&key, kek_bits, profile);
                assert_eq!(package.route, WrapRoute::InMemory);
                let named_byok = profile.envelope == Envelope::AzureByok;
                let lint = LintReport::of(&package.bytes, named_byok, std::slice::from_ref(profile));
                let kid_of_other_kind = profile.name == "azure-managed-hsm";
                assert!(lint.findings.is_empty() && (lint.profiles[0].suits || kid_of_other_kind), "{}: {lint:?}", profile.name);
                let blob = match profile.envelope {
                    Envelope::AzureByok => AzureTransferFile::parse(&package.bytes).unwrap().blob,
                    Envelope::Raw => package.bytes.clone(),
                    _ => {
                        std::fs::write(openssl.path("blob.b64"), &package.bytes).unwrap();
                        openssl.run("base64 -d -A -in blob.b64")
                    }
                };
                let inside = openssl.unwrap(&blob, &kek(kek_bits).secret, profile.oaep_hash);
                assert_eq!(inside, pkcs8(&key).expose(), "{} under {kek_bits}", profile.name);
                opened += 1;
            }
        }
    }
    // Three sizes of keys under the 21 key encryption keys of eleven profiles, and 1024 bits for one profile.
    assert_eq!(opened, 3 * 21 + 3);
}

#[test]
fn we_open_what_openssl_writes_for_every_profile() {
    let Some(openssl) = OpenSsl::find() else { return skip("we_open_what_openssl_writes_for_every_profile", "openssl is not installed") };
    let key = KeyInMemory::make(2048).unwrap();
    for profile in profiles() {
        for &kek_bits in &profile.kek.bits {
            let blob = openssl.wrap(pkcs8(&key).expose(), &kek(kek_bits).public, profile.oaep_hash);
            std::fs::write(openssl.path("blob.bin"), &blob).unwrap();
            let base64 = String::from_utf8(openssl.run("base64 -A -in blob.bin")).unwrap();
            let bytes = match profile.envelope {
                Envelope::Raw => blob,
                Envelope::AzureByok => {
                    let ciphertext = base64.replace('+', "-").replace('/', "_");
                    format!(
                        r#"{{"schema_version":"1.0.0","header":{{"kid":"{KID}","alg":"dir","enc":"CKM_RSA_AES_KEY_WRAP"}},"ciphertext":"{ciphertext}","generator":"openssl"}}"#
                    )
                    .into_bytes()
                }
                _ => base64.into_bytes(),
            };
            let outcome = receive(&open_envelope(&bytes, &profile).unwrap(), kek(kek_bits), profile.oaep_hash).unwrap();
            assert_eq!(outcome.record.public, key.public, "{}", profile.name);
            assert!(outcome.findings.is_empty());
        }
    }
}

#[test]
fn every_profile_is_rehearsed_in_memory_and_leaves_nothing() {
    let key = KeyInMemory::make(2048).unwrap();
    let receiver = MemoryStore::new();
    for profile in profiles() {
        let rehearsal = rehearse(&key.store, &key.public.id(), &receiver, &profile, None, &options()).unwrap();
        assert_eq!(Some(&rehearsal.kek_bits), profile.kek.bits.last());
        assert!(receiver.keys().unwrap().is_empty(), "{}", profile.name);
    }
    let refused = rehearse(&key.store, &key.public.id(), &key.store, &profile("pkcs11"), None, &options()).unwrap_err();
    assert_eq!(refused.code(), "refused", "a store that holds the key cannot play the receiver");
    assert!(key.store.find(&key.public.id()).is_ok(), "and keeps it");
    let size = rehearse(&key.store, &key.public.id(), &receiver, &profile("oci-vault"), Some(2048), &options()).unwrap_err();
    assert!(size.to_string().contains("[kek-size]"), "{size}");
}

#[test]
fn another_hash_than_the_profile_says_is_named() {
    let key = KeyInMemory::make(2048).unwrap();
    for (made, wanted) in [(Hash::Sha1, Hash::Sha256), (Hash::Sha256, Hash::Sha1), (Hash::Sha512, Hash::Sha256)] {
        let blob = wrap_rsa_aes(&key.secret, &kek(3072).public, made).unwrap();
        let error = receive(&blob, kek(3072), wanted).unwrap_err();
        assert_eq!(error.code(), "negative");
        assert!(error.to_string().contains(&format!("OAEP with {made}; the profile wants {wanted} [oaep-hash]")), "{error}");
    }
}

#[test]
fn a_wrong_key_encryption_key_opens_nothing() {
    let key = KeyInMemory::make(2048).unwrap();
    let (right, wrong) = (kek(2048), KeyInMemory::make(2048).unwrap());
    let blob = wrap_rsa_aes(&key.secret, &right.public, Hash::Sha256).unwrap();
    assert!(matches!(receive(&blob, &wrong, Hash::Sha256), Err(Error::Crypto)));
    // One of another size is told by the length.
    assert_eq!(receive(&blob, kek(3072), Hash::Sha256).unwrap_err().code(), "malformed");
    receive(&blob, right, Hash::Sha256).unwrap();
}

#[test]
fn a_tampered_byte_anywhere_and_a_blob_that_is_cut_are_refused() {
    let key = KeyInMemory::make(2048).unwrap();
    for profile in [profile("azure-key-vault"), profile("aws-kms-sha256"), profile("vault-transit")] {
        let blob = open_envelope(&package(&key, 4096, &profile).bytes, &profile).unwrap();
        let edges = [0, 1, 511, 512, 513, 519, 520, 527, blob.len() - 9, blob.len() - 1];
        for (number, position) in (0..blob.len()).step_by(37).chain(edges).enumerate() {
            let mut tampered = blob.clone();
            tampered[position] ^= 1 << (number % 8);
            assert!(matches!(receive(&tampered, kek(4096), profile.oaep_hash), Err(Error::Crypto)), "{}: {position}", profile.name);
        }
        for length in [0, 1, 511, 512, 520, 552, 1000, blob.len() - 8, blob.len() - 1] {
            let error = receive(&blob[..length], kek(4096), profile.oaep_hash).unwrap_err();
            // Eight bytes less may still be a key of this size; then it does not open.
            assert!(["malformed", "crypto"].contains(&error.code()), "{length}: {error}");
        }
    }
}

/// Every byte, under the smallest key encryption key.
#[test]
fn every_single_byte_of_a_blob_is_guarded() {
    let key = KeyInMemory::make(2048).unwrap();
    let kek = kek(2048);
    let store = MemoryStore::new();
    store.as_import_plaintext().unwrap().import_plaintext(&kek.secret, &KeyRequest::labelled("kek")).unwrap();
    let blob = wrap_rsa_aes(&key.secret, &kek.public, Hash::Sha1).unwrap();
    let unwrap = |blob: &[u8]| store.unwrap_under(&kek.public.id(), Hash::Sha1, blob, None, &KeyRequest::labelled("arrived"));
    for position in 0..blob.len() {
        let mut tampered = blob.clone();
        tampered[position] ^= 1 << (position % 8);
        assert!(matches!(unwrap(&tampered), Err(Error::Crypto)), "{position}");
    }
    assert_eq!(store.keys().unwrap().len(), 1);
    unwrap(&blob).unwrap();
}

/// Of a .byok file only the ciphertext is guarded by cryptography. The kid and the generator are words beside it: who changes them
/// is not found out, and Azure tells by the kid which key to open the file with. Every other change breaks the file.
#[test]
fn every_single_byte_of_a_byok_file_is_guarded_but_the_kid_and_the_generator() {
    let key = KeyInMemory::make(2048).unwrap();
    let azure = profile("azure-key-vault");
    let file = package(&key, 2048, &azure).bytes;
    let blob = open_envelope(&file, &azure).unwrap();
    let text = String::from_utf8(file.clone()).unwrap();
    let span = |value: &str| {
        let start = text.find(value).unwrap();
        start..start + value.len()
    };
    let parsed = AzureTransferFile::parse(&file).unwrap();
    let words = [span(&parsed.kid), span(&parsed.generator)];
    let mut guarded = [0; 2];
    for position in 0..file.len() {
        let mut tampered = file.clone();
        tampered[position] ^= 1;
        let in_words = words.iter().any(|words| words.contains(&position));
        match open_envelope(&tampered, &azure) {
            Err(_) => guarded[0] += 1,
            Ok(other) if other != blob => {
                guarded[1] += 1;
                if position % 16 == 0 {
                    assert!(matches!(receive(&other, kek(2048), Hash::Sha1), Err(Error::Crypto)), "{position}");
                }
            }
            Ok(_) => assert!(in_words, "byte {position} ({:?}) is changed and nothing tells", char::from(file[position])),
        }
    }
    assert!(guarded[0] > 150 && guarded[1] > 1000, "{guarded:?}");
}

#[test]
fn zeros_behind_the_key_are_cut_with_a_warning_up_to_seven() {
    let key = KeyInMemory::make(2048).unwrap();
    for zeros in 0..=8 {
        let padded = [pkcs8(&key).expose(), &vec![0; zeros]].concat();
        let outcome = receive(&blob_around(&padded, &kek(2048).public, Hash::Sha1), kek(2048), Hash::Sha1);
        match zeros {
            0 => assert!(outcome.unwrap().findings.is_empty()),
            1..=7 => {
                let outcome = outcome.unwrap();
                assert_eq!(outcome.record.public, key.public);
                assert_eq!(outcome.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["trailing-zeros"]);
            }
            _ => assert!(outcome.unwrap_err().to_string().contains("[trailing-bytes]")),
        }
    }
    for behind in [&[1][..], &[0, 0, 1], &[0; 9]] {
        let padded = [pkcs8(&key).expose(), behind].concat();
        let error = receive(&blob_around(&padded, &kek(2048).public, Hash::Sha1), kek(2048), Hash::Sha1).unwrap_err();
        assert!(error.code() == "malformed" && error.to_string().contains("[trailing-bytes]"), "{error}");
    }
}

#[test]
fn an_empty_key_is_refused_by_its_length() {
    let ephemeral = KeyEncryptionKey::random().unwrap();
    let mut blob = kek(2048).public.encrypt(&EncryptionScheme::oaep(Hash::Sha1), ephemeral.expose().expose()).unwrap();
    blob.extend([0xa6, 0x59, 0x59, 0xa6, 0, 0, 0, 0]);
    let error = receive(&blob, kek(2048), Hash::Sha1).unwrap_err();
    assert!(error.to_string().contains("[empty-key]"), "{error}");
    assert!(open_envelope(&blob, &profile("aws-kms-sha1")).unwrap_err().to_string().contains("[empty-key]"));
}

#[test]
fn attributes_in_pkcs8_are_dropped_with_a_warning() {
    let key = KeyInMemory::make(2048).unwrap();
    let plain = pkcs8(&key);
    // PrivateKeyInfo with [0] attributes: keyUsage as CryptoAPI writes it (OID 2.5.29.15, a SET with a BIT STRING).
    let attributes = [0xa0, 0x0d, 0x30, 0x0b, 0x06, 0x03, 0x55, 0x1d, 0x0f, 0x31, 0x04, 0x03, 0x02, 0x00, 0x10];
    let content = [&plain.expose()[4..], &attributes].concat();
    let with = [&[0x30, 0x82], &u16::try_from(content.len()).unwrap().to_be_bytes()[..], &content].concat();
    let outcome = receive(&blob_around(&with, &kek(2048).public, Hash::Sha1), kek(2048), Hash::Sha1).unwrap();
    assert_eq!(outcome.record.public, key.public);
    assert_eq!(outcome.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["pkcs8-attributes"]);
}

#[test]
fn an_ec_key_where_rsa_is_needed_is_named() {
    let ec = keykit_vectors::read("transfer/ec-private.p8").unwrap();
    let blob = blob_around(&ec, &kek(2048).public, Hash::Sha1);
    let error = open_envelope(&blob, &profile("aws-kms-sha1")).unwrap_err();
    assert!(error.to_string().contains("[not-rsa]"), "{error}");
    assert!(receive(&blob, kek(2048), Hash::Sha1).unwrap_err().to_string().contains("[not-rsa]"));
    // One that is as long as an RSA key by what stands in it.
    let mut long = ec.clone();
    let attributes = vec![0x04; 1083];
    long.extend([&[0xa0, 0x82, 0x04, 0x3b][..], &attributes].concat());
    let content = long.split_off(3);
    let long = [&[0x30, 0x82], &u16::try_from(content.len()).unwrap().to_be_bytes()[..], &content].concat();
    let error = receive(&blob_around(&long, &kek(2048).public, Hash::Sha1), kek(2048), Hash::Sha1).unwrap_err();
    assert!(error.to_string().contains("an EC key, where an RSA key is needed [not-rsa]"), "{error}");
}

#[test]
fn keys_that_a_receiver_does_not_take_are_refused_before_anything_is_wrapped() {
    let small = KeyInMemory::make(1024).unwrap();
    for profile in profiles() {
        let kek = confirmed(&kek(*profile.kek.bits.last().unwrap()).public, &profile).unwrap();
        let made = Package::make(&small.store, &small.public.id(), &kek, &profile, &options_for(&profile));
        if profile.name == "pkcs11" {
            made.unwrap();
        } else {
            let error = made.unwrap_err();
            assert!(error.code() == "refused" && error.to_string().contains("[target-size]"), "{error}");
        }
        // And a key encryption key of 1024 bits.
        let error = confirmed(&small.public, &profile).unwrap_err();
        assert!(error.code() == "refused" && error.to_string().contains("[kek-size]"), "{error}");
    }
    let key = kek(2048);
    let itself = confirmed(&key.public, &profile("pkcs11")).unwrap();
    let error = Package::make(&key.store, &key.public.id(), &itself, &profile("pkcs11"), &options()).unwrap_err();
    assert!(error.to_string().contains("[kek-is-key]"), "{error}");
}

#[test]
fn the_kid_is_needed_where_it_has_a_place_and_nowhere_else() {
    let key = KeyInMemory::make(2048).unwrap();
    let make = |name: &str, kid: Option<&str>| {
        let profile = profile(name);
        let kek = confirmed(&kek(4096).public, &profile).unwrap();
        Package::make(&key.store, &key.public.id(), &kek, &profile, &PackageOptions { kid: kid.map(str::to_owned), ..options() })
    };
    let codes = |package: Package| package.findings.iter().map(|finding| finding.code).collect::<Vec<_>>();
    assert_eq!(codes(make("azure-key-vault", None).unwrap()), ["kid-missing"]);
    assert_eq!(codes(make("azure-key-vault", Some("KEKforBYOK")).unwrap()), ["kid-form"]);
    assert_eq!(codes(make("azure-key-vault", Some(KID)).unwrap()), Vec::<&str>::new());
    assert_eq!(codes(make("azure-managed-hsm", Some(KID)).unwrap()), ["kid-host"]);
    assert_eq!(make("aws-kms-sha1", Some(KID)).unwrap_err().code(), "usage");
    let package = make("azure-key-vault", Some(KID)).unwrap();
    let mut values = package.values.clone();
    values.insert("file".into(), "contoso.byok".into());
    values.insert("name".into(), "contoso-slc".into());
    assert_eq!(
        profile("azure-key-vault").next_commands(&values),
        [
            "az keyvault key import --vault-name contoso --name contoso-slc --byok-file contoso.byok --ops decrypt encrypt sign unwrapKey verify wrapKey"
        ]
    );
}

#[test]
fn a_file_for_another_kind_of_receiver_is_refused() {
    let key = KeyInMemory::make(2048).unwrap();
    let azure = package(&key, 4096, &profile("azure-key-vault"));
    let error = open_envelope(&azure.bytes, &profile("aws-kms-sha1")).unwrap_err();
    assert!(error.code() == "refused" && error.to_string().contains("[envelope]"), "{error}");
    let raw = package(&key, 2048, &profile("aws-kms-sha256"));
    assert_eq!(open_envelope(&raw.bytes, &profile("google-kms-4096-sha256")).unwrap_err().code(), "malformed");
    assert_eq!(open_envelope(b"Dear all", &profile("pkcs11")).unwrap_err().code(), "malformed");
    let expected = KeyInMemory::make(1024).unwrap();
    let store = &kek(2048).store;
    let blob = open_envelope(&raw.bytes, &profile("aws-kms-sha256")).unwrap();
    let error = store.unwrap_under(&kek(2048).public.id(), Hash::Sha256, &blob, Some(&expected.public), &KeyRequest::labelled("x")).unwrap_err();
    assert_eq!(error.code(), "conflict");
}

#[test]
fn nothing_of_the_key_is_in_the_file() {
    let key = KeyInMemory::make(2048).unwrap();
    for profile in profiles() {
        let package = package(&key, *profile.kek.bits.last().unwrap(), &profile);
        let blob = open_envelope(&package.bytes, &profile).unwrap();
        key.secret
            .with_components(|numbers| {
                for secret in [numbers.d, numbers.p, numbers.q] {
                    assert!(!blob.windows(16).any(|window| window == &secret[secret.len() - 16..]));
                }
                Ok(())
            })
            .unwrap();
    }
}
