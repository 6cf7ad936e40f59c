//! The tenant keyring: which keys the tenant has, which one is active, its templates, and the journal of every change.
//!
//! ```text
//! tenant.json      what the tenant is now; replaced in one step, which is the moment a change counts
//! keys/            an encrypted folder store, for keys that live in software
//! chains/          the certificate chain of each key, as it was exported
//! templates/       rights templates, exactly as they were exported; later versions of one stand beside it
//! journal.jsonl    intent and outcome of every change, each line carrying the SHA-256 of the line before
//! ```
//!
//! At most one key is active, all others are archived, and nothing is ever deleted (rules 117–124). A tenant whose keys have
//! only been imported has no active key yet: the documented process activates in a step of its own (rule 55).

mod activate;
mod change;
mod export;
mod file;
mod history;
mod journal;
mod keyring;
mod licensor;
mod neighbours;
mod registry;
mod rekey;
mod template;
mod templates;
#[cfg(test)]
mod tests;
mod view;

pub use activate::Activation;
pub use file::{Era, KeyStatus, Managed, TemplateStatus, TenantKey, TenantTemplate};
pub use history::RecordedChange;
pub use journal::{Entry, Journal, Moment};
pub(crate) use keyring::MAX_TEMPLATES;
pub use keyring::{KeyAddition, Recovery, TenantKeyring};
pub use licensor::Licensor;
pub use neighbours::NeighbourLock;
pub use registry::{holder_elsewhere, refuse_second_tenant, sibling_tenants};
pub use rekey::{NewKey, Rekeyed, TenantRekey};
pub use template::{TemplateAddition, template_warnings, terms};
pub use templates::{Imported, TemplateChange, TemplateImport, versions_among};
pub use view::TenantView;
