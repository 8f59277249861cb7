//! What the core needs of a database.

use async_trait::async_trait;

use crate::model::account::{Account, AccountKind, Actor};
use crate::model::activity::{Activity, ActivityStats};
use crate::model::credit::{LedgerEntry, LedgerFault, Reason};
use crate::model::id::{AccountId, ActivityId, ActorId, KeyId, LogId, SessionId, TodoId, Uid};
use crate::model::key::{ApiKey, KeyEpoch, KeyValidity, RecoveryCode, Wrap};
use crate::model::page::{Page, PageRequest};
use crate::model::sealed::Sealed;
use crate::model::session::{Session, SessionStatus};
use crate::model::text::{ActivityType, Name};
use crate::model::time::{Day, TimeRange, Timestamp};
use crate::model::todo::{Priority, StatusChange, Todo, TodoStatus};
use crate::model::trail::TrailEntry;
use crate::model::unit::{Applied, Refusal, UnitOfWork};
use crate::model::usage::Endpoint;
use crate::model::zone::Zone;
use crate::port::keys::{AccountIdentity, Lookup};

/// Why a database did not do its part. The text is for the log, never for a caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// It can't be reached. Nothing was done.
    #[error("the database is away: {0}")]
    Unavailable(String),
    /// Its queue is full. Nothing was done.
    #[error("the write queue is full")]
    Busy,
    /// The connection went while a write was being made durable: it may stand or not.
    #[error("the outcome of a commit is unknown: {0}")]
    OutcomeUnknown(String),
    /// The account's auth epoch has moved since the reader was admitted: its key may have ended. Nothing
    /// was told: admit it anew.
    #[error("the account's auth epoch has moved since its caller was admitted")]
    EpochMoved,
    /// It refused what Roots asked, or holds what Roots never wrote. Nothing was done.
    #[error("the database is at fault: {0}")]
    Broken(String),
}

/// What a database answers.
pub type StoreResult<T> = Result<T, StoreFault>;

/// Why a unit of work was not applied. Nothing of it stands, but where the fault is
/// [`StoreFault::OutcomeUnknown`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A rule refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database did not do its part.
    #[error(transparent)]
    Fault(#[from] StoreFault),
}

/// Applies units of work.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait UnitStore: Send + Sync {
    /// Decides and applies one unit, whole or not at all.
    ///
    /// MUST decide through [`crate::model::books::Books`] while holding the account's lock, answer
    /// success only once the write is durable, and answer a refusal only once what it rests on is.
    /// MUST refuse with [`Refusal::StillInFlight`] what is named as a unit that it is still at work on.
    /// MUST carry on with a unit it has accepted when the caller goes away.
    ///
    /// # Errors
    /// The refusal, or the database's fault.
    async fn apply(&self, unit: UnitOfWork) -> Result<Applied, ApplyError>;
}

/// Finds answers that are kept no longer.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait AnswerReader: Send + Sync {
    /// The first account, by id and not below `from`, that has answers from before then. MUST NOT
    /// scan the answers.
    async fn account_with_answers(
        &self,
        before: Timestamp,
        from: AccountId,
    ) -> StoreResult<Option<AccountId>>;
}

/// On whose behalf rows are read: what a caller was admitted under.
///
/// What takes it MUST answer [`StoreFault::EpochMoved`], and nothing of the rows, where the account has
/// another auth epoch at the moment that is read, or is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Admission {
    /// The caller's account.
    pub account: AccountId,
    /// The auth epoch that it had. `None` for what is looked up for a write, which is judged by itself
    /// under the account's lock, or for the program: then nothing is checked.
    pub auth_epoch: Option<i64>,
}

impl From<AccountId> for Admission {
    /// Nothing is checked.
    fn from(account: AccountId) -> Self {
        Self { account, auth_epoch: None }
    }
}

/// Tells of accounts whose auth epoch has moved.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait AuthEpochs: Send + Sync {
    /// Has a listener told of each account whose auth epoch this process has moved, or that it has
    /// erased. It MUST be told once COMMIT is known to stand, or not known to have failed, before anyone
    /// is answered, and whether or not the caller is still there. It is called on a thread that writes,
    /// and must be quick.
    fn listen(&self, listener: EpochListener);
}

/// Is told of an account.
pub type EpochListener = Box<dyn Fn(AccountId) + Send + Sync>;

