//! `keykit report`: what it says of runs that went well, that were interrupted, and that lost something; and how it looks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use keykit_tests::browser::{Scheme, browser, draw, measure};
use keykit_tests::child::skip;
use keykit_tests::documentation::{is_written_anew, project};
use serde_json::Value;

use crate::ceremony::{apply_through, approve, small, two_forests};
use crate::support::{Desk, PASSWORD, contoso, fabrikam};
use crate::tokens::on_tokens;
use crate::traced::{can_trace, killed_at};

/// A share of the organisation's files.
fn share(desk: &Desk, files: &[&str]) {
    fs::create_dir_all(desk.path("share/projects")).unwrap();
    for file in files {
        fs::copy(desk.path(file), desk.path(&format!("share/projects/{file}"))).unwrap();
    }
    desk.write("share/notes.txt", "nothing");
}

/// Goes through the share, and keeps the proof.
fn prove_access(desk: &Desk, more: &str) {
    let ran = desk.run(&format!("--format json prove-access --tenant tenant share{more}"));
    desk.write("access.json", ran.stdout());
}

/// A small migration that is done, with its share gone through.
fn done() -> Desk {
    let (desk, people) = small();
    approve(&desk, &people[0]).exits(0);
    desk.run(&format!("apply plan.json --approval {}.approval", people[0])).exits(0);
    share(&desk, &["contoso.pfile"]);
    prove_access(&desk, "");
    desk
}

fn statuses(report: &Value) -> Vec<&str> {
    report["statements"].as_array().unwrap().iter().map(|statement| statement["status"].as_str().unwrap()).collect()
}

#[test]
fn a_migration_that_is_done_and_proven_holds() {
    let desk = done();
    let report = desk
        .run("--format json report plan.json --tenant tenant --access access.json -o report.html")
        .exits(0)
        .says("[1/2]")
        .says("[2/2]")
        .json("report");
    assert_eq!((statuses(&report), &report["status"]), (vec!["holds"; 3], &"holds".into()));
    assert_eq!(report["keys"][0]["key_id"], contoso().key.id().to_string());
    assert_eq!((&report["approvals"]["met"], &report["timeline"]["state"]), (&true.into(), &"finished".into()));
    let page = String::from_utf8(desk.read("report.html")).unwrap();
    for text in
        ["Every old document still opens", &contoso().key.id().short(), &contoso().key.id().words(), "A. Custodian", "contoso.onmicrosoft.com"]
    {
        assert!(page.contains(text), "{text}");
    }
    // Nothing secret, on the page and in the data: neither passwords nor the key.
    let secrets = contoso().key.with_components(|parts| Ok([parts.p.to_vec(), parts.q.to_vec(), parts.d.to_vec()])).unwrap();
    let data = serde_json::to_string(&report).unwrap();
    for text in [&page, &data] {
        for word in [PASSWORD, "Pa$$w0rd", "key password", "file:password", "PRIVATE KEY"] {
            assert!(!text.contains(word), "{word}");
        }
        for secret in &secrets {
            let hex: String = secret.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            assert!(!text.to_lowercase().contains(&hex));
        }
    }
    // A second report does not take the place of the first; without a name it goes to standard output.
    desk.run("report plan.json --access access.json -o report.html").exits(9);
    assert!(desk.run("report plan.json --access access.json").exits(0).stdout().starts_with("<!DOCTYPE html>"));
    assert!(desk.run("report plan.json --access access.json -o second.html").exits(0).stdout().starts_with("Every old document"));
    // It only looks.
    let before: Vec<_> = desk.snapshot();
    desk.run("report plan.json --access access.json").exits(0);
    assert_eq!(desk.snapshot(), before);
}

