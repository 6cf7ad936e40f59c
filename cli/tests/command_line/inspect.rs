//! `keykit inspect` and `keykit licence verify` on real and damaged files.

use std::path::PathBuf;

use crate::support::{Desk, contoso};

fn vector(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors").join(name).to_str().unwrap().to_owned()
}

#[test]
fn real_licences_verify() {
    let desk = Desk::new();
    for (file, kind, documents) in [
        ("xrml/AliceBvt.txt.pfile", "pfile", 1),
        ("xrml/CleanAlice.txt.pfile", "pfile", 1),
        ("xrml/android_template_01.ptxt", "pfile", 1),
        ("xrml/LicenseParserTest_PL_0101right_CBC_xml.bin", "xrml", 2),
        ("xrml/LicenseParserTest_PL_0101right_ECB_xml.bin", "xrml", 2),
        ("xrml/ca-chain-mode1.xml", "xrml", 4),
    ] {
        let value = desk.run_with(&["--format", "json", "inspect", &vector(file)]).exits(0).json("inspect");
        let report = &value["files"][0];
        assert_eq!((report["kind"].as_str(), report["sound"].as_bool()), (Some(kind), Some(true)), "{file}: {report}");
        let found = report["documents"].as_array().unwrap();
        assert_eq!(found.len(), documents, "{file}");
        assert!(found.iter().all(|document| document["digest_ok"] == true && document["signature_ok"] == true), "{file}");
        desk.run_with(&["licence", "verify", &vector(file)]).exits(0);
    }
}

#[test]
fn the_real_chain_ends_at_the_production_root_and_the_first_sample_does_not() {
    let desk = Desk::new();
    let value = desk.run_with(&["--format", "json", "inspect", &vector("xrml/ca-chain-mode1.xml")]).exits(0).json("inspect");
    assert_eq!(value["files"][0]["trust"], "microsoft-production-root");
    assert_eq!(value["files"][0]["documents"][0]["hash"], "SHA1");
    desk.write("licence.xrml", &contoso().cluster.licences[0].text);
    let value = desk.run("--format json inspect licence.xrml").exits(0).json("inspect");
    assert_eq!(value["files"][0]["trust"], "untrusted-root");
    assert_eq!(value["files"][0]["documents"][0]["sealed"][0]["algorithm"], "sealed-key-v2");
    assert_eq!(value["files"][0]["documents"][0]["sealed"][0]["bits"], 2688);
}

#[test]
fn a_changed_licence_is_a_negative_result() {
    let desk = Desk::new();
    let text = contoso().cluster.licences[0].text.replace("author@rms.example", "other@rms.example");
    desk.write("changed.xrml", text);
    desk.run("inspect changed.xrml").exits(1);
    assert_eq!(desk.run("--format json licence verify changed.xrml").exits(1).json("licence-verify")["files"][0]["verified"], false);
}

#[test]
fn a_domain_is_looked_at_without_and_with_its_password() {
    let desk = Desk::new();
    let outside = desk.run("--format json inspect contoso.xml").exits(0).json("inspect");
    assert_eq!(outside["files"][0]["kind"], "tpd");
    let notes = outside["files"][0]["notes"].to_string();
    assert!(notes.contains("not yet against an export from a live server"), "{notes}");
    let inside = desk.run("--format json inspect woodgrove.xml contoso.xml --password-source file:password").exits(0).json("inspect");
    assert_eq!(inside["files"][0]["key_derivation"], "pbkdf1-sha1");
    assert_eq!(inside["files"][0]["key"]["mode"], 1);
    assert_eq!(inside["files"][1]["key"]["key_id"], contoso().key.id().to_string());
    assert_eq!(inside["files"][1]["key"]["modulus_bits"], 2048);
    assert_eq!(inside["files"][1]["slc"]["name"], "contoso");
    assert_eq!(inside["files"][1]["trust"], "untrusted-root");
    assert_eq!(inside["files"][1]["templates"].as_array().unwrap().len(), 2);
}

