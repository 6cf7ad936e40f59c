//! Attributes and errors: what may not leave does not leave, and what is not sound is refused.
//!
//! The first cases ask any store through its contract. A token is then asked through its own functions too
//! ([`Pkcs11Store::examine_attributes`]), past all that keykit checks before it calls one.
//!
//! [`Pkcs11Store::examine_attributes`]: keykit_hsm_backends::pkcs11::Pkcs11Store::examine_attributes

use keykit::key::{Hash, RsaPublicKey};
use keykit::store::protection::Protection;
use keykit::store::{Generate as _, KeyRequest, KeyStore, Transferability, WrapPolicy};
use keykit::transfer::wrap_rsa_aes;
use keykit_hsm_backends::memory::MemoryStore;
use keykit_hsm_backends::pkcs11::{Verdict, quirks_of};

use crate::report::{Outcome, Report};
use crate::{Options, Subject};

type Case = fn(&Subject<'_>, &Options) -> Result<(), Outcome>;

const CASES: [(&str, Case); 4] = [
    ("a new key is sensitive and may not leave", new_key_stays),
    ("a new key that may leave wrapped is sensitive all the same", wrappable_is_sensitive),
    ("a key that leaves under trusted keys only is not wrapped under another", untrusted_is_refused),
    ("a blob under another key encryption key is refused", wrong_kek),
];

/// Runs the cases (4 for every store, more for a token).
#[must_use]
pub fn run(subject: &Subject<'_>, options: &Options) -> Report {
    let mut report = Report::new("attributes and errors");
    for (name, case) in CASES {
        report.record(name, case(subject, options).err().unwrap_or(Outcome::Passed));
    }
    if let Some(token) = subject.token {
        match token.examine_attributes() {
            Err(error) => report.record("attributes of the token's objects", error.into()),
            Ok(measured) => {
                for one in measured {
                    let known = quirks_of(token.identity()).find(|quirk| quirk.measurements.contains(&one.name.as_str()));
                    let outcome = match (one.verdict, known) {
                        (Verdict::Right, _) => Outcome::Passed,
                        (Verdict::Wrong, Some(quirk)) => Outcome::Deviated(quirk.name.to_owned()),
                        (Verdict::Wrong, None) => Outcome::Failed(one.detail),
                        (Verdict::Unavailable, _) => Outcome::Skipped(format!("the token does not offer it: {}", one.detail)),
                        (Verdict::Fact, _) => continue,
                    };
                    report.record(one.name, outcome);
                }
            }
        }
    }
    report
}

/// Makes a key, hands its public half on, and destroys it.
fn with_new_key<T>(
    subject: &Subject<'_>,
    options: &Options,
    transferability: Transferability,
    check: impl FnOnce(&keykit::store::KeyRecord) -> Result<T, Outcome>,
) -> Result<T, Outcome> {
    let request = KeyRequest { transferability, ..KeyRequest::labelled("conformance attributes") };
    let record = subject.store.as_generate()?.generate(options.contract_modulus_bits, &request)?;
    let checked = check(&record);
    subject.store.as_destroy()?.destroy(&record.id())?;
    checked
}

fn ensure(holds: bool, problem: &str) -> Result<(), Outcome> {
    if holds { Ok(()) } else { Err(Outcome::Failed(problem.to_owned())) }
}

/// A store in software gives keys out in the clear to who asks for that by name, and says so.
fn sensitive(record: &keykit::store::KeyRecord) -> Result<(), Outcome> {
    match record.attributes.sensitive {
        Some(true) => Ok(()),
        Some(false) if record.protection.protection == Protection::Software => {
            Err(Outcome::Skipped("a store in software says that its keys are not sensitive, which is so".into()))
        }
        Some(false) => Err(Outcome::Failed("it says that it is not sensitive".into())),
        None => Err(Outcome::Failed("it does not say whether it is sensitive".into())),
    }
}

fn new_key_stays(subject: &Subject<'_>, options: &Options) -> Result<(), Outcome> {
    with_new_key(subject, options, Transferability::Never, |record| {
        let wrapped = subject.store.as_wrap_out()?.wrap_out(&record.id(), &kek()?, &policy());
        refused(wrapped.map(|_| ()))?;
        ensure(record.attributes.extractable == Some(false), "it does not say that it cannot be wrapped out")?;
        sensitive(record)
    })
}

fn wrappable_is_sensitive(subject: &Subject<'_>, options: &Options) -> Result<(), Outcome> {
    with_new_key(subject, options, Transferability::Wrapped, sensitive)
}

fn untrusted_is_refused(subject: &Subject<'_>, options: &Options) -> Result<(), Outcome> {
    with_new_key(subject, options, Transferability::UnderTrustedKey, |record| {
        refused(subject.store.as_wrap_out()?.wrap_out(&record.id(), &kek()?, &policy()).map(|_| ()))
    })
}

fn wrong_kek(subject: &Subject<'_>, options: &Options) -> Result<(), Outcome> {
    let own = MemoryStore::new();
    let source = own.generate(options.contract_modulus_bits, &KeyRequest::default())?;
    let key = own.as_export_plaintext()?.export_plaintext_danger(&source.id())?;
    let transport = subject.store.as_unwrap_in()?.transport_key(2048)?;
    let blob = wrap_rsa_aes(&key, &kek()?, transport.oaep_hash())?;
    let before = subject.store.keys()?.len();
    let opened = transport.unwrap_in(&blob, key.public(), &KeyRequest::labelled("conformance wrong key"));
    let refused = match opened {
        Ok(_) => Err(Outcome::Failed("it was opened".into())),
        Err(error) if error.code() == "crypto" => Ok(()),
        Err(error) => Err(Outcome::from(error)),
    };
    if refused.is_err() {
        // What should not be there goes again.
        subject.store.as_destroy().and_then(|destroy| destroy.destroy(&key.id())).unwrap_or_default();
    }
    refused?;
    ensure(subject.store.keys()?.len() == before, "a key stays behind")
}

/// The public half of a key that nobody has.
fn kek() -> keykit::Result<RsaPublicKey> {
    Ok(MemoryStore::new().generate(2048, &KeyRequest::default())?.public)
}

fn policy() -> WrapPolicy {
    WrapPolicy { oaep_hash: Hash::Sha1, allow_host_visible_ephemeral_key: true }
}

fn refused(result: keykit::Result<()>) -> Result<(), Outcome> {
    match result {
        Ok(()) => Err(Outcome::Failed("it was wrapped out".into())),
        Err(error) if error.code() == "refused" => Ok(()),
        Err(error) => Err(error.into()),
    }
}
