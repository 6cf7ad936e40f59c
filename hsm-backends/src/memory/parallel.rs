//! One batch on all processors.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::thread::{self, Builder, ScopedJoinHandle};

/// A thread is not worth its start for fewer items.
const MIN_ITEMS_PER_THREAD: usize = 3;

/// Processors of this process. Asked once: the answer takes several reads of system files, as long as a tenth of a signature.
fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, NonZero::get))
}

/// `items` through `work`, in order, on as many threads as there are processors and enough items.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = processors().min(items.len() / MIN_ITEMS_PER_THREAD);
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let work = &work;
    let run = |share: &[T]| share.iter().map(work).collect::<Vec<R>>();
    thread::scope(|scope| {
        let mut shares = items.chunks(items.len().div_ceil(threads));
        let own = shares.next().unwrap_or_default();
        let others: Vec<_> = shares.map(|share| Builder::new().spawn_scoped(scope, move || run(share)).map_or_else(|_| Err(share), Ok)).collect();
        let mut results = run(own);
        for other in others {
            results.extend(match other {
                Ok(thread) => finish(thread),
                // The system gave no thread: the share is done here.
                Err(share) => run(share),
            });
        }
        results
    })
}

fn finish<R>(thread: ScopedJoinHandle<'_, Vec<R>>) -> Vec<R> {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_whatever_the_number() {
        for count in [0, 1, 2, 5, 6, 7, 100, 101] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(map(&items, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
        }
    }
}
