//! Profiles as they are written in TOML.

use serde::{Deserialize, Serializer};

use super::{Envelope, KeyEncryptionKeyRules, Plaintext, Template, TransferProfile};
use crate::error::{Error, Result};
use crate::key::Hash;
use crate::transfer::layout::KEY_ENCRYPTION_KEY_BITS;

pub(super) const FORMAT: &str = "file of transfer profiles";
/// Largest file, in bytes.
const LIMIT: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    profile: Vec<toml::Spanned<Profile>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    name: String,
    title: String,
    reference: String,
    oaep_hash: HashName,
    mgf1_hash: HashName,
    plaintext: PlaintextName,
    envelope: EnvelopeName,
    target_bits: Vec<usize>,
    kek: Kek,
    #[serde(default)]
    fetch: Vec<String>,
    #[serde(default)]
    next: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kek {
    #[serde(rename = "type")]
    kind: String,
    bits: Vec<usize>,
    #[serde(default)]
    operations: Vec<String>,
    lifetime_hours: Option<u32>,
    #[serde(default)]
    kid: bool,
    #[serde(default)]
    kid_hosts: Vec<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
enum HashName {
    #[serde(rename = "SHA-1")]
    Sha1,
    #[serde(rename = "SHA-256")]
    Sha256,
    #[serde(rename = "SHA-384")]
    Sha384,
    #[serde(rename = "SHA-512")]
    Sha512,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PlaintextName {
    Pkcs8,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum EnvelopeName {
    AzureByok,
    Raw,
    Base64,
}

/// Reads profiles; every problem has its line and column.
pub(super) fn parse(text: &str) -> Result<Vec<TransferProfile>> {
    if text.len() > LIMIT {
        return Err(Error::malformed(FORMAT, format!("larger than {LIMIT} bytes")));
    }
    let file: File = toml::from_str(text).map_err(|error| {
        let offset = error.span().map(|span| span.start);
        at(text, offset, error.message())
    })?;
    if file.profile.is_empty() {
        return Err(Error::malformed(FORMAT, "it has no [[profile]]"));
    }
    let mut profiles: Vec<TransferProfile> = Vec::new();
    for profile in file.profile {
        let start = profile.span().start;
        let profile = check(profile.into_inner()).map_err(|problem| at(text, Some(start), &problem))?;
        if profiles.iter().any(|other| other.name == profile.name) {
            return Err(at(text, Some(start), &format!("there is a second profile '{}'", profile.name)));
        }
        profiles.push(profile);
    }
    Ok(profiles)
}

fn at(text: &str, offset: Option<usize>, problem: &str) -> Error {
    let Some(before) = offset.and_then(|offset| text.get(..offset)) else { return Error::malformed(FORMAT, problem) };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let error = Error::malformed(FORMAT, format!("line {line}, column {column}: {problem}"));
    error
        .at(u64::try_from(before.len()).unwrap_or_default())
        .with_hint("`keykit byok profiles --toml` shows the profiles that keykit brings in this form")
}

fn check(profile: Profile) -> Result<TransferProfile, String> {
    let name_is_plain = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-';
    if profile.name.is_empty() || !profile.name.chars().all(name_is_plain) {
        return Err(format!("the name '{}' has other characters than a-z, 0-9 and -", profile.name.escape_debug()));
    }
    let problem = |what: &str| Err(format!("profile '{}': {what}", profile.name));
    if profile.oaep_hash != profile.mgf1_hash {
        return problem("mgf1_hash differs from oaep_hash, which no token and no engine of keykit does");
    }
    let sorted = |bits: &[usize]| !bits.is_empty() && bits.is_sorted_by(|left, right| left < right);
    if !sorted(&profile.target_bits) || !profile.target_bits.iter().all(|bits| [1024, 2048, 3072, 4096].contains(bits)) {
        return problem("target_bits must be some of 1024, 2048, 3072 and 4096, ascending");
    }
    if !sorted(&profile.kek.bits) || !profile.kek.bits.iter().all(|bits| KEY_ENCRYPTION_KEY_BITS.contains(bits)) {
        return problem("kek.bits must be some of 2048, 3072 and 4096, ascending");
    }
    let envelope = match profile.envelope {
        EnvelopeName::AzureByok => Envelope::AzureByok,
        EnvelopeName::Raw => Envelope::Raw,
        EnvelopeName::Base64 => Envelope::Base64,
    };
    if profile.kek.kid && envelope != Envelope::AzureByok {
        return problem("kek.kid is true, but only the envelope azure-byok has a place for it");
    }
    if profile.kek.lifetime_hours == Some(0) {
        return problem("kek.lifetime_hours is 0");
    }
    let commands = |commands: Vec<String>| -> Result<Vec<Template>, String> {
        commands.iter().map(|command| Template::parse(command).map_err(|problem| format!("profile '{}': {problem}", profile.name))).collect()
    };
    Ok(TransferProfile {
        fetch: commands(profile.fetch)?,
        next: commands(profile.next)?,
        oaep_hash: profile.oaep_hash.into(),
        mgf1_hash: profile.mgf1_hash.into(),
        plaintext: match profile.plaintext {
            PlaintextName::Pkcs8 => Plaintext::Pkcs8,
        },
        envelope,
        target_bits: profile.target_bits,
        kek: KeyEncryptionKeyRules {
            kind: profile.kek.kind,
            bits: profile.kek.bits,
            operations: profile.kek.operations,
            lifetime_hours: profile.kek.lifetime_hours,
            kid: profile.kek.kid,
            kid_hosts: profile.kek.kid_hosts,
        },
        name: profile.name,
        title: profile.title,
        reference: profile.reference,
    })
}

impl From<HashName> for Hash {
    fn from(name: HashName) -> Self {
        match name {
            HashName::Sha1 => Self::Sha1,
            HashName::Sha256 => Self::Sha256,
            HashName::Sha384 => Self::Sha384,
            HashName::Sha512 => Self::Sha512,
        }
    }
}

/// A hash by the name that the files use.
pub(super) fn serialize_hash<S: Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(hash)
}
