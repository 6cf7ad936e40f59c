//! A key on its way out for a profile, and the way back.

use base64ct::{Base64, Encoding as _};

use super::azure::AzureTransferFile;
use super::finding::Finding;
use super::layout::check_length;
use super::lint::{KidParts, LintReport, TransferKind, check_kid};
use super::offered_key::ConfirmedKey;
use super::profile::{Envelope, TransferProfile, Values};
use crate::error::{Error, Result};
use crate::key::{KeyId, RsaPublicKey};
use crate::store::{KeyStore, WrapPolicy, WrapRoute};

/// The route that a plan must allow was taken.
const HOST_VISIBLE: &str = "host-visible-ephemeral-key";

/// What may be done to make a package.
#[derive(Debug, Clone, Default)]
pub struct PackageOptions {
    /// Whether an AES key may exist in this process for a moment where the source token offers no other way.
    pub allow_host_visible_ephemeral_key: bool,
    /// Identifier of the key encryption key, if the operator gave one.
    pub kid: Option<String>,
    /// Whether the base64url of a `.byok` file is padded with `=`, as some tools write it.
    pub pad_base64: bool,
}

/// A wrapped key in the form that its receiver takes.
#[derive(Debug, Clone)]
pub struct Package {
    /// The file.
    pub bytes: Vec<u8>,
    /// The key inside.
    pub key: RsaPublicKey,
    /// How it was wrapped.
    pub route: WrapRoute,
    /// Identifier of the key encryption key in the file.
    pub kid: Option<String>,
    /// Warnings and notes; no problem is among them.
    pub findings: Vec<Finding>,
    /// What is known for the custodian's next command, the file's name apart.
    pub values: Values,
}

impl Package {
    /// Wraps a key of a store for a receiver. The result has been through the linter.
    ///
    /// # Errors
    /// [`Error::Refused`] for a key that the receiver does not take, or that may not leave; [`Error::Unsupported`] if the store has
    /// no route that is allowed; what the store says otherwise.
    pub fn make(source: &dyn KeyStore, key: &KeyId, kek: &ConfirmedKey, profile: &TransferProfile, options: &PackageOptions) -> Result<Self> {
        let record = source.find(key)?;
        profile.check_target_bits(record.public.modulus_bits())?;
        if record.public == *kek.public() {
            return Err(Error::refused_by_policy("the key encryption key is the key itself [kek-is-key]", "give the public key of the receiver"));
        }
        let kid = choose_kid(options.kid.as_deref(), kek, profile)?;
        if options.pad_base64 && profile.envelope != Envelope::AzureByok {
            return Err(Error::usage(format!("the files of {} have no base64url to pad", profile.name)).with_hint("leave --pad-b64 out"));
        }
        let mut findings = kek.findings().to_vec();
        let policy = WrapPolicy { oaep_hash: profile.oaep_hash, allow_host_visible_ephemeral_key: options.allow_host_visible_ephemeral_key };
        let outcome = source.as_wrap_out()?.wrap_out(key, kek.public(), &policy)?;
        let host_visible = outcome.route == WrapRoute::HostVisibleEphemeralKey;
        findings.extend(outcome.warnings.iter().map(|sentence| {
            let code = if host_visible && sentence.contains("ephemeral") { HOST_VISIBLE } else { "wrap" };
            Finding::warning(code, sentence)
        }));
        if host_visible && findings.iter().all(|finding| finding.code != HOST_VISIBLE) {
            findings.push(Finding::warning(HOST_VISIBLE, "the AES key of this package existed in this process"));
        }
        let bytes = profile.envelope.seal(&outcome.blob, kid.as_deref(), source, options.pad_base64)?;
        let mut package = Self { bytes, key: record.public, route: outcome.route, kid, findings, values: kek.offered().values.clone() };
        package.findings.extend(package.check(kek.public(), profile)?);
        package.add_values(kek.public());
        Ok(package)
    }

    /// Lints the package, as it was made or as it was read back from a disk.
    ///
    /// # Errors
    /// [`Error::Internal`] if the linter finds a problem: nothing that keykit makes may have one.
    fn check(&self, kek: &RsaPublicKey, profile: &TransferProfile) -> Result<Vec<Finding>> {
        let report = LintReport::of(&self.bytes, profile.envelope == Envelope::AzureByok, &[]);
        let fits = report.possible_sizes().contains(&(kek.modulus_bits(), self.key.modulus_bits()));
        match report.findings.iter().find(|finding| finding.is_problem()) {
            None if fits && report.kind == TransferKind::WrappedKey(profile.envelope) => {}
            problem => {
                let problem = problem.map_or_else(|| "its length or form is wrong".to_owned(), ToString::to_string);
                return Err(Error::Internal(format!("the new package does not pass the linter: {problem}")));
            }
        }
        let mut findings = report.findings;
        if profile.kek.kid
            && let Some(kid) = &self.kid
        {
            findings.extend(check_kid(kid, Some(profile)).filter(|finding| finding.code == "kid-host"));
        }
        Ok(findings)
    }

