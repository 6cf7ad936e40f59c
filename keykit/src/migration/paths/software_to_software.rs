//! Software to software (rule 65): the key of each exported domain goes into the tenant's encrypted folder.

use crate::error::Result;
use crate::migration::run::Carried;
use crate::migration::{Migration, MigrationOutcome, MigrationPath};

/// Moves the keys of exported domains into a store that takes them in the clear, in this process's locked memory.
///
/// # Errors
/// [`crate::Error::Refused`] if a domain holds no key (rule 30) or one of an unsupported size (rule 32), or if the key is in
/// another tenant (rule 4); [`crate::Error::Conflict`] if the target holds another key under the label;
/// [`crate::Error::Negative`] if a proof fails. The keyring is then as it was.
pub fn software_to_software(migration: &mut Migration<'_>) -> Result<MigrationOutcome> {
    migration.run(MigrationPath::SoftwareToSoftware, &|_, _, _| Ok(Vec::new()), &|migration, source, request| {
        let key = migration.source.as_export_plaintext()?.export_plaintext_danger(&source.id())?;
        let record = migration.target.as_import_plaintext()?.import_plaintext(&key, request)?;
        Ok(Carried { record, route: "secret key in locked memory".to_owned(), warnings: Vec::new(), changed: true })
    })
}
