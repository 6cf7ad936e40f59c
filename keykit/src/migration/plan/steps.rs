//! The steps of a plan.

use serde::{Deserialize, Serialize};

use super::PlannedTemplate;
use crate::key::KeyId;
use crate::migration::rules::Step as Documented;

/// When a verification stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Tools, clients and Exchange are prepared; nothing has moved.
    Preparation,
    /// The keys have moved.
    Keys,
    /// The service is activated and its templates are published.
    Templates,
    /// Users have moved.
    Clients,
    /// Exchange, SharePoint and file servers have moved.
    Services,
    /// At the end of everything.
    End,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [Self::Preparation, Self::Keys, Self::Templates, Self::Clients, Self::Services, Self::End];

    /// Its name, as it stands in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Preparation => "preparation",
            Self::Keys => "keys",
            Self::Templates => "templates",
            Self::Clients => "clients",
            Self::Services => "services",
            Self::End => "end",
        }
    }
}

/// What a step does. Details of keys are in the plan's list of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// Every file is still the one that was planned with; every source key is there and may move.
    CheckSources,
    /// A key is brought into its target and entered in the keyring.
    ImportKey {
        /// The key.
        key_id: KeyId,
    },
    /// What the source key sealed and signed opens and matches at the target.
    ProveKey {
        /// The key.
        key_id: KeyId,
        /// Licences that must open; paths from the plan's list of files.
        licences: Vec<String>,
    },
    /// The templates of a key are in the keyring, text for text.
    ImportTemplates {
        /// The key that they came with.
        key_id: KeyId,
        /// The templates.
        templates: Vec<PlannedTemplate>,
    },
    /// A key becomes the active one.
    Activate {
        /// The key.
        key_id: KeyId,
    },
    /// Templates are offered to users.
    PublishTemplates {
        /// GUIDs.
        templates: Vec<String>,
    },
    /// A new key is made in the tenant's store and becomes active; templates are signed anew.
    Rekey {
        /// Size of the new key in bits.
        bits: usize,
    },
    /// Everything is derived again from stores and files.
    Verify {
        /// When.
        phase: Phase,
    },
    /// Files for other people and systems are made from the migration file.
    WriteArtefacts {
        /// The folder; what is not absolute counts from the folder of the plan.
        folder: String,
        /// The files in it.
        files: Vec<PlannedArtefact>,
    },
    /// A key is wrapped for its receiver, into a transfer file.
    MakePackage {
        /// The key.
        key_id: KeyId,
        /// The transfer file; what is not absolute counts from the folder of the plan.
        file: String,
    },
    /// Something that a person does by hand and confirms.
    Manual {
        /// What to do.
        instruction: String,
    },
}

impl Action {
    /// The name of its kind, as it stands in the file.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CheckSources => "check-sources",
            Self::ImportKey { .. } => "import-key",
            Self::ProveKey { .. } => "prove-key",
            Self::ImportTemplates { .. } => "import-templates",
            Self::Activate { .. } => "activate",
            Self::PublishTemplates { .. } => "publish-templates",
            Self::Rekey { .. } => "rekey",
            Self::Verify { .. } => "verify",
            Self::WriteArtefacts { .. } => "write-artefacts",
            Self::MakePackage { .. } => "make-package",
            Self::Manual { .. } => "manual",
        }
    }

    /// The key that it is about, if it is about one that the plan names.
    #[must_use]
    pub fn key_id(&self) -> Option<KeyId> {
        match self {
            Self::ImportKey { key_id }
            | Self::ProveKey { key_id, .. }
            | Self::ImportTemplates { key_id, .. }
            | Self::MakePackage { key_id, .. }
            | Self::Activate { key_id } => Some(*key_id),
            _ => None,
        }
    }

    /// Whether it changes the tenant's keyring.
    pub(in crate::migration) fn changes_the_tenant(&self) -> bool {
        matches!(
            self,
            Self::ImportKey { .. } | Self::ImportTemplates { .. } | Self::Activate { .. } | Self::PublishTemplates { .. } | Self::Rekey { .. }
        )
    }

    /// Paths that it writes to, besides the tenant's folder.
    pub(super) fn written(&self) -> impl Iterator<Item = &str> {
        let (folder, files) = match self {
            Self::WriteArtefacts { folder, files } => (Some(folder.as_str()), files.as_slice()),
            Self::MakePackage { file, .. } => (Some(file.as_str()), &[][..]),
            _ => (None, &[][..]),
        };
        folder.into_iter().chain(files.iter().map(|file| file.name.as_str()))
    }

    /// Whether it only looks: it leaves nothing that could be found again.
    #[must_use]
    pub fn only_looks(&self) -> bool {
        matches!(self, Self::CheckSources | Self::ProveKey { .. } | Self::Verify { .. })
    }
}

/// A file for other people and systems.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedArtefact {
    /// Its name in its folder.
    pub name: String,
    /// SHA-256 of its content, in hex.
    pub sha256: String,
}

/// What `abort` can do about a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "note", rename_all = "kebab-case")]
pub enum Undo {
    /// There is nothing to undo.
    Nothing,
    /// It is undone by keykit: how.
    Automatic(String),
    /// It stays: why, and what a person can do.
    Stays(String),
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name in the plan, for example `import-key/0123456789abcdef`.
    pub id: String,
    /// The step of the documented process that it belongs to.
    pub documented: Documented,
    /// The rules behind it.
    pub rules: Vec<u16>,
    /// What it does.
    pub action: Action,
    /// What it needs: files, keys, stores, in words.
    pub inputs: Vec<String>,
    /// What is different afterwards, in sentences.
    pub effects: Vec<String>,
    /// What `abort` can do about it.
    pub undo: Undo,
    /// Who must have approved, in words.
    pub approval: String,
}
