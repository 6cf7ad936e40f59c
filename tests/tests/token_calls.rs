//! What one operation costs on a token: one C_Sign or C_Decrypt with its initialisation, and nothing else. Sessions are opened once, the
//! PIN is given once, and a key is looked for once; a batch goes through several sessions at a time.
//!
//! pkcs11-spy of OpenSC stands between keykit and SoftHSM and writes down every call.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs};

use keykit::key::{EncryptionScheme, Hash};
use keykit::secret::Password;
use keykit::store::{KeyRequest, KeyStore};
use keykit_hsm_backends::pkcs11::{Pkcs11Options, Pkcs11Store, Pkcs11Uri};
use keykit_tests::child::{in_child, is_child, skip};
use keykit_tests::softhsm::{self, PIN, SoftHsm};

const LABEL: &str = "target";
const SPIES: [&str; 2] = ["/usr/lib/x86_64-linux-gnu/pkcs11-spy.so", "/usr/lib/pkcs11/pkcs11-spy.so"];
/// Items of a batch, and sessions that work on it.
const ITEMS: usize = 12;
const SESSIONS: usize = 3;
/// Batches at a time, each from a thread of its own.
const BATCHES: usize = 6;

/// Calls by name.
type Calls = BTreeMap<String, usize>;

/// What the spy wrote down so far: `N: C_Name` begins a call.
fn calls() -> Calls {
    let text = fs::read_to_string(env::var_os("PKCS11SPY_OUTPUT").unwrap()).unwrap();
    let names = text.lines().filter_map(|line| line.split_once(": C_")).filter(|(number, _)| number.parse::<u64>().is_ok());
    names.fold(Calls::new(), |mut calls, (_, name)| {
        *calls.entry(format!("C_{}", name.trim())).or_default() += 1;
        calls
    })
}

/// The calls that `work` makes.
fn calls_of<T>(work: impl FnOnce() -> T) -> (T, Calls) {
    let before = calls();
    let result = work();
    let mut after = calls();
    for (name, count) in before {
        *after.entry(name).or_default() -= count;
    }
    after.retain(|_, count| *count > 0);
    (result, after)
}

fn expected(calls: &[(&str, usize)]) -> Calls {
    calls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn one_operation_is_one_call_and_its_initialisation() {
    let name = "one_operation_is_one_call_and_its_initialisation";
    let spy = SPIES.map(Path::new).into_iter().find(|path| path.exists());
    let (Some(spy), Some(module)) = (spy, softhsm::module()) else {
        return skip(name, "SoftHSM or pkcs11-spy of OpenSC is missing");
    };
    if !is_child() {
        let tokens = SoftHsm::make(&[LABEL]);
        let log = tokens.configuration().with_file_name("calls");
        return in_child(name, &[("SOFTHSM2_CONF", &tokens.configuration()), ("PKCS11SPY", &module), ("PKCS11SPY_OUTPUT", &log)]);
    }
    let uri = Pkcs11Uri { token: Some(LABEL.into()), module_path: Some(spy.into()), ..Pkcs11Uri::default() };
    let options = Pkcs11Options { sessions: SESSIONS, ..Pkcs11Options::default() };
    let store = Pkcs11Store::open(&uri, Some(Password::new(PIN.into())), options).unwrap();
    let key = store.as_generate().unwrap().generate(2048, &KeyRequest::labelled("k")).unwrap().public;
    let digests: Vec<_> = (0..ITEMS).map(|number| Hash::Sha256.digest(&number.to_be_bytes())).collect();
    let schemes = [EncryptionScheme::Pkcs1v15, EncryptionScheme::oaep(Hash::Sha1)];
    let sealed = schemes.each_ref().map(|scheme| (0..ITEMS).map(|_| key.encrypt(scheme, b"content key").unwrap()).collect::<Vec<_>>());
    let decrypt = |scheme: usize, count: usize| {
        let ciphertexts: Vec<&[u8]> = sealed[scheme].iter().take(count).map(Vec::as_slice).collect();
        let opened = store.decrypt(&key.id(), &schemes[scheme], &ciphertexts).unwrap();
        assert!(opened.len() == count && opened.iter().all(|plain| plain.as_ref().unwrap().expose() == b"content key"));
    };
    // The first batch finds the key and opens the sessions.
    let (_, first) = calls_of(|| store.sign(&key.id(), &digests).unwrap());
    assert_eq!((first["C_SignInit"], first["C_Sign"]), (ITEMS, ITEMS), "{first:?}");
    assert_eq!(calls()["C_Login"], 1, "one PIN for all sessions");

    for count in [1, ITEMS] {
        let (signatures, cost) = calls_of(|| store.sign(&key.id(), &digests[..count]).unwrap());
        assert_eq!(cost, expected(&[("C_SignInit", count), ("C_Sign", count)]));
        assert!(digests.iter().zip(&signatures).all(|(digest, signature)| key.verify(digest, signature)));
        for (scheme, name) in schemes.iter().enumerate() {
            let ((), cost) = calls_of(|| decrypt(scheme, count));
            assert_eq!(cost, expected(&[("C_DecryptInit", count), ("C_Decrypt", count)]), "{name}");
        }
    }
    // Batches from many threads share the sessions: each has one, and what is left of the store's own.
    let ((), cost) = calls_of(|| {
        std::thread::scope(|scope| {
            for _ in 0..BATCHES {
                scope.spawn(|| store.sign(&key.id(), &digests).unwrap());
            }
        });
    });
    assert_eq!((cost["C_SignInit"], cost["C_Sign"]), (BATCHES * ITEMS, BATCHES * ITEMS));
    assert!(cost.get("C_OpenSession").is_none_or(|opened| *opened < BATCHES) && !cost.contains_key("C_FindObjectsInit"), "{cost:?}");

    // Each of the batch's calls names its session: all of them had work.
    let text = fs::read_to_string(env::var_os("PKCS11SPY_OUTPUT").unwrap()).unwrap();
    let mut sessions = std::collections::BTreeSet::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.ends_with(": C_Sign") {
            sessions.extend(lines.by_ref().find(|line| line.starts_with("[in] hSession")));
        }
    }
    assert!(sessions.len() >= SESSIONS, "{sessions:?}");
}
