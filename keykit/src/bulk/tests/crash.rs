//! A run over files that ends at every step it takes on the disk, and is started again.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::bulk::files::{Step, Watch};

const NAMES: [&str; 7] = ["a", "b/c", "b/d", "e", "f/g/h", "same", "z"];

fn input() -> (tempfile::TempDir, PathBuf) {
    tree(&NAMES.map(|name| (name, name)))
}

fn expected() -> BTreeMap<String, String> {
    NAMES.iter().map(|name| ((*name).to_owned(), if *name == "same" { "same".to_owned() } else { upper(name) })).collect()
}

/// Runs until `steps` steps were taken; every later one fails. Gives what was counted and the steps that were taken.
fn run_for(input: &Path, output: &Path, transform: &Upper, steps: usize, kind: io::ErrorKind) -> (Report, Vec<Step>) {
    let inputs = Files::walk(&[input.to_owned()]).unwrap();
    let mut folder = OutputFolder::open(output, &inputs, "test").unwrap();
    let taken = Arc::new(AtomicUsize::new(0));
    let log: Arc<Mutex<Vec<Step>>> = Arc::default();
    let (counter, notes) = (taken.clone(), log.clone());
    folder.watch = Watch(Some(Arc::new(move |step| {
        if counter.fetch_add(1, Ordering::SeqCst) >= steps {
            return Err(kind.into());
        }
        notes.lock().unwrap().push(step);
        Ok(())
    })));
    let report = files(inputs, &folder, transform, &small(1, 3), &mut ());
    let steps = log.lock().unwrap().clone();
    (report, steps)
}

#[test]
fn every_step_can_be_the_last() {
    let (_a, input) = input();
    let mut kinds: HashMap<Step, usize> = HashMap::new();
    let mut finished = false;
    for steps in 0..100 {
        let (_b, output) = tree(&[]);
        let kind = if steps % 2 == 0 { io::ErrorKind::StorageFull } else { io::ErrorKind::PermissionDenied };
        let first = Upper::default();
        let (report, taken) = run_for(&input, &output, &first, steps, kind);
        if report.stopped.is_none() {
            assert_eq!(report.counts, counts(6, 0, 0, 1));
            taken.iter().for_each(|step| *kinds.entry(*step).or_default() += 1);
            finished = true;
            break;
        }
        assert_eq!(report.stopped.as_ref().unwrap().code(), "write", "step {steps}");
        assert!(read_tree(&output).iter().all(|(path, text)| expected()[path] == *text), "what is in place is whole");
        // Up to two batches were counted; what was counted is in place.
        assert!(read_tree(&output).len() as u64 >= report.counts.total());

        // The second run is stopped as well, somewhere else; the third comes to its end.
        let second = Upper::default();
        let _stopped = run_for(&input, &output, &second, steps / 2, kind);
        let third = Upper::default();
        let (report, _) = run_for(&input, &output, &third, usize::MAX, kind);
        assert!(report.stopped.is_none());
        assert_eq!(report.counts.total(), 7);
        assert_eq!(report.counts.failed, 0);
        assert_eq!(read_tree(&output), expected(), "step {steps}");
        // Nothing is left to do.
        let (report, taken) = run_for(&input, &output, &Upper::default(), 0, kind);
        assert_eq!((report.counts, taken.len()), (counts(0, 0, 7, 0), 0));
    }
    assert!(finished);
    // 7 items in 3 batches, committed one by one or together.
    assert_eq!((kinds[&Step::Stage], kinds[&Step::SyncStaged], kinds[&Step::Place]), (7, 7, 7));
    assert_eq!(kinds[&Step::AppendLog], kinds[&Step::SyncLog]);
    assert!((1..=3).contains(&kinds[&Step::SyncLog]) && kinds[&Step::SyncFolder] >= 3);
}

#[test]
fn the_log_is_synced_before_a_file_is_in_place() {
    let (_a, input) = input();
    let (_b, output) = tree(&[]);
    let (_, taken) = run_for(&input, &output, &Upper::default(), usize::MAX, io::ErrorKind::Other);
    let (mut staged, mut synced, mut appended, mut placed) = (0, 0, 0, 0);
    for step in taken {
        match step {
            Step::Stage => staged += 1,
            Step::SyncStaged => synced += 1,
            Step::AppendLog => {
                assert!(synced <= staged);
                appended = synced;
            }
            Step::SyncLog | Step::SyncFolder => {}
            Step::Place => {
                placed += 1;
                assert!(placed <= appended);
            }
        }
    }
    assert_eq!((staged, synced, appended, placed), (7, 7, 7, 7));
}

/// A log that was appended to but not synced can lose its end, at any byte, or hold anything there.
#[test]
fn a_torn_log_costs_only_the_items_it_tells_of() {
    let (_a, input) = input();
    let (_b, pattern) = tree(&[]);
    // Appended, not synced: nothing of that group is in place.
    let (_, taken) = run_for(&input, &pattern, &Upper::default(), usize::MAX, io::ErrorKind::Other);
    let steps = taken.iter().position(|step| *step == Step::SyncLog).unwrap();
    let (_b, output) = tree(&[]);
    let (report, _) = run_for(&input, &output, &Upper::default(), steps, io::ErrorKind::Other);
    assert!(report.stopped.is_some());
    let log = output.join(".keykit-resume.jsonl");
    let whole = fs::read(&log).unwrap();
    let header = whole.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    for cut in (0..header + 2).step_by(9).chain((header..whole.len()).step_by(61)).chain([whole.len() - 1, whole.len()]) {
        for tail in [b"".as_slice(), b"\0\0\0\0", b"\0\n{\"id\":"] {
            if cut < header && !tail.is_empty() {
                continue;
            }
            let (_c, output) = tree(&[]);
            fs::write(output.join(".keykit-resume.jsonl"), [&whole[..cut], tail].concat()).unwrap();
            let transform = Upper::default();
            let (report, _) = run_for(&input, &output, &transform, usize::MAX, io::ErrorKind::Other);
            assert_eq!(report.counts, counts(6, 0, 0, 1), "cut at {cut}");
            assert_eq!(read_tree(&output), expected());
            let (report, _) = run_for(&input, &output, &Upper::default(), usize::MAX, io::ErrorKind::Other);
            assert_eq!(report.counts, counts(0, 0, 7, 0), "cut at {cut}");
        }
    }
}
