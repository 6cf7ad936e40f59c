//! HSM to HSM (rules 66–70): the source token wraps the key under a key of the target token. It is never in the clear here.

use super::carry_wrapped;
use crate::error::Result;
use crate::migration::proof::Proof;
use crate::migration::{Migration, MigrationOutcome, MigrationPath, rules};

/// Moves module-protected keys from token to token.
///
/// # Errors
/// [`crate::Error::Refused`] if a key is not module-protected (rule 29), can't leave (rule 31), is not the one of its domain's
/// certificate (rule 70), or if a domain holds a software key (rule 41); otherwise as for the other paths.
pub fn hsm_to_hsm(migration: &mut Migration<'_>) -> Result<MigrationOutcome> {
    migration.run(
        MigrationPath::HsmToHsm,
        &|migration, domain, source| {
            let assessment = source.protection.clone().with((migration.evidence)(domain, source));
            rules::require_module_protection(&assessment, &source.id())?;
            if let Some(refusal) = rules::not_extractable(source) {
                return Err(refusal);
            }
            let evidence: Vec<&str> = assessment.signals.iter().filter(|signal| signal.bound_to_key).map(|signal| signal.source.as_str()).collect();
            Ok(vec![Proof::new("source-is-module-protected", true, evidence.join("; "))])
        },
        &carry_wrapped,
    )
}
