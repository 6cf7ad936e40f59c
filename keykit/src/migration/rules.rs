//! The refusals of the three paths, each with the number of its rule and what to do instead.

use std::path::Path;

use super::{MigrationPath, Warning};
use crate::error::{Error, Result};
use crate::key::{CryptographicMode, KeyId, RsaPublicKey};
use crate::store::KeyRecord;
use crate::store::protection::{Assessment, Protection};

/// Rule 4: a key may not be in two tenants.
pub(super) fn in_another_tenant(id: &KeyId, other: &str) -> Error {
    Error::refused(
        4,
        format!("the key {} belongs to another tenant already ({other}); a key cannot be imported to more than one tenant", id.short()),
        "migrate each cluster to one tenant only; if this is a rehearsal, use a token or folder of its own",
    )
}

/// Rule 29: the source key must be protected by the module alone.
///
/// # Errors
/// [`Error::Refused`] with the evidence, for anything but [`Protection::Module`].
pub fn require_module_protection(id: &KeyId, assessment: &Assessment) -> Result<()> {
    let instead = match &assessment.protection {
        Protection::Module => return Ok(()),
        Protection::CardSet { .. } | Protection::SoftCard { .. } => {
            "keys under a card set or softcard are not supported: ask the HSM's vendor for a module-protected copy, or keep AD RMS in read-only mode (rules 178–182)"
        }
        Protection::Software => "this source is no hardware: use software-to-software or software-to-hsm with the exported domain",
        Protection::Unknown => "give evidence with --evidence: the output of `nfkmattest verify`, `nfkminfo -l` or `nfkminfo -k APP IDENT`",
        Protection::Conflict => "the evidence contradicts itself: find out which piece is about another key before you go on",
    };
    let evidence: Vec<String> = assessment
        .signals
        .iter()
        .map(|signal| format!("{} says {}{}", signal.source, signal.says, if signal.bound_to_key { "" } else { " (not bound to this key)" }))
        .collect();
    let evidence = if evidence.is_empty() { "no evidence".to_owned() } else { evidence.join("; ") };
    Err(Error::refused(29, format!("the source key {} is not module-protected but {}: {evidence}", id.short(), assessment.protection), instead))
}

/// Rules 30 and 41: which files go which way.
pub(super) fn wrong_path(path: MigrationPath, file: &Path, has_key: bool) -> Option<Error> {
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
    CryptographicMode::of_modulus_bits(public.modulus_bits()).ok_or_else(|| {
        Error::refused(
            32,
            format!("the key {} has {} bits; a tenant key has 2048, or 1024 in a migration from mode 1", public.id().short(), public.modulus_bits()),
            "re-key the AD RMS cluster to 2048 bits, or ask who made this key",
        )
    })
}

/// Rules 33 and 34: what to know of keys of mode 1.
pub(super) fn mode_1_warnings(path: MigrationPath, id: &KeyId) -> Vec<Warning> {
    let mut warnings = vec![Warning::of_rule(
        33,
        format!("the key {} has 1024 bits (mode 1): keep it archived once everybody has moved, and re-key to 2048 bits at the end", id.short()),
    )];
    if path != MigrationPath::SoftwareToSoftware {
        warnings.push(Warning::of_rule(34, "today's cloud services do not take 1024-bit keys: this token can hold the key, Azure Key Vault cannot"));
    }
    warnings
}

/// Rule 70: a file's certificate and the given key must be one.
pub(super) fn not_the_key_of(file: &Path, licensor: &KeyId, store: &str) -> Error {
    Error::refused(
        70,
        format!("{} belongs to the key {}, which {store} does not hold", file.display(), licensor.short()),
        "give the token that holds this very key; `keykit store keys --store URI` lists the keys of a token",
    )
}

/// Rule 31: a key that can't leave its module.
pub(super) fn not_extractable(record: &KeyRecord) -> Option<Error> {
    (record.attributes.extractable == Some(false)).then(|| {
        Error::refused(
            31,
            format!("the key {} can't leave its module (CKA_EXTRACTABLE is false)", record.id().short()),
            "keep AD RMS in read-only mode for old content (rules 178–182) and start the tenant with a new key",
        )
    })
}
