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

#[test]
fn findings_of_one_step_stand_together_and_one_refusal_stands_alone() {
    let one = of(&changed(SINGLE, &[("windows-server-2012-r2", "windows-server-2019")]));
    let finding = |rule, step| Finding { rule, step, ..one[0].clone() };
    let groups = Findings(vec![finding(1, Step::Before), finding(3, Step::Before), finding(12, Step::Tools)]);
    let lengths: Vec<(Step, usize)> = groups.by_step().into_iter().map(|(step, group)| (step, group.len())).collect();
    assert_eq!(lengths, [(Step::Before, 2), (Step::Tools, 1)]);
    let error = Findings(one.clone()).require_none_refused().unwrap_err().to_string();
    assert!(error.ends_with("which is no supported source"), "{error}");
    // What was made by a program stands nowhere.
    let placeless = Finding { place: Place::from(Position::default()), ..one[0].clone() };
    let error = Findings(vec![placeless]).require_none_refused().unwrap_err().to_string();
    assert!(error.starts_with("refused by rule 1: the cluster"), "{error}");
}

#[test]
fn a_refusal_of_another_rule_is_left_to_that_rule() {
    let mut findings = Vec::new();
    let mut report = Report { rule: 4, step: Step::Keys, findings: &mut findings };
    report.refuse_as(Position::default(), &Error::refused(5, "other", "wait"));
    report.refuse_as(Position::default(), &Error::refused_by_policy("policy", "wait"));
    report.refuse_as(Position::default(), &Error::usage("no refusal"));
    report.refuse_as(Position::default(), &Error::refused(4, "mine", "do"));
    let [one] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((one.rule, one.severity, one.message.as_str(), one.instead.as_str()), (4, Severity::Refusal, "mine", "do"));
}

#[test]
fn tables_that_are_not_there_break_no_rule_of_theirs() {
    let rules: [(&str, &[u16]); 6] = [
        ("[services]", &[11, 25, 187, 190, 197, 200]),
        ("[connector]", &[157, 196, 198]),
        ("[clients]", &[16, 17, 27, 58, 162, 173, 178]),
        ("[onboarding]", &[151, 156]),
        ("[decommission]", &[18, 182, 210, 211]),
        ("[rekey]", &[18, 123, 190, 216]),
    ];
    for organisation in [SINGLE, LICENSING, TWO] {
        for (table, rules) in rules {
            let Some(start) = organisation.find(&format!("\n{table}\n")) else { continue };
            let end = organisation[start + 1..].find("\n\n").map_or(organisation.len(), |end| start + 1 + end);
            let findings = of(&format!("{}{}", &organisation[..start], &organisation[end..]));
            let broken: Vec<&Finding> = findings.iter().filter(|finding| rules.contains(&finding.rule)).collect();
            assert!(broken.is_empty(), "{table}: {broken:#?}");
        }
    }
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
