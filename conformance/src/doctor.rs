//! What a store says, what it really does, and what follows: `keykit/store-doctor/1`.
//!
//! A result holds nothing secret, and nothing that differs between two runs on the same kind of token except what is under
//! `instance`. So two results can be compared: over time, or of two tokens.

mod comparison;
mod measure;
mod profiles;
mod protection;
mod routes;
mod text;

use std::collections::BTreeMap;

use keykit::store::StoreIdentity;
use keykit::{Error, Result};
use serde::{Deserialize, Serialize};

pub use measure::{examine_software, examine_token};
pub use profiles::{Served, ServedProfile};
pub use protection::examine_keys;
pub use routes::{Direction, Route, Way};
pub use text::table;

/// The schema of the file.
pub const SCHEMA: &str = "keykit/store-doctor/1";
const FORMAT: &str = "doctor file";

/// Everything that is known of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doctor {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of the program that measured.
    pub keykit: String,
    /// What only this one store has. Not compared.
    pub instance: Instance,
    /// What kind of store it is.
    pub store: Kind,
    /// What the store says of itself, by name.
    pub says: BTreeMap<String, String>,
    /// Every mechanism that a token names, by number.
    pub mechanisms: Vec<Mechanism>,
    /// What the store really does, by name.
    pub measurements: Vec<Measured>,
    /// What is known to be odd about stores of this kind.
    pub quirks: Vec<Known>,
    /// The ways of a key out of the store and into it, as tried.
    pub routes: Vec<Route>,
    /// Which transfer profiles the store can serve.
    pub profiles: Vec<ServedProfile>,
    /// What that means, in sentences.
    pub meaning: Vec<String>,
    /// What was not measured, and why.
    pub not_measured: Vec<String>,
}

/// What only this one store has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// How it is named, without secrets.
    pub uri: String,
    /// Its label.
    pub label: String,
    /// Its serial number.
    pub serial: String,
    /// The keys that live in a token, with the verdict on what protects each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<ProtectedKey>,
}

/// A key, and what protects it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectedKey {
    /// Its identity.
    pub key_id: String,
    /// Its label.
    pub label: String,
    /// Size of the modulus in bits.
    pub modulus_bits: usize,
    /// The verdict: `module`, `operator card set …`, `softcard …`, `unknown`, `in conflict`.
    pub protection: String,
    /// Whether a migration of the key to the cloud takes that verdict (rule 29).
    pub accepted: bool,
    /// What that means.
    pub sentence: String,
    /// What the verdict rests on: where from, and what it says. What is not bound to this very key does not count, and says so.
    pub evidence: Vec<String>,
}

/// What kind of store it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    /// Maker.
    pub manufacturer: String,
    /// Model.
    pub model: String,
    /// Firmware or library version.
    pub firmware: String,
}

/// A mechanism as the token describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mechanism {
    /// The number, for example `0x0000210B`.
    pub code: String,
    /// The name, or the number again.
    pub name: String,
    /// Smallest key, in the unit that the mechanism counts in.
    pub minimum_key_size: u64,
    /// Largest key.
    pub maximum_key_size: u64,
    /// What it can do, as the token says.
    pub uses: Vec<String>,
}

/// How a measurement came out, best last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Neither right nor wrong: how this store does it.
    Fact,
    /// Not as it must be.
    Wrong,
    /// The store does not offer it.
    Unavailable,
    /// As it must be.
    Right,
}

/// A measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// What was measured. The same in every run.
    pub name: String,
    /// How it came out.
    pub outcome: Outcome,
    /// What the store did.
    pub detail: String,
    /// The quirk that explains it, by its name, if it is wrong in a way that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_as: Option<String>,
}

/// Something that is known of stores of this kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its name in the table of quirks.
    pub name: String,
    /// What it is and what follows.
    pub meaning: String,
}

impl Doctor {
    fn new(identity: &StoreIdentity) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            keykit: env!("CARGO_PKG_VERSION").to_owned(),
            instance: Instance { uri: identity.uri.clone(), label: identity.label.clone(), serial: identity.serial.clone(), keys: Vec::new() },
            store: Kind { manufacturer: identity.manufacturer.clone(), model: identity.model.clone(), firmware: identity.firmware.clone() },
            says: BTreeMap::new(),
            mechanisms: Vec::new(),
            measurements: Vec::new(),
            quirks: Vec::new(),
            routes: Vec::new(),
            profiles: Vec::new(),
            meaning: Vec::new(),
            not_measured: Vec::new(),
        }
    }

    /// Reads a stored result.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let doctor: Self = serde_json::from_slice(json).map_err(|error| Error::malformed(FORMAT, error.to_string()))?;
        if doctor.schema == SCHEMA { Ok(doctor) } else { Err(Error::malformed(FORMAT, format!("its schema is '{}', not '{SCHEMA}'", doctor.schema))) }
    }

    /// The same without what only this one store has: what is kept to compare with.
    #[must_use]
    pub fn without_instance(mut self) -> Self {
        let none = || "left out".to_owned();
        self.instance = Instance { uri: none(), label: none(), serial: none(), keys: Vec::new() };
        self
    }
}
