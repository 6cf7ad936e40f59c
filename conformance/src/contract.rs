//! The contract of [`KeyStore`] and its capabilities, case by case.

use std::thread;

use keykit::Error;
use keykit::key::{Digest, EncryptionScheme, Hash, KeyId, RsaSecretKey};
use keykit::secret::SecretBytes;
use keykit::store::protection::Protection;
use keykit::store::{ExportPlaintext as _, Generate as _, ImportPlaintext as _, KeyRecord, KeyRequest, KeyStore, Transferability, WrapPolicy};
use keykit::transfer::{unwrap_rsa_aes, wrap_rsa_aes};
use keykit_hsm_backends::memory::MemoryStore;

use crate::loader::Loaded;
use crate::report::{Outcome, Report};
use crate::{Loader, Options};

/// What a case needs.
struct Bench<'run> {
    store: &'run dyn KeyStore,
    loader: &'run dyn Loader,
    options: &'run Options,
    /// Two keys of the size that the options ask for.
    one: RsaSecretKey,
    other: RsaSecretKey,
}

type Case = fn(&Bench<'_>) -> Result<(), Outcome>;

const CASES: [(&str, Case); 17] = [
    ("a batch of signatures is its single ones, in order", batch_of_signatures),
    ("a batch of decryptions is its single ones, in order", batch_of_decryptions),
    ("an empty batch has no results", empty_batches),
    ("signatures verify for every hash that is taken", every_hash),
    ("several threads sign and decrypt at once", several_threads),
    ("a key that is not there is not found", missing_key),
    ("keys are listed once, in a stable order", listing),
    ("the same key twice is one key", idempotent_load),
    ("another key under the same label is a conflict", label_conflict),
    ("another key under the same local id is a conflict", local_id_conflict),
    ("label and local id are read back", attributes),
    ("a key that may not leave is not wrapped out", wrap_refused),
    ("a wrapped key opens to the same key", wrap_round_trip),
    ("a tampered blob is refused and leaves nothing", tampered_blob),
    ("a blob with another key is a conflict and leaves nothing", other_key_in_blob),
    ("a key in the clear is the same key", plaintext_round_trip),
    ("a generated key works and is gone when it is destroyed", generate_and_destroy),
];

/// Runs the contract's cases (17).
#[must_use]
pub fn run(store: &dyn KeyStore, loader: &dyn Loader, options: &Options) -> Report {
    let mut report = Report::new("store contract");
    let keys = new_key(options).and_then(|one| Ok((one, new_key(options)?)));
    let (one, other) = match keys {
        Ok(keys) => keys,
        Err(error) => {
            report.record("making keys", Outcome::Failed(error.to_string()));
            return report;
        }
    };
    let bench = Bench { store, loader, options, one, other };
    for (name, case) in CASES {
        report.record(name, case(&bench).err().unwrap_or(Outcome::Passed));
    }
    report
}

fn new_key(options: &Options) -> keykit::Result<RsaSecretKey> {
    let store = MemoryStore::new();
    let record = store.generate(options.contract_modulus_bits, &KeyRequest::default())?;
    store.export_plaintext_danger(&record.id())
}

impl<'run> Bench<'run> {
    fn load(&self, key: &RsaSecretKey, request: &KeyRequest) -> keykit::Result<Loaded<'run>> {
        Loaded::new(self.store, self.loader, key, request)
    }

    fn load_one(&self) -> keykit::Result<Loaded<'run>> {
        self.load(&self.one, &self.request(Transferability::Never))
    }

    fn request(&self, transferability: Transferability) -> KeyRequest {
        KeyRequest { transferability, ..KeyRequest::labelled(format!("contract {}", self.one.id().short())) }
    }

    fn is_there(&self, key: &RsaSecretKey) -> bool {
        self.store.find(&key.id()).is_ok()
    }
}

/// Fails the case with `problem` unless `holds`.
fn ensure(holds: bool, problem: &str) -> Result<(), Outcome> {
    if holds { Ok(()) } else { Err(Outcome::Failed(problem.to_owned())) }
}

/// Fails the case unless the error has one of these codes; what the store lacks is skipped.
fn ensure_error<T>(result: keykit::Result<T>, codes: &[&str]) -> Result<(), Outcome> {
    match result {
        Ok(_) => Err(Outcome::Failed(format!("it worked, where {} is due", codes.join(" or ")))),
        Err(error) if codes.contains(&error.code()) => Ok(()),
        Err(error @ Error::Unsupported { .. }) => Err(error.into()),
        Err(error) => Err(Outcome::Failed(format!("{} where {} is due: {error}", error.code(), codes.join(" or ")))),
    }
}

