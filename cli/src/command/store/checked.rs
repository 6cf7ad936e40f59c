//! Stores that are opened to be tested or examined: nothing is written to them unless that is asked for by name.

use std::path::Path;

use keykit::store::{KeyStore, StoreIdentity};
use keykit::{Error, Result};
use keykit_conformance::{InTheClear, Loader, Subject, Wrapped};
use keykit_hsm_backends::folder::FolderStore;
use keykit_hsm_backends::memory::MemoryStore;
use keykit_hsm_backends::pkcs11::{ObjectLifetime, Pkcs11Options, Pkcs11Store, Pkcs11Uri};

use crate::arguments::KeyringPassword;
use crate::{output, stores};

const FOLDER_IS_SPARED: &str = "the folder is not written to: its engine is tried with keys in memory";

/// A store under test.
#[derive(Debug)]
pub(super) enum Checked {
    /// A token.
    Token(Box<Pkcs11Store>, ObjectLifetime),
    /// A store in memory, in the place of the store of this identity.
    Memory(Box<MemoryStore>, Box<StoreIdentity>),
    /// A folder that may be written to.
    Folder(Box<FolderStore>),
}

impl Checked {
    /// Opens a store. Only a token with the serial number `allow_write`, or the folder of that name, is written to.
    ///
    /// # Errors
    /// What the store says; [`Error::Refused`] if `allow_write` names another store than this.
    pub(super) fn open(name: &str, keyring: &KeyringPassword, allow_write: Option<&str>) -> Result<Self> {
        if name.starts_with("pkcs11:") {
            return Self::token(&Pkcs11Uri::parse(name)?, allow_write);
        }
        match (name.strip_prefix("file:"), allow_write) {
            (Some(folder), Some(named)) if named == folder => {
                let password = stores::folder_password(Path::new(folder), keyring)?;
                Ok(Self::Folder(Box::new(stores::folder_store(Path::new(folder), &password)?)))
            }
            (Some(folder), None) => {
                output::say(FOLDER_IS_SPARED);
                let identity = FolderStore::open_without_password(Path::new(folder))?.identity().clone();
                Ok(Self::Memory(Box::default(), Box::new(identity)))
            }
            (Some(folder), Some(named)) => Err(other_store(named, &format!("the folder '{folder}'"))),
            (None, Some(named)) => Err(other_store(named, "a store in memory")),
            (None, None) if name == "memory:" => {
                let store = MemoryStore::new();
                let identity = store.identity().clone();
                Ok(Self::Memory(Box::new(store), Box::new(identity)))
            }
            (None, None) => Err(stores::no_such_store(name)),
        }
    }

    fn token(uri: &Pkcs11Uri, allow_write: Option<&str>) -> Result<Self> {
        let lifetime = if allow_write.is_some() { ObjectLifetime::Token } else { ObjectLifetime::Session };
        let options = Pkcs11Options { objects: lifetime, ..Pkcs11Options::default() };
        let token = stores::token_with(uri, None, options)?;
        match allow_write {
            Some(named) if named != token.identity().serial => {
                Err(other_store(named, &format!("the token with the serial number '{}'", token.identity().serial)))
            }
            _ => Ok(Self::Token(Box::new(token), lifetime)),
        }
    }

    /// What the suites run on.
    pub(super) fn subject(&self) -> Subject<'_> {
        const WRAPPED: &dyn Loader = &Wrapped { kek_modulus_bits: 2048 };
        match self {
            Self::Token(token, _) => Subject { store: token.as_ref(), loader: WRAPPED, token: Some(token) },
            Self::Memory(store, _) => Subject { store: store.as_ref(), loader: &InTheClear, token: None },
            Self::Folder(store) => Subject { store: store.as_ref(), loader: &InTheClear, token: None },
        }
    }

    /// The store that was asked about.
    pub(super) fn identity(&self) -> &StoreIdentity {
        match self {
            Self::Token(token, _) => token.identity(),
            Self::Memory(_, identity) => identity,
            Self::Folder(store) => store.identity(),
        }
    }

    /// Where test keys live.
    pub(super) fn keys_live_in(&self) -> &'static str {
        match self {
            Self::Token(_, ObjectLifetime::Session) => "session-objects",
            Self::Token(_, ObjectLifetime::Token) => "token-objects",
            Self::Memory(..) => "memory",
            Self::Folder(_) => "the-folder",
        }
    }
}

fn other_store(named: &str, this: &str) -> Error {
    Error::refused_by_policy(
        format!("--allow-write names '{named}', and this is {this}; nothing was written"),
        "give the serial number of a token, or the path of a folder as it stands in --store; without --allow-write no store is written to",
    )
}
