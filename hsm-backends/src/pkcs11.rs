//! The PKCS#11 key store: keys that live in a token and never come out in the clear.
//!
//! | module | what it knows |
//! |---|---|
//! | `uri` | which token, which module (RFC 7512) |
//! | `module`, `session` | loading, login, pooled sessions |
//! | `key`, `protection` | key records with their evidence |
//! | `store` | list, sign, decrypt, generate, destroy |
//! | `wrap`, `unwrap`, `stored_kek`, `self_test` | transfers under a key encryption key, by proven routes only |
//! | `secret_wrap` | AES key wrap of throwaway secrets, for self-tests and published vectors |
//! | `examine` | what a token says and what it really does |
//! | `mechanism`, `quirks`, `error` | what tokens offer, what is odd about them, how they fail |
//! | `sys` | the only unsafe code |
//!
//! A key in the clear is never given to a token (no C_CreateObject of private keys): a key from software goes in by
//! [`keykit::transfer::wrap_rsa_aes`] and [`keykit::store::TransportKey::unwrap_in`].

mod contents;
mod decrypt;
mod error;
mod examine;
mod key;
mod mechanism;
mod module;
mod parallel;
mod protection;
mod quirks;
mod secret_wrap;
mod self_test;
mod session;
mod store;
mod stored_kek;
mod sys;
mod token;
mod unwrap;
mod uri;
mod verification;
mod wrap;

pub use examine::{Examination, Measurement, ModuleDescription, SlotFacts, Verdict};
pub use mechanism::{MechanismDescription, mechanism_name};
pub use quirks::{Quirk, quirks_of};
pub use self_test::{KwpAbility, KwpVerdict};
pub use store::{ObjectLifetime, Pkcs11Options, Pkcs11Store};
pub use token::{TokenDescription, tokens};
pub use uri::{ObjectType, Pkcs11Uri};
