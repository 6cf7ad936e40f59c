//! What each check means, for people who do not know its name.

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Whether what was protected before still opens.
    OldContent,
    /// Whether what is protected from now on is protected by the key and templates of the tenant.
    NewContent,
    /// Whether the source can still be asked. When it is gone, checks against it can't be made again.
    Source,
}

const MEANINGS: &[(&str, Subject, &str)] = {
    use Subject::{NewContent, OldContent, Source};
    &[
        ("tenant-is-there", OldContent, "The tenant has a keyring."),
        ("key-is-in-the-keyring", OldContent, "The keyring has the key, with the size, path and name of the plan."),
        ("keyring-names-the-planned-store", OldContent, "The keyring says that the key is where the plan puts it."),
        ("chain-is-the-exported-one", OldContent, "The certificates of the key are, byte for byte, those that AD RMS exported."),
        ("domain-opens-and-is-as-planned", Source, "The file that AD RMS exported is the planned one, and opens."),
        ("key-is-at-its-target-once", OldContent, "The key is in the store of the tenant, once."),
        ("sensitive-and-not-extractable", OldContent, "The token keeps the key so that it can never leave."),
        (
            "sensitive-and-wrappable-under-a-trusted-key",
            OldContent,
            "The token keeps the key so that it can leave only under a key that is marked as trusted.",
        ),
        ("source-key-still-works", Source, "The key at its source still signs, so that before and after can be compared."),
        ("modulus-is-that-of-the-certificate", OldContent, "The key in the store is the very key of the certificate."),
        ("signature-verifies", OldContent, "A signature of the key in the store is valid under the certificate."),
        ("signatures-before-and-after-are-equal", OldContent, "The key signs the same before and after, byte for byte."),
        ("licence-sealed-before-opens-after", OldContent, "A licence that the old system's key sealed opens with the key in the store."),
        ("given-licence-opens", OldContent, "A licence of the organisation, protected before the migration, opens."),
        ("exactly-one-key-is-active", NewContent, "Exactly one key is active."),
        ("at-most-one-key-is-active", NewContent, "Not more than one key is active."),
        ("active-key-is-the-planned-one", NewContent, "The active key, which protects new content, is the planned one."),
        ("keyring-says-how-the-key-is-kept", OldContent, "The keyring says rightly who keeps the key, and whether it may leave."),
        ("source-was-taken-out-of-service", OldContent, "The source no longer answers, as it was to be; the key in the store was tried without it."),
        ("key-signs-and-opens-under-its-certificate", OldContent, "The key in the store signs, and opens what is sealed to its certificate."),
        (
            "other-key-of-the-keyring-is-in-its-store",
            OldContent,
            "A key of the tenant that this plan did not bring is in the store that the keyring names.",
        ),
        ("rollback-goes-to-a-key-of-the-tenant", NewContent, "The key that was active before is still there, archived."),
        ("custodians-are-those-of-the-plan", NewContent, "The people who must approve changes of this tenant are those of the plan."),
        ("template-says-what-was-exported", NewContent, "A template says what was exported: nothing has overwritten it."),
        ("tenant-file-is-sound", OldContent, "The file of the keyring can be read and does not contradict itself."),
        (
            "transfer-file-is-whole-and-for-its-receiver",
            OldContent,
            "The transfer file is the one that was made for this key, and nothing speaks against its receiver taking it.",
        ),
        ("target-lists-its-keys", OldContent, "The store lists its keys."),
        ("no-key-is-there-twice", OldContent, "No key is in the store twice."),
        ("key-that-the-plan-does-not-have", OldContent, "The store also has a key that the plan does not name."),
        ("template-is-in-the-keyring", NewContent, "A template that AD RMS exported is in the keyring."),
        ("template-is-signed-by-a-key-of-the-tenant", NewContent, "A template is signed by the right key of the tenant, and the signature is valid."),
    ]
};

/// What the check with this name is about, and what it says when it holds.
#[must_use]
pub fn meaning(name: &str) -> Option<(Subject, &'static str)> {
    MEANINGS.iter().find(|(known, ..)| *known == name).map(|(_, subject, text)| (*subject, *text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names stand in these files, as the first argument of `note` and of `Proof::new`.
    #[test]
    fn every_check_of_the_sources_has_a_meaning() {
        let sources = [
            include_str!("../verify.rs"),
            include_str!("../proof.rs"),
            include_str!("../apply/tenant_world.rs"),
            include_str!("../apply/tenant_world/made_files.rs"),
            include_str!("../apply/tenant_world/steps.rs"),
            include_str!("../apply/tenant_world/verification.rs"),
        ]
        .concat();
        let mut known = 0;
        for text in sources.split('"').skip(1).step_by(2) {
            let is_name = text.contains('-') && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            if is_name && !["keep-transferable", "host-visible-ephemeral-key", "wrap-with-trusted", "not-planned"].contains(&text) {
                assert!(meaning(text).is_some(), "{text}");
                known += 1;
            }
        }
        assert!(known >= MEANINGS.len(), "{known}");
        for (name, ..) in MEANINGS {
            assert!(sources.contains(&format!("\"{name}\"")), "{name}");
        }
    }
}
