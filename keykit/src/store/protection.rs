//! How a private key is protected, and the evidence for it.
//!
//! The rule comes from the nShield toolset: a key that an operator card set protects cannot be taken along (rule 29).
//! Evidence counts only if it is bound to the key; signals that disagree make [`Protection::Conflict`], none makes
//! [`Protection::Unknown`], and both are refused.

use std::fmt;

use serde::Serialize;

/// How a private key is protected.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Protection {
    /// In software, under a password.
    Software,
    /// By the module alone.
    Module,
    /// By an operator card set (OCS).
    CardSet {
        /// Hash of the card set's logical token key, if known.
        hash: Option<String>,
        /// Name of the card set, if known.
        name: Option<String>,
    },
    /// By a softcard.
    SoftCard {
        /// Hash of the softcard's logical token key, if known.
        hash: Option<String>,
        /// Name of the softcard, if known.
        name: Option<String>,
    },
    /// By a logical token of nShield, which is an operator card set or a softcard; nothing says which.
    LogicalToken {
        /// Hash of the logical token key, if known.
        hash: Option<String>,
        /// Name of the card set or softcard, if known.
        name: Option<String>,
    },
    /// Nothing says how.
    Unknown,
    /// The evidence contradicts itself.
    Conflict,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = |f: &mut fmt::Formatter<'_>, what: &str, hash: &Option<String>, name: &Option<String>| {
            f.write_str(what)?;
            if let Some(name) = name {
                write!(f, " '{name}'")?;
            }
            if let Some(hash) = hash {
                write!(f, " ({hash})")?;
            }
            Ok(())
        };
        match self {
            Self::Software => f.write_str("software"),
            Self::Module => f.write_str("module"),
            Self::CardSet { hash, name } => detail(f, "operator card set", hash, name),
            Self::SoftCard { hash, name } => detail(f, "softcard", hash, name),
            Self::LogicalToken { hash, name } => detail(f, "operator card set or softcard", hash, name),
            Self::Unknown => f.write_str("unknown"),
            Self::Conflict => f.write_str("in conflict"),
        }
    }
}

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signal {
    /// Where it comes from, for people: "token label 'accelerator'", "nfkmattest verify".
    pub source: String,
    /// What it says. [`Protection::Unknown`] is a signal that says nothing either way.
    pub says: Protection,
    /// Whether it is about this very key (same modulus, or read from the key's own object).
    pub bound_to_key: bool,
}

/// The verdict on a key, with all the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assessment {
    /// The verdict.
    pub protection: Protection,
    /// What it rests on.
    pub signals: Vec<Signal>,
}

impl Assessment {
    /// A store that protects all its keys by software.
    #[must_use]
    pub fn software() -> Self {
        Self { protection: Protection::Software, signals: Vec::new() }
    }

    /// Weighs signals, fail closed: those not bound to the key don't count, disagreement is a conflict, and no signal
    /// that says anything is `Unknown`. Of signals that agree in kind the one that knows most (hash, name) is kept.
    #[must_use]
    pub fn weigh(signals: Vec<Signal>) -> Self {
        let mut verdict = Protection::Unknown;
        for signal in signals.iter().filter(|signal| signal.bound_to_key) {
            verdict = agree(verdict, &signal.says);
        }
        Self { protection: verdict, signals }
    }

    /// The same assessment with more signals.
    #[must_use]
    pub fn with(mut self, more: impl IntoIterator<Item = Signal>) -> Self {
        self.signals.extend(more);
        Self::weigh(self.signals)
    }
}