fn digests() -> Vec<Digest> {
    (0..25_u8).map(|number| Hash::Sha256.digest(&[number])).collect()
}

fn batch_of_signatures(bench: &Bench<'_>) -> Result<(), Outcome> {
    let key = bench.load_one()?;
    let digests = digests();
    let batch = bench.store.sign(&key.id(), &digests)?;
    ensure(batch.len() == digests.len(), "another number of signatures")?;
    for (digest, signature) in digests.iter().zip(&batch) {
        ensure(bench.one.public().verify(digest, signature), "a signature does not verify")?;
        ensure(bench.store.sign(&key.id(), &[*digest])? == [signature.clone()], "a single signature differs")?;
    }
    Ok(())
}

fn batch_of_decryptions(bench: &Bench<'_>) -> Result<(), Outcome> {
    let key = bench.load_one()?;
    for scheme in [EncryptionScheme::oaep(Hash::Sha1), EncryptionScheme::Pkcs1v15] {
        let mut sealed = Vec::new();
        for number in 0..10_u8 {
            sealed.push(bench.one.public().encrypt(&scheme, &[number; 16])?);
        }
        // Bad ones in between: too short, empty, above the modulus, and one that was sealed to another key.
        let foreign = bench.other.public().encrypt(&scheme, b"foreign")?;
        for (position, bad) in [(1, vec![1; 16]), (4, Vec::new()), (7, vec![0xff; bench.one.public().modulus_bytes()]), (9, foreign)] {
            sealed.insert(position, bad);
        }
        let batch: Vec<&[u8]> = sealed.iter().map(Vec::as_slice).collect();
        let results = bench.store.decrypt(&key.id(), &scheme, &batch)?;
        ensure(results.len() == batch.len(), "another number of results")?;
        let opened: Vec<u8> = results.iter().flatten().filter_map(|plaintext| plaintext.expose().first().copied()).collect();
        ensure(opened == (0..10).collect::<Vec<_>>(), &format!("{scheme}: the good ones are not opened, in order, and no other"))?;
        for (ciphertext, result) in batch.iter().zip(&results) {
            let single = bench.store.decrypt(&key.id(), &scheme, &[ciphertext])?;
            ensure(single.first() == Some(result), &format!("{scheme}: a single result differs"))?;
        }
    }
    Ok(())
}

fn empty_batches(bench: &Bench<'_>) -> Result<(), Outcome> {
    let key = bench.load_one()?;
    ensure(bench.store.sign(&key.id(), &[])?.is_empty(), "a signature of nothing")?;
    ensure(bench.store.decrypt(&key.id(), &EncryptionScheme::oaep(Hash::Sha1), &[])?.is_empty(), "a plaintext of nothing")
}

fn every_hash(bench: &Bench<'_>) -> Result<(), Outcome> {
    let key = bench.load_one()?;
    for hash in Hash::ALL {
        let digest = hash.digest(b"message");
        let signatures = match bench.store.sign(&key.id(), &[digest]) {
            // The hashes of the two modes of the service are a must.
            Err(Error::Unsupported { .. }) if !matches!(hash, Hash::Sha1 | Hash::Sha256) => continue,
            result => result?,
        };
        let verified = signatures.iter().all(|signature| bench.one.public().verify(&digest, signature));
        ensure(signatures.len() == 1 && verified, &format!("{hash} does not verify"))?;
    }
    Ok(())
}

fn several_threads(bench: &Bench<'_>) -> Result<(), Outcome> {
    let key = bench.load_one()?;
    let (id, store) = (key.id(), bench.store);
    let expected = store.sign(&id, &digests())?;
    let scheme = EncryptionScheme::oaep(Hash::Sha1);
    let sealed = (0..25_u8).map(|number| bench.one.public().encrypt(&scheme, &[number; 16])).collect::<keykit::Result<Vec<_>>>()?;
    let sealed: Vec<&[u8]> = sealed.iter().map(Vec::as_slice).collect();
    // Each thread does both, half of them in the other order, so that the two kinds of work meet.
    let work = &|sign_first: bool| {
        let first = if sign_first { Some(store.sign(&id, &digests())?) } else { None };
        let opened = store.decrypt(&id, &scheme, &sealed)?;
        let signatures = first.map_or_else(|| store.sign(&id, &digests()), Ok)?;
        Ok::<_, Error>((signatures, opened))
    };
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|number| scope.spawn(move || work(number % 2 == 0))).collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    for result in results {
        let (signatures, opened) = result.map_err(|_| Outcome::Failed("a thread panicked".into()))??;
        ensure(signatures == expected, "the signatures differ")?;
        let opened: Vec<&[u8]> = opened.iter().flatten().map(SecretBytes::expose).collect();
        ensure(opened.len() == 25 && opened.iter().zip(0..25_u8).all(|(plaintext, number)| *plaintext == [number; 16]), "a plaintext differs")?;
    }
    Ok(())
}

