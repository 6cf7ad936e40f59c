//! The examination for people.

use super::measure::stays_in_token;
use super::routes::{Direction, Way};
use super::{Doctor, Measured, Outcome, Served};
use crate::change::Change;

/// What it means, in sentences: as a source, as a target, and for the protection of keys.
pub(super) fn meaning(doctor: &Doctor) -> Vec<String> {
    let names = |served: Served| {
        let all = doctor.profiles.iter().filter(|profile| profile.served == served).map(|profile| profile.profile.as_str());
        all.collect::<Vec<_>>().join(", ")
    };
    let mut sentences = Vec::new();
    for (served, words) in [
        (Served::NeverInTheClear, "As a source it serves, with the key never in the clear"),
        (Served::InMemory, "As a source it serves from memory, where its keys are in any case"),
        (Served::WithHostVisibleKey, "Only with an AES key that is in this process's memory for a moment it serves"),
        (Served::No, "It cannot serve"),
    ] {
        let names = names(served);
        if !names.is_empty() {
            sentences.push(format!("{words}: {names}."));
        }
    }
    if doctor.routes.iter().any(|route| route.may_pad_with_zeros && stays_in_token(route.way)) {
        sentences.push("Blobs it makes may have up to seven zero bytes behind the key, which strict readers refuse; keykit cuts them.".into());
    }
    let into: Vec<String> = doctor
        .routes
        .iter()
        .filter(|route| route.direction == Direction::In && route.way != Way::None)
        .map(|route| format!("{} bits ({})", route.kek_bits, route.oaep_hash))
        .collect();
    sentences.push(if into.is_empty() {
        "As a target it cannot take a wrapped key by a way that is proven to work.".into()
    } else {
        format!("As a target it takes wrapped keys under its own key encryption keys of {}.", into.join(", "))
    });
    let protections: Vec<&Measured> =
        doctor.measurements.iter().filter(|found| found.name.starts_with("protect/") || found.name.starts_with("refuse/")).collect();
    if !protections.is_empty() {
        let wrong: Vec<&str> = protections.iter().filter(|found| found.outcome == Outcome::Wrong).map(|found| found.name.as_str()).collect();
        let held = protections.iter().filter(|found| found.outcome == Outcome::Right).count();
        let rest = if wrong.is_empty() { String::new() } else { format!(" These do not: {}.", wrong.join("; ")) };
        sentences.push(format!("{held} of {} protections that were tried hold.{rest}", held + wrong.len()));
    }
    sentences
}

/// The examination for a terminal. Facts and mechanisms are in the JSON file only; they are counted here.
#[must_use]
pub fn table(doctor: &Doctor, changes: Option<&[Change]>) -> String {
    let store = &doctor.store;
    let mut lines = vec![format!("{} {} {}", store.manufacturer, store.model, store.firmware), String::new()];
    lines.extend(doctor.meaning.iter().cloned());
    let says = |name: &str| doctor.says.get(name).map_or("", String::as_str);
    if !doctor.says.is_empty() {
        lines.push(String::new());
        lines.push(format!("module      {} {}, PKCS#11 {}", says("module/description"), says("module/version"), says("module/PKCS#11 version")));
        lines.push(format!("flags       {}", says("token/flags")));
        lines.push(format!("mechanisms  {} named by the token; the JSON file lists them", doctor.mechanisms.len()));
    }
    lines.push(String::new());
    let width = doctor.profiles.iter().map(|profile| profile.profile.len()).max().unwrap_or_default();
    lines.extend(doctor.profiles.iter().map(|profile| format!("{:<width$}  {}", profile.profile, profile.sentence)));
    for key in &doctor.instance.keys {
        let mark = if key.accepted { "" } else { "NOT ACCEPTED: " };
        lines.push(format!("key {} '{}': {mark}{}; {}", key.key_id.chars().take(16).collect::<String>(), key.label, key.protection, key.sentence));
        lines.extend(key.evidence.iter().map(|evidence| format!("    {evidence}")));
    }
    lines.push(String::new());
    for found in &doctor.measurements {
        let word = match found.outcome {
            Outcome::Right => "right      ",
            Outcome::Wrong => "WRONG      ",
            Outcome::Unavailable => "not offered",
            Outcome::Fact if found.name.starts_with("defaults/") => continue,
            Outcome::Fact => "fact       ",
        };
        let known = found.known_as.as_ref().map_or_else(String::new, |name| format!(" (known as {name})"));
        lines.push(format!("{word}  {}: {}{known}", found.name, found.detail));
    }
    let facts = doctor.measurements.iter().filter(|found| found.name.starts_with("defaults/")).count();
    if facts > 0 {
        lines.push(format!("fact         {facts} defaults of attributes; the JSON file lists them"));
    }
    lines.extend(doctor.quirks.iter().map(|quirk| format!("known        {}: {}", quirk.name, quirk.meaning)));
    lines.extend(doctor.not_measured.iter().map(|what| format!("not measured {what}")));
    match changes {
        None => {}
        Some([]) => lines.push("compared: nothing differs".into()),
        Some(changes) => lines.extend(changes.iter().map(ToString::to_string)),
    }
    lines.join("\n")
}
