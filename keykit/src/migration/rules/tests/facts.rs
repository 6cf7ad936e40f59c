//! Rules about what domains, tokens and keyrings say.

use super::super::facts::{FoundKey, OtherTenantFacts, SourceKeyFacts, TemplateFacts, TenantFacts};
use super::*;
use crate::store::protection::{Assessment, Protection, Signal};
use crate::tenant::KeyStatus;

/// The findings of one rule after a change of the facts.
fn found(rule: u16, text: &str, change: impl FnOnce(&mut Facts<'_>)) -> Vec<Finding> {
    let file = read(text);
    let mut facts = Facts { domains: opened(&file), ..Facts::of_file(&file) };
    change(&mut facts);
    examine(&facts).all().iter().filter(|finding| finding.rule == rule).cloned().collect()
}

#[track_caller]
fn one(rule: u16, severity: Severity, text: &str, change: impl FnOnce(&mut Facts<'_>)) -> Finding {
    assert_eq!(found(rule, text, |_| {}), [], "the sound organisation");
    first(rule, severity, text, change)
}

#[track_caller]
fn first(rule: u16, severity: Severity, text: &str, change: impl FnOnce(&mut Facts<'_>)) -> Finding {
    let findings = found(rule, text, change);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].severity, severity);
    findings[0].clone()
}

fn template(name: &str, grants_anyone: bool) -> TemplateFacts {
    TemplateFacts { id: "1c0a6e57-7e4f-4c58-9b9c-6f0a7a4d8a11".into(), name: name.into(), grants_anyone }
}

fn source_key(file: &str, found: Option<FoundKey>) -> SourceKeyFacts {
    SourceKeyFacts { key_id: KeyId::of_spki(file.as_bytes()), file: file.into(), store: "pkcs11:token=accelerator".into(), found }
}

fn protected_by(says: Protection) -> Assessment {
    Assessment::weigh(vec![Signal { source: "nfkmattest verify".into(), says, bound_to_key: true }])
}

#[test]
fn sound_domains_are_sound() {
    for text in [SINGLE, LICENSING, TWO] {
        let file = read(text);
        let findings = examine(&Facts { domains: opened(&file), ..Facts::of_file(&file) });
        assert_eq!(findings.refusals().collect::<Vec<_>>(), Vec::<&Finding>::new());
    }
}

#[test]
fn rule_4() {
    let finding = one(4, Severity::Refusal, SINGLE, |facts| {
        let keys = vec![KeyId::of_spki(b"another"), facts.domains[1].key_id];
        facts.other_tenants = vec![OtherTenantFacts { name: "../fabrikam".into(), keys }];
    });
    assert_eq!(finding.place.domain.as_deref(), Some("headquarters-mode-1.xml"));
    assert_eq!(finding.place.key, Some(KeyId::of_spki(b"headquarters-mode-1.xml")));
    assert!(finding.message.contains("../fabrikam") && finding.place.at.is_some());
}

#[test]
fn rule_29() {
    refused(
        29,
        TWO,
        &[(
            "evidence = [\"northwind.nfkmattest\"]\nsource = \"pkcs11:token=accelerator?module-path=/opt/nfast/toolkits/pkcs11/libcknfast.so&pin-source=prompt\"\n",
            "",
        )],
    );
    still_kept(29, TWO, &[("evidence = [\"northwind.nfkmattest\"]\n", "")]);
    still_kept(29, LICENSING, &[("protection = \"database\"", "protection = \"database\"\nevidence = []")]);
    for (says, word) in [
        (Protection::CardSet { hash: None, name: Some("ops".into()) }, "operator card set 'ops'"),
        (Protection::SoftCard { hash: None, name: None }, "softcard"),
        (Protection::Software, "software"),
        (Protection::Unknown, "no evidence"),
    ] {
        let finding = one(29, Severity::Refusal, TWO, |facts| {
            facts.source_keys = vec![source_key("northwind.xml", Some(FoundKey { protection: protected_by(says), extractable: Some(true) }))];
        });
        assert!(finding.message.contains(word), "{}", finding.message);
        assert_eq!(finding.place.domain.as_deref(), Some("northwind.xml"));
    }
    let module = FoundKey { protection: protected_by(Protection::Module), extractable: Some(true) };
    assert_eq!(found(29, TWO, |facts| facts.source_keys = vec![source_key("northwind.xml", Some(module))]), []);
}

#[test]
fn paths_and_what_the_files_hold() {
    let finding = one(30, Severity::Refusal, SINGLE, |facts| facts.domains[0].has_key = false);
    assert!(finding.message.contains("headquarters.xml holds no key"));
    assert!(one(41, Severity::Refusal, TWO, |facts| facts.domains[0].has_key = true).message.contains("northwind.xml holds a software key"));
    assert!(one(41, Severity::Refusal, TWO, |facts| facts.domains[1].has_key = false).message.contains("tailspin.xml holds no key"));
    assert_eq!(found(41, TWO, |facts| facts.domains[1].path = None), []);
}

#[test]
fn keys_that_can_not_leave_their_token() {
    let fixed = FoundKey { protection: protected_by(Protection::Module), extractable: Some(false) };
    let finding = one(31, Severity::Refusal, TWO, |facts| facts.source_keys = vec![source_key("northwind.xml", Some(fixed))]);
    assert!(finding.message.contains("can't leave its module"));
}

#[test]
fn rule_32() {
    for bits in [512, 1023, 2047, 3072, 4096] {
        one(32, Severity::Refusal, SINGLE, |facts| facts.domains[0].modulus_bits = bits);
    }
    refused(32, TWO, &[("bits = 2048", "bits = 3072")]);
    still_kept(32, TWO, &[("bits = 2048", "bits = 1024")]);
}

#[test]
fn rule_33() {
    let finding = first(33, Severity::Warning, SINGLE, |_| {});
    assert_eq!(finding.place.domain.as_deref(), Some("headquarters-mode-1.xml"));
    assert_eq!(found(33, SINGLE, |facts| facts.domains[1].modulus_bits = 2048), []);
    warned(33, TWO, &[("bits = 2048", "bits = 1024")]);
}

#[test]
fn rule_34() {
    one(34, Severity::Warning, TWO, |facts| facts.domains[0].modulus_bits = 1024);
    assert_eq!(found(34, SINGLE, |_| {}), [], "the service keeps this one in software");
    warned(34, TWO, &[("cryptographic-mode = 2", "cryptographic-mode = 1")]);
    let upgraded = ("cryptographic-mode = 2", "cryptographic-mode = 2\nupgraded-from-mode-1 = true");
    warned(34, TWO, &[upgraded]);
    first(34, Severity::Warning, LICENSING, |_| {});
}

#[test]
fn the_missing_domain_of_mode_1_is_found_by_its_key() {
    one(44, Severity::Warning, SINGLE, |facts| facts.domains[1].modulus_bits = 2048);
    assert_eq!(found(44, SINGLE, |facts| facts.domains.truncate(1)), [], "not all were opened");
}

#[test]
fn rule_47() {
    assert!(one(47, Severity::Warning, SINGLE, |facts| facts.domains[0].version_1 = true).message.contains("RMS version 1.0"));
}

#[test]
fn rule_48() {
    one(48, Severity::Warning, SINGLE, |facts| facts.domains[0].readable_by_others = true);
    assert_eq!(found(48, TWO, |facts| facts.domains[0].readable_by_others = true), [], "no key is in it");
}

#[test]
fn the_friendly_name_is_that_of_the_certificate() {
    assert!(one(58, Severity::Warning, SINGLE, |facts| facts.domains[0].licensor_name = "Contoso RMS".into()).message.contains("'Contoso RMS'"));
    assert_eq!(found(58, SINGLE, |facts| facts.domains[1].licensor_name = "older name".into()), [], "the archived one may differ");
    assert_eq!(found(58, SINGLE, |facts| (facts.domains[0].cluster, facts.domains[0].licensor_name) = ("other".into(), "Contoso".into())), []);
}

#[test]
fn rule_70() {
    let finding = one(70, Severity::Refusal, TWO, |facts| facts.source_keys = vec![source_key("northwind.xml", None)]);
    assert!(finding.message.contains("pkcs11:token=accelerator does not hold"));
    let file = read(TWO);
    let place = Place {
        domain: Some("northwind.xml".into()),
        key: Some(KeyId::of_spki(b"northwind.xml")),
        ..Place::from(file.domains().next().unwrap().domain.file.at)
    };
    assert_eq!(finding.place, place);
    let second = one(70, Severity::Refusal, TWO, |facts| facts.source_keys = vec![source_key("tailspin.xml", None)]);
    assert_eq!(second.place.at, Some(file.domains().nth(1).unwrap().domain.file.at));
}

#[test]
fn rule_133() {
    let with = |facts: &mut Facts<'_>| facts.domains[0].templates = vec![template("Everybody", true), template("Staff", false)];
    let place = one(133, Severity::Warning, SINGLE, with).place;
    assert_eq!((place.template.as_deref(), place.domain.as_deref()), (Some("Everybody"), Some("headquarters.xml")));
    assert_eq!(found(133, TWO, with), [], "the file says who gets the rights");
    let published = changed(TWO, &[("replace-anyone-with = [\"all-staff\", \"guests@tailspin.com\"]\n", "")]);
    let finding = first(133, Severity::Refusal, &published, with);
    let file = read(&published);
    assert_eq!(finding.place.at, Some(file.template[0].id.at));
    assert!(finding.instead.contains("the present one does not support it"));
    assert!(one(133, Severity::Warning, LICENSING, with).instead.contains("removed ANYONE"));
    let archived = changed(&published, &[("publish = true", "publish = false")]);
    first(133, Severity::Warning, &archived, with);
}

#[test]
fn rule_134() {
    warned(134, TWO, &[("[\"all-staff\", \"guests@tailspin.com\"]", "[\"all-staff\"]")]);
    still_kept(134, TWO, &[("[\"all-staff\", \"guests@tailspin.com\"]", "[\"staff@northwind.com\"]")]);
}

#[test]
fn rule_141() {
    let many = |count: usize| {
        move |facts: &mut Facts<'_>| {
            facts.domains[0].templates = (0..count).map(|number| TemplateFacts { id: number.to_string(), ..template("plain", false) }).collect();
        }
    };
    assert_eq!(found(141, SINGLE, many(500)), []);
    assert!(one(141, Severity::Refusal, SINGLE, many(501)).message.contains("501 templates"));
    let own = changed(SINGLE, &[("managed = \"service\"", "managed = \"service\"\ncustom-templates = 1")]);
    assert!(one(141, Severity::Refusal, &own, many(500)).place.at.is_some());
    one(141, Severity::Refusal, SINGLE, |facts| {
        many(500)(facts);
        facts.tenant = Some(TenantFacts { keys: Vec::new(), templates: vec!["0".into(), "other".into()] });
    });
    one(141, Severity::Warning, SINGLE, |facts| facts.domains[0].templates = vec![template("a/b", false)]);
    one(141, Severity::Refusal, TWO, |facts| facts.domains[0].templates = vec![template("a/b", false)]);
}

