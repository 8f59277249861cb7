//! The unit of work: a write as a value.
//!
//! A unit says what is wanted, by whom, and what it costs. It holds no closure and opens no
//! transaction; the store decides and applies it whole or not at all, through [`super::books`], and
//! may batch it with others unseen.

use super::Patch;
use super::account::{Account, AccountKind, AccountStatus, Actor, ActorKind, Role};
use super::activity::Activity;
use super::credit::WRITE_COST;
use super::id::{AccountId, ActivityId, ActorId, KeyId, RecoveryId, SessionId, TodoId, Uid};
use super::idempotency::{AnswerKey, Idempotency};
use super::import::{Import, Imported};
use super::key::{ApiKey, KeyEpoch, LookupHash, Wrap};
use super::sealed::Sealed;
use super::session::{Session, SessionPatch};
use super::tag::EntityTag;
use super::text::{ActivityType, Name};
use super::time::Timestamp;
use super::todo::{Priority, Todo, TodoPatch, TodoStatus};
use super::usage::Calls;

/// A write as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitOfWork {
    /// Who asks.
    pub author: Author,
    /// What is wanted.
    pub intent: Intent,
    /// What it costs, if it costs.
    pub charge: Option<Charge>,
    /// What the caller ties it to.
    pub conditions: Conditions,
    /// When it was asked for: the time that its rows carry. Whether a key is in force is judged by
    /// the time at which the unit is decided, which is later.
    pub at: Timestamp,
}

/// Who asks for a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The bearer of an API key.
    Key(KeyBearer),
    /// The bearer of a recovery code.
    Code(CodeBearer),
    /// Whoever runs the program: the first start, the command line, a sign-up.
    Program,
}

/// The bearer of an API key, as it was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyBearer {
    /// Its account.
    pub account: AccountId,
    /// Itself.
    pub actor: ActorId,
    /// What it may do. An actor's role never changes.
    pub role: Role,
    /// The key it showed.
    pub key: KeyId,
    /// The account's auth epoch then. Where it has moved since, the key is checked again.
    pub auth_epoch: i64,
    /// From when on the key is refused, as it stood then: its expiry or the end of its grace, whichever
    /// comes first. Time alone moves no auth epoch, so each unit carries it.
    pub ends_at: Option<Timestamp>,
}

impl KeyBearer {
    /// Whether its key has come to its end by `now`.
    #[must_use]
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }
}

/// The bearer of a recovery code. Whether it is still good is looked at whenever it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeBearer {
    /// Its account.
    pub account: AccountId,
    /// The code.
    pub code: RecoveryId,
}

/// What the caller of a unit ties it to. By default it is tied to nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// The states of the row in one of which it must be, to be changed or deleted. An empty list
    /// allows none.
    pub if_match: Option<Vec<EntityTag>>,
    /// What makes it safe to repeat.
    pub idempotency: Option<Idempotency>,
}

/// What a write costs, and the route that the ledger names: `PATCH /todos/{id}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// In credits, not negative.
    pub cost: i64,
    /// The route.
    pub endpoint: &'static str,
}

impl Charge {
    /// The charge of a write of sessions, todos and activities.
    #[must_use]
    pub const fn write(endpoint: &'static str) -> Self {
        Self { cost: WRITE_COST, endpoint }
    }

    /// The charge of what costs nothing, where the ledger names the route all the same.
    #[must_use]
    pub const fn nothing(endpoint: &'static str) -> Self {
        Self { cost: 0, endpoint }
    }
}

/// A new text for a row that exists, sealed afresh. Two seals of one text differ, so whoever sealed
/// it also says which stored ciphertext it found to hold the very same text: if that one still
/// stands, nothing changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resealed {
    /// The text.
    pub sealed: Sealed,
    /// The ciphertext of the same text, if that is what was there.
    pub same_as: Option<Sealed>,
}

