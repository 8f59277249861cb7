//! Telling whether the database answers.

use async_trait::async_trait;

use super::commands::StoreResult;
/// Tells whether the database answers and takes writes.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Asks it something small. MUST fail where a write would fail, as far as that can be known
    /// without making one each time.
    async fn ping(&self) -> StoreResult<()>;
}
