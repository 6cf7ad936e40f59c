//! Wrapped keys on their way from one store to another.

mod azure;
mod key_wrap;

pub use azure::AzureTransferFile;
pub use key_wrap::{KeyEncryptionKey, strip_token_padding, unwrap_rsa_aes, wrap_rsa_aes};
