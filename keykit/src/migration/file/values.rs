//! The single values of a migration file: checked once, typed from then on.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64ct::{Base64, Encoding};
use serde::Serialize;
use toml::de::DeValue;

use super::reader::{Value, not_one_of, one_of, shown_type};
use crate::tenant::{Era, Managed};
use crate::xrml::Guid;

/// Longest text of a value, in bytes.
const TEXT_LIMIT: usize = 4096;

/// Text that is neither empty nor too long, and has no control characters. Blanks at its ends are kept: a rule may have to name
/// them.
fn text_of(value: &DeValue<'_>) -> Result<String, String> {
    let text = value.as_str().ok_or_else(|| format!("is {}, and must be text", shown_type(value)))?;
    if text.trim().is_empty() {
        return Err("is empty".into());
    }
    if text.len() > TEXT_LIMIT {
        return Err(format!("has {} bytes; at most {TEXT_LIMIT} are read", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err("has a control character (line break, tab, …)".into());
    }
    if text.contains("PRIVATE KEY") {
        return Err("holds a private key; no secret may stand in this file".into());
    }
    Ok(text.to_owned())
}

impl Value for String {
    fn form() -> String {
        "text".into()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        text_of(value).map(|text| text.trim().to_owned())
    }
}

impl Value for bool {
    fn form() -> String {
        "`true` or `false`".into()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| format!("is {}, and must be true or false", shown_type(value)))
    }
}

impl Value for u32 {
    fn form() -> String {
        "a number, 0 or more".into()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let integer = value.as_integer().ok_or_else(|| format!("is {}, and must be a number", shown_type(value)))?;
        Self::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| format!("must be a number from 0 to {}", Self::MAX))
    }
}

impl Value for Guid {
    fn form() -> String {
        "a GUID".into()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        text_of(value)?.trim().parse().map_err(|_| "is no GUID, for example 586b5746-aa26-4310-81b1-ea20d40cfc89".into())
    }
}

impl Value for Era {
    fn form() -> String {
        one_of(&["2016", "current"])
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match value.as_str() {
            Some("2016") => Ok(Self::Of2016),
            Some("current") => Ok(Self::Current),
            _ => Err(not_one_of(value, &["2016", "current"])),
        }
    }
}

impl Value for Managed {
    fn form() -> String {
        one_of(&["service", "customer"])
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match value.as_str() {
            Some("service") => Ok(Self::Service),
            Some("customer") => Ok(Self::Customer),
            _ => Err(not_one_of(value, &["service", "customer"])),
        }
    }
}

/// The schema of the file. There is one version yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct SchemaVersion;

impl SchemaVersion {
    /// Its text; the number after the last slash is the major version.
    pub const TEXT: &'static str = "keykit/migration-file/1";
}

impl From<SchemaVersion> for String {
    fn from(_: SchemaVersion) -> Self {
        SchemaVersion::TEXT.to_owned()
    }
}

impl Value for SchemaVersion {
    fn form() -> String {
        format!("`\"{}\"`", Self::TEXT)
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        if value.as_str() == Some(Self::TEXT) {
            return Ok(Self);
        }
        Err(format!("must be \"{}\": that is the version that this program knows", Self::TEXT))
    }
}