/// A patch of a row. Its texts are sealed for one row, so it applies to that row alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPatch<I, P> {
    /// The row's id.
    pub id: I,
    /// The row that the texts were sealed for; `None` where there are none. Another row of that id
    /// counts as not found.
    pub sealed_for: Option<Uid>,
    /// What becomes of it.
    pub patch: P,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Start a session.
    StartSession {
        /// Whose it is to be. Its notes are sealed with that actor's keys.
        actor: ActorId,
        /// Its identity.
        uid: Uid,
        /// Its notes.
        notes: Option<Sealed>,
    },
    /// Change a session.
    PatchSession(RowPatch<SessionId, SessionPatch<Resealed>>),
    /// Delete a session. Everything linked to it counts as unlinked from then on.
    DeleteSession(SessionId),
    /// Create a todo.
    CreateTodo(NewTodo),
    /// Change a todo; a change of status is logged under the uid given.
    PatchTodo {
        /// The change.
        row: RowPatch<TodoId, TodoPatch<Resealed>>,
        /// The identity of the log row, should there be one.
        log_uid: Uid,
    },
    /// Delete a todo and its log.
    DeleteTodo(TodoId),
    /// Log an activity.
    LogActivity(NewActivity),
    /// Delete an activity.
    DeleteActivity(ActivityId),
    /// Take the next account id. Ids of accounts that then are not founded stay unused.
    ReserveAccount,
    /// Make an account, its owner, its first key and its recovery code.
    FoundAccount(Box<NewAccount>),
    /// Change actors or keys.
    Manage(Box<Management>),
    /// Note that a key was used for the first time, which ends what it succeeds.
    UseKey {
        /// Its account.
        account: AccountId,
        /// Whose it is.
        actor: ActorId,
        /// The key.
        key: KeyId,
    },
    /// Note when keys of an account were used, and end those that are no longer in force.
    TendKeys {
        /// The account.
        account: AccountId,
        /// When each was last used.
        used: Vec<(KeyId, Timestamp)>,
        /// Keys that may have expired, or come to the end of their grace.
        over: Vec<KeyId>,
    },
    /// Write rows that come from elsewhere.
    Import(Import),
    /// Note that the caller, an owner, begins to bring in what another account has.
    NoteImport {
        /// The account that it comes from.
        source: Uid,
        /// The actor whose everything becomes.
        actor: Option<ActorId>,
    },
    /// Note that the caller, an owner, exports what its account has.
    NoteExport {
        /// The actor whose rows alone are exported.
        actor: Option<ActorId>,
    },
    /// End the caller's account for good.
    EraseAccount {
        /// What its recovery code is found by, which confirms it.
        code: LookupHash,
    },
    /// Unlink some of the rows that are still linked to a deleted session.
    UnlinkSession {
        /// The account.
        account: AccountId,
        /// The session, which is deleted.
        session: SessionId,
        /// How many rows at most.
        rows: u32,
    },
    /// Delete some of what an account that has ended has left.
    SweepErased(AccountId),
    /// Give an account credits.
    GrantCredits {
        /// The account.
        account: AccountId,
        /// How many, not negative.
        amount: i64,
        /// What to note.
        note: Option<Name>,
    },
    /// Suspend an account, or have it write again.
    SetAccountStatus {
        /// The account.
        account: AccountId,
        /// What it is to be.
        status: AccountStatus,
    },
    /// Add to how often accounts called what. What is of no account is dropped.
    CountCalls(Vec<(Calls, i64)>),
    /// Forget some of an account's kept answers.
    ForgetAnswers {
        /// The account.
        account: AccountId,
        /// Those from before then.
        before: Timestamp,
    },
}

/// What a caller does about actors and keys. It costs nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Management {
    /// Take the next ids, to make keys for. Those of which nothing comes stay unused.
    ReserveIds(Reservation),
    /// Make an actor, a member.
    AddActor(NewActor),
    /// Change an actor.
    PatchActor {
        /// Which.
        id: ActorId,
        /// Its new name.
        name: Option<Name>,
        /// Whether its keys are good from now on. Those that it has end with `false`.
        is_active: Option<bool>,
    },
    /// Make a key.
    AddKey(NewKey),
    /// End a key, and with it those that were to succeed it and were never used.
    RevokeKey(KeyId),
    /// Make a recovery code, and end all others.
    RenewCode(RenewedCode),
}

/// Which ids are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reservation {
    /// One of an actor.
    Actor,
    /// One of a key, for the caller's own rotation.
    OwnKey,
    /// One of a key, for any actor.
    Key,
    /// One of a key, to renew that actor's. It is refused where the actor may not be renewed once more.
    Renewal(ActorId),
    /// One of a key and one of a recovery code, for an owner that renews its account. It is refused as a
    /// renewal is.
    AccountRenewal(ActorId),
    /// One of a recovery code.
    Code,
    /// One of a key and one of a recovery code.
    KeyAndCode,
}

