//! How a read or a write ends.

use crate::command::{Applied, Refusal};
use crate::port::crypto::CryptoError;
use crate::port::store::{ApplyError, StoreError};

/// Why a read failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A rule refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored text does not open: it is damaged, or not of the place it stands in.
    #[error("The text of {what} {id} can't be read. It can still be deleted or overwritten.")]
    Unreadable {
        /// What it belongs to: `session`, `todo`, `activity`.
        what: &'static str,
        /// The id of that.
        id: i64,
    },
}

/// Why a write failed. It cost nothing, but where it says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// A patch that names nothing.
    #[error("The patch names nothing to change.")]
    EmptyPatch,
    /// A rule refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The text could not be sealed.
    #[error(transparent)]
    Seal(#[from] CryptoError),
    /// The write stands and was charged, but another text of the row does not open.
    #[error(
        "The change was saved, but another text of {what} {id} can't be read. It can still be deleted or overwritten."
    )]
    SavedUnreadable {
        /// What it belongs to.
        what: &'static str,
        /// The id of that.
        id: i64,
        /// What the write cost.
        cost: i64,
        /// The account's balance after it.
        balance: i64,
    },
}

impl From<ApplyError> for WriteError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Refused(refusal) => Self::Refused(refusal),
            ApplyError::Store(error) => Self::Store(error),
        }
    }
}

impl WriteError {
    /// The store answered a command with a row of another kind.
    pub(super) fn mismatched() -> Self {
        Self::Store(StoreError::Broken("a command was answered with another kind of row".into()))
    }
}

/// A write that stands, what it cost and what is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written<T> {
    /// The row as it stands now.
    pub value: T,
    /// What the write cost.
    pub cost: i64,
    /// The account's balance: after it, or, for a replay, now.
    pub balance: i64,
    /// Whether it was done before, and this tells again what was answered then.
    pub is_replay: bool,
}

impl<T> Written<T> {
    pub(super) fn of(value: T, applied: &Applied) -> Self {
        let Applied { cost, balance, is_replay, .. } = *applied;
        Self { value, cost, balance, is_replay }
    }
}
