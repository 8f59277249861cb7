//! Statistics of todos and credits, from their counts by quarter hours.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use roots_domain::model::id::{AccountId, ActorId};
use roots_domain::model::time::{Day, QuarterHour};
use roots_domain::model::work::{
    CreditCounts, CreditStats, CreditSums, DaySpan, TodoCounts, TodoStats, WORK_ACTORS_MAX,
    WorkWindow,
};
use roots_domain::model::zone::Zone;
use roots_domain::port::store::{StoreError, StoreResult, WorkQuery};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryResult, Statement};

use crate::errors::of_read;
use crate::store::Store;
use crate::table::accounts;

/// Counts that are summed over quarter hours.
trait Summed: Sized {
    /// The columns, as they are summed.
    const COLUMNS: &'static [&'static str];

    /// The counts of columns of a row, from an index on.
    fn read(row: &QueryResult, from: usize) -> Result<Self, DbErr>;
}

impl Summed for TodoCounts {
    const COLUMNS: &'static [&'static str] = &["todos_made", "todos_done", "todos_cancelled"];

    fn read(row: &QueryResult, from: usize) -> Result<Self, DbErr> {
        Ok(Self {
            made: row.try_get_by_index(from)?,
            done: row.try_get_by_index(from + 1)?,
            cancelled: row.try_get_by_index(from + 2)?,
        })
    }
}

impl Summed for CreditCounts {
    const COLUMNS: &'static [&'static str] = &["credits_spent", "credits_granted"];

    fn read(row: &QueryResult, from: usize) -> Result<Self, DbErr> {
        Ok(Self { spent: row.try_get_by_index(from)?, granted: row.try_get_by_index(from + 1)? })
    }
}

/// Credits that were spent. Grants belong to no actor.
struct Spent(i64);

impl Summed for Spent {
    const COLUMNS: &'static [&'static str] = &["credits_spent"];

    fn read(row: &QueryResult, from: usize) -> Result<Self, DbErr> {
        Ok(Self(row.try_get_by_index(from)?))
    }
}

impl Store {
    /// Statistics of todos, from the cache if nothing was written since.
    pub(super) async fn todo_stats_of(
        &self,
        query: &WorkQuery,
        zone: &Zone,
    ) -> StoreResult<TodoStats> {
        // Read the version first: counts read after it are not older.
        let version = self.version(query.by).await?;
        let (key, cache) = ((*query, zone.name().to_owned()), self.stats_cache().todos());
        if let Some((counted_at, known)) = cache.get(&key)
            && Some(counted_at) == version
        {
            return Ok(known);
        }
        let stats = self.count_todos(query, zone).await?;
        if let Some(version) = version {
            cache.insert(key, (version, stats.clone()));
        }
        Ok(stats)
    }

    /// Statistics of credits, from the cache if nothing was written since.
    pub(super) async fn credit_stats_of(
        &self,
        query: &WorkQuery,
        zone: &Zone,
    ) -> StoreResult<CreditStats> {
        let version = self.version(query.by).await?;
        let (key, cache) = ((*query, zone.name().to_owned()), self.stats_cache().credits());
        if let Some((counted_at, known)) = cache.get(&key)
            && Some(counted_at) == version
        {
            return Ok(known);
        }
        let stats = self.count_credits(query, zone).await?;
        if let Some(version) = version {
            cache.insert(key, (version, stats.clone()));
        }
        Ok(stats)
    }

    /// Todos made, done and cancelled.
    async fn count_todos(&self, query: &WorkQuery, zone: &Zone) -> StoreResult<TodoStats> {
        let tx = self.snapshot(query.by.account).await?;
        let sums = Sums::<TodoCounts>::of(query.by.account, query.actor);
        let (by_actor, by_actor_omitted) = sums.by_actor(&tx, query.window).await?;
        let by_day = sums.by_day(&tx, query.window, zone).await?;
        tx.commit().await.map_err(of_read)?;
        Ok(TodoStats {
            window: query.window,
            total: TodoCounts::sum(by_day.values().copied()),
            by_actor,
            by_actor_omitted,
            by_day: by_day.into_iter().collect(),
        })
    }

