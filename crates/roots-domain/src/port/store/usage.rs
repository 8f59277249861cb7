//! The port for usage.

use async_trait::async_trait;

use super::admission::Admission;
use super::commands::StoreResult;
use crate::model::time::Day;
use crate::model::usage::Endpoint;

/// Reads how often accounts called each endpoint.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait UsageReader: Send + Sync {
    /// The calls of an account on the days from `first` to `last`.
    async fn calls(
        &self,
        by: Admission,
        first: Day,
        last: Day,
    ) -> StoreResult<Vec<(Day, Endpoint, i64)>>;
}