    /// Checks that a file holds this very package.
    ///
    /// # Errors
    /// [`Error::Negative`] if the bytes differ.
    pub fn verify_written(&self, written: &[u8]) -> Result<()> {
        if written == self.bytes { Ok(()) } else { Err(Error::negative("what was written is not what is on the disk: the file must not be used")) }
    }

    fn add_values(&mut self, kek: &RsaPublicKey) {
        let mut add = |name: &str, value: String| {
            self.values.insert(name.to_owned(), value);
        };
        add("key_id", kek.id().to_string());
        add("target_bits", self.key.modulus_bits().to_string());
        add("target_bytes", self.key.modulus_bytes().to_string());
        if let Some(parts) = self.kid.as_deref().and_then(KidParts::of) {
            add("vault", parts.vault().to_owned());
            add("kek", parts.name.to_owned());
        }
        if let Some(kid) = self.kid.clone() {
            add("kid", kid);
        }
    }
}

fn choose_kid(given: Option<&str>, kek: &ConfirmedKey, profile: &TransferProfile) -> Result<Option<String>> {
    if !profile.kek.kid {
        return match given.filter(|kid| !kid.is_empty()) {
            Some(_) => Err(Error::usage(format!("the files of {} have no place for a kid", profile.name)).with_hint("leave --kid out")),
            None => Ok(None),
        };
    }
    match (given.filter(|kid| !kid.is_empty()), kek.offered().kid.as_deref()) {
        (Some(given), Some(stated)) if given != stated => Err(Error::refused_by_policy(
            format!("the kid is given as {given}; the file of the key encryption key says {stated} [kid-differs]"),
            "leave --kid out, or take the file of the key that it names",
        )),
        (given, stated) => Ok(Some(given.or(stated).unwrap_or_default().to_owned())),
    }
}

impl Envelope {
    /// Puts a blob into its envelope.
    fn seal(self, blob: &[u8], kid: Option<&str>, source: &dyn KeyStore, padding: bool) -> Result<Vec<u8>> {
        match self {
            Self::Raw => Ok(blob.to_vec()),
            Self::Base64 => Ok(Base64::encode_string(blob).into_bytes()),
            Self::AzureByok => {
                let identity = source.identity();
                let file = AzureTransferFile { padding, ..AzureTransferFile::new(kid.unwrap_or_default(), blob) };
                let ours = identity.manufacturer == "keykit";
                let file = if ours { file } else { file.made_on(&format!("{} {} {}", identity.manufacturer, identity.model, identity.firmware)) };
                file.to_bytes()
            }
        }
    }
}

/// Takes the blob out of a file for a profile.
///
/// # Errors
/// [`Error::Malformed`] for the first problem that the linter finds; [`Error::Refused`] if the file is for another kind of receiver.
pub fn open_envelope(bytes: &[u8], profile: &TransferProfile) -> Result<Vec<u8>> {
    let report = LintReport::of(bytes, profile.envelope == Envelope::AzureByok, &[]);
    if let Some(problem) = report.findings.into_iter().find(Finding::is_problem) {
        return Err(problem.into_malformed("transfer file"));
    }
    match report.kind {
        TransferKind::WrappedKey(envelope) if envelope == profile.envelope => {}
        TransferKind::WrappedKey(envelope) => {
            return Err(Error::refused_by_policy(
                format!("the file is {envelope}; {} takes {} [envelope]", profile.name, profile.envelope),
                "take the profile that it was made for; `keykit byok inspect FILE` lists those that fit",
            ));
        }
        _ => {
            let problem = check_length(report.blob.len(), &profile.kek.bits).map_or_else(|| "no wrapped key".into(), |finding| finding.to_string());
            return Err(Error::malformed("transfer file", problem));
        }
    }
    match check_length(report.blob.len(), &profile.kek.bits) {
        None => Ok(report.blob),
        Some(finding) => Err(finding.into_malformed("transfer file")),
    }
}
