//! Whatever is changed in a transcript is found, and what a crash leaves is not lost.

use std::fs;
use std::io::Write as _;

use proptest::prelude::*;

use super::*;
use crate::ceremony::CustodianKey;
use crate::ceremony::signed_note::{NoteSignature, SignedNote};

const PLAN: &str = "1111111111111111111111111111111111111111111111111111111111111111";

fn session(command: &str) -> Happening {
    Happening::Session {
        command: command.into(),
        plan: PLAN.into(),
        machine: MachineIdentity { host: "vault-1".into(), system: "Debian".into(), architecture: "x86_64".into() },
        program: ProgramIdentity { version: "0.1.0".into(), sha256: Some("ab".repeat(32)) },
        modules: vec![ModuleIdentity { file: "libsofthsm2.so".into(), sha256: None }],
        tokens: Vec::new(),
    }
}

fn deviation(note: &str) -> Happening {
    Happening::Deviation { step: None, note: note.into(), by: Some("Ann".into()) }
}

fn ended() -> Happening {
    Happening::SessionEnded { exit: 0, error: None }
}

struct Room {
    folder: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("t.jsonl")
    }

    fn open(&self) -> TranscriptWriter {
        TranscriptWriter::open(&self.path(), PLAN).unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    fn add(&self, bytes: &[u8]) {
        fs::File::options().append(true).open(self.path()).unwrap().write_all(bytes).unwrap();
    }
}

/// A closed transcript of seven lines, made once.
fn written() -> Vec<u8> {
    static WRITTEN: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    WRITTEN.get_or_init(write_one).clone()
}

fn write_one() -> Vec<u8> {
    let room = Room::new();
    let mut writer = room.open();
    writer.begin(session("apply")).unwrap();
    writer.append(Happening::WordsConfirmed { places: vec![3, 17], by: Some("W. Witness".into()) }).unwrap();
    writer.append(deviation("the \"projector\" failed\nat ten")).unwrap();
    writer.append(Happening::Confirmed { step: "import-key/1".into(), by_hand: false, by: None }).unwrap();
    writer.append(Happening::Run { line: 1, hash: "cd".repeat(32), late: false, event: crate::migration::apply::Event::Finished {} }).unwrap();
    writer.append(ended()).unwrap();
    writer.append(Happening::Closed {}).unwrap();
    room.bytes()
}

#[test]
fn what_is_written_is_read_and_each_line_holds_the_hash_of_the_one_before() {
    let bytes = written();
    let transcript = Transcript::parse(&bytes).unwrap();
    assert_eq!((transcript.lines().len(), transcript.plan(), transcript.is_closed(), transcript.torn_bytes()), (7, Some(PLAN), true, 0));
    let texts: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
    for (before, line) in texts.iter().zip(transcript.lines().iter().skip(1)) {
        assert_eq!(line.entry.previous, canonical::sha256_hex(before));
    }
    assert_eq!(transcript.final_hash(), canonical::sha256_hex(texts.last().unwrap()));
    assert!(transcript.clock_went_back().is_empty());
}

#[test]
fn nothing_follows_the_end_and_no_other_plan_comes_in() {
    let room = Room::new();
    let closed = written();
    fs::write(room.path(), &closed).unwrap();
    assert_eq!(TranscriptWriter::open(&room.path(), PLAN).unwrap_err().code(), "conflict");
    assert_eq!(TranscriptWriter::open(&room.path(), &"2".repeat(64)).unwrap_err().code(), "conflict");
    assert_eq!(room.bytes(), closed);
    let room = Room::new();
    let mut writer = room.open();
    assert_eq!(writer.append(deviation("too early")).unwrap_err().code(), "internal");
    writer.begin(session("apply")).unwrap();
    assert_eq!(writer.append(Happening::Closed {}).unwrap_err().code(), "internal");
}

#[test]
fn two_processes_write_one_chain() {
    let room = Room::new();
    let (mut one, mut two) = (room.open(), room.open());
    one.begin(session("apply")).unwrap();
    two.append(deviation("noted beside it")).unwrap();
    one.append(deviation("and after it")).unwrap();
    two.append(deviation("again")).unwrap();
    one.append(ended()).unwrap();
    assert_eq!(Transcript::parse(&room.bytes()).unwrap().lines().len(), 5);
}

#[test]
fn a_session_without_an_end_is_named_by_the_next() {
    let room = Room::new();
    room.open().begin(session("apply")).unwrap();
    room.open().begin(session("resume")).unwrap();
    let transcript = Transcript::parse(&room.bytes()).unwrap();
    assert_eq!(transcript.lines()[1].entry.what, Happening::CrashFound { session: 1 });
    assert_eq!(transcript.open_session(), Some(3));
}

#[test]
fn a_torn_line_of_any_length_stays_and_is_recorded() {
    let room = Room::new();
    room.open().begin(session("apply")).unwrap();
    let before = room.bytes();
    room.open().append(deviation("torn")).unwrap();
    let whole = room.bytes();
    for length in before.len() + 1..whole.len() {
        fs::write(room.path(), &whole[..length]).unwrap();
        let torn = Transcript::parse(&room.bytes()).unwrap();
        assert_eq!((torn.lines().len(), torn.torn_bytes()), (1, (length - before.len()) as u64));
        let mut writer = room.open();
        writer.begin(session("resume")).unwrap();
        let bytes = room.bytes();
        assert!(bytes.starts_with(&whole[..length]), "nothing is lost");
        let transcript = Transcript::parse(&bytes).unwrap();
        assert_eq!(transcript.torn_bytes(), 0);
        let kinds: Vec<bool> = transcript.entries().map(|entry| matches!(entry.what, Happening::TornLine { .. })).collect();
        if length == whole.len() - 1 {
            // Only the line feed was missing: the line counts.
            assert_eq!(transcript.lines()[1].entry.what, deviation("torn"));
        } else {
            assert_eq!(kinds, [false, true, false, false]);
            assert_eq!(transcript.lines()[1].line, 3);
        }
        assert_eq!(&transcript, &Transcript::parse(&bytes).unwrap());
        assert_eq!(writer.transcript(), &transcript);
    }
}

