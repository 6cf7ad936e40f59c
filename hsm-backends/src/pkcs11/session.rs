//! Sessions that are opened once and used again.

use std::sync::{Arc, Mutex};

use cryptoki::session::Session;
use cryptoki::slot::Slot;

use super::error::CallError;
use super::module::{Module, lock};
use super::store::ObjectLifetime;

/// Idle sessions on one token. A login holds for all of them (PKCS#11 3.1 §5.6.8).
///
/// There is no upper limit that a caller could wait at, so no two users can lock each other out: `capacity` is how many
/// idle sessions are kept, and how many work in parallel. Where keys live in sessions, none is closed before the pool is:
/// the keys would go with it.
#[derive(Debug)]
pub(super) struct SessionPool {
    module: Arc<Module>,
    slot: Slot,
    idle: Mutex<Vec<Session>>,
    capacity: usize,
    lifetime: ObjectLifetime,
    /// Sessions that no one works with any more, but whose objects are in use.
    retired: Mutex<Vec<Session>>,
}

impl SessionPool {
    pub(super) fn new(module: Arc<Module>, slot: Slot, capacity: usize, lifetime: ObjectLifetime) -> Self {
        Self { module, slot, idle: Mutex::default(), capacity: capacity.max(1), lifetime, retired: Mutex::default() }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// An idle session, or a new one (C_OpenSession, read and write).
    pub(super) fn take(&self) -> Result<Session, CallError> {
        if let Some(session) = lock(&self.idle).pop() {
            return Ok(session);
        }
        Ok(self.module.context.open_rw_session(self.slot)?)
    }

    /// Up to `wanted` sessions; fewer if the token has no more to give, but one.
    pub(super) fn take_several(&self, wanted: usize) -> Result<Vec<Session>, CallError> {
        let mut sessions = vec![self.take()?];
        while sessions.len() < wanted.min(self.capacity) {
            match self.take() {
                Ok(session) => sessions.push(session),
                Err(_) => break,
            }
        }
        Ok(sessions)
    }

    /// Keeps a session that is in order for the next user.
    pub(super) fn give_back(&self, session: Session) {
        let mut idle = lock(&self.idle);
        if idle.len() < self.capacity {
            idle.push(session);
        } else {
            self.retire(session);
        }
    }

    /// Ends the use of a session whose state is not known: it is closed, unless keys live in it.
    pub(super) fn retire(&self, session: Session) {
        match self.lifetime {
            ObjectLifetime::Token => drop(session),
            ObjectLifetime::Session => lock(&self.retired).push(session),
        }
    }

    /// Runs `work` on a session. After an error that leaves its state unknown the session is closed, not kept.
    pub(super) fn with<T>(&self, work: impl FnOnce(&Session) -> Result<T, CallError>) -> Result<T, CallError> {
        let session = self.take()?;
        let outcome = work(&session);
        match &outcome {
            Err(error) if error.breaks_session() => {
                self.forget(error);
                self.retire(session);
            }
            _ => self.give_back(session),
        }
        outcome
    }

    /// Ends the use of all idle sessions: the token works no more, and what state they are in is not known.
    pub(super) fn retire_idle(&self) {
        let idle = std::mem::take(&mut *lock(&self.idle));
        idle.into_iter().for_each(|session| self.retire(session));
    }

    /// Closes the idle sessions too when the token is gone: none of them works any more.
    pub(super) fn forget(&self, error: &CallError) {
        if error.is_loss() {
            lock(&self.idle).clear();
        }
    }
}
