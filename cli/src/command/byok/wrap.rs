//! `keykit byok wrap`

use std::path::{Path, PathBuf};

use keykit::key::KeyId;
use keykit::transfer::{Finding, Package, PackageOptions, TransferProfile, Values};
use keykit::{Error, Result};
use serde::Serialize;

use crate::arguments::WrapArguments;
use crate::files::refuse_overwriting;
use crate::output::Output;
use crate::progress::Steps;
use crate::{exit, transfers};

#[derive(Debug, Serialize)]
pub(super) struct Wrapped {
    profile: String,
    key_id: KeyId,
    modulus_bits: usize,
    kek: Kek,
    #[serde(serialize_with = "super::hash_name")]
    oaep_hash: keykit::key::Hash,
    envelope: &'static str,
    pub(super) route: String,
    host_visible_ephemeral_key: bool,
    warnings: Vec<Finding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    bytes: usize,
    next: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Kek {
    key_id: KeyId,
    words: String,
    modulus_bits: usize,
    kid: Option<String>,
}

impl Wrapped {
    /// The result of wrapping.
    pub(super) fn new(package: &Package, kek: &keykit::key::RsaPublicKey, profile: &TransferProfile, file: Option<&Path>, next: Vec<String>) -> Self {
        Self {
            profile: profile.name.clone(),
            key_id: package.key.id(),
            modulus_bits: package.key.modulus_bits(),
            kek: Kek { key_id: kek.id(), words: kek.id().words(), modulus_bits: kek.modulus_bits(), kid: package.kid.clone() },
            oaep_hash: profile.oaep_hash,
            envelope: profile.envelope.name(),
            route: package.route.to_string(),
            host_visible_ephemeral_key: package.route == keykit::store::WrapRoute::HostVisibleEphemeralKey,
            warnings: package.findings.clone(),
            file: file.map(Path::to_owned),
            bytes: package.bytes.len(),
            next,
        }
    }
}

/// Wraps a key and writes its file.
pub(super) fn run(arguments: &WrapArguments, output: Output) -> Result<u8> {
    let source_file = Path::new(&arguments.source.source);
    refuse_overwriting(&[source_file, &arguments.kek], &[&arguments.output])?;
    let profile = transfers::profile(&arguments.profile.profile, &arguments.profile.file)?;
    let fills = parse_fills(&arguments.fill)?;
    let planned = arguments.plan.as_deref().map(|plan| transfers::planned_kek(plan, &profile)).transpose()?;
    let fingerprint = planned.as_ref().map(|planned| planned.fingerprint.as_str()).or(arguments.kek_fingerprint.as_deref());
    let kek = transfers::confirmed_kek(&arguments.kek, arguments.kid.as_deref(), fingerprint, &profile)?;
    let steps = Steps::begin(2, "opening the source of the key");
    let (source, record) = transfers::open_source(&arguments.source)?;
    steps.step(2, 2, &format!("wrapping the key {}", record.id().short()));
    let options = PackageOptions {
        allow_host_visible_ephemeral_key: arguments.source.allow_host_visible_ephemeral_key,
        kid: planned.as_ref().and_then(|planned| planned.kid.clone()).or_else(|| arguments.kid.clone()),
        pad_base64: arguments.pad_b64,
    };
    let package = Package::make(source.as_ref(), &record.id(), &kek, &profile, &options)?;
    drop(steps);
    transfers::write(&arguments.output, &package, &profile)?;
    let mut values = package.values.clone();
    values.insert("file".into(), arguments.output.display().to_string());
    values.extend(fills);
    let next = profile.next_commands(&values);
    let wrapped = Wrapped::new(&package, kek.public(), &profile, Some(&arguments.output), next);
    output.result("byok-wrap", &wrapped, || {
        let mut lines = vec![
            format!("key {} ({} bits) for {}", wrapped.key_id, wrapped.modulus_bits, profile.title),
            format!("  carried: {}, OAEP with {}", wrapped.route, wrapped.oaep_hash),
            format!("  under the key encryption key {} ({} bits)", wrapped.kek.key_id, wrapped.kek.modulus_bits),
            format!("  written and read back: {}, {} bytes", arguments.output.display(), wrapped.bytes),
            "next:".to_owned(),
        ];
        lines.extend(wrapped.next.iter().map(|command| format!("  {command}")));
        lines.join("\n")
    })?;
    Ok(exit::DONE)
}

fn parse_fills(fills: &[String]) -> Result<Values> {
    fills
        .iter()
        .map(|fill| {
            let (name, value) = fill.split_once('=').ok_or_else(|| Error::usage(format!("--fill takes NAME=VALUE, not '{fill}'")))?;
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}
