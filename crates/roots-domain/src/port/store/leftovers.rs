//! Finding what deletions have left to be done in steps.

use async_trait::async_trait;

use super::commands::StoreResult;
use crate::model::id::{AccountId, SessionId};

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
