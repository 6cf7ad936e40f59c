//! Tokens that fail: taken away, locked, at their limit, write-protected. The error names the function and the return value,
//! nothing panics, and what was there before is as it was.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::{env, thread};

use keykit::Error;
use keykit::key::{CryptographicMode, EncryptionScheme, Hash, RsaSecretKey};
use keykit::licence::{ContentCipher, ContentKey, SealAlgorithm, open_batch, seal};
use keykit::secret::Password;
use keykit::store::{ExportPlaintext as _, Generate as _, KeyRequest, KeyStore, TransportKey};
use keykit::transfer::wrap_rsa_aes;
use keykit_hsm_backends::memory::MemoryStore;
use keykit_hsm_backends::pkcs11::{Pkcs11Options, Pkcs11Store, Pkcs11Uri};
use keykit_tests::child::{NOBODY, in_child, in_child_as_nobody, is_child, skip};
use keykit_tests::nshield::on_nshield;
use keykit_tests::softhsm::{self, PIN, SoftHsm, on_softhsm};
use keykit_tests::tokens::open_labelled;

const LABEL: &str = "target";
const SPIES: [&str; 2] = ["/usr/lib/x86_64-linux-gnu/pkcs11-spy.so", "/usr/lib/pkcs11/pkcs11-spy.so"];

/// Where SoftHSM keeps its tokens, by what this process was told.
fn tokens_folder() -> PathBuf {
    Path::new(&env::var_os("SOFTHSM2_CONF").unwrap()).parent().unwrap().join("tokens")
}

/// Everything below a folder, with what is in it.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(contents(&path)) } else { files.push((path.clone(), fs::read(&path).unwrap())) }
    }
    files.sort();
    files
}

fn software_key() -> RsaSecretKey {
    let store = MemoryStore::new();
    let record = store.generate(2048, &KeyRequest::default()).unwrap();
    store.export_plaintext_danger(&record.id()).unwrap()
}

/// The function and the return value of a failure of the token, which must be there and have a name.
#[track_caller]
fn token_failure<T>(what: &str, result: keykit::Result<T>) -> (String, String) {
    match result {
        Err(Error::Token(error)) => {
            assert!(error.function.starts_with("C_") && error.code.starts_with("CKR_"), "{what}: {error:?}");
            assert!(!error.doing.is_empty() && error.store.starts_with("pkcs11:"), "{what}: {error:?}");
            (error.function, error.code)
        }
        Err(other) => panic!("{what}: another error: {other:?}"),
        Ok(_) => panic!("{what}: it worked"),
    }
}

fn unwrap(store: &Pkcs11Store, transport: &dyn TransportKey, label: &str) -> keykit::Result<()> {
    let key = software_key();
    let blob = wrap_rsa_aes(&key, transport.public(), transport.oaep_hash()).unwrap();
    let outcome = transport.unwrap_in(&blob, key.public(), &KeyRequest::labelled(label)).map(|_| ());
    assert_eq!(store.find(&key.id()).is_ok(), outcome.is_ok());
    outcome
}

#[test]
fn a_token_that_is_taken_away() {
    on_softhsm("a_token_that_is_taken_away", &[LABEL, "stays"], |module| {
        let store = open_labelled(module, LABEL, PIN).unwrap();
        let other = open_labelled(module, "stays", PIN).unwrap();
        let key = store.as_generate().unwrap().generate(2048, &KeyRequest::labelled("k")).unwrap();
        let kept = other.as_generate().unwrap().generate(2048, &KeyRequest::labelled("k")).unwrap();
        let digest = Hash::Sha256.digest(b"before");
        store.sign(&key.id(), &[digest]).unwrap();
        let transport = store.as_unwrap_in().unwrap().transport_key(2048).unwrap();
        let serial = &store.identity().serial;
        let folder = fs::read_dir(tokens_folder())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.to_string_lossy().replace('-', "").ends_with(serial.as_str()));
        fs::remove_dir_all(folder.expect("the token's folder is named after its serial number")).unwrap();

        // No empty list, and no "no such key": the token is what is missing.
        token_failure("keys", store.keys());
        token_failure("find", store.find(&key.id()));
        token_failure("sign", store.sign(&key.id(), &[digest]));
        token_failure("sign many", store.sign(&key.id(), &[digest; 20]));
        let sealed = key.public.encrypt(&EncryptionScheme::Pkcs1v15, b"x").unwrap();
        token_failure("decrypt", store.decrypt(&key.id(), &EncryptionScheme::Pkcs1v15, &[&sealed]));
        token_failure("generate", store.as_generate().unwrap().generate(2048, &KeyRequest::labelled("new")));
        token_failure("unwrap", unwrap(&store, transport.as_ref(), "new"));
        token_failure("destroy", store.as_destroy().unwrap().destroy(&key.id()));
        drop(transport);
        drop(store);
        // The token beside it still works.
        assert!(kept.public.verify(&digest, &other.sign(&kept.id(), &[digest]).unwrap()[0]));
    });
}

