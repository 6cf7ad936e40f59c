//! The journal of runs: torn lines, changed lines, lines that contradict each other.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

mod disk;
mod runs;

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
    let giving_up = || Event::AbortStarted { reason: String::new() };
    assert!(wrong(&[started(), giving_up(), intent("a")]).contains("may not begin"));
    assert!(wrong(&[started(), giving_up(), done("manual/x")]).contains("twice"));
    assert!(wrong(&[started(), giving_up(), Event::Finished {}]).contains("in the middle of a step"));
    assert!(wrong(&[started(), intent("a"), done("manual/x")]).contains("not begun"));
    for undone in [Event::Undone { step: "a".into(), note: String::new() }, Event::Kept { step: "a".into(), note: String::new() }] {
        assert!(wrong(&[started(), undone]).contains("nobody aborts"));
    }
    // One run after the other is fine.
    let (_folder, _, bytes) =
        written(&[started(), Event::Finished {}, started(), Event::AbortStarted { reason: String::new() }, Event::Aborted {}, started()]);
    assert_eq!(segment_of(&parse_journal(&bytes).unwrap().0).unwrap(), Some(Segment { plan: "aa".into(), ..Segment::default() }));
}

#[test]
fn a_segment_holds_what_its_lines_say() {
    let resumed = || Event::Resumed { open: None, cut_bytes: 0 };
    let events = [
        started(),
        Event::Intent { step: "a".into(), before: Some("key 1".into()) },
        resumed(),
        done("a"),
        done("manual/x"),
        resumed(),
        Event::AbortStarted { reason: String::new() },
        Event::Undone { step: "a".into(), note: "key 1 again".into() },
        Event::Kept { step: "manual/x".into(), note: "by hand".into() },
    ];
    let (_folder, _, bytes) = written(&events);
    let segment = segment_of(&parse_journal(&bytes).unwrap().0).unwrap().unwrap();
    let expected = Segment {
        plan: "aa".into(),
        done: [("a".to_owned(), Some("key 1".to_owned())), ("manual/x".to_owned(), None)].into(),
        aborting: true,
        undone: ["a".to_owned()].into(),
        kept: [("manual/x".to_owned(), "by hand".to_owned())].into(),
        resumed: 2,
        ..Segment::default()
    };
    assert_eq!(segment, expected);
}

#[test]
fn a_line_with_a_sound_hash_in_a_wrong_place_is_refused() {
    let (_folder, _, bytes) = written(&sample());
    let records = parse_journal(&bytes).unwrap().0;
    let with = |number: u64, previous: &str| {
        let (time, what) = (records[1].time, &records[1].what);
        let mut line = serde_json::json!({ "number": number, "time": time, "what": what, "previous": previous });
        line["hash"] = crate::canonical::hash(&line).unwrap().into();
        let first = crate::canonical::to_string(&records[0]).unwrap();
        let text = format!("{first}\n{}\n", crate::canonical::to_string(&line).unwrap());
        parse_journal(text.as_bytes()).map(|(records, _)| records.len()).map_err(|error| error.to_string())
    };
    assert_eq!(with(2, &records[0].hash), Ok(2));
    for wrong in [with(3, &records[0].hash), with(2, &records[1].hash)] {
        assert!(wrong.unwrap_err().contains("line 2: it does not follow the line before"));
    }
}

#[test]
fn a_journal_has_a_largest_size() {
    let (_folder, _, bytes) = written(&sample());
    let length = bytes.len() as u64;
    assert_eq!(journal::parse_within(&bytes, length).unwrap().0.len(), 5);
    let error = journal::parse_within(&bytes, length - 1).unwrap_err();
    assert!(error.to_string().contains(&format!("larger than {} bytes", length - 1)), "{error}");
}

#[test]
fn reading_a_journal_changes_nothing_and_finds_none_where_none_is() {
    let (folder, path, bytes) = written(&sample());
    fs::write(&path, [&bytes[..], b"{\"hash\""].concat()).unwrap();
    assert_eq!(read_journal(folder.path()).unwrap().len(), 5);
    assert_eq!(fs::read(&path).unwrap().len(), bytes.len() + 7);
    fs::write(&path, [&bytes[..20], &bytes[..]].concat()).unwrap();
    assert!(read_journal(folder.path()).unwrap_err().to_string().contains("journal.jsonl"));
    assert_eq!(read_journal(tempfile::tempdir().unwrap().path()).unwrap(), []);
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

/// A world in which nothing happens, and what is taken back is told.
struct StillWorld;

impl World for StillWorld {
    fn before(&mut self, _: &Plan, _: &Step) -> Result<Option<String>> {
        Ok(None)
    }

    fn observe(&mut self, _: &Plan, _: &Step) -> Result<Observed> {
        Ok(Observed::Absent)
    }

    fn perform(&mut self, _: &Plan, _: &Step) -> Result<String> {
        Ok("done".into())
    }

    fn undo(&mut self, _: &Plan, _: &Step, _: Option<&str>) -> Result<TakenBack> {
        Ok(TakenBack::Kept("it stays active".into()))
    }
}

/// A plan that nobody has to approve, with one step that can be undone and, if wanted, one by hand.
fn unguarded(organisation: &str, by_hand: bool) -> Plan {
    let mut plan = crate::migration::plan::tests::sample();
    plan.organisation = organisation.into();
    plan.approval.people.clear();
    plan.approval.roles.clear();
    (plan.approval.threshold, plan.approval.danger_threshold) = (0, 0);
    plan.steps.retain(|step| step.id == "activate/1" || (by_hand && step.id == "manual/users"));
    plan.steps[0].undo = Undo::Automatic("another key".into());
    plan
}

fn opened<'p>(machine: &'p mut Machine, plan: &Plan, folder: &Path, opening: Opening) -> Result<Run<Running<'p>>> {
    Run::of(plan.clone()).unwrap().approve(&[], "2026-01-01T00:00:00Z".parse().unwrap()).unwrap().open(machine, folder, opening)
}

