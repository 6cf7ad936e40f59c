//! What a licence seals, and how: content keys, the enabling bits that carry them to a recipient, and encrypted
//! rights data (MS-RMPR §2.2.9.1.13).
//!
//! [`enabling_bits`] is where a migrated key proves itself: a licence sealed to the key before the migration
//! must open after it.

mod content_key;
mod ecb;
pub mod enabling_bits;
pub mod rights_data;

pub use content_key::{ContentCipher, ContentKey};
pub use enabling_bits::{OpenedKey, Payload, SealAlgorithm, open, open_batch, seal};
