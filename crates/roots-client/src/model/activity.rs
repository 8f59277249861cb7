//! Activities and their statistics.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::actor::ActorFilter;
use super::paging::{Query, page};
use crate::time::DateOrTime;

/// An activity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// Its id, numbered per account.
    pub activity_id: i64,
    /// The session that it is linked to.
    pub session_id: Option<i64>,
    /// The category.
    pub activity_type: String,
    /// What happened.
    pub description: String,
    /// When it happened.
    pub logged_at: DateTime<Utc>,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
    /// The actor that it belongs to.
    pub actor_id: i64,
}

page! {
    /// A page of activities, latest first.
    ActivityPage { activities: Activity }
}

/// An activity to log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewActivity {
    /// What happened, 1 to 65,536 bytes.
    pub description: String,
    /// The category, 1 to 50 of `a-z`, `0-9`, `_`, `.` and `-`: `general` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity_type: Option<String>,
    /// The active session to link to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<i64>,
    /// When it happened: now by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logged_at: Option<DateOrTime>,
    /// The actor that it will belong to: the caller by default. Only an owner may name another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<i64>,
}

/// An activity that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityDeleted {
    /// `deleted`
    pub status: String,
    /// Its id.
    pub activity_id: i64,
}

/// Statistics of activities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityStats {
    /// The number of activities.
    pub total_activities: i64,
    /// The number of each type, highest first.
    pub by_type: Vec<TypeCount>,
    /// The number of types that `by_type` leaves out.
    pub by_type_omitted: i64,
    /// The number of each day that has any, ascending.
    pub by_day: Vec<DayCount>,
    /// The number of older days with activities that `by_day` leaves out.
    pub by_day_omitted: i64,
    /// The number of sessions.
    pub sessions: SessionCounts,
}

/// The number of activities of a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeCount {
    /// The type.
    pub activity_type: String,
    /// The number.
    pub count: i64,
}

/// The number of activities of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCount {
    /// The day.
    pub day: NaiveDate,
    /// The number.
    pub count: i64,
}

/// The number of sessions: the actor's, or the one of the filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionCounts {
    /// All of them.
    pub total: i64,
    /// Those that go on.
    pub active: i64,
}

/// Which activities to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActivityFilter {
    /// Only activities of this type.
    pub activity_type: Option<String>,
    /// What they have in common with those of statistics.
    pub range: StatsFilter,
}

/// Which activities to count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatsFilter {
    /// Only activities linked to this session.
    pub session_id: Option<i64>,
    /// The IANA time zone of dates, and of the days of statistics: UTC by default.
    pub time_zone: Option<String>,
    /// The start of the range, inclusive.
    pub since: Option<DateOrTime>,
    /// The end of the range, inclusive.
    pub until: Option<DateOrTime>,
    /// The actor whose activities these are: the caller by default.
    pub actor: Option<ActorFilter>,
}

impl ActivityFilter {
    pub(crate) fn query(&self) -> Query {
        let kind = self.activity_type.clone().map(|kind| ("type", kind));
        kind.into_iter().chain(self.range.query()).collect()
    }
}

impl StatsFilter {
    pub(crate) fn query(&self) -> Query {
        let parameters = [
            self.session_id.map(|id| ("session_id", id.to_string())),
            self.time_zone.clone().map(|zone| ("tz", zone)),
            self.since.map(|since| ("since", since.to_string())),
            self.until.map(|until| ("until", until.to_string())),
            self.actor.map(|actor| ("actor_id", actor.to_string())),
        ];
        parameters.into_iter().flatten().collect()
    }
}
