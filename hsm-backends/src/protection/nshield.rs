//! Evidence from the nShield tools: the text of `nfkminfo` and the JSON of `nfkmattest verify`.
//!
//! | output | what binds it to a key |
//! |---|---|
//! | `nfkmattest verify` | the modulus and exponent in it |
//! | `nfkminfo -k APP IDENT` | the identifier (CKA_NFKM_ID, or the key container of a trusted publishing domain) or the key hash (CKA_NFKM_HASH) |
//! | `nfkminfo -l`, `nfkminfo -k` | the identifier |
//!
//! The texts are made for people and differ between versions. What is not understood is skipped, and a key whose protection is
//! not understood counts as [`Protection::Unknown`], which is refused. A file may hold several outputs after each other.
//!
//! None of it is proof against somebody who writes such a file by hand: `nfkminfo` prints unsigned text, and the signatures in an
//! attestation are verified by `nfkmattest`, whose output says no more of them. Take the outputs under the eyes of a witness.

mod attestation;
mod text;

use std::path::{Path, PathBuf};

use keykit::key::{KeyId, RsaPublicKey};
use keykit::store::protection::{Assessment, Protection, Signal};
use keykit::{Error, Result};
use serde::Serialize;

const FORMAT: &str = "nShield protection evidence";
const TEXT_HINT: &str = "give the unchanged output of `nfkminfo -l`, `nfkminfo -k`, `nfkminfo -k APP IDENT` or `nfkmattest verify`";
/// For who gives the bundle instead of what the tool says of it.
const BUNDLE_HINT: &str = "this is an attestation bundle, which keykit cannot verify: run `nfkmattest verify FILE` on a machine with the vendor's tools and give its output";
/// No list is longer, in bytes.
const LIMIT: usize = 1 << 24;

/// What one file says of the keys of a Security World.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    file: PathBuf,
    entries: Vec<Entry>,
}

/// How the tools may call a key, as far as it is known. Case does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyIdentifiers {
    /// Application name: `simple`, `mscapi`, `caping`, `pkcs11`… `None` matches any.
    pub app: Option<String>,
    /// Identifier: the value of CKA_NFKM_ID, or the key container that the trusted publishing domain names.
    pub ident: Option<String>,
    /// Name, which is CKA_LABEL. It proves nothing, and is used only to say so.
    pub label: Option<String>,
    /// Key hash in hex: the value of CKA_NFKM_HASH.
    pub nfkm_hash: Option<String>,
}

/// What a file says of one key, for people and reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement<'a> {
    /// The command whose output it is.
    pub source: &'static str,
    /// Application name.
    pub app: &'a str,
    /// Identifier.
    pub ident: &'a str,
    /// Name, if one is given.
    pub name: Option<&'a str>,
    /// Key hash in hex, if one is given.
    pub nfkm_hash: Option<&'a str>,
    /// The key's identity, if the public half is there.
    pub key_id: Option<KeyId>,
    /// How the key is protected, by the statement and the form of the identifier.
    pub protection: Protection,
}

/// One statement about one key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    source: Source,
    app: String,
    ident: String,
    name: Option<String>,
    hash: Option<String>,
    says: Protection,
    /// Modulus and exponent as they stand in the attestation.
    public: Option<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    fn statement(&self) -> Statement<'_> {
        let says = from_ident(self).into_iter().chain([self.says.clone()]);
        let signals = says.map(|says| Signal { source: String::new(), says, bound_to_key: true }).collect();
        Statement {
            source: self.source.words(),
            app: &self.app,
            ident: &self.ident,
            name: self.name.as_deref(),
            nfkm_hash: self.hash.as_deref(),
            key_id: self.public.as_ref().and_then(|(modulus, exponent)| attestation::key_id(modulus, exponent)),
            protection: Assessment::weigh(signals).protection,
        }
    }
}

/// Which output a statement comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    NameList,
    KeyList,
    KeyInfo,
    Attestation,
}

impl Source {
    fn words(self) -> &'static str {
        match self {
            Self::NameList => "nfkminfo -l",
            Self::KeyList => "nfkminfo -k",
            Self::KeyInfo => "nfkminfo -k APP IDENT",
            Self::Attestation => "nfkmattest verify",
        }
    }
}

impl Evidence {
    /// Reads the content of a file. `file` is its name, for messages.
    ///
    /// # Errors
    /// [`Error::Malformed`] if nothing in it is about a key.
    pub fn parse(text: &str, file: &Path) -> Result<Self> {
        let hint = if is_attestation_bundle(text) { BUNDLE_HINT } else { TEXT_HINT };
        let malformed = |problem: String| Error::malformed(FORMAT, problem).with_hint(hint).in_file(file);
        if text.len() > LIMIT {
            return Err(malformed(format!("larger than {LIMIT} bytes")));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
        let entries = if text.starts_with(['{', '[']) { attestation::parse(text).map_err(malformed)? } else { text::parse(text) };
        if entries.is_empty() {
            return Err(malformed("nothing in it is about a key".into()));
        }
        Ok(Self { file: file.to_owned(), entries })
    }

    /// The file's name.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// How many statements about keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none; never so for what [`Self::parse`] returns.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The statements, in the order of the file.
    #[must_use]
    pub fn statements(&self) -> Vec<Statement<'_>> {
        self.entries.iter().map(Entry::statement).collect()
    }