#[test]
fn a_crash_while_a_torn_line_is_recorded_is_recorded_too() {
    let room = Room::new();
    room.open().begin(session("apply")).unwrap();
    room.add(b"{\"number\":2,\"prev");
    let torn = room.bytes();
    room.open();
    let recorded = room.bytes();
    for length in torn.len() + 1..recorded.len() {
        fs::write(room.path(), &recorded[..length]).unwrap();
        room.open();
        let bytes = room.bytes();
        assert!(bytes.starts_with(&recorded[..length]));
        let transcript = Transcript::parse(&bytes).unwrap();
        assert_eq!((transcript.lines().len(), transcript.torn_bytes()), (2, 0), "{length}");
    }
    // Holes that a file system leaves.
    fs::write(room.path(), [&torn[..], b"\0\0\0\0\n\0\0"].concat()).unwrap();
    room.open();
    assert_eq!(Transcript::parse(&room.bytes()).unwrap().lines().len(), 2);
}

#[test]
fn what_is_changed_is_named_by_its_line() {
    let text = String::from_utf8(written()).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let problem = |text: String| Transcript::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(problem(text.replace("projector", "projectile")).contains("line 4: it was not written after line 3 as that line is now"));
    let dropped = [&lines[..3], &lines[4..]].concat().concat();
    assert!(problem(dropped).contains("line 4: it has the number 5, and 4 must follow here"));
    let swapped = [&lines[..2], &[lines[3], lines[2]], &lines[4..]].concat().concat();
    assert!(problem(swapped).contains("line 3: it has the number 4"));
    let added = [&lines[..3], &lines[2..]].concat().concat();
    assert!(problem(added).contains("line 4: it has the number 3"));
    assert!(problem(text.replace("\"number\":4", "\"number\": 4")).contains("line 4: it is not in canonical form"));
    assert!(problem(lines[1..].concat()).contains("line 1:"));
    assert!(problem("{}\n".into()).contains("line 1: it is no line of a transcript"));
}

/// Its note.
fn signed() -> (SignedNote, CustodianKey) {
    let key = CustodianKey::generate("Ann").unwrap();
    let mut note = SignedNote::new(Transcript::parse(&written()).unwrap().checkpoint().unwrap().to_text()).unwrap();
    note.add(NoteSignature::sign(note.text(), "Ann", &key).unwrap());
    (note, key)
}

/// Whether a transcript is the one that the note was made of.
fn holds(bytes: &[u8], note: &SignedNote) -> bool {
    Transcript::parse(bytes)
        .is_ok_and(|transcript| transcript.torn_bytes() == 0 && Checkpoint::parse(note.text()).unwrap().compare(&transcript).is_ok())
}

#[test]
fn a_missing_end_is_found_against_the_note() {
    let bytes = written();
    let (note, key) = signed();
    assert_eq!(note.verify(&key.public()).unwrap(), ["Ann"]);
    assert!(holds(&bytes, &note));
    let lines: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
    let checkpoint = Checkpoint::parse(note.text()).unwrap();
    for kept in 1..lines.len() {
        let short = Transcript::parse(&lines[..kept].concat()).unwrap();
        let error = checkpoint.compare(&short).unwrap_err().to_string();
        assert!(error.contains(&format!("what follows line {kept} is gone")), "{error}");
    }
    let room = Room::new();
    fs::write(room.path(), lines[..5].concat()).unwrap();
    let mut writer = room.open();
    (0..4).for_each(|_| writer.append(deviation("more")).unwrap());
    let error = checkpoint.compare(writer.transcript()).unwrap_err().to_string();
    assert!(error.contains("line 8: it was added"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_changed_byte_is_found(at in any::<prop::sample::Index>(), change in 1..=255_u8) {
        let mut bytes = written();
        let (note, _) = signed();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        prop_assert!(!holds(&bytes, &note));
    }

    #[test]
    fn any_dropped_swapped_or_added_line_is_found(first in 0..7_usize, second in 0..7_usize, kind in 0..3) {
        let bytes = written();
        let (note, _) = signed();
        let mut lines: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
        match kind {
            0 => drop(lines.remove(first)),
            1 if first != second => lines.swap(first, second),
            _ => lines.insert(first, lines[second]),
        }
        prop_assert!(!holds(&lines.concat(), &note));
    }

    #[test]
    fn any_cut_is_found(at in any::<prop::sample::Index>()) {
        let bytes = written();
        let (note, _) = signed();
        prop_assert!(!holds(&bytes[..at.index(bytes.len())], &note));
    }

    #[test]
    fn no_input_panics(tail in proptest::collection::vec(any::<u8>(), 0..200), kept in any::<prop::sample::Index>()) {
        let bytes = written();
        drop(Transcript::parse(&tail));
        drop(Transcript::parse(&[&bytes[..kept.index(bytes.len())], &tail].concat()));
    }
}
