//! The journal of runs: torn lines, changed lines, lines that contradict each other.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn started() -> Event {
    Event::Started { plan: "aa".into(), program: "test".into(), approved_by: vec!["Ann (custodian)".into()] }
}

fn intent(step: &str) -> Event {
    Event::Intent { step: step.into(), before: None }
}

fn done(step: &str) -> Event {
    Event::Done { step: step.into(), seen: "there".into(), adopted: false }
}

/// A journal with these events, and its file.
fn written(events: &[Event]) -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = Machine;
    let mut journal = RunJournal::open(&mut machine, folder.path()).unwrap();
    events.iter().for_each(|event| journal.record(event.clone()).unwrap());
    let path = folder.path().join("journal.jsonl");
    let bytes = fs::read(&path).unwrap_or_default();
    (folder, path, bytes)
}

fn sample() -> Vec<Event> {
    vec![started(), intent("a"), done("a"), intent("b"), Event::Failed { step: "b".into(), code: "token".into(), message: "CKR".into() }]
}

#[test]
fn lines_come_back_and_say_where_the_run_stands() {
    let (folder, _, bytes) = written(&sample());
    let mut machine = Machine;
    let journal = RunJournal::open(&mut machine, folder.path()).unwrap();
    assert_eq!(journal.records().iter().map(|record| record.what.clone()).collect::<Vec<_>>(), sample());
    let segment = journal.segment().unwrap().unwrap();
    assert_eq!((segment.plan.as_str(), segment.done.len(), segment.open), ("aa", 1, Some(("b".into(), None))));
    assert_eq!(parse_journal(&bytes).unwrap().1, bytes.len());
    assert_eq!(parse_journal(b"").unwrap(), (Vec::new(), 0));
    assert_eq!(segment_of(&[]).unwrap(), None);
}

#[test]
fn the_journal_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path, _) = written(&sample());
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_torn_last_line_is_cut_off_wherever_it_was_torn() {
    let (folder, path, bytes) = written(&sample());
    let last = bytes[..bytes.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    for cut in last + 1..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let mut machine = Machine;
        let mut journal = RunJournal::open(&mut machine, folder.path()).unwrap();
        assert_eq!((journal.records().len(), journal.cut_bytes()), (4, (cut - last) as u64), "cut at {cut}");
        journal.record(Event::Resumed { open: Some("b".into()), cut_bytes: journal.cut_bytes() }).unwrap();
        assert_eq!(parse_journal(&fs::read(&path).unwrap()).unwrap().0.len(), 5);
    }
    // Holes and remains of other files, as a disk leaves them, with a line feed among them; the remains of text files are text.
    let remains = [&b"\0\0\0\0\n"[..], b"{\"event\"\0\0\0}\n", b"\xff\xfe\n\xfd\n", b"\0\n\0", b"a letter\nof two lines\n", b"{}\n", b"\n\n"];
    let middle = |text: &str| [&bytes[last..last + 90], text.as_bytes(), &bytes[last + 90 + text.len()..]].concat();
    let torn = [middle("dear all,\nhow are you\n"), middle("{\"keys\":{}}\n"), middle("without any end of a line")];
    for damage in remains.into_iter().chain(torn.iter().map(Vec::as_slice)) {
        fs::write(&path, [&bytes[..last], damage].concat()).unwrap();
        let mut machine = Machine;
        assert_eq!(RunJournal::open(&mut machine, folder.path()).unwrap().records().len(), 4);
        assert_eq!(fs::read(&path).unwrap(), bytes[..last]);
    }
}

#[test]
fn what_somebody_changed_is_refused_with_its_line() {
    let (_folder, _, bytes) = written(&sample());
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let refused = |text: &str, line: &str| {
        let error = parse_journal(text.as_bytes()).unwrap_err();
        assert_eq!(error.code(), "malformed");
        assert!(error.to_string().contains(line), "{line}: {error}");
    };
    refused(&lines[1..].concat(), "line 1:");
    refused(&[lines[0], lines[2], lines[3]].concat(), "line 2:");
    refused(&[lines[0], lines[1], lines[1], lines[2]].concat(), "line 3:");
    refused(&text.replace("there", "where"), "line 3: its content is not what was written");
    refused(&text.replace("CKR", "OK"), "line 5: its content");
    refused(&text.replacen("{\"hash\"", "{ \"hash\"", 1), "line 1: it is not in canonical form");
    // Parts of two lines, and a record that is another's: what is torn is one line, and no whole one.
    refused(&format!("{text}{}more\n", &lines[1..3].concat().replace("}\n{", "{")), "line 6:");
    refused(&format!("{text}{}", lines[3]), "line 6: it does not follow the line before");
    // A byte that no line holds, before whole lines: no crash does that.
    refused(&text.replacen("program", "pro\0ram", 1), "line 1:");
}