    /// Credits spent and granted, and the balance.
    async fn count_credits(&self, query: &WorkQuery, zone: &Zone) -> StoreResult<CreditStats> {
        let WorkQuery { by, actor, window } = *query;
        // The balance is reckoned back from the same snapshot.
        let tx = self.snapshot(by.account).await?;
        let account = accounts::Entity::find_by_id(by.account.0).one(&tx).await.map_err(of_read)?;
        let balance = account.ok_or(StoreError::EpochMoved)?.balance;
        let of_account = Sums::<CreditCounts>::of(by.account, None);
        let later = WorkWindow {
            first: QuarterHour(window.last.0.max(window.first.0 - 1) + 1),
            last: QuarterHour::LAST,
        };
        let later = of_account.total(&tx, later).await?.unwrap_or_default();
        let days = of_account.by_day(&tx, window, zone).await?;
        let spenders = Sums::<Spent>::of(by.account, actor);
        let spent = if actor.is_none() {
            days.iter().map(|(day, counts)| (*day, counts.spent)).collect()
        } else {
            let spent = spenders.by_day(&tx, window, zone).await?;
            spent.into_iter().map(|(day, Spent(spent))| (day, spent)).collect()
        };
        let (by_actor, omitted) = spenders.by_actor(&tx, window).await?;
        tx.commit().await.map_err(of_read)?;
        let by_actor = by_actor.into_iter().map(|(actor, Spent(spent))| (actor, spent)).collect();
        let sums = CreditSums { balance, later, of_account: days, spent };
        Ok(CreditStats::reckon(window, &sums, (by_actor, omitted)))
    }
}

/// Sums the counts of one actor, or of the whole account.
struct Sums<T> {
    account: AccountId,
    actor: Option<ActorId>,
    of: PhantomData<T>,
}

impl<T: Summed> Sums<T> {
    const fn of(account: AccountId, actor: Option<ActorId>) -> Self {
        Self { account, actor, of: PhantomData }
    }

    /// Runs a query for sums by `key`, from one quarter hour to before another one.
    async fn rows(
        &self,
        tx: &DatabaseTransaction,
        key: &str,
        (first, end): (QuarterHour, QuarterHour),
        ordered: &str,
    ) -> StoreResult<Vec<QueryResult>> {
        if first >= end {
            return Ok(Vec::new());
        }
        // In PostgreSQL the sum of BIGINTs is a NUMERIC.
        let sums = T::COLUMNS.iter().map(|column| format!("CAST(SUM({column}) AS BIGINT)"));
        let sums = sums.collect::<Vec<_>>().join(", ");
        let any = T::COLUMNS.join(" + ");
        let of_actor = if self.actor.is_some() { "AND actor_id = $4 " } else { "" };
        let sql = format!(
            "SELECT {key}, COUNT(*) OVER () AS lines, {sums} FROM work_quarter_hours \
             WHERE account_id = $1 AND quarter >= $2 AND quarter < $3 {of_actor}\
             AND {any} <> 0 GROUP BY 1 {ordered}"
        );
        let values = [self.account.0, first.0, end.0].into_iter();
        let values = values.chain(self.actor.map(|actor| actor.0)).map(Into::into);
        let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
        tx.query_all_raw(statement).await.map_err(of_read)
    }

    /// All counts of a window.
    async fn total(&self, tx: &DatabaseTransaction, window: WorkWindow) -> StoreResult<Option<T>> {
        let all = "CAST(0 AS BIGINT) AS whole";
        let end = QuarterHour(window.last.0 + 1);
        let rows = self.rows(tx, all, (window.first, end), "").await?;
        rows.first().map(|row| T::read(row, 2)).transpose().map_err(of_read)
    }

