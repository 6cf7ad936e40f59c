//! The examination itself.

use keykit::Result;
use keykit::key::{EncryptionScheme, Hash};
use keykit::store::{KeyRequest, KeyStore, StoreIdentity};
use keykit::transfer::TransferProfile;
use keykit_hsm_backends::pkcs11::{Examination, Pkcs11Store, Verdict, quirks_of};

use super::routes::Way;
use super::{Doctor, Known, Measured, Mechanism, Outcome, profiles, routes, text};

/// Examines a token for these transfer profiles. It must be opened for session objects
/// ([`keykit_hsm_backends::pkcs11::ObjectLifetime::Session`]): nothing is written to it then.
///
/// # Errors
/// [`keykit::Error::Token`] if the token is lost or cannot work at all.
pub fn examine_token(token: &Pkcs11Store, profiles: &[TransferProfile], step: &mut dyn FnMut(&str)) -> Result<Doctor> {
    step("what the token says, and what it really does");
    let examination = token.examine()?;
    let mut doctor = Doctor::new(token.identity());
    doctor.quirks = quirks_of(token.identity()).map(|quirk| Known { name: quirk.name.to_owned(), meaning: quirk.sentence.to_owned() }).collect();
    let pads = examination.measurements.iter().any(|found| found.name.starts_with("wrap/CKM_AES_KEY_WRAP") && found.detail.contains("zero bytes"));
    let known = |name: &str| quirks_of(token.identity()).find(|quirk| quirk.measurements.contains(&name)).map(|quirk| quirk.name.to_owned());
    says(&mut doctor, examination, known);
    step("the ways of a key out of the token and into it");
    doctor.routes = routes::measure(token, pads, Way::OaepAndKeyWrap)?;
    conclude(&mut doctor, profiles);
    Ok(doctor)
}

/// Examines a store of this process's own; `store` is one that may be written to. `identity` is that of the store that was
/// asked about, which may be another of the same engine.
///
/// # Errors
/// What the store says.
pub fn examine_software(identity: &StoreIdentity, store: &dyn KeyStore, profiles: &[TransferProfile], step: &mut dyn FnMut(&str)) -> Result<Doctor> {
    let mut doctor = Doctor::new(identity);
    step("what the store really does");
    doctor.measurements = work(store)?;
    step("the ways of a key out of the store and into it");
    doctor.routes = routes::measure(store, false, Way::InMemory)?;
    doctor.not_measured = vec![
        "mechanisms, flags and sessions: a store in software has none".to_owned(),
        "attributes of objects: they are kept by this program, and bind it only".to_owned(),
    ];
    conclude(&mut doctor, profiles);
    Ok(doctor)
}

fn conclude(doctor: &mut Doctor, wanted: &[TransferProfile]) {
    doctor.measurements.sort_by(|left, right| left.name.cmp(&right.name));
    doctor.profiles = profiles::serve(&doctor.routes, wanted);
    doctor.meaning = text::meaning(doctor);
}

/// What the token says, in the form that is stored.
fn says(doctor: &mut Doctor, examination: Examination, known: impl Fn(&str) -> Option<String>) {
    let Examination { module, token, mechanisms, measurements } = examination;
    let facts = [
        ("module/manufacturer", module.manufacturer),
        ("module/description", module.description),
        ("module/version", module.version),
        ("module/PKCS#11 version", module.pkcs11_version),
        ("slot/manufacturer", token.slot_manufacturer),
        ("slot/hardware", token.slot_hardware),
        ("slot/firmware", token.slot_firmware),
        ("token/manufacturer", token.manufacturer),
        ("token/model", token.model),
        ("token/hardware", token.hardware),
        ("token/firmware", token.firmware),
        ("token/flags", token.flags.join(" ")),
        ("token/shortest PIN", token.minimum_pin_length.to_string()),
        ("token/longest PIN", token.maximum_pin_length.to_string()),
        ("token/most sessions", token.maximum_sessions),
        ("token/most sessions that write", token.maximum_writing_sessions),
    ];
    doctor.says = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    doctor.mechanisms = mechanisms
        .into_iter()
        .map(|mechanism| Mechanism {
            code: format!("0x{:08X}", mechanism.code),
            name: mechanism.name,
            minimum_key_size: mechanism.minimum_key_size,
            maximum_key_size: mechanism.maximum_key_size,
            uses: mechanism.uses.into_iter().map(str::to_owned).collect(),
        })
        .collect();
    doctor.measurements = measurements
        .into_iter()
        .map(|found| Measured {
            outcome: match found.verdict {
                Verdict::Right => Outcome::Right,
                Verdict::Wrong => Outcome::Wrong,
                Verdict::Unavailable => Outcome::Unavailable,
                Verdict::Fact => Outcome::Fact,
            },
            known_as: known(&found.name).filter(|_| found.verdict == Verdict::Wrong),
            name: found.name,
            detail: found.detail,
        })
        .collect();
}

/// What any store can be asked for through its contract.
fn work(store: &dyn KeyStore) -> Result<Vec<Measured>> {
    let mut found = Vec::new();
    let mut add = |name: String, works: Result<bool>| {
        let (outcome, detail) = match works {
            Ok(true) => (Outcome::Right, "works".to_owned()),
            Ok(false) => (Outcome::Wrong, "gives another result".to_owned()),
            Err(error) => (Outcome::Unavailable, error.to_string()),
        };
        found.push(Measured { name, outcome, detail, known_as: None });
    };
    for bits in [1024, 2048, 3072, 4096] {
        let made = store.as_generate()?.generate(bits, &KeyRequest::labelled(format!("doctor {bits}")));
        let works = made.and_then(|record| {
            let works = works(store, bits, &record, &mut add);
            store.as_destroy()?.destroy(&record.id())?;
            works
        });
        add(format!("keys/RSA {bits} is made and signs"), works);
    }
    Ok(found)
}

/// Whether a new key signs; the one of 2048 bits is tried with everything.
fn works(store: &dyn KeyStore, bits: usize, record: &keykit::store::KeyRecord, add: &mut dyn FnMut(String, Result<bool>)) -> Result<bool> {
    let signs = |hash: Hash| {
        let digest = hash.digest(b"doctor");
        let signatures = store.sign(&record.id(), &[digest])?;
        Ok(signatures.iter().all(|signature| record.public.verify(&digest, signature)) && signatures.len() == 1)
    };
    if bits == 2048 {
        for hash in Hash::ALL {
            add(format!("sign/RSASSA-PKCS1-v1_5/{hash}"), signs(hash));
        }
        let labelled = EncryptionScheme::Oaep { hash: Hash::Sha256, mgf1: Hash::Sha256, label: b"label".to_vec() };
        let schemes = Hash::ALL.map(EncryptionScheme::oaep).into_iter().chain([EncryptionScheme::Pkcs1v15, labelled]);
        for scheme in schemes {
            let opens = || {
                let sealed = record.public.encrypt(&scheme, b"doctor")?;
                let opened = store.decrypt(&record.id(), &scheme, &[&sealed])?;
                Ok(opened.iter().flatten().any(|plaintext| plaintext.expose() == b"doctor"))
            };
            add(format!("decrypt/{scheme}"), opens());
        }
    }
    Ok(record.public.modulus_bits() == bits && signs(Hash::Sha256)?)
}

/// Whether neither the key nor the AES key around it is in this process on this way.
pub(super) fn stays_in_token(way: Way) -> bool {
    matches!(way, Way::RsaAesKeyWrap | Way::OaepAndKeyWrap)
}
