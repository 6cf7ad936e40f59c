//! `keykit prove-access`.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::killed::{can_trace, killed_at};
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
    assert!(csv.starts_with("path,inside,verdict,key_id,licensor,licensing_url,problem\r\n\"'=cmd.pfile\",\"\",\"key-missing\","), "{csv}");
    // Whose key it is, so that people know which cluster to export.
    assert_eq!((&bad["problems"][0]["licensor"], &missing["licensor"]), (&"fabrikam".into(), &"fabrikam".into()));
    let url = missing["licensing_url"].as_str().unwrap();
    assert!(url.starts_with("https://") && csv.contains(url) && ran.stderr().contains(url), "{url}");
    // That there is a file of this name already is said before anything is looked at.
    let refused = desk.run(&format!("{PROVE} share -o other.jsonl --csv lost.csv")).exits(9);
    assert!(!desk.path("other.jsonl").exists() && !refused.stderr().contains("5 items"), "{}", refused.stderr());
    desk.run(&format!("{PROVE} share --csv nowhere/lost.csv")).exits(8);
    // With the key the proof is made anew: what was true then may not be true now.
    desk.run("migrate software-to-software --password-source file:password --tenant tenant fabrikam.xml").exits(0);
    let ran = desk.run(&format!("{PROVE} share -o ledger.jsonl")).exits(0);
    let proof = ran.json("prove-access");
    assert!(!ran.stderr().contains("done before"), "{}", ran.stderr());
    assert_eq!((&proof["proven"], &proof["opens"], &proof["files"]), (&true.into(), &4.into(), &5.into()));
    // A lost file that is removed is lost no more, nor is one that a sample leaves out.
    desk.write("share/lost.xml", "<XrML version=\"1.2\"><BODY>");
    assert_eq!(desk.run(&format!("{PROVE} share -o ledger.jsonl")).exits(1).json("prove-access")["lost"], 1);
    fs::remove_file(desk.path("share/lost.xml")).unwrap();
    assert_eq!(desk.run(&format!("{PROVE} share -o ledger.jsonl")).exits(0).json("prove-access")["lost"], 0);
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
fn nothing_found_proves_nothing() {
    let desk = desk();
    fs::create_dir(desk.path("unmounted")).unwrap();
    let ran = desk.run(&format!("{PROVE} unmounted")).exits(1).says("is the share mounted");
    let proof = ran.json("prove-access");
    assert_eq!((&proof["proven"], &proof["files"], &proof["empty_folders"][0]), (&false.into(), &0.into(), &"unmounted".into()));
    assert!(desk.run("prove-access --tenant tenant unmounted").exits(1).stdout().contains("NOT PROVEN: no file was found"));
    // Beside one that is there.
    let proof = desk.run(&format!("{PROVE} share unmounted")).exits(1).json("prove-access");
    assert_eq!((&proof["proven"], &proof["opens"]), (&false.into(), &3.into()));
    desk.write("unmounted/notes.txt", "nothing");
    desk.run("prove-access --tenant tenant share unmounted").exits(0);
    assert!(desk.run("prove-access --tenant tenant unmounted").exits(1).stdout().contains("no protected file was found"));
    // The report takes such a proof for what it is.
    desk.write("share/a.7z", b"7z\xbc\xaf\x27\x1c");
    let ran = desk.run(&format!("{PROVE} share")).exits(1).says("not looked into");
    assert_eq!(ran.json("prove-access")["not_looked_into"], 1);
}

#[test]
fn files_that_nobody_can_read_are_accepted_by_name_only() {
    let desk = desk();
    desk.write("share/deep/a.7z", b"7z\xbc\xaf\x27\x1c");
    desk.write("share/lost.pfile", &fabrikam().cluster.licences[0].pfile);
    desk.write("list", "# after talking to the owner\ndeep/a.7z\tlooked into by hand, no protected file\nlost.pfile\tnever mind\n");
    let ran = desk.run(&format!("{PROVE} share --accept list")).exits(1).says("1 of the 2 files of the list of accepted files were not accepted");
    let proof = ran.json("prove-access");
    assert_eq!((&proof["lost"], &proof["accepted"], &proof["proven"]), (&1.into(), &1.into(), &false.into()));
    fs::remove_file(desk.path("share/lost.pfile")).unwrap();
    desk.run("prove-access --tenant tenant share").exits(1).says("--accept");
    let ran = desk.run("prove-access --tenant tenant share --accept list").exits(0);
    assert!(ran.stdout().contains("accepted unread: deep/a.7z: looked into by hand, no protected file"), "{}", ran.stdout());
    let proof = desk.run(&format!("{PROVE} share --accept list")).exits(0).json("prove-access");
    assert_eq!((&proof["proven"], &proof["accepted_files"][0]["id"]), (&true.into(), &"deep/a.7z".into()));
    // One that is not in the list is still warned of.
    desk.write("share/b.7z", b"7z\xbc\xaf\x27\x1c");
    desk.run(&format!("{PROVE} share --accept list")).exits(1).says("not looked into");
    desk.write("list", "deep/a.7z\n");
    desk.run(&format!("{PROVE} share --accept list")).exits(3).says("line 1");
}

