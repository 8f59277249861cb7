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

/// A filter of activities.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ActivityFilter {
    /// The admission of the caller.
    pub by: Admission,
    /// Only rows of this actor; `None` for all actors of the account.
    pub actor: Option<ActorId>,
    /// Only this type.
    pub activity_type: Option<ActivityType>,
    /// Only rows linked to this session.
    pub session: Option<SessionId>,
    /// When they happened.
    pub range: TimeRange,
}

/// Reads activities.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ActivityReader: Send + Sync {
    /// The activity with that id, of any actor of the account.
    async fn activity(
        &self,
        by: Admission,
        id: ActivityId,
    ) -> StoreResult<Option<Activity<Sealed>>>;

    /// A page, descending by time, then by id. The total MUST NOT scan more than the partial days
    /// at the ends of the range; with a session it may scan that session's rows.
    async fn activities(
        &self,
        filter: &ActivityFilter,
        page: PageRequest,
    ) -> StoreResult<Page<Activity<Sealed>>>;

    /// Statistics of activities, by the days of a zone, and of sessions: all of those actors, or
    /// the one in the filter. MUST NOT scan more than [`ActivityReader::activities`] may, except
    /// for quarter hours in which a day of the zone ends: there it may scan that quarter hour. MUST
    /// hold a bounded number of days, types and counts at a time, whatever the range.
    async fn activity_stats(
        &self,
        filter: &ActivityFilter,
        zone: &Zone,
    ) -> StoreResult<ActivityStats>;
}