    /// The actors with the highest sums in a window, and the number of the others.
    async fn by_actor(
        &self,
        tx: &DatabaseTransaction,
        window: WorkWindow,
    ) -> StoreResult<(Vec<(ActorId, T)>, i64)> {
        let ordered =
            format!("ORDER BY SUM({}) DESC, 1 LIMIT {WORK_ACTORS_MAX}", T::COLUMNS.join(" + "));
        let end = QuarterHour(window.last.0 + 1);
        let rows = self.rows(tx, "actor_id", (window.first, end), &ordered).await?;
        let mut found = Vec::with_capacity(rows.len());
        let mut all = 0;
        for row in rows {
            let actor = ActorId(row.try_get_by_index(0).map_err(of_read)?);
            all = row.try_get_by_index::<i64>(1).map_err(of_read)?;
            found.push((actor, T::read(&row, 2).map_err(of_read)?));
        }
        let omitted = all - i64::try_from(found.len()).unwrap_or(all);
        Ok((found, omitted))
    }

    /// The days of a zone in a window that have any counts. Days of 24 hours that follow each other
    /// are one query; a change of the clock makes one of its own.
    async fn by_day(
        &self,
        tx: &DatabaseTransaction,
        window: WorkWindow,
        zone: &Zone,
    ) -> StoreResult<BTreeMap<Day, T>> {
        let mut days = BTreeMap::new();
        for run in runs(&window.days(zone)) {
            // The second value is the first quarter hour.
            let day = format!("(quarter - $2) / {} AS day", run.length);
            for row in self.rows(tx, &day, (run.first, run.end), "").await? {
                let index = row.try_get_by_index::<i64>(0).map_err(of_read)?;
                days.insert(Day(run.day.0 + index), T::read(&row, 2).map_err(of_read)?);
            }
        }
        Ok(days)
    }
}

/// Days of the same length that follow each other.
struct Run {
    day: Day,
    first: QuarterHour,
    end: QuarterHour,
    /// Quarter hours of a day.
    length: i64,
}

/// The days as few runs. The first day of a run is whole; its last one may be cut short.
fn runs(days: &[DaySpan]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for DaySpan { day, first, end } in days {
        let length = end.0 - first.0;
        let joined = runs.last_mut().filter(|run| {
            let before = day.0 - run.day.0;
            run.end == *first
                && first.0 - run.first.0 == before * run.length
                && length <= run.length
        });
        match joined {
            Some(run) => run.end = *end,
            None => runs.push(Run { day: *day, first: *first, end: *end, length }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use roots_domain::model::time::{TimeRange, Timestamp};

    use super::*;

    #[test]
    fn days_of_24_hours_are_one_run_between_changes_of_the_clock() {
        let at = |text| Timestamp::parse(text).ok();
        for (zone, since, until, days, most) in [
            ("UTC", "2025-04-09", "2026-04-08T23:59:59Z", 365, 1),
            ("UTC", "2025-04-09T10:00:00Z", "2026-04-09T09:59:59Z", 366, 2),
            ("Europe/Vienna", "2025-04-09T10:00:00Z", "2026-04-09T09:59:59Z", 366, 6),
        ] {
            let zone = Zone::parse(zone).unwrap();
            let range = TimeRange { since: at(since), until: at(until) };
            let spans = WorkWindow::of(range, Timestamp::FIRST).days(&zone);
            let runs = runs(&spans);
            assert_eq!(spans.len(), days);
            assert!(runs.len() <= most, "{} runs", runs.len());
            // Each quarter hour is on the day of its span.
            for span in &spans {
                for quarter in [span.first.0, span.end.0 - 1] {
                    let run = runs.iter().find(|run| run.first.0 <= quarter && quarter < run.end.0);
                    let run = run.unwrap();
                    assert_eq!(run.day.0 + (quarter - run.first.0) / run.length, span.day.0);
                }
            }
        }
    }
}