/// Which sessions are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionQuery {
    /// On whose behalf.
    pub by: Admission,
    /// Of which actor; of every one of the account where none is named.
    pub actor: Option<ActorId>,
    /// Of which status.
    pub status: Option<SessionStatus>,
    /// Which part.
    pub page: PageRequest,
}

/// Reads sessions.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait SessionReader: Send + Sync {
    /// The session of that id, whosever it is in the account.
    async fn session(&self, by: Admission, id: SessionId) -> StoreResult<Option<Session<Sealed>>>;

    /// A page, descending by start, then by id. The total MUST NOT scan.
    async fn sessions(&self, query: &SessionQuery) -> StoreResult<Page<Session<Sealed>>>;
}

/// Which todos are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TodoQuery {
    /// On whose behalf.
    pub by: Admission,
    /// Of which actor; of every one of the account where none is named.
    pub actor: Option<ActorId>,
    /// Of which status.
    pub status: Option<TodoStatus>,
    /// Of which priority.
    pub priority: Option<Priority>,
    /// Linked to which session.
    pub session: Option<SessionId>,
    /// Which part.
    pub page: PageRequest,
}

/// Most steps of a todo's history that are read at a time: up to 0.5 MiB of notes.
pub const LOG_PIECE_STEPS: u16 = 64;

/// A todo and a part of its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TodoLog {
    /// The todo.
    pub todo: Todo<Sealed>,
    /// Status changes, ascending, at most [`LOG_PIECE_STEPS`].
    pub steps: Vec<StatusChange<Sealed>>,
    /// The last of them, where more follow.
    pub next: Option<LogId>,
}

/// Reads todos.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait TodoReader: Send + Sync {
    /// The todo of that id, whosever it is in the account.
    async fn todo(&self, by: Admission, id: TodoId) -> StoreResult<Option<Todo<Sealed>>>;

    /// A page, descending by priority, then by creation, then by id. The total MUST NOT scan; by
    /// session it may scan that session's.
    async fn todos(&self, query: &TodoQuery) -> StoreResult<Page<Todo<Sealed>>>;

    /// A todo's first [`LOG_PIECE_STEPS`] status changes after that one, ascending, and the todo,
    /// which tells whose it is. MUST NOT read further.
    async fn todo_log(
        &self,
        by: Admission,
        id: TodoId,
        after: LogId,
    ) -> StoreResult<Option<TodoLog>>;
}

/// Which activities are asked for or counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ActivityFilter {
    /// On whose behalf.
    pub by: Admission,
    /// Of which actor; of every one of the account where none is named.
    pub actor: Option<ActorId>,
    /// Of which type.
    pub activity_type: Option<ActivityType>,
    /// Linked to which session.
    pub session: Option<SessionId>,
    /// When they happened.
    pub range: TimeRange,
}

/// Reads activities.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ActivityReader: Send + Sync {
    /// The activity of that id, whosever it is in the account.
    async fn activity(
        &self,
        by: Admission,
        id: ActivityId,
    ) -> StoreResult<Option<Activity<Sealed>>>;

    /// A page, descending by when they happened, then by id. The total MUST NOT scan more than
    /// the ragged ends of the range; by session it may scan that session's.
    async fn activities(
        &self,
        filter: &ActivityFilter,
        page: PageRequest,
    ) -> StoreResult<Page<Activity<Sealed>>>;

    /// Activities in figures, by the days that the clock of a zone shows, and the sessions beside
    /// them: all of those actors', or the one that the filter names. MUST NOT scan
    /// more than [`ActivityReader::activities`] may, but where the zone's clock shows days that end
    /// beside the quarters of an hour: there, what lies in such a quarter. MUST hold a bounded number
    /// of days, types and counts at a time, whatever the range.
    async fn activity_stats(
        &self,
        filter: &ActivityFilter,
        zone: &Zone,
    ) -> StoreResult<ActivityStats>;
}

/// What a look-up of an API key finds.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The account.
    pub account: KeyAccount,
    /// Whose key it is.
    pub actor: Actor,
    /// The key, in force or not.
    pub key: KeyValidity,
    /// The wraps that it holds: they lead to the keys in force of the actor, and, for an owner, of the
    /// account.
    pub wraps: Vec<Wrap>,
}

/// The account of a key, as far as its bearer's admission needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAccount {
    /// Its id.
    pub id: AccountId,
    /// Its identity.
    pub uid: Uid,
    /// Its name.
    pub name: Name,
    /// What it is for.
    pub kind: AccountKind,
    /// Rises with whatever may end a key.
    pub auth_epoch: i64,
    /// The newest epoch of its key.
    pub key_epoch: KeyEpoch,
}

