//! The command: a write as a value.
//!
//! A command says what is wanted, by whom, and what it costs. It holds no closure and opens no
//! transaction; the store decides and applies it whole or not at all, through
//! [`crate::decide`], and may batch it with others unseen.

mod manage;
mod outcome;
mod refusal;
mod resource;
mod system;

pub use manage::{KeyOrigin, Management, NewActor, NewCode, NewKey, RenewedCode, Reservation};
pub use outcome::{Applied, AppliedRow, IdempotencyRecord};
pub use refusal::Refusal;
pub use resource::{NewActivity, Resealed, RowPatch};
pub use system::NewAccount;

use crate::model::account::AccountStatus;
use crate::model::api_key::LookupHash;
use crate::model::bearer::{CodeBearer, KeyBearer};
use crate::model::credit::WRITE_COST;
use crate::model::etag::EntityTag;
use crate::model::id::{AccountId, ActivityId, ActorId, KeyId, SessionId, TodoId, Uid};
use crate::model::idempotency::{Idempotency, IdempotencyRecordKey};
use crate::model::import::Import;
use crate::model::sealed::Sealed;
use crate::model::session::SessionPatch;
use crate::model::text::Name;
use crate::model::time::Timestamp;
use crate::model::todo::{NewTodo, TodoPatch};
use crate::model::usage::Calls;

/// A write as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Who asks.
    pub principal: Principal,
    /// What is wanted.
    pub action: Action,
    /// What it costs, if it costs.
    pub charge: Option<Charge>,
    /// What the caller ties it to.
    pub conditions: Conditions,
    /// When it was asked for: the time that its rows carry. Whether a key is in force is judged by
    /// the time at which the command is decided, which is later.
    pub at: Timestamp,
}

/// Who asks for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// The bearer of an API key.
    Key(KeyBearer),
    /// The bearer of a recovery code.
    Code(CodeBearer),
    /// Whoever runs the program: the first start, the command line, a sign-up.
    Program,
}

/// What the caller of a command ties it to. By default it is tied to nothing.
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

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
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
    CreateTodo {
        /// Its identity.
        uid: Uid,
        /// The rest of it.
        new: NewTodo<Sealed>,
    },
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
    /// Name the installation so, unless it has a name, before its first account is founded.
    NameInstallation(Uid),
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
    /// Forget some of an account's idempotency records.
    ForgetIdempotencyRecords {
        /// The account.
        account: AccountId,
        /// Those from before then.
        before: Timestamp,
    },
}

impl Action {
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

    /// Whether it is applied by itself. An erasure deletes keys and wraps that it does not load, so
    /// no other command of its batch may make any.
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

impl Command {
    /// One that costs nothing and is tied to nothing.
    #[must_use]
    pub fn uncharged(principal: Principal, action: Action, at: Timestamp) -> Self {
        Self { principal, action, charge: None, conditions: Conditions::default(), at }
    }

    /// Every account that it rests on or writes in: its principal's, whose key has to be in force,
    /// and where it is another, the one that an operator's command is about.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> + use<> {
        let principals = match self.principal {
            Principal::Key(bearer) => Some(bearer.account),
            Principal::Code(bearer) => Some(bearer.account),
            Principal::Program => None,
        };
        principals.into_iter().chain(self.account())
    }

    /// The account that it writes in; `None` if it only takes an account id.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        match (&self.action, self.principal) {
            (Action::ReserveAccount | Action::NameInstallation(_), _) => None,
            (Action::FoundAccount(new), _) => Some(new.id),
            (
                Action::GrantCredits { account, .. }
                | Action::SetAccountStatus { account, .. }
                | Action::UseKey { account, .. }
                | Action::TendKeys { account, .. }
                | Action::SweepErased(account)
                | Action::UnlinkSession { account, .. }
                | Action::ForgetIdempotencyRecords { account, .. },
                _,
            ) => Some(*account),
            (_, Principal::Key(bearer)) => Some(bearer.account),
            (_, Principal::Code(bearer)) => Some(bearer.account),
            (_, Principal::Program) => None,
        }
    }
}

impl Command {
    /// What an answer to it may be kept under.
    pub fn idempotency_record_keys(&self) -> impl Iterator<Item = IdempotencyRecordKey> {
        let named = match (self.principal, &self.conditions.idempotency) {
            (Principal::Key(bearer), Some(idempotency)) => Some((bearer, idempotency)),
            _ => None,
        };
        named.into_iter().flat_map(|(bearer, idempotency)| {
            idempotency.all().map(move |named| (bearer.account, bearer.actor, named.key))
        })
    }
}
