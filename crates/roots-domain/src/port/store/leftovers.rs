//! The port to find the rest of deletions, which is done in steps.

use async_trait::async_trait;

use super::commands::StoreResult;
use crate::model::id::{AccountId, SessionId};

/// The rest of a deletion, to be done in steps. Readers of resources do not see these rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// Rows of an account that was erased.
    Erased(AccountId),
    /// Rows of an account that are linked to a session that was deleted.
    Linked(AccountId, SessionId),
}

impl Leftover {
    /// Its account.
    #[must_use]
    pub const fn account(self) -> AccountId {
        match self {
            Self::Erased(account) | Self::Linked(account, _) => account,
        }
    }
}

/// Finds the rest of deletions.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait LeftoverReader: Send + Sync {
    /// The rest of a deletion in the first account after `after`, by id, or the first of all, that
    /// may have any. For an erased account it MUST say that it was erased.
    async fn left_over(&self, after: Option<AccountId>) -> StoreResult<Option<Leftover>>;
}
