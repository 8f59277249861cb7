//! The port for readiness.

use async_trait::async_trait;

use super::commands::StoreResult;
/// Checks whether the database answers and accepts writes.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Runs a small query. MUST fail if a write would fail, as far as that can be known without
    /// writing each time. Returns the names of the database servers that are away although others
    /// serve their accounts: none if there is only one server.
    async fn ping(&self) -> StoreResult<Vec<String>>;
}
