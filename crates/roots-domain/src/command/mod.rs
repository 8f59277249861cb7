//! The command: a write as a value.
//!
//! A command has a principal, an action and a price. It holds no closure and opens no transaction.
//! The store decides it with [`crate::decide`], applies it completely or not at all, and may batch
//! it with others.

mod manage;
mod operator;
mod outcome;
mod refusal;
mod resource;
mod sign_in;
mod system;
mod transfer;

pub use manage::{
    KeyOrigin, ManageAction, NewActor, NewCode, NewKey, RecoverAction, RenewedCode, Reservation,
};
pub use operator::{Operator, OperatorAction};
pub use outcome::{Applied, AppliedRow, IdempotencyRecord};
pub use refusal::{ClaimFate, Refusal};
pub use resource::{ClaimRequest, LAPSE_NOTE, Resealed, ResourceAction, RowPatch};
pub use sign_in::{NewSignIn, SignInAction};
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
    /// The requested action and its principal.
    pub action: Action,
    /// Its cost and route; `None` if it is not charged.
    pub charge: Option<Charge>,
    /// The caller's preconditions and idempotency key.
    pub conditions: Conditions,
    /// When it was asked for: the time that its rows get. Keys are checked against the later time
    /// at which the command is decided.
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
    /// The bearer of an API key signs in, or ends sign-ins, which the bearer of a browser key may
    /// do too.
    SignIn(KeyBearer, SignInAction),
    /// The bearer of an API key takes data out of its account or brings data in.
    Transfer(KeyBearer, TransferAction),
    /// The bearer of a recovery code makes a new key for the owner.
    Recover(CodeBearer, RecoverAction),
    /// An operator changes an account, which may be another one.
    Operate(Operator, OperatorAction),
    /// The program itself: the first start, a sign-up, the maintenance.
    System(SystemAction),
}

/// The caller's conditions of a command. By default there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// The states that the row may be in, to be changed or deleted. An empty list allows none.
    pub if_match: Option<Vec<EntityTag>>,
    /// The idempotency of the command.
    pub idempotency: Option<Idempotency>,
}

/// The price of a write, and the route for the ledger: `PATCH /todos/{id}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// In credits, not negative.
    pub cost: i64,
    /// The route.
    pub endpoint: &'static str,
}

impl Charge {
    /// The charge of a write of one session, todo or activity.
    #[must_use]
    pub const fn write(endpoint: &'static str) -> Self {
        Self { cost: WRITE_COST, endpoint }
    }

    /// The charge of an action: of several new todos, each costs as much as a single one.
    #[must_use]
    pub fn of(action: &ResourceAction, endpoint: &'static str) -> Self {
        match action {
            ResourceAction::CreateTodos(new) => Self { cost: WRITE_COST * new.count(), endpoint },
            _ => Self::write(endpoint),
        }
    }

    /// The charge of a write that costs nothing and whose ledger entry names the route, such as a
    /// grant of credits.
    #[must_use]
    pub const fn nothing(endpoint: &'static str) -> Self {
        Self { cost: 0, endpoint }
    }
}

impl Action {
    /// The bearer of the API key or browser key that asks, if a key does.
    #[must_use]
    pub const fn bearer(&self) -> Option<KeyBearer> {
        match self {
            Self::Resource(bearer, _)
            | Self::Manage(bearer, _)
            | Self::SignIn(bearer, _)
            | Self::Transfer(bearer, _) => Some(*bearer),
            Self::Operate(operator, _) => operator.bearer(),
            Self::Recover(..) | Self::System(_) => None,
        }
    }

    /// Whether it forms a batch by itself: many rows of a long operation. Counts of calls lock many
    /// accounts, and other writes must not wait together with them for a busy one.
    #[must_use]
    pub const fn is_batch(&self) -> bool {
        matches!(
            self,
            Self::Transfer(_, TransferAction::Import(_))
                | Self::System(
                    SystemAction::SweepErased(_)
                        | SystemAction::UnlinkSession { .. }
                        | SystemAction::EndIdleSessions { .. }
                        | SystemAction::CountCalls(_)
                )
        )
    }

    /// Whether it reads or writes the directory, which gives account ids and counts accounts.
    #[must_use]
    pub const fn uses_directory(&self) -> bool {
        matches!(
            self,
            Self::Manage(_, ManageAction::EraseAccount { .. })
                | Self::Operate(_, OperatorAction::SetAccountStatus { .. })
                | Self::System(
                    SystemAction::ReserveAccount
                        | SystemAction::NameInstallation(_)
                        | SystemAction::FoundAccount(_)
                )
        )
    }

    /// Whether it is applied alone. An erasure deletes keys and wraps that it does not load, so no
    /// other command of its batch may make any.
    #[must_use]
    pub const fn stands_alone(&self) -> bool {
        matches!(self, Self::Manage(_, ManageAction::EraseAccount { .. })) || self.is_batch()
    }

    /// Whether it may end keys, so that those of the other commands of its batch are checked again.
    /// An erasure may too, but its batch has no other commands.
    #[must_use]
    pub const fn may_end_keys(&self) -> bool {
        match self {
            Self::Manage(_, action) => !matches!(action, ManageAction::EraseAccount { .. }),
            Self::Recover(..) => true,
            Self::Operate(_, action) => matches!(action, OperatorAction::SetAccountStatus { .. }),
            Self::System(action) => matches!(action, SystemAction::UseKey { .. }),
            Self::Resource(..) | Self::Transfer(..) | Self::SignIn(..) => false,
        }
    }

    /// Whether a browser key may not ask for it: it hands out or ends API keys or recovery codes,
    /// or all data at once. An API key of the same actor is then typed again, and its bearer asks.
    #[must_use]
    pub const fn needs_api_key(&self) -> bool {
        match self {
            Self::Manage(_, action) => action.needs_api_key(),
            Self::SignIn(_, action) => {
                matches!(action, SignInAction::ReserveId | SignInAction::Open(_))
            }
            Self::Transfer(_, action) => matches!(action, TransferAction::NoteExport { .. }),
            Self::Resource(..) | Self::Recover(..) | Self::Operate(..) | Self::System(_) => false,
        }
    }
}

impl Command {
    /// A command without charge and conditions.
    #[must_use]
    pub fn uncharged(action: Action, at: Timestamp) -> Self {
        Self { action, charge: None, conditions: Conditions::default(), at }
    }

    /// Every account that it reads or writes: the operator's, whose key must be in force, and the
    /// account that it changes. They may be the same.
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
            | Action::SignIn(bearer, _)
            | Action::Transfer(bearer, _) => Some(bearer.account),
            Action::Recover(bearer, _) => Some(bearer.account),
            Action::Operate(_, action) => Some(action.account()),
            Action::System(action) => action.account(),
        }
    }

    /// The keys under which its answer may be stored.
    pub fn idempotency_record_keys(&self) -> impl Iterator<Item = IdempotencyRecordKey> {
        let bearer = match &self.action {
            Action::Resource(bearer, _) | Action::Manage(bearer, _) => Some(*bearer),
            Action::Operate(operator, _) => operator.bearer(),
            Action::SignIn(..) | Action::Transfer(..) | Action::Recover(..) | Action::System(_) => {
                None
            }
        };
        let idempotent = bearer.zip(self.conditions.idempotency.as_ref());
        idempotent.into_iter().flat_map(|(bearer, idempotency)| {
            idempotency.all().map(move |macs| (bearer.account, bearer.actor, macs.key))
        })
    }
}
