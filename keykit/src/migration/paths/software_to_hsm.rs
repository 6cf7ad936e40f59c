//! Software to HSM (rules 71–81): the key of each exported domain is wrapped in memory under a key of the target token.

use super::carry_wrapped;
use crate::error::Result;
use crate::migration::{Migration, MigrationOutcome, MigrationPath};

/// Moves the keys of exported domains into a token.
///
/// # Errors
/// [`crate::Error::Refused`] if a domain holds no key (rule 41); otherwise as for the other paths.
pub fn software_to_hsm(migration: &mut Migration<'_>) -> Result<MigrationOutcome> {
    migration.run(MigrationPath::SoftwareToHsm, &|_, _, _| Ok(Vec::new()), &carry_wrapped)
}
