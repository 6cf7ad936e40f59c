//! Key stores for keykit: memory, encrypted folder, PKCS#11; and evidence of how a key is protected.
//!
//! `unsafe` is denied everywhere but in `pkcs11::sys`, which calls what the `cryptoki` crate cannot express.
#![deny(unsafe_code)]

pub mod folder;
pub mod memory;
pub mod pkcs11;
pub mod protection;
pub mod secret_source;