impl KeyAccount {
    /// The account, as keys are bound to it.
    #[must_use]
    pub const fn identity(&self) -> AccountIdentity {
        AccountIdentity { id: self.id, uid: self.uid, epoch: self.key_epoch }
    }
}

/// What a look-up of a recovery code finds.
#[derive(Debug, Clone)]
pub struct Recoverable {
    /// The account.
    pub account: Account,
    /// Its owner.
    pub owner: Actor,
    /// The code. One that has ended is not found.
    pub code: RecoveryCode,
    /// The key that it came with, if it came with one.
    pub came_with: Option<ApiKey>,
    /// The wraps that lead from the code to the keys in force of the account and of its owner.
    pub wraps: Vec<Wrap>,
}

/// Which keys are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyQuery {
    /// On whose behalf.
    pub by: Admission,
    /// Of which actor alone.
    pub actor: Option<ActorId>,
    /// Which part.
    pub page: PageRequest,
}

/// A key of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// The key.
    pub key: ApiKey,
    /// What its actor is called.
    pub actor_name: Name,
    /// Whether its actor is active.
    pub actor_is_active: bool,
}

/// What a look at some accounts found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeysOver {
    /// Accounts that have keys that are over, by id.
    pub accounts: Vec<AccountId>,
    /// The last account that was looked at; `None` at the end of all.
    pub last: Option<AccountId>,
}

/// An actor as its account holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldActor {
    /// The actor.
    pub actor: Actor,
    /// The wraps by which the account's keys hold the actor's key in force.
    pub wraps: Vec<Wrap>,
}

/// Reads accounts, keys and the ledger.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait AccountReader: Send + Sync {
    /// Whether there is any account yet.
    async fn has_accounts(&self) -> StoreResult<bool>;

    /// The last account id that was given, whatever became of the account; 0 if none was.
    async fn last_account(&self) -> StoreResult<AccountId>;

    /// The key found there, with all that admits its bearer. MUST be one read of one moment, and no
    /// longer for a key that was renewed often.
    async fn credentials(&self, lookup: Lookup) -> StoreResult<Option<Credentials>>;

    /// The recovery code found there, with what it opens. MUST read the account first and the wraps
    /// last.
    async fn recoverable(&self, lookup: Lookup) -> StoreResult<Option<Recoverable>>;

    /// That the caller's account has the auth epoch under which it was admitted.
    async fn check(&self, by: Admission) -> StoreResult<()>;

    /// The account as it stands.
    async fn account(&self, id: AccountId) -> StoreResult<Option<Account>>;

    /// Its actors, by id.
    async fn actors(&self, account: AccountId) -> StoreResult<Vec<Actor>>;

    /// The first of its actors, by id, at most so many.
    async fn first_actors(&self, account: AccountId, most: u32) -> StoreResult<Vec<Actor>>;

    /// A page of its actors, descending by id.
    async fn actor_page(&self, by: Admission, page: PageRequest) -> StoreResult<Page<Actor>>;

    /// A page of its keys, descending by id, those that have ended included.
    async fn keys(&self, query: &KeyQuery) -> StoreResult<Page<ListedKey>>;

    /// Looks at some thousands of accounts, by id, above that one: which of them have keys that are no
    /// longer in force at that time, and have not ended for good.
    async fn accounts_with_keys_over(
        &self,
        at: Timestamp,
        after: AccountId,
    ) -> StoreResult<KeysOver>;

    /// The ids of such keys of an account, so many at most. MUST NOT read other keys of it.
    async fn keys_over(
        &self,
        account: AccountId,
        at: Timestamp,
        most: u32,
    ) -> StoreResult<Vec<KeyId>>;

    /// Those of these actors that there are, in any order, each with the wraps by which the account's
    /// keys hold its key in force, and its key of the next epoch. There is none of that unless the epoch
    /// was set back, or the key was renewed between the two reads. MUST read the actors before the wraps.
    async fn held_actors(
        &self,
        account: AccountId,
        actors: &[ActorId],
    ) -> StoreResult<Vec<HeldActor>>;

    /// The wraps by which the account's keys hold these keys of its actors. MUST look up each by itself.
    async fn wraps_under_account(
        &self,
        account: AccountId,
        keys: &[(ActorId, KeyEpoch)],
    ) -> StoreResult<Vec<Wrap>>;

    /// The wraps by which the keys of an actor, or of the account where none is named, hold those of
    /// their own earlier epochs, from the first to the last. MUST be one statement, whose text does not
    /// depend on the range.
    async fn earlier_wraps(
        &self,
        account: AccountId,
        actor: Option<ActorId>,
        epochs: (KeyEpoch, KeyEpoch),
    ) -> StoreResult<Vec<Wrap>>;

    /// A page of its ledger, newest first. The total MUST NOT scan.
    async fn ledger(
        &self,
        by: Admission,
        reason: Option<Reason>,
        page: PageRequest,
    ) -> StoreResult<Page<LedgerEntry>>;

    /// A page of its audit trail, newest first. The total MUST NOT scan.
    async fn trail(&self, by: Admission, page: PageRequest) -> StoreResult<Page<TrailEntry>>;
}

