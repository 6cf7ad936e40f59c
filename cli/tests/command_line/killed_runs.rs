//! Runs of a plan killed with SIGKILL before every effect on the disk, and resumed: the very program, the very journal.

use std::fs;

use keykit::ceremony::transcript::{Happening, Transcript};
use keykit::migration::apply::{Event, parse_journal, segment_of};

use crate::ceremony::unguarded;
use crate::killed::{EFFECTS, can_trace, killed_at};
use crate::support::{Desk, contoso};

/// Bytes of the secret key as they may stand in a file: as they are, and in hex.
fn secrets() -> Vec<Vec<u8>> {
    let key = &contoso().key;
    let primes = key.with_components(|parts| Ok([parts.p.to_vec(), parts.q.to_vec(), parts.d.to_vec()])).unwrap();
    let hex = |bytes: &Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes();
    primes.iter().map(hex).chain(primes.clone()).collect()
}

/// Six things hold after every run.
fn holds(desk: &Desk, moment: &str, interrupted: bool) {
    let store = desk.run("--format json store keys --store file:tenant/keys").exits(0).json("store-keys");
    assert_eq!(store["keys"].as_array().unwrap().len(), 1, "(a) {moment}");
    // (b) and what the keyring says: derived again from domain, store and keyring.
    desk.run("--format json verify plan.json").exits(0);
    let secrets = secrets();
    for (path, content) in desk.snapshot() {
        assert!(!secrets.iter().any(|secret| content.windows(32).any(|window| window == &secret[..32])), "(c) {moment}: {}", path.display());
        assert!(!path.to_string_lossy().contains(".keykit-"), "{moment}: {} is left over", path.display());
    }
    let shown = desk.run("--format json tenant show --tenant tenant").exits(0).json("tenant");
    assert_eq!((shown["keys"].as_array().unwrap().len(), &shown["keys"][0]["status"]), (1, &"active".into()), "(d) {moment}");
    let journal = desk.read("tenant/migration/journal.jsonl");
    let (records, whole) = parse_journal(&journal).unwrap();
    assert_eq!(whole, journal.len(), "(e) {moment}");
    assert!(segment_of(&records).unwrap().unwrap().finished, "(e) {moment}");
    if interrupted {
        assert!(records.iter().any(|record| matches!(record.what, Event::Resumed { .. })), "(e) {moment}");
    }
    assert_eq!(desk.run("--format json apply plan.json").exits(0).json("apply")["changed"], false, "(f) {moment}");
}

#[test]
fn an_applied_plan_survives_a_kill_before_every_effect() {
    if !can_trace("killed_runs::an_applied_plan_survives_a_kill_before_every_effect") {
        return;
    }
    let desk = Desk::new();
    unguarded(&desk);
    let (mut met, mut begun) = (0, 0);
    for call in EFFECTS {
        for moment in 1.. {
            let killed = killed_at(&desk, call, moment, &["apply", "plan.json"]);
            let name = format!("{call} {moment}");
            if killed {
                met += 1;
                let journal = fs::read(desk.path("tenant/migration/journal.jsonl")).unwrap_or_default();
                let is_begun = !parse_journal(&journal).unwrap().0.is_empty();
                let is_finished = segment_of(&parse_journal(&journal).unwrap().0).unwrap().is_some_and(|segment| segment.finished);
                begun += usize::from(is_begun);
                desk.run(if is_begun { "resume plan.json" } else { "apply plan.json" }).exits(0);
                holds(&desk, &name, is_begun && !is_finished);
            } else {
                holds(&desk, &name, false);
            }
            fs::remove_dir_all(desk.path("tenant")).unwrap();
            if !killed {
                break;
            }
        }
    }
    println!("apply: killed at {met} moments, {begun} of them in a run that was resumed");
    assert!(begun > 30, "only {begun} of {met}");
}

#[test]
fn a_transcript_survives_kills_and_holds_every_line_of_the_journal() {
    if !can_trace("killed_runs::a_transcript_survives_kills_and_holds_every_line_of_the_journal") {
        return;
    }
    let desk = Desk::new();
    unguarded(&desk);
    let path = desk.path("room.jsonl");
    let (mut crashes, mut late) = (0, 0);
    // Every third sync and every seventeenth write: of the journal, of the transcript, and of what is between them.
    for (call, step) in [("fsync", 3), ("write", 17)] {
        for moment in (1..).step_by(step) {
            let name = format!("{call} {moment}");
            let killed = killed_at(&desk, call, moment, &["apply", "plan.json", "--transcript", "room.jsonl"]);
            let before = fs::read(&path).unwrap_or_default();
            let is_open = Transcript::parse(&before).unwrap().open_session().is_some();
            if killed {
                let journal = fs::read(desk.path("tenant/migration/journal.jsonl")).unwrap_or_default();
                let again = if parse_journal(&journal).unwrap().0.is_empty() { "apply" } else { "resume" };
                desk.run(&format!("{again} plan.json --transcript room.jsonl")).exits(0);
            }
            let after = fs::read(&path).unwrap();
            assert!(after.starts_with(&before), "{name}: something is lost");
            let transcript = Transcript::parse(&after).unwrap();
            assert_eq!((transcript.torn_bytes(), transcript.open_session()), (0, None), "{name}");
            let found = transcript.entries().filter(|entry| matches!(entry.what, Happening::CrashFound { .. })).count();
            assert_eq!(found, usize::from(is_open), "{name}");
            crashes += found;
            let (records, _) = parse_journal(&desk.read("tenant/migration/journal.jsonl")).unwrap();
            for record in &records {
                let lines = transcript.entries().filter_map(|entry| match &entry.what {
                    Happening::Run { hash, late, event, .. } if *hash == record.hash => Some((*late, event)),
                    _ => None,
                });
                let lines: Vec<_> = lines.collect();
                assert_eq!(lines.len(), 1, "{name}: line {} of the journal", record.number);
                assert_eq!(lines[0].1, &record.what, "{name}");
                late += usize::from(lines[0].0);
            }
            fs::remove_dir_all(desk.path("tenant")).unwrap();
            fs::remove_file(&path).unwrap();
            if !killed {
                break;
            }
        }
    }
    println!("transcript: {crashes} crashes found, {late} lines of the journal were late");
    assert!(crashes > 10 && late > 0, "{crashes} crashes, {late} late");
}
