//! Applying commands.

use async_trait::async_trait;

use crate::command::{Applied, Command, Refusal};

/// An error of the database. The text is for the log, never for a caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database can't be reached. Nothing was done.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Its queue is full. Nothing was done.
    #[error("the write queue is full")]
    Busy,
    /// The connection was lost during the COMMIT: the write may have been done or not.
    #[error("the outcome of a commit is unknown: {0}")]
    OutcomeUnknown(String),
    /// The account's auth epoch has moved since the reader was admitted: its key may have ended.
    /// Nothing was read: admit it again.
    #[error("the account's auth epoch has moved since its caller was admitted")]
    EpochMoved,
    /// The database refused a statement, or has data that Roots never wrote. Nothing was done.
    #[error("the database failed: {0}")]
    Broken(String),
}

/// The result of a read.
pub type StoreResult<T> = Result<T, StoreError>;

/// Why a command was not applied. Nothing was written, unless the error is
/// [`StoreError::OutcomeUnknown`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A rule refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// An error of the database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Applies commands.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait CommandStore: Send + Sync {
    /// Decides and applies one command, completely or not at all.
    ///
    /// MUST decide with [`crate::decide::WorkingSet`] while holding the account's lock, report
    /// success only once the write is durable, and report a refusal only once the writes that it
    /// depends on are durable. MUST refuse a command with [`Refusal::StillInFlight`] while it
    /// processes another one with the same idempotency key. MUST finish an accepted command even if
    /// the caller goes away.
    ///
    /// # Errors
    /// The refusal, or a database error.
    async fn apply(&self, command: Command) -> Result<Applied, ApplyError>;
}
