//! Runs of a plan killed with SIGKILL and resumed while they keep a transcript. `killed_plans.rs` has everything else about them.

use std::fs;

use keykit::ceremony::transcript::{Happening, Transcript};
use keykit::migration::apply::parse_journal;

use crate::ceremony::unguarded;
use crate::support::Desk;
use crate::traced::{can_trace, killed_at};

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
