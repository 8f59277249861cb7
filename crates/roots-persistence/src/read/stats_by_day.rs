//! Statistics of activities by the days of a time zone.
//!
//! Stored counts are by UTC day. The parts of a UTC day with another local date are counted
//! separately and moved.

use std::collections::BTreeMap;

use roots_domain::model::activity::DayCounter;
use roots_domain::model::time::{DAY_MICROS, Day, Split, TimeRange, Timestamp};
use roots_domain::model::zone::{Cut, Zone};
use roots_domain::port::store::{ActivityFilter, StoreResult};
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, JoinType,
    Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};

use super::selection::{counted, daily, selected, within};
use crate::errors::of_read;
use crate::table::{activities, activity_daily, activity_quarter_hours};

/// Most UTC days that are counted at once, and most days of actors that are read for it.
const DAYS_AT_A_TIME: u64 = 4_096;

/// Activities counted on a UTC day.
#[derive(FromQueryResult)]
struct OfDay {
    day: i64,
    count: i64,
}

/// Activities counted within a [`CountWindow`].
#[derive(FromQueryResult)]
struct WindowCount {
    since: i64,
    count: i64,
}

/// A part of a UTC day whose counts belong to another date, in quarter hours or in microseconds.
struct CountWindow {
    /// `None` if rows of any actor are counted.
    actor: Option<i64>,
    since: i64,
    until: i64,
    /// The day they were counted for, and the day they belong to. The parts of a UTC day are the
    /// same for every actor.
    moved: (Option<Day>, Option<Day>),
}

/// Counts by local date: the counts by UTC day, with the parts of other dates moved. Only days with
/// activities are read, from the newest on, some thousands at a time.
pub(super) async fn count_shown(
    db: &impl ConnectionTrait,
    filter: &ActivityFilter,
    zone: &Zone,
) -> StoreResult<(Vec<(Day, i64)>, i64)> {
    let mut days = DayCounter::default();
    let mut end = Day(filter.range.until.unwrap_or(Timestamp::LAST).day().0 + 1);
    loop {
        let of_days = days_before(db, filter, end).await?;
        let is_last = (of_days.len() as u64) < DAYS_AT_A_TIME;
        let Some(oldest) = of_days.last().map(|row| Day(row.day)) else { break };
        let ascending = of_days.iter().rev().map(|row| Day(row.day));
        let mut rest = BTreeMap::new();
        for (cut, row) in zone.cut(ascending, filter.range).zip(of_days.iter().rev()) {
            if let Some(day) = cut.most {
                days.add(day, row.count);
            }
            if !cut.rest.is_empty() {
                rest.insert(cut.day, cut);
            }
        }
        if !rest.is_empty() {
            move_rest(db, filter, &rest, &mut days).await?;
        }
        if is_last {
            break;
        }
        // Older activities have no date after the oldest of these.
        days.settle_after(oldest);
        end = oldest;
    }
    Ok(days.finish())
}

/// Moves the counts of those parts of days whose date differs from that of the longest part.
async fn move_rest(
    db: &impl ConnectionTrait,
    filter: &ActivityFilter,
    rest: &BTreeMap<Day, Cut>,
    days: &mut DayCounter,
) -> StoreResult<()> {
    if filter.session.is_some() {
        // There are no stored counts by session: rows of any actor are counted.
        let cuts = rest.values().map(|cut| (None, cut));
        return move_pieces(db, filter, cuts, days).await;
    }
    if let Some(actor) = filter.actor {
        let cuts = rest.values().map(|cut| (Some(actor.0), cut));
        return move_pieces(db, filter, cuts, days).await;
    }
    let Some((first, last)) = rest.keys().next().zip(rest.keys().next_back()) else {
        return Ok(());
    };
    let mut after = None;
    loop {
        let found = days_of_actors(db, filter, (*first, *last), after).await?;
        let cuts =
            found.iter().filter_map(|(actor, day)| Some((Some(*actor), rest.get(&Day(*day))?)));
        move_pieces(db, filter, cuts, days).await?;
        match found.last() {
            Some(last) if found.len() as u64 == DAYS_AT_A_TIME => after = Some(*last),
            _ => return Ok(()),
        }
    }
}