fn missing_key(bench: &Bench<'_>) -> Result<(), Outcome> {
    let id = bench.other.id();
    ensure_error(bench.store.find(&id), &["not-found"])?;
    ensure_error(bench.store.sign(&id, &digests()), &["not-found"])?;
    ensure_error(bench.store.decrypt(&id, &EncryptionScheme::oaep(Hash::Sha1), &[&[0; 256]]), &["not-found"])?;
    if let Ok(destroy) = bench.store.as_destroy() {
        ensure_error(destroy.destroy(&id), &["not-found"])?;
    }
    Ok(())
}

fn listing(bench: &Bench<'_>) -> Result<(), Outcome> {
    let one = bench.load_one()?;
    let other = bench.load(&bench.other, &KeyRequest::labelled("contract other"))?;
    let ids = || bench.store.keys().map(|keys| keys.iter().map(KeyRecord::id).collect::<Vec<_>>());
    let listed = ids()?;
    for id in [one.id(), other.id()] {
        ensure(listed.iter().filter(|listed| **listed == id).count() == 1, "a key is not listed once")?;
        ensure(bench.store.find(&id)?.id() == id, "another key is found")?;
    }
    ensure(ids()? == listed, "the order changes")
}

fn idempotent_load(bench: &Bench<'_>) -> Result<(), Outcome> {
    let first = bench.load_one()?;
    let count = bench.store.keys()?.len();
    let again = bench.loader.load(bench.store, &bench.one, &KeyRequest::labelled("contract again"))?;
    ensure(again.id() == first.id() && again.attributes.label == first.record.attributes.label, "the first key was changed")?;
    ensure(bench.store.keys()?.len() == count, "the key is there twice")
}

fn label_conflict(bench: &Bench<'_>) -> Result<(), Outcome> {
    let _one = bench.load_one()?;
    let count = bench.store.keys()?.len();
    ensure_error(bench.load(&bench.other, &bench.request(Transferability::Never)), &["conflict"])?;
    ensure(bench.store.keys()?.len() == count && !bench.is_there(&bench.other), "something was stored")
}

fn local_id_conflict(bench: &Bench<'_>) -> Result<(), Outcome> {
    let _one = bench.load_one()?;
    let local_id = Some(KeyRequest::default().local_id_for(&bench.one.id()));
    let request = KeyRequest { local_id, ..KeyRequest::labelled("contract other") };
    ensure_error(bench.load(&bench.other, &request), &["conflict"])?;
    ensure(!bench.is_there(&bench.other), "something was stored")
}

fn attributes(bench: &Bench<'_>) -> Result<(), Outcome> {
    let request = KeyRequest { local_id: Some(vec![0xab, 0x01]), ..bench.request(Transferability::Never) };
    let _one = bench.load(&bench.one, &request)?;
    let record = bench.store.find(&bench.one.id())?;
    ensure(record.public == *bench.one.public(), "the public half is another")?;
    ensure(record.attributes.label == request.label, "the label is another")?;
    ensure(record.attributes.local_id == "ab01", "the local id is another")?;
    ensure(record.attributes.extractable != Some(true), "a key that may not leave is extractable")?;
    // A store in software says truly that its keys are not.
    let in_software = record.protection.protection == Protection::Software;
    ensure(record.attributes.sensitive == Some(true) || in_software, "it does not say that the key is sensitive")?;
    ensure(record.attributes.can_sign != Some(false) && record.attributes.can_decrypt != Some(false), "it cannot sign or decrypt")
}

fn policy(oaep_hash: Hash) -> WrapPolicy {
    WrapPolicy { oaep_hash, allow_host_visible_ephemeral_key: true }
}

fn wrap_refused(bench: &Bench<'_>) -> Result<(), Outcome> {
    let key = bench.load_one()?;
    ensure_error(bench.store.as_wrap_out()?.wrap_out(&key.id(), bench.other.public(), &policy(Hash::Sha1)), &["refused"])
}

