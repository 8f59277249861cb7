//! Writer queues. A queue is bounded, and accounts take turns in it ([`FairQueue`]).
//!
//! There is no timer: while one batch is made durable the next one gathers, so a lone write waits
//! for nobody and the cost of a write falls as load grows.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roots_domain::command::Command;
use roots_domain::model::id::AccountId;
use roots_domain::port::store::StoreError;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::fair_queue::FairQueue;
use super::in_flight::InFlight;
use super::queued::{QueuedCommand, Reply};

/// How long a write waits for room in the queue before it is refused. A burst finds room in that
/// time. A refusal costs nearly as much as a write: the later it comes, the less do clients that
/// retry at once take from admitted ones.
const ROOM_WITHIN: Duration = Duration::from_millis(25);

/// What the two ends of a writer queue share.
#[derive(Default)]
pub(super) struct SharedQueue {
    state: Mutex<QueueState>,
    /// Tells the worker that something was queued.
    filled: Notify,
    /// Tells callers, one for each command that was taken, that there is room.
    room: Notify,
}

#[derive(Default)]
struct QueueState {
    queue: FairQueue<QueuedCommand>,
    /// Nothing is queued any more.
    is_closed: bool,
}

/// Why a command is not queued.
#[derive(Debug)]
pub(super) enum NotQueued {
    Full,
    Closed,
}

/// A slot in the queue. The queue is locked until the slot is filled.
pub(super) struct QueueSlot<'a> {
    state: MutexGuard<'a, QueueState>,
    filled: &'a Notify,
}

impl QueueSlot<'_> {
    pub(super) fn fill(self, queued: QueuedCommand) {
        let Self { mut state, filled } = self;
        state.queue.push(turn_of(&queued.command), queued.command.action.stands_alone(), queued);
        drop(state);
        filled.notify_one();
    }
}

/// The account whose turn a command takes: the one that asks, or else the one that it writes in.
/// Commands of no account share the turn of an account 0, which does not exist.
pub(super) fn turn_of(command: &Command) -> AccountId {
    command.accounts().next().unwrap_or(AccountId(0))
}

impl SharedQueue {
    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot for a command of that account.
    pub(super) fn slot(&self, turn: AccountId) -> Result<QueueSlot<'_>, NotQueued> {
        let state = self.state();
        match (state.is_closed, state.queue.has_room(turn)) {
            (true, _) => Err(NotQueued::Closed),
            (false, false) => Err(NotQueued::Full),
            (false, true) => Ok(QueueSlot { state, filled: &self.filled }),
        }
    }

    pub(super) fn take(&self, most: usize) -> Vec<QueuedCommand> {
        let batch = self.state().queue.take(most);
        for _ in &batch {
            self.room.notify_one();
        }
        batch
    }

    /// The next batch. Empty once the queue is closed and empty.
    pub(super) async fn next(&self, most: usize) -> Vec<QueuedCommand> {
        loop {
            // Before the look at the queue, so that nothing is closed unseen in between.
            let is_closed = self.state().is_closed;
            let batch = self.take(most);
            if is_closed || !batch.is_empty() {
                return batch;
            }
            self.filled.notified().await;
        }
    }

    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.room.notify_waiters();
    }

    /// Closes the queue and drops what is queued: its callers are told that the outcome is unknown.
    pub(super) fn abandon(&self) {
        self.close();
        let queue = std::mem::take(&mut self.state().queue);
        drop(queue);
    }
}

/// The sending end of a writer queue.
#[derive(Clone)]
pub(crate) struct WriterQueue {
    shared: Arc<SharedQueue>,
    in_flight: InFlight,
}

impl WriterQueue {
    pub(super) fn new(in_flight: InFlight) -> Self {
        Self { shared: Arc::default(), in_flight }
    }

    /// What it shares with its worker.
    pub(super) fn shared(&self) -> Arc<SharedQueue> {
        Arc::clone(&self.shared)
    }

    /// Whether its worker has stopped.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.state().is_closed
    }

    /// Queues a command and waits for its reply. A command with the idempotency key of one that is
    /// still in flight is refused at once, one that finds no room within 25 ms.
    pub(crate) async fn apply(&self, command: Command) -> Reply {
        let claim = self.in_flight.claim(&command)?;
        let (queued, reply) = QueuedCommand::new(command, claim);
        self.queue(queued).await?;
        // The worker answers each command that it takes, unless it is killed at work.
        let lost = || StoreError::OutcomeUnknown("the writer stopped".to_owned());
        reply.await.unwrap_or_else(|_| Err(lost().into()))
    }

    /// Queues a command, once there is room for its account. It looks at once, whenever it is told
    /// of room, and once more when its time is up: only one caller is told of room, and its account
    /// may not be one that may take it.
    async fn queue(&self, queued: QueuedCommand) -> Result<(), StoreError> {
        let turn = turn_of(&queued.command);
        let mut room = pin!(self.shared.room.notified());
        let (mut until, mut is_late) = (None, false);
        loop {
            match self.shared.slot(turn) {
                Ok(slot) => {
                    slot.fill(queued);
                    return Ok(());
                }
                Err(NotQueued::Closed) => return Err(gone()),
                Err(NotQueued::Full) if is_late => return Err(StoreError::Busy),
                Err(NotQueued::Full) => {}
            }
            if let Some(until) = until {
                is_late = tokio::time::timeout_at(until, room.as_mut()).await.is_err();
                room.set(self.shared.room.notified());
            } else {
                until = Some(Instant::now() + ROOM_WITHIN);
            }
            // Listens before it looks again, so that no room is made unheard in between.
            room.as_mut().enable();
        }
    }
}