#[test]
fn what_is_open_and_what_fails_is_said_with_exit_code_1() {
    let (desk, people) = small();
    let report = desk.run("--format json report plan.json").exits(1).json("report");
    assert_eq!((&report["status"], &report["timeline"]["state"]), (&"fails".into(), &"not-begun".into()), "there is no tenant");
    approve(&desk, &people[0]).exits(0);
    desk.run(&format!("apply plan.json --approval {}.approval", people[0])).exits(0);
    // The files of the organisation were not looked at.
    let report = desk.run("--format json report plan.json").exits(1).json("report");
    assert_eq!(statuses(&report), ["open", "holds", "holds"]);
    // One of them is sealed to a key that was left behind.
    share(&desk, &["contoso.pfile", "fabrikam.pfile"]);
    prove_access(&desk, "");
    let report = desk.run("--format json report plan.json --access access.json -o lost.html").exits(1).json("report");
    assert_eq!(statuses(&report), ["fails", "holds", "holds"]);
    let page = String::from_utf8(desk.read("lost.html")).unwrap();
    assert!(page.contains("The promise does not hold") && page.contains("fabrikam.pfile") && page.contains(&fabrikam().key.id().short()));
    // Nobody looked at stores; the journal was changed; another tenant's proof; another folder; no proof at all.
    let report = desk.run("--format json report plan.json --access access.json --without-proofs").exits(1).json("report");
    assert_eq!((&report["verified"], &report["statements"][1]["status"]), (&false.into(), &"open".into()));
    let journal = String::from_utf8(desk.read("tenant/migration/journal.jsonl")).unwrap();
    desk.write("tenant/migration/journal.jsonl", journal.replacen("\"number\":3", "\"number\":4", 1));
    let report = desk.run("--format json report plan.json").exits(1).json("report");
    assert_eq!(statuses(&report)[2], "fails");
    assert!(report["timeline"]["problem"].as_str().unwrap().contains("line 3"));
    desk.write("tenant/migration/journal.jsonl", journal);
    let access = String::from_utf8(desk.read("access.json")).unwrap();
    let tenant = serde_json::from_str::<Value>(&access).unwrap()["tenant_id"].as_str().unwrap().to_owned();
    desk.write("other.json", access.replace(&tenant, &"0".repeat(32)));
    desk.run("report plan.json --access other.json").exits(9).says("about the tenant 0000");
    desk.run("report plan.json --access plan.json").exits(3).says("its schema is keykit/plan/1");
    desk.run("report plan.json --tenant share").exits(2).says("the plan is about the tenant");
}

/// The pictures that the documentation shows.
const SHOWN: [&str; 4] = ["report-1440-light.png", "report-800-dark.png", "report-360-light.png", "script-800-light.png"];

/// Where pictures for the documentation go, if they are to be written anew.
fn documentation() -> Option<PathBuf> {
    is_written_anew().then(|| project().join("docs/images"))
}

/// Draws a page at some sizes, light and dark: something is drawn, on the ground that was asked for, without a complaint.
///
/// The whole page is drawn, from top to bottom, and nothing of it runs over at the sides. The documentation shows its beginning.
fn look_at(page: &Path, name: &str, sizes: &[(u32, u32)], schemes: &[Scheme], test: &str) {
    let Some(browser) = browser() else {
        return skip(test, "chromium is not installed");
    };
    let mut grounds = BTreeSet::new();
    for &(width, height) in sizes {
        let (takes, whole) = measure(&browser, page, width).unwrap();
        assert!(takes <= width, "{name} takes {takes} pixels of {width}");
        assert!(whole > height, "{name} has {whole} pixels at a width of {width}");
        for &scheme in schemes {
            let all = draw(&browser, page, (width, whole), scheme).unwrap();
            assert_eq!((all.width, all.height), (width as usize, whole as usize));
            assert!(all.colours.len() > 50 && all.drawn() > 0.05, "{} colours, {:.3} drawn", all.colours.len(), all.drawn());
            if let Some(folder) = std::env::var_os("KEYKIT_PICTURES") {
                fs::write(Path::new(&folder).join(format!("{name}-{width}-{scheme:?}-whole.png")), &all.bytes).unwrap();
            }
            let picture = draw(&browser, page, (width, height), scheme).unwrap();
            assert_eq!((picture.width, picture.height), (width as usize, height as usize));
            assert!(picture.colours.len() > 50 && picture.drawn() > 0.05, "{} colours, {:.3} drawn", picture.colours.len(), picture.drawn());
            grounds.insert((scheme == Scheme::Dark, picture.ground()));
            let file = format!("{name}-{width}-{}.png", if scheme == Scheme::Dark { "dark" } else { "light" });
            if let Some(folder) = documentation().filter(|_| SHOWN.contains(&file.as_str())) {
                assert!(picture.bytes.len() < 200_000, "{file}: {}", picture.bytes.len());
                fs::write(folder.join(file), &picture.bytes).unwrap();
            }
        }
    }
    // Light is light and dark is dark.
    for (is_dark, ground) in grounds {
        let brightness: u32 = ground.iter().copied().map(u32::from).sum();
        assert_eq!(brightness < 384, is_dark, "{ground:?}");
    }
}

