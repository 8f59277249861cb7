//! Reads sessions.

use async_trait::async_trait;
use roots_domain::model::id::{AccountId, SessionId};
use roots_domain::model::page::Page;
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::{ListedSession, Session};
use roots_domain::model::time::Timestamp;
use roots_domain::port::store::{
    Admission, SessionQuery, SessionReader, SilenceReader, SilentSessions, StoreResult,
};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QueryResult,
    QuerySelect, Statement,
};

use super::paging::of_actor;
use super::rows::ById;
use super::totals::{counters_of, sum};
use crate::errors::of_read;
use crate::store::Store;
use crate::table::{InvalidRow, at, counters, sessions};

/// The column with the time of the last activity, for the sessions of the same statement.
const LAST_ACTIVE_AT: &str = "last_active_at";
const LAST_ACTIVE: &str = "(SELECT a.last_active_at FROM session_activity AS a \
    WHERE a.account_id = sessions.account_id AND a.session_id = sessions.session_id)";

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

    async fn sessions(&self, query: &SessionQuery) -> StoreResult<Page<ListedSession<Sealed>>> {
        use sessions::Column::{AccountId, ActorId, SessionId, StartedAt, Status};
        let mut rows = sessions::Entity::find().filter(AccountId.eq(query.by.account.0));
        let mut counts = counters_of(query.by.account, query.actor, counters::SUBJECT_SESSIONS);
        if let Some(status) = query.status {
            rows = rows.filter(Status.eq(status.name()));
            counts = counts.filter(counters::Column::Label.eq(status.name()));
        }
        let total = sum(counts, counters::Column::Count);
        let rows = rows.expr_as(Expr::cust(LAST_ACTIVE), LAST_ACTIVE_AT);
        let rows = of_actor(rows, ActorId, query.actor, false);
        let order = [StartedAt, SessionId];
        self.page_of::<_, ListedModel, _, 2>(query.by, rows, order, total, query.page).await
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
        let db = self.readers();
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
        let rows = db.query_all_raw(asked).await.map_err(of_read)?;
        let ids = rows.iter().map(|row| row.try_get_by_index(0).map(SessionId));
        let sessions = ids.collect::<Result<_, _>>().map_err(of_read)?;
        Ok(Some(SilentSessions { account: AccountId(account), sessions }))
    }
}
