//! One batch on all processors that have nothing else to do.

use std::panic::resume_unwind;
use std::thread::{self, Builder, ScopedJoinHandle};

use keykit::threads::{Helpers, Working};

/// `items` through `work`, in order, on as many threads as there are idle processors; each has `fewest` items at least.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], fewest: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let _working = Working::begin();
    let helpers = Helpers::take((items.len() / fewest.max(1)).saturating_sub(1));
    if helpers.count() == 0 {
        return items.iter().map(work).collect();
    }
    let work = &work;
    let run = |share: &[T]| share.iter().map(work).collect::<Vec<R>>();
    thread::scope(|scope| {
        let mut shares = shares(items, helpers.count() + 1);
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

/// `items` in `count` parts, the first ones longer by one where they cannot be of one length.
fn shares<T>(items: &[T], count: usize) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    (0..count).map(move |number| {
        let (share, others) = rest.split_at(rest.len().div_ceil(count - number));
        rest = others;
        share
    })
}

fn finish<R>(thread: ScopedJoinHandle<'_, Vec<R>>) -> Vec<R> {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn order_is_kept_whatever_the_number() {
        for count in [0, 1, 2, 5, 6, 7, 100, 101] {
            let items: Vec<usize> = (0..count).collect();
            for fewest in [0, 1, 3] {
                assert_eq!(map(&items, fewest, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn shares_differ_by_one_at_most() {
        let items = [0; 20];
        assert_eq!(shares(&items, 3).map(<[_]>::len).collect::<Vec<_>>(), [7, 7, 6]);
        assert_eq!(shares(&items[..3], 3).map(<[_]>::len).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!(shares(&items[..1], 2).map(<[_]>::len).collect::<Vec<_>>(), [1, 0]);
    }

    /// A batch inside of a batch stays on its thread while others are at work: the threads are as many as the processors, not their square.
    #[test]
    fn a_batch_inside_of_a_batch_starts_no_threads() {
        let processors = keykit::threads::processors().get();
        let at_once = std::sync::Barrier::new(processors);
        let threads = Mutex::new(HashSet::new());
        let items: Vec<usize> = (0..100).collect();
        thread::scope(|scope| {
            for _ in 0..processors {
                scope.spawn(|| {
                    let _working = Working::begin();
                    at_once.wait();
                    map(&items, 1, |_| threads.lock().unwrap().insert(thread::current().id()));
                    at_once.wait();
                });
            }
        });
        assert_eq!(threads.into_inner().unwrap().len(), processors);
    }
}