#[test]
fn other_files_are_named_for_what_they_are() {
    let desk = Desk::new();
    desk.write("key.pem", contoso().key.public().to_pem());
    desk.write("legacy.byok", [1, 2, 3, 0xff]);
    desk.write("office.doc", [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, 0, 0]);
    desk.write("message.rpmsg", [0x76, 0xe8, 0x04, 0x60, 0xc4, 0x11, 0xe3, 0x86, 0, 0]);
    desk.write("letter.txt", "Dear all");
    desk.write("KeyTransferPackage-Contoso", [0, 0, 0, 7, 0x80]);
    desk.write("empty.byok", "");
    desk.write("key.att", r#"{"pubkeydata":"AA","kcmsg":"AA","kcsig":"AA","modstatemsg":"AA"}"#);
    desk.write("nfkminfo.txt", "Keys with module protection:\nkey_pkcs11_ua114f29785ea013fd5eca7e6cd7614c796bc24a06 `a'\n");
    for (file, kind, code) in [
        ("key.pem", "pem", 0),
        ("nfkminfo.txt", "nfkminfo", 0),
        ("legacy.byok", "byok-legacy-nshield", 3),
        ("KeyTransferPackage-Contoso", "byok-legacy-nshield", 3),
        ("empty.byok", "unknown", 3),
        ("key.att", "nfkminfo", 3),
        ("office.doc", "office-irm", 3),
        ("message.rpmsg", "rpmsg", 3),
        ("letter.txt", "unknown", 3),
    ] {
        let value = desk.run(&format!("--format json inspect {file}")).exits(code).json("inspect");
        assert_eq!(value["files"][0]["kind"], kind);
    }
}

#[test]
fn outputs_of_nshield_tools_are_shown_statement_by_statement() {
    let desk = Desk::new();
    for (file, entries, kind) in [
        ("nshield/nfkminfo-l.txt", 6, "module"),
        ("nshield/nfkminfo-k.txt", 4, "unknown"),
        ("nshield/nfkminfo-k-module.txt", 1, "module"),
        ("nshield/nfkminfo-k-cardset.txt", 1, "operator card set (7c99e43e627c3a62933bc1c16f559db862978952)"),
        ("nshield/nfkminfo-k-softcard.txt", 1, "softcard (96738a35471d8480f8d0aa1728d9eb8f1c6a983f)"),
        ("nshield/nfkmattest-cardset.json", 1, "operator card set"),
    ] {
        let ran = desk.run_with(&["--format", "json", "inspect", &vector(file)]).exits(0);
        let report = ran.json("inspect")["files"][0].clone();
        assert_eq!((report["kind"].as_str(), report["entries"].as_u64()), (Some("nfkminfo"), Some(entries)), "{file}");
        let keys = report["keys"].as_array().unwrap();
        assert_eq!((keys.len() as u64, keys[0]["protection"].as_str()), (entries, Some(kind)), "{file}");
        assert!(report["notes"].to_string().contains("let a witness see"), "{file}");
    }
    let attested = desk.run_with(&["--format", "json", "inspect", &vector("nshield/nfkmattest-module.json")]).exits(0).json("inspect");
    let pem = desk.run_with(&["--format", "json", "inspect", &vector("tpd/key.pem")]).exits(0).json("inspect");
    assert_eq!(attested["files"][0]["keys"][0]["key_id"], pem["files"][0]["key"]["key_id"]);
    let text = desk.run_with(&["inspect", &vector("nshield/nfkminfo-l.txt")]).exits(0).stdout();
    assert!(text.contains("contosobyok") && text.contains("module"), "{text}");
}

#[test]
fn office_documents_and_mail_are_looked_into() {
    let desk = Desk::new();
    let licence = &contoso().cluster.licences[0];
    desk.write("plan.docx", &licence.document);
    desk.write("message.rpmsg", &licence.mail);
    for (file, kind, layout) in [("plan.docx", "office-irm", "open-xml"), ("message.rpmsg", "rpmsg", "binary")] {
        let value = desk.run(&format!("--format json inspect {file}")).exits(0).json("inspect");
        let report = &value["files"][0];
        assert_eq!((&report["kind"], &report["sound"], &report["layout"]), (&kind.into(), &true.into(), &layout.into()));
        assert_eq!((&report["content"]["bytes"], &report["content"]["encrypted_bytes"]), (&4.into(), &16.into()));
        assert_eq!(report["documents"].as_array().unwrap().len(), 3);
        assert_eq!(report["documents"][0]["sealed"][0]["algorithm"], "sealed-key-v2");
    }
    // Cut anywhere, it is malformed and named for what it is; never a panic.
    for (file, bytes, kind) in [("cut.docx", &licence.document, "office-irm"), ("cut.rpmsg", &licence.mail, "rpmsg")] {
        for length in [9, 100, 600, bytes.len() / 2, bytes.len() - bytes.len() / 8] {
            desk.write(file, &bytes[..length]);
            let ran = desk.run(&format!("--format json inspect {file}"));
            let value = ran.json("inspect");
            assert_eq!(value["files"][0]["kind"], kind, "{length}");
            assert!([0, 1, 3].contains(&ran.0.status.code().unwrap()), "{length}: {}", ran.stderr());
        }
    }
}
