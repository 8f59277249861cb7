//! Reads sessions.

use async_trait::async_trait;
use roots_domain::model::id::{AccountId, SessionId};
use roots_domain::model::page::{Page, PageRequest, SortKey, Start};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::{ListedSession, Session, SessionStatusKind, SessionWindow};
use roots_domain::model::time::{TimeRange, Timestamp};
use roots_domain::port::store::{
    Admission, SessionQuery, SessionReader, SilenceReader, SilentSessions, StoreResult,
};
use sea_orm::sea_query::{Alias, Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter,
    QueryResult, QuerySelect, Statement,
};

use super::paging::{ListOrder, counted_to_max, of_actor, sorted_by};
use super::rows::ById;
use super::totals::{counters_of, sum};
use crate::errors::of_read;
use crate::store::Store;
use crate::table::{InvalidRow, at, counters, sessions};

/// The column with the time of the last activity, for the sessions of the same statement.
const LAST_ACTIVE_AT: &str = "last_active_at";
const LAST_ACTIVE: &str = "(SELECT a.last_active_at FROM session_activity AS a \
    WHERE a.account_id = $1 AND a.session_id = sessions.session_id)";

/// When a session of an account was last active.
fn last_active(account: AccountId) -> Expr {
    Expr::cust_with_values(LAST_ACTIVE, [account.0])
}

/// The column with the end of a session, which the database derives: that of an active one is still
/// to come.
const END_AT: &str = "end_at";

/// A session, and when it was last active.
struct ListedModel {
    session: sessions::Model,
    last_active_at: i64,
}

impl FromQueryResult for ListedModel {
    fn from_query_result(row: &QueryResult, pre: &str) -> Result<Self, DbErr> {
        let session = sessions::Model::from_query_result(row, pre)?;
        let last_active_at: Option<i64> = row.try_get(pre, LAST_ACTIVE_AT)?;
        // Another batch can't delete the one without the other.
        let last_active_at = last_active_at.unwrap_or(session.started_at);
        Ok(Self { session, last_active_at })
    }
}

impl TryFrom<ListedModel> for ListedSession<Sealed> {
    type Error = InvalidRow;

    fn try_from(row: ListedModel) -> Result<Self, InvalidRow> {
        Ok(Self { session: row.session.try_into()?, last_active_at: at(row.last_active_at) })
    }
}

#[async_trait]
impl SessionReader for Store {
    async fn session(&self, by: Admission, id: SessionId) -> StoreResult<Option<Session<Sealed>>> {
        use sessions::Column::{AccountId, SessionId};
        static BY_ID: ById = ById::new();
        self.by_id::<sessions::Entity, _>(&BY_ID, [AccountId, SessionId], by, id.0).await
    }

    async fn listed_session(
        &self,
        by: Admission,
        id: SessionId,
    ) -> StoreResult<Option<ListedSession<Sealed>>> {
        let row = sessions::Entity::find()
            .filter(sessions::Column::AccountId.eq(by.account.0))
            .filter(sessions::Column::SessionId.eq(id.0));
        let total = Expr::value(1_i64);
        let row = row.expr_as(last_active(by.account), LAST_ACTIVE_AT).into();
        let order = [sessions::Column::SessionId];
        let one = PageRequest::skipping(0, 1);
        let found = self.page_of::<_, ListedModel, _, 1>(by, row, order, total, one).await?;
        Ok(found.items.into_iter().next())
    }

    async fn sessions(&self, query: &SessionQuery) -> StoreResult<Page<ListedSession<Sealed>>> {
        use sessions::Column::{AccountId, ActorId, SessionId, StartedAt, Status};
        let started = match query.window {
            SessionWindow::Started(started) => started,
            SessionWindow::ActiveSince(since) => return self.active_since(query, since).await,
        };
        let mut rows = sessions::Entity::find().filter(AccountId.eq(query.by.account.0));
        let mut counts = counters_of(query.by.account, query.actor, counters::SUBJECT_SESSIONS);
        if let Some(status) = query.status {
            rows = rows.filter(Status.eq(status.name()));
            counts = counts.filter(counters::Column::Label.eq(status.name()));
        }
        let total = sum(counts, counters::Column::Count);
        let rows = rows.expr_as(last_active(query.by.account), LAST_ACTIVE_AT);
        let order = [StartedAt, SessionId];
        if !started.is_open() {
            let within = |TimeRange { since, until }: TimeRange| {
                let since = since.map(|since| StartedAt.gte(since.micros()));
                let until = until.map(|until| StartedAt.lte(until.micros()));
                let both = Condition::all().add_option(since).add_option(until);
                of_actor(rows.clone().filter(both), ActorId, query.actor, false)
            };
            let total = within(started).counted();
            // Sessions after a position did not start later. Of two bounds SQLite uses one for
            // seeking, so only the tighter one is set.
            let until = started.until.filter(|until| match query.page.start {
                Start::After(SortKey([_, at, _])) => until.micros() < at,
                Start::Offset(_) => true,
            });
            let (rows, page) = (within(TimeRange { until, ..started }), query.page);
            return self
                .page_of::<_, ListedModel, _, 2>(query.by, rows, order, total, page)
                .await
                .map(counted_to_max);
        }
        let rows = of_actor(rows, ActorId, query.actor, false);
        self.page_of::<_, ListedModel, _, 2>(query.by, rows, order, total, query.page).await
    }
}

