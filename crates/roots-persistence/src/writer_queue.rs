//! Writer queues. A queue is bounded, and accounts take turns in it ([`FairQueue`]). A
//! [`QueueWorker`] takes commands from it and applies them in batches.
//!
//! There is no timer: while one batch is made durable the next one gathers, so a lone write waits
//! for nobody and the cost of a write falls as load grows.
//!
//! On PostgreSQL there is also a blocked queue. When another process holds an account's lock, the
//! worker moves that account's commands there, so that other accounts do not wait behind them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;

use roots_domain::command::{Action, Applied, Command, Refusal};
use roots_domain::model::id::AccountId;
use roots_domain::model::idempotency::IdempotencyRecordKey;
use roots_domain::port::store::{ApplyError, StoreError};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::batch::{Decisions, Wait};
use crate::errors::BatchError;
use crate::fair_queue::FairQueue;
use crate::source::WriterConnection;

/// How long a write waits for room in the queue before it is refused. A burst finds room in that
/// time. A refusal costs nearly as much as a write: the later it comes, the less do clients that
/// retry at once take from admitted ones.
const ROOM_WITHIN: Duration = Duration::from_millis(25);
/// How often a batch is tried when another process writes the same rows.
const ATTEMPTS: u32 = 6;
/// After that long it is not tried again: waiting for a lock takes long already, and callers wait.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long before the second attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(4);

type Reply = Result<Applied, ApplyError>;

/// A command, and where its reply goes.
pub(crate) struct QueuedCommand {
    command: Command,
    reply_to: ReplyTo,
}

/// Where the reply of a command goes. A caller that hung up drops its end, and nothing more: what
/// was accepted is done, and its idempotency keys are taken until then.
struct ReplyTo {
    caller: oneshot::Sender<Reply>,
    claim: Claim,
    sender: ReplySender,
    /// Set while the command is in the blocked queue.
    blocked: Option<BlockedMark>,
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

/// Replies to be sent, by the thread of their callers: waking a thread is dear, and each is woken once.
#[derive(Default)]
struct Replies(Vec<(ReplySender, ReplyBatch)>);

impl Replies {
    /// Frees the idempotency keys first: a caller that has its reply may ask again at once.
    fn add(&mut self, ReplyTo { caller, claim, sender, blocked }: ReplyTo, reply: Reply) {
        drop((claim, blocked));
        let known = self.0.iter_mut().find(|(known, _)| known.same_channel(&sender));
        match known {
            Some((_, batch)) => batch.push((caller, reply)),
            None => self.0.push((sender, vec![(caller, reply)])),
        }
    }

    fn send(self) {
        for (sender, batch) in self.0 {
            // An error here is callers that have ended with all that ran on their thread.
            let _ = sender.send(batch);
        }
    }
}

/// The idempotency keys of the writes that are queued, wait for room or are applied.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlight(Arc<Mutex<HashSet<IdempotencyRecordKey>>>);

impl InFlight {
    /// Takes the idempotency keys of a command, until the claim is dropped.
    fn claim(&self, command: &Command) -> Result<Claim, Refusal> {
        let keys: Vec<_> = command.idempotency_record_keys().collect();
        if !keys.is_empty() {
            let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if keys.iter().any(|key| taken.contains(key)) {
                return Err(Refusal::StillInFlight);
            }
            taken.extend(&keys);
        }
        Ok(Claim { of: self.clone(), keys })
    }
}

/// Idempotency keys that are taken.
struct Claim {
    of: InFlight,
    keys: Vec<IdempotencyRecordKey>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.keys.is_empty() {
            let mut taken = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
            for key in &self.keys {
                taken.remove(key);
            }
        }
    }
}

/// What the two ends of a writer queue share.
#[derive(Default)]
struct SharedQueue {
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
enum NotQueued {
    Full,
    Closed,
}

/// A slot in the queue. The queue is locked until the slot is filled.
struct QueueSlot<'a> {
    state: MutexGuard<'a, QueueState>,
    filled: &'a Notify,
}

impl QueueSlot<'_> {
    fn fill(self, queued: QueuedCommand) {
        let Self { mut state, filled } = self;
        state.queue.push(turn_of(&queued.command), queued.command.action.stands_alone(), queued);
        drop(state);
        filled.notify_one();
    }
}

/// The account whose turn a command takes: the one that asks, or else the one that it writes in.
/// Commands of no account share the turn of an account 0, which does not exist.
fn turn_of(command: &Command) -> AccountId {
    command.accounts().next().unwrap_or(AccountId(0))
}

