//! Key stores for keykit: memory, encrypted folder, PKCS#11; and protection evidence.

pub mod pkcs11;
pub mod secret_source;
