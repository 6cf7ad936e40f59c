//! The linter of transfer files: what can be said of a wrapped key without any key.

use base64ct::{Base64, Base64Unpadded, Encoding as _};
use memchr::memmem;
use serde::Serialize;

use super::azure::AzureTransferFile;
use super::finding::Finding;
use super::layout::{KEY_ENCRYPTION_KEY_BITS, check_length, damaged_length, list, possible_sizes, unusual_length};
use super::profile::{Envelope, TransferProfile};
use crate::key::RsaSecretKey;

/// The OAEP part of the smallest key encryption key, in bytes.
const SHORTEST: usize = 256;

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransferKind {
    /// A wrapped key, in one of the envelopes.
    WrappedKey(Envelope),
    /// A file of the legacy nShield toolset (`KeyTransferRemote`), which is no JSON.
    LegacyNShield,
    /// Not a wrapped key, or not recognisable as one.
    Unknown,
}

/// What the linter says of a file.
#[derive(Debug, Clone)]
pub struct LintReport {
    /// What it is.
    pub kind: TransferKind,
    /// Identifier of the key encryption key, where the envelope has one.
    pub kid: Option<String>,
    /// The tool and module that made it, where the envelope says so.
    pub generator: Option<String>,
    /// Whether its base64 is padded; `None` for raw bytes.
    pub padding: Option<bool>,
    /// The blob; empty if it could not be read.
    pub blob: Vec<u8>,
    /// Problems, warnings and notes.
    pub findings: Vec<Finding>,
    /// Which profiles it can suit.
    pub profiles: Vec<ProfileVerdict>,
}

/// Whether a file can suit a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProfileVerdict {
    /// The profile.
    pub profile: String,
    /// Whether nothing speaks against it. The hash of OAEP cannot be seen from outside.
    pub suits: bool,
    /// What speaks against it.
    pub reasons: Vec<String>,
}

impl LintReport {
    /// Looks at a file. `named_byok` says whether its name ends in `.byok`.
    #[must_use]
    pub fn of(bytes: &[u8], named_byok: bool, profiles: &[TransferProfile]) -> Self {
        let mut report = Self::read(bytes, named_byok);
        report.check_blob();
        report.check_header();
        report.profiles = profiles.iter().map(|profile| report.verdict(profile)).collect();
        report
    }

    /// Pairs of (bits of the key encryption key, bits of the key inside) that fit.
    #[must_use]
    pub fn possible_sizes(&self) -> Vec<(usize, usize)> {
        possible_sizes(self.blob.len())
    }