/// The same for some days of actors.
async fn move_pieces<'a>(
    db: &impl ConnectionTrait,
    filter: &ActivityFilter,
    cuts: impl Iterator<Item = (Option<i64>, &'a Cut)>,
    days: &mut DayCounter,
) -> StoreResult<()> {
    let (mut quarters, mut rows) = (Vec::new(), Vec::new());
    for (actor, cut) in cuts {
        for piece in &cut.rest {
            let moved = (cut.most, piece.shown);
            let split = match filter.session {
                Some(_) => Split { whole: None, ends: vec![piece.range] },
                None => piece.range.by_quarter_hour(),
            };
            let whole = split.whole.into_iter();
            quarters.extend(whole.map(|(since, until)| CountWindow { actor, since, until, moved }));
            let ends = split.ends.iter().filter_map(|end| end.since.zip(end.until));
            let ends = ends.map(|(since, until)| (since.micros(), until.micros()));
            rows.extend(ends.map(|(since, until)| CountWindow { actor, since, until, moved }));
        }
    }
    let backend = db.get_database_backend();
    if !quarters.is_empty() {
        let asked = count_quarter_hours(filter, &quarters, backend);
        add_moved(db, asked, &quarters, days).await?;
    }
    if !rows.is_empty() {
        add_moved(db, count_rows(filter, &rows, backend), &rows, days).await?;
    }
    Ok(())
}

/// The newest UTC days before one on which a filter selects anything, descending, at most
/// [`DAYS_AT_A_TIME`]. The first and the last day of the range count as whole days.
async fn days_before(
    db: &impl ConnectionTrait,
    filter: &ActivityFilter,
    end: Day,
) -> StoreResult<Vec<OfDay>> {
    let first = filter.range.since.unwrap_or(Timestamp::FIRST).day();
    let last = Day(end.0 - 1);
    if first > last {
        return Ok(Vec::new());
    }
    let days = if filter.session.is_some() {
        let (since, until) = (Some(first.first_instant()), Some(last.last_instant()));
        let day = Expr::cust(format!("logged_at / {DAY_MICROS}"));
        counted(&within(filter, TimeRange { since, until }))
            .select_only()
            .expr_as(day.clone(), "day")
            .expr_as(Expr::cust("COUNT(*)"), "count")
            .group_by(day.clone())
            .order_by(day, Order::Desc)
            .limit(DAYS_AT_A_TIME)
            .into_model::<OfDay>()
            .all(db)
            .await
    } else {
        use activity_daily::Column::{Count, Day};
        let count = Expr::col(Count).sum().cast_as("BIGINT");
        daily(filter, (first.0, last.0))
            .select_only()
            .column(Day)
            .expr_as(count, "count")
            .group_by(Day)
            .order_by(Day, Order::Desc)
            .limit(DAYS_AT_A_TIME)
            .into_model::<OfDay>()
            .all(db)
            .await
    };
    days.map_err(of_read)
}

/// Days of actors with stored counts after `after`, or the first ones, by actor and then by day, at
/// most [`DAYS_AT_A_TIME`].
async fn days_of_actors(
    db: &impl ConnectionTrait,
    filter: &ActivityFilter,
    (first, last): (Day, Day),
    after: Option<(i64, i64)>,
) -> StoreResult<Vec<(i64, i64)>> {
    use activity_daily::Column::{ActorId, Day};
    // Ids count from 1.
    let (actor, day) = after.unwrap_or((0, 0));
    let place = Expr::tuple([Expr::col(ActorId), Expr::col(Day)]);
    daily(filter, (first.0, last.0))
        .filter(place.gt(Expr::tuple([Expr::value(actor), Expr::value(day)])))
        .select_only()
        .columns([ActorId, Day])
        .distinct()
        .order_by(ActorId, Order::Asc)
        .order_by(Day, Order::Asc)
        .limit(DAYS_AT_A_TIME)
        .into_tuple()
        .all(db)
        .await
        .map_err(of_read)
}

/// Counts within windows of whole quarter hours, from the stored counts.
fn count_quarter_hours(
    filter: &ActivityFilter,
    windows: &[CountWindow],
    backend: DbBackend,
) -> SelectStatement {
    use activity_quarter_hours::Column::{AccountId, ActivityType, ActorId, Count, Quarter};
    let mut kept = activity_quarter_hours::Entity::find().filter(AccountId.eq(filter.by.account.0));
    if let Some(activity_type) = &filter.activity_type {
        kept = kept.filter(ActivityType.eq(activity_type.as_str()));
    }
    let count = Expr::col(Count.as_column_ref()).sum().cast_as("BIGINT");
    let counts = kept.select_only().expr_as(count, "count");
    by_window(counts, Quarter, Some(ActorId), windows, backend)
}

