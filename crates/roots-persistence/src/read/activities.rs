//! Reads activities and their statistics.

use async_trait::async_trait;
use roots_domain::model::activity::{Activity, ActivityStats};
use roots_domain::model::id::{AccountId, ActivityId};
use roots_domain::model::page::{Page, PageRequest, SortKey, Start};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::zone::Zone;
use roots_domain::port::store::{ActivityFilter, ActivityReader, Admission, StoreResult};
use sea_orm::sea_query::{Expr, ExprTrait, Func};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Select};

use super::epoch::expect_epoch;
use super::paging::{TOTAL, of_actor};
use super::rows::ById;
use super::selection::{counted, daily, quarter_hours, selected, within};
use super::totals::{count, counters_of, number, sum};
use crate::errors::of_read;
use crate::store::Store;
use crate::table::{accounts, activities, activity_daily, activity_quarter_hours, counters};

/// The version of an account that does not exist. Nothing is cached for it.
const NO_VERSION: i64 = 0;
/// The column with the account's version at the time of counting.
const AS_OF: &str = "as_of";

#[async_trait]
impl ActivityReader for Store {
    async fn activity(
        &self,
        by: Admission,
        id: ActivityId,
    ) -> StoreResult<Option<Activity<Sealed>>> {
        use activities::Column::{AccountId, ActivityId};
        static BY_ID: ById = ById::new();
        let columns = [AccountId, ActivityId];
        self.by_id::<activities::Entity, _>(&BY_ID, columns, by, id.0).await
    }

    async fn activities(
        &self,
        filter: &ActivityFilter,
        page: PageRequest,
    ) -> StoreResult<Page<Activity<Sealed>>> {
        use activities::Column::{ActivityId, ActorId, LoggedAt};
        let mut rest = filter.clone();
        // Rows after a position are not later than it. Of two bounds SQLite uses one for seeking,
        // so the tighter one must be set.
        if let (Start::After(SortKey([_, at, _])), Some(until)) = (page.start, filter.range.until)
            && at <= until.micros()
        {
            rest.range.until = None;
        }
        let rows = of_actor(selected(&rest), ActorId, filter.actor, filter.session.is_some());
        let (order, total) = ([LoggedAt, ActivityId], total_of(filter));
        if filter.range.is_open() || filter.session.is_some() {
            return self.page(filter.by, rows, order, total, page).await;
        }
        // A range has many counts to add up.
        let version = number(version_of(filter.by.account));
        let version = Expr::from(Func::coalesce([version, Expr::value(NO_VERSION)]));
        let total = match self.stats_cache().total(filter) {
            Some((as_of, known)) => {
                Expr::case(version.clone().eq(as_of), known).finally(total).into()
            }
            None => total,
        };
        let numbers = [(TOTAL, total), (AS_OF, version)];
        let (items, next, [total, as_of]) =
            self.rows(filter.by, rows, order, numbers, page).await?;
        if as_of != NO_VERSION {
            self.stats_cache().remember_total(filter, as_of, total);
        }
        Ok(Page { items, total, request: page, next })
    }

    async fn activity_stats(
        &self,
        filter: &ActivityFilter,
        zone: &Zone,
    ) -> StoreResult<ActivityStats> {
        // Read the version first: counts read after it are not older.
        let version = self.version(filter.by).await?;
        if let Some(known) = self.stats_cache().get(filter, zone, version) {
            return Ok(known);
        }
        let stats = self.count_stats(filter, zone).await?;
        self.stats_cache().remember(filter, zone, version, &stats);
        Ok(stats)
    }
}

impl Store {
    /// The version of an account. Every write of it raises the version.
    pub(super) async fn version(&self, by: Admission) -> StoreResult<Option<i64>> {
        let found = version_of(by.account).column(accounts::Column::AuthEpoch);
        let found = found
            .into_tuple::<(i64, i64)>()
            .one(&self.readers(by.account))
            .await
            .map_err(of_read)?;
        let (version, epoch) = found.unzip();
        expect_epoch(by, epoch)?;
        Ok(version)
    }
}

/// Looks up the version of an account.
fn version_of(account: AccountId) -> Select<accounts::Entity> {
    accounts::Entity::find_by_id(account.0).select_only().column(accounts::Column::Version)
}

/// The number of activities that a filter selects, as a part of a statement.
fn total_of(filter: &ActivityFilter) -> Expr {
    if filter.session.is_some() {
        return count(counted(filter));
    }
    if filter.range.is_open() {
        let mut counts = counters_of(filter.by.account, filter.actor, counters::SUBJECT_ACTIVITIES);
        if let Some(kind) = &filter.activity_type {
            counts = counts.filter(counters::Column::Label.eq(kind.as_str()));
        }
        return sum(counts, counters::Column::Count);
    }
    let split = filter.range.by_day();
    let days = split.whole.map(|days| sum(daily(filter, days), activity_daily::Column::Count));
    let ends = split.ends.into_iter().flat_map(|end| {
        let split = end.by_quarter_hour();
        let whole = split.whole.map(|quarters| {
            sum(quarter_hours(filter, quarters), activity_quarter_hours::Column::Count)
        });
        let ends = split.ends.into_iter().map(|end| count(counted(&within(filter, end))));
        whole.into_iter().chain(ends).collect::<Vec<_>>()
    });
    days.into_iter().chain(ends).reduce(ExprTrait::add).unwrap_or_else(|| Expr::value(0_i64))
}