/// An account, and how it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountOverview {
    /// The account.
    pub account: Account,
    /// How many writes it has paid for, one by one. Rows of imports are not among them.
    pub writes: i64,
    /// When it last paid for a write, one by one or in an import.
    pub last_write_at: Option<Timestamp>,
}

/// Reads what operators see of all accounts: nothing that belongs to an actor.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait AccountsReader: Send + Sync {
    /// A page of all accounts, newest first. The total MUST NOT scan.
    async fn accounts(
        &self,
        by: Admission,
        page: PageRequest,
    ) -> StoreResult<Page<AccountOverview>>;

    /// One of them.
    async fn account_overview(
        &self,
        by: Admission,
        id: AccountId,
    ) -> StoreResult<Option<AccountOverview>>;
}

/// Reads how often accounts called what.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait UsageReader: Send + Sync {
    /// The calls of an account on the days from `first` to `last`.
    async fn calls(
        &self,
        by: Admission,
        first: Day,
        last: Day,
    ) -> StoreResult<Vec<(Day, Endpoint, i64)>>;
}

/// What a deletion has left to be done in steps. No reader of resources sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// Rows of an account that was erased.
    Erased(AccountId),
    /// Rows of an account that are linked to a session that was deleted.
    Linked(AccountId, SessionId),
}

impl Leftover {
    /// The account that it is of.
    #[must_use]
    pub const fn account(self) -> AccountId {
        match self {
            Self::Erased(account) | Self::Linked(account, _) => account,
        }
    }
}

/// Finds what deletions have left to be done in steps.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait LeftoverReader: Send + Sync {
    /// What is left of the first account, by id and above `after`, of which something may be. Of an
    /// erased account it MUST be told that it was erased.
    async fn left_over(&self, after: AccountId) -> StoreResult<Option<Leftover>>;
}

/// Tells whether the database answers.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Asks it something small.
    async fn ping(&self) -> StoreResult<()>;
}

/// What does not add up in an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discrepancy {
    /// The account; `None` where it is of all of them together.
    pub account: Option<AccountId>,
    /// What is wrong with it.
    pub fault: AuditFault,
}

/// What an audit finds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// The ledger does not prove the balance.
    #[error("{0}")]
    Ledger(LedgerFault),
    /// Rows of an account that does not exist.
    #[error("{rows} rows of {table} belong to this account, which does not exist")]
    Ownerless {
        /// Where they stand.
        table: &'static str,
        /// How many.
        rows: i64,
    },
    /// An id beyond those that the account has given.
    #[error("{table} holds the id {found}, but the last one given is {given}")]
    IdNotGiven {
        /// Where it stands.
        table: &'static str,
        /// The last id given.
        given: i64,
        /// The highest id found.
        found: i64,
    },
    /// Rows that are linked to a session that does not exist, and was not deleted either.
    #[error("{rows} rows of {table} are linked to session {session}, which does not exist")]
    LinkedToNothing {
        /// Where they stand.
        table: &'static str,
        /// The session.
        session: SessionId,
        /// How many.
        rows: i64,
    },
    /// A count that is kept differs from a recount.
    #[error("the count of {what} is kept as {kept}, but there are {counted}")]
    Count {
        /// What is counted.
        what: String,
        /// The count that is kept.
        kept: i64,
        /// The recount.
        counted: i64,
    },
}

/// Proves the books against what they account for.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Auditor: Send + Sync {
    /// Recounts everything that is counted as it is written: ledgers and balances, tallies, counts
    /// by day and by quarter of an hour. Answers how many accounts it proved, and what does not add up.
    async fn audit(&self) -> StoreResult<(u64, Vec<Discrepancy>)>;
}