impl Management {
    /// Whether only the account's owner may do it.
    #[must_use]
    pub const fn is_owners(&self) -> bool {
        match self {
            Self::AddActor(_) | Self::PatchActor { .. } | Self::RenewCode(_) => true,
            Self::ReserveIds(kinds) => !matches!(kinds, Reservation::OwnKey),
            Self::AddKey(new) => !matches!(new.origin, KeyOrigin::Rotation { .. }),
            Self::RevokeKey(_) => false,
        }
    }
}

/// An actor to make, a member of its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewActor {
    /// Its id, which was reserved.
    pub id: ActorId,
    /// Its identity.
    pub uid: Uid,
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: ActorKind,
    /// The epoch of the account's key that holds its key.
    pub account_epoch: KeyEpoch,
    /// The wraps by which the account holds its key.
    pub wraps: Vec<Wrap>,
}

/// A key to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Its id, which was reserved.
    pub id: KeyId,
    /// Whose it is.
    pub actor: ActorId,
    /// The epoch of the account's key that it was made under, or that it opens.
    pub account_epoch: KeyEpoch,
    /// The epoch of the actor's key that it opens.
    pub epoch: KeyEpoch,
    /// What it is found by.
    pub lookup: LookupHash,
    /// Its first characters.
    pub prefix: String,
    /// What its owner calls it.
    pub label: Option<Name>,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Every wrap that was made with it.
    pub wraps: Vec<Wrap>,
    /// What it is made for.
    pub origin: KeyOrigin,
}

/// What a key is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOrigin {
    /// To have one more.
    Beside,
    /// To take the place of the key that asks for it, once it is used. It inherits the expiry, and
    /// the label where it brings none.
    Rotation {
        /// How much longer that one then stays in force, in seconds.
        grace_seconds: i64,
    },
    /// A member's key has leaked: the next epoch of its key comes into force, and its other keys end.
    Renewal,
    /// The owner's key has leaked: the same for it and for the account, once the new key is used.
    AccountRenewal {
        /// The recovery code that takes the place of those before.
        code: NewCode,
    },
    /// The account's recovery code was used: the key is its owner's only one from now on, and the code
    /// ends once it is used.
    Recovery {
        /// The recovery code that takes the place of those before.
        code: NewCode,
    },
}

/// A recovery code to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCode {
    /// Its id, which was reserved.
    pub id: RecoveryId,
    /// What it is found by.
    pub lookup: LookupHash,
}

/// A recovery code that takes the place of all others at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewedCode {
    /// The code.
    pub code: NewCode,
    /// The epoch of the account's key that it opens.
    pub account_epoch: KeyEpoch,
    /// The wraps that were made with it.
    pub wraps: Vec<Wrap>,
}

/// A todo to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTodo {
    /// Whose it is to be. Its texts are sealed with that actor's keys.
    pub actor: ActorId,
    /// Its identity.
    pub uid: Uid,
    /// The active session to link it to.
    pub session: Option<SessionId>,
    /// Its title.
    pub title: Sealed,
    /// Its description.
    pub description: Option<Sealed>,
    /// Its priority.
    pub priority: Priority,
    /// When it is due.
    pub due_at: Option<Timestamp>,
}

/// An activity to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewActivity {
    /// Whose it is to be. Its text is sealed with that actor's keys.
    pub actor: ActorId,
    /// Its identity.
    pub uid: Uid,
    /// The active session to link it to.
    pub session: Option<SessionId>,
    /// Its category.
    pub activity_type: ActivityType,
    /// What happened.
    pub description: Sealed,
    /// When it happened, if not now.
    pub logged_at: Option<Timestamp>,
}

/// An account to found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Its id: a reserved one, or that of the very first account. Once an id was given, even to an
    /// account that was erased since, the first one is not to be had without it.
    pub id: AccountId,
    /// Its identity.
    pub uid: Uid,
    /// Its name.
    pub name: Name,
    /// What it is for.
    pub kind: AccountKind,
    /// Its owner's identity.
    pub owner_uid: Uid,
    /// Its owner's name.
    pub owner_name: Name,
    /// What its owner is.
    pub owner_kind: ActorKind,
    /// The first key's look-up hash.
    pub key_lookup: LookupHash,
    /// The first key's first characters.
    pub key_prefix: String,
    /// The recovery code's look-up hash.
    pub code_lookup: LookupHash,
    /// Every wrap of the new hierarchy.
    pub wraps: Vec<Wrap>,
    /// The credits it starts with.
    pub credits: i64,
    /// Whether it must be the database's only account.
    pub must_be_first: bool,
}

