//! Queued commands, and their replies.

use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
use roots_domain::command::{Action, SystemAction};
use roots_domain::command::{Applied, Command};
#[cfg(test)]
use roots_domain::model::time::Timestamp;
use roots_domain::port::store::ApplyError;
use tokio::sync::oneshot;

use super::blocked_accounts::BlockedMark;
use super::in_flight::Claim;
#[cfg(test)]
use super::in_flight::InFlight;

pub(super) type Reply = Result<Applied, ApplyError>;

/// A command and the destination of its reply.
pub(super) struct QueuedCommand {
    pub(super) command: Command,
    pub(super) reply_to: ReplyTo,
}

impl QueuedCommand {
    /// A command whose reply goes to the receiver.
    pub(super) fn new(command: Command, claim: Claim) -> (Self, oneshot::Receiver<Reply>) {
        let (caller, reply) = oneshot::channel();
        let reply_to = ReplyTo { caller, claim, blocked: None };
        (Self { command, reply_to }, reply)
    }

    /// A command of the system whose reply goes nowhere.
    #[cfg(test)]
    pub(super) fn without_caller(action: SystemAction) -> Self {
        let command = Command::uncharged(Action::System(action), Timestamp::FIRST);
        let claim = InFlight::default().claim(&command).unwrap();
        let reply_to = ReplyTo { caller: oneshot::channel().0, claim, blocked: None };
        Self { command, reply_to }
    }
}

/// The destination of a command's reply. A caller that hangs up only drops its receiver: the
/// accepted command is still done, and its idempotency keys stay claimed until then.
pub(super) struct ReplyTo {
    caller: oneshot::Sender<Reply>,
    claim: Claim,
    /// Set while the command is in the blocked queue.
    pub(super) blocked: Option<BlockedMark>,
}

impl ReplyTo {
    /// Frees the idempotency keys first: a caller may repeat its request as soon as it has the
    /// reply.
    pub(super) fn send(self, reply: Reply) {
        let Self { caller, claim, blocked } = self;
        drop((claim, blocked));
        // An error here is a caller that hung up.
        let _ = caller.send(reply);
    }
}

/// Commands that are applied together, and the destinations of their replies.
#[derive(Default)]
pub(super) struct QueuedBatch {
    pub(super) commands: Vec<Command>,
    pub(super) callers: Vec<ReplyTo>,
}

impl From<Vec<QueuedCommand>> for QueuedBatch {
    fn from(commands: Vec<QueuedCommand>) -> Self {
        let (commands, callers) =
            commands.into_iter().map(|queued| (queued.command, queued.reply_to)).unzip();
        Self { commands, callers }
    }
}

impl QueuedBatch {
    /// Groups the commands by account, in their order.
    pub(super) fn by_accounts(self) -> impl Iterator<Item = Self> {
        let mut batches = BTreeMap::<_, Self>::new();
        for queued in self.into_commands() {
            let accounts: BTreeSet<_> = queued.command.accounts().collect();
            let batch = batches.entry(accounts).or_default();
            batch.commands.push(queued.command);
            batch.callers.push(queued.reply_to);
        }
        batches.into_values()
    }

    pub(super) fn into_commands(self) -> impl Iterator<Item = QueuedCommand> {
        self.commands
            .into_iter()
            .zip(self.callers)
            .map(|(command, reply_to)| QueuedCommand { command, reply_to })
    }
}
