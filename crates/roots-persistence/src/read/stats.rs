//! Statistics of activities by type and by day, and the number of sessions.

use roots_domain::model::activity::{ActivityStats, STATS_TYPES_MAX, SessionCounts};
use roots_domain::model::session::{Session, SessionStatusKind};
use roots_domain::model::text::ActivityType;
use roots_domain::model::zone::Zone;
use roots_domain::port::store::{ActivityFilter, SessionReader, StoreError, StoreResult};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement, UnionType};
use sea_orm::{
    ColumnTrait, ConnectionTrait, FromQueryResult, Order, QueryFilter, QuerySelect, QueryTrait,
};

use super::selection::{counted, daily, quarter_hours, within};
use super::stats_by_day::count_shown;
use super::totals::counters_of;
use crate::errors::of_read;
use crate::store::Store;
use crate::table::{activities, activity_daily, activity_quarter_hours, counters};

/// Activities counted by type, with the number of types and of activities.
#[derive(FromQueryResult)]
struct OfType {
    activity_type: String,
    count: i64,
    types: i64,
    total: i64,
}

impl Store {
    /// Counts what a filter selects, by type and by the days of a zone.
    pub(super) async fn count_stats(
        &self,
        filter: &ActivityFilter,
        zone: &Zone,
    ) -> StoreResult<ActivityStats> {
        // Corrections must be based on the same snapshot as the counts.
        let tx = self.snapshot(filter.by.account).await?;
        let (by_type, by_type_omitted, total) = count_types(&tx, filter).await?;
        let (by_day, by_day_omitted) = count_shown(&tx, filter, zone).await?;
        tx.commit().await.map_err(of_read)?;
        let sessions = self.session_counts(filter).await?;
        Ok(ActivityStats { total, by_type, by_type_omitted, by_day, by_day_omitted, sessions })
    }

    async fn session_counts(&self, filter: &ActivityFilter) -> StoreResult<SessionCounts> {
        let mut counts = SessionCounts::default();
        if let Some(id) = filter.session {
            let session = self.session(filter.by, id).await?;
            let asked = |session: &Session<_>| filter.actor.is_none_or(|one| one == session.actor);
            if let Some(found) = session.filter(asked) {
                counts.add(found.status.kind(), 1);
            }
            return Ok(counts);
        }
        let kept = counters_of(filter.by.account, filter.actor, counters::SUBJECT_SESSIONS);
        for counter in kept.all(&self.readers(filter.by.account)).await.map_err(of_read)? {
            let status = SessionStatusKind::from_name(&counter.label);
            let unknown = || StoreError::Broken("a counter of sessions of no status".to_owned());
            counts.add(status.ok_or_else(unknown)?, counter.count);
        }
        Ok(counts)
    }
}

/// Counts by type, from the stored counts: the most frequent types, the number of the others, and
/// the total.
async fn count_types(
    db: &impl ConnectionTrait,
    filter: &ActivityFilter,
) -> StoreResult<(Vec<(ActivityType, i64)>, i64, i64)> {
    let mut parts = parts_by_type(filter).into_iter();
    let Some(mut all) = parts.next() else { return Ok((Vec::new(), 0, 0)) };
    for part in parts {
        all.union(UnionType::All, part);
    }
    let sum = || Expr::cust("CAST(SUM(count) AS BIGINT)");
    let asked = Query::select()
        .column("activity_type")
        .expr_as(sum(), "count")
        .expr_as(Expr::cust("COUNT(*) OVER ()"), "types")
        .expr_as(Expr::cust("CAST(SUM(SUM(count)) OVER () AS BIGINT)"), "total")
        .from_subquery(all, "part")
        .group_by_col("activity_type")
        .and_having(sum().ne(0_i64))
        .order_by_expr(sum(), Order::Desc)
        .order_by("activity_type", Order::Asc)
        .limit(STATS_TYPES_MAX as u64)
        .to_owned();
    let (mut by_type, mut types, mut total) = (Vec::new(), 0, 0);
    for row in db.query_all(&asked).await.map_err(of_read)? {
        let row = OfType::from_query_result(&row, "").map_err(of_read)?;
        by_type.push((activities::activity_type(row.activity_type)?, row.count));
        (types, total) = (row.types, row.total);
    }
    // Databases may sort names differently.
    by_type.sort_by(|(one, of_one), (other, of_other)| {
        of_other.cmp(of_one).then_with(|| one.cmp(other))
    });
    let listed = i64::try_from(by_type.len()).unwrap_or(i64::MAX);
    Ok((by_type, types - listed, total))
}

/// The selection of a filter, counted by type, in parts.
fn parts_by_type(filter: &ActivityFilter) -> Vec<SelectStatement> {
    let of_rows = |filter: &ActivityFilter| {
        // SQLite would scan all rows of an actor in an index that has all selected columns, or has
        // them in order. No such index has the version, which is never below 1.
        let rows = counted(filter).select_only();
        let rows = rows.expr_as(Expr::cust("activity_type || ''"), "activity_type");
        let one = "CASE WHEN version > 0 THEN 1 ELSE 0 END";
        rows.expr_as(Expr::cust(one), "count").into_query()
    };
    if filter.session.is_some() {
        return vec![of_rows(filter)];
    }
    if filter.range.is_open() {
        let mut counts = counters_of(filter.by.account, filter.actor, counters::SUBJECT_ACTIVITIES);
        if let Some(activity_type) = &filter.activity_type {
            counts = counts.filter(counters::Column::Label.eq(activity_type.as_str()));
        }
        let label = Expr::col(counters::Column::Label);
        let counts = counts.select_only().expr_as(label, "activity_type");
        return vec![counts.column(counters::Column::Count).into_query()];
    }
    let split = filter.range.by_day();
    let mut parts = Vec::new();
    parts.extend(split.whole.map(|days| {
        use activity_daily::Column::{ActivityType, Count};
        daily(filter, days).select_only().columns([ActivityType, Count]).into_query()
    }));
    for end in split.ends {
        let split = end.by_quarter_hour();
        parts.extend(split.whole.map(|quarters| {
            use activity_quarter_hours::Column::{ActivityType, Count};
            quarter_hours(filter, quarters)
                .select_only()
                .columns([ActivityType, Count])
                .into_query()
        }));
        parts.extend(split.ends.into_iter().map(|end| of_rows(&within(filter, end))));
    }
    parts
}
