//! The workers of the writer queues: a worker takes commands from its queue and applies them in
//! batches.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use roots_domain::command::{Action, Applied, Command, Refusal, SystemAction};
use roots_domain::port::store::{ApplyError, StoreError};
use tokio::sync::watch;
use tokio::time::Instant;

use super::batch::Decisions;
use super::blocked_queue::BlockedQueue;
use super::connection::WriterConnection;
use super::in_flight::InFlight;
use super::lock::Wait;
use super::queue::{SharedQueue, WriterQueue};
use super::queued::{QueuedBatch, QueuedCommand, Reply};
use crate::connect::source::Source;
use crate::errors::BatchError;

/// How often a batch is tried when another process writes the same rows.
const ATTEMPTS: u32 = 6;
/// After this time it is not retried: waiting for a lock already takes long, and callers wait.
const PATIENCE: Duration = Duration::from_secs(3);
/// The pause before the second attempt. It doubles with each attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(4);

/// The receiving end of a writer queue: it applies what is queued.
pub(crate) struct QueueWorker {
    shared: Arc<SharedQueue>,
    closing: watch::Receiver<bool>,
    /// The queue for accounts that another process has locked. Without one the worker waits for the
    /// lock.
    blocked_queue: Option<BlockedQueue>,
}

impl Drop for QueueWorker {
    /// Queued commands still have callers, which are told that the outcome is unknown.
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

/// A writer queue that takes commands until `closing` turns true, and then finishes those it has.
pub(crate) fn writer_queue(
    closing: watch::Receiver<bool>,
    in_flight: InFlight,
    blocked_queue: Option<&WriterQueue>,
    node: Option<Source>,
) -> (WriterQueue, QueueWorker) {
    let queue = WriterQueue::new(in_flight, node);
    let blocked_queue = blocked_queue.map(|blocked| BlockedQueue::new(blocked.shared()));
    let worker = QueueWorker { shared: queue.shared(), closing, blocked_queue };
    (queue, worker)
}

impl QueueWorker {
    /// Applies batches until it is told to close and its queue is empty.
    pub(super) async fn run(self, connection: WriterConnection) {
        let blocked_queue = self.blocked_queue.clone();
        self.each(connection.batch_max(), |batch| {
            work_off(&connection, blocked_queue.as_ref(), batch)
        })
        .await;
        connection.close().await;
    }

    /// Takes batches of at most `batch_max` commands, until it is told to close and its queue is
    /// empty. If a batch panics, its callers are told that the outcome is unknown, and the worker
    /// continues.
    async fn each<F: Future<Output = ()>>(
        mut self,
        batch_max: usize,
        mut work_off: impl FnMut(Vec<QueuedCommand>) -> F,
    ) {
        let mut is_closed = false;
        loop {
            let batch = tokio::select! {
                biased;
                _ = self.closing.wait_for(|closing| *closing), if !is_closed => {
                    self.shared.close();
                    is_closed = true;
                    continue;
                }
                batch = self.shared.next(batch_max) => batch,
            };
            if batch.is_empty() {
                break;
            }
            if AssertUnwindSafe(work_off(batch)).catch_unwind().await.is_err() {
                tracing::error!("a batch panicked");
            }
        }
    }
}

/// Applies a batch and answers its commands. A lock that another process holds delays only the
/// callers of its account: the others are answered first. Then the locked accounts wait for the
/// lock, in the blocked queue if there is one.
async fn work_off(
    connection: &WriterConnection,
    blocked_queue: Option<&BlockedQueue>,
    commands: Vec<QueuedCommand>,
) {
    let mut batch = QueuedBatch::from(commands);
    if let [Command { action: Action::System(SystemAction::CountCalls(_)), .. }] =
        batch.commands[..]
    {
        // It locks many accounts, and is repeated anyway.
        return batch.settle(connection, Wait::Briefly).await;
    }
    let mut locked_out = Vec::new();
    if let Some(blocked_queue) = blocked_queue {
        let (followers, others) = blocked_queue.followers(batch);
        locked_out.push(followers);
        batch = others;
    }
    let accounts: BTreeSet<_> = batch.commands.iter().flat_map(Command::accounts).collect();
    let accounts = accounts.len();
    if accounts < 2 && blocked_queue.is_none() {
        return batch.settle(connection, Wait::Out).await;
    }
    if !batch.commands.is_empty() {
        match apply(connection, &batch.commands, Wait::Briefly).await {
            Err(BatchError::Locked(_)) if accounts < 2 => locked_out.push(batch),
            Err(error @ (BatchError::Locked(_) | BatchError::Moved)) => {
                tracing::warn!(
                    cause = %StoreError::from(error),
                    accounts,
                    "a batch met a lock or a moved shard: trying each account by itself"
                );
                // Each takes half a second if it is locked: after some of them, the rest is moved
                // without a try.
                let patience = Instant::now() + PATIENCE;
                for batch in batch.by_accounts() {
                    if blocked_queue.is_some() && Instant::now() > patience {
                        locked_out.push(batch);
                        continue;
                    }
                    match apply(connection, &batch.commands, Wait::Briefly).await {
                        Err(BatchError::Locked(_)) => locked_out.push(batch),
                        applied => batch.answer(connection, applied).await,
                    }
                }
            }
            applied => batch.answer(connection, applied).await,
        }
    }
    for mut batch in locked_out {
        if let Some(blocked_queue) = blocked_queue {
            batch = blocked_queue.take(batch);
        }
        if !batch.commands.is_empty() {
            batch.settle(connection, Wait::Out).await;
        }
    }
}

impl QueuedBatch {
    async fn settle(self, connection: &WriterConnection, wait: Wait) {
        let applied = apply(connection, &self.commands, wait).await;
        self.answer(connection, applied).await;
    }