/// Declares a type that holds checked text.
macro_rules! checked_text {
    ($(#[doc = $about:literal])+ $name:ident, $form:literal, $check:expr) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text, as it stands in the file.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = String;

            /// Checks the text.
            fn from_str(text: &str) -> Result<Self, String> {
                let check: fn(&str) -> Result<(), String> = $check;
                check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl Value for $name {
            fn form() -> String {
                $form.into()
            }

            fn read(value: &DeValue<'_>) -> Result<Self, String> {
                text_of(value)?.parse()
            }
        }
    };
}

checked_text! {
    /// Where a password comes from: `prompt`, `fd:N`, `file:PATH`, `env:VAR` or `exec:CMD`. Never the password itself.
    PasswordSource, "where the password comes from: `prompt`, `fd:N`, `file:PATH`, `env:VAR` or `exec:CMD`", |text| {
        let known = text == "prompt" || text.split_once(':').is_some_and(|(kind, value)| !value.is_empty() && match kind {
            "fd" => value.parse::<u32>().is_ok() && value.bytes().all(|byte| byte.is_ascii_digit()),
            "file" => !value.starts_with("//") || value.starts_with("///") || value.starts_with("//localhost/"),
            "env" => !value.contains('='),
            "exec" => true,
            _ => false,
        });
        // The text is not repeated: it could be the password.
        if known { Ok(()) } else { Err("is no source of a password: `prompt`, `fd:N`, `file:PATH`, `env:VAR` or `exec:CMD`; the password itself never stands here".into()) }
    }
}

impl PasswordSource {
    /// The source, seen from the folder of the migration file: a relative `file:` counts from there.
    #[must_use]
    pub fn in_folder(&self, folder: &Path) -> String {
        in_folder(&self.0, folder)
    }
}

/// `file:PATH` with the path seen from a folder; everything else as it is.
fn in_folder(text: &str, folder: &Path) -> String {
    match text.strip_prefix("file:") {
        Some(path) if !path.starts_with('/') => format!("file:{}", folder.join(path).display()),
        _ => text.to_owned(),
    }
}

checked_text! {
    /// A key store: `file:DIR` or a PKCS#11 URI (RFC 7512) without a PIN in it.
    StoreUri, "a store: `file:DIR`, or a PKCS#11 URI with `module-path` and `pin-source`", |text| {
        if text.contains("pin-value") {
            return Err("has a PIN in it (pin-value); name a `pin-source`".into());
        }
        let known = ["file:", "pkcs11:"].iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
        if known { Ok(()) } else { Err("names no store: `file:DIR`, or `pkcs11:token=NAME?module-path=/path/module.so&pin-source=file:/path/pin`".into()) }
    }
}

impl StoreUri {
    /// The store, seen from the folder of the migration file: a relative `file:` counts from there.
    #[must_use]
    pub fn in_folder(&self, folder: &Path) -> String {
        in_folder(&self.0, folder)
    }

    /// Whether it names a token.
    #[must_use]
    pub fn is_token(&self) -> bool {
        self.0.starts_with("pkcs11:")
    }
}

checked_text! {
    /// A URL of a server, with its scheme. Blanks at its ends are kept, for rule 154 to name.
    ServerUrl, "a URL, for example `https://rms.contoso.com/_wmcs/licensing`", |text| {
        let url = text.trim();
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
        match host {
            None => Err("must begin with https:// or http://".into()),
            Some(host) if host.is_empty() || host.contains(['@', ' ']) => Err("has no host, or a user name or blank in it".into()),
            Some(_) => Ok(()),
        }
    }
}

impl ServerUrl {
    /// Whether blanks stand around it (rule 154).
    #[must_use]
    pub fn has_outer_blanks(&self) -> bool {
        self.0.trim() != self.0
    }

    /// The host in lower case, with the port if one is given.
    #[must_use]
    pub fn authority(&self) -> String {
        let rest = self.0.trim().split_once("://").map_or("", |(_, rest)| rest);
        rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase()
    }

    /// The host in lower case, without the port.
    #[must_use]
    pub fn host(&self) -> String {
        let authority = self.authority();
        authority.split(':').next().unwrap_or_default().to_owned()
    }
}

checked_text! {
    /// The name of a DNS domain or host: labels of letters, digits, hyphens and underscores, with points between.
    DomainName, "a DNS name, for example `contoso.com`", |text| {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        match text.split('.').find(|part| !label(part)) {
            None if text.len() <= 253 => Ok(()),
            None => Err("is longer than the 253 characters of a DNS name".into()),
            Some(part) => Err(format!("is no DNS name: a label has 1 to 63 letters, digits, hyphens and underscores, not {part:?}")),
        }
    }
}

checked_text! {
    /// A key of Azure Key Vault: `https://<vault>.vault.azure.net/keys/<name>/<version>`; the version may be missing, for rule 107 to name.
    KeyUrl, "`https://<vault>.vault.azure.net/keys/<name>/<version>`", |text| {
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            ["https:", "", host, "keys", name] | ["https:", "", host, "keys", name, _] if host.contains('.') && !name.is_empty() => Ok(()),
            _ => Err("has not the form https://<vault>.vault.azure.net/keys/<name>/<version>".into()),
        }
    }
}

impl KeyUrl {
    /// The version of the key, if the URL names one.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.0.split('/').nth(5).filter(|version| !version.is_empty())
    }
}