    /// Whether there is no problem.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        !self.findings.iter().any(Finding::is_problem)
    }

    fn new(kind: TransferKind) -> Self {
        Self { kind, kid: None, generator: None, padding: None, blob: Vec::new(), findings: Vec::new(), profiles: Vec::new() }
    }

    fn wrong(kind: TransferKind, finding: Finding) -> Self {
        Self { findings: vec![finding], ..Self::new(kind) }
    }

    fn read(bytes: &[u8], named_byok: bool) -> Self {
        if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] = bytes
            && bytes.contains(&b'{')
        {
            let finding = Finding::problem("utf-16", "it is text in UTF-16; the services read UTF-8").at(0);
            return Self::wrong(
                TransferKind::WrappedKey(Envelope::AzureByok),
                finding.with_hint("write it again in UTF-8; PowerShell's > and Out-File write UTF-16"),
            );
        }
        let text = std::str::from_utf8(bytes).ok().map(|text| text.trim_start_matches('\u{feff}').trim());
        match text {
            Some(text) if text.starts_with('{') => Self::of_json(bytes, named_byok),
            Some(text) if text.contains("PRIVATE KEY-----") => Self::in_the_clear(),
            Some(text) if !text.is_empty() => Self::of_text(text, bytes, named_byok),
            _ => Self::of_bytes(bytes, named_byok),
        }
    }

    fn of_json(bytes: &[u8], named_byok: bool) -> Self {
        let is_transfer_file = named_byok || [&b"\"ciphertext\""[..], b"CKM_RSA_AES_KEY_WRAP"].iter().any(|name| memmem::find(bytes, name).is_some());
        let (file, findings) = AzureTransferFile::examine(bytes);
        if !is_transfer_file {
            return Self { findings, ..Self::new(TransferKind::Unknown) };
        }
        let report = Self { findings, ..Self::new(TransferKind::WrappedKey(Envelope::AzureByok)) };
        match file {
            Some(file) => Self { kid: Some(file.kid), generator: Some(file.generator), padding: Some(file.padding), blob: file.blob, ..report },
            None => report,
        }
    }

    /// Text that is neither JSON nor PEM.
    fn of_text(text: &str, bytes: &[u8], named_byok: bool) -> Self {
        let joined: String = text.chars().filter(|character| !character.is_ascii_whitespace()).collect();
        let of_hex = (joined.len().is_multiple_of(2) && joined.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(joined.len() / 2);
        if of_hex.is_some_and(|length| !possible_sizes(length).is_empty()) {
            let finding = Finding::problem("hex", "it is hex; every service takes bytes or base64").with_hint("turn it into bytes: xxd -r -p");
            return Self::wrong(TransferKind::WrappedKey(Envelope::Raw), finding);
        }
        let trimmed = joined.trim_end_matches('=');
        let standard = trimmed.replace('-', "+").replace('_', "/");
        let Ok(decoded) = Base64Unpadded::decode_vec(&standard) else { return Self::of_bytes(bytes, named_byok) };
        if decoded.trim_ascii_start().starts_with(b"{") && memmem::find(&decoded, b"ciphertext").is_some() {
            let finding = Finding::problem("json-in-base64", "it is base64 of a whole .byok file: the form of the REST field key_hsm, not of a file");
            return Self::wrong(
                TransferKind::WrappedKey(Envelope::AzureByok),
                finding.with_hint("decode it once; az keyvault key import takes the JSON"),
            );
        }
        if is_plain_key(&decoded) {
            return Self::in_the_clear();
        }
        // Short texts are words, not base64.
        if possible_sizes(decoded.len()).is_empty() && (!named_byok || decoded.len() < SHORTEST) {
            return Self::new(TransferKind::Unknown);
        }
        let mut report = Self { padding: Some(trimmed.len() != joined.len()), ..Self::new(TransferKind::WrappedKey(Envelope::Base64)) };
        if joined.contains(['-', '_']) {
            report.findings.push(Finding::warning("base64url", "it is base64url; the services that take base64 want + and / and padding"));
        } else if Base64::decode_vec(&joined).is_err() {
            report.findings.push(Finding::warning("base64-padding", "its base64 is not padded, which strict readers refuse"));
        }
        if joined.len() != text.len() {
            report.findings.push(Finding::warning("line-breaks", "its base64 is broken into lines, which strict readers refuse"));
        }
        report.blob = decoded;
        report
    }

    fn of_bytes(bytes: &[u8], named_byok: bool) -> Self {
        if is_plain_key(bytes) {
            return Self::in_the_clear();
        }
        if !possible_sizes(bytes.len()).is_empty() {
            let mut report = Self { blob: bytes.to_vec(), ..Self::new(TransferKind::WrappedKey(Envelope::Raw)) };
            if named_byok {
                report.findings.push(Finding::problem("json-missing", "it is the wrapped key alone; a .byok file has JSON around it").with_hint(
                    "give the bytes as base64url in the ciphertext of a .byok file, or name it otherwise for a service that takes raw bytes",
                ));
            }
            return report;
        }
        // A package of the legacy toolset is no text, and its length says nothing. One that is as long as a wrapped key is, but for
        // a few bytes, is more likely such a key that was cut, and is to be told apart by where it comes from.
        if named_byok && bytes.iter().any(|byte| !byte.is_ascii_graphic() && !byte.is_ascii_whitespace()) {
            if let Some(length) = damaged_length(bytes.len()) {
                let message = format!(
                    "{} bytes without JSON around them: a wrapped key of {length} bytes that was cut or changed, or a file of the legacy nShield toolset",
                    bytes.len()
                );
                let finding = Finding::problem("truncated", message);
                return Self::wrong(
                    TransferKind::Unknown,
                    finding.with_hint(
                        "copy it again in binary mode and put JSON around it; a file of the legacy toolset must be made anew, for the new format",
                    ),
                );
            }
            return Self::wrong(
                TransferKind::LegacyNShield,
                Finding::problem(
                    "legacy",
                    "a transfer file of the legacy nShield toolset (no JSON): today's services do not take it; wrap the key again for the new format",
                ),
            );
        }
        Self { blob: bytes.to_vec(), ..Self::new(TransferKind::Unknown) }
    }

    fn in_the_clear() -> Self {
        let finding = Finding::problem("key-in-the-clear", "it is a PRIVATE KEY IN THE CLEAR, not a wrapped one");
        Self::wrong(
            TransferKind::Unknown,
            finding.with_hint("erase this file and the free space of its disk; if it was sent anywhere, the key is lost: make a new one"),
        )
    }

    fn check_blob(&mut self) {
        let TransferKind::WrappedKey(_) = self.kind else { return };
        if self.blob.is_empty() {
            if self.is_sound() {
                self.findings.push(Finding::problem("truncated", "the ciphertext is empty"));
            }
            return;
        }
        if is_plain_key(&self.blob) {
            *self = Self::in_the_clear();
        } else if let Some(finding) = check_length(self.blob.len(), &KEY_ENCRYPTION_KEY_BITS) {
            self.findings.push(finding);
        } else {
            self.findings.extend(unusual_length(self.blob.len()));
        }
    }

    fn check_header(&mut self) {
        if self.generator.as_deref().is_some_and(names_softhsm_2_6) {
            self.findings.push(Finding::warning(
                "softhsm-zero-padding",
                "made on SoftHSM 2.6, which pads keys with zero bytes before it wraps them: strict receivers refuse that",
            ));
        }
        if let Some(kid) = &self.kid {
            self.findings.extend(check_kid(kid, None));
        }
    }

    fn verdict(&self, profile: &TransferProfile) -> ProfileVerdict {
        let mut reasons = Vec::new();
        if let TransferKind::WrappedKey(envelope) = self.kind {
            if envelope != profile.envelope {
                reasons.push(format!("it is {envelope}; {} takes {}", profile.name, profile.envelope));
            }
            let sizes = self.possible_sizes();
            if !sizes.iter().any(|(kek, _)| profile.kek.bits.contains(kek)) {
                reasons.push(format!("its length does not fit a key encryption key of {} bits", list(&profile.kek.bits)));
            } else if !sizes.iter().any(|(kek, target)| profile.kek.bits.contains(kek) && profile.target_bits.contains(target)) {
                reasons.push(format!("it does not take a key of this size, only {} bits", list(&profile.target_bits)));
            }
            if let Some(kid) = self.kid.as_ref().filter(|_| profile.kek.kid) {
                reasons.extend(
                    check_kid(kid, Some(profile))
                        .filter(|finding| ["kid-host", "kid-missing"].contains(&finding.code))
                        .map(|finding| finding.message),
                );
            }
        } else {
            reasons.push("it is no wrapped key that keykit knows".into());
        }
        if !self.is_sound() {
            reasons.push("it has problems".into());
        }
        ProfileVerdict { profile: profile.name.clone(), suits: reasons.is_empty(), reasons }
    }
}

