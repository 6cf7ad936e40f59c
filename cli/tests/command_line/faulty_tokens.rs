//! Tokens that fail in the middle of a plan: any call into them ends with an error, once, for ever, or with all that come after it. The
//! plan is resumed while the token still fails, and when it is well again; everything that `scene.rs` lists holds after both.
//!
//! `KEYKIT_LONG_TESTS` takes every call that changes something on a token with every error, and some calls of every other function.

use std::collections::BTreeMap;
use std::process::Command;

use keykit_tests::nshield::{Modules, on_nshield};
use keykit_tests::softhsm::PIN;

use crate::scene::Scene;
use crate::support::Desk;
use crate::tokens::Bench;
use crate::traced::sample;

/// The shim shows the first as a module without a login.
const LABELS: [&str; 2] = ["accelerator", "target"];
const ERRORS: [&str; 4] = ["CKR_DEVICE_ERROR", "CKR_SESSION_HANDLE_INVALID", "CKR_TOKEN_NOT_PRESENT", "CKR_PIN_LOCKED"];
/// What a rule of the shim adds: for this call, for all later ones of its function, for all later ones.
const LASTING: [&str; 3] = ["", ":forever", ":lost"];
/// Functions that make, change or take away an object.
const CHANGES: [&str; 8] =
    ["C_CreateObject", "C_CopyObject", "C_DestroyObject", "C_SetAttributeValue", "C_GenerateKey", "C_GenerateKeyPair", "C_WrapKey", "C_UnwrapKey"];
/// Calls of a function that changes nothing, in a long run.
const LOOKS: usize = 6;
/// Exit codes of a run whose token fails: the store can't be found, the token failed, the PIN is refused, the token can't do it, the
/// journal could not be written after it. Never 1: that the token failed is no finding about a key.
const CODES: [i32; 5] = [2, 5, 6, 7, 8];

/// How often the undisturbed run calls each function.
fn calls(scene: &Scene<'_>) -> BTreeMap<String, usize> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keykit"));
    let log = scene.desk.path("calls");
    scene.desk.finish(command.args(["apply", "plan.json"]).env("KEYKIT_SHIM_CALLS", &log)).exits(0);
    let mut calls = BTreeMap::new();
    String::from_utf8(std::fs::read(&log).unwrap()).unwrap().lines().for_each(|name| *calls.entry(name.to_owned()).or_default() += 1);
    std::fs::remove_file(log).unwrap();
    calls
}

/// The rules of the shim, one for each fault.
fn rules(calls: &BTreeMap<String, usize>) -> Vec<String> {
    let mut rules = Vec::new();
    for (name, &count) in calls.iter().filter(|(name, _)| *name != "C_Finalize") {
        let changes = CHANGES.contains(&name.as_str());
        let numbers: Vec<usize> =
            if changes || count <= LOOKS { (1..=count).collect() } else { (1..=LOOKS).map(|part| part * count / LOOKS).collect() };
        for number in numbers {
            for (index, error) in ERRORS.iter().enumerate() {
                // One of three for looks, all for changes.
                let lasting = LASTING.iter().enumerate().filter(|(place, _)| changes || *place == (index + number) % LASTING.len());
                rules.extend(lasting.map(|(_, lasting)| format!("{name}:{number}:{error}{lasting}")));
            }
        }
    }
    rules
}

fn every_fault(scene: &Scene<'_>, modules: &Modules, count: usize) {
    scene.start.put_back();
    let calls = calls(scene);
    let rules = rules(&calls);
    let (all, functions, total) = (rules.len(), calls.len(), calls.values().sum::<usize>());
    let mut codes = BTreeMap::<i32, usize>::new();
    let (mut met, mut still) = (0, 0);
    let run = |rule: &str, what: &str| {
        modules.set_faults(rule);
        let ran = scene.desk.run(&format!("{} plan.json", scene.goes_on()));
        modules.set_faults("");
        let code = ran.0.status.code().unwrap_or_else(|| panic!("{what}: {}\n{}", ran.0.status, ran.stderr()));
        assert!(code == 0 || CODES.contains(&code), "{what}: exit {code}\n{}", ran.stderr());
        if code == 5 {
            assert!(ran.stderr().contains("CKR_") && ran.stderr().contains("C_"), "{what}: {}", ran.stderr());
        }
        scene.always(what);
        code
    };
    for rule in sample(rules, count) {
        let what = format!("{}, {rule}", scene.path_name());
        scene.start.put_back();
        let code = run(&rule, &what);
        *codes.entry(code).or_default() += 1;
        met += 1;
        let (is_begun, is_over) = scene.standing();
        if code != 0 && (rule.ends_with(":forever") || rule.ends_with(":lost")) {
            // The token is as it was, and so is what comes of it.
            still += usize::from(run(&rule, &format!("{what}, again")) != 0);
        }
        scene.goes_on_to_the_end(&what);
        scene.holds(&what, code != 0 && is_begun && !is_over);
    }
    assert!(codes.keys().any(|code| *code != 0), "{codes:?}");
    println!(
        "{}: {total} calls of {functions} functions; {met} of {all} faults, exit codes {codes:?}; {still} resumptions failed while the fault lasted",
        scene.path_name()
    );
}

fn on_tokens(name: &str, body: impl FnOnce(&Bench<'_>, &Modules)) {
    on_nshield(&format!("faulty_tokens::{name}"), &LABELS, |modules| {
        let desk = Desk::new();
        desk.write("pin", format!("{PIN}\n"));
        desk.make_private("pin");
        modules.set_faults("");
        body(&Bench { desk, module: &modules.shim }, modules);
    });
}

#[test]
fn a_plan_into_a_token() {
    on_tokens("a_plan_into_a_token", |bench, modules| every_fault(&Scene::into_token(bench), modules, 6));
}

#[test]
fn a_plan_between_tokens() {
    on_tokens("a_plan_between_tokens", |bench, modules| every_fault(&Scene::between_tokens(bench), modules, 6));
}
