//! `keykit byok rehearse`

use keykit::key::KeyId;
use keykit::transfer::{Finding, PackageOptions, rehearse};
use keykit::{Error, Result};
use serde::Serialize;

use crate::arguments::RehearseArguments;
use crate::output::Output;
use crate::progress::Steps;
use crate::{exit, stores, transfers};

#[derive(Debug, Serialize)]
struct Rehearsed {
    profile: String,
    key_id: KeyId,
    modulus_bits: usize,
    kek_bits: usize,
    receiver: String,
    route: String,
    bytes: usize,
    proofs: [Proof; 2],
    warnings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Proof {
    name: &'static str,
    ok: bool,
}

/// Wraps, unwraps and proves.
pub(super) fn run(arguments: &RehearseArguments, output: Output) -> Result<u8> {
    let profile = transfers::profile(&arguments.profile.profile, &arguments.profile.file)?;
    if arguments.store.starts_with("file:") {
        return Err(Error::usage("a folder can't play the receiver").with_hint("rehearse in memory (the default), or name a token (pkcs11:…)"));
    }
    let steps = Steps::begin(3, "opening the source of the key");
    let (source, record) = transfers::open_source(&arguments.source)?;
    steps.step(2, 3, "opening the receiver");
    let receiver = stores::open(&arguments.store, &arguments.source.keyring)?;
    let options = PackageOptions { allow_host_visible_ephemeral_key: arguments.source.allow_host_visible_ephemeral_key, ..PackageOptions::default() };
    steps.step(3, 3, &format!("out and in: the key {}", record.id().short()));
    let rehearsal = rehearse(source.as_ref(), &record.id(), receiver.as_ref(), &profile, arguments.kek_bits, &options)?;
    drop(steps);
    // A key encryption key that lives for a moment has no URL.
    let warnings: Vec<Finding> = rehearsal.package.findings.iter().filter(|finding| finding.code != "kid-missing").cloned().collect();
    transfers::tell(&warnings);
    let rehearsed = Rehearsed {
        profile: profile.name.clone(),
        key_id: record.id(),
        modulus_bits: record.public.modulus_bits(),
        kek_bits: rehearsal.kek_bits,
        receiver: receiver.identity().uri.clone(),
        route: rehearsal.package.route.to_string(),
        bytes: rehearsal.package.bytes.len(),
        // `rehearse` is an error if one of them does not hold.
        proofs: [Proof { name: "same-public-key", ok: true }, Proof { name: "signatures-before-and-after-are-equal", ok: true }],
        warnings,
    };
    output.result("byok-rehearse", &rehearsed, || {
        format!(
            "rehearsed for {}: key {} ({} bits) wrapped under {} bits ({} bytes), unwrapped in {}\n  carried: {}\n  held: the public half is the same\n  held: it signs as before\nnothing was left behind; the real key encryption key was not tried",
            profile.title, rehearsed.key_id, rehearsed.modulus_bits, rehearsed.kek_bits, rehearsed.bytes, rehearsed.receiver, rehearsed.route
        )
    })?;
    Ok(exit::DONE)
}
