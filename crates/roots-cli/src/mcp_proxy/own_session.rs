//! The session that this process works in, and what was filled into earlier writes.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::CliError;
use crate::work_tree::WorkTree;

/// How many writes are remembered.
const WRITES_MAX: usize = 256;

/// The session of this process.
///
/// Several agents may share a work tree, and each start of a session there replaces that of the
/// tree. So the first session that is used stays that of the process until it ends.
#[derive(Debug, Default)]
pub(crate) struct OwnSession {
    pinned: Mutex<Option<i64>>,
    /// Whether the environment named the first one. Then that of the work tree may be another
    /// agent's, and is never taken.
    is_from_environment: bool,
    /// The names of writes, with the session that was filled in. A write that is repeated has to
    /// be the same.
    writes: Mutex<VecDeque<(String, Earlier)>>,
}

/// What was filled into a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Earlier {
    /// The session, if one was.
    pub(crate) session: Option<i64>,
}

impl OwnSession {
    /// With the session that the environment names.
    pub(crate) fn new(session: Option<i64>) -> Self {
        let is_from_environment = session.is_some();
        Self { pinned: Mutex::new(session), is_from_environment, writes: Mutex::default() }
    }

    /// The session to work in. Without one, it is that of the work tree from now on, unless the
    /// environment had named another.
    ///
    /// # Errors
    ///
    /// If the state of the work tree can't be read.
    pub(crate) fn session(&self, tree: &WorkTree) -> Result<Option<i64>, CliError> {
        let mut pinned = locked(&self.pinned);
        if pinned.is_none() && !self.is_from_environment {
            // What is stored: the environment was asked when the process began.
            *pinned = tree.change(|state| state.session_id)?;
        }
        Ok(*pinned)
    }

    /// The client works in this session, which it named. That decides if nothing did before.
    pub(crate) fn used(&self, session: i64) {
        locked(&self.pinned).get_or_insert(session);
    }

    /// The client started this session. It becomes that of the work tree too.
    ///
    /// # Errors
    ///
    /// If the state of the work tree can't be written.
    pub(crate) fn started(&self, session: i64, tree: &WorkTree) -> Result<(), CliError> {
        *locked(&self.pinned) = Some(session);
        tree.change(|state| state.session_id = Some(session))
    }

    /// The session has ended: nothing is written to it any more.
    ///
    /// # Errors
    ///
    /// If the state of the work tree can't be written.
    pub(crate) fn ended(&self, session: i64, tree: &WorkTree) -> Result<(), CliError> {
        locked(&self.pinned).take_if(|own| *own == session);
        tree.change(|state| state.session_id = state.session_id.filter(|own| *own != session))
    }

    /// What was filled into the write of this name.
    pub(crate) fn filled_into(&self, write: &str) -> Option<Earlier> {
        let writes = locked(&self.writes);
        writes.iter().find(|(name, _)| name == write).map(|(_, earlier)| *earlier)
    }

    /// Remembers what is filled into the write of this name.
    pub(crate) fn remember(&self, write: &str, session: Option<i64>) {
        let mut writes = locked(&self.writes);
        writes.retain(|(name, _)| name != write);
        writes.push_front((write.to_owned(), Earlier { session }));
        writes.truncate(WRITES_MAX);
    }
}

/// What the lock holds. A task that panicked left it whole.
fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_writes_are_remembered_as_they_were_last_sent() {
        let own = OwnSession::default();
        assert_eq!(own.filled_into("0"), None);
        for number in 0..=WRITES_MAX {
            own.remember(&number.to_string(), Some(1));
        }
        assert_eq!(own.filled_into("0"), None);
        assert_eq!(own.filled_into("1"), Some(Earlier { session: Some(1) }));
        own.remember("1", None);
        assert_eq!(own.filled_into("1"), Some(Earlier { session: None }));
    }
}