/// What is odd about the identifier of a key encryption key at Azure: `https://VAULT.HOST/keys/NAME/VERSION`.
pub(super) fn check_kid(kid: &str, profile: Option<&TransferProfile>) -> Option<Finding> {
    if kid.is_empty() {
        return Some(
            Finding::warning("kid-missing", "it does not name its key encryption key: Azure refuses it")
                .with_hint("put the key's URL into header.kid, as `az keyvault key show` prints it"),
        );
    }
    let Some(parts) = KidParts::of(kid) else {
        return Some(
            Finding::warning(
                "kid-form",
                "the kid is not of the form https://VAULT/keys/NAME/VERSION: Azure wants the whole identifier, version included",
            )
            .with_hint("take the kid that `az keyvault key show` prints"),
        );
    };
    let hosts = &profile?.kek.kid_hosts;
    (!hosts.is_empty() && !hosts.iter().any(|end| parts.host.ends_with(end.as_str()))).then(|| {
        Finding::warning("kid-host", format!("the kid is at {}, which is no host of {}", parts.host, profile.map_or("", |profile| &profile.title)))
    })
}

/// The parts of the identifier of a key at Azure.
pub(super) struct KidParts<'a> {
    pub(super) host: &'a str,
    pub(super) name: &'a str,
}

impl<'a> KidParts<'a> {
    pub(super) fn of(kid: &'a str) -> Option<Self> {
        let mut parts = kid.strip_prefix("https://")?.split('/');
        let (host, keys, name, version) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        (keys == "keys" && parts.next().is_none() && [host, name, version].into_iter().all(plain)).then_some(Self { host, name })
    }

    pub(super) fn vault(&self) -> &'a str {
        self.host.split('.').next().unwrap_or_default()
    }
}

/// Whether a generator names SoftHSM with a version 2.6 behind its name: `keykit 1.0; SoftHSM project SoftHSM v2 2.6`. Versions
/// of other programs in the text, and other versions of SoftHSM, are not meant.
fn names_softhsm_2_6(generator: &str) -> bool {
    generator.split([';', ',']).filter_map(|part| part.split_once("SoftHSM")).any(|(_, behind)| {
        let versions = behind.split_whitespace().map(|word| word.trim_start_matches(['v', 'V', '-', '/', '(']));
        let is_2_6 = |word: &str| word.strip_prefix("2.6").is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()));
        versions.into_iter().any(is_2_6)
    })
}

/// Whether these are the bytes of a private key in the clear.
fn is_plain_key(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x30) && (RsaSecretKey::from_pkcs8_der(bytes).is_ok() || RsaSecretKey::from_pkcs1_der(bytes).is_ok())
}

#[cfg(test)]
mod tests;
