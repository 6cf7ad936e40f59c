//! The list of all rules is complete, what it names exists, and the page in docs is made from it.

use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::super::RULES;
use super::super::catalogue::{Entry, Handling, all, document, test_of};
use super::*;

/// The numbers of the rules: groups with gaps between them.
const NUMBERS: [RangeInclusive<u16>; 11] =
    [1..=85, 90..=124, 130..=148, 150..=157, 160..=173, 178..=182, 185..=191, 195..=207, 210..=213, 215..=227, 230..=235];
/// How many rules there are of each kind.
const KINDS: [(Kind, usize); 6] =
    [(Kind::Check, 39), (Kind::Enforce, 74), (Kind::Warn, 26), (Kind::Generate, 17), (Kind::Simulate, 44), (Kind::Inform, 9)];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of all source files of a crate's folder.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_rule_has_one_row_and_its_kind() {
    let listed: Vec<u16> = all().iter().map(|entry| entry.number).collect();
    let expected: BTreeSet<u16> = NUMBERS.into_iter().flatten().collect();
    assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), expected);
    assert_eq!(listed.len(), expected.len(), "a number has two rows");
    for (kind, count) in KINDS {
        assert_eq!(all().iter().filter(|entry| entry.kind == kind).count(), count, "{kind:?}");
    }
}

#[test]
fn a_rule_is_decided_if_and_only_if_it_has_code() {
    let decided: BTreeSet<u16> = all().iter().filter(|entry| entry.handling == Handling::Decided).map(|entry| entry.number).collect();
    let coded: Vec<u16> = RULES.iter().map(|rule| rule.number).collect();
    assert!(coded.is_sorted_by(|left, right| left < right), "a number has two functions, or they are out of order");
    assert_eq!(coded.into_iter().collect::<BTreeSet<_>>(), decided);
}

#[test]
fn what_a_row_names_exists() {
    let mut text = String::new();
    for folder in ["keykit/src", "hsm-backends/src", "cli/src", "cli/tests", "tests/src", "tests/tests"] {
        sources(&root().join(folder), &mut text);
    }
    let is_test = |name: &str| {
        let Some(position) = text.find(&format!("fn {name}(")) else { return false };
        text[..position].trim_end().ends_with("#[test]") || text[..position].lines().rev().take(4).any(|line| line.trim() == "#[test]")
    };
    for Entry { number, handling, subject, sources, .. } in all() {
        assert!(!subject.is_empty() && !sources.is_empty(), "rule {number}");
        match handling {
            Handling::Decided => {
                assert!(is_test(&test_of(*number)), "rule {number} has no test {}", test_of(*number));
                let code = RULES.iter().find(|rule| rule.number == *number).unwrap().code;
                let (module, function) = code.split_once("::").unwrap();
                let file = fs::read_to_string(root().join(format!("keykit/src/migration/rules/{module}.rs"))).unwrap();
                assert!(file.contains(&format!("fn {function}(")), "rule {number}: no {code}");
            }
            Handling::Elsewhere { file, item, test } => {
                let code = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("rule {number}: {file}: {error}"));
                let is_there = ["fn ", "struct ", "enum ", "impl "].iter().any(|word| {
                    code.match_indices(&format!("{word}{item}"))
                        .any(|(position, found)| !code[position + found.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_'))
                }) || code.contains(&format!("pub {item}:"));
                assert!(is_there, "rule {number}: no `{item}` in {file}");
                assert!(is_test(test), "rule {number}: no test `{test}`");
            }
            Handling::Outside { reason } => assert!(reason.len() > 10, "rule {number} needs a reason"),
        }
    }
}

#[test]
fn no_row_breaks_the_table() {
    for entry in all() {
        let reason = if let Handling::Outside { reason } = entry.handling { reason } else { "" };
        assert!(!format!("{}{}{reason}", entry.sources, entry.subject).contains(['|', '\n']), "rule {}", entry.number);
    }
}

#[test]
fn the_page_of_rules_is_written_from_the_rules() {
    check_document("docs/rules.md", &document());
}

#[test]
fn the_page_of_the_migration_file_is_written_from_the_types() {
    check_document("docs/migration-file.md", &crate::migration::file::schema_document());
}

fn check_document(name: &str, expected: &str) {
    let path = root().join(name);
    if std::env::var_os("KEYKIT_WRITE_DOCS").is_some() {
        fs::write(&path, expected).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    assert!(written == expected, "{name} is not what the generator makes: run KEYKIT_WRITE_DOCS=1 cargo test -p keykit written_from");
}

#[test]
fn steps_have_the_numbers_of_both_eras() {
    assert_eq!(Step::Keys.to_string(), "step 4 (2 in 2016): export and import the keys");
    assert_eq!(Step::Tools.to_string(), "step 1: get the module and the tenant's URL");
    assert_eq!(Step::PrepareClients.to_string(), "step 2: prepare clients");
    assert_eq!(Step::Before.to_string(), "before the first step");
}
