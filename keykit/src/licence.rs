//! Licences: what they seal, how they are issued and opened, and how they move to another key.
//!
//! | file | what it knows |
//! |---|---|
//! | [`enabling_bits`] | content keys sealed to a recipient (MS-RMPR §2.2.9.1.13) |
//! | [`rights_data`] | rights encrypted under the content key |
//! | `rights` | the vocabulary of rights |
//! | `publishing` | publishing licences: content key and rights, for the server |
//! | `grant` | what a publishing licence grants to one user |
//! | `use_licence` | use licences: content key and rights, for one user |
//! | [`rekey`] | publishing licences from an archived key to the active one |
//! | `templates` | rights templates signed anew when the active key changes |
//! | `template_rights` | rights templates with other rights |
//!
//! [`enabling_bits`] is where a migrated key proves itself: a licence sealed to the key before the migration
//! must open after it.

mod content_key;
pub(crate) mod ecb;
pub mod enabling_bits;
mod grant;
mod publishing;
pub mod rekey;
mod rights;
pub mod rights_data;
mod template_rights;
mod templates;
#[cfg(test)]
mod testing;
mod use_licence;

pub use content_key::{ContentCipher, ContentKey};
pub use enabling_bits::{OpenedKey, Payload, SealAlgorithm, open, open_batch, seal};
pub use grant::addresses_of;
pub use publishing::{NewPublishingLicence, OpenedPublishingLicence, SealedContentKey, open_publishing_licence};
pub use rekey::{ActiveKey, Rekey, RekeyedLicence};
pub use rights::UsageRight;
pub use template_rights::{RightsChange, changed_rights};
pub use templates::{IssueTime, ResignedTemplate};
pub use use_licence::{GrantedRight, NewUseLicence, OpenedUseLicence, open_use_licence, use_licence_text};
