//! XrML 1.2 documents of rights management: certificates, licences and templates (MS-RMPR §2.2.9).
//!
//! A document is read once and kept exactly as it is stored: its signature covers the text of `<BODY … </BODY>`
//! byte for byte, so nothing here ever writes a parsed document back.
//!
//! | file | what it knows |
//! |---|---|
//! | `document` | finding documents in bytes, the fields of one document |
//! | `parts` | objects, principals, enabling bits and the other pieces of a body |
//! | `kind` | what a document is, and what it may issue |
//! | `signature` | the digest and the signature of one document |
//! | `chain` | which document issued which, up to a root that is trusted |
//! | `template` | rights templates and their names |
//! | [`writer`] | new documents in the shape of real ones |

mod chain;
mod document;
mod guid;
mod kind;
mod parts;
mod rights;
mod signature;
mod template;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod time;
mod value;
pub mod writer;

pub use chain::{Chain, Problem, ProblemKind, Trust, TrustAnchors};
pub(crate) use document::documents_of;
pub use document::{Document, MAX_BYTES, MAX_DOCUMENTS, documents_in};
pub use guid::Guid;
pub use kind::DocumentKind;
pub use parts::{Address, AuthenticatedData, DistributionPoint, EnablingBits, Object, Principal, SealAlgorithm, SealedKey, SecurityLevel, Work};
pub use rights::{Right, RightHolder};
pub(crate) use signature::SignatureClaim;
pub use signature::{Signature, SignatureCheck};
pub use template::{RightsTemplate, TemplateName, parse_names, write_names};
pub use time::{TimeRange, XrmlTime};

/// The name of the format in errors.
pub(crate) const FORMAT: &str = "XrML document";
