//! Key encryption keys as their owners offer them: what the file says, what is wrong with it, and the confirmation of its
//! fingerprint, without which nothing is wrapped.

mod certificate;
mod json;
mod soundness;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use pkcs8::der::{Decode, Document};
use pkcs8::spki::SubjectPublicKeyInfoRef;
use serde::Serialize;

use super::finding::Finding;
use super::layout::list;
use super::profile::{TransferProfile, Values};
use crate::error::{Error, Result};
use crate::key::{KeyId, RsaPublicKey};

const FORMAT: &str = "key encryption key";
/// Largest file, in bytes.
const LIMIT: usize = 1 << 20;
/// The exponent that every provider's keys have; smaller ones are not allowed by SP 800-56B §6.2.
const USUAL_EXPONENT: u32 = 65537;

/// How a key encryption key came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KeyForm {
    /// SubjectPublicKeyInfo or RSAPublicKey, PEM or DER.
    PublicKey,
    /// An X.509 certificate, PEM or DER. Its signature is not looked at: the fingerprint decides.
    Certificate,
    /// A JSON Web Key (RFC 7517), alone, of a set, or as `az keyvault key show` prints it.
    JsonWebKey,
    /// What `aws kms get-parameters-for-import` prints.
    AwsImportParameters,
    /// What `gcloud kms import-jobs describe --format json` prints.
    GoogleImportJob,
    /// JSON of Vault (`transit/wrapping_key`) or OCI (`wrapping-key get`).
    WrappingKeyAnswer,
}

/// A key encryption key, as a file offers it. Nothing is wrapped under it before it is confirmed.
#[derive(Debug, Clone)]
pub struct OfferedKey {
    /// The key.
    pub public: RsaPublicKey,
    /// How it came.
    pub form: KeyForm,
    /// Its identifier at its provider, if the file tells.
    pub kid: Option<String>,
    /// Its type at its provider (`kty`), if the file tells.
    pub kind: Option<String>,
    /// What it may be used for, if the file tells.
    pub operations: Option<Vec<String>>,
    /// Whether it may be used at all, if the file tells.
    pub enabled: Option<bool>,
    /// From when on it may be used, if the file tells.
    pub not_before: Option<Timestamp>,
    /// Until when it may be used, if the file tells.
    pub expires: Option<Timestamp>,
    /// How a wrapped key is to be made for it, in the provider's name for the method, if the file tells.
    pub method: Option<String>,
    /// What the file tells for the custodian's next command.
    pub values: Values,
}

/// A key encryption key that passed its checks and whose fingerprint somebody read out.
#[derive(Debug, Clone)]
pub struct ConfirmedKey {
    offered: OfferedKey,
    findings: Vec<Finding>,
}

impl OfferedKey {
    /// Reads a key from PEM, DER or JSON. Of a JSON Web Key set it takes the one that `kid` names, or the only one.
    ///
    /// # Errors
    /// [`Error::Malformed`], for private keys and keys of other kinds than RSA too; [`Error::Usage`] if a set holds several keys
    /// and `kid` names none of them.
    pub fn parse(bytes: &[u8], kid: Option<&str>) -> Result<Self> {
        if bytes.len() > LIMIT {
            return Err(Error::malformed(FORMAT, format!("larger than {LIMIT} bytes")));
        }
        let text = std::str::from_utf8(bytes).ok().map(|text| text.trim_start_matches('\u{feff}').trim());
        match text {
            Some(text) if text.starts_with('{') => json::read(text, kid),
            Some(text) if text.contains("-----BEGIN ") => Self::of_pem(text),
            _ => Self::of_der(bytes),
        }
    }

    fn new(public: RsaPublicKey, form: KeyForm) -> Self {
        Self {
            public,
            form,
            kid: None,
            kind: None,
            operations: None,
            enabled: None,
            not_before: None,
            expires: None,
            method: None,
            values: Values::new(),
        }
    }

    /// A key that was made here, for a rehearsal.
    pub(super) fn made_here(public: RsaPublicKey) -> Self {
        Self::new(public, KeyForm::PublicKey)
    }

    /// The first block of a PEM text.
    fn of_pem(text: &str) -> Result<Self> {
        let malformed = |problem: String| Error::malformed(FORMAT, problem);
        let (_, rest) = text.split_once("-----BEGIN ").ok_or_else(|| malformed("no PEM block".into()))?;
        let (label, _) = rest.split_once("-----").ok_or_else(|| malformed("a PEM header that does not end".into()))?;
        if label.contains("PRIVATE KEY") {
            return Err(private_key());
        }
        let end = format!("-----END {label}-----");
        let (body, _) = rest.split_once(&end).ok_or_else(|| malformed(format!("the PEM block of a {label} does not end")))?;
        let (_, document) = Document::from_pem(&format!("-----BEGIN {body}{end}")).map_err(|error| malformed(error.to_string()))?;
        match label {
            "PUBLIC KEY" | "RSA PUBLIC KEY" | "CERTIFICATE" => Self::of_der(document.as_bytes()),
            other => Err(malformed(format!("PEM of a {}", other.escape_debug()))),
        }
    }