#[test]
fn archives_of_unix_are_looked_into() {
    let desk = desk();
    fs::create_dir(desk.path("old")).unwrap();
    fs::copy(desk.path("share/deep/contoso.pfile"), desk.path("old/contoso.pfile")).unwrap();
    let tar = |words: &[&str]| assert!(Command::new("tar").args(words).current_dir(desk.path("")).status().unwrap().success());
    tar(&["-czf", "share/old.tar.gz", "old"]);
    tar(&["-cf", "share/old.tar", "--format=pax", "old"]);
    let proof = desk.run(&format!("{PROVE} share")).exits(0).json("prove-access");
    assert_eq!((&proof["proven"], &proof["files"], &proof["opens"]), (&true.into(), &6.into(), &5.into()));
}

#[test]
fn limits_are_those_of_the_options_that_their_messages_name() {
    let desk = desk();
    let licence = contoso().cluster.licences[0].text.as_bytes();
    let mail = [b"From: a\r\nContent-Type: text/plain\r\n\r\n".as_slice(), licence, &vec![b' '; 3 << 20]].concat();
    desk.write("share/mail.eml", mail);
    desk.run("prove-access --tenant tenant share").exits(0);
    let said = desk.run("prove-access --tenant tenant share --hold-limit 1").exits(1);
    assert!(said.stdout().contains("mail.eml: ") && said.stdout().contains("held at most"), "{}", said.stdout());
    assert!(desk.run("prove-access --tenant tenant share --unpack-limit 1").exits(1).stdout().contains("unpacks to more than"));
    desk.run("prove-access --tenant tenant share --hold-limit 0").exits(2);
}

#[test]
fn a_killed_proof_goes_on_and_says_when_it_began() {
    const NAME: &str = "access::a_killed_proof_goes_on_and_says_when_it_began";
    if !can_trace(NAME) {
        return;
    }
    let desk = desk();
    for number in 0..400 {
        fs::copy(desk.path("contoso.pfile"), desk.path(&format!("share/{number:03}.pfile"))).unwrap();
    }
    let whole = desk.run(&format!("{PROVE} share")).exits(0).json("prove-access");
    let arguments = ["--format", "json", "prove-access", "--tenant", "tenant", "share", "-o", "ledger.jsonl"];
    let mut resumed = 0;
    for moment in 1.. {
        let killed = killed_at(&desk, "fdatasync", moment, &arguments);
        if killed {
            let ran = desk.run_with(&arguments).exits(0);
            let proof = ran.json("prove-access");
            resumed += u32::from(ran.stderr().contains("done before"));
            for member in ["files", "opens", "not_protected", "keys", "proven", "bytes"] {
                assert_eq!(proof[member], whole[member], "{moment}: {member}");
            }
            assert!(proof["begun"].as_str() <= proof["made"].as_str());
        }
        fs::remove_file(desk.path("ledger.jsonl")).unwrap();
        if !killed {
            break;
        }
    }
    assert!(resumed >= 2, "{resumed}");
}

#[test]
fn a_proof_that_is_killed_at_any_time_goes_on() {
    let desk = desk();
    for number in 0..3000 {
        fs::hard_link(desk.path("share/deep/contoso.pfile"), desk.path(&format!("share/{number:04}.pfile"))).unwrap();
    }
    let start = |desk: &Desk| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keykit"));
        command.args("--format json prove-access --tenant tenant share -o ledger.jsonl".split(' '));
        desk.at_home(&mut command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut killed = 0;
    let lines = || fs::read(desk.path("ledger.jsonl")).map_or(0, |bytes| bytes.iter().filter(|&&byte| byte == b'\n').count());
    for _ in 0..4 {
        let before = lines();
        let mut child = start(&desk);
        let began = Instant::now();
        while lines() < before + 100 && child.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().signal() == Some(9));
    }
    let ran = desk.run(&format!("{PROVE} share -o ledger.jsonl")).exits(0);
    let proof = ran.json("prove-access");
    assert_eq!((&proof["files"], &proof["opens"], &proof["proven"]), (&3004.into(), &3003.into(), &true.into()));
    assert!(killed >= 1 && ran.stderr().contains("done before"), "{killed}\n{}", ran.stderr());
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
