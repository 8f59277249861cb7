//! Queued commands, and their replies.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
use roots_domain::command::{Action, SystemAction};
use roots_domain::command::{Applied, Command};
#[cfg(test)]
use roots_domain::model::time::Timestamp;
use roots_domain::port::store::ApplyError;
use tokio::sync::{mpsc, oneshot};

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
    /// A command whose reply goes to the receiver, on this thread.
    pub(super) fn new(command: Command, claim: Claim) -> (Self, oneshot::Receiver<Reply>) {
        let (caller, reply) = oneshot::channel();
        let reply_to = ReplyTo { caller, claim, sender: reply_sender(), blocked: None };
        (Self { command, reply_to }, reply)
    }

    /// A command of the system whose reply goes nowhere.
    #[cfg(test)]
    pub(super) fn unheard(action: SystemAction) -> Self {
        let command = Command::uncharged(Action::System(action), Timestamp::FIRST);
        let claim = InFlight::default().claim(&command).unwrap();
        let sender = mpsc::unbounded_channel().0;
        let reply_to = ReplyTo { caller: oneshot::channel().0, claim, sender, blocked: None };
        Self { command, reply_to }
    }
}

/// The destination of a command's reply. A caller that hangs up only drops its receiver: the
/// accepted command is still done, and its idempotency keys stay claimed until then.
pub(super) struct ReplyTo {
    caller: oneshot::Sender<Reply>,
    claim: Claim,
    sender: ReplySender,
    /// Set while the command is in the blocked queue.
    pub(super) blocked: Option<BlockedMark>,
}

/// Replies to callers of one thread.
type ReplyBatch = Vec<(oneshot::Sender<Reply>, Reply)>;

/// Sends replies to the callers of one thread.
type ReplySender = mpsc::UnboundedSender<ReplyBatch>;

/// The reply sender of this thread, which runs one runtime at a time.
fn reply_sender() -> ReplySender {
    thread_local! {
        static REPLY_SENDER: RefCell<Option<ReplySender>> = const { RefCell::new(None) };
    }
    REPLY_SENDER.with_borrow_mut(|sender| match sender {
        Some(sender) if !sender.is_closed() => sender.clone(),
        _ => {
            let (new, mut batches) = mpsc::unbounded_channel::<ReplyBatch>();
            tokio::spawn(async move {
                while let Some(batch) = batches.recv().await {
                    for (caller, reply) in batch {
                        // An error here is a caller that hung up.
                        let _ = caller.send(reply);
                    }
                }
            });
            sender.insert(new).clone()
        }
    })
}

/// Replies to be sent, by the thread of their callers. Waking a thread is expensive, so each is
/// woken once.
#[derive(Default)]
pub(super) struct Replies(Vec<(ReplySender, ReplyBatch)>);

impl Replies {
    /// Frees the idempotency keys first: a caller may repeat its request as soon as it has the
    /// reply.
    pub(super) fn add(
        &mut self,
        ReplyTo { caller, claim, sender, blocked }: ReplyTo,
        reply: Reply,
    ) {
        drop((claim, blocked));
        let known = self.0.iter_mut().find(|(known, _)| known.same_channel(&sender));
        match known {
            Some((_, batch)) => batch.push((caller, reply)),
            None => self.0.push((sender, vec![(caller, reply)])),
        }
    }

    pub(super) fn send(self) {
        for (sender, batch) in self.0 {
            // An error means that the callers' thread has ended.
            let _ = sender.send(batch);
        }
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

#[cfg(test)]
mod tests {
    use roots_domain::port::store::StoreError;

    use super::*;

    fn busy() -> ApplyError {
        StoreError::Busy.into()
    }

    #[tokio::test]
    async fn callers_whose_thread_has_ended_keep_no_reply_from_other_callers() {
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let gone = std::thread::spawn(move || runtime().block_on(async { reply_sender() }))
            .join()
            .unwrap();
        assert!(gone.is_closed() && !reply_sender().is_closed());
        assert!(
            reply_sender().same_channel(&reply_sender()) && !reply_sender().same_channel(&gone)
        );

        let in_flight = InFlight::default();
        let claim = || {
            in_flight.claim(&QueuedCommand::unheard(SystemAction::ReserveAccount).command).unwrap()
        };
        let mut replies = Replies::default();
        let mut answered = Vec::new();
        for sender in [gone, reply_sender(), reply_sender()] {
            let (caller, answer) = oneshot::channel();
            replies.add(ReplyTo { caller, claim: claim(), sender, blocked: None }, Err(busy()));
            answered.push(answer);
        }
        assert_eq!(replies.0.len(), 2, "one batch a thread");
        replies.send();
        let mut answered = answered.into_iter();
        assert!(answered.next().unwrap().await.is_err());
        for answer in answered {
            assert_eq!(answer.await.unwrap(), Err(busy()));
        }
    }
}
