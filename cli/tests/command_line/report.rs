//! `keykit report`: what it says of runs that went well, that were interrupted, and that lost something; and how it looks.

use std::fs;

use serde_json::Value;

use crate::ceremony::{apply_through, approve, small, two_forests};
use crate::killed::{can_trace, killed_at};
use crate::support::{Desk, contoso, fabrikam};
use crate::tokens::on_tokens;

const REPORT: &str = "--format json report plan.json";

/// A share of the organisation's files.
fn share(desk: &Desk, files: &[&str]) {
    fs::create_dir_all(desk.path("share/projects")).unwrap();
    for file in files {
        fs::copy(desk.path(file), desk.path(&format!("share/projects/{file}"))).unwrap();
    }
    desk.write("share/notes.txt", "nothing");
}

fn prove_access(desk: &Desk, more: &str) {
    let ran = desk.run(&format!("--format json prove-access --tenant tenant share{more}"));
    desk.write("access.json", ran.stdout());
}

#[test]
fn showcase() {
    on_tokens("report::showcase", |bench| {
        let desk = &bench.desk;
        let people = two_forests(bench);
        for person in &people {
            approve(desk, person).exits(0);
        }
        let approvals: Vec<String> = people.iter().flat_map(|person| ["--approval".to_owned(), format!("{person}.approval")]).collect();
        let mut arguments = vec!["apply", "plan.json"];
        arguments.extend(approvals.iter().map(String::as_str));
        if can_trace("report::showcase") {
            assert!(killed_at(desk, "fsync", 30, &arguments));
        }
        apply_through(desk, &people.iter().map(String::as_str).collect::<Vec<_>>());
        share(desk, &["accelerator.pfile", "tailspin.pfile"]);
        prove_access(desk, " --pin-source file:pin");
        let ran = desk.run(&format!("--format json report plan.json --tenant tenant --access access.json -o report.html"));
        println!("{} {}", ran.stdout(), ran.stderr());
        fs::create_dir_all("/tmp/report/out").unwrap();
        fs::copy(desk.path("report.html"), "/tmp/report/out/two.html").unwrap();
        fs::write("/tmp/report/out/two.json", ran.stdout()).unwrap();
    });
}
