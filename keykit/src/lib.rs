//! keykit moves the RSA keys of a rights-management service to where they must live next,
//! without losing access to one protected document and without letting a key out.
//!
//! This crate is the library: what a migration *is*. It holds no PKCS#11, no network and no `unsafe`;
//! key stores that need those live in `keykit-hsm-backends`.
//!
//! | module | what it knows |
//! |---|---|
//! | [`key`] | public and secret RSA keys, their identity, cryptographic modes, hashes |
//! | [`secret`] | the type every secret lives in |
//! | [`store`] | the [`store::KeyStore`] contract, its capabilities, protection of a key |
//! | [`tpd`] | trusted publishing domains: read, write, without their key |
//! | [`xrml`] | XrML documents as they are stored: signatures, chains, a writer |
//! | [`licence`] | licences and the enabling bits that seal their keys |
//! | [`container`] | the files that licences live in |
//! | [`content`] | the content of one protected file, decrypted piece by piece |
//! | [`bulk`] | many licences through one operation: in order, bounded memory, resumable |
//! | [`transfer`] | wrapped keys on their way to another store |
//! | [`tenant`] | the tenant keyring |
//! | [`migration`] | the three paths, their rules and their proofs; the plan, and carrying it out |
//! | [`ceremony`] | the people who approve a plan, and their quorum |
//! | [`threads`] | how many threads compute, so that nested parallel parts share the processors |
//! | [`canonical`] | JSON in the one form that is hashed and signed |
//! | [`artefact`] | what other people and systems get: run books |
#![forbid(unsafe_code)]

pub mod artefact;
pub mod bulk;
pub mod canonical;
pub mod ceremony;
pub mod container;
pub mod content;
pub mod durable;
pub mod error;
pub mod key;
pub mod licence;
pub mod migration;
pub mod secret;
pub mod store;
pub mod tenant;
pub mod threads;
pub mod tpd;
pub mod transfer;
pub mod xml;
pub mod xrml;

pub use error::{Error, Result};
