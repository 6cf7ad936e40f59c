//! Batches through threads and back into order.
//!
//! Workers take turns at the feed: one fills a batch while the others work. The thread that started the run commits
//! finished batches in order, all that are ready at once. A batch may only be begun while there is room for it, so what is
//! in flight is bounded whatever the speed of the parts. There is always one thread that can go on: the batch that the
//! commit waits for was begun before every other one in flight.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder};

use super::Options;
use crate::error::{Error, Result};
use crate::threads::Working;

/// A batch is closed at this many bytes of input.
const BATCH_BYTES: u64 = 4 << 20;

/// Where items come from, one after the other.
pub(super) trait Feed: Send {
    /// What is read under the lock of the feed: as little as possible.
    type Raw: Send;
    /// A place between two items.
    type Mark: Send;

    /// The next item. No more is asked for after an error.
    fn next(&mut self) -> Result<Option<Self::Raw>>;

    /// How much of the memory the item will take, in bytes.
    fn size(raw: &Self::Raw) -> u64;

    /// The place behind the last item that was given.
    fn mark(&self) -> Self::Mark;
}

/// What a batch holds, and the place behind it.
pub(super) type Worked<F, R> = (R, <F as Feed>::Mark);

/// Runs everything that `feed` gives through `work` on all workers, and through `commit` on this thread, in order.
///
/// What was begun before an error or a cancellation is committed, in order, up to where the error was.
pub(super) fn run<F: Feed, R: Send>(
    feed: F,
    options: &Options<'_>,
    work: impl Fn(Vec<F::Raw>) -> Result<R> + Sync,
    commit: impl FnMut(Vec<Worked<F, R>>) -> Result<()>,
) -> Result<()> {
    super::keep_freed_memory();
    let shared = Shared { source: Mutex::new(Source { feed, next: 0, ended: false, failed: None }), room: Room::default(), options };
    let (sender, receiver) = mpsc::channel();
    let (shared, work) = (&shared, &work);
    thread::scope(|scope| {
        // Also on the way out of a panic: nobody may go on waiting for room.
        let _close = CloseOnDrop(&shared.room);
        let mut running = 0;
        for number in 0..options.workers.get() {
            let sender = sender.clone();
            let spawned = Builder::new().name(format!("bulk-{number}")).spawn_scoped(scope, move || shared.work(work, &sender));
            running += usize::from(spawned.is_ok());
        }
        drop(sender);
        if running == 0 {
            return Err(Error::Internal("the system gives no thread".into()));
        }
        collect(&receiver, &shared.room, commit)
    })?;
    // Whoever set the flag wants to hear of it, also if the input was at its end just then.
    let ended = lock(&shared.source).ended;
    if !ended && options.is_cancelled() {
        return Err(Error::Interrupted { what: "stopped on request; start it again to go on".into() });
    }
    Ok(())
}

/// A batch on its way, with its place in the order and its size in bytes.
struct Numbered<T> {
    number: u64,
    bytes: u64,
    batch: Result<T>,
}

/// Puts batches back into order and commits them.
fn collect<T>(receiver: &Receiver<Numbered<T>>, room: &Room, mut commit: impl FnMut(Vec<T>) -> Result<()>) -> Result<()> {
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    while let Ok(first) = receiver.recv() {
        for batch in std::iter::once(first).chain(receiver.try_iter()) {
            waiting.insert(batch.number, batch);
        }
        let mut group = Vec::new();
        let mut freed = 0;
        let mut failed = Ok(());
        while let Some(Numbered { bytes, batch, .. }) = waiting.remove(&next) {
            next += 1;
            match batch {
                Ok(batch) => group.push(batch),
                Err(error) => {
                    failed = Err(error);
                    break;
                }
            }
            freed += bytes;
        }
        let batches = group.len();
        if batches > 0 {
            commit(group)?;
        }
        failed?;
        room.give_back(batches, freed);
    }
    Ok(())
}

struct Shared<'a, F> {
    source: Mutex<Source<F>>,
    room: Room,
    options: &'a Options<'a>,
}

struct Source<F> {
    feed: F,
    next: u64,
    ended: bool,
    failed: Option<Error>,
}

impl<F: Feed> Shared<'_, F> {
    fn work<R>(&self, work: &(impl Fn(Vec<F::Raw>) -> Result<R> + Sync), sender: &Sender<Numbered<Worked<F, R>>>) {
        // All processors have a batch of their own: what works on one starts no further threads while it is so.
        let _working = Working::begin();
        while let Some(Numbered { number, bytes, batch }) = self.begin() {
            let batch = batch.and_then(|(raws, mark)| {
                let worked = catch_unwind(AssertUnwindSafe(|| work(raws)));
                let worked = worked.unwrap_or_else(|_| Err(Error::Internal("a thread panicked while it worked on a batch".into())))?;
                Ok((worked, mark))
            });
            if sender.send(Numbered { number, bytes, batch }).is_err() {
                break;
            }
        }
    }

    /// The next batch with its number and its size; `None` if there is none or the run stops.
    fn begin(&self) -> Option<Numbered<Worked<F, Vec<F::Raw>>>> {
        let mut source = lock(&self.source);
        if source.ended || !self.room.wait(self.options) || self.options.is_cancelled() {
            return None;
        }
        let mut raws = Vec::new();
        let mut bytes = 0_u64;
        while source.failed.is_none() && raws.len() < self.options.batch_items.get() && bytes < BATCH_BYTES {
            match source.feed.next() {
                Ok(Some(raw)) => {
                    bytes = bytes.saturating_add(F::size(&raw));
                    raws.push(raw);
                }
                Ok(None) => {
                    source.ended = true;
                    break;
                }
                Err(error) => source.failed = Some(error),
            }
        }
        let batch = if raws.is_empty() {
            source.ended = true;
            Err(source.failed.take()?)
        } else {
            Ok((raws, source.feed.mark()))
        };
        let number = source.next;
        source.next += 1;
        self.room.take(bytes);
        Some(Numbered { number, bytes, batch })
    }
}

/// How much is in flight.
#[derive(Default)]
struct Room {
    taken: Mutex<Taken>,
    changed: Condvar,
}

#[derive(Default)]
struct Taken {
    batches: usize,
    bytes: u64,
    closed: bool,
}

impl Room {
    /// Waits until there is room for a batch; `false` if the run stops.
    fn wait(&self, options: &Options<'_>) -> bool {
        let is_full =
            |taken: &mut Taken| !taken.closed && (taken.batches >= options.batches_in_flight() || taken.bytes >= options.bytes_in_flight.max(1));
        let taken = self.changed.wait_while(lock(&self.taken), is_full).unwrap_or_else(PoisonError::into_inner);
        !taken.closed
    }

    fn take(&self, bytes: u64) {
        let mut taken = lock(&self.taken);
        taken.batches += 1;
        taken.bytes = taken.bytes.saturating_add(bytes);
    }

    fn give_back(&self, batches: usize, bytes: u64) {
        let mut taken = lock(&self.taken);
        taken.batches = taken.batches.saturating_sub(batches);
        taken.bytes = taken.bytes.saturating_sub(bytes);
        self.changed.notify_all();
    }
}

struct CloseOnDrop<'a>(&'a Room);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        lock(&self.0.taken).closed = true;
        self.0.changed.notify_all();
    }
}

/// Nothing here is left half changed by a panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
