//! Statistics of todos and credits.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::actor::ActorFilter;
use super::paging::Query;
use crate::time::DateOrTime;

/// Todos made, done and cancelled in a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TodoStats {
    /// The beginning of the first quarter hour that was counted.
    pub since: DateTime<Utc>,
    /// The last instant of the last quarter hour that was counted.
    pub until: DateTime<Utc>,
    /// Todos that were made, those included that are deleted since.
    pub made: i64,
    /// How many times a todo was done.
    pub done: i64,
    /// How many times a todo was cancelled.
    pub cancelled: i64,
    /// The counts of each actor, the highest sum first.
    pub by_actor: Vec<ActorTodos>,
    /// The number of actors that `by_actor` leaves out.
    pub by_actor_omitted: i64,
    /// The counts of each day that has any, ascending.
    pub by_day: Vec<DayTodos>,
}

/// The todos of an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorTodos {
    /// The actor that the todos belong to.
    pub actor_id: i64,
    /// Made.
    pub made: i64,
    /// Done.
    pub done: i64,
    /// Cancelled.
    pub cancelled: i64,
}

/// The todos of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayTodos {
    /// The day.
    pub day: NaiveDate,
    /// Made.
    pub made: i64,
    /// Done.
    pub done: i64,
    /// Cancelled.
    pub cancelled: i64,
}

/// Credits spent and granted in a window, and the balance of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditStats {
    /// The beginning of the first quarter hour that was counted.
    pub since: DateTime<Utc>,
    /// The last instant of the last quarter hour that was counted.
    pub until: DateTime<Utc>,
    /// Credits that the chosen actors spent.
    pub spent: i64,
    /// Credits that the account was granted.
    pub granted: i64,
    /// The balance before the window.
    pub balance_before: i64,
    /// The balance at the end of the window.
    pub balance_after: i64,
    /// The balance now.
    pub balance: i64,
    /// What each actor spent, the most first.
    pub by_actor: Vec<ActorCredits>,
    /// The number of actors that `by_actor` leaves out.
    pub by_actor_omitted: i64,
    /// The days on which the balance changed, ascending.
    pub by_day: Vec<DayCredits>,
}

/// The credits of an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorCredits {
    /// The actor that spent them.
    pub actor_id: i64,
    /// How many.
    pub spent: i64,
}

/// The credits of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCredits {
    /// The day.
    pub day: NaiveDate,
    /// Credits that the chosen actors spent.
    pub spent: i64,
    /// Credits that the account was granted.
    pub granted: i64,
    /// The balance at the end of the day, or of the window.
    pub balance: i64,
}

/// Which window to count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WindowFilter {
    /// The IANA time zone of dates and days: UTC by default.
    pub time_zone: Option<String>,
    /// The start of the window: 30 days before its end by default.
    pub since: Option<DateOrTime>,
    /// The end of the window: now by default.
    pub until: Option<DateOrTime>,
    /// The actor whose counts these are: the caller by default.
    pub actor: Option<ActorFilter>,
}

impl WindowFilter {
    pub(crate) fn query(&self) -> Query {
        let parameters = [
            self.time_zone.clone().map(|zone| ("tz", zone)),
            self.since.map(|since| ("since", since.to_string())),
            self.until.map(|until| ("until", until.to_string())),
            self.actor.map(|actor| ("actor_id", actor.to_string())),
        ];
        parameters.into_iter().flatten().collect()
    }
}
