//! Writer queues. A queue is bounded, and accounts take turns in it ([`FairQueue`]).
//!
//! There is no timer: while one batch becomes durable, the next one gathers. So a single write
//! never waits, and the cost of a write falls as load grows.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roots_domain::command::Command;
use roots_domain::port::store::StoreError;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::fair_queue::{FairQueue, Flow};
use super::in_flight::InFlight;
use super::queued::{QueuedCommand, Reply};
use crate::connect::source::Source;

/// How long a write waits for space in the queue before it is refused. A burst gets space in that
/// time. A refusal costs nearly as much as a write: the later it comes, the less clients that retry
/// at once take from admitted ones.
const ROOM_WITHIN: Duration = Duration::from_millis(25);

/// The state that both ends of a writer queue share.
#[derive(Default)]
pub(super) struct SharedQueue {
    /// The node of a cluster whose shards share batches.
    node: Option<Source>,
    state: Mutex<QueueState>,
    /// Tells the worker that something was queued.
    filled: Notify,
    /// Tells callers that there is space: one caller for each command that was taken.
    room: Notify,
}

#[derive(Default)]
struct QueueState {
    queue: FairQueue<QueuedCommand>,
    /// No more commands are accepted.
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
    queue: &'a SharedQueue,
}

impl QueueSlot<'_> {
    pub(super) fn fill(self, queued: QueuedCommand) {
        let Self { mut state, queue } = self;
        let command = &queued.command;
        let (flow, stands_alone) = (flow_of(command), command.action.stands_alone());
        let node = queue.node.as_ref();
        let shard = node.and_then(|node| node.shard_of(command.accounts()));
        let lane = shard.map_or(0, |shard| shard.number());
        state.queue.push(flow, lane, stands_alone, queued);
        drop(state);
        queue.filled.notify_one();
    }
}

/// The flow of a command: that of the account that asks, or else of the one that it writes in.
pub(super) fn flow_of(command: &Command) -> Flow {
    command.accounts().next().map_or(Flow::NoAccount, Flow::Account)
}

impl SharedQueue {
    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot for a command of that flow.
    pub(super) fn slot(&self, flow: Flow) -> Result<QueueSlot<'_>, NotQueued> {
        let state = self.state();
        match (state.is_closed, state.queue.has_room(flow)) {
            (true, _) => Err(NotQueued::Closed),
            (false, false) => Err(NotQueued::Full),
            (false, true) => Ok(QueueSlot { state, queue: self }),
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
            // Read before the queue, so that closing in between is not missed.
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

    /// Closes the queue and drops its commands: their callers are told that the outcome is unknown.
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
    pub(super) fn new(in_flight: InFlight, node: Option<Source>) -> Self {
        let shared = SharedQueue { node, ..SharedQueue::default() };
        Self { shared: Arc::new(shared), in_flight }
    }

    /// The state that it shares with its worker.
    pub(super) fn shared(&self) -> Arc<SharedQueue> {
        Arc::clone(&self.shared)
    }

    /// Whether its worker has stopped.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.state().is_closed
    }

    /// Queues a command and waits for its reply. A command with the idempotency key of a command in
    /// progress is refused at once. One for which there is no space is refused after 25 ms.
    pub(crate) async fn apply(&self, command: Command) -> Reply {
        let claim = self.in_flight.claim(&command)?;
        let (queued, reply) = QueuedCommand::new(command, claim);
        self.queue(queued).await?;
        // The worker answers each command that it takes, unless it is killed.
        let lost = || StoreError::OutcomeUnknown("the writer stopped".to_owned());
        reply.await.unwrap_or_else(|_| Err(lost().into()))
    }

