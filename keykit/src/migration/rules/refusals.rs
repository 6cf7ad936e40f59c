//! The refusals of the three paths, each with the number of its rule and what to do instead.

use std::path::Path;

use crate::error::{Error, Result};
use crate::key::{CryptographicMode, KeyId, RsaPublicKey};
use crate::migration::{MigrationPath, Warning};
use crate::store::KeyRecord;
use crate::store::protection::{Assessment, Protection, Signal};

/// Rule 4: a key may not be in two tenants.
pub(crate) fn in_another_tenant(id: &KeyId, other: &str) -> Error {
    Error::refused(
        4,
        format!("the key {} belongs to another tenant already ({other}); a key cannot be imported to more than one tenant", id.short()),
        "migrate each cluster to one tenant only; if this is a rehearsal, use a token or folder of its own",
    )
}

/// Refuses a key unless it is protected by the module alone, as the documented migration of nShield keys demands (rule 29).
///
/// # Errors
/// [`Error::Refused`] with all the evidence, and what to do instead.
pub fn require_module_protection(assessment: &Assessment, key: &KeyId) -> Result<()> {
    let (problem, instead) = match &assessment.protection {
        Protection::Module => return Ok(()),
        card_set @ Protection::CardSet { .. } => (
            format!("is protected by an {card_set}"),
            "keys under an operator card set are not supported: make a module-protected copy of the key with the tools of the HSM, or ask \
             the vendor of the HSM for a way",
        ),
        soft_card @ Protection::SoftCard { .. } => (
            format!("is protected by a {soft_card}"),
            "keys under a softcard are not supported: make a module-protected copy of the key with the tools of the HSM, or ask the \
             vendor of the HSM for a way",
        ),
        token @ Protection::LogicalToken { .. } => (
            format!("is protected by an {token}"),
            "neither is supported: make a module-protected copy of the key with the tools of the HSM, or ask the vendor of the HSM for a way",
        ),
        Protection::Conflict => (
            "has evidence that contradicts itself".to_owned(),
            "find out which piece of evidence is wrong or old: take `nfkminfo -k APP IDENT` and `nfkmattest verify` anew, for this very key",
        ),
        Protection::Software => ("is protected by software, not by a module".to_owned(), "take the path from software to the HSM for this key"),
        _ => (
            "has no evidence of how it is protected".to_owned(),
            "give evidence that names this very key: the output of `nfkmattest verify`, `nfkminfo -k APP IDENT` or `nfkminfo -l`",
        ),
    };
    Err(Error::refused(29, format!("the key {} {problem}{}", key.short(), listed(&assessment.signals)), instead))
}

/// The evidence as the end of a sentence.
fn listed(signals: &[Signal]) -> String {
    if signals.is_empty() {
        return " (no evidence was given)".into();
    }
    let mut text = String::from("; evidence:");
    for (index, signal) in signals.iter().enumerate() {
        let separator = if index == 0 { " " } else { ", " };
        let bound = if signal.bound_to_key { "" } else { " (does not count: not bound to this key)" };
        text.push_str(&format!("{separator}{} says {}{bound}", signal.source, signal.says));
    }
    text
}

/// Rules 30 and 41: which files go which way.
pub(crate) fn wrong_path(path: MigrationPath, file: &Path, has_key: bool) -> Option<Error> {
    let file = file.display();
    match (path, has_key) {
        (MigrationPath::SoftwareToSoftware, false) => Some(Error::refused(
            30,
            format!("{file} holds no key: its key is in a hardware security module, and moving such a key into software is not offered"),
            "use `keykit migrate hsm-to-hsm` with the source token",
        )),
        (MigrationPath::SoftwareToHsm, false) => Some(Error::refused(
            41,
            format!("{file} holds no key, so there is nothing to move into the token"),
            "use `keykit migrate hsm-to-hsm` with the source token",
        )),
        (MigrationPath::HsmToHsm, true) => Some(Error::refused(
            41,
            format!("{file} holds a software key, which is not what the path HSM to HSM moves"),
            "use `keykit migrate software-to-hsm`, or take the key out of the file first with `keykit tpd split`",
        )),
        _ => None,
    }
}

/// Rules 32–34: sizes of keys.
///
/// # Errors
/// [`Error::Refused`] for anything but 1024 and 2048 bits.
pub fn mode_of(public: &RsaPublicKey) -> Result<CryptographicMode> {
    mode_of_size(&public.id(), public.modulus_bits())
}

/// The same, of what is known of a key.
pub(super) fn mode_of_size(id: &KeyId, bits: usize) -> Result<CryptographicMode> {
    CryptographicMode::of_modulus_bits(bits).ok_or_else(|| {
        Error::refused(
            32,
            format!("the key {} has {bits} bits; a tenant key has 2048, or 1024 in a migration from mode 1", id.short()),
            "re-key the AD RMS cluster to 2048 bits, or ask who made this key",
        )
    })
}