/// SoftHSM has CKR_GENERAL_ERROR for a ciphertext that does not open and for a fault of its own.
#[test]
fn a_token_that_fails_is_told_from_a_ciphertext_that_does_not_open() {
    on_nshield("a_token_that_fails_is_told_from_a_ciphertext_that_does_not_open", &[LABEL], |modules| {
        let store = open_labelled(&modules.shim, LABEL, PIN).unwrap();
        let key = store.as_generate().unwrap().generate(2048, &KeyRequest::labelled("k")).unwrap();
        for scheme in [EncryptionScheme::Pkcs1v15, EncryptionScheme::oaep(Hash::Sha1)] {
            let mut sealed: Vec<Vec<u8>> = (0..8_u8).map(|number| key.public.encrypt(&scheme, &[number; 20]).unwrap()).collect();
            sealed[3][200] ^= 1;
            let blocks: Vec<&[u8]> = sealed.iter().map(Vec::as_slice).collect();
            let decrypt = || store.decrypt(&key.id(), &scheme, &blocks);
            let only_the_damaged_one_fails = |what: &str| {
                let opened = decrypt().unwrap_or_else(|error| panic!("{what}: {error}"));
                for (number, item) in opened.iter().enumerate() {
                    match item {
                        Ok(plaintext) => assert!(number != 3 && plaintext.expose() == [u8::try_from(number).unwrap(); 20], "{what}: {number}"),
                        Err(_) => assert_eq!(number, 3, "{what}"),
                    }
                }
            };
            only_the_damaged_one_fails("no fault");
            for code in ["CKR_GENERAL_ERROR", "CKR_DEVICE_ERROR", "CKR_FUNCTION_FAILED"] {
                // A fault that passes: the item is tried again.
                modules.set_faults(&format!("C_Decrypt:2:{code}:after"));
                only_the_damaged_one_fails(code);
                // One that stays: no answer about any item. The token as a whole, and its decryption alone.
                for lasting in ["lost", "forever"] {
                    for nth in [1, 5, 8] {
                        modules.set_faults(&format!("C_Decrypt:{nth}:{code}:after:{lasting}"));
                        let (function, found) = token_failure(code, decrypt());
                        // The fault leaves SoftHSM's operation active, of which the next call may speak.
                        assert!(found == code || found == "CKR_OPERATION_ACTIVE", "{code}: {found}");
                        assert!(function == "C_Decrypt" || lasting == "lost", "{function}");
                    }
                }
                modules.set_faults("");
                only_the_damaged_one_fails("the fault is over");
            }
        }
    });
}

/// The codes blame a blob too. It is only a bad one if the token still takes a good one.
#[test]
fn a_token_that_fails_is_told_from_a_wrapped_key_that_is_not_sound() {
    on_nshield("a_token_that_fails_is_told_from_a_wrapped_key_that_is_not_sound", &[LABEL], |modules| {
        let store = open_labelled(&modules.shim, LABEL, PIN).unwrap();
        let transport = store.as_unwrap_in().unwrap().transport_key(2048).unwrap();
        let key = software_key();
        let mut blob = wrap_rsa_aes(&key, transport.public(), transport.oaep_hash()).unwrap();
        let take = |blob: &[u8]| transport.unwrap_in(blob, key.public(), &KeyRequest::labelled("new"));
        let last = blob.len() - 1;
        for place in [20, last] {
            blob[place] ^= 1;
            assert!(matches!(take(&blob), Err(Error::Crypto)), "a blob with byte {place} changed");
            blob[place] ^= 1;
        }
        for code in ["CKR_GENERAL_ERROR", "CKR_DEVICE_ERROR"] {
            // The AES key and the private key, from a module that is gone and from one that just unwraps no more.
            for fault in ["1:{}:lost", "2:{}:lost", "1:{}:forever", "2:{}:forever"] {
                modules.set_faults(&format!("C_UnwrapKey:{}", fault.replace("{}", code)));
                assert_eq!(token_failure(fault, take(&blob).map(drop)).1, code);
                modules.set_faults("");
                assert!(store.keys().unwrap().is_empty(), "{fault}");
            }
        }
        take(&blob).unwrap();
    });
}

