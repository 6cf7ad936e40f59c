//! `migration.toml`: a whole migration, as the people who plan it write it down.
//!
//! The file is read into types in one step. What is wrong with its form (unknown keys, missing pieces, contradictions) is told with
//! line and column, all of it at once. What is wrong with the migration that it describes is the business of
//! [`super::rules`]. No secret stands in the file: passwords are named by their sources.
//!
//! The format is documented in `docs/migration-file.md`, which is made from the types here.

mod contradictions;
mod reader;
mod schema;
mod surroundings;
mod systems;
mod tables;
#[cfg(test)]
mod tests;
mod values;

use std::path::Path;

use toml::de::DeTable;

pub use reader::{FieldDescription, Need, Placed, Position, Problem, TableDescription};
pub use schema::document as schema_document;
pub use surroundings::*;
pub use systems::{Office, Region, Windows};
pub use tables::*;
pub use values::{ApproverKey, Day, DomainName, FilePath, KeyUrl, Mode, PasswordSource, SchemaVersion, ServerUrl, StoreUri, Version};

use crate::durable;
use crate::error::{Error, Result};
use crate::tenant::{Era, Managed};
use reader::{Reader, Table};

use super::MigrationPath;

/// Name of the format in errors.
const FORMAT: &str = "migration file";
/// Largest file that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// A commented example, which is itself a sound migration file: the output of `keykit plan --init`.
pub const EXAMPLE: &str = include_str!("file/example.toml");

/// An exported domain with the cluster and the forest it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct PlacedDomain<'f> {
    /// The forest.
    pub forest: &'f Forest,
    /// The cluster.
    pub cluster: &'f Cluster,
    /// The domain.
    pub domain: &'f ExportedDomain,
}

impl MigrationFile {
    /// Reads a migration file.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Malformed`] with all problems, each with its line and column.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = durable::read(path, LIMIT, FORMAT)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let offset = u64::try_from(error.utf8_error().valid_up_to()).unwrap_or(u64::MAX);
            Error::malformed(FORMAT, "it is not UTF-8 text").at(offset).in_file(path)
        })?;
        Self::parse(&text).map_err(|error| error.in_file(path))
    }

    /// Reads the text of a migration file.
    ///
    /// # Errors
    /// [`Error::Malformed`] with all problems, each with its line and column.
    pub fn parse(text: &str) -> Result<Self> {
        Self::examine(text).map_err(|problems| {
            let listed: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let text = match listed.as_slice() {
                [one] => one.clone(),
                several => format!("{} problems\n  {}", several.len(), several.join("\n  ")),
            };
            Error::malformed(FORMAT, text).with_hint("docs/migration-file.md describes every key; `keykit plan --init` prints an example")
        })
    }

    /// Reads the text of a migration file.
    ///
    /// # Errors
    /// All problems that were found, in the order of the file; at least one.
    pub fn examine(text: &str) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::new(text);
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > LIMIT {
            reader.problem(Position { line: 1, column: 1 }, format!("the file has {} bytes; at most {LIMIT} are read", text.len()));
            return Err(reader.into_problems());
        }
        let (root, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            for error in errors {
                let at = reader.position(error.span().map_or(0, |span| span.start));
                reader.problem(at, error.message());
            }
            return Err(reader.into_problems());
        }
        let file = Self::from_table(root.get_ref(), &mut reader);
        if let Some(file) = &file {
            contradictions::find(file, &mut reader);
        }
        let problems = reader.into_problems();
        match file {
            Some(file) if problems.is_empty() => Ok(file),
            _ => Err(problems),
        }
    }

    fn from_table(root: &DeTable<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        <Self as Table>::read(Position { line: 1, column: 1 }, root, reader)
    }

    /// The file as TOML text, without comments. Reading it again gives the same.
    ///
    /// # Errors
    /// [`Error::Internal`] never in practice.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Error::Internal(format!("writing a migration file: {error}")))
    }

    /// Which import rules hold.
    #[must_use]
    pub fn era(&self) -> Era {
        self.era.as_ref().map(|era| era.value).unwrap_or_default()
    }

    /// All clusters with their forests.
    pub fn clusters(&self) -> impl Iterator<Item = (&Forest, &Cluster)> {
        self.forest.iter().flat_map(|forest| forest.cluster.iter().map(move |cluster| (forest, cluster)))
    }

    /// All exported domains, in the order of the file.
    pub fn domains(&self) -> impl Iterator<Item = PlacedDomain<'_>> {
        self.clusters().flat_map(|(forest, cluster)| cluster.domain.iter().map(move |domain| PlacedDomain { forest, cluster, domain }))
    }

    /// Whether users move in more than one batch.
    #[must_use]
    pub fn is_phased(&self) -> bool {
        self.batch.len() > 1
    }
}

impl Cluster {
    /// The path that this cluster's keys take, by the table of rule 41; `None` for combinations that are not offered.
    #[must_use]
    pub fn path(&self, managed: Managed) -> Option<MigrationPath> {
        let moved = self.moved_to_nshield.as_ref().is_some_and(|moved| moved.value);
        match (self.protection.as_ref()?.value, managed) {
            (KeyProtection::Database, Managed::Service) => Some(MigrationPath::SoftwareToSoftware),
            (KeyProtection::Database, Managed::Customer) => Some(MigrationPath::SoftwareToHsm),
            (KeyProtection::Nshield, Managed::Customer) => Some(MigrationPath::HsmToHsm),
            (KeyProtection::OtherHsm | KeyProtection::ExternalProvider, Managed::Customer) if moved => Some(MigrationPath::HsmToHsm),
            _ => None,
        }
    }

    /// Whether it is a root cluster.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.kind.value == ClusterKind::Root
    }
}

impl ExportedDomain {
    /// Whether its key is to be the active one.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.value)
    }
}
