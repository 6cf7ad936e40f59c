//! How a key on a token is protected, from what the token, its slot and the key's own object say.
//!
//! The rule about card sets comes from nShield. SoftHSM stands in for it under the same label rule, so that the rule can
//! be tried without the hardware. Tokens of other vendors know no card sets.

use keykit::store::KeyAttributes;
use keykit::store::protection::{Assessment, Protection, Signal};

use crate::protection::nshield::protection_of_ident;

/// What matters of a token and its slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TokenFacts {
    pub(super) manufacturer: String,
    pub(super) label: String,
    /// CKF_HW_SLOT.
    pub(super) hardware_slot: bool,
    /// CKF_REMOVABLE_DEVICE.
    pub(super) removable: bool,
    /// CKF_LOGIN_REQUIRED.
    pub(super) login_required: bool,
}

/// Makers of tokens that live in software, whatever the slot says.
const SOFTWARE_TOKENS: [&str; 3] = ["Kryoptic", "Mozilla", "NSS"];

/// Whether this is the manufacturer that nShield modules name.
pub(super) fn is_nshield(manufacturer: &str) -> bool {
    manufacturer.starts_with("nCipher")
}

impl TokenFacts {
    pub(super) fn is_nshield(&self) -> bool {
        is_nshield(&self.manufacturer)
    }

    fn is_softhsm(&self) -> bool {
        self.manufacturer.starts_with("SoftHSM")
    }

    fn is_software(&self) -> bool {
        !self.hardware_slot || SOFTWARE_TOKENS.iter().any(|maker| self.manufacturer.contains(maker))
    }

    /// What the token's label says. On nShield it is the name of the card set or softcard, which may be any.
    fn label_says(&self) -> Protection {
        let (hash, name) = (None, Some(self.label.clone()));
        match self.label.as_str() {
            "accelerator" | "loadshared accelerator" => Protection::Module,
            label if label.starts_with("softcard") => Protection::SoftCard { hash, name },
            _ if self.is_nshield() => Protection::LogicalToken { hash, name },
            _ => Protection::CardSet { hash, name },
        }
    }

    /// What the flags of an nShield slot say. Card readers are removable; virtual slots without a card need not be softcards,
    /// since the library can be told to call card sets not removable (CKNFAST_NONREMOVABLE).
    fn flags_say(&self) -> Protection {
        let (hash, name) = (None, None);
        match (self.removable, self.login_required) {
            (false, false) => Protection::Module,
            // Softcards are named after the rule that SoftHSM follows; the label decides.
            (true, _) if !self.label.starts_with("softcard") => Protection::CardSet { hash, name },
            _ => Protection::LogicalToken { hash, name },
        }
    }

