//! Wrapped keys on their way from one store to another.
//!
//! All receivers take one blob, `RSAES-OAEP(KEK, AES-256 key) ‖ AES-KWP(AES-256 key, PKCS#8)`; they differ in the hash of OAEP, in
//! what is around the blob, and in their key encryption keys. A [`TransferProfile`] says all of that.

mod azure;
mod finding;
mod key_wrap;
mod layout;
mod lint;
mod offered_key;
mod package;
mod profile;
mod rehearsal;

pub use azure::AzureTransferFile;
pub use finding::{Finding, Severity};
pub use key_wrap::{KeyEncryptionKey, OpenedKey, open_blob, other_hash_error, strip_token_padding, unwrap_rsa_aes, wrap_rsa_aes};
pub use layout::{KEY_ENCRYPTION_KEY_BITS, check_length, possible_sizes};
pub use lint::{LintReport, ProfileVerdict, TransferKind};
pub use offered_key::{ConfirmedKey, KeyForm, OfferedKey};
pub use package::{Package, PackageOptions, open_envelope};
pub use profile::{Envelope, KeyEncryptionKeyRules, Plaintext, Template, TransferProfile, Values};
pub use rehearsal::{Rehearsal, rehearse};