impl SharedQueue {
    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot for a command of that account.
    fn slot(&self, turn: AccountId) -> Result<QueueSlot<'_>, NotQueued> {
        let state = self.state();
        match (state.is_closed, state.queue.has_room(turn)) {
            (true, _) => Err(NotQueued::Closed),
            (false, false) => Err(NotQueued::Full),
            (false, true) => Ok(QueueSlot { state, filled: &self.filled }),
        }
    }

    fn take(&self, most: usize) -> Vec<QueuedCommand> {
        let batch = self.state().queue.take(most);
        for _ in &batch {
            self.room.notify_one();
        }
        batch
    }

    /// The next batch. Empty once the queue is closed and empty.
    async fn next(&self, most: usize) -> Vec<QueuedCommand> {
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

    fn close(&self) {
        self.state().is_closed = true;
        self.room.notify_waiters();
    }
}

/// The sending end of a writer queue.
#[derive(Clone)]
pub(crate) struct WriterQueue {
    shared: Arc<SharedQueue>,
    in_flight: InFlight,
}

/// The receiving end of a writer queue: it applies what is queued.
pub(crate) struct QueueWorker {
    shared: Arc<SharedQueue>,
    closing: watch::Receiver<bool>,
    /// Where it moves accounts that another process locks. Without one it waits for the lock.
    blocked_queue: Option<BlockedQueue>,
}

impl Drop for QueueWorker {
    /// Queued commands still have callers, which are told that the outcome is unknown.
    fn drop(&mut self) {
        self.shared.close();
        let queue = std::mem::take(&mut self.shared.state().queue);
        drop(queue);
    }
}

/// The queue of commands whose accounts another process has locked.
#[derive(Clone)]
struct BlockedQueue {
    queue: Arc<SharedQueue>,
    /// How many commands of each account wait there. All of one account come from one writer queue.
    waiting: Arc<Mutex<HashMap<AccountId, usize>>>,
}

impl BlockedQueue {
    fn waiting(&self) -> MutexGuard<'_, HashMap<AccountId, usize>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Splits off the commands whose account already has others there, which they have to follow.
    fn followers(&self, batch: QueuedBatch) -> (QueuedBatch, QueuedBatch) {
        let waiting = self.waiting();
        if waiting.is_empty() {
            return (QueuedBatch::default(), batch);
        }
        let is_waiting = |account| waiting.contains_key(&account);
        let follows = |queued: &QueuedCommand| queued.command.accounts().any(is_waiting);
        let (followers, others): (Vec<_>, Vec<_>) = batch.into_commands().partition(follows);
        (followers.into(), others.into())
    }

    /// Queues commands, in their order. Refuses those that find no room. Gives back those that come
    /// after the queue was closed.
    fn take(&self, batch: QueuedBatch) -> QueuedBatch {
        let mut late = Vec::new();
        let mut replies = Replies::default();
        for mut queued in batch.into_commands() {
            let accounts: Vec<_> = queued.command.accounts().collect();
            for account in &accounts {
                *self.waiting().entry(*account).or_default() += 1;
            }
            queued.reply_to.blocked = Some(BlockedMark { blocked_queue: self.clone(), accounts });
            match self.queue.slot(turn_of(&queued.command)) {
                Ok(slot) => slot.fill(queued),
                Err(NotQueued::Closed) => late.push(queued),
                Err(NotQueued::Full) => replies.add(queued.reply_to, Err(StoreError::Busy.into())),
            }
        }
        replies.send();
        late.into()
    }
}

/// Counts a command of those accounts as waiting in the blocked queue, until it is dropped.
struct BlockedMark {
    blocked_queue: BlockedQueue,
    accounts: Vec<AccountId>,
}

impl Drop for BlockedMark {
    fn drop(&mut self) {
        let mut waiting = self.blocked_queue.waiting();
        for account in &self.accounts {
            if let Some(commands) = waiting.get_mut(account) {
                *commands -= 1;
                if *commands == 0 {
                    waiting.remove(account);
                }
            }
        }
    }
}

/// A writer queue that takes commands until `closing` turns true, and then finishes those it has.
pub(crate) fn writer_queue(
    closing: watch::Receiver<bool>,
    in_flight: InFlight,
    blocked_queue: Option<&WriterQueue>,
) -> (WriterQueue, QueueWorker) {
    let shared = Arc::<SharedQueue>::default();
    let blocked_queue = blocked_queue.map(|blocked| {
        let queue = Arc::clone(&blocked.shared);
        BlockedQueue { queue, waiting: Arc::default() }
    });
    let worker = QueueWorker { shared: Arc::clone(&shared), closing, blocked_queue };
    (WriterQueue { shared, in_flight }, worker)
}