pub(crate) fn gone() -> StoreError {
    StoreError::Unavailable("the writer has stopped".to_owned())
}

#[cfg(test)]
mod tests {
    use roots_domain::command::SystemAction;
    use roots_domain::model::time::Timestamp;
    use roots_domain::port::store::ApplyError;

    use super::*;
    use crate::write::fair_queue::QUEUE_MAX_COMMANDS;

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_after_25_ms_unless_the_account_is_below_its_share() {
        let near = WriterQueue::new(InFlight::default());
        let of =
            |account| QueuedCommand::unheard(SystemAction::SweepErased(AccountId(account))).command;
        let ask = |account| {
            let near = near.clone();
            tokio::spawn(async move { near.apply(of(account)).await })
        };
        let waiting: Vec<_> = (0..QUEUE_MAX_COMMANDS).map(|_| ask(1)).collect();
        while near.shared.state().queue.has_room(AccountId(1)) {
            tokio::task::yield_now().await;
        }
        let begun = Instant::now();
        assert_eq!(near.apply(of(1)).await, Err(ApplyError::Store(StoreError::Busy)));
        assert!(begun.elapsed() >= ROOM_WITHIN && begun.elapsed() <= 2 * ROOM_WITHIN);

        // One that finds room meanwhile is not refused.
        let next = ask(1);
        tokio::time::sleep(ROOM_WITHIN / 2).await;
        assert_eq!(near.shared.take(1).len(), 1);
        tokio::time::sleep(2 * ROOM_WITHIN).await;
        assert!(!next.is_finished() && !near.shared.state().queue.has_room(AccountId(1)));

        // Another account is queued at once, and is in the next batch but one.
        let other = ask(2);
        tokio::task::yield_now().await;
        let taken: Vec<_> = (0..2).flat_map(|_| near.shared.take(1)).collect();
        let accounts: Vec<_> = taken.iter().flat_map(|queued| queued.command.accounts()).collect();
        assert_eq!(accounts, [AccountId(1), AccountId(2)]);

        // A worker that ends abandons its queue, which tells all that wait.
        near.shared.abandon();
        drop(taken);
        let lost = |answer| matches!(answer, Err(ApplyError::Store(StoreError::OutcomeUnknown(_))));
        for task in waiting.into_iter().chain([next, other]) {
            assert!(lost(task.await.unwrap()));
        }
    }

    /// One caller is told of room for each command that is taken. The news is lost where that
    /// caller's account may not take it.
    #[tokio::test(start_paused = true)]
    async fn a_write_whose_wakeup_went_to_another_caller_is_queued_when_its_25_ms_end() {
        let near = WriterQueue::new(InFlight::default());
        let ask = |account| {
            let near = near.clone();
            let account = AccountId(account);
            let command = QueuedCommand::unheard(SystemAction::ForgetIdempotencyRecords {
                account,
                before: Timestamp::FIRST,
            })
            .command;
            tokio::spawn(async move { near.apply(command).await })
        };
        let mut queued = Vec::new();
        for account in [1, 2] {
            while near.shared.state().queue.has_room(AccountId(account)) {
                queued.push(ask(account));
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(queued.len(), QUEUE_MAX_COMMANDS + QUEUE_MAX_COMMANDS / 2);
        let begun = Instant::now();
        let of_two = ask(2);
        tokio::task::yield_now().await;
        let of_one = ask(1);
        tokio::task::yield_now().await;
        // The first command is of account 1, and account 2's caller is told; then the other way
        // round.
        let mut taken = Vec::new();
        for account in [1, 2] {
            taken.extend(near.shared.take(1));
            let accounts: Vec<_> =
                taken.iter().flat_map(|queued| queued.command.accounts()).collect();
            assert_eq!(accounts.last(), Some(&AccountId(account)));
            tokio::task::yield_now().await;
        }
        assert!(near.shared.state().queue.has_room(AccountId(2)) && !of_two.is_finished());
        assert_eq!(of_one.await.unwrap(), Err(ApplyError::Store(StoreError::Busy)));
        assert!(begun.elapsed() >= ROOM_WITHIN);
        tokio::time::sleep(ROOM_WITHIN).await;
        assert!(!of_two.is_finished() && !near.shared.state().queue.has_room(AccountId(2)));
    }
}