/// Neither the number of calls nor the answer shows whether it was the padding that was wrong, or what stood behind it. What opens takes no
/// call more than its own.
#[test]
fn a_wrong_padding_takes_as_many_calls_as_a_right_one() {
    on_nshield("a_wrong_padding_takes_as_many_calls_as_a_right_one", &[LABEL], |modules| {
        let store = open_labelled(&modules.shim, LABEL, PIN).unwrap();
        let key = store.as_generate().unwrap().generate(2048, &KeyRequest::labelled("k")).unwrap();
        let content_key = ContentKey::generate(ContentCipher::Ecb, 128).unwrap();
        let good = seal(&content_key, &key.public, CryptographicMode::Mode1, "<ISSUEDPRINCIPALS/>").unwrap();
        let with_block = |block: &[u8]| [block, &good[block.len()..]].concat();
        // The padding is wrong; it is right, and a message of another length, or of the right length and another kind, stands behind it.
        let bad_padding = with_block(&good[..256].iter().enumerate().map(|(place, byte)| byte ^ u8::from(place == 200)).collect::<Vec<_>>());
        let right_padding = [20, 28].map(|length| with_block(&key.public.encrypt(&EncryptionScheme::Pkcs1v15, &vec![1; length]).unwrap()));
        let calls = |items: &[&Vec<u8>]| {
            let items: Vec<&[u8]> = items.iter().map(|item| item.as_slice()).collect();
            drop(modules.calls());
            let opened = open_batch(&store, &key.id(), SealAlgorithm::SealedKey, &items).unwrap();
            let expected: Vec<bool> = items.iter().map(|item| *item == good).collect();
            assert_eq!(opened.iter().map(Result::is_ok).collect::<Vec<_>>(), expected);
            assert!(opened.iter().flatten().all(|opened| opened.key == content_key));
            assert!(opened.iter().filter_map(|opened| opened.as_ref().err()).all(|error| matches!(error, Error::Crypto)));
            modules.calls()
        };
        let decryptions = |calls: &[String]| calls.iter().filter(|call| *call == "C_Decrypt").count();
        // The first batch looks for the key.
        drop(calls(&[&good]));
        assert_eq!(decryptions(&calls(&[&good])), 1);
        assert_eq!(decryptions(&calls(&[&good, &good, &good])), 3);
        let wrong = calls(&[&bad_padding]);
        assert_eq!(decryptions(&wrong), 4, "{wrong:?}");
        for right in &right_padding {
            assert_eq!(calls(&[right]), wrong);
            // So many bad items take so many calls, whatever is wrong with them.
            let both = decryptions(&calls(&[&bad_padding, &good, &bad_padding]));
            assert_eq!(decryptions(&calls(&[right, &good, right])), both);
            assert_eq!(decryptions(&calls(&[&bad_padding, &good, right])), both);
        }
    });
}

#[test]
fn a_wrong_pin_is_tried_once() {
    let name = "a_wrong_pin_is_tried_once";
    let spy = SPIES.into_iter().map(Path::new).find(|path| path.exists());
    let (Some(spy), Some(module)) = (spy, softhsm::module()) else {
        return skip(name, "SoftHSM or pkcs11-spy of OpenSC is missing");
    };
    if !is_child() {
        let tokens = SoftHsm::make(&[LABEL]);
        let log = tokens.configuration().with_file_name("calls");
        return in_child(name, &[("SOFTHSM2_CONF", &tokens.configuration()), ("PKCS11SPY", &module), ("PKCS11SPY_OUTPUT", &log)]);
    }
    // The spy writes down every call on its way to SoftHSM.
    let logins = || {
        let calls = fs::read_to_string(env::var_os("PKCS11SPY_OUTPUT").unwrap()).unwrap();
        calls.lines().filter(|line| line.ends_with(": C_Login")).count()
    };
    for attempt in 1..=3 {
        let Err(Error::WrongPin { store, tries }) = open_labelled(spy, LABEL, "0000") else { panic!("attempt {attempt}") };
        assert!(store.contains("token=target") && tries.contains("wrong PINs were entered"), "{store}: {tries}");
        assert_eq!(logins(), attempt, "one C_Login for one PIN");
    }
    let store = open_labelled(spy, LABEL, PIN).unwrap();
    assert_eq!(logins(), 4);
    // A second store joins the login; a wrong PIN then is not even tried.
    open_labelled(spy, LABEL, PIN).unwrap();
    assert!(matches!(open_labelled(spy, LABEL, "0000"), Err(Error::WrongPin { .. })));
    assert!(store.keys().unwrap().is_empty());
    assert_eq!(logins(), 4);
}