impl WriterQueue {
    /// Whether its worker has stopped.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.state().is_closed
    }

    /// Queues a command and waits for its reply. A command with the idempotency key of one that is
    /// still in flight is refused at once, one that finds no room within 25 ms.
    pub(crate) async fn apply(&self, command: Command) -> Reply {
        let claim = self.in_flight.claim(&command)?;
        let (caller, reply) = oneshot::channel();
        let reply_to = ReplyTo { caller, claim, sender: reply_sender(), blocked: None };
        self.queue(QueuedCommand { command, reply_to }).await?;
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

impl QueueWorker {
    /// Applies batches until it is told to close and its queue is empty.
    pub(crate) async fn run(self, connection: WriterConnection) {
        let blocked_queue = self.blocked_queue.clone();
        self.each(connection.batch_max(), |batch| {
            work_off(&connection, blocked_queue.as_ref(), batch)
        })
        .await;
        connection.close().await;
    }

    /// Takes batches of `batch_max` commands at most, until it is told to close and its queue is
    /// empty. When a batch panics its callers are told that the outcome is unknown, and the worker
    /// goes on.
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

/// Applies a batch and answers its commands. A lock that another process holds delays its own
/// account's callers only: the others are answered first. Then the locked accounts wait it out, in
/// the blocked queue if there is one.
async fn work_off(
    connection: &WriterConnection,
    blocked_queue: Option<&BlockedQueue>,
    commands: Vec<QueuedCommand>,
) {
    let mut batch = QueuedBatch::from(commands);
    if let [Command { action: Action::CountCalls(_), .. }] = batch.commands[..] {
        // It locks many accounts, and comes again by itself.
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
            Err(BatchError::Locked(cause)) => {
                tracing::warn!(
                    cause,
                    accounts,
                    "a batch met a lock: trying each account by itself"
                );
                // Each takes half a second where it is locked: after some, the rest is moved untried.
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

/// Commands that are applied together, and where their replies go.
#[derive(Default)]
struct QueuedBatch {
    commands: Vec<Command>,
    callers: Vec<ReplyTo>,
}

impl From<Vec<QueuedCommand>> for QueuedBatch {
    fn from(commands: Vec<QueuedCommand>) -> Self {
        let (commands, callers) =
            commands.into_iter().map(|queued| (queued.command, queued.reply_to)).unzip();
        Self { commands, callers }
    }
}

impl QueuedBatch {
    /// The commands of the same accounts together, in their order.
    fn by_accounts(self) -> impl Iterator<Item = Self> {
        let mut batches = BTreeMap::<_, Self>::new();
        for queued in self.into_commands() {
            let accounts: BTreeSet<_> = queued.command.accounts().collect();
            let batch = batches.entry(accounts).or_default();
            batch.commands.push(queued.command);
            batch.callers.push(queued.reply_to);
        }
        batches.into_values()
    }

    fn into_commands(self) -> impl Iterator<Item = QueuedCommand> {
        self.commands
            .into_iter()
            .zip(self.callers)
            .map(|(command, reply_to)| QueuedCommand { command, reply_to })
    }

    async fn settle(self, connection: &WriterConnection, wait: Wait) {
        let applied = apply(connection, &self.commands, wait).await;
        self.answer(connection, applied).await;
    }

    /// Answers all callers after COMMIT: a refusal too may rest on a batch-mate's write. Where the
    /// data causes a failure, each command is tried once alone, so that only the culprit fails.
    async fn answer(self, connection: &WriterConnection, applied: Result<Decisions, BatchError>) {
        let Self { commands, callers } = self;
        let mut replies = Replies::default();
        match applied {
            Err(BatchError::Data(cause)) if commands.len() > 1 => {
                tracing::warn!(
                    cause,
                    commands = commands.len(),
                    "a batch failed: trying each command alone"
                );
                for (command, caller) in commands.into_iter().zip(callers) {
                    let alone = apply(connection, &[command], Wait::Out).await;
                    let mut replies = Replies::default();
                    replies.add(caller, worded(alone.map(|mut answers| answers.pop())));
                    // At once: the next one may take its time.
                    replies.send();
                }
            }
            Err(error) => {
                for caller in callers {
                    replies.add(caller, worded(Err(error.clone())));
                }
            }
            Ok(answers) => {
                for (caller, answer) in callers.into_iter().zip(answers) {
                    replies.add(caller, worded(Ok(Some(answer))));
                }
            }
        }
        replies.send();
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
    use roots_domain::command::{Action, Conditions, Principal};
    use roots_domain::model::time::Timestamp;

    use super::*;
    use crate::fair_queue::{QUEUE_BOUND_COMMANDS, QUEUE_MAX_COMMANDS};

    fn queued(action: Action) -> QueuedCommand {
        let command = Command {
            principal: Principal::Program,
            action,
            charge: None,
            conditions: Conditions::default(),
            at: Timestamp::FIRST,
        };
        let claim = InFlight::default().claim(&command).unwrap();
        let sender = mpsc::unbounded_channel().0;
        QueuedCommand {
            command,
            reply_to: ReplyTo { caller: oneshot::channel().0, claim, sender, blocked: None },
        }
    }

    #[test]
    fn a_queue_without_a_worker_is_closed() {
        let (_open, closing) = watch::channel(false);
        let (near, far) = writer_queue(closing, InFlight::default(), None);
        assert!(!near.is_closed());
        drop(far);
        assert!(near.is_closed());
    }

    #[tokio::test]
    async fn commands_follow_blocked_commands_of_their_account_until_those_are_answered() {
        let (_open, closing) = watch::channel(false);
        let (near, far) = writer_queue(closing.clone(), InFlight::default(), None);
        let (_, own) = writer_queue(closing, InFlight::default(), Some(&near));
        let blocked_queue = own.blocked_queue.clone().unwrap();
        let of = |account| queued(Action::SweepErased(AccountId(account)));
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
            let queued = far.shared.take(1).pop().unwrap();
            Replies::default().add(queued.reply_to, Err(gone_error()));
            assert_eq!(split(vec![of(1)]).0, expected);
        }
        // Without room they are refused, and once the queue is closed they come back.
        let most = i64::try_from(QUEUE_BOUND_COMMANDS).unwrap();
        assert_eq!(blocked_queue.take((0..=most).map(of).collect::<Vec<_>>().into()).commands, []);
        assert_eq!(split(vec![of(most), of(0)]), (vec![0], vec![most]));
        drop(far);
        assert_eq!(split(vec![of(0)]), (vec![], vec![0]));
        assert_eq!(accounts(blocked_queue.take(vec![of(7)].into())), [7]);
    }

    #[tokio::test]
    async fn a_batch_that_panics_fails_only_its_own_callers() {
        let (open, closing) = watch::channel(false);
        let (near, far) = writer_queue(closing, InFlight::default(), None);
        let mut first = true;
        let working = tokio::spawn(far.each(64, move |commands| {
            let is_first = std::mem::take(&mut first);
            async move {
                assert!(!is_first, "the first batch");
                let mut replies = Replies::default();
                for queued in commands {
                    let failed = BatchError::Data("the second batch".to_owned());
                    replies.add(queued.reply_to, worded(Err(failed)));
                }
                replies.send();
            }
        }));
        let lost = near.apply(queued(Action::ReserveAccount).command).await;
        assert!(matches!(lost, Err(ApplyError::Store(StoreError::OutcomeUnknown(_)))), "{lost:?}");
        let next = near.apply(queued(Action::ReserveAccount).command).await;
        assert!(matches!(next, Err(ApplyError::Store(StoreError::Broken(_)))), "{next:?}");
        open.send_replace(true);
        working.await.unwrap();
        let late = near.apply(queued(Action::ReserveAccount).command).await;
        assert_eq!(late, Err(gone_error()));
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
        let claim = || in_flight.claim(&queued(Action::ReserveAccount).command).unwrap();
        let mut replies = Replies::default();
        let mut answered = Vec::new();
        for sender in [gone, reply_sender(), reply_sender()] {
            let (caller, told) = oneshot::channel();
            replies
                .add(ReplyTo { caller, claim: claim(), sender, blocked: None }, Err(gone_error()));
            answered.push(told);
        }
        assert_eq!(replies.0.len(), 2, "one batch a thread");
        replies.send();
        let mut answered = answered.into_iter();
        assert!(answered.next().unwrap().await.is_err());
        for told in answered {
            assert_eq!(told.await.unwrap(), Err(gone_error()));
        }
    }

    fn gone_error() -> ApplyError {
        gone().into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_after_25_ms_unless_the_account_is_below_its_share() {
        let (_open, closing) = watch::channel(false);
        let (near, far) = writer_queue(closing, InFlight::default(), None);
        let of = |account| queued(Action::SweepErased(AccountId(account))).command;
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
        assert_eq!(far.shared.take(1).len(), 1);
        tokio::time::sleep(2 * ROOM_WITHIN).await;
        assert!(!next.is_finished() && !near.shared.state().queue.has_room(AccountId(1)));

        // Another account is queued at once, and is in the next batch but one.
        let other = ask(2);
        tokio::task::yield_now().await;
        let taken: Vec<_> = (0..2).flat_map(|_| far.shared.take(1)).collect();
        let accounts: Vec<_> = taken.iter().flat_map(|queued| queued.command.accounts()).collect();
        assert_eq!(accounts, [AccountId(1), AccountId(2)]);

        // A worker that ends tells all that wait.
        drop(far);
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
        let (_open, closing) = watch::channel(false);
        let (near, far) = writer_queue(closing, InFlight::default(), None);
        let ask = |account| {
            let near = near.clone();
            let account = AccountId(account);
            let command =
                queued(Action::ForgetIdempotencyRecords { account, before: Timestamp::FIRST })
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
        // The first command is of account 1, and account 2's caller is told; then the other way round.
        let mut taken = Vec::new();
        for account in [1, 2] {
            taken.extend(far.shared.take(1));
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
