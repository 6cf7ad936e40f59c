//! What the project is built from: nothing that reaches a network, and only licences that are allowed.
//!
//! `deny.toml` has the rules. cargo-deny checks more of them, but needs to be installed, and a network for the advisories.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail their test")]

use std::path::Path;
use std::process::Command;

const RULES: &str = include_str!("../../deny.toml");

#[test]
fn nothing_in_the_program_is_banned() {
    let banned = banned(RULES);
    assert!(banned.contains(&"reqwest") && banned.contains(&"tokio"), "the bans were not read: {banned:?}");
    let tree = tree(&["--package", "keykit-cli", "--edges", "normal", "--format", "{p}"]);
    let packages: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(packages.contains(&"keykit-hsm-backends"), "{tree}");
    let found: Vec<_> = packages.iter().filter(|package| banned.contains(package)).collect();
    assert!(found.is_empty(), "deny.toml bans {found:?}: cargo tree --package keykit-cli --invert NAME");
}

#[test]
fn every_licence_is_allowed() {
    let allowed = allowed(RULES);
    assert!(allowed.contains(&"Apache-2.0"), "the licences were not read: {allowed:?}");
    let tree = tree(&["--workspace", "--format", "{p}|{l}"]);
    let packages: Vec<(&str, &str)> = tree.lines().filter_map(|line| line.trim_end_matches(" (*)").split_once('|')).collect();
    assert!(packages.len() > 50, "{tree}");
    let refused: Vec<_> = packages.iter().filter(|(_, licence)| !is_allowed(licence, &allowed)).collect();
    assert!(refused.is_empty(), "deny.toml does not allow {refused:?}");
}

#[test]
fn licence_expressions_are_understood() {
    let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "ISC"];
    for yes in
        ["MIT", "MIT OR GPL-3.0-only", "GPL-2.0/MIT", "(MIT OR X) AND ISC", "ISC AND (Apache-2.0 OR ISC)", "X OR Apache-2.0 WITH LLVM-exception"]
    {
        assert!(is_allowed(yes, &allowed), "{yes}");
    }
    for no in ["", "GPL-3.0-only", "MIT AND GPL-3.0-only", "(MIT OR X) AND Y", "Apache-2.0 WITH other-exception"] {
        assert!(!is_allowed(no, &allowed), "{no}");
    }
}

/// The crates this machine builds with, one a line.
fn tree(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--prefix", "none"])
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The crates of the entries `{ crate = "NAME", … }`.
fn banned(rules: &str) -> Vec<&str> {
    rules.split("{ crate = \"").skip(1).filter_map(|entry| entry.split('"').next()).collect()
}

/// The strings of the list `allow = [ … ]`.
fn allowed(rules: &str) -> Vec<&str> {
    let list = rules.split_once("\nallow = [").and_then(|(_, rest)| rest.split_once(']')).unwrap().0;
    list.split('"').skip(1).step_by(2).collect()
}

/// Whether an SPDX expression can be met with these licences. `AND` binds more tightly than `OR`; `/` is an old `OR`.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let expression = expression.trim();
    let expression = if is_one_group(expression) { &expression[1..expression.len() - 1] } else { expression };
    for (separator, one_is_enough) in [("/", true), (" OR ", true), (" AND ", false)] {
        let parts = split_outside_groups(expression, separator);
        if parts.len() > 1 {
            let mut met = parts.iter().map(|part| is_allowed(part, allowed));
            return if one_is_enough { met.any(|met| met) } else { met.all(|met| met) };
        }
    }
    allowed.contains(&expression)
}

fn is_one_group(expression: &str) -> bool {
    expression.starts_with('(') && expression.find(')') == Some(expression.len() - 1)
}

fn split_outside_groups<'a>(expression: &'a str, separator: &str) -> Vec<&'a str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    for (position, character) in expression.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && expression[position..].starts_with(separator) => {
                parts.push(&expression[start..position]);
                start = position + separator.len();
            }
            _ => {}
        }
    }
    parts.push(&expression[start..]);
    parts
}