checked_text! {
    /// A day, `YYYY-MM-DD`.
    Day, "a day, `\"YYYY-MM-DD\"`", |text| {
        text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == 10).map(drop).ok_or_else(|| "is no day of the form YYYY-MM-DD".into())
    }
}

checked_text! {
    /// The public key of an approver: an Ed25519 key in the form of OpenSSH, `ssh-ed25519 AAAA… comment`.
    ApproverKey, "an Ed25519 public key, `ssh-ed25519 AAAA…`", |text| ed25519_of(text).map(drop)
}

impl ApproverKey {
    /// The 32 bytes of the key.
    #[must_use]
    pub fn ed25519(&self) -> [u8; 32] {
        ed25519_of(&self.0).unwrap_or_default()
    }
}

/// Reads `ssh-ed25519 BASE64 comment`: two fields with lengths in front, the name and the key (RFC 8709 §4).
fn ed25519_of(text: &str) -> Result<[u8; 32], String> {
    const NAME: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20";
    let mut words = text.split_ascii_whitespace();
    let wrong = || "is no Ed25519 public key of the form `ssh-ed25519 AAAA…`".to_owned();
    if words.next() != Some("ssh-ed25519") {
        return Err(wrong());
    }
    let blob = words.next().and_then(|word| Base64::decode_vec(word).ok()).ok_or_else(wrong)?;
    blob.strip_prefix(NAME).and_then(|key| key.try_into().ok()).ok_or_else(wrong)
}

/// A file or folder. What is not absolute counts from the folder of the migration file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct FilePath(PathBuf);

impl FilePath {
    /// The path as it stands in the file.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The path, seen from the folder of the migration file.
    #[must_use]
    pub fn in_folder(&self, folder: &Path) -> PathBuf {
        folder.join(&self.0)
    }
}

impl From<&str> for FilePath {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl Value for FilePath {
    fn form() -> String {
        "a path; what is not absolute counts from the folder of this file".into()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        text_of(value).map(|text| Self(text.into()))
    }
}

/// A version of a program: numbers with dots between, compared number by number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct Version(Vec<u32>);

impl Version {
    /// Whether it is this version or a later one; missing numbers count as 0.
    #[must_use]
    pub fn is_at_least(&self, least: &[u32]) -> bool {
        let length = self.0.len().max(least.len());
        let padded = |numbers: &[u32]| (0..length).map(|index| numbers.get(index).copied().unwrap_or_default()).collect::<Vec<_>>();
        padded(&self.0) >= padded(least)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten();
        let numbers: Option<Vec<u32>> = text.split('.').map(number).collect();
        numbers.filter(|numbers| numbers.len() <= 6).map(Self).ok_or_else(|| "is no version: numbers with dots between, as text".into())
    }
}

impl Value for Version {
    fn form() -> String {
        "a version, for example `\"2.9.0.0\"`".into()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        text_of(value)?.parse()
    }
}

/// Cryptographic mode of a cluster, 1 or 2 (rule 23).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "u8")]
pub struct Mode(crate::key::CryptographicMode);

impl Mode {
    /// The mode.
    #[must_use]
    pub fn get(self) -> crate::key::CryptographicMode {
        self.0
    }
}

impl From<crate::key::CryptographicMode> for Mode {
    fn from(mode: crate::key::CryptographicMode) -> Self {
        Self(mode)
    }
}

impl From<Mode> for u8 {
    fn from(mode: Mode) -> Self {
        mode.0.number()
    }
}

impl Value for Mode {
    fn form() -> String {
        "`1` or `2`".into()
    }

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match u32::read(value) {
            Ok(1) => Ok(Self(crate::key::CryptographicMode::Mode1)),
            Ok(2) => Ok(Self(crate::key::CryptographicMode::Mode2)),
            _ => Err("must be 1 or 2".into()),
        }
    }
}