/// SoftHSM has no limit of its own; so keykit's is tested: sessions that are held do not starve the others, and a pool of one
/// or none works.
#[test]
fn few_sessions_are_enough() {
    on_softhsm("few_sessions_are_enough", &[LABEL], |module| {
        let uri = Pkcs11Uri { token: Some(LABEL.into()), module_path: Some(module.into()), ..Pkcs11Uri::default() };
        for sessions in [0, 1] {
            let options = Pkcs11Options { sessions, ..Pkcs11Options::default() };
            let store = Pkcs11Store::open(&uri, Some(Password::new(PIN.into())), options).unwrap();
            let key = store.as_generate().unwrap().generate(2048, &KeyRequest::labelled(format!("k{sessions}"))).unwrap();
            let held: Vec<_> = (0..4).map(|_| store.as_unwrap_in().unwrap().transport_key(2048).unwrap()).collect();
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let digests: Vec<_> = (0..10_u8).map(|number| Hash::Sha256.digest(&[number])).collect();
                        let signatures = store.sign(&key.id(), &digests).unwrap();
                        assert!(digests.iter().zip(&signatures).all(|(digest, signature)| key.public.verify(digest, signature)));
                    });
                }
            });
            unwrap(&store, held[3].as_ref(), &format!("u{sessions}")).unwrap();
        }
    });
}

#[test]
fn a_write_protected_folder() {
    let name = "a_write_protected_folder";
    let Some(module) = softhsm::module() else {
        return skip(name, "SoftHSM is not installed (`cargo xtask setup` installs it)");
    };
    if !is_child() {
        let tokens = SoftHsm::make(&[LABEL]);
        let configuration = tokens.configuration();
        let place = configuration.parent().unwrap();
        if place.metadata().unwrap().uid() != 0 {
            return in_child(name, &[("SOFTHSM2_CONF", &configuration)]);
        }
        for_all(place, &|path| chown(path, Some(NOBODY), Some(NOBODY)).unwrap());
        if !in_child_as_nobody(name, &[("SOFTHSM2_CONF", &configuration)]) {
            skip(name, "the superuser runs this, whom no permission stops, and another user cannot run this binary");
        }
        return;
    }
    let store = open_labelled(&module, LABEL, PIN).unwrap();
    let key = store.as_generate().unwrap().generate(2048, &KeyRequest::labelled("k")).unwrap();
    let digest = Hash::Sha256.digest(b"before");
    let signature = store.sign(&key.id(), &[digest]).unwrap();
    let transport = store.as_unwrap_in().unwrap().transport_key(2048).unwrap();
    let before = contents(&tokens_folder());
    protect(true);
    token_failure("generate", store.as_generate().unwrap().generate(2048, &KeyRequest::labelled("new")));
    // SoftHSM has one return value for this and for a wrapped key that is not sound.
    let (function, _) = token_failure("unwrap", unwrap(&store, transport.as_ref(), "new"));
    assert_eq!(function, "C_UnwrapKey");
    assert_eq!(contents(&tokens_folder()), before, "the token is as it was");
    assert_eq!(store.sign(&key.id(), &[digest]).unwrap(), signature);
    assert_eq!(store.keys().unwrap().len(), 1);

    // With the permissions back, the same store goes on.
    protect(false);
    unwrap(&store, transport.as_ref(), "new").unwrap();
    assert_eq!(store.keys().unwrap().len(), 2);

    let before = contents(&tokens_folder());
    protect(true);
    token_failure("destroy", store.as_destroy().unwrap().destroy(&key.id()));
    assert_eq!(contents(&tokens_folder()), before, "the token is as it was");
    protect(false);
}

/// Takes away the right to write into the tokens, or gives it back.
fn protect(protected: bool) {
    let bits = |path: &Path| if path.is_dir() { 0o755 } else { 0o644 } & if protected { 0o555 } else { 0o777 };
    for_all(&tokens_folder(), &|path| fs::set_permissions(path, Permissions::from_mode(bits(path))).unwrap());
}

/// Runs `work` on a folder and everything below it, folders first.
fn for_all(folder: &Path, work: &dyn Fn(&Path)) {
    work(folder);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { for_all(&path, work) } else { work(&path) }
    }
}
