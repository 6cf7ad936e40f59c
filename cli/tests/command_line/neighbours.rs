//! Two processes that bring one key into two tenants at the same time: one of them does (rule 4).

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use keykit::tenant::NeighbourLock;

use crate::ceremony::{SMALL, strip_approvals};
use crate::support::{Desk, contoso};

/// Longer than a process needs to come to the lock, or a run to end.
const LONG: Duration = Duration::from_secs(240);
/// How often both processes race without being held.
const RACES: usize = 6;

const TENANTS: [&str; 2] = ["first", "second"];

fn desk_with_two_plans() -> Desk {
    let desk = Desk::new();
    for tenant in TENANTS {
        let migration = strip_approvals(SMALL).replace("folder = \"tenant\"", &format!("folder = \"{tenant}\""));
        desk.write(&format!("{tenant}.toml"), migration);
        desk.run(&format!("plan {tenant}.toml -o {tenant}.json")).exits(0);
    }
    desk
}

fn begin(desk: &Desk, arguments: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keykit"));
    command.args(arguments.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    desk.at_home(&mut command).spawn().unwrap()
}

/// Exit codes in order, and what was said.
fn ends(children: [Child; 2]) -> (Vec<i32>, String) {
    let outputs = children.map(|child| child.wait_with_output().unwrap());
    let mut codes: Vec<i32> = outputs.iter().map(|output| output.status.code().unwrap()).collect();
    codes.sort_unstable();
    (codes, outputs.iter().map(|output| String::from_utf8_lossy(&output.stderr).into_owned()).collect())
}

/// The tenants whose keyrings have the key.
fn holders(desk: &Desk) -> Vec<&'static str> {
    let id = contoso().key.id().to_string();
    let has = |tenant: &str| fs::read_to_string(desk.path(&format!("{tenant}/tenant.json"))).is_ok_and(|text| text.contains(&id));
    TENANTS.into_iter().filter(|tenant| has(tenant)).collect()
}

fn one_has_it(desk: &Desk, (codes, said): (Vec<i32>, String)) {
    assert_eq!(codes, [0, 4], "{said}");
    assert!(said.contains("rule 4"), "{said}");
    assert_eq!(holders(desk).len(), 1, "{said}");
}

#[test]
fn nobody_enters_a_key_while_another_process_may() {
    let desk = desk_with_two_plans();
    let held = NeighbourLock::take(&desk.path("third"), &[]).unwrap();
    let children = TENANTS.map(|tenant| begin(&desk, &format!("apply {tenant}.json")));
    // Both have come as far as the key, and have seen that no other tenant has it.
    let intends =
        |tenant: &str| fs::read_to_string(desk.path(&format!("{tenant}/migration/journal.jsonl"))).is_ok_and(|text| text.contains("import-key/"));
    let begun = Instant::now();
    while !TENANTS.iter().all(|tenant| intends(tenant)) {
        assert!(begun.elapsed() < LONG, "the runs do not come to the key");
        thread::sleep(Duration::from_millis(50));
    }
    thread::sleep(Duration::from_secs(3));
    assert!(holders(&desk).is_empty(), "a key was entered while another process had the sole right");
    drop(held);
    one_has_it(&desk, ends(children));
}

#[test]
fn of_two_plans_at_once_one_brings_the_key() {
    for _ in 0..RACES {
        let desk = desk_with_two_plans();
        let outcome = ends(TENANTS.map(|tenant| begin(&desk, &format!("apply {tenant}.json"))));
        one_has_it(&desk, outcome);
        let names: Vec<_> = fs::read_dir(desk.path("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert!(names.iter().all(|name| !name.starts_with(".keykit-")), "{names:?}");
    }
}

#[test]
fn of_two_migrations_at_once_one_brings_the_key() {
    let desk = Desk::new();
    let outcome = ends(
        TENANTS.map(|tenant| begin(&desk, &format!("migrate software-to-software contoso.xml --tenant {tenant} --password-source file:password"))),
    );
    one_has_it(&desk, outcome);
}
