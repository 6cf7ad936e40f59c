//! Every JSON object that the program prints in these tests fits its schema in docs/schemas.
//!
//! New fields and new commands: `rm docs/schemas/COMMAND.json`, then
//! `KEYKIT_WRITE_DOCUMENTATION=1 cargo test -p keykit-cli --test command_line -- --test-threads=1`, and look at the difference.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use keykit_tests::documentation::{is_written_anew, project};
use keykit_tests::schema::{problems, widen};
use serde_json::{Value, json};

use crate::support::Desk;

/// One test at a time changes a schema.
static WRITING: Mutex<()> = Mutex::new(());

fn file_of(name: &str) -> PathBuf {
    project().join(format!("docs/schemas/{name}.json"))
}

/// Checks standard output if it is one object with a schema of keykit.
#[track_caller]
pub(crate) fn check(stdout: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(stdout) else { return };
    let Some(name) = value["schema"].as_str().and_then(|schema| schema.strip_prefix("keykit/")?.strip_suffix("/1")) else { return };
    let stored = fs::read_to_string(file_of(name)).ok().map(|text| serde_json::from_str::<Value>(&text).unwrap());
    if is_written_anew() {
        let _guard = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        write(name, stored, &value);
        return;
    }
    let Some(schema) = stored else { panic!("docs/schemas/{name}.json is missing: see the head of cli/tests/command_line/schemas.rs") };
    let found = problems(&schema, &value);
    assert!(found.is_empty(), "docs/schemas/{name}.json is not what the program prints (see the head of schemas.rs): {found:#?}");
}

fn write(name: &str, stored: Option<Value>, value: &Value) {
    let mut schema = widen(stored, value);
    let node = schema.as_object_mut().unwrap();
    node.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    node.insert("title".into(), json!(format!("keykit/{name}/1")));
    fs::create_dir_all(file_of(name).parent().unwrap()).unwrap();
    fs::write(file_of(name), serde_json::to_string_pretty(&schema).unwrap() + "\n").unwrap();
}

/// The doctor's results of two tokens are stored; no token is examined for this.
#[test]
fn what_the_doctor_says_of_tokens_fits_its_schema() {
    for name in ["softhsm-2.6.1", "kryoptic-1.5.4", "nshield-shim"] {
        let stored = fs::read(project().join(format!("vectors/tokens/{name}.json"))).unwrap();
        let value: Value = serde_json::from_slice(&stored).unwrap();
        assert_eq!(value["schema"], "keykit/store-doctor/1");
        check(&stored);
    }
}

#[test]
fn a_note_in_a_transcript_is_told_as_json() {
    let (desk, people) = crate::ceremony::small();
    let person = &people[0];
    desk.run(&format!(
        "approve plan.json --key {person} --password-source file:key-password --transcript plan.transcript.jsonl -o {person}.approval"
    ))
    .exits(0);
    desk.run("--format json transcript note plan.transcript.jsonl --by Ann late").exits(0).json("transcript-note");
}

/// What no other test asks for as JSON.
#[test]
fn the_remaining_commands_print_json_too() {
    let desk = Desk::new();
    desk.run("--format json plan --init").exits(0).json("migration-file-example");
    desk.run("--format json tpd split contoso.xml --keyless keyless.xml --danger-plaintext-pem key.pem --password-source file:password")
        .exits(0)
        .json("tpd-split");
    desk.run("migrate software-to-software --password-source file:password --tenant tenant contoso.xml").exits(0);
    let key = crate::support::contoso().key.id();
    desk.write("chain.xml", crate::support::contoso().cluster.chain.concat());
    desk.run(&format!("--format json tpd build --key file:tenant/keys#{key} --chain chain.xml -o built.xml --password-source file:password"))
        .exits(0)
        .json("tpd-build");
    let (desk, _) = crate::ceremony::small();
    desk.run("--format json plan migration.toml -o second.json").exits(0).json("plan-made");
    desk.run("--format json plan show plan.json").exits(0).json("plan-show");
    desk.run_with(&["--format", "json", "approve", "plan.json", "--statement-for", "A. Custodian", "-o", "statement"])
        .exits(0)
        .json("approve-statement");
}
