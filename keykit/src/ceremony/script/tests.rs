//! The script on paper: golden files, nothing from elsewhere, nothing that breaks out of its place.

use proptest::prelude::*;

use super::*;
use crate::migration::plan::tests::sample;

/// Compares with a file beside this one; `KEYKIT_WRITE_GOLDEN` writes it anew.
fn golden(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ceremony/golden").join(name);
    if std::env::var_os("KEYKIT_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "{name} differs: look at it, then write it with KEYKIT_WRITE_GOLDEN=1");
}

fn hostile(text: &str) -> Plan {
    let mut plan = sample();
    plan.organisation = text.into();
    plan.tenant.name = text.into();
    plan.tenant.folder = text.into();
    plan.approval.people[0].name = text.into();
    plan.approval.people[0].role = text.into();
    plan.files[0].path = text.into();
    plan.keys[0].licensor_name = text.into();
    plan.steps[0].inputs = vec![text.into()];
    plan.steps[0].effects = vec![text.into()];
    plan
}

#[test]
fn the_script_of_the_sample_plan_is_as_it_was() {
    let script = Script::of(&sample(), "plan.json").unwrap();
    golden("script.md", &markdown(&script));
    golden("script.html", &page(&script).unwrap());
}

#[test]
fn every_step_of_the_plan_has_its_place_its_command_and_its_boxes() {
    let plan = sample();
    let script = Script::of(&plan, "plan.json").unwrap();
    let ids: Vec<&str> = script.parts.iter().flat_map(|part| &part.steps).filter_map(|task| task.id.as_deref()).collect();
    assert_eq!(ids, plan.steps.iter().map(|step| step.id.as_str()).collect::<Vec<_>>());
    assert_eq!(script.words.len(), 32);
    let text = markdown(&script);
    assert!(
        text.contains(&plan.hash().unwrap()) && text.contains("keykit apply plan.json --ceremony --approval ann.approval --approval ben.approval")
    );
    assert_eq!(text.matches("- [ ] time").count(), script.parts.iter().map(|part| part.steps.len()).sum::<usize>());
}

#[test]
fn a_page_loads_nothing_and_runs_nothing() {
    let text = page(&Script::of(&hostile("<script src=x></script><img src=http://a/>"), "<plan>.json").unwrap()).unwrap();
    for word in ["<script", "<img", "<link", "<iframe", "url(", "@import", "javascript:", " onload="] {
        assert!(!text.contains(word), "{word}");
    }
    // The only address in a page names a vocabulary, and is never fetched.
    let text = page(&Script::of(&sample(), "plan.json").unwrap()).unwrap();
    assert_eq!(text.matches("http").count(), text.matches("http-equiv").count() + text.matches("http://www.w3.org/2000/svg").count());
}

#[test]
fn arguments_reach_a_shell_as_they_are() {
    for argument in ["plan.json", "a b", "it's", "$(x)", "", "pkcs11:token=a?module-path=/m.so&pin-source=file:/p", "é"] {
        let Ok(output) = std::process::Command::new("sh").args(["-c", &format!("printf %s {}", quoted(argument))]).output() else {
            return keykit_vectors::skip("script::arguments_reach_a_shell_as_they_are", "there is no sh");
        };
        assert_eq!(output.stdout, argument.as_bytes(), "{argument}");
    }
    assert_eq!(approval_file("A. Custodian"), "a.-custodian.approval");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_name_breaks_out(text in "(\\PC|[<>&\"'`|*_#\n\r\t]){0,20}") {
        let with = |text: &str| Script::of(&hostile(text), "plan.json").unwrap();
        let (plain, odd) = (with("x"), with(&text));
        let tags = |page: String| page.matches('<').count();
        prop_assert_eq!(tags(page(&plain).unwrap()), tags(page(&odd).unwrap()));
        // No line begins or ends with it, and no table gets another cell.
        let shape = |script: &Script| markdown(script).lines().map(|line| line.replace("\\|", "").matches('|').count()).collect::<Vec<_>>();
        prop_assert_eq!(shape(&plain).len(), shape(&odd).len());
    }
}
