//! The journal on a disk that fails: what is called in which order, and what is never built on.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use super::*;

/// A file in memory, the calls that were made, and the names of those that fail.
#[derive(Debug, Default)]
struct FailingDisk {
    content: Option<Vec<u8>>,
    calls: Rc<RefCell<Vec<String>>>,
    fails: Rc<RefCell<Vec<&'static str>>>,
    /// What the transcript says to each line.
    transcript_fails: bool,
}

impl FailingDisk {
    fn of(content: &[u8]) -> Self {
        Self { content: Some(content.to_vec()), ..Self::default() }
    }

    fn call(&self, name: &'static str, what: impl std::fmt::Display) -> io::Result<()> {
        self.calls.borrow_mut().push(format!("{name} {what}").trim_end().to_owned());
        if self.fails.borrow().contains(&name) { Err(io::Error::other(name)) } else { Ok(()) }
    }

    fn take_calls(&self) -> Vec<String> {
        self.calls.take()
    }
}

impl Platform for FailingDisk {
    fn now(&self) -> jiff::Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn read(&mut self, _: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
        self.call("read", limit)?;
        Ok(self.content.clone())
    }

    fn append(&mut self, _: &Path, bytes: &[u8]) -> io::Result<()> {
        self.content.get_or_insert_default().extend(bytes);
        self.call("append", "")
    }

    fn overwrite(&mut self, _: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.call("overwrite", format!("{offset}: {}", String::from_utf8_lossy(bytes)))
    }

    fn truncate(&mut self, _: &Path, length: u64) -> io::Result<()> {
        self.content.get_or_insert_default().truncate(usize::try_from(length).unwrap());
        self.call("truncate", length)
    }

    fn sync(&mut self, _: &Path) -> io::Result<()> {
        self.call("sync", "")
    }

    fn sync_folder(&mut self, _: &Path) -> io::Result<()> {
        self.call("sync-folder", "")
    }

    fn recorded(&mut self, record: &Record) -> Result<()> {
        self.call("recorded", record.number).map_err(|_| Error::Internal("unreachable".into()))?;
        if self.transcript_fails { Err(Error::Internal("the transcript is full".into())) } else { Ok(()) }
    }
}

fn open(disk: &mut FailingDisk) -> Result<RunJournal<'_>> {
    RunJournal::open(disk, Path::new("tenant"))
}

#[test]
fn each_line_is_synced_before_it_is_told_and_the_first_with_its_folder() {
    let mut disk = FailingDisk::default();
    let mut journal = open(&mut disk).unwrap();
    journal.record(started()).unwrap();
    journal.record(intent("a")).unwrap();
    assert_eq!(journal.cut_bytes(), 0);
    let largest = (256 << 20) + 1;
    assert_eq!(disk.take_calls(), [&format!("read {largest}"), "append", "sync", "sync-folder", "recorded 1", "append", "sync", "recorded 2"]);
}

#[test]
fn the_last_line_is_written_once_more_before_anything_is_built_on_it() {
    let (_folder, _, bytes) = written(&sample());
    let last = bytes[..bytes.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    let line = String::from_utf8(bytes[last..].to_vec()).unwrap();
    let mut disk = FailingDisk::of(&bytes);
    drop(open(&mut disk).unwrap());
    assert_eq!(disk.take_calls()[1..], [format!("overwrite {last}: {line}").trim_end(), "sync", "sync-folder"]);
    // After what a crash tore was cut off.
    let mut disk = FailingDisk::of(&[&bytes[..], b"{\"hash\""].concat());
    assert_eq!(open(&mut disk).unwrap().cut_bytes(), 7);
    assert_eq!(
        disk.take_calls()[1..],
        [format!("truncate {}", bytes.len()).as_str(), format!("overwrite {last}: {line}").trim_end(), "sync", "sync-folder"]
    );
    // One line alone begins at the beginning.
    let first = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let mut disk = FailingDisk::of(&bytes[..first]);
    drop(open(&mut disk).unwrap());
    assert!(disk.take_calls()[1].starts_with("overwrite 0: {"));
    let mut empty = FailingDisk::of(b"");
    drop(open(&mut empty).unwrap());
    assert_eq!(empty.take_calls().len(), 1, "nothing is there to be made last");
}

#[test]
fn a_journal_is_not_opened_on_a_disk_that_fails() {
    let (_folder, _, bytes) = written(&sample());
    let torn = [&bytes[..], b"{\"hash\""].concat();
    for (call, code) in [("read", "read"), ("truncate", "write"), ("overwrite", "write"), ("sync", "write"), ("sync-folder", "write")] {
        let mut disk = FailingDisk::of(&torn);
        disk.fails.borrow_mut().push(call);
        let error = open(&mut disk).unwrap_err();
        assert!(error.code() == code && error.to_string().contains("journal.jsonl"), "{call}: {error}");
    }
}

#[test]
fn a_line_that_may_not_last_is_taken_back_and_nothing_is_written_after_it() {
    let (_folder, _, bytes) = written(&sample());
    for (fails, more) in [
        (vec!["append"], vec!["append", "truncate", "sync"]),
        (vec!["sync"], vec!["append", "sync", "truncate", "sync"]),
        // Without the cut there is nothing that could be made last.
        (vec!["append", "truncate"], vec!["append", "truncate"]),
    ] {
        let mut disk = FailingDisk::of(&bytes);
        let (failing, calls) = (Rc::clone(&disk.fails), Rc::clone(&disk.calls));
        let mut journal = open(&mut disk).unwrap();
        journal.record(Event::Resumed { open: Some("b".into()), cut_bytes: 0 }).unwrap();
        failing.borrow_mut().extend(&fails);
        calls.take();
        assert_eq!(journal.record(done("b")).unwrap_err().code(), "write");
        assert_eq!(journal.records().len(), 6);
        let made: Vec<String> = calls.take();
        assert_eq!(made.iter().map(|call| call.split(' ').next().unwrap()).collect::<Vec<_>>(), more);
        failing.take();
        let error = journal.record(done("b")).unwrap_err();
        assert!(error.code() == "write" && error.to_string().contains("an earlier line could not be written"), "{error}");
        assert_eq!(calls.take(), Vec::<String>::new());
        drop(journal);
        let (records, whole) = parse_journal(disk.content.as_deref().unwrap()).unwrap();
        assert_eq!((records.len(), whole), (6, disk.content.unwrap().len()));
    }
}

#[test]
fn the_folder_of_a_new_journal_must_last_too() {
    let mut disk = FailingDisk::default();
    disk.fails.borrow_mut().push("sync-folder");
    let mut journal = open(&mut disk).unwrap();
    assert_eq!(journal.record(started()).unwrap_err().code(), "write");
    drop(journal);
    assert_eq!(disk.content.unwrap(), b"");
}

#[test]
fn a_transcript_that_fails_stops_the_run_though_the_line_is_there() {
    let mut disk = FailingDisk { transcript_fails: true, ..FailingDisk::default() };
    let mut journal = open(&mut disk).unwrap();
    assert!(journal.record(started()).unwrap_err().to_string().contains("the transcript is full"));
    assert_eq!(journal.records().len(), 1);
    drop(journal);
    assert_eq!(parse_journal(disk.content.as_deref().unwrap()).unwrap().0.len(), 1);
}