    /// The evidence about a key on this token, from its attributes; only nShield has CKA_NFKM_ID.
    pub(super) fn assess(&self, key: &KeyAttributes) -> Assessment {
        // All of it is read from the key's own token and object: it is bound to the key.
        let signal = |source: String, says: Protection| Signal { source, says, bound_to_key: true };
        let mut signals = Vec::new();
        if self.is_nshield() || self.is_softhsm() {
            signals.push(signal(format!("token label '{}'", self.label), self.label_says()));
        }
        if self.is_nshield() {
            signals.push(signal(format!("slot: removable {}, login required {}", self.removable, self.login_required), self.flags_say()));
            if let Some(private) = key.private {
                let says = if private { Protection::LogicalToken { hash: None, name: None } } else { Protection::Module };
                signals.push(signal(format!("CKA_PRIVATE {private}"), says));
            }
            if let Some(id) = &key.nfkm_id {
                // An identifier that is not understood says nothing; the rest decides.
                signals.push(signal(format!("CKA_NFKM_ID {id}"), protection_of_ident(id).unwrap_or(Protection::Unknown)));
            }
        } else if !self.is_softhsm() {
            signals.push(if self.is_software() {
                signal(format!("token of {}, which is software", self.manufacturer), Protection::Software)
            } else if key.sensitive == Some(true) {
                let source = "CKA_SENSITIVE on a hardware slot (the rule on card sets comes from nShield; this maker's tokens have none)";
                signal(source.into(), Protection::Module)
            } else {
                signal("a hardware slot, but the key is not sensitive".into(), Protection::Unknown)
            });
        }
        Assessment::weigh(signals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE_ID: &str = "uaef814375c102d1d958c2161b8bfe024a9f2dbea7";
    const TOKEN_ID: &str = "ucc6047b06b40103570ba0ae2fa39d0eb2ef5ae7e6-5f5b3122df0741e28c9361b34c9834f69cc73d43";
    const TOKEN_HASH: &str = "c6047b06b40103570ba0ae2fa39d0eb2ef5ae7e6";

    fn token(manufacturer: &str, label: &str) -> TokenFacts {
        let accelerator = label.ends_with("accelerator");
        TokenFacts {
            manufacturer: manufacturer.into(),
            label: label.into(),
            hardware_slot: true,
            removable: manufacturer.starts_with("nCipher") && label.contains("OCS"),
            login_required: manufacturer.starts_with("SoftHSM") || !accelerator,
        }
    }

    fn key(private: bool) -> KeyAttributes {
        KeyAttributes { sensitive: Some(true), private: Some(private), ..KeyAttributes::default() }
    }

    fn verdict(token: &TokenFacts, key: &KeyAttributes, id: Option<&str>) -> Protection {
        token.assess(&KeyAttributes { nfkm_id: id.map(Into::into), ..key.clone() }).protection
    }

    #[test]
    fn softhsm_follows_the_label() {
        for (label, expected) in [
            ("accelerator", Protection::Module),
            ("loadshared accelerator", Protection::Module),
            ("softcard one", Protection::SoftCard { hash: None, name: Some("softcard one".into()) }),
            ("PKCS11OCS", Protection::CardSet { hash: None, name: Some("PKCS11OCS".into()) }),
            ("Accelerator", Protection::CardSet { hash: None, name: Some("Accelerator".into()) }),
        ] {
            assert_eq!(verdict(&token("SoftHSM project", label), &key(true), None), expected);
        }
    }

    #[test]
    fn nshield_signals_must_agree() {
        let accelerator = token("nCipher Corp. Ltd", "accelerator");
        assert_eq!(verdict(&accelerator, &key(false), Some(MODULE_ID)), Protection::Module);
        assert_eq!(verdict(&accelerator, &key(false), None), Protection::Module);
        assert_eq!(verdict(&accelerator, &key(true), Some(MODULE_ID)), Protection::Conflict);
        assert_eq!(verdict(&accelerator, &key(false), Some(TOKEN_ID)), Protection::Conflict);
        for (removable, login_required) in [(true, false), (false, true)] {
            let other = TokenFacts { removable, login_required, ..accelerator.clone() };
            assert_eq!(verdict(&other, &key(false), Some(MODULE_ID)), Protection::Conflict);
        }
        assert_eq!(verdict(&accelerator, &key(false), Some("ua123")), Protection::Module);
    }

    #[test]
    fn nshield_card_sets_and_softcards_have_hash_and_name() {
        let card_set = Protection::CardSet { hash: Some(TOKEN_HASH.into()), name: Some("PKCS11OCS".into()) };
        assert_eq!(verdict(&token("nCipher Corp. Ltd", "PKCS11OCS"), &key(true), Some(TOKEN_ID)), card_set);
        let softcard = Protection::SoftCard { hash: Some(TOKEN_HASH.into()), name: Some("softcard 2".into()) };
        assert_eq!(verdict(&token("nCipher Corp. Ltd", "softcard 2"), &key(true), Some(TOKEN_ID)), softcard);
        // A softcard may have any name; what the slot does not say other evidence must.
        let any_name = Protection::LogicalToken { hash: Some(TOKEN_HASH.into()), name: Some("hr keys".into()) };
        assert_eq!(verdict(&token("nCipher Corp. Ltd", "hr keys"), &key(true), Some(TOKEN_ID)), any_name);
        assert_eq!(verdict(&token("nCipher Corp. Ltd", "PKCS11OCS"), &key(true), Some(MODULE_ID)), Protection::Conflict);
        assert_eq!(verdict(&token("nCipher Corp. Ltd", "PKCS11OCS"), &key(false), Some(TOKEN_ID)), Protection::Conflict);
    }

    #[test]
    fn other_makers_know_no_card_sets() {
        let hardware = token("Thales", "partition 1");
        assert_eq!(verdict(&hardware, &key(true), None), Protection::Module);
        assert_eq!(verdict(&hardware, &KeyAttributes::default(), None), Protection::Unknown);
        let software = TokenFacts { hardware_slot: false, ..hardware };
        assert_eq!(verdict(&software, &key(true), None), Protection::Software);
        assert_eq!(verdict(&token("Kryoptic Project", "t"), &key(true), None), Protection::Software);
    }
}