impl NewAccount {
    /// The id of a new account's owner.
    pub const OWNER: ActorId = ActorId(1);
    /// The role of a new account's owner.
    pub const OWNER_ROLE: Role = Role::Owner;
    /// The id of a new account's first key.
    pub const KEY: KeyId = KeyId(1);
    /// The id of a new account's recovery code.
    pub const CODE: RecoveryId = RecoveryId(1);
    /// The id of the first account of a database that has given none yet.
    pub const FIRST: AccountId = AccountId(1);
}

impl Intent {
    /// Whether it is a batch in itself: many rows at a time, of something that goes on for longer. Counts of
    /// calls lock many accounts, and other writes must not wait with them for one that is busy.
    #[must_use]
    pub const fn is_batch(&self) -> bool {
        matches!(
            self,
            Self::Import(_)
                | Self::SweepErased(_)
                | Self::UnlinkSession { .. }
                | Self::CountCalls(_)
        )
    }

    /// Whether it is applied by itself. An erasure deletes keys and wraps that it does not load, so no
    /// other unit of its batch may make any.
    #[must_use]
    pub const fn stands_alone(&self) -> bool {
        matches!(self, Self::EraseAccount { .. }) || self.is_batch()
    }

    /// Whether it may end keys, so that its batch-mates' are checked again.
    #[must_use]
    pub const fn may_end_keys(&self) -> bool {
        matches!(self, Self::Manage(_) | Self::UseKey { .. } | Self::SetAccountStatus { .. })
    }

    /// Whether a suspended account may do it.
    #[must_use]
    pub fn is_open_to_suspended(&self) -> bool {
        match self {
            Self::Manage(management) => matches!(**management, Management::RevokeKey(_)),
            Self::NoteExport { .. } => true,
            _ => false,
        }
    }
}

impl UnitOfWork {
    /// One that costs nothing and is tied to nothing.
    #[must_use]
    pub fn free(author: Author, intent: Intent, at: Timestamp) -> Self {
        Self { author, intent, charge: None, conditions: Conditions::default(), at }
    }

    /// Every account that it rests on or writes in: its author's, whose key has to be in force, and
    /// where it is another, the one that an operator's unit is about.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> + use<> {
        let authors = match self.author {
            Author::Key(bearer) => Some(bearer.account),
            Author::Code(bearer) => Some(bearer.account),
            Author::Program => None,
        };
        authors.into_iter().chain(self.account())
    }

    /// The account that it writes in; `None` if it only takes an account id.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        match (&self.intent, self.author) {
            (Intent::ReserveAccount, _) => None,
            (Intent::FoundAccount(new), _) => Some(new.id),
            (
                Intent::GrantCredits { account, .. }
                | Intent::SetAccountStatus { account, .. }
                | Intent::UseKey { account, .. }
                | Intent::TendKeys { account, .. }
                | Intent::SweepErased(account)
                | Intent::UnlinkSession { account, .. }
                | Intent::ForgetAnswers { account, .. },
                _,
            ) => Some(*account),
            (_, Author::Key(bearer)) => Some(bearer.account),
            (_, Author::Code(bearer)) => Some(bearer.account),
            (_, Author::Program) => None,
        }
    }
}

impl UnitOfWork {
    /// What an answer to it may be kept under.
    pub fn answer_keys(&self) -> impl Iterator<Item = AnswerKey> {
        let named = match (self.author, &self.conditions.idempotency) {
            (Author::Key(bearer), Some(idempotency)) => Some((bearer, idempotency)),
            _ => None,
        };
        named.into_iter().flat_map(|(bearer, idempotency)| {
            idempotency.all().map(move |named| (bearer.account, bearer.actor, named.key))
        })
    }
}

/// What a committed unit left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The row as it stands now, sealed.
    pub row: AppliedRow,
    /// What the unit cost.
    pub cost: i64,
    /// The account's balance: after it, or, for a replay, now.
    pub balance: i64,
    /// Whether it was done before, and this tells again what was answered then. Nothing was done or
    /// charged now.
    pub is_replay: bool,
}

