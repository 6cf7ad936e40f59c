//! What protects the keys of a token, by the token and by evidence from the module's own tools.

use keykit::Result;
use keykit::store::KeyRecord;
use keykit::store::protection::Protection;
use keykit_hsm_backends::pkcs11::Pkcs11Store;
use keykit_hsm_backends::protection::nshield::{Evidence, KeyIdentifiers};

use super::ProtectedKey;

/// The keys that live in the token, with the verdict on each. Evidence counts where it is bound to the key.
///
/// # Errors
/// [`keykit::Error::Token`].
pub fn examine_keys(token: &Pkcs11Store, evidence: &[Evidence]) -> Result<Vec<ProtectedKey>> {
    Ok(token.resident_keys()?.into_iter().map(|record| examine_key(record, evidence)).collect())
}

fn examine_key(record: KeyRecord, evidence: &[Evidence]) -> ProtectedKey {
    let attributes = &record.attributes;
    let identifiers = KeyIdentifiers {
        app: attributes.nfkm_app.clone(),
        ident: attributes.nfkm_id.clone(),
        label: Some(attributes.label.clone()),
        nfkm_hash: attributes.nfkm_hash.clone(),
    };
    let more: Vec<_> = evidence.iter().flat_map(|evidence| evidence.signals_for(&record.public, &identifiers)).collect();
    let (key_id, modulus_bits, label) = (record.id().to_string(), record.public.modulus_bits(), attributes.label.clone());
    let assessment = record.protection.with(more);
    let words = |signal: &keykit::store::protection::Signal| {
        let unbound = if signal.bound_to_key { "" } else { " (not bound to this key: it does not count)" };
        format!("{}: {}{unbound}", signal.source, signal.says)
    };
    let (accepted, sentence) = judge(&assessment.protection);
    ProtectedKey {
        key_id,
        label,
        modulus_bits,
        protection: assessment.protection.to_string(),
        accepted,
        sentence: sentence.to_owned(),
        evidence: assessment.signals.iter().map(words).collect(),
    }
}

fn judge(protection: &Protection) -> (bool, &'static str) {
    match protection {
        Protection::Module => (true, "the module alone protects it, as the legacy toolset needs"),
        Protection::Software => (true, "software protects it: no module stands in the way"),
        Protection::CardSet { .. } => (false, "an operator card set protects it: the legacy toolset does not take such a key (rule 29)"),
        Protection::SoftCard { .. } => (false, "a softcard protects it: the legacy toolset does not take such a key (rule 29)"),
        Protection::LogicalToken { .. } => (false, "a card set or a softcard protects it: the legacy toolset takes neither (rule 29)"),
        Protection::Conflict => (false, "the evidence contradicts itself: nothing is done with such a key until it is cleared up (rule 29)"),
        _ => (false, "nothing says what protects it: give the output of the module's tools with --evidence (rule 29)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_module_and_software_are_accepted() {
        let named = || (None, Some("ocs".to_owned()));
        let (hash, name) = named();
        assert!(judge(&Protection::Module).0 && judge(&Protection::Software).0);
        for refused in [
            Protection::CardSet { hash: hash.clone(), name: name.clone() },
            Protection::SoftCard { hash: hash.clone(), name: name.clone() },
            Protection::LogicalToken { hash, name },
            Protection::Unknown,
            Protection::Conflict,
        ] {
            let (accepted, sentence) = judge(&refused);
            assert!(!accepted && sentence.contains("rule 29"), "{refused}");
        }
    }
}