#[test]
fn a_finished_plan_stays_finished_after_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (unguarded("first", false), unguarded("second", false));
    let apply = |plan: &Plan| {
        let mut machine = Machine;
        let run = opened(&mut machine, plan, folder.path(), Opening::Apply)?;
        Ok::<bool, Error>(run.carry_out(&mut StillWorld, &BTreeSet::new(), &crate::migration::SilentProgress)?.state().changed)
    };
    assert!(apply(&first).unwrap() && apply(&second).unwrap());
    let before = fs::read(folder.path().join("journal.jsonl")).unwrap();
    for plan in [&first, &second] {
        assert!(!apply(plan).unwrap());
        let mut machine = Machine;
        let resumed = opened(&mut machine, plan, folder.path(), Opening::Resume).unwrap();
        assert!(resumed.state().segment.finished);
    }
    assert_eq!(fs::read(folder.path().join("journal.jsonl")).unwrap(), before);
    let mut machine = Machine;
    let runs = RunJournal::open(&mut machine, folder.path()).unwrap().segments().unwrap();
    assert_eq!(runs.iter().map(|run| run.plan.clone()).collect::<Vec<_>>(), [first.hash().unwrap(), second.hash().unwrap()]);
    // A plan that was given up is not a finished one, and one in the middle of which another stands has to wait.
    let third = unguarded("third", true);
    assert_eq!(apply(&third).unwrap_err().code(), "interrupted");
    assert_eq!(apply(&first).unwrap_err().code(), "conflict");
}

#[test]
fn what_stays_is_not_listed_as_undone_and_a_torn_line_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let plan = unguarded("first", true);
    let mut machine = Machine;
    let run = opened(&mut machine, &plan, folder.path(), Opening::Apply).unwrap();
    assert_eq!(run.carry_out(&mut StillWorld, &BTreeSet::new(), &crate::migration::SilentProgress).unwrap_err().code(), "interrupted");
    let path = folder.path().join("journal.jsonl");
    let torn = [fs::read(&path).unwrap(), b"{\"hash\":\"12".to_vec()].concat();
    fs::write(&path, torn).unwrap();
    let mut machine = Machine;
    let run = Run::of(plan.clone()).unwrap().open_to_abort(&mut machine, folder.path()).unwrap();
    let run = run.abort(&mut StillWorld, "a rehearsal").unwrap();
    assert!(run.state().undone.is_empty());
    assert_eq!(run.state().kept, [AbortedStep { step: "activate/1".into(), note: "it stays active".into() }]);
    let events: Vec<Event> = parse_journal(&fs::read(&path).unwrap()).unwrap().0.into_iter().map(|record| record.what).collect();
    assert!(events.contains(&Event::Resumed { open: None, cut_bytes: 11 }), "{events:?}");
    assert!(events.contains(&Event::Kept { step: "activate/1".into(), note: "it stays active".into() }));
    // The plan may be applied anew.
    assert!(opened(&mut Machine, &plan, folder.path(), Opening::Apply).is_ok());
}

#[test]
fn other_people_than_those_of_the_tenant_need_the_quorum_of_both() {
    use crate::ceremony::{Approver, CustodianKey, Statement};
    let now: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let keys: Vec<CustodianKey> = ["Ann", "Ben", "Eve"].iter().map(|name| CustodianKey::generate(name).unwrap()).collect();
    let person = |n: usize, name: &str| Approver { name: name.into(), role: "custodian".into(), key: keys[n].public() };
    let fixed = ApprovalPolicy {
        threshold: 1,
        danger_threshold: 2,
        roles: vec!["custodian".into()],
        valid_days: 30,
        people: vec![person(0, "Ann"), person(1, "Ben")],
    };
    let approval = |plan: &Plan, n: usize, name: &str| {
        Approval::sign(Statement::new(&plan.hash().unwrap(), name, "custodian", now, 3).unwrap(), &keys[n]).unwrap()
    };
    // Nobody, after the people were stripped; and a stranger alone.
    let stripped = unguarded("first", false);
    let error = Run::of(stripped.clone()).unwrap().approve_in(Some(&fixed), &[], now).unwrap_err();
    assert!(error.code() == "refused" && error.to_string().contains("quorum-of-the-tenant"), "{error}");
    assert!(Run::of(stripped).unwrap().approve_in(None, &[], now).is_ok());
    let mut other = unguarded("first", false);
    other.approval = ApprovalPolicy { people: vec![person(2, "Eve"), person(1, "Ben")], ..fixed.clone() };
    let eve = approval(&other, 2, "Eve");
    assert!(Run::of(other.clone()).unwrap().approve_in(Some(&fixed), std::slice::from_ref(&eve), now).is_err());
    // Ben is one of both.
    let ben = approval(&other, 1, "Ben");
    assert!(Run::of(other.clone()).unwrap().approve_in(Some(&fixed), &[eve.clone(), ben.clone()], now).is_ok());
    assert!(Run::of(other.clone()).unwrap().approve_in(Some(&fixed), &[ben], now).is_ok());
    let same = Plan { approval: fixed.clone(), ..other };
    let ann = approval(&same, 0, "Ann");
    assert!(Run::of(same).unwrap().approve_in(Some(&fixed), &[ann], now).is_ok());
}