/// Counts within windows of any length, by an index scan for each.
fn count_rows(
    filter: &ActivityFilter,
    windows: &[CountWindow],
    backend: DbBackend,
) -> SelectStatement {
    use activities::Column::{ActorId, LoggedAt};
    let all = within(filter, TimeRange::default());
    // Windows belong to an actor, except those of a session.
    let (rows, actor) = match filter.session {
        Some(_) => (counted(&all), None),
        None => (selected(&all), Some(ActorId)),
    };
    let counts = rows.select_only().expr_as(Expr::cust("COUNT(*)"), "count");
    by_window(counts, LoggedAt, actor, windows, backend)
}

/// Runs a query for each window of a column, and of an actor if there is a column for it. For any
/// number of windows this is one statement with one text, since a list is one value.
fn by_window<E: EntityTrait>(
    counts: Select<E>,
    column: E::Column,
    actor: Option<E::Column>,
    windows: &[CountWindow],
    backend: DbBackend,
) -> SelectStatement {
    let part = |name| Expr::col(("part", name));
    let time = Expr::col(column.as_column_ref());
    let mut these = Condition::all().add(time.between(part("since"), part("until")));
    if let Some(actor) = actor {
        these = these.add(Expr::col(actor.as_column_ref()).eq(part("whose")));
    }
    let mut counts = counts.into_query().cond_where(these).to_owned();
    // Empty windows are left out.
    counts.and_having(Expr::cust("COUNT(*) > 0"));
    if backend == DbBackend::Postgres {
        // Without actors their list is empty, and PostgreSQL fills it up with NULL.
        let numbers = |number: fn(&CountWindow) -> Option<i64>| {
            let numbers = windows.iter().filter_map(number).collect::<Vec<_>>();
            Func::cust("UNNEST").arg(Expr::value(numbers).cast_as("BIGINT[]"))
        };
        let list = Query::select()
            .expr_as(numbers(|window| window.actor), "whose")
            .expr_as(numbers(|window| Some(window.since)), "since")
            .expr_as(numbers(|window| Some(window.until)), "until")
            .to_owned();
        // Lateral, so that PostgreSQL uses an index for each window instead of scanning the whole
        // account.
        return Query::select()
            .columns([("part", "since"), ("of", "count")])
            .from_subquery(list, "part")
            .join_lateral(JoinType::InnerJoin, counts, "of", Expr::cust("TRUE"))
            .to_owned();
    }
    let one = |window: &CountWindow| {
        let actor = window.actor.map_or_else(|| "null".to_owned(), |actor| actor.to_string());
        format!("[{actor},{},{}]", window.since, window.until)
    };
    let list = windows.iter().map(one).collect::<Vec<_>>().join(",");
    let list = Query::select()
        .expr_as(Expr::cust("value ->> 0"), "whose")
        .expr_as(Expr::cust("value ->> 1"), "since")
        .expr_as(Expr::cust("value ->> 2"), "until")
        .from_function(Func::cust("json_each").arg(format!("[{list}]")), "list")
        .to_owned();
    // For the same reason a cross join: SQLite keeps the order of its tables.
    counts
        .expr(part("since"))
        .from_clear()
        .from_subquery(list, "part")
        .cross_join(E::default())
        .add_group_by([part("since")])
        .to_owned()
}

/// Moves the counts within windows from the day they were counted for to the day they belong to.
async fn add_moved(
    db: &impl ConnectionTrait,
    asked: SelectStatement,
    windows: &[CountWindow],
    days: &mut DayCounter,
) -> StoreResult<()> {
    let moves: BTreeMap<_, _> = windows.iter().map(|one| (one.since, one.moved)).collect();
    for row in db.query_all(&asked).await.map_err(of_read)? {
        let row = WindowCount::from_query_result(&row, "").map_err(of_read)?;
        let Some((from, to)) = moves.get(&row.since) else { continue };
        if let Some(day) = from {
            days.add(*day, -row.count);
        }
        if let Some(day) = to {
            days.add(*day, row.count);
        }
    }
    Ok(())
}