/// The row that a committed unit left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppliedRow {
    /// A session started or changed.
    Session(Session<Sealed>),
    /// A todo created or changed.
    Todo(Todo<Sealed>),
    /// An activity logged.
    Activity(Activity<Sealed>),
    /// An actor made or changed.
    Actor(Actor),
    /// A key made or ended.
    Key(ApiKey),
    /// Rows that came from elsewhere, and what became of each. Where credits ended, the last outcome
    /// is [`Refusal::InsufficientCredits`], and nothing was done for the rows from there on.
    Imported(Vec<Result<Imported, Refusal>>),
    /// A row deleted.
    Deleted,
    /// An account id taken.
    Reserved(AccountId),
    /// An account founded, given credits or ids, suspended or resumed, or of which a key was used.
    Account(Box<Account>),
    /// Calls counted.
    Counted,
}

/// Why a unit was refused. It changed nothing and cost nothing. Each displays as one sentence for
/// the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The caller's key is revoked, expired, or its actor deactivated.
    #[error("This key is no longer in force.")]
    KeyNotInForce,
    /// The recovery code is wrong or has ended: which of them is not told.
    #[error("The recovery code is not valid.")]
    CodeNotInForce,
    /// The account may not write.
    #[error("This account is suspended: it can be read, but not written.")]
    Suspended,
    /// A member that asks for what is the owner's.
    #[error("Only the account's owner may do this: a member reads and writes its own.")]
    OwnerOnly,
    /// A key in grace manages no keys.
    #[error("This key was rotated and is in its grace: it manages no actors and no keys.")]
    KeyInGrace,
    /// Ending the key that the account hangs on.
    #[error("This is the last key in force of the account's owner: rotate it instead.")]
    LastOwnerKey,
    /// A recovery code that is not the account's.
    #[error("This is not the recovery code of this account.")]
    WrongRecoveryCode,
    /// Ending the account without which nobody runs the service.
    #[error("This is the last operator's account: make another one first.")]
    LastOperator,
    /// Deactivating the owner.
    #[error("The owner of an account can't be deactivated.")]
    OwnerStays,
    /// An `actor_id` that names no actor of the account.
    #[error("There is no actor {0}.")]
    NoSuchActor(ActorId),
    /// A key for an actor that has none while it is inactive.
    #[error("Actor {0} is deactivated: it gets no key before it is active again.")]
    ActorInactive(ActorId),
    /// One more key for an actor that has as many as it may.
    #[error("Actor {0} has {limit} keys in force, which is the most: revoke some first.", limit = super::key::KEYS_MAX)]
    TooManyKeys(ActorId),
    /// One more actor of an account that has as many as it may.
    #[error("This account has {limit} actors, deactivated ones included, which is the most: activate one of them instead.", limit = super::quota::ACTORS_MAX)]
    TooManyActors,
    /// One more key of an account that keeps as many as it may, of which none has ended.
    #[error("This account has {limit} keys, which is the most, and none of them has ended: revoke some first.", limit = super::quota::ACCOUNT_KEYS_MAX)]
    TooManyAccountKeys,
    /// One more renewal of an actor's key on a day that has had as many as it may.
    #[error("The key of actor {actor} was renewed {limit} times today (UTC), which is the most: the next renewal is possible from {next_at} on.", limit = super::quota::RENEWALS_PER_DAY_MAX)]
    TooManyRenewals {
        /// Whose key.
        actor: ActorId,
        /// When the next one is possible.
        next_at: Timestamp,
        /// How long that is from now, in seconds, rounded up.
        wait_seconds: u32,
    },
    /// A key that would be born expired.
    #[error("The expiry must lie ahead.")]
    ExpiryNotAhead,
    /// A key that was made for an epoch that is no longer the newest.
    #[error("The keys of actor {0} were renewed in between: try again.")]
    KeysRenewed(ActorId),
    /// What an operator's account alone may do.
    #[error("Only an operator's account may do this.")]
    OperatorOnly,
    /// An account that would suspend itself.
    #[error("An account can't suspend itself: another operator's account may.")]
    OwnAccount,
    /// The caller has named another request by this key.
    #[error("This Idempotency-Key was sent with another request within a day: take a new one.")]
    KeyOfAnotherRequest,
    /// A request that the caller has named by this key is still being worked on.
    #[error("A request with this Idempotency-Key is still being worked on: ask again shortly.")]
    StillInFlight,
    /// No such row, or not the caller's.
    #[error("There is no such {0}.")]
    NotFound(&'static str),
    /// The row is in none of the states that the caller insists on.
    #[error("The {0} has changed since it was read: read it again and decide anew.")]
    HasChanged(&'static str),
    /// A `session_id` that names no session of the actor.
    #[error("There is no session {0}.")]
    NoSuchSession(SessionId),
    /// A link to a session that has ended.
    #[error("Session {0} has ended: only an active session can be linked to.")]
    SessionEnded(SessionId),
    /// An import of what an account has into that account.
    #[error("This is an export of this very account: everything in it would be here twice.")]
    OwnExport,
    /// A dry run of an import whose rows lie too far apart to be remembered.
    #[error(
        "The file has more rows than a dry run can remember. Its last line counts them: an import of it costs at most 1 credit for each."
    )]
    DryRunTooLarge,
    /// A step of a log that does not begin where its todo stands.
    #[error("The todo stands at {}, and this step begins at {}.", .stands.name(), .from.name())]
    StepFromElsewhere {
        /// Where the step begins.
        from: TodoStatus,
        /// Where the todo stands.
        stands: TodoStatus,
    },
    /// Ending an ended session.
    #[error("Session {0} has already ended.")]
    AlreadyEnded(SessionId),
    /// Reopening an ended session.
    #[error("Session {0} has ended and can't be reopened: start a new one.")]
    CannotReopen(SessionId),
    /// A step between statuses that there is not.
    #[error("A todo can't go from {} to {}; from there it may go to {}.", .from.name(), .to.name(), names(.from.next()))]
    ForbiddenStep {
        /// Where it stands.
        from: TodoStatus,
        /// Where it was to go.
        to: TodoStatus,
    },
    /// A note that no log row would carry.
    #[error("A note is kept with a change of status, and the status does not change here.")]
    NoteWithoutChange,
    /// An actor's activities have as many kinds as they may.
    #[error("An actor may have at most {limit} activity types.", limit = super::activity::KINDS_MAX)]
    TooManyKinds,
    /// The balance is below the cost.
    #[error("The balance of {balance} credits does not cover the cost of {cost}.")]
    InsufficientCredits {
        /// What there is.
        balance: i64,
        /// What the write costs.
        cost: i64,
    },
    /// The balance would exceed what can be counted.
    #[error("The balance would exceed what can be counted.")]
    BalanceTooHigh,
    /// No such account.
    #[error("There is no account {0}.")]
    NoSuchAccount(AccountId),
    /// The account is founded already: another process was first.
    #[error("Account {0} exists already.")]
    AccountExists(AccountId),
}

