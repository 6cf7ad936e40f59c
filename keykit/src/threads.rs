//! How many threads of this process compute, so that parallel parts inside of parallel parts do not start more of them than there are
//! processors.
//!
//! A thread that computes says so with [`Working`]; one that could use others asks for them with [`Helpers`], and gets as many as there
//! are processors without work. So a batch that is signed alone has all processors, and each of many batches in the bulk machinery has
//! the thread that it is in.

use std::cell::Cell;
use std::marker::PhantomData;
use std::num::NonZero;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Threads that compute or are about to.
static AT_WORK: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this thread is counted already.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

/// Processors of this process. Asked once: the answer takes several reads of system files, as long as a tenth of a signature.
#[must_use]
pub fn processors() -> NonZero<usize> {
    static PROCESSORS: OnceLock<NonZero<usize>> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN))
}

/// While it lives, the thread that made it counts as one that computes. Further ones on the same thread change nothing.
#[derive(Debug)]
#[must_use]
pub struct Working {
    counts: bool,
    /// Not for another thread.
    _here: PhantomData<*const ()>,
}

impl Working {
    /// Counts this thread.
    pub fn begin() -> Self {
        let counts = !COUNTED.replace(true);
        if counts {
            AT_WORK.fetch_add(1, Ordering::Relaxed);
        }
        Self { counts, _here: PhantomData }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if self.counts {
            AT_WORK.fetch_sub(1, Ordering::Relaxed);
            COUNTED.set(false);
        }
    }
}

/// Threads that may be started to help this one, for as long as it lives.
#[derive(Debug)]
#[must_use]
pub struct Helpers(usize);

impl Helpers {
    /// As many as there are processors without work, but no more than `wanted`. Waits for none. The caller counts as [`Working`].
    pub fn take(wanted: usize) -> Self {
        Self::take_of(&AT_WORK, processors().get(), wanted)
    }

    fn take_of(at_work: &AtomicUsize, processors: usize, wanted: usize) -> Self {
        let free = |now: usize| wanted.min(processors.saturating_sub(now));
        let before = at_work.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| Some(now + free(now)));
        Self(before.map_or(0, free))
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        AT_WORK.fetch_sub(self.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_are_what_is_left_of_the_processors() {
        let at_work = AtomicUsize::new(1);
        let granted = |processors, wanted| {
            let helpers = Helpers::take_of(&at_work, processors, wanted);
            let count = helpers.count();
            // Given back to the count that they were taken from.
            std::mem::forget(helpers);
            count
        };
        assert_eq!(granted(4, 2), 2);
        assert_eq!(granted(4, 2), 1, "three of four work");
        assert_eq!(granted(4, 2), 0);
        assert_eq!(granted(2, 9), 0, "more work than there are processors");
        assert_eq!(at_work.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn a_thread_counts_once_however_deep_it_is() {
        let outer = Working::begin();
        let inner = Working::begin();
        assert!(outer.counts && !inner.counts);
        drop(inner);
        let again = Working::begin();
        assert!(!again.counts, "the outer one still counts");
        drop(again);
        drop(outer);
        assert!(Working::begin().counts);
    }
}
