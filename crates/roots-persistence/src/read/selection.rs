//! The selection of a filter of activities: rows, and the stored counts of days and quarter hours.

use roots_domain::model::time::TimeRange;
use roots_domain::port::store::ActivityFilter;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, Select};

use super::totals::kept_of;
use crate::table::shown::{Shown, is, linked_to};
use crate::table::{activities, activity_daily, activity_quarter_hours};

/// The activities that a filter selects, of any actor.
pub(super) fn selected(filter: &ActivityFilter) -> Select<activities::Entity> {
    use activities::Column::{AccountId, ActivityType, LoggedAt, SessionId};
    let linked = filter.session.is_some();
    let mut rows =
        activities::Entity::shown(filter.by.account).filter(AccountId.eq(filter.by.account.0));
    if let Some(activity_type) = &filter.activity_type {
        rows = rows.filter(is(ActivityType, activity_type.as_str(), linked));
    }
    if let Some(session) = filter.session {
        rows = linked_to(rows, SessionId, filter.by.account.0, session);
    }
    if let Some(since) = filter.range.since {
        rows = rows.filter(LoggedAt.gte(since.micros()));
    }
    if let Some(until) = filter.range.until {
        rows = rows.filter(LoggedAt.lte(until.micros()));
    }
    rows
}

/// The activities that a filter selects, to be counted: with one look-up for each actor.
pub(super) fn counted(filter: &ActivityFilter) -> Select<activities::Entity> {
    use activities::Column::ActorId;
    let rows = selected(filter);
    if filter.session.is_none() {
        return rows.filter(kept_of(ActorId, filter.by.account, filter.actor));
    }
    let of_actor = filter.actor.map(|actor| is(ActorId, actor.0, true));
    rows.filter(Condition::all().add_option(of_actor))
}

/// The same filter for another range. Each part of a range is a query of its own: with an OR, or
/// with the whole range, SQLite would scan everything in between.
pub(super) fn within(filter: &ActivityFilter, range: TimeRange) -> ActivityFilter {
    ActivityFilter { range, ..filter.clone() }
}

/// The stored counts of whole days.
pub(super) fn daily(
    filter: &ActivityFilter,
    (first, last): (i64, i64),
) -> Select<activity_daily::Entity> {
    use activity_daily::Column::{AccountId, ActivityType, ActorId, Day};
    let mut counts = activity_daily::Entity::find()
        .filter(AccountId.eq(filter.by.account.0))
        .filter(kept_of(ActorId, filter.by.account, filter.actor))
        .filter(Day.between(first, last));
    if let Some(activity_type) = &filter.activity_type {
        counts = counts.filter(ActivityType.eq(activity_type.as_str()));
    }
    counts
}

/// The stored counts of whole quarter hours.
pub(super) fn quarter_hours(
    filter: &ActivityFilter,
    (first, last): (i64, i64),
) -> Select<activity_quarter_hours::Entity> {
    use activity_quarter_hours::Column::{AccountId, ActivityType, ActorId, Quarter};
    let mut counts = activity_quarter_hours::Entity::find()
        .filter(AccountId.eq(filter.by.account.0))
        .filter(kept_of(ActorId, filter.by.account, filter.actor))
        .filter(Quarter.between(first, last));
    if let Some(activity_type) = &filter.activity_type {
        counts = counts.filter(ActivityType.eq(activity_type.as_str()));
    }
    counts
}
