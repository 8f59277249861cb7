//! Reading idempotency records.

use async_trait::async_trait;

use super::commands::StoreResult;
use crate::model::id::AccountId;
use crate::model::time::Timestamp;

/// Finds idempotency records that have expired.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait IdempotencyReader: Send + Sync {
    /// The first account after `after`, by id, or the first of all, that has records from before
    /// that time. MUST NOT scan the records.
    async fn account_with_idempotency_records(
        &self,
        before: Timestamp,
        after: Option<AccountId>,
    ) -> StoreResult<Option<AccountId>>;
}