    /// Answers all callers after COMMIT: a refusal may also depend on a write in the same batch. If
    /// the data causes a failure, each command is tried once alone, so that only the faulty one
    /// fails.
    async fn answer(self, connection: &WriterConnection, applied: Result<Decisions, BatchError>) {
        let Self { commands, callers } = self;
        match applied {
            Err(BatchError::Data(cause)) if commands.len() > 1 => {
                tracing::warn!(
                    cause,
                    commands = commands.len(),
                    "a batch failed: trying each command alone"
                );
                for (command, caller) in commands.into_iter().zip(callers) {
                    let alone = apply(connection, &[command], Wait::Out).await;
                    // At once, because the next one may take long.
                    caller.send(worded(alone.map(|mut answers| answers.pop())));
                }
            }
            Err(error) => {
                for caller in callers {
                    caller.send(worded(Err(error.clone())));
                }
            }
            Ok(answers) => {
                for (caller, answer) in callers.into_iter().zip(answers) {
                    caller.send(worded(Ok(Some(answer))));
                }
            }
        }
    }
}

type Decided = Result<Applied, Refusal>;

fn worded(answer: Result<Option<Decided>, BatchError>) -> Reply {
    match answer {
        Ok(Some(decided)) => decided.map_err(ApplyError::Refused),
        Ok(None) => Err(StoreError::Broken("a command was not decided".to_owned()).into()),
        Err(error) => Err(ApplyError::Store(error.into())),
    }
}

async fn apply(
    connection: &WriterConnection,
    commands: &[Command],
    wait: Wait,
) -> Result<Decisions, BatchError> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    for _ in 1..ATTEMPTS {
        match connection.apply(commands, wait).await {
            Err(BatchError::Contended(cause)) if begun.elapsed() < PATIENCE => {
                tracing::debug!(cause, "a batch was overtaken");
            }
            settled => return settled,
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    connection.apply(commands, wait).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::queue::gone;

    #[test]
    fn a_queue_without_a_worker_is_closed() {
        let (_open, closing) = watch::channel(false);
        let (near, far) = writer_queue(closing, InFlight::default(), None, None);
        assert!(!near.is_closed());
        drop(far);
        assert!(near.is_closed());
    }

    #[tokio::test]
    async fn a_batch_that_panics_fails_only_its_own_callers() {
        let (open, closing) = watch::channel(false);
        let (near, far) = writer_queue(closing, InFlight::default(), None, None);
        let mut first = true;
        let working = tokio::spawn(far.each(64, move |commands| {
            let is_first = std::mem::take(&mut first);
            async move {
                assert!(!is_first, "the first batch");
                for queued in commands {
                    let failed = BatchError::Data("the second batch".to_owned());
                    queued.reply_to.send(worded(Err(failed)));
                }
            }
        }));
        let lost =
            near.apply(QueuedCommand::without_caller(SystemAction::ReserveAccount).command).await;
        assert!(matches!(lost, Err(ApplyError::Store(StoreError::OutcomeUnknown(_)))), "{lost:?}");
        let next =
            near.apply(QueuedCommand::without_caller(SystemAction::ReserveAccount).command).await;
        assert!(matches!(next, Err(ApplyError::Store(StoreError::Broken(_)))), "{next:?}");
        open.send_replace(true);
        working.await.unwrap();
        let late =
            near.apply(QueuedCommand::without_caller(SystemAction::ReserveAccount).command).await;
        assert_eq!(late, Err(gone().into()));
    }
}
