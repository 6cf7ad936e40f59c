//! `keykit prove-access`.

use std::fs;

use crate::support::{Desk, contoso, fabrikam, woodgrove};

const PROVE: &str = "--format json prove-access --tenant tenant";

/// A tenant with two of three keys, and a share.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.run("migrate software-to-software --password-source file:password --tenant tenant contoso.xml woodgrove.xml").exits(0);
    fs::create_dir_all(desk.path("share/deep/deeper")).unwrap();
    for name in ["contoso", "woodgrove"] {
        fs::copy(desk.path(&format!("{name}.pfile")), desk.path(&format!("share/deep/{name}.pfile"))).unwrap();
    }
    desk.write("share/deep/deeper/licence.xml", &contoso().cluster.licences[1].text);
    desk.write("share/notes.txt", "nothing");
    desk
}

#[test]
fn a_share_whose_licences_all_open_is_proven() {
    let desk = desk();
    let proof = desk.run(&format!("{PROVE} share")).exits(0).json("prove-access");
    assert_eq!((&proof["proven"], &proof["files"], &proof["opens"], &proof["not_protected"]), (&true.into(), &4.into(), &3.into(), &1.into()));
    let opens = |id: String| proof["keys"].as_array().unwrap().iter().find(|key| key["key_id"] == id).unwrap()["opens"].clone();
    assert_eq!((opens(contoso().key.id().to_string()), opens(woodgrove().key.id().to_string())), (2.into(), 1.into()));
    // Nothing was written, and the table says it in words.
    let before = desk.snapshot();
    let said = desk.run("prove-access --tenant tenant share").exits(0);
    assert!(said.stdout().contains("every licence opens"), "{}", said.stdout());
    assert_eq!(desk.snapshot(), before);
}

#[test]
fn office_documents_and_mail_are_proven_too() {
    let desk = desk();
    let licences = &contoso().cluster.licences;
    desk.write("share/plan.docx", &licences[0].document);
    desk.write("share/deep/message.rpmsg", &licences[1].mail);
    let proof = desk.run(&format!("{PROVE} share")).exits(0).json("prove-access");
    assert_eq!((&proof["proven"], &proof["files"], &proof["opens"]), (&true.into(), &6.into(), &5.into()));
    desk.write("share/lost.docx", &fabrikam().cluster.licences[0].document);
    let proof = desk.run(&format!("{PROVE} share")).exits(1).json("prove-access");
    assert_eq!((&proof["bad"][0]["id"], &proof["bad"][0]["problems"][0]["verdict"]), (&"lost.docx".into(), &"key-missing".into()));
}

#[test]
fn a_missing_key_is_named_with_its_files() {
    let desk = desk();
    desk.write("share/=cmd.pfile", &fabrikam().cluster.licences[0].pfile);
    let ran = desk.run(&format!("{PROVE} share -o ledger.jsonl --csv lost.csv")).exits(1).says("rules 43 and 44");
    let proof = ran.json("prove-access");
    assert_eq!((&proof["proven"], &proof["lost"]), (&false.into(), &1.into()));
    let bad = &proof["bad"][0];
    assert_eq!((&bad["id"], &bad["problems"][0]["verdict"]), (&"=cmd.pfile".into(), &"key-missing".into()));
    assert_eq!(bad["problems"][0]["key_id"], fabrikam().key.id().to_string());
    let missing = proof["keys"].as_array().unwrap().iter().find(|key| key["status"].is_null()).unwrap().clone();
    assert_eq!((&missing["key_id"], &missing["fails"]), (&fabrikam().key.id().to_string().into(), &1.into()));
    let csv = String::from_utf8(desk.read("lost.csv")).unwrap();
    assert!(csv.starts_with("path,inside,verdict,key_id,problem\r\n\"'=cmd.pfile\",\"\",\"key-missing\","), "{csv}");
    desk.run(&format!("{PROVE} share -o other.jsonl --csv lost.csv")).exits(9);
    // With the key the same ledger goes on: only the lost file is looked at again.
    desk.run("migrate software-to-software --password-source file:password --tenant tenant fabrikam.xml").exits(0);
    let proof = desk.run(&format!("{PROVE} share -o ledger.jsonl")).exits(0).says("4 were done before").json("prove-access");
    assert_eq!((&proof["proven"], &proof["opens"], &proof["files"]), (&true.into(), &4.into(), &5.into()));
    // Another share has another ledger.
    desk.run(&format!("{PROVE} share/deep -o ledger.jsonl")).exits(9);
}

#[test]
fn a_sample_says_what_it_proves_and_what_not() {
    let desk = desk();
    for number in 0..40 {
        fs::copy(desk.path("contoso.pfile"), desk.path(&format!("share/{number}.pfile"))).unwrap();
    }
    let ran = desk.run(&format!("{PROVE} share --sample 10 --seed auditor")).exits(0).says("A sample can't show that none is");
    let proof = ran.json("prove-access");
    assert_eq!((&proof["files"], &proof["sample"]["population"], &proof["sample"]["sampled"]), (&10.into(), &44.into(), &10.into()));
    assert!((proof["sample"]["share"].as_f64().unwrap() - 0.2589).abs() < 0.001, "{}", proof["sample"]);
    desk.run("prove-access --tenant tenant share --sample 0").exits(2);
    desk.run("prove-access --tenant tenant share --seed x").exits(2);
}

#[test]
fn bad_input_is_named() {
    let desk = desk();
    desk.run("prove-access --tenant tenant nowhere").exits(2);
    desk.run("prove-access --tenant nowhere share").exits(2);
    desk.write("ledger.jsonl", "something else\n");
    desk.run("prove-access --tenant tenant share -o ledger.jsonl").exits(3);
    assert_eq!(desk.read("ledger.jsonl"), b"something else\n");
}
