//! Memory that the threads of a run share.
//!
//! Each thread may hold a little for the file that it looks into. For more it needs a place of which there is one: however many
//! threads there are, and whatever the files unpack to, one of them at a time holds much.

use std::io::Read;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keykit::{Error, Result};

use super::too_much;

/// So much each thread may hold without the others.
const LITTLE: u64 = 4 << 20;
/// A stream is read in steps of this size, so that memory is asked for before it is taken.
const STEP: u64 = 1 << 20;
/// The reader of compound files takes about so many bytes for each sector of 512 bytes, and refuses files with more than the
/// second number of them.
const TABLES_OF_SECTOR: u64 = 20;
const MOST_SECTORS: u64 = 1 << 23;

/// What the threads of one run share. See the module.
#[derive(Debug, Default)]
pub struct SharedMemory {
    much: Mutex<()>,
}

/// What is held for one file.
pub(super) struct Held<'a> {
    memory: &'a SharedMemory,
    bytes: u64,
    limit: u64,
    /// Kept until the file is done with, so that nobody waits for it while they hold it.
    much: Option<MutexGuard<'a, ()>>,
}

impl<'a> Held<'a> {
    pub(super) fn new(memory: &'a SharedMemory, limit: u64) -> Self {
        Self { memory, bytes: 0, limit, much: None }
    }

    /// Asks for memory; waits until no other thread holds much, if it gets much.
    pub(super) fn add(&mut self, bytes: u64) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > LITTLE && self.much.is_none() {
            self.much = Some(self.memory.much.lock().unwrap_or_else(PoisonError::into_inner));
        }
        if self.bytes > self.limit { Err(too_much_to_hold(self.limit)) } else { Ok(()) }
    }

    pub(super) fn give_back(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Appends the rest of a stream. What was appended is held, also after an error, until it is given back.
    pub(super) fn read(&mut self, stream: &mut dyn Read, bytes: &mut Vec<u8>, failed: impl Fn(&std::io::Error) -> Error) -> Result<()> {
        loop {
            let before = bytes.len();
            let read = (&mut *stream).take(STEP).read_to_end(bytes);
            // What was read counts, and may be over the limit by one step.
            self.add((bytes.len() - before) as u64)?;
            match read {
                Err(error) => return Err(failed(&error)),
                Ok(0) => return Ok(()),
                Ok(_) => {}
            }
        }
    }
}

pub(super) fn too_much_to_hold(limit: u64) -> Error {
    too_much(format!("it, or what it lies in, unpacks to more than {limit} bytes, which are held at most"), Some("--hold-limit"))
}

/// What the reader of compound files holds for a file of this length.
pub(super) fn of_compound_tables(length: u64) -> u64 {
    (length / 512).min(MOST_SECTORS) * TABLES_OF_SECTOR
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_thread_at_a_time_holds_much() {
        let (memory, now, most) = (SharedMemory::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut held = Held::new(&memory, 1 << 30);
                    held.add(LITTLE).unwrap();
                    held.add(1).unwrap();
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(5));
                    // It keeps its place until the file is done with.
                    held.give_back(LITTLE);
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(most.into_inner(), 1);
    }

    #[test]
    fn a_little_is_held_beside_much() {
        let memory = SharedMemory::default();
        let (mut one, mut other) = (Held::new(&memory, 1 << 30), Held::new(&memory, LITTLE + 2));
        one.add(LITTLE + 1).unwrap();
        // It would wait for ever otherwise.
        other.add(LITTLE).unwrap();
        drop(one);
        other.add(1).unwrap();
        assert!(other.add(2).unwrap_err().to_string().contains("4194306"));
    }
}