    fn of_der(der: &[u8]) -> Result<Self> {
        if let Ok(spki) = SubjectPublicKeyInfoRef::from_der(der) {
            if spki.algorithm.oid != pkcs1::ALGORITHM_OID {
                return Err(other_kind(&spki.algorithm.oid.to_string()));
            }
            return Ok(Self::new(RsaPublicKey::from_spki_der(der)?, KeyForm::PublicKey));
        }
        if let Ok(key) = pkcs1::RsaPublicKeyRef::from_der(der) {
            let exponent = crate::key::exponent_from_be(key.public_exponent.as_bytes())?;
            return Ok(Self::new(RsaPublicKey::from_components(key.modulus.as_bytes(), exponent)?, KeyForm::PublicKey));
        }
        if crate::key::RsaSecretKey::from_pkcs8_der(der).is_ok() || crate::key::RsaSecretKey::from_pkcs1_der(der).is_ok() {
            return Err(private_key());
        }
        certificate::read(der)
    }

    /// What is to be said of the key for a profile, at this time.
    #[must_use]
    pub fn check(&self, profile: &TransferProfile, now: Timestamp) -> Vec<Finding> {
        let mut findings = self.check_number(profile);
        findings.extend(self.check_use(profile));
        findings.extend(self.check_time(profile, now));
        findings
    }

    fn check_number(&self, profile: &TransferProfile) -> Vec<Finding> {
        let mut findings = Vec::new();
        let found = self.public.modulus_bits();
        if !profile.kek.bits.contains(&found) {
            findings.push(
                Finding::problem("kek-size", format!("the key encryption key has {found} bits; {} takes {}", profile.name, list(&profile.kek.bits)))
                    .with_hint("ask its owner for a key of the right size, and check the profile"),
            );
        }
        match self.public.exponent() {
            USUAL_EXPONENT => {}
            small if small < USUAL_EXPONENT => findings.push(
                Finding::problem("kek-exponent", format!("its public exponent is {small}; less than {USUAL_EXPONENT} is not allowed (SP 800-56B)"))
                    .with_hint("no provider makes such keys: ask its owner where it comes from"),
            ),
            other => findings.push(Finding::warning("kek-exponent", format!("its public exponent is {other}, not the usual {USUAL_EXPONENT}"))),
        }
        if let Some(factor) = soundness::small_factor(self.public.modulus()) {
            findings.push(
                Finding::problem("kek-small-factor", format!("its modulus can be divided by {factor}: it is no RSA key, or was damaged"))
                    .with_hint("ask its owner for the file again"),
            );
        } else if soundness::has_roca_fingerprint(self.public.modulus()) {
            findings.push(
                Finding::problem("kek-roca", "its modulus has the fingerprint of ROCA (CVE-2017-15361): it can be factored")
                    .with_hint("ask for a key that was made by another device or firmware"),
            );
        }
        findings
    }

    fn check_use(&self, profile: &TransferProfile) -> Vec<Finding> {
        let mut findings = Vec::new();
        let wanted = &profile.kek;
        if let Some(operations) = &self.operations {
            let holds = |names: &[String], name: &String| names.iter().any(|other| other.eq_ignore_ascii_case(name));
            let equal = operations.iter().all(|name| holds(&wanted.operations, name)) && wanted.operations.iter().all(|name| holds(operations, name));
            let can_wrap = ["import", "wrapKey", "encrypt"].iter().any(|name| holds(operations, &(*name).to_owned()));
            // The usage of a certificate is another thing than the operations of a provider.
            let comparable = self.form == KeyForm::JsonWebKey && !wanted.operations.is_empty();
            if comparable && !equal {
                let message =
                    format!("it may be used for {}; {} wants {} and nothing else", shown(operations), profile.name, shown(&wanted.operations));
                findings
                    .push(Finding::problem("kek-operations", message).with_hint("have a key made with these operations: they cannot be combined"));
            } else if !comparable && !can_wrap {
                findings.push(Finding::problem("kek-operations", format!("it may be used for {}, not for wrapping", shown(operations))));
            }
        }
        // A bare JSON Web Key knows no type but RSA (RFC 7518 §6.1); one with an identifier is the provider's own.
        if let Some(kind) = self.kind.as_ref().filter(|kind| wanted.kid && self.kid.is_some() && !kind.eq_ignore_ascii_case(&wanted.kind)) {
            findings.push(
                Finding::problem("kek-type", format!("it is of the type {kind}; {} wants {}", profile.name, wanted.kind)).with_hint(
                    "the key encryption key must have been made in the provider's module, or what is wrapped under it can be read outside",
                ),
            );
        }
        if self.enabled == Some(false) {
            findings.push(
                Finding::problem("kek-disabled", "its provider says that it is not enabled or not active")
                    .with_hint("have it enabled, or a new one made"),
            );
        }
        findings.extend(self.method.as_ref().and_then(|method| check_method(method, profile)));
        findings
    }

