//! The test tokens are what the other suites take them for.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail their test")]

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use keykit_tests::fixture::{Kryoptic, PIN, SoftHsm, Tokens, in_own_process, openssl, pkcs11_tool, text};

/// The labels that stand for the protections of an nShield, and a target.
const LABELS: [&str; 4] = ["loadshared accelerator", "PKCS11OCS", "softcard of the custodians", "target"];

#[test]
fn softhsm_has_the_tokens() {
    let Some(softhsm) = SoftHsm::set_up(&LABELS) else { return };
    lists_the_tokens(&softhsm);
}

#[test]
fn kryoptic_has_the_tokens() {
    let Some(kryoptic) = Kryoptic::set_up(&LABELS) else { return };
    lists_the_tokens(&kryoptic);
}

#[test]
fn softhsm_generates_a_key() {
    let Some(softhsm) = SoftHsm::set_up(&LABELS) else { return };
    generates_a_key(&softhsm);
}

#[test]
fn kryoptic_generates_a_key() {
    let Some(kryoptic) = Kryoptic::set_up(&LABELS) else { return };
    generates_a_key(&kryoptic);
}

#[test]
fn softhsm_is_seen_by_a_module_in_this_process() {
    let Some(softhsm) = SoftHsm::set_up(&LABELS) else { return };
    in_own_process(&[&softhsm], || assert_eq!(labels_in_this_process(&softhsm), sorted(&LABELS)));
}

#[test]
fn both_modules_are_seen_in_one_process() {
    let Some(softhsm) = SoftHsm::set_up(&["source"]) else { return };
    let Some(kryoptic) = Kryoptic::set_up(&["target"]) else { return };
    in_own_process(&[&softhsm, &kryoptic], || {
        assert_eq!(labels_in_this_process(&softhsm), ["source"]);
        assert_eq!(labels_in_this_process(&kryoptic), ["target"]);
    });
}

#[test]
fn the_folder_is_removed_with_the_tokens() {
    let Some(softhsm) = SoftHsm::set_up(&["one"]) else { return };
    let folder = softhsm.folder().to_owned();
    assert!(folder.join("tokens").is_dir());
    drop(softhsm);
    assert!(!folder.exists());
}

#[test]
fn the_pin_file_holds_the_pin_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let Some(softhsm) = SoftHsm::set_up(&["a b"]) else { return };
    assert_eq!(std::fs::read_to_string(softhsm.pin_file()).unwrap(), PIN);
    assert_eq!(softhsm.pin_file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let expected = format!("pkcs11:token=a%20b?module-path={}&pin-source=file:{}", softhsm.module().display(), softhsm.pin_file().display());
    assert_eq!(softhsm.uri("a b"), expected);
}

#[test]
fn openssl_is_there() {
    let Some(output) = openssl(["version"]) else { return };
    assert!(text(&output).starts_with("OpenSSL "), "{}", text(&output));
}

fn lists_the_tokens(tokens: &Tokens) {
    let Some(output) = pkcs11_tool(tokens, ["--list-slots"]) else { return };
    let listing = text(&output);
    let listed: Vec<&str> = listing.lines().filter_map(|line| line.trim().strip_prefix("token label        : ")).collect();
    assert_eq!(sorted(&listed), sorted(&LABELS), "{listing}");
}

fn generates_a_key(tokens: &Tokens) {
    let login = ["--token-label", "target", "--login", "--pin", PIN];
    let generate = ["--keypairgen", "--key-type", "rsa:2048", "--id", "4b31", "--label", "k1"];
    let Some(output) = pkcs11_tool(tokens, login.iter().chain(&generate)) else { return };
    assert!(output.status.success(), "{}", text(&output));

    let Some(read) = pkcs11_tool(tokens, login.iter().chain(&["--read-object", "--type", "pubkey", "--id", "4b31"])) else { return };
    assert!(read.status.success(), "{}", text(&read));
    let file = tokens.folder().join("public.der");
    std::fs::write(&file, &read.stdout).unwrap();
    let Some(shown) = openssl(["pkey".as_ref(), "-pubin".as_ref(), "-noout".as_ref(), "-text".as_ref(), "-in".as_ref(), file.as_os_str()]) else {
        return;
    };
    assert!(text(&shown).contains("Public-Key: (2048 bit)"), "{}", text(&shown));

    let other = ["--token-label", "PKCS11OCS", "--login", "--pin", PIN, "--list-objects", "--type", "privkey"];
    let Some(elsewhere) = pkcs11_tool(tokens, other) else { return };
    assert!(elsewhere.status.success() && !text(&elsewhere).contains("k1"), "the tokens are not apart: {}", text(&elsewhere));
}

/// Loads the module here, logs in to each token, and returns their labels.
fn labels_in_this_process(tokens: &Tokens) -> Vec<String> {
    let module = Pkcs11::new(tokens.module()).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slots = module.get_slots_with_initialized_token().unwrap();
    let labels = slots.into_iter().map(|slot| {
        let session = module.open_rw_session(slot).unwrap();
        session.login(UserType::User, Some(&AuthPin::new(PIN.into()))).unwrap();
        module.get_token_info(slot).unwrap().label().to_owned()
    });
    sorted(&labels.collect::<Vec<_>>())
}

fn sorted(labels: &[impl ToString]) -> Vec<String> {
    let mut sorted: Vec<String> = labels.iter().map(ToString::to_string).collect();
    sorted.sort();
    sorted
}