fn wrap_round_trip(bench: &Bench<'_>) -> Result<(), Outcome> {
    let key = bench.load(&bench.one, &bench.request(Transferability::Wrapped))?;
    for hash in [Hash::Sha1, Hash::Sha256] {
        let outcome = bench.store.as_wrap_out()?.wrap_out(&key.id(), bench.other.public(), &policy(hash))?;
        let kek = MemoryStore::new();
        let id = keep(&kek, &bench.other)?;
        let (opened, _) = unwrap_rsa_aes(&outcome.blob, bench.other.public().modulus_bytes(), |sealed| {
            let opened = kek.decrypt(&id, &EncryptionScheme::oaep(hash), &[sealed])?;
            opened.into_iter().next().and_then(Result::ok).ok_or(Error::Crypto)
        })?;
        ensure(opened.id() == bench.one.id(), "another key was wrapped")?;
        let digest = Hash::Sha256.digest(b"after the journey");
        ensure(sign_with(&opened, digest)? == bench.store.sign(&key.id(), &[digest])?, "the signatures differ after the journey")?;
    }
    Ok(())
}

/// Puts a key into a store in memory: the receiving side of a transfer.
fn keep(store: &MemoryStore, key: &RsaSecretKey) -> keykit::Result<KeyId> {
    store.import_plaintext(key, &KeyRequest::default()).map(|record| record.id())
}

fn sign_with(key: &RsaSecretKey, digest: Digest) -> keykit::Result<Vec<Vec<u8>>> {
    let store = MemoryStore::new();
    let id = keep(&store, key)?;
    store.sign(&id, &[digest])
}

fn tampered_blob(bench: &Bench<'_>) -> Result<(), Outcome> {
    let transport = bench.store.as_unwrap_in()?.transport_key(2048)?;
    let blob = wrap_rsa_aes(&bench.one, transport.public(), transport.oaep_hash())?;
    let sealed = transport.public().modulus_bytes();
    let request = bench.request(Transferability::Never);
    let mut broken: Vec<Vec<u8>> = vec![Vec::new(), blob.iter().take(sealed).copied().collect(), blob.iter().take(blob.len() - 8).copied().collect()];
    for position in [0, sealed / 2, sealed - 1, sealed, sealed + 100, blob.len() - 1] {
        let flipped = blob.iter().enumerate().map(|(index, byte)| if index == position { byte ^ 1 } else { *byte });
        broken.push(flipped.collect());
    }
    for blob in &broken {
        ensure_error(transport.unwrap_in(blob, bench.one.public(), &request), &["crypto", "malformed", "token"])?;
        ensure(!bench.is_there(&bench.one), "a key stays behind")?;
    }
    transport.unwrap_in(&blob, bench.one.public(), &request)?;
    // The untouched blob opens, and is cleared away.
    bench.load_one()?;
    bench.store.as_destroy()?.destroy(&bench.one.id())?;
    Ok(())
}

fn other_key_in_blob(bench: &Bench<'_>) -> Result<(), Outcome> {
    let transport = bench.store.as_unwrap_in()?.transport_key(2048)?;
    let blob = wrap_rsa_aes(&bench.other, transport.public(), transport.oaep_hash())?;
    let count = bench.store.keys()?.len();
    ensure_error(transport.unwrap_in(&blob, bench.one.public(), &bench.request(Transferability::Never)), &["conflict"])?;
    ensure(bench.store.keys()?.len() == count, "something was stored")
}

fn plaintext_round_trip(bench: &Bench<'_>) -> Result<(), Outcome> {
    let export = bench.store.as_export_plaintext()?;
    let key = bench.load_one()?;
    ensure(export.export_plaintext_danger(&key.id())?.to_pkcs1_der() == bench.one.to_pkcs1_der(), "another key came out")?;
    ensure_error(export.export_plaintext_danger(&bench.other.id()), &["not-found"])
}

fn generate_and_destroy(bench: &Bench<'_>) -> Result<(), Outcome> {
    let generate = bench.store.as_generate()?;
    let destroy = bench.store.as_destroy()?;
    let request = KeyRequest::labelled("contract generated");
    let record = generate.generate(bench.options.contract_modulus_bits, &request)?;
    let checked =
        check_generated(bench, &record).and_then(|()| ensure_error(generate.generate(bench.options.contract_modulus_bits, &request), &["conflict"]));
    destroy.destroy(&record.id())?;
    checked?;
    ensure_error(bench.store.find(&record.id()), &["not-found"])
}

fn check_generated(bench: &Bench<'_>, record: &KeyRecord) -> Result<(), Outcome> {
    ensure(record.public.modulus_bits() == bench.options.contract_modulus_bits, "another size")?;
    ensure(record.public.exponent() == 65537, "another exponent")?;
    ensure(record.attributes.label == "contract generated", "another label")?;
    let signatures = bench.store.sign(&record.id(), &digests())?;
    ensure(digests().iter().zip(&signatures).all(|(digest, signature)| record.public.verify(digest, signature)), "a signature does not verify")
}
