//! Applying commands.

use async_trait::async_trait;

use crate::command::{Applied, Command, Refusal};

/// Why a database did not do its part. The text is for the log, never for a caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
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
    #[error("the database failed: {0}")]
    Broken(String),
}

/// What a database answers.
pub type StoreResult<T> = Result<T, StoreError>;

/// Why a command was not applied. Nothing of it stands, but where the error is
/// [`StoreError::OutcomeUnknown`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A rule refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Applies commands.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait CommandStore: Send + Sync {
    /// Decides and applies one command, whole or not at all.
    ///
    /// MUST decide through [`crate::decide::WorkingSet`] while holding the account's lock, answer
    /// success only once the write is durable, and answer a refusal only once what it rests on is.
    /// MUST refuse with [`Refusal::StillInFlight`] what is named as a command that it is still at
    /// work on. MUST carry on with a command it has accepted when the caller goes away.
    ///
    /// # Errors
    /// The refusal, or a database error.
    async fn apply(&self, command: Command) -> Result<Applied, ApplyError>;
}
