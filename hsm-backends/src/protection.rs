//! How a key is protected: evidence from the tools of HSM vendors, and the rule that asks for it.
//!
//! [`keykit::store::protection`] says what evidence is and weighs it. This module reads it.

pub mod nshield;

use keykit::key::KeyId;
use keykit::store::protection::{Assessment, Protection, Signal};
use keykit::{Error, Result};

/// The rule that only keys protected by the module alone can be taken along.
const RULE: u16 = 29;

/// Refuses a key unless it is protected by the module alone, as the documented migration of nShield keys demands (rule 29).
///
/// # Errors
/// [`Error::Refused`] with all the evidence, and what to do instead.
pub fn require_module(assessment: &Assessment, key: &KeyId) -> Result<()> {
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
    Err(Error::refused(RULE, format!("the key {} {problem}{}", key.short(), listed(&assessment.signals)), instead))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn assessment(says: Protection, bound_to_key: bool) -> Assessment {
        Assessment::weigh(vec![Signal { source: "nfkmattest verify".into(), says, bound_to_key }])
    }

    fn refusal(assessment: &Assessment) -> (String, String) {
        let error = require_module(assessment, &KeyId::of_spki(b"key")).unwrap_err();
        assert_eq!(error.code(), "refused");
        (error.to_string(), error.hint().unwrap().to_owned())
    }

    #[test]
    fn the_module_alone_is_let_through() {
        assert!(require_module(&assessment(Protection::Module, true), &KeyId::of_spki(b"key")).is_ok());
    }

    #[test]
    fn everything_else_is_refused_with_its_evidence() {
        let card_set = Protection::CardSet { hash: Some("7c99".into()), name: Some("ops".into()) };
        let (text, instead) = refusal(&assessment(card_set, true));
        assert!(text.starts_with("refused by rule 29: the key "), "{text}");
        assert!(text.ends_with("operator card set 'ops' (7c99); evidence: nfkmattest verify says operator card set 'ops' (7c99)"), "{text}");
        assert!(instead.contains("module-protected copy"));
        assert!(refusal(&assessment(Protection::SoftCard { hash: None, name: None }, true)).0.contains("softcard"));
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
        let (text, _) = refusal(&verdict);
        assert!(text.contains("nfkmattest verify says module, nfkminfo -l says operator card set"), "{text}");
    }
}