impl Store {
    /// A page of sessions that were active since then.
    async fn active_since(
        &self,
        query: &SessionQuery,
        since: Timestamp,
    ) -> StoreResult<Page<ListedSession<Sealed>>> {
        use sessions::Column::{AccountId, ActorId, SessionId, StartedAt, Status};
        let SessionQuery { by, actor, status, page, .. } = *query;
        let end = || Expr::col(Alias::new(END_AT));
        let listed = || {
            sessions::Entity::find()
                .filter(AccountId.eq(by.account.0))
                .expr_as(last_active(by.account), LAST_ACTIVE_AT)
        };
        let active = SessionStatusKind::Active.name();
        let counted = counters_of(by.account, actor, counters::SUBJECT_SESSIONS)
            .filter(counters::Column::Label.eq(active));
        let active_total = sum(counted, counters::Column::Count);
        let sort_key = |row: &ListedSession<_>| row.session.position_by_end();
        let of_start = [StartedAt, SessionId].map(sorted_by);
        if status == Some(SessionStatusKind::Active) {
            // Active ones have the same end, and their start orders them.
            let rows = of_actor(listed().filter(Status.eq(active)), ActorId, actor, false);
            let order = ListOrder::descending(of_start, sort_key);
            return self
                .page_of::<_, ListedModel, _, 2>(by, rows, order, active_total, page)
                .await
                .map(counted_to_max);
        }
        let listed = || listed().filter(end().gte(since.micros())).expr_as(end(), END_AT);
        let ended = || listed().filter(end().lt(i64::MAX));
        let ended_total = of_actor(ended(), ActorId, actor, false).counted();
        let (rows, total) = match (status, page.start) {
            (None, _) => (listed(), active_total.add(ended_total)),
            // Sessions after a position have ended no later. Of two bounds SQLite uses one for
            // seeking, so only the tighter one is set.
            (Some(_), Start::After(SortKey([at, ..]))) if at < i64::MAX => (listed(), ended_total),
            (Some(_), _) => (ended(), ended_total),
        };
        let rows = of_actor(rows, ActorId, actor, false);
        let [start, id] = of_start;
        let order = ListOrder::descending([(END_AT, end()), start, id], sort_key);
        self.page_of::<_, ListedModel, _, 3>(by, rows, order, total, page).await.map(counted_to_max)
    }
}

#[async_trait]
impl SilenceReader for Store {
    async fn silent_sessions(
        &self,
        before: Timestamp,
        after: Option<AccountId>,
        most: u32,
    ) -> StoreResult<Option<SilentSessions>> {
        // One look at the index of open sessions for each account.
        let account = "SELECT account_id FROM accounts WHERE account_id > $1 AND (SELECT \
                       last_active_at FROM session_activity WHERE session_activity.account_id \
                       = accounts.account_id AND is_open = 1 ORDER BY last_active_at LIMIT 1) \
                       <= $2 ORDER BY account_id LIMIT 1";
        let db = self.readers_of_all();
        let backend = db.get_database_backend();
        // Ids count from 1.
        let after = after.map_or(0, |account| account.0);
        let values = [after.into(), before.micros().into()];
        let asked = Statement::from_sql_and_values(backend, account, values);
        let Some(row) = db.query_one_raw(asked).await.map_err(of_read)? else { return Ok(None) };
        let account: i64 = row.try_get_by_index(0).map_err(of_read)?;
        let sessions = "SELECT session_id FROM session_activity WHERE account_id = $1 \
                        AND is_open = 1 AND last_active_at <= $2 \
                        ORDER BY last_active_at, session_id LIMIT $3";
        let values = [account.into(), before.micros().into(), i64::from(most).into()];
        let asked = Statement::from_sql_and_values(backend, sessions, values);
        let db = &self.readers(AccountId(account));
        let rows = db.query_all_raw(asked).await.map_err(of_read)?;
        let ids = rows.iter().map(|row| row.try_get_by_index(0).map(SessionId));
        let sessions = ids.collect::<Result<_, _>>().map_err(of_read)?;
        Ok(Some(SilentSessions { account: AccountId(account), sessions }))
    }
}
