//! Reading idempotency records.

use async_trait::async_trait;

use super::commands::StoreResult;
use crate::model::id::AccountId;
use crate::model::time::Timestamp;

/// Finds answers that are kept no longer.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait IdempotencyReader: Send + Sync {
    /// The first account, by id and not below `from`, that has answers from before then. MUST NOT
    /// scan the answers.
    async fn account_with_idempotency_records(
        &self,
        before: Timestamp,
        from: AccountId,
    ) -> StoreResult<Option<AccountId>>;
}
