//! The command: a write as a value.
//!
//! A command says what is wanted, by whom, and what it costs. It holds no closure and opens no
//! transaction; the store decides and applies it whole or not at all, through
//! [`crate::decide`], and may batch it with others unseen.

mod manage;
mod operator;
mod outcome;
mod refusal;
mod resource;
mod system;
mod transfer;

pub use manage::{
    KeyOrigin, ManageAction, NewActor, NewCode, NewKey, RecoverAction, RenewedCode, Reservation,
};
pub use operator::{Operator, OperatorAction};
pub use outcome::{Applied, AppliedRow, IdempotencyRecord};
pub use refusal::Refusal;
pub use resource::{Resealed, ResourceAction, RowPatch};
pub use system::{NewAccount, SystemAction};
pub use transfer::TransferAction;

use crate::model::bearer::{CodeBearer, KeyBearer};
use crate::model::credit::WRITE_COST;
use crate::model::etag::EntityTag;
use crate::model::id::AccountId;
use crate::model::idempotency::{Idempotency, IdempotencyRecordKey};
use crate::model::time::Timestamp;

/// A write as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What is wanted, and who asks.
    pub action: Action,
    /// Its price and route; `None` if it is free.
    pub charge: Option<Charge>,
    /// The caller's preconditions and idempotency key.
    pub conditions: Conditions,
    /// When it was asked for: the time that its rows carry. Whether a key is in force is judged by
    /// the time at which the command is decided, which is later.
    pub at: Timestamp,
}

/// What is wanted, with the principal that asks for it. Each kind of principal has actions of its
/// own, so no command asks for what its principal can never do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The bearer of an API key writes sessions, todos and activities.
    Resource(KeyBearer, ResourceAction),
    /// The bearer of an API key changes actors, keys and recovery codes, or erases its account.
    Manage(KeyBearer, ManageAction),
    /// The bearer of an API key takes data out of its account or brings data in.
    Transfer(KeyBearer, TransferAction),
    /// The bearer of a recovery code makes a new key for the owner.
    Recover(CodeBearer, RecoverAction),
    /// An operator changes an account, which may be another one.
    Operate(Operator, OperatorAction),
    /// The program itself: the first start, a sign-up, the upkeep.
    System(SystemAction),
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

impl Action {
    /// The bearer of the API key that asks, if a key does.
    #[must_use]
    pub const fn bearer(&self) -> Option<KeyBearer> {
        match self {
            Self::Resource(bearer, _) | Self::Manage(bearer, _) | Self::Transfer(bearer, _) => {
                Some(*bearer)
            }
            Self::Operate(operator, _) => operator.bearer(),
            Self::Recover(..) | Self::System(_) => None,
        }
    }

    /// Whether it is a batch in itself: many rows at a time, of something that goes on for longer. Counts of
    /// calls lock many accounts, and other writes must not wait with them for one that is busy.
    #[must_use]
    pub const fn is_batch(&self) -> bool {
        matches!(
            self,
            Self::Transfer(_, TransferAction::Import(_))
                | Self::System(
                    SystemAction::SweepErased(_)
                        | SystemAction::UnlinkSession { .. }
                        | SystemAction::CountCalls(_)
                )
        )
    }

    /// Whether it is applied by itself. An erasure deletes keys and wraps that it does not load, so
    /// no other command of its batch may make any.
    #[must_use]
    pub const fn stands_alone(&self) -> bool {
        matches!(self, Self::Manage(_, ManageAction::EraseAccount { .. })) || self.is_batch()
    }

    /// Whether it may end keys, so that its batch-mates' are checked again. An erasure has none.
    #[must_use]
    pub const fn may_end_keys(&self) -> bool {
        match self {
            Self::Manage(_, action) => !matches!(action, ManageAction::EraseAccount { .. }),
            Self::Recover(..) => true,
            Self::Operate(_, action) => matches!(action, OperatorAction::SetAccountStatus { .. }),
            Self::System(action) => matches!(action, SystemAction::UseKey { .. }),
            Self::Resource(..) | Self::Transfer(..) => false,
        }
    }
}

impl Command {
    /// One that costs nothing and is tied to nothing.
    #[must_use]
    pub fn uncharged(action: Action, at: Timestamp) -> Self {
        Self { action, charge: None, conditions: Conditions::default(), at }
    }

    /// Every account that it rests on or writes in: its operator's, whose key has to be in force,
    /// and the one that it writes in. They may be the same.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> + use<> {
        let operator = match &self.action {
            Action::Operate(operator, _) => operator.bearer(),
            _ => None,
        };
        operator.map(|bearer| bearer.account).into_iter().chain(self.account())
    }

    /// The account that it writes in; `None` if it writes in none, or in many.
    #[must_use]
    pub const fn account(&self) -> Option<AccountId> {
        match &self.action {
            Action::Resource(bearer, _)
            | Action::Manage(bearer, _)
            | Action::Transfer(bearer, _) => Some(bearer.account),
            Action::Recover(bearer, _) => Some(bearer.account),
            Action::Operate(_, action) => Some(action.account()),
            Action::System(action) => action.account(),
        }
    }

    /// What an answer to it may be kept under.
    pub fn idempotency_record_keys(&self) -> impl Iterator<Item = IdempotencyRecordKey> {
        let idempotent = match (&self.action, &self.conditions.idempotency) {
            (Action::Resource(bearer, _), Some(idempotency)) => Some((*bearer, idempotency)),
            _ => None,
        };
        idempotent.into_iter().flat_map(|(bearer, idempotency)| {
            idempotency.all().map(move |macs| (bearer.account, bearer.actor, macs.key))
        })
    }
}