#[test]
fn rule_147() {
    let with = |facts: &mut Facts<'_>| facts.domains[0].templates = vec![template("a;b", false)];
    one(147, Severity::Warning, SINGLE, with);
    one(147, Severity::Warning, TWO, with);
    assert_eq!(found(147, LICENSING, with), [], "no Exchange Online");
}

#[test]
fn a_foreign_active_key_parts_those_who_have_moved_from_the_others() {
    let with = |id: KeyId, status| move |facts: &mut Facts<'_>| facts.tenant = Some(TenantFacts { keys: vec![(id, status)], templates: Vec::new() });
    one(26, Severity::Warning, SINGLE, with(KeyId::of_spki(b"automatic"), KeyStatus::Active));
    assert_eq!(found(26, SINGLE, with(KeyId::of_spki(b"automatic"), KeyStatus::Archived)), []);
    assert_eq!(found(26, SINGLE, with(KeyId::of_spki(b"headquarters.xml"), KeyStatus::Active)), []);
}

#[test]
fn the_size_of_the_opened_key_decides_on_the_new_one() {
    let without = changed(SINGLE, &[("after-migration = true", "after-migration = false")]);
    one(215, Severity::Refusal, &without, |facts| facts.domains[0].modulus_bits = 1024);
    let archived = changed(LICENSING, &[("after-migration = true", "after-migration = false")]);
    assert_eq!(found(215, &archived, |facts| facts.domains[0].modulus_bits = 2048), []);
}
