//! The rest of deletions, done in steps: links to deleted sessions, and rows of erased accounts.
//!
//! Each step is a small command of its own, so that other writes run between steps. Accounts take
//! turns. If a process stops midway, any other continues.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::outcome::WriteError;
use crate::command::{Action, Command, SystemAction};
use crate::model::id::AccountId;
use crate::model::session::UNLINKED_AT_ONCE_MAX;
use crate::port::clock::Clock;
use crate::port::store::{ApplyError, CommandStore, Leftover, LeftoverReader, StoreError};

/// How often a step is tried while the queue is full, before it is left for later. Each try waits
/// for space as long as any write does.
const BUSY_TRIES: u32 = 40;

/// Why some work is left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {error}", .account.map_or_else(|| "what deletions have left".to_owned(), |id| format!("account {id}")))]
pub struct StillLeft {
    /// The account, if known.
    pub account: Option<AccountId>,
    /// The error that stopped it.
    pub error: WriteError,
}

/// Does the rest of deletions.
#[derive(Clone)]
pub struct Leftovers {
    /// Applies the steps.
    pub commands: Arc<dyn CommandStore>,
    /// Finds the remaining work.
    pub reader: Arc<dyn LeftoverReader>,
    /// Tells the time of a step.
    pub clock: Arc<dyn Clock>,
    /// Lets only one task work at a time.
    pub single_flight: SingleFlight,
}

/// Whether a task is at work, and how many requests came since. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct SingleFlight(Arc<AtomicUsize>);

/// Marks a task as at work until it ends, even by a panic.
struct FlightGuard<'a> {
    single_flight: &'a SingleFlight,
    has_ended: bool,
}

impl SingleFlight {
    /// Begins work, unless another task is at work, which then looks again before it ends.
    fn begin(&self) -> Option<FlightGuard<'_>> {
        let is_first = self.0.fetch_add(1, Ordering::AcqRel) == 0;
        is_first.then_some(FlightGuard { single_flight: self, has_ended: false })
    }

    fn asked(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

impl FlightGuard<'_> {
    /// Ends the work, unless there were requests since `asked` was read. Returns whether it has
    /// ended.
    fn end(&mut self, asked: usize) -> bool {
        let ended =
            self.single_flight.0.compare_exchange(asked, 0, Ordering::AcqRel, Ordering::Acquire);
        self.has_ended = ended.is_ok();
        self.has_ended
    }
}

impl Drop for FlightGuard<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.single_flight.0.store(0, Ordering::Release);
        }
    }
}

impl Leftovers {
    /// Does all remaining work, one step for each account at a time. Returns at once if this
    /// process is already doing it. An account whose step fails is left for the next call and does
    /// not block others.
    ///
    /// # Errors
    /// The first error, after everything else is done.
    pub async fn work_off(&self) -> Result<(), StillLeft> {
        let Some(mut flight) = self.single_flight.begin() else { return Ok(()) };
        loop {
            let asked = self.single_flight.asked();
            let outcome = self.all().await;
            if flight.end(asked) {
                return outcome;
            }
        }
    }

    async fn all(&self) -> Result<(), StillLeft> {
        let (mut failed, mut stuck) = (None, BTreeSet::new());
        let (mut after, mut has_moved) = (None, false);
        loop {
            let found = self.reader.left_over(after).await;
            let found = found.map_err(|error| StillLeft { account: None, error: error.into() })?;
            let Some(leftover) = found else {
                if !std::mem::take(&mut has_moved) {
                    return failed.map_or(Ok(()), Err);
                }
                after = None;
                continue;
            };
            let account = leftover.account();
            after = Some(account);
            if stuck.contains(&account) {
                continue;
            }
            match self.step(leftover).await {
                Ok(()) => has_moved = true,
                Err(error) => {
                    stuck.insert(account);
                    failed = failed.or(Some(StillLeft { account: Some(account), error }));
                }
            }
        }
    }

    async fn step(&self, leftover: Leftover) -> Result<(), WriteError> {
        let action = || match leftover {
            Leftover::Erased(account) => SystemAction::SweepErased(account),
            Leftover::Linked(account, session) => {
                SystemAction::UnlinkSession { account, session, rows: UNLINKED_AT_ONCE_MAX }
            }
        };
        let mut applied = Ok(());
        for _ in 0..BUSY_TRIES {
            let command = Command::uncharged(Action::System(action()), self.clock.now());
            applied = self.commands.apply(command).await.map(|_| ());
            if applied != Err(ApplyError::Store(StoreError::Busy)) {
                break;
            }
        }
        Ok(applied?)
    }
}