#[test]
fn an_interrupted_run_of_two_forests_is_shown_as_it_was_and_looks_well() {
    const NAME: &str = "report::an_interrupted_run_of_two_forests_is_shown_as_it_was_and_looks_well";
    on_tokens(NAME, |bench| {
        let desk = &bench.desk;
        let people = two_forests(bench);
        for person in &people {
            approve(desk, person).exits(0);
        }
        let approvals: Vec<String> = people.iter().flat_map(|person| ["--approval".to_owned(), format!("{person}.approval")]).collect();
        let mut arguments = vec!["apply", "plan.json", "--transcript", "plan.transcript.jsonl"];
        // What people do first is done, so that the program is killed in work of its own.
        arguments.extend(["--confirm", "manual/module", "--confirm", "manual/prepare-exchange"]);
        arguments.extend(approvals.iter().map(String::as_str));
        let interrupted = can_trace(NAME) && killed_at(desk, "fsync", 30, &arguments);
        apply_through(desk, &people.iter().map(String::as_str).collect::<Vec<_>>());
        let note = ["transcript", "note", "plan.transcript.jsonl", "the clock of the room is two minutes late", "--by", "C. Auditor"];
        desk.run_with(&note).exits(0);
        share(desk, &["accelerator.pfile", "tailspin.pfile"]);
        prove_access(desk, " --pin-source file:pin");
        let report = desk.run("--format json report plan.json --access access.json -o report.html").exits(0).json("report");
        assert_eq!(statuses(&report), ["holds"; 3]);
        assert_eq!(report["timeline"]["interruptions"], u64::from(interrupted));
        let paths: Vec<&str> = report["keys"].as_array().unwrap().iter().map(|key| key["path"].as_str().unwrap_or("none")).collect();
        assert_eq!(paths, ["hsm-to-hsm", "software-to-hsm", "none"]);
        assert_eq!(report["keys"][0]["before"]["protection"], "by the module alone");
        // The transcript beside the plan is taken up: machines, modules, what the room noted.
        let transcript = &report["transcript"];
        assert_eq!((&transcript["contradictions"], &transcript["missing_lines"]), (&serde_json::json!([]), &0.into()));
        assert_eq!(transcript["crashes"], u64::from(interrupted));
        assert_eq!(transcript["deviations"][0]["note"], "the clock of the room is two minutes late");
        let page = String::from_utf8(desk.read("report.html")).unwrap();
        assert!(!page.contains("pin-source") && !page.contains("pin-value"));
        look_at(&desk.path("report.html"), "report", &[(360, 1500), (800, 1100), (1440, 1000)], &[Scheme::Light, Scheme::Dark], NAME);
        desk.run("--format html script plan.json -o script.html").exits(0);
        // The script is for paper, which is white.
        look_at(&desk.path("script.html"), "script", &[(360, 1500), (800, 1100)], &[Scheme::Light], NAME);
    });
}