#[test]
fn lines_that_contradict_each_other_are_refused() {
    let wrong = |events: &[Event]| {
        let (_folder, _, bytes) = written(events);
        segment_of(&parse_journal(&bytes).unwrap().0).unwrap_err().to_string()
    };
    assert!(wrong(&[intent("a")]).contains("line 1: something happens before a run begins"));
    assert!(wrong(&[started(), started()]).contains("line 2: a run begins while another is not over"));
    assert!(wrong(&[started(), done("a")]).contains("not begun"));
    assert!(wrong(&[started(), intent("a"), done("b")]).contains("not begun"));
    assert!(wrong(&[started(), intent("a"), intent("b")]).contains("may not begin"));
    assert!(wrong(&[started(), intent("a"), done("a"), intent("a")]).contains("may not begin"));
    assert!(wrong(&[started(), intent("a"), Event::Finished {}]).contains("in the middle of a step"));
    assert!(wrong(&[started(), Event::Aborted {}]).contains("nobody aborts"));
    assert!(wrong(&[started(), Event::Finished {}, intent("a")]).contains("after the end"));
    assert!(wrong(&[started(), Event::Failed { step: "a".into(), code: String::new(), message: String::new() }]).contains("not begun"));
    assert!(wrong(&[started(), done("manual/x"), done("manual/x")]).contains("twice"));
    // One run after the other is fine.
    let (_folder, _, bytes) =
        written(&[started(), Event::Finished {}, started(), Event::AbortStarted { reason: String::new() }, Event::Aborted {}, started()]);
    assert_eq!(segment_of(&parse_journal(&bytes).unwrap().0).unwrap(), Some(Segment { plan: "aa".into(), ..Segment::default() }));
}

#[test]
fn a_journal_of_another_plan_is_a_conflict() {
    let plan = crate::migration::plan::tests::sample();
    let segment = Segment { open: Some(("no-such-step".into(), None)), ..Segment::default() };
    assert_eq!(segment.check_against(&plan).unwrap_err().code(), "conflict");
    assert!(Segment::default().check_against(&plan).is_ok());
}

#[test]
fn one_process_holds_the_lock_and_says_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let held = RunLock::take(folder.path(), std::time::Duration::ZERO).unwrap();
    let error = RunLock::take(folder.path(), std::time::Duration::from_millis(120)).unwrap_err();
    assert_eq!(error.code(), "conflict");
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(held);
    RunLock::take(folder.path(), std::time::Duration::ZERO).unwrap();
}

fn any_event() -> impl Strategy<Value = Event> {
    let text = any::<String>();
    prop_oneof![
        (text, text, proptest::collection::vec(any::<String>(), 0..3)).prop_map(|(plan, program, approved_by)| Event::Started {
            plan,
            program,
            approved_by
        }),
        (proptest::option::of(any::<String>()), 0_u64..1 << 40).prop_map(|(open, cut_bytes)| Event::Resumed { open, cut_bytes }),
        (text, proptest::option::of(any::<String>())).prop_map(|(step, before)| Event::Intent { step, before }),
        (text, text, any::<bool>()).prop_map(|(step, seen, adopted)| Event::Done { step, seen, adopted }),
        (text, text, text).prop_map(|(step, code, message)| Event::Failed { step, code, message }),
        text.prop_map(|reason| Event::AbortStarted { reason }),
        (text, text).prop_map(|(step, note)| Event::Undone { step, note }),
        Just(Event::Finished {}),
        Just(Event::Aborted {}),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_events_come_back(events in proptest::collection::vec(any_event(), 0..6)) {
        let (_folder, _, bytes) = written(&events);
        let (records, whole) = parse_journal(&bytes).unwrap();
        prop_assert_eq!(whole, bytes.len());
        prop_assert_eq!(records.into_iter().map(|record| record.what).collect::<Vec<_>>(), events);
    }

    /// A changed byte is refused, or, in the last line only, cut off as a crash would leave it. It never counts.
    #[test]
    fn a_changed_byte_never_counts(position in any::<prop::sample::Index>(), change in 1_u8..=255) {
        let (_folder, _, mut bytes) = written(&sample());
        let last = bytes[..bytes.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
        let position = position.index(bytes.len());
        bytes[position] ^= change;
        match parse_journal(&bytes) {
            Err(error) => prop_assert_eq!(error.code(), "malformed"),
            Ok((records, whole)) => {
                prop_assert_eq!(records.len(), 4);
                prop_assert!(position >= last && whole == last);
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok((records, whole)) = parse_journal(&bytes) {
            prop_assert!(whole <= bytes.len());
            drop(segment_of(&records));
        }
    }
}
