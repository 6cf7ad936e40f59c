//! Many licences through one operation: all cores, results in input order, memory that does not grow with their number.
//!
//! [`files`] takes a folder tree or a list of files into an output folder; [`lines`] takes JSON Lines into JSON Lines.
//! [`survey`] examines files and changes none.
//! What is done with a licence is a [`Transform`]. A bad item is reported and skipped; the rest is done. A run that is
//! killed goes on where it was when it is started again.
//!
//! # Order of writes
//! Results are committed in input order, a few batches at a time (as many as are ready), so that the disk is asked to
//! sync once per group and not once per item where that is possible:
//!
//! | step | output folder | JSON Lines |
//! |---|---|---|
//! | 1 | results are written to a staging folder in the output folder, and each is synced | results are appended, and synced |
//! | 2 | one line per item is appended to the resume log, one sync for all | one line is appended to the resume log, and synced |
//! | 3 | results are renamed to where they belong; nothing is ever overwritten | |
//! | 4 | every folder that was touched is synced once | |
//!
//! A kill before step 2 loses the batches in flight and nothing else. A kill after it leaves lines without a file: those
//! items are done again. A file without a line was never written here, and is left alone.
//!
//! # Memory
//! At most [`Options::batches_in_flight`] batches and about [`Options::bytes_in_flight`] bytes of input are held at a time,
//! with the outputs of the same items. A resumed run over files also holds 16 bytes per line of the resume log, and a
//! walk holds the names of the folders it is in.

mod engine;
mod files;
mod inputs;
mod lines;
mod progress;
mod resume;
mod survey;
#[cfg(test)]
mod tests;

use std::num::NonZero;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

pub use files::{OutputFolder, files};
pub use inputs::{FileInput, Files};
pub use lines::{LinesOutput, lines};
pub use progress::{Counts, Observer, Progress, Report};
pub use survey::{Ledger, LedgerLine, Survey, survey};

use crate::error::Result;
use crate::threads;

/// Where the bytes of an item come from, and so what its output must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ItemKind {
    /// A whole file: XrML text or another container (see [`crate::container`]). The output is a whole file too.
    File,
    /// The text of a licence, in UTF-8. The output must be UTF-8.
    Text,
}

/// One thing to transform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The path under the input folder, with `/` between its parts; or the id of the JSON line.
    pub id: String,
    /// What to transform.
    pub bytes: Vec<u8>,
    /// What the bytes are.
    pub kind: ItemKind,
}

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The new bytes.
    Changed(Vec<u8>),
    /// There was nothing to do: the output is a copy of the input.
    Unchanged,
}

/// What is done with items.
pub trait Transform: Sync {
    /// Transforms a batch. Gives one result per item, in the same order.
    ///
    /// Called from several threads at a time. An item can be transformed more than once if a run is killed (at most those
    /// in flight), so the only effect must be the output.
    ///
    /// # Errors
    /// An error of the inner kind is about one item, which is reported and skipped. An error of the outer kind stops the
    /// run: the key is gone, the token does not answer.
    fn transform(&self, items: &[Item]) -> Result<Vec<Result<Output>>>;
}

impl<F: Fn(&[Item]) -> Result<Vec<Result<Output>>> + Sync> Transform for F {
    fn transform(&self, items: &[Item]) -> Result<Vec<Result<Output>>> {
        self(items)
    }
}

/// How to run.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Threads that transform. By default as many as the system says it can run at once.
    pub workers: NonZero<usize>,
    /// Most items in one call of [`Transform::transform`]. 64 by default. A batch is also closed at 4 MiB of input.
    pub batch_items: NonZero<usize>,
    /// Largest item in bytes (of the file, or of the whole JSON line); a larger one is a bad item. 64 MiB by default.
    pub item_limit: u64,
    /// No further batch is begun while the input of those in flight is this many bytes or more. 64 MiB by default.
    pub bytes_in_flight: u64,
    /// Set to true to stop: what is in flight is finished, and the report says [`crate::Error::Interrupted`].
    pub cancel: Option<&'a AtomicBool>,
}

impl Options<'_> {
    /// Most batches between being read and being committed: two for each worker, and two more.
    #[must_use]
    pub fn batches_in_flight(&self) -> usize {
        self.workers.get().saturating_mul(2).saturating_add(2)
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            workers: threads::processors(),
            batch_items: NonZero::<usize>::MIN.saturating_add(63),
            item_limit: 64 << 20,
            bytes_in_flight: 64 << 20,
            cancel: None,
        }
    }
}

/// Makes the allocator keep what is freed for what comes next, up to some MiB, instead of giving it back to the system after each batch,
/// which has to clear it anew for the next one. Done at the start of every run; a caller that transforms batches by itself may do it too.
///
/// The GNU allocator draws both of its limits from the largest block that it took from the system alone and got back (mallopt(3), under
/// `M_MMAP_THRESHOLD`). On others it does nothing.
pub fn keep_freed_memory() {
    static ONCE: Once = Once::new();
    const BLOCK: usize = 8 << 20;
    // Never written to, so it takes no memory.
    ONCE.call_once(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(BLOCK))));
}

/// Transforms a batch and holds the transform to its contract.
fn transform_all(transform: &dyn Transform, items: &[Item]) -> Result<Vec<Result<Output>>> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let outputs = transform.transform(items)?;
    if outputs.len() == items.len() {
        Ok(outputs)
    } else {
        Err(crate::Error::Internal(format!("{} items gave {} results", items.len(), outputs.len())))
    }
}