    fn check_time(&self, profile: &TransferProfile, now: Timestamp) -> Vec<Finding> {
        let mut findings = Vec::new();
        match self.expires {
            Some(expires) if expires <= now => findings.push(
                Finding::problem("kek-expired", format!("it expired at {expires}; now it is {now}"))
                    .with_hint("have a new one made, and confirm its fingerprint"),
            ),
            None => {
                if let Some(hours) = profile.kek.lifetime_hours {
                    let message =
                        format!("{} takes keys wrapped under it for {hours} hours after it was made; the file does not say when", profile.title);
                    findings.push(Finding::note("kek-lifetime", message));
                }
            }
            Some(_) => {}
        }
        if let Some(from) = self.not_before.filter(|from| *from > now) {
            findings.push(
                Finding::problem("kek-not-yet-valid", format!("it is valid from {from} on; now it is {now}")).with_hint("check this machine's clock"),
            );
        }
        findings
    }

    /// Confirms the key: its owner read out its fingerprint, and it stands the checks of the profile.
    ///
    /// `fingerprint` is the SHA-256 of the SubjectPublicKeyInfo, in hex (colons and blanks may be in it) or as PGP words.
    ///
    /// # Errors
    /// [`Error::Usage`] without a fingerprint, naming the computed one; [`Error::Malformed`] for a text that is none;
    /// [`Error::Refused`] if it is another key's, or for the first check that fails.
    pub fn confirm(self, fingerprint: Option<&str>, profile: &TransferProfile, now: Timestamp) -> Result<ConfirmedKey> {
        let id = self.public.id();
        let computed = format!("{id}, in words: {}", id.words());
        let Some(fingerprint) = fingerprint else {
            return Err(Error::usage(format!("the key encryption key is not confirmed; its fingerprint is {computed}"))
                .with_hint("have its owner read the fingerprint out, over another way than the file came, and give it with --kek-fingerprint"));
        };
        let stated = parse_fingerprint(fingerprint)?;
        if stated != id {
            return Err(Error::refused_by_policy(
                format!("the key encryption key is {computed}; the confirmed one is {stated} [kek-fingerprint]"),
                "have the owner of the key encryption key read its fingerprint out again; somebody may have exchanged the file",
            ));
        }
        let mut findings = self.check(profile, now);
        if let Some(problem) = findings.iter().position(Finding::is_problem) {
            return Err(findings.swap_remove(problem).into_refusal());
        }
        Ok(ConfirmedKey { offered: self, findings })
    }
}

impl ConfirmedKey {
    /// The key.
    #[must_use]
    pub fn public(&self) -> &RsaPublicKey {
        &self.offered.public
    }

    /// What its file said.
    #[must_use]
    pub fn offered(&self) -> &OfferedKey {
        &self.offered
    }

    /// Warnings and notes of its checks.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

/// What is wrong with a provider's method for this profile: `RSA_OAEP_4096_SHA256_AES_256` names the size of the key encryption
/// key, the hash of OAEP and the AES key between. Without the last, the secret itself is sealed by OAEP, which has no room for an
/// RSA key.
fn check_method(method: &str, profile: &TransferProfile) -> Option<Finding> {
    let words: Vec<String> = method.split(['-', '_']).map(str::to_uppercase).collect();
    let hash = profile.oaep_hash.to_string().replace('-', "");
    let problem = if !words.ends_with(&["AES".to_owned(), "256".to_owned()]) {
        format!(
            "it is for the method {method}, which seals a secret by OAEP directly and cannot carry an RSA key; {} wants one with AES-256",
            profile.name
        )
    } else if !words.contains(&hash) {
        format!("it is for the method {method}; {} seals with {}", profile.name, profile.oaep_hash)
    } else {
        return None;
    };
    Some(Finding::problem("kek-method", problem).with_hint("take the profile of that method, or have the key made for this one"))
}

/// A fingerprint as people write it.
fn parse_fingerprint(text: &str) -> Result<KeyId> {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    if words.len() == 32 && words.iter().any(|word| word.len() > 2) {
        let bytes = pgp_words::to_bytes(&words).ok_or_else(|| Error::malformed("fingerprint", "a word is not in the list, or at the wrong place"))?;
        return bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().parse();
    }
    text.replace([':', ' ', '-'], "").to_ascii_lowercase().parse()
}

fn shown(operations: &[String]) -> String {
    if operations.is_empty() { "nothing".into() } else { operations.join(", ") }
}

fn private_key() -> Error {
    Error::malformed(FORMAT, "it is a PRIVATE key [kek-private]")
        .with_hint("a key encryption key comes as its public half alone: whoever sent this gave the key away; have a new one made")
}

fn other_kind(kind: &str) -> Error {
    let kind = match kind {
        "1.2.840.10045.2.1" | "EC" | "EC-HSM" => "an EC key",
        "1.3.101.110" | "1.3.101.112" | "OKP" => "a key of a Montgomery or Edwards curve",
        "oct" | "oct-HSM" => "a symmetric key",
        other => return Error::malformed(FORMAT, format!("a key of the kind {}, where RSA is needed [kek-not-rsa]", other.escape_debug())),
    };
    Error::malformed(FORMAT, format!("{kind}, where RSA is needed [kek-not-rsa]")).with_hint("RSA-AES key wrap needs an RSA key of 2048 bits or more")
}
