//! Each key, before and after.

use super::parts::{classed, el, list, pill, text, worded_badge};
use crate::ceremony::html::Html;
use crate::ceremony::report::{KeyPlace, Report, ReportedKey, Status};
use crate::migration::MigrationPath;
use crate::migration::verify::Check;
use crate::tenant::KeyStatus;

pub(super) fn all(report: &Report) -> Html {
    let lead = "A key is known by its identity, the SHA-256 of its public half, wherever it lies. Under it the same in words, for reading aloud.";
    [classed("p", "lead", lead), el("div", &[("class", "keys")], report.keys.iter().map(|key| card(report, key)))].into_iter().collect()
}

/// The path in words.
pub(super) fn path_words(path: Option<MigrationPath>) -> &'static str {
    match path {
        Some(MigrationPath::SoftwareToSoftware) => "software → software",
        Some(MigrationPath::HsmToHsm) => "HSM → HSM",
        Some(MigrationPath::SoftwareToHsm) => "software → HSM",
        None => "made in the tenant",
    }
}

/// The state of a key in words.
pub(super) fn status_words(status: Option<KeyStatus>) -> &'static str {
    match status {
        Some(KeyStatus::Active) => "active",
        Some(KeyStatus::Archived) => "archived",
        None => "not in the tenant",
    }
}

fn card(report: &Report, key: &ReportedKey) -> Html {
    let state = match key.status {
        Some(KeyStatus::Active) => pill("accent", "active: protects new content"),
        Some(KeyStatus::Archived) => pill("plain", "archived: opens old content"),
        None => pill("plain", "not in the tenant"),
    };
    let about = key.key_id.to_string();
    let count = |counts: fn(&Check) -> bool| report.checks.iter().filter(|check| check.about == about && counts(check)).count();
    let (held, failed, unknown) = (count(|check| check.ok), count(Check::is_failure), count(Check::is_unknown));
    let proofs = match (held, failed) {
        (_, 0) if unknown == 1 => worded_badge(Status::Open, "1 proof could not be made"),
        (_, 0) if unknown > 1 => worded_badge(Status::Open, &format!("{unknown} proofs could not be made")),
        (0, 0) if key.path.is_some() => worded_badge(Status::Open, "no proofs were made"),
        (0, 0) => Html::default(),
        (1, 0) => worded_badge(Status::Holds, "1 proof held"),
        (held, 0) => worded_badge(Status::Holds, &format!("{held} proofs held")),
        (_, 1) => worded_badge(Status::Fails, "1 proof failed"),
        (_, failed) => worded_badge(Status::Fails, &format!("{failed} proofs failed")),
    };
    let title = if key.name.is_empty() { "(no name)" } else { &key.name };
    let head = el("div", &[("class", "key-head")], [el("h3", &[], [text(title)]), state, proofs]);
    let size = format!("RSA with {} bits, mode {}. Path: {}.", key.modulus_bits, key.mode, path_words(key.path));
    let nowhere = |text: &str| KeyPlace { kind: String::new(), name: text.to_owned(), protection: String::new(), evidence: Vec::new() };
    let before = key.before.clone().unwrap_or_else(|| nowhere("The key did not exist, or is not of this plan"));
    let after = key.after.clone().unwrap_or_else(|| nowhere("It is not there"));
    let ends = el("div", &[("class", "before-after")], [end("Before", &before), arrow(), end("After", &after)]);
    let since = key.since.as_ref().map(|since| format!(" In the keyring since {}.", since.replace('T', " ").replace('Z', " UTC")));
    el(
        "article",
        &[("class", "card")],
        [
            head,
            el("p", &[("class", "key-id")], [el("code", &[("title", &about)], [text(&key.key_id.short())])]),
            classed("p", "words", &key.words),
            classed("p", "small", &size),
            ends,
            classed("p", "small", &format!("{}{}", key.how, since.unwrap_or_default())),
        ],
    )
}

fn end(title: &str, place: &KeyPlace) -> Html {
    let mut pieces = vec![el("h4", &[], [text(title)]), classed("p", "name", &place.name)];
    if !place.kind.is_empty() {
        pieces.push(classed("p", "small", &format!("{}; protected {}", place.kind, place.protection)));
    }
    if !place.evidence.is_empty() {
        pieces.push(el("div", &[("class", "small")], [list(&place.evidence)]));
    }
    el("div", &[("class", "end")], pieces)
}

fn arrow() -> Html {
    let path = [
        ("d", "M4 12h15M13 6l6 6-6 6"),
        ("fill", "none"),
        ("stroke", "currentColor"),
        ("stroke-width", "2"),
        ("stroke-linecap", "round"),
        ("stroke-linejoin", "round"),
    ];
    let svg = el("svg", &[("viewBox", "0 0 24 24"), ("aria-hidden", "true"), ("focusable", "false")], [el("path", &path, [])]);
    el("div", &[("class", "to")], [svg])
}
