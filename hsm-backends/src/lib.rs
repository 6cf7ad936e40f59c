//! Key stores for keykit: memory, encrypted folder, PKCS#11; and evidence of how a key is protected.
#![forbid(unsafe_code)]

pub mod folder;
pub mod memory;
pub mod protection;
