//! `keykit byok profiles`

use keykit::Result;
use keykit::transfer::{Template, TransferProfile, Values};
use serde::Serialize;

use crate::arguments::ProfileFile;
use crate::exit;
use crate::output::{Output, table};
use crate::transfers;

#[derive(Debug, Serialize)]
struct Profiles {
    profiles: Vec<TransferProfile>,
}

/// Lists the profiles, or shows one.
pub(super) fn run(name: Option<&str>, file: &ProfileFile, toml: bool, output: Output) -> Result<u8> {
    if toml {
        #[derive(Serialize)]
        struct Toml {
            toml: &'static str,
        }
        output.result("byok-profiles", &Toml { toml: TransferProfile::BUILT_IN }, || TransferProfile::BUILT_IN.to_owned())?;
        return Ok(exit::DONE);
    }
    let profiles = match name {
        Some(name) => vec![transfers::profile(name, file)?],
        None => transfers::profiles(file)?,
    };
    let list = Profiles { profiles };
    output.result("byok-profiles", &list, || match list.profiles.as_slice() {
        [one] => describe(one),
        several => overview(several),
    })?;
    Ok(exit::DONE)
}

fn overview(profiles: &[TransferProfile]) -> String {
    let rows: Vec<Vec<String>> = profiles
        .iter()
        .map(|profile| {
            vec![
                profile.name.clone(),
                profile.oaep_hash.to_string(),
                numbers(&profile.kek.bits),
                profile.envelope.to_string(),
                numbers(&profile.target_bits),
                profile.kek.lifetime_hours.map_or_else(|| "-".to_owned(), |hours| format!("{hours} h")),
                profile.title.clone(),
            ]
        })
        .collect();
    table(&["PROFILE", "OAEP", "KEK BITS", "FILE", "KEY BITS", "KEK LIVES", "RECEIVER"], &rows)
}

fn describe(profile: &TransferProfile) -> String {
    let mut lines = vec![
        format!("{}: {}", profile.name, profile.title),
        format!("  reference: {}", profile.reference),
        format!("  wrapped: RSAES-OAEP with {}/MGF1-{} of an AES-256 key, then AES-KWP (RFC 5649) of PKCS#8", profile.oaep_hash, profile.mgf1_hash),
        format!("  file: {}", profile.envelope),
        format!("  keys: {} bits", numbers(&profile.target_bits)),
        format!("  key encryption key: {}, {} bits", profile.kek.kind, numbers(&profile.kek.bits)),
    ];
    if !profile.kek.operations.is_empty() {
        lines.push(format!("    operations: {}, and no other", profile.kek.operations.join(", ")));
    }
    if let Some(hours) = profile.kek.lifetime_hours {
        lines.push(format!("    good for {hours} hours after it was made"));
    }
    let commands = |title: &str, commands: &[Template]| -> Vec<String> {
        std::iter::once(title.to_owned()).chain(commands.iter().map(|command| format!("    {}", command.fill(&Values::new())))).collect()
    };
    if !profile.fetch.is_empty() {
        lines.extend(commands("  how its owner gets it:", &profile.fetch));
    }
    lines.extend(commands("  what the custodian does with the file:", &profile.next));
    lines.join("\n")
}

fn numbers(bits: &[usize]) -> String {
    bits.iter().map(usize::to_string).collect::<Vec<_>>().join(" ")
}