    /// Queues a command once there is space for its account. It tries at once, whenever it is told
    /// of space, and once more when its time is up: only one caller is told of space, and that
    /// caller's account may not be allowed to use it.
    async fn queue(&self, queued: QueuedCommand) -> Result<(), StoreError> {
        let flow = flow_of(&queued.command);
        let mut room = pin!(self.shared.room.notified());
        let (mut until, mut is_late) = (None, false);
        loop {
            match self.shared.slot(flow) {
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
            // Listens before it tries again, so that no notice is missed in between.
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
    use roots_domain::model::id::AccountId;
    use roots_domain::model::time::Timestamp;
    use roots_domain::port::store::ApplyError;

    use super::*;
    use crate::write::fair_queue::QUEUE_MAX_COMMANDS;

    const fn flow(account: i64) -> Flow {
        Flow::Account(AccountId(account))
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_after_25_ms_unless_the_account_is_below_its_share() {
        let near = WriterQueue::new(InFlight::default(), None);
        let of = |account| {
            QueuedCommand::without_caller(SystemAction::SweepErased(AccountId(account))).command
        };
        let ask = |account| {
            let near = near.clone();
            tokio::spawn(async move { near.apply(of(account)).await })
        };
        let waiting: Vec<_> = (0..QUEUE_MAX_COMMANDS).map(|_| ask(1)).collect();
        while near.shared.state().queue.has_room(flow(1)) {
            tokio::task::yield_now().await;
        }
        let begun = Instant::now();
        assert_eq!(near.apply(of(1)).await, Err(ApplyError::Store(StoreError::Busy)));
        assert!(begun.elapsed() >= ROOM_WITHIN && begun.elapsed() <= 2 * ROOM_WITHIN);

        // A command that gets space meanwhile is not refused.
        let next = ask(1);
        tokio::time::sleep(ROOM_WITHIN / 2).await;
        assert_eq!(near.shared.take(1).len(), 1);
        tokio::time::sleep(2 * ROOM_WITHIN).await;
        assert!(!next.is_finished() && !near.shared.state().queue.has_room(flow(1)));

        // Another account's command is queued at once, and is in the batch after the next.
        let other = ask(2);
        tokio::task::yield_now().await;
        let taken: Vec<_> = (0..2).flat_map(|_| near.shared.take(1)).collect();
        let accounts: Vec<_> = taken.iter().flat_map(|queued| queued.command.accounts()).collect();
        assert_eq!(accounts, [AccountId(1), AccountId(2)]);

        // A worker that ends abandons its queue, which tells all waiting callers.
        near.shared.abandon();
        drop(taken);
        let lost = |answer| matches!(answer, Err(ApplyError::Store(StoreError::OutcomeUnknown(_))));
        for task in waiting.into_iter().chain([next, other]) {
            assert!(lost(task.await.unwrap()));
        }
    }

    /// One caller is told of space for each command that is taken. The notice is lost if that
    /// caller's account may not use the space.
    #[tokio::test(start_paused = true)]
    async fn a_write_whose_wakeup_went_to_another_caller_is_queued_when_its_25_ms_end() {
        let near = WriterQueue::new(InFlight::default(), None);
        let ask = |account| {
            let near = near.clone();
            let account = AccountId(account);
            let command = QueuedCommand::without_caller(SystemAction::ForgetIdempotencyRecords {
                account,
                before: Timestamp::FIRST,
            })
            .command;
            tokio::spawn(async move { near.apply(command).await })
        };
        let mut queued = Vec::new();
        for account in [1, 2] {
            while near.shared.state().queue.has_room(flow(account)) {
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
        // The first command is of account 1, and account 2's caller is told; then the reverse.
        let mut taken = Vec::new();
        for account in [1, 2] {
            taken.extend(near.shared.take(1));
            let accounts: Vec<_> =
                taken.iter().flat_map(|queued| queued.command.accounts()).collect();
            assert_eq!(accounts.last(), Some(&AccountId(account)));
            tokio::task::yield_now().await;
        }
        assert!(near.shared.state().queue.has_room(flow(2)) && !of_two.is_finished());
        assert_eq!(of_one.await.unwrap(), Err(ApplyError::Store(StoreError::Busy)));
        assert!(begun.elapsed() >= ROOM_WITHIN);
        tokio::time::sleep(ROOM_WITHIN).await;
        assert!(!of_two.is_finished() && !near.shared.state().queue.has_room(flow(2)));
    }
}
