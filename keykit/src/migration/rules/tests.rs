//! Every rule, kept and broken: one change to a sound organisation, and what the rules say of it.

mod catalogue;
mod facts;
mod organisations;
mod source;
mod surroundings;
mod tenant;

use std::collections::BTreeSet;

use super::facts::{DomainFacts, Facts};
use super::*;
use crate::migration::MigrationPath;
use crate::migration::file::MigrationFile;

/// One forest, one cluster, keys that the service keeps.
const SINGLE: &str = include_str!("../../../../tests/organisations/single-forest.toml");
/// One forest with licensing-only clusters, by the rules of 2016.
const LICENSING: &str = include_str!("../../../../tests/organisations/licensing-only-clusters.toml");
/// Two forests, one with an HSM, keys that the customer keeps.
const TWO: &str = include_str!("../../../../tests/organisations/two-forests.toml");

/// A change to the text of an organisation. An empty first part means: add the second at the end.
type Change<'c> = (&'c str, &'c str);

fn changed(text: &str, changes: &[Change<'_>]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "'{from}' is not in the organisation");
        if from.is_empty() { format!("{text}\n{to}\n") } else { text.replacen(from, to, 1) }
    })
}

fn read(text: &str) -> MigrationFile {
    MigrationFile::examine(text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn of(text: &str) -> Vec<Finding> {
    examine(&Facts::of_file(&read(text))).all().to_vec()
}

fn rules_of(findings: &[Finding], severity: Severity) -> BTreeSet<u16> {
    findings.iter().filter(|finding| finding.severity == severity).map(|finding| finding.rule).collect()
}

/// The sound organisation has nothing to say under this rule.
#[track_caller]
fn kept(rule: u16, text: &str) {
    let findings: Vec<Finding> = of(text).into_iter().filter(|finding| finding.rule == rule).collect();
    assert!(findings.is_empty(), "{findings:#?}");
}

/// After the change this rule refuses, at a place of the file, and no other rule does.
#[track_caller]
fn refused(rule: u16, text: &str, changes: &[Change<'_>]) {
    refused_by(&[rule], text, changes);
}

/// After the change these rules refuse and no others.
#[track_caller]
fn refused_by(rules: &[u16], text: &str, changes: &[Change<'_>]) {
    for rule in rules {
        kept(*rule, text);
    }
    let findings = of(&changed(text, changes));
    assert_eq!(rules_of(&findings, Severity::Refusal), rules.iter().copied().collect(), "{findings:#?}");
    for finding in findings.iter().filter(|finding| finding.severity == Severity::Refusal) {
        assert!(finding.place.at.is_some() && !finding.message.is_empty() && !finding.instead.is_empty(), "{finding:#?}");
    }
}

/// After the change this rule has something of this severity to say, and nothing is refused.
#[track_caller]
fn said(severity: Severity, rule: u16, text: &str, changes: &[Change<'_>]) {
    kept(rule, text);
    let findings = of(&changed(text, changes));
    assert!(rules_of(&findings, severity).contains(&rule), "{findings:#?}");
    assert_eq!(rules_of(&findings, Severity::Refusal), BTreeSet::new(), "{findings:#?}");
}

#[track_caller]
fn warned(rule: u16, text: &str, changes: &[Change<'_>]) {
    said(Severity::Warning, rule, text, changes);
}

#[track_caller]
fn asked(rule: u16, text: &str, changes: &[Change<'_>]) {
    said(Severity::Unstated, rule, text, changes);
}

/// After the change this rule still has nothing to say.
#[track_caller]
fn still_kept(rule: u16, text: &str, changes: &[Change<'_>]) {
    kept(rule, &changed(text, changes));
}

#[test]
fn the_organisations_are_sound() {
    for text in [SINGLE, LICENSING, TWO] {
        let findings = of(text);
        assert_eq!(rules_of(&findings, Severity::Refusal), BTreeSet::new(), "{findings:#?}");
        assert_eq!(rules_of(&findings, Severity::Unstated), BTreeSet::new(), "{findings:#?}");
    }
    assert!(of(SINGLE).is_empty());
    assert_eq!(rules_of(&of(LICENSING), Severity::Warning), BTreeSet::from([34, 219]));
}

#[test]
fn the_example_of_init_is_sound_too() {
    let findings = of(crate::migration::file::EXAMPLE);
    assert_eq!(rules_of(&findings, Severity::Refusal), BTreeSet::new(), "{findings:#?}");
}

#[test]
fn findings_stand_by_step_and_the_first_refusal_is_the_error() {
    let text = changed(
        SINGLE,
        &[
            ("region = \"eu\"", "region = \"ap\""),
            ("windows-server-2012-r2", "windows-server-2019"),
            ("users = 25", "users = 25\noffice = [\"office-2007-or-older\"]"),
        ],
    );
    let file = read(&text);
    let findings = examine(&Facts::of_file(&file));
    let steps: Vec<Step> = findings.by_step().iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [Step::Before, Step::Tools, Step::Clients]);
    assert_eq!(findings.by_step().iter().map(|(_, group)| group.len()).collect::<Vec<_>>(), [1, 1, 1]);
    let error = findings.require_none_refused().unwrap_err();
    assert_eq!(error.code(), "refused");
    let line = text.lines().position(|line| line.contains("windows-server-2019")).unwrap() + 1;
    assert_eq!(
        error.to_string(),
        format!(
            "refused by rule 1: line {line}, column 20: the cluster 'headquarters' runs on windows-server-2019, which is no supported source (and one more refusal)"
        )
    );
    assert!(error.hint().unwrap().contains("windows-server-2016"));
    assert!(examine(&Facts::of_file(&read(SINGLE))).require_none_refused().is_ok());
    let three = changed(&text, &[("port-443 = true", "port-443 = false")]);
    assert!(examine(&Facts::of_file(&read(&three))).require_none_refused().unwrap_err().to_string().ends_with("(and 2 more refusals)"));
}

/// What the domains of a file would say if all were as the file has it.
fn opened(file: &MigrationFile) -> Vec<DomainFacts> {
    file.domains()
        .map(|placed| {
            let name = placed.domain.file.to_string();
            let path = placed.cluster.path(file.tenant.managed.value);
            DomainFacts {
                at: placed.domain.file.at,
                cluster: placed.cluster.name.value.clone(),
                active: placed.domain.is_active(),
                path,
                key_id: KeyId::of_spki(name.as_bytes()),
                modulus_bits: if name.contains("mode-1") { 1024 } else { 2048 },
                has_key: path != Some(MigrationPath::HsmToHsm),
                version_1: false,
                production_root: true,
                licensor_name: placed.cluster.friendly_name.as_ref().map(|name| name.value.clone()).unwrap_or_default(),
                readable_by_others: false,
                templates: Vec::new(),
                file: name,
            }
        })
        .collect()
}