    /// What this evidence is worth, in a sentence: who checked what.
    #[must_use]
    pub fn worth(&self) -> &'static str {
        if self.entries.iter().any(|entry| entry.source == Source::Attestation) {
            "the signatures of the attestation were verified by `nfkmattest verify`, not by keykit: let a witness see that command run"
        } else {
            "`nfkminfo` prints unsigned text: let a witness see that command run"
        }
    }

    /// What the file says of a key. Statements that are not bound to it are there too, marked as such, where somebody may have
    /// meant them.
    ///
    /// Feed the signals of all evidence to [`keykit::store::protection::Assessment::weigh`].
    #[must_use]
    pub fn signals_for(&self, key: &RsaPublicKey, identifiers: &KeyIdentifiers) -> Vec<Signal> {
        let mut signals: Vec<Signal> = self.entries.iter().flat_map(|entry| self.signals_of(entry, key, identifiers)).collect();
        if signals.is_empty() {
            let what = identifiers.ident.as_ref().map_or_else(|| format!("key {}", key.id().short()), |ident| format!("key '{ident}'"));
            signals.push(self.signal("nothing", &format!(" about the {what}"), Protection::Unknown, false));
        }
        signals
    }

    fn signals_of(&self, entry: &Entry, key: &RsaPublicKey, identifiers: &KeyIdentifiers) -> Vec<Signal> {
        let source = entry.source.words();
        let about = format!(" of {} {}", entry.app, entry.ident);
        if let Some((modulus, exponent)) = &entry.public {
            let bound = same_number(modulus, key.modulus()) && same_number(exponent, &key.exponent().to_be_bytes());
            let about = if bound { String::new() } else { format!("{about}, which attests another key (its modulus differs)") };
            return vec![self.signal(source, &about, entry.says.clone(), bound)];
        }
        if entry.source == Source::Attestation {
            return vec![self.signal(source, &format!("{about}, which names no RSA key"), entry.says.clone(), false)];
        }
        let same = |left: &Option<String>, right: &str| left.as_ref().is_some_and(|left| left.eq_ignore_ascii_case(right));
        let same_app = identifiers.app.is_none() || same(&identifiers.app, &entry.app);
        let same_hash = entry.hash.as_ref().is_some_and(|hash| same(&identifiers.nfkm_hash, hash));
        // Two hashes that differ are two keys, whatever they are called.
        let other_hash = entry.hash.is_some() && identifiers.nfkm_hash.is_some() && !same_hash;
        let named = same_app && !entry.ident.is_empty() && same(&identifiers.ident, &entry.ident);
        if same_hash || (named && !other_hash) {
            let by_name = from_ident(entry).map(|says| self.signal("the identifier", &about, says, true));
            let stated = self.signal(source, &about, entry.says.clone(), true);
            // A plain list says nothing by itself.
            return if entry.source == Source::KeyList { vec![by_name.unwrap_or(stated)] } else { by_name.into_iter().chain([stated]).collect() };
        }
        let why = if named {
            ", whose key hash is another"
        } else if entry.name.as_ref().is_some_and(|name| same(&identifiers.label, name)) {
            ", whose name is the same; a name is no evidence"
        } else if entry.source == Source::KeyInfo {
            ", which is another key or cannot be told from it"
        } else {
            return Vec::new();
        };
        vec![self.signal(source, &format!("{about}{why}"), entry.says.clone(), false)]
    }

    fn signal(&self, source: &str, about: &str, says: Protection, bound_to_key: bool) -> Signal {
        Signal { source: format!("{source}{about} in {}", self.file.display()), says, bound_to_key }
    }
}

/// Whether this is the JSON of an attestation bundle (`nfkmattest bundle`), which is no evidence before `nfkmattest verify` has read it.
#[must_use]
pub fn is_attestation_bundle(text: &str) -> bool {
    ["\"pubkeydata\"", "\"kcmsg\"", "\"modstatemsg\""].iter().all(|field| text.contains(field))
}

/// What the identifier of a PKCS#11 key says of its protection: `ua<40 hex>` is the module, `uc<40 hex>-<40 hex>` a logical
/// token, which the first hash names.
#[must_use]
pub fn protection_of_ident(ident: &str) -> Option<Protection> {
    let is_hash = |text: &str| text.len() == 40 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    match (ident.get(..2)?, ident.get(2..)?) {
        ("ua", hash) if is_hash(hash) => Some(Protection::Module),
        ("uc", rest) => {
            let (token, hash) = rest.split_once('-')?;
            (is_hash(token) && is_hash(hash)).then(|| Protection::LogicalToken { hash: Some(token.to_ascii_lowercase()), name: None })
        }
        _ => None,
    }
}

fn from_ident(entry: &Entry) -> Option<Protection> {
    if entry.app.eq_ignore_ascii_case("pkcs11") { protection_of_ident(&entry.ident) } else { None }
}

/// Whether two big-endian numbers are the same.
fn same_number(stated: &[u8], number: &[u8]) -> bool {
    let significant = |bytes: &[u8]| bytes.iter().copied().skip_while(|&byte| byte == 0).collect::<Vec<u8>>();
    let number = significant(number);
    !number.is_empty() && significant(stated) == number
}

#[cfg(test)]
mod tests;
