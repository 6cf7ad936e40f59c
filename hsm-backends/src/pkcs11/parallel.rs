//! Batches over several sessions: one thread a session, results in order.

use std::sync::atomic::{AtomicUsize, Ordering};

use cryptoki::session::Session;

use super::error::CallError;
use super::session::SessionPool;

/// Fewer items than this for each thread are not worth a thread.
const ITEMS_PER_THREAD: usize = 2;

/// Sessions that one batch works with. All batches of a store together have its capacity, and each has one at least: batches that come
/// from many threads do not multiply the sessions.
struct Share<'a> {
    at_work: &'a AtomicUsize,
    count: usize,
}

impl<'a> Share<'a> {
    fn take(at_work: &'a AtomicUsize, wanted: usize, capacity: usize) -> Self {
        let free = |now: usize| wanted.min(capacity.saturating_sub(now)).max(1);
        let before = at_work.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| Some(now + free(now)));
        Self { at_work, count: before.map_or(1, free) }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.at_work.fetch_sub(self.count, Ordering::Relaxed);
    }
}

/// Runs `work` on every item. The first error of a thread ends that thread's work, and the whole.
pub(super) fn over_sessions<T: Sync, R: Send>(
    pool: &SessionPool,
    items: &[T],
    work: impl Fn(&Session, &T) -> Result<R, CallError> + Sync,
) -> Result<Vec<R>, CallError> {
    let all = |session: &Session, items: &[T]| items.iter().map(|item| work(session, item)).collect::<Result<Vec<R>, CallError>>();
    let own = Share::take(pool.at_work(), items.len().div_ceil(ITEMS_PER_THREAD), pool.capacity());
    if own.count == 1 {
        return pool.with(|session| all(session, items));
    }
    let sessions = pool.take_several(own.count)?;
    let share = items.len().div_ceil(sessions.len());
    let outcomes = std::thread::scope(|scope| {
        let threads: Vec<_> = sessions
            .into_iter()
            .zip(items.chunks(share))
            .map(|(session, items)| {
                let all = &all;
                scope.spawn(move || {
                    let outcome = all(&session, items);
                    (session, outcome)
                })
            })
            .collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>()
    });
    let mut results = Vec::with_capacity(items.len());
    let mut failure = None;
    for outcome in outcomes {
        match outcome {
            Ok((session, Ok(some))) => {
                pool.give_back(session);
                results.extend(some);
            }
            Ok((session, Err(error))) => {
                if error.breaks_session() {
                    pool.forget(&error);
                    pool.retire(session);
                } else {
                    pool.give_back(session);
                }
                failure.get_or_insert(error);
            }
            Err(_) => {
                failure.get_or_insert_with(|| CallError::other("PKCS#11", "a thread of keykit ended early".into()));
            }
        }
    }
    failure.map_or(Ok(results), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_share_the_sessions_and_each_has_one() {
        let at_work = AtomicUsize::new(0);
        let first = Share::take(&at_work, 2, 3);
        let second = Share::take(&at_work, 6, 3);
        let third = Share::take(&at_work, 6, 3);
        assert_eq!([&first, &second, &third].map(|share| share.count), [2, 1, 1]);
        drop(first);
        assert_eq!(Share::take(&at_work, 6, 3).count, 1, "two of three are at work");
        drop((second, third));
        assert_eq!(Share::take(&at_work, 6, 3).count, 3);
        assert_eq!(at_work.load(Ordering::Relaxed), 0);
    }
}
