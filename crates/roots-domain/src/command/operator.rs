//! What operators do about accounts.

use crate::model::account::AccountStatus;
use crate::model::bearer::KeyBearer;
use crate::model::id::AccountId;
use crate::model::text::Name;

/// An operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// The bearer of a key, which must be of an operator's account.
    Key(KeyBearer),
    /// The command line of the program. It needs no key.
    CommandLine,
}

/// A change of an account by an operator. It costs nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperatorAction {
    /// Grant credits to an account.
    GrantCredits {
        /// The account.
        account: AccountId,
        /// How many, not negative.
        amount: i64,
        /// The note.
        note: Option<Name>,
    },
    /// Suspend or resume an account.
    SetAccountStatus {
        /// The account.
        account: AccountId,
        /// Its new status.
        status: AccountStatus,
    },
}

impl Operator {
    /// The bearer of the operator's key, if it has shown one.
    #[must_use]
    pub const fn bearer(&self) -> Option<KeyBearer> {
        match self {
            Self::Key(bearer) => Some(*bearer),
            Self::CommandLine => None,
        }
    }
}

impl OperatorAction {
    /// The account that it changes.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        match self {
            Self::GrantCredits { account, .. } | Self::SetAccountStatus { account, .. } => *account,
        }
    }
}
