//! The results of reads and writes.

use crate::command::{Applied, Refusal};
use crate::port::crypto::CryptoError;
use crate::port::store::{ApplyError, StoreError};

/// Why a read failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A rule refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// An error of the database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored text does not open: it is damaged, or belongs to another place.
    #[error("The text of {what} {id} can't be read. It can still be deleted or overwritten.")]
    Unreadable {
        /// The kind of its row: `session`, `todo`, `activity`.
        what: &'static str,
        /// The id of its row.
        id: i64,
    },
}

/// Why a write failed. It cost nothing unless the error says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// A patch that changes no field.
    #[error("The patch changes nothing: name at least one field.")]
    EmptyPatch,
    /// A rule refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// An error of the database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The text could not be sealed.
    #[error(transparent)]
    Seal(#[from] CryptoError),
    /// The write was done and charged, but another text of the row does not open.
    #[error(
        "The change was saved, but another text of {what} {id} can't be read. It can still be deleted or overwritten."
    )]
    SavedUnreadable {
        /// The kind of its row.
        what: &'static str,
        /// The id of its row.
        id: i64,
        /// The cost of the write.
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
    /// The store returned a row of another kind than the command's.
    pub(super) fn mismatched() -> Self {
        Self::Store(StoreError::Broken("a command was answered with another kind of row".into()))
    }
}

/// A successful write, its cost and the balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written<T> {
    /// The row as it is now.
    pub value: T,
    /// The cost of the write.
    pub cost: i64,
    /// The account's balance after the write or, for a replay, now.
    pub balance: i64,
    /// Whether it was done before, and this repeats the earlier answer.
    pub is_replay: bool,
}

impl<T> Written<T> {
    pub(super) fn of(value: T, applied: &Applied) -> Self {
        let Applied { cost, balance, is_replay, .. } = *applied;
        Self { value, cost, balance, is_replay }
    }
}
