//! Batches over several sessions: one thread a session, results in order.

use cryptoki::session::Session;

use super::error::CallError;
use super::session::SessionPool;

/// Fewer items than this for each thread are not worth a thread.
const ITEMS_PER_THREAD: usize = 2;

/// Runs `work` on every item. The first error of a thread ends that thread's work, and the whole.
pub(super) fn over_sessions<T: Sync, R: Send>(
    pool: &SessionPool,
    items: &[T],
    work: impl Fn(&Session, &T) -> Result<R, CallError> + Sync,
) -> Result<Vec<R>, CallError> {
    let all = |session: &Session, items: &[T]| items.iter().map(|item| work(session, item)).collect::<Result<Vec<R>, CallError>>();
    let wanted = items.len().div_ceil(ITEMS_PER_THREAD).min(pool.capacity());
    if wanted <= 1 {
        return pool.with(|session| all(session, items));
    }
    let sessions = pool.take_several(wanted)?;
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
