//! Reading what a dashboard tells.

use std::sync::Arc;

use async_trait::async_trait;

use super::admission::Admission;
use super::commands::StoreResult;
use crate::model::chart::LaneSessions;
use crate::model::dashboard::{DashboardRows, DashboardSpans};
use crate::model::forecast::Spending;
use crate::model::id::ActorId;
use crate::model::sealed::Sealed;
use crate::model::time::{QuarterHour, Timestamp};
use crate::model::zone::Zone;
use crate::port::clock::Clock;

/// Most agents of a dashboard.
pub const AGENTS_MAX: u32 = 100;
/// Most active sessions at either end of the list by their last write.
pub const OPEN_SESSIONS_MAX: u32 = 100;
/// Most active sessions whose latest entry is looked at, those that have been silent longest.
pub const WAITING_SESSIONS_MAX: u32 = 200;
/// Most todos in progress, the oldest ones: a window of the newest would hide what is stuck.
pub const IN_PROGRESS_MAX: u32 = 200;
/// Most todos past their due date, the oldest ones.
pub const OVERDUE_MAX: u32 = 50;
/// Most open todos in the order of claims.
pub const NEXT_UP_MAX: u32 = 5;
/// Most of the newest activities.
pub const LATEST_MAX: u32 = 30;
/// Most sessions of a timeline, the newest ones.
pub const LANE_SESSIONS_MAX: u32 = 2_000;
/// Most keys that expire soon.
pub const EXPIRING_KEYS_MAX: u32 = 20;

/// A query for what a dashboard tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DashboardQuery {
    /// The admission of the caller.
    pub by: Admission,
    /// Only rows of this actor; `None` for all actors of the account.
    pub actor: Option<ActorId>,
    /// The agents that are read are those after this one, by id.
    pub agents_after: Option<ActorId>,
    /// The viewer's zone, whose days are counted.
    pub zone: Zone,
}

/// A query for the activities of some quarter hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuarterHourQuery {
    /// The admission of the caller.
    pub by: Admission,
    /// Only rows of this actor; `None` for all actors of the account.
    pub actor: Option<ActorId>,
    /// The first and the last quarter hour.
    pub quarter_hours: (QuarterHour, QuarterHour),
}

/// A query for the sessions of a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelineQuery {
    /// The admission of the caller.
    pub by: Admission,
    /// Only rows of this actor; `None` for all actors of the account.
    pub actor: Option<ActorId>,
    /// The first and the last instant.
    pub range: (Timestamp, Timestamp),
}

/// Reads what a dashboard tells.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait DashboardReader: Send + Sync {
    /// The rows of a dashboard, all of one snapshot. The text of an activity that is longer than
    /// [`SHORT_TEXTS_MAX_BYTES`](super::SHORT_TEXTS_MAX_BYTES) is `None`. The clock judges
    /// deadlines, as it does for claims. MUST NOT scan more rows of a large account than of a small
    /// one, and MUST read the oldest of what is in progress, overdue or silent.
    async fn dashboard(
        &self,
        query: &DashboardQuery,
        clock: Arc<dyn Clock>,
    ) -> StoreResult<DashboardRows<Option<Sealed>>>;

    /// What the account has, and what it spent in the spans of the viewer's days at that time. MUST
    /// NOT read the ledger.
    async fn spending(&self, by: Admission, spans: &DashboardSpans) -> StoreResult<Spending>;

    /// The number of activities in each of some quarter hours that has any, in any order. MUST NOT
    /// read activities.
    async fn activities_by_quarter_hour(
        &self,
        query: &QuarterHourQuery,
    ) -> StoreResult<Vec<(QuarterHour, i64)>>;

    /// The sessions that overlap a range: those that started in it and those that started earlier,
    /// [`LaneSessions::newest`] of [`LANE_SESSIONS_MAX`]. MUST NOT read notes. MUST read a bounded
    /// number of rows: of very many sessions that started earlier it may leave out some.
    async fn lane_sessions(&self, query: &TimelineQuery) -> StoreResult<LaneSessions>;
}
