//! Order, bounds, errors and cancellation.

use std::io::{BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn line(id: impl std::fmt::Display, licence: &str) -> String {
    format!("{{\"id\":\"{id}\",\"licence\":\"{licence}\"}}\n")
}

fn run_lines(input: &str, transform: &dyn Transform, options: &Options<'_>, notes: &mut Notes) -> (String, Report) {
    let mut output = Vec::new();
    let report = lines(input.as_bytes(), LinesOutput::stream(&mut output), transform, options, notes);
    (String::from_utf8(output).unwrap(), report)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn results_come_in_input_order(count in 0_u64..300, workers in 1_usize..9, batch in 1_usize..20, seed in any::<u64>()) {
        let input: String = (0..count).map(|id| line(id, if (id ^ seed) % 7 == 0 { "bad" } else { "a" })).collect();
        let slow = |items: &[Item]| {
            // Batches overtake each other.
            thread::sleep(Duration::from_micros(items[0].id.parse::<u64>().unwrap().wrapping_mul(seed) % 500));
            items.iter().map(|item| one(&item.bytes)).collect()
        };
        let mut notes = Notes::default();
        let (output, report) = run_lines(&input, &slow, &small(workers, batch), &mut notes);
        let expected: String = (0..count).map(|id| if (id ^ seed) % 7 == 0 {
            format!("{{\"id\":\"{id}\",\"error\":\"not a valid test: bad\",\"code\":\"malformed\"}}\n")
        } else {
            line(id, "<A>")
        }).collect();
        let bad: Vec<_> = (0..count).filter(|id| (id ^ seed) % 7 == 0).map(|id| (id.to_string(), "malformed")).collect();
        prop_assert_eq!(output.replace(&Error::malformed("test", "bad").to_string(), "not a valid test: bad"), expected);
        prop_assert_eq!(report.counts, counts(count - bad.len() as u64, bad.len() as u64, 0, 0));
        prop_assert!(report.stopped.is_none());
        prop_assert_eq!(notes.failed, bad);
    }

    #[test]
    fn what_is_in_flight_is_bounded(workers in 1_usize..6, batch in 1_usize..9, bytes in 1_u64..4000) {
        let options = Options { bytes_in_flight: bytes, ..small(workers, batch) };
        let read = Arc::new(AtomicU64::new(0));
        let most = Arc::new(AtomicU64::new(0));
        let text = line(7, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        let input = Counting { line: text.clone().into_bytes(), left: 400, read: read.clone() };
        let output = Draining { read, most: most.clone(), written: 0 };
        let transform = |items: &[Item]| {
            thread::sleep(Duration::from_micros(50));
            Ok(items.iter().map(|_| Ok(Output::Unchanged)).collect())
        };
        let report = lines(BufReader::with_capacity(1, input), LinesOutput::stream(output), &transform, &options, &mut ());
        prop_assert_eq!(report.counts.unchanged, 400);
        let by_batches = (options.batches_in_flight() * batch * text.len()) as u64;
        let by_bytes = bytes + (batch * text.len()) as u64;
        // One line is in the hands of the reader.
        let bound = by_batches.min(by_bytes) + text.len() as u64;
        let most = most.load(Ordering::SeqCst);
        prop_assert!(most <= bound, "{} bytes were in flight, the bound is {}", most, bound);
    }
}

/// The same line again and again; counts what was taken.
struct Counting {
    line: Vec<u8>,
    left: usize,
    read: Arc<AtomicU64>,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        let at = usize::try_from(self.read.fetch_add(1, Ordering::SeqCst)).unwrap() % self.line.len();
        buffer[0] = self.line[at];
        self.left -= usize::from(at + 1 == self.line.len());
        Ok(1)
    }
}

/// Knows how far the reader is ahead of what is written.
struct Draining {
    read: Arc<AtomicU64>,
    most: Arc<AtomicU64>,
    written: u64,
}

impl std::io::Write for Draining {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.most.fetch_max(self.read.load(Ordering::SeqCst) - self.written, Ordering::SeqCst);
        self.written += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_hundred_thousand_items_take_seconds() {
    let input: String = (0..100_000).map(|id| line(id, "a")).collect();
    let begun = Instant::now();
    let mut notes = Notes::default();
    let (output, report) = run_lines(&input, &Upper::default(), &Options::default(), &mut notes);
    println!("100,000 lines in {:?}", begun.elapsed());
    assert_eq!(report.into_result().unwrap(), counts(100_000, 0, 0, 0));
    assert_eq!(output, (0..100_000).map(|id| line(id, "<A>")).collect::<String>());
    assert_eq!(notes.last.unwrap().counts.done, 100_000);
    assert!(notes.last.unwrap().rate > 0.0);
}

#[test]
fn no_more_workers_than_asked_for_transform_at_once() {
    let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let transform = |items: &[Item]| {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(2));
        now.fetch_sub(1, Ordering::SeqCst);
        Ok(items.iter().map(|_| Ok(Output::Unchanged)).collect())
    };
    let input: String = (0..60).map(|id| line(id, "a")).collect();
    let (_, report) = run_lines(&input, &transform, &small(3, 2), &mut Notes::default());
    assert_eq!(report.counts.unchanged, 60);
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[test]
fn a_fatal_error_stops_after_what_was_before_it() {
    for (word, text) in [("stop", "asked to stop"), ("panic", "panicked")] {
        let input: String = (0..1000).map(|id| line(id, if id == 500 { word } else { "a" })).collect();
        let (output, report) = run_lines(&input, &Upper::default(), &small(4, 10), &mut Notes::default());
        assert_eq!(report.counts, counts(500, 0, 0, 0), "{word}");
        assert_eq!(output.lines().count(), 500);
        assert!(report.into_result().unwrap_err().to_string().contains(text));
    }
}

#[test]
fn a_transform_that_breaks_its_contract_is_told_apart() {
    let (_, report) = run_lines(&line(1, "a"), &|_: &[Item]| Ok(Vec::new()), &small(2, 2), &mut Notes::default());
    assert_eq!(report.into_result().unwrap_err().code(), "internal");
}

#[test]
fn a_full_disk_stops_the_run() {
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else {
        return keykit_vectors::say_skipped("bulk::a_full_disk_stops_the_run", "this system has no /dev/full");
    };
    let input: String = (0..1000).map(|id| line(id, "a")).collect();
    let transform = Upper::default();
    let report = lines(input.as_bytes(), LinesOutput::stream(full), &transform, &small(2, 4), &mut ());
    assert_eq!(report.counts, Counts::default());
    assert_eq!(report.into_result().unwrap_err().code(), "write");
    assert!(transform.seen.lock().unwrap().len() <= small(2, 4).batches_in_flight() * 4);
}

#[test]
fn cancelling_finishes_what_is_in_flight() {
    let cancel = AtomicBool::new(false);
    let options = Options { cancel: Some(&cancel), ..small(2, 5) };
    let seen = AtomicU64::new(0);
    let transform = |items: &[Item]| {
        if seen.fetch_add(items.len() as u64, Ordering::SeqCst) >= 100 {
            cancel.store(true, Ordering::SeqCst);
        }
        Ok(items.iter().map(|_| Ok(Output::Unchanged)).collect())
    };
    let input: String = (0..100_000).map(|id| line(id, "a")).collect();
    let (output, report) = run_lines(&input, &transform, &options, &mut Notes::default());
    assert_eq!(report.counts.unchanged, seen.load(Ordering::SeqCst), "nothing that was begun is thrown away");
    assert_eq!(output.lines().count() as u64, report.counts.unchanged);
    assert!(report.counts.unchanged < 1000);
    assert_eq!(report.into_result().unwrap_err().code(), "interrupted");
}