fn names(statuses: &[TodoStatus]) -> String {
    let names: Vec<_> = statuses.iter().map(|status| status.name()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

impl Patch<Resealed> {
    /// What it does to a field that now holds `current`.
    #[must_use]
    pub fn against(self, current: Option<&Sealed>) -> Patch<Sealed> {
        match self {
            Self::Keep => Patch::Keep,
            Self::Clear => Patch::Clear,
            Self::Set(new) if new.same_as.is_some() && new.same_as.as_ref() == current => {
                Patch::Keep
            }
            Self::Set(new) => Patch::Set(new.sealed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_one_sentence_for_the_caller() {
        let session = SessionId(2);
        let step = |from, to| Refusal::ForbiddenStep { from, to };
        let too_little = Refusal::InsufficientCredits { balance: 0, cost: 1 };
        for (refusal, sentence) in [
            (Refusal::KeyNotInForce, "This key is no longer in force."),
            (Refusal::CodeNotInForce, "The recovery code is not valid."),
            (Refusal::Suspended, "This account is suspended: it can be read, but not written."),
            (
                Refusal::OwnerOnly,
                "Only the account's owner may do this: a member reads and writes its own.",
            ),
            (
                Refusal::KeyInGrace,
                "This key was rotated and is in its grace: it manages no actors and no keys.",
            ),
            (
                Refusal::LastOwnerKey,
                "This is the last key in force of the account's owner: rotate it instead.",
            ),
            (Refusal::WrongRecoveryCode, "This is not the recovery code of this account."),
            (Refusal::LastOperator, "This is the last operator's account: make another one first."),
            (Refusal::OwnerStays, "The owner of an account can't be deactivated."),
            (Refusal::NoSuchActor(ActorId(4)), "There is no actor 4."),
            (
                Refusal::OwnExport,
                "This is an export of this very account: everything in it would be here twice.",
            ),
            (
                Refusal::ActorInactive(ActorId(4)),
                "Actor 4 is deactivated: it gets no key before it is active again.",
            ),
            (
                Refusal::TooManyKeys(ActorId(4)),
                "Actor 4 has 1000 keys in force, which is the most: revoke some first.",
            ),
            (
                Refusal::DryRunTooLarge,
                "The file has more rows than a dry run can remember. Its last line counts them: an import of it costs at most 1 credit for each.",
            ),
            (Refusal::ExpiryNotAhead, "The expiry must lie ahead."),
            (
                Refusal::KeysRenewed(ActorId(4)),
                "The keys of actor 4 were renewed in between: try again.",
            ),
            (Refusal::OperatorOnly, "Only an operator's account may do this."),
            (
                Refusal::OwnAccount,
                "An account can't suspend itself: another operator's account may.",
            ),
            (
                Refusal::KeyOfAnotherRequest,
                "This Idempotency-Key was sent with another request within a day: take a new one.",
            ),
            (
                Refusal::StillInFlight,
                "A request with this Idempotency-Key is still being worked on: ask again shortly.",
            ),
            (Refusal::NotFound("todo"), "There is no such todo."),
            (
                Refusal::HasChanged("todo"),
                "The todo has changed since it was read: read it again and decide anew.",
            ),
            (Refusal::NoSuchSession(session), "There is no session 2."),
            (
                Refusal::SessionEnded(session),
                "Session 2 has ended: only an active session can be linked to.",
            ),
            (Refusal::AlreadyEnded(session), "Session 2 has already ended."),
            (
                Refusal::CannotReopen(session),
                "Session 2 has ended and can't be reopened: start a new one.",
            ),
            (
                step(TodoStatus::Done, TodoStatus::Cancelled),
                "A todo can't go from done to cancelled; from there it may go to open or in_progress.",
            ),
            (
                step(TodoStatus::Cancelled, TodoStatus::Done),
                "A todo can't go from cancelled to done; from there it may go to open or in_progress.",
            ),
            (
                Refusal::NoteWithoutChange,
                "A note is kept with a change of status, and the status does not change here.",
            ),
            (Refusal::TooManyKinds, "An actor may have at most 1000 activity types."),
            (too_little, "The balance of 0 credits does not cover the cost of 1."),
            (Refusal::BalanceTooHigh, "The balance would exceed what can be counted."),
            (Refusal::NoSuchAccount(AccountId(3)), "There is no account 3."),
            (Refusal::AccountExists(AccountId(3)), "Account 3 exists already."),
        ] {
            assert_eq!(refusal.to_string(), sentence);
        }
    }

    #[test]
    fn statuses_are_listed_in_words() {
        use TodoStatus::{Cancelled, Done, Open};
        assert_eq!(names(&[]), "");
        assert_eq!(names(&[Open]), "open");
        assert_eq!(names(&[Open, Done]), "open or done");
        assert_eq!(names(&[Open, Done, Cancelled]), "open, done or cancelled");
    }

    #[test]
    fn a_resealed_text_is_kept_where_the_same_ciphertext_still_stands() {
        let (old, other) = (Sealed(vec![1]), Sealed(vec![2]));
        let new = |same_as: Option<&Sealed>| {
            Patch::Set(Resealed { sealed: Sealed(vec![9]), same_as: same_as.cloned() })
        };
        let set = Patch::Set(Sealed(vec![9]));
        assert_eq!(new(Some(&old)).against(Some(&old)), Patch::Keep);
        assert_eq!(new(Some(&old)).against(Some(&other)), set);
        assert_eq!(new(Some(&old)).against(None), set);
        assert_eq!(new(None).against(Some(&old)), set);
        assert_eq!(new(None).against(None), set, "nothing there is no text");
        assert_eq!(Patch::<Resealed>::Clear.against(Some(&old)), Patch::Clear);
        assert_eq!(Patch::<Resealed>::Keep.against(Some(&old)), Patch::Keep);
    }
}
