//! What stands in a line.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::migration::apply::Event;
use crate::store::StoreIdentity;

/// What stands in every line about a torn one, and in no other: quotes inside of texts are escaped.
pub(super) const TORN_MARK: &[u8] = b"\"kind\":\"torn-line\"";

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Counts from 1.
    pub number: u64,
    /// When (UTC, whole seconds), by the clock of the machine.
    pub time: Timestamp,
    /// What.
    pub what: Happening,
    /// SHA-256 of the line before with its line feed, in hex; zeros in the first line.
    pub previous: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Happening {
    /// A program begins to work. The first line is always one of these.
    Session {
        /// What it was told to do: `apply`, `resume`, `abort`, `approve`, `note`.
        command: String,
        /// Hash of the plan.
        plan: String,
        /// The computer.
        machine: MachineIdentity,
        /// The program.
        program: ProgramIdentity,
        /// The PKCS#11 modules that the plan names.
        modules: Vec<ModuleIdentity>,
        /// The tokens that the plan names, as they are found without a login.
        tokens: Vec<TokenIdentity>,
    },
    /// The program ends by itself.
    SessionEnded {
        /// Its exit code (`docs/exit-codes.md`).
        exit: u8,
        /// The error that it ended with.
        error: Option<String>,
    },
    /// The session before has no end: its program was killed, or the machine went down.
    CrashFound {
        /// Number of the entry that began that session.
        session: u64,
    },
    /// The bytes between this line and the one before are a line that a crash tore.
    TornLine {
        /// How many bytes, the line feed before this line left out.
        bytes: u64,
        /// SHA-256 of them, in hex.
        sha256: String,
    },
    /// An approval of the plan was made or taken.
    Approval {
        /// Who.
        name: String,
        /// In which role.
        role: String,
        /// SHA-256 of the key as OpenSSH shows it.
        key: String,
        /// When it was made.
        approved: Timestamp,
        /// Until when it counts.
        expires: Timestamp,
        /// SHA-256 of the text that was signed, in hex.
        statement_sha256: String,
    },
    /// A line of the journal of runs: a step begins, is done, fails, is undone; a run begins, goes on, ends.
    Run {
        /// Number of the line in the journal.
        line: u64,
        /// Its hash.
        hash: String,
        /// Whether a crash lay between the journal and this line, which was added when the run went on.
        late: bool,
        /// What the journal says.
        event: Event,
    },
    /// A witness typed words of the hash of the plan back, rightly.
    WordsConfirmed {
        /// Their places among the words, from 1.
        places: Vec<u8>,
        /// Who, by the name that was given; nothing in older transcripts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Somebody in the room says that the source is quiet: nobody protects anything with its keys, changes or exports them until the
    /// run has ended (Mozilla's policy for the transfer of root keys asks for it).
    SourceQuiesced {
        /// Who, by the name that was given.
        by: String,
    },
    /// A person in the room said yes to a step.
    Confirmed {
        /// The step.
        step: String,
        /// Whether it was done by hand before.
        by_hand: bool,
        /// Who, by the name that was given; nothing in older transcripts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Something was not as the script has it.
    Deviation {
        /// The step that it is about, if it is about one.
        step: Option<String>,
        /// What.
        note: String,
        /// Who says so; nothing if the program does.
        by: Option<String>,
    },
    /// Nothing may follow.
    Closed {},
}

/// A computer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineIdentity {
    /// Its name.
    pub host: String,
    /// Name and version of its operating system.
    pub system: String,
    /// Its processor architecture.
    pub architecture: String,
}

/// A program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramIdentity {
    /// Its version.
    pub version: String,
    /// SHA-256 of the executable file, in hex; nothing if the system does not show it.
    pub sha256: Option<String>,
}

/// A PKCS#11 module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleIdentity {
    /// Its file name, without the folder.
    pub file: String,
    /// SHA-256 of the file, in hex; nothing if it can't be read.
    pub sha256: Option<String>,
}

/// A token, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenIdentity {
    /// Label.
    pub label: String,
    /// Who made it.
    pub manufacturer: String,
    /// The model.
    pub model: String,
    /// The serial number.
    pub serial: String,
    /// Firmware version.
    pub firmware: String,
}

impl From<&StoreIdentity> for TokenIdentity {
    fn from(store: &StoreIdentity) -> Self {
        Self {
            label: store.label.clone(),
            manufacturer: store.manufacturer.clone(),
            model: store.model.clone(),
            serial: store.serial.clone(),
            firmware: store.firmware.clone(),
        }
    }
}
