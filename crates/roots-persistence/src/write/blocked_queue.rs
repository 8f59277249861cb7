//! The blocked queue, on PostgreSQL. When another process holds an account's lock, the worker moves
//! that account's commands there, so that other accounts do not wait behind them.

use std::sync::Arc;

use roots_domain::port::store::StoreError;

use super::blocked_accounts::BlockedAccounts;
use super::queue::{NotQueued, SharedQueue, flow_of};
use super::queued::{QueuedBatch, QueuedCommand};

/// The queue of commands whose accounts another process has locked.
#[derive(Clone)]
pub(super) struct BlockedQueue {
    queue: Arc<SharedQueue>,
    accounts: BlockedAccounts,
}

impl BlockedQueue {
    /// The blocked queue, as one writer queue sees it.
    pub(super) fn new(queue: Arc<SharedQueue>) -> Self {
        Self { queue, accounts: BlockedAccounts::default() }
    }

    /// Splits off the commands of accounts that already have commands there, behind which they must
    /// queue.
    pub(super) fn followers(&self, batch: QueuedBatch) -> (QueuedBatch, QueuedBatch) {
        let waiting = self.accounts.waiting();
        if waiting.is_empty() {
            return (QueuedBatch::default(), batch);
        }
        let is_waiting = |account| waiting.contains_key(&account);
        let follows = |queued: &QueuedCommand| queued.command.accounts().any(is_waiting);
        let (followers, others): (Vec<_>, Vec<_>) = batch.into_commands().partition(follows);
        (followers.into(), others.into())
    }

    /// Queues commands in order. Refuses those for which there is no space. Returns those that come
    /// after the queue was closed.
    pub(super) fn take(&self, batch: QueuedBatch) -> QueuedBatch {
        let mut late = Vec::new();
        for mut queued in batch.into_commands() {
            queued.reply_to.blocked = Some(self.accounts.mark(queued.command.accounts()));
            match self.queue.slot(flow_of(&queued.command)) {
                Ok(slot) => slot.fill(queued),
                Err(NotQueued::Closed) => late.push(queued),
                Err(NotQueued::Full) => queued.reply_to.send(Err(StoreError::Busy.into())),
            }
        }
        late.into()
    }
}

#[cfg(test)]
mod tests {
    use roots_domain::command::{Command, SystemAction};
    use roots_domain::model::id::AccountId;

    use super::*;
    use crate::write::fair_queue::QUEUE_BOUND_COMMANDS;

    #[tokio::test]
    async fn commands_follow_blocked_commands_of_their_account_until_those_are_answered() {
        let queue = Arc::<SharedQueue>::default();
        let blocked_queue = BlockedQueue::new(Arc::clone(&queue));
        let of =
            |account| QueuedCommand::without_caller(SystemAction::SweepErased(AccountId(account)));
        let accounts = |batch: QueuedBatch| -> Vec<_> {
            batch.commands.iter().flat_map(Command::accounts).map(|id| id.0).collect()
        };
        let split = |commands: Vec<QueuedCommand>| {
            let (followers, others) = blocked_queue.followers(commands.into());
            (accounts(followers), accounts(others))
        };
        assert_eq!(split(vec![of(1), of(2)]), (vec![], vec![1, 2]));
        assert_eq!(blocked_queue.take(vec![of(1), of(1)].into()).commands, []);
        assert_eq!(split(vec![of(2), of(1), of(3)]), (vec![1], vec![2, 3]));

        for expected in [vec![1], vec![]] {
            let queued = queue.take(1).pop().unwrap();
            queued.reply_to.send(Err(StoreError::Busy.into()));
            assert_eq!(split(vec![of(1)]).0, expected);
        }
        // Without space they are refused, and once the queue is closed they are returned.
        let most = i64::try_from(QUEUE_BOUND_COMMANDS).unwrap();
        assert_eq!(blocked_queue.take((0..=most).map(of).collect::<Vec<_>>().into()).commands, []);
        assert_eq!(split(vec![of(most), of(0)]), (vec![0], vec![most]));
        queue.abandon();
        assert_eq!(split(vec![of(0)]), (vec![], vec![0]));
        assert_eq!(accounts(blocked_queue.take(vec![of(7)].into())), [7]);
    }
}
