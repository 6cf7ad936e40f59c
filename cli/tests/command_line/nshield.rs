//! `keykit` before tokens that show themselves as an nShield module does, and evidence of the module's tools about their keys.

use keykit::key::RsaPublicKey;
use keykit::store::Transferability;
use keykit_tests::nshield::{DescribedKey, TokenKind, on_nshield};
use keykit_tests::softhsm::PIN;
use serde_json::Value;

use crate::support::{Desk, Ran, contoso};
use crate::tokens::Bench;

const LABELS: [&str; 5] = ["accelerator", "PKCS11OCS", "softcard one", "softcard:hr keys", "target"];

fn on_tokens(name: &str, body: impl FnOnce(&Bench<'_>)) {
    on_nshield(&format!("nshield::{name}"), &LABELS, |modules| {
        let desk = Desk::new();
        desk.write("pin", format!("{PIN}\n"));
        desk.make_private("pin");
        body(&Bench { desk, module: &modules.shim });
    });
}

fn new_key(bench: &Bench<'_>, token: &str) -> RsaPublicKey {
    bench.domain_around(token, Transferability::Wrapped)
}

/// From the accelerator to the target, with evidence files of these contents.
fn with_evidence(bench: &Bench<'_>, contents: &[&str]) -> Ran {
    let mut arguments = Vec::new();
    let names: Vec<String> = (0..contents.len()).map(|number| format!("evidence-{number}")).collect();
    for (name, content) in names.iter().zip(contents) {
        bench.desk.write(name, content);
        arguments.extend(["--evidence", name]);
    }
    bench.between("accelerator.xml", "accelerator", "target", &arguments)
}

#[test]
fn an_accelerator_is_used_without_a_pin_and_its_keys_are_module_protected() {
    on_tokens("an_accelerator_is_used_without_a_pin_and_its_keys_are_module_protected", |bench| {
        let public = new_key(bench, "accelerator");
        let uri = format!("pkcs11:token=accelerator?module-path={}", bench.module.display());
        let listed = bench.desk.run_with(&["--format", "json", "store", "keys", "--store", &uri]).exits(0).json("store-keys");
        let key = &listed["keys"][0];
        assert_eq!(key["protection"]["protection"]["kind"], "module");
        assert_eq!(key["private"], false);
        assert_eq!(key["nfkm_id"], DescribedKey::new("accelerator", &public).ident);
        let text = bench.desk.run_with(&["store", "keys", "--store", &uri]).exits(0).stdout();
        assert!(text.contains("module"), "{text}");
        // Neither a PIN nor a prompt: standard input is empty.
        let to = bench.uri("target");
        let arguments = ["migrate", "hsm-to-hsm", "--password-source", "file:password", "--tenant", "tenant", "--source", &uri, "--target", &to];
        bench.desk.run_with(&[&arguments[..], &["accelerator.xml", "--licence", "accelerator.pfile"]].concat()).exits(0);
        let moved = bench.keys("target");
        assert_eq!((&moved[0]["key_id"], &moved[0]["extractable"]), (&public.id().to_string().into(), &false.into()));
    });
}

#[test]
fn keys_under_card_sets_and_softcards_are_refused_before_anything_is_made() {
    on_tokens("keys_under_card_sets_and_softcards_are_refused_before_anything_is_made", |bench| {
        for (token, label, kind) in
            [("PKCS11OCS", "PKCS11OCS", "card-set"), ("softcard one", "softcard one", "soft-card"), ("hr keys", "softcard:hr keys", "logical-token")]
        {
            let public = new_key(bench, token);
            let described = DescribedKey::new(label, &public);
            let key = &bench.keys(token)[0];
            assert_eq!(key["protection"]["protection"]["kind"], kind);
            assert_eq!(key["protection"]["protection"]["hash"], Value::from(described.token_hash.clone()));
            let domain = format!("{token}.xml");
            bench.between(&domain, token, "target", &[]).exits(4).says("rule 29").says(token).says(described.token_hash.as_ref().unwrap());
            // Evidence that agrees changes nothing, but says which kind it is.
            bench.desk.write("evidence", described.key_info());
            let refused = bench.between(&domain, token, "target", &["--evidence", "evidence"]).exits(4).says("rule 29");
            let named = if kind == "card-set" { "operator card set '" } else { "protected by a softcard '" };
            assert!(refused.stderr().contains(named), "{}", refused.stderr());
            // Evidence that says better than the token is a contradiction.
            let better = DescribedKey { kind: TokenKind::Accelerator, token_hash: None, ..described };
            bench.desk.write("evidence", better.attestation());
            bench.between(&domain, token, "target", &["--evidence", "evidence"]).exits(4).says("rule 29").says("contradicts itself");
        }
        assert!(bench.keys("target").is_empty());
        assert!(!bench.desk.path("tenant").exists());
    });
}

#[test]
fn evidence_that_agrees_is_recorded_with_what_it_is_worth() {
    on_tokens("evidence_that_agrees_is_recorded_with_what_it_is_worth", |bench| {
        let key = DescribedKey::new("accelerator", &new_key(bench, "accelerator"));
        let ran = with_evidence(bench, &[&key.name_list(), &key.key_list(), &key.key_info(), &key.attestation()]).exits(0);
        let ran = ran.says("verified by `nfkmattest verify`, not by keykit").says("unsigned text");
        let proofs = ran.json("migrate")["keys"][0]["proofs"].clone();
        let proof = proofs.as_array().unwrap().iter().find(|proof| proof["name"] == "source-is-module-protected").unwrap();
        for source in ["token label 'accelerator'", "CKA_NFKM_ID ua", "nfkminfo -l", "nfkminfo -k APP IDENT", "nfkmattest verify"] {
            assert!(proof["detail"].as_str().unwrap().contains(source), "{source} is not in {proof}");
        }
    });
}

#[test]
fn evidence_that_disagrees_is_refused() {
    on_tokens("evidence_that_disagrees_is_refused", |bench| {
        let public = new_key(bench, "accelerator");
        let key = DescribedKey::new("accelerator", &public);
        let elsewhere = DescribedKey::new("PKCS11OCS", &public);
        let contradicting = DescribedKey { ident: key.ident.clone(), ..elsewhere.clone() };
        for text in [contradicting.name_list(), contradicting.key_info(), contradicting.attestation()] {
            with_evidence(bench, &[&key.attestation(), &text]).exits(4).says("rule 29").says("contradicts itself");
        }
        // The hash binds a statement to the key, whatever name it stands under: the same key under a card set is found.
        let renamed = DescribedKey { app: "mscapi".into(), ident: "container-1".into(), ..elsewhere };
        with_evidence(bench, &[&renamed.key_info()]).exits(4).says("rule 29").says("mscapi container-1");
        assert!(bench.keys("target").is_empty() && !bench.desk.path("tenant").exists());
    });
}

#[test]
fn evidence_of_another_key_does_not_count_and_damaged_evidence_is_malformed() {
    on_tokens("evidence_of_another_key_does_not_count_and_damaged_evidence_is_malformed", |bench| {
        let key = DescribedKey::new("accelerator", &new_key(bench, "accelerator"));
        for damaged in ["", "no evidence", "{\"protection\": ", &key.attestation()[..200], "\u{0}\u{1}"] {
            let ran = with_evidence(bench, &[&key.name_list(), damaged]).exits(3).says("evidence-1");
            assert_eq!(ran.json("error")["code"], "malformed");
        }
        bench.desk.write("evidence-0", [0xff, 0xfe, 0x00]);
        bench.between("accelerator.xml", "accelerator", "target", &["--evidence", "evidence-0"]).exits(3).says("UTF-8");
        with_evidence(bench, &[r#"{"pubkeydata":"AA","kcmsg":"AA","modstatemsg":"AA"}"#]).exits(3).says("nfkmattest verify FILE");
        assert!(!bench.desk.path("tenant").exists());
        // A card set's key that is not ours neither helps nor hurts.
        let other = DescribedKey::new("PKCS11OCS", contoso().key.public());
        let ran = with_evidence(bench, &[&other.name_list(), &other.key_info(), &other.attestation()]).exits(0);
        let value = ran.json("migrate");
        let proofs = value["keys"][0]["proofs"].as_array().unwrap();
        let proof = proofs.iter().find(|proof| proof["name"] == "source-is-module-protected").unwrap();
        assert!(!proof["detail"].as_str().unwrap().contains("nfkm"), "{proof}");
    });
}

const NAMES: [&str; 14] = [
    "--identifier",
    "contosobyok",
    "--friendly-name",
    "ContosoFirstHSMkey",
    "--region",
    "eu",
    "--subscription",
    "12345678-9abc-def0-1234-56789abcdef0",
    "--vault",
    "contoso-byok-kv",
    "--resource-group",
    "contoso-byok-rg",
    "--organisation",
    "Contoso",
];

fn run_book(desk: &Desk, more: &[&str]) -> Ran {
    desk.run_with(&[&["nshield", "run-book"], more, &NAMES].concat())
}

#[test]
fn a_run_book_has_the_custodians_names() {
    let desk = Desk::new();
    let text = run_book(&desk, &["--domain", r"E:\Contoso TPD.xml"]).exits(0).says("30 June 2021").stdout();
    assert!(text.contains(r"'/tpd:E:\Contoso TPD.xml' '/otpd:E:\Contoso TPD_keyless.xml'"), "{text}");
    assert!(text.contains("BYOK-KEK-pkg-EU-1") && text.contains("ident=contosobyok"));
    run_book(&desk, &["--domain", "tpd.xml", "--application", "mscapi", "-o", "book.md"]).exits(0).says("written to book.md");
    let written = String::from_utf8(desk.read("book.md")).unwrap();
    assert!(written.contains("-KeyAppName mscapi") && !written.contains("TpdUtil"), "{written}");
    run_book(&desk, &["--domain", "tpd.xml", "-o", "book.md"]).exits(9);
    let value = run_book(&desk, &["--domain", "tpd.xml", "--format", "json"]).exits(0).json("nshield-run-book");
    let steps = value["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["commands"].to_string().contains("pemreadfile=tpd_key.pem")));
    assert!(steps.iter().all(|step| step["place"].is_string() && step["rules"].is_array()));
}

#[test]
fn a_run_book_with_wrong_names_is_refused() {
    let desk = Desk::new();
    run_book(&desk, &["--domain", "tpd.xml", "--keyless", "TPD.XML"]).exits(4).says("rule 75");
    run_book(&desk, &["--domain", "tpd\".xml"]).exits(2);
    let long = "a".repeat(81);
    for identifier in ["ContosoBYOK", "contoso_byok", "", long.as_str()] {
        let mut names = NAMES;
        names[1] = identifier;
        desk.run_with(&[&["nshield", "run-book", "--domain", "tpd.xml"][..], &names].concat()).exits(2).says("rule 77");
    }
    run_book(&desk, &["--domain", "tpd.xml", "--application", "mscapi", "--new-security-world"]).exits(2);
}