/// Rules 33 and 34: what to know of keys of mode 1.
pub(crate) fn mode_1_warnings(path: MigrationPath, id: &KeyId) -> Vec<Warning> {
    let mut warnings = vec![Warning::of_rule(
        33,
        format!("the key {} has 1024 bits (mode 1): keep it archived once everybody has moved, and re-key to 2048 bits at the end", id.short()),
    )];
    if path != MigrationPath::SoftwareToSoftware {
        warnings.push(Warning::of_rule(34, "today's cloud services do not take 1024-bit keys: this token can hold the key, Azure Key Vault cannot"));
    }
    warnings
}

/// Rule 47: the old form of exports.
pub(crate) fn version_1_export(file: &Path) -> Warning {
    Warning::of_rule(
        47,
        format!("{} was exported with \"RMS version 1.0\" compatibility: the documented process asks for an export without it", file.display()),
    )
}

/// Rule 70: a file's certificate and the given key must be one.
pub(crate) fn not_the_key_of(file: &Path, licensor: &KeyId, store: &str) -> Error {
    Error::refused(
        70,
        format!("{} belongs to the key {}, which {store} does not hold", file.display(), licensor.short()),
        "give the token that holds this very key; `keykit store keys --store URI` lists the keys of a token",
    )
}

/// Rule 31: a key that can't leave its module.
pub(crate) fn not_extractable(record: &KeyRecord) -> Option<Error> {
    not_extractable_by(&record.id(), record.attributes.extractable)
}

/// The same, of what is known of a key.
pub(super) fn not_extractable_by(id: &KeyId, extractable: Option<bool>) -> Option<Error> {
    (extractable == Some(false)).then(|| {
        Error::refused(
            31,
            format!("the key {} can't leave its module (CKA_EXTRACTABLE is false)", id.short()),
            "keep AD RMS in read-only mode for old content (rules 178–182) and start the tenant with a new key",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assessment(says: Protection, bound_to_key: bool) -> Assessment {
        Assessment::weigh(vec![Signal { source: "nfkmattest verify".into(), says, bound_to_key }])
    }

    fn refusal(assessment: &Assessment) -> (String, String) {
        let error = require_module_protection(assessment, &KeyId::of_spki(b"key")).unwrap_err();
        assert_eq!(error.code(), "refused");
        (error.to_string(), error.hint().unwrap().to_owned())
    }

    #[test]
    fn the_module_alone_is_let_through() {
        assert!(require_module_protection(&assessment(Protection::Module, true), &KeyId::of_spki(b"key")).is_ok());
    }

    #[test]
    fn everything_else_is_refused_with_its_evidence() {
        let card_set = Protection::CardSet { hash: Some("7c99".into()), name: Some("ops".into()) };
        let (text, instead) = refusal(&assessment(card_set, true));
        assert!(text.starts_with("refused by rule 29: the key "), "{text}");
        assert!(text.ends_with("operator card set 'ops' (7c99); evidence: nfkmattest verify says operator card set 'ops' (7c99)"), "{text}");
        assert!(instead.contains("module-protected copy"));
        let (text, instead) = refusal(&assessment(Protection::SoftCard { hash: None, name: None }, true));
        assert!(text.contains("is protected by a softcard") && instead.contains("keys under a softcard are not supported"), "{text}");
        let token = Protection::LogicalToken { hash: Some("7c99".into()), name: None };
        let (text, instead) = refusal(&assessment(token, true));
        assert!(text.contains("is protected by an operator card set or softcard (7c99)") && instead.starts_with("neither is supported"), "{text}");
        assert!(refusal(&Assessment::software()).1.contains("software to the HSM"));
        assert!(refusal(&Assessment::weigh(vec![])).0.ends_with("(no evidence was given)"));
        let (text, _) = refusal(&assessment(Protection::Module, false));
        assert!(text.contains("no evidence") && text.ends_with("says module (does not count: not bound to this key)"), "{text}");
    }

    #[test]
    fn a_contradiction_lists_both_sides() {
        let verdict = assessment(Protection::Module, true).with([Signal {
            source: "nfkminfo -l".into(),
            says: Protection::CardSet { hash: None, name: None },
            bound_to_key: true,
        }]);
        let (text, instead) = refusal(&verdict);
        assert!(text.contains("has evidence that contradicts itself") && instead.contains("which piece of evidence is wrong"), "{text}");
        assert!(text.contains("nfkmattest verify says module, nfkminfo -l says operator card set"), "{text}");
    }

    #[test]
    fn a_key_that_is_not_extractable_does_not_leave_and_one_of_which_that_is_not_known_may() {
        let public = crate::xrml::testing::secret_key("keys/xrml-2048.pem").public().clone();
        let record = |extractable| KeyRecord {
            public: public.clone(),
            attributes: crate::store::KeyAttributes { extractable, ..crate::store::KeyAttributes::default() },
            protection: Assessment::software(),
        };
        let error = not_extractable(&record(Some(false))).unwrap();
        assert!(error.to_string().contains(&format!("the key {} can't leave its module", public.id().short())), "{error}");
        assert!(not_extractable(&record(Some(true))).is_none() && not_extractable(&record(None)).is_none());
    }
}