fn agree(left: Protection, right: &Protection) -> Protection {
    use Protection::{CardSet, Conflict, LogicalToken, Module, SoftCard, Software, Unknown};
    match (left, right) {
        (Conflict, _) | (_, Conflict) => Conflict,
        (Unknown, other) => other.clone(),
        (known, Unknown) => known,
        (Module, Module) => Module,
        (Software, Software) => Software,
        (LogicalToken { hash: h1, name: n1 }, LogicalToken { hash: h2, name: n2 }) => {
            merge(h1, h2, n1, n2).map_or(Conflict, |(hash, name)| LogicalToken { hash, name })
        }
        // The signal that knows the kind decides it.
        (CardSet { hash: h1, name: n1 }, CardSet { hash: h2, name: n2 } | LogicalToken { hash: h2, name: n2 })
        | (LogicalToken { hash: h1, name: n1 }, CardSet { hash: h2, name: n2 }) => {
            merge(h1, h2, n1, n2).map_or(Conflict, |(hash, name)| CardSet { hash, name })
        }
        (SoftCard { hash: h1, name: n1 }, SoftCard { hash: h2, name: n2 } | LogicalToken { hash: h2, name: n2 })
        | (LogicalToken { hash: h1, name: n1 }, SoftCard { hash: h2, name: n2 }) => {
            merge(h1, h2, n1, n2).map_or(Conflict, |(hash, name)| SoftCard { hash, name })
        }
        _ => Conflict,
    }
}

type Named = (Option<String>, Option<String>);

fn merge(hash: Option<String>, other_hash: &Option<String>, name: Option<String>, other_name: &Option<String>) -> Option<Named> {
    Some((one_of(hash, other_hash)?, one_of(name, other_name)?))
}

/// `None` if both are known and differ.
fn one_of(left: Option<String>, right: &Option<String>) -> Option<Option<String>> {
    match (left, right) {
        (Some(left), Some(right)) if !left.eq_ignore_ascii_case(right) => None,
        (left, right) => Some(left.or_else(|| right.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(says: Protection, bound_to_key: bool) -> Signal {
        Signal { source: "test".into(), says, bound_to_key }
    }

    fn card_set(hash: Option<&str>, name: Option<&str>) -> Protection {
        Protection::CardSet { hash: hash.map(Into::into), name: name.map(Into::into) }
    }

    #[test]
    fn nothing_is_unknown_and_unbound_evidence_is_nothing() {
        assert_eq!(Assessment::weigh(vec![]).protection, Protection::Unknown);
        assert_eq!(Assessment::weigh(vec![signal(Protection::Module, false)]).protection, Protection::Unknown);
    }

    #[test]
    fn disagreement_is_a_conflict_and_stays_one() {
        let verdict = Assessment::weigh(vec![signal(Protection::Module, true), signal(card_set(None, None), true), signal(Protection::Module, true)]);
        assert_eq!(verdict.protection, Protection::Conflict);
        let other_set = Assessment::weigh(vec![signal(card_set(Some("aa"), None), true), signal(card_set(Some("bb"), None), true)]);
        assert_eq!(other_set.protection, Protection::Conflict);
    }

    #[test]
    fn a_logical_token_is_what_another_signal_says_that_it_is() {
        let token = |hash: &str| Protection::LogicalToken { hash: Some(hash.into()), name: None };
        let soft_card = || Protection::SoftCard { hash: None, name: Some("hr".into()) };
        let weigh = |says: [Protection; 2]| Assessment::weigh(says.into_iter().map(|says| signal(says, true)).collect()).protection;
        let resolved = Protection::SoftCard { hash: Some("aa".into()), name: Some("hr".into()) };
        assert_eq!(weigh([token("aa"), soft_card()]), resolved);
        assert_eq!(weigh([soft_card(), token("aa")]), resolved);
        assert_eq!(weigh([card_set(None, None), token("aa")]), card_set(Some("aa"), None));
        assert_eq!(weigh([token("aa"), card_set(Some("bb"), None)]), Protection::Conflict);
        assert_eq!(weigh([token("aa"), token("bb")]), Protection::Conflict);
        assert_eq!(weigh([token("aa"), Protection::Module]), Protection::Conflict);
        assert_eq!(weigh([token("aa"), token("aa")]).to_string(), "operator card set or softcard (aa)");
    }

    #[test]
    fn agreeing_signals_add_up() {
        let verdict = Assessment::weigh(vec![signal(card_set(Some("aa"), None), true), signal(card_set(None, Some("ocs")), true)]);
        assert_eq!(verdict.protection, card_set(Some("aa"), Some("ocs")));
        assert_eq!(verdict.protection.to_string(), "operator card set 'ocs' (aa)");
    }
}
