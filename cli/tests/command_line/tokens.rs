//! The two paths into a token, on SoftHSM. Tokens with the labels of an nShield module stand in for it.

use std::process::Command;

use keykit::tpd::KeyDerivation;
use keykit_tests::fixture::softhsm::{PIN, SoftHsm};
use serde_json::Value;

use crate::support::{Desk, contoso, fabrikam};

/// A desk with tokens: `accelerator` (module), `PKCS11OCS` (card set), `softcard one`, `target`, `second target`.
fn desk() -> Option<(Desk, SoftHsm)> {
    let tokens = SoftHsm::set_up(&["accelerator", "PKCS11OCS", "softcard one", "target", "second target"])?;
    let desk = Desk::new().with_environment("SOFTHSM2_CONF", tokens.configuration().to_str().unwrap());
    desk.write("pin", format!("{PIN}\n"));
    desk.make_private("pin");
    Some((desk, tokens))
}

fn uri(label: &str) -> String {
    format!("pkcs11:token={}?module-path={}&pin-source=file:pin", label.replace(' ', "%20"), SoftHsm::module().unwrap().display())
}

/// Makes a wrappable key in a token, and a keyless domain around it.
fn keyless(desk: &Desk, tokens: &SoftHsm, label: &str) -> String {
    let generated = desk
        .run_with(&["--format", "json", "store", "generate", "--store", &uri(label), "--label", "slc", "--wrappable"])
        .exits(0)
        .json("store-generate");
    let id = generated["keys"][0]["key_id"].as_str().unwrap().to_owned();
    let name = format!("{}.xml", label.replace(' ', "-"));
    let samples = Command::new(tokens.samples_program()).arg(desk.path("")).args(["--around", &name, &uri(label)]).current_dir(desk.path("")).env("SOFTHSM2_CONF", tokens.configuration()).output().unwrap();
    assert!(samples.status.success(), "{}", String::from_utf8_lossy(&samples.stderr));
    let _ = KeyDerivation::Sha256;
    id
}

fn keys(desk: &Desk, label: &str) -> Vec<Value> {
    desk.run_with(&["--format", "json", "store", "keys", "--store", &uri(label)]).exits(0).json("store-keys")["keys"].as_array().unwrap().clone()
}
