//! Reading activities and their statistics.

use async_trait::async_trait;

use super::admission::Admission;
use super::commands::StoreResult;
use crate::model::activity::{Activity, ActivityStats};
use crate::model::id::{ActivityId, ActorId, SessionId};
use crate::model::page::{Page, PageRequest};
use crate::model::sealed::Sealed;
use crate::model::text::ActivityType;
use crate::model::time::TimeRange;
use crate::model::zone::Zone;

/// Which activities are asked for or counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ActivityFilter {
    /// On whose behalf.
    pub by: Admission,
    /// Of which actor; of every one of the account where none is named.
    pub actor: Option<ActorId>,
    /// Of which type.
    pub activity_type: Option<ActivityType>,
    /// Linked to which session.
    pub session: Option<SessionId>,
    /// When they happened.
    pub range: TimeRange,
}

/// Reads activities.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ActivityReader: Send + Sync {
    /// The activity of that id, whosever it is in the account.
    async fn activity(
        &self,
        by: Admission,
        id: ActivityId,
    ) -> StoreResult<Option<Activity<Sealed>>>;

    /// A page, descending by when they happened, then by id. The total MUST NOT scan more than
    /// the ragged ends of the range; by session it may scan that session's.
    async fn activities(
        &self,
        filter: &ActivityFilter,
        page: PageRequest,
    ) -> StoreResult<Page<Activity<Sealed>>>;

    /// Statistics of activities, by the days that the clock of a zone shows, and the sessions beside
    /// them: all of those actors', or the one that the filter names. MUST NOT scan
    /// more than [`ActivityReader::activities`] may, but where the zone's clock shows days that end
    /// beside the quarter hours: there, what lies in such a quarter. MUST hold a bounded number
    /// of days, types and counts at a time, whatever the range.
    async fn activity_stats(
        &self,
        filter: &ActivityFilter,
        zone: &Zone,
    ) -> StoreResult<ActivityStats>;
}
