//! Reads todos and their logs.

use async_trait::async_trait;
use roots_domain::model::id::{AccountId, ActorId, LogId, TodoId};
use roots_domain::model::page::{Page, PageRequest};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::HEARTBEAT_EVERY_SECONDS;
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{ListedTodo, Priority, StatusChange, Todo, TodoStatus};
use roots_domain::model::work::TodoStats;
use roots_domain::model::zone::Zone;
use roots_domain::port::store::{
    Admission, FinishedTodos, LOG_CHUNK_STEPS, OverdueTodos, SessionTodos, StoreResult, TodoLog,
    TodoQuery, TodoReader, WorkQuery,
};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, DbErr, EntityTrait, FromQueryResult, Order, QueryFilter, QueryOrder,
    QueryResult, QuerySelect,
};

use super::epoch::{AUTH_EPOCH, auth_epoch_of, expect_epoch};
use super::paging::{ListOrder, MergedQuery, counted_to_max, of_actor, sorted_by};
use super::rows::ById;
use super::totals::{count, counters_of, sum};
use crate::errors::of_read;
use crate::store::Store;
use crate::table::shown::{Shown, is, linked_to};
use crate::table::{InvalidRow, at, counters, todo_logs, todos};

/// The column with the time until which the claim of a todo of the same statement lives.
const UNTIL_AT: &str = "until_at";

fn until(account: AccountId) -> Expr {
    let by_session =
        format!("a.last_active_at + (c.lease_seconds + {HEARTBEAT_EVERY_SECONDS}) * 1000000");
    let text = format!(
        "(SELECT CASE WHEN {by_session} > c.until_at THEN {by_session} ELSE c.until_at END \
         FROM claim_deadlines AS c LEFT JOIN session_activity AS a \
         ON a.account_id = $1 AND a.session_id = c.session_id \
         WHERE c.account_id = $1 AND c.todo_id = todos.todo_id)"
    );
    Expr::cust_with_values(text, [account.0])
}

/// A todo, and until when its claim lives.
struct ListedModel {
    todo: todos::Model,
    until_at: Option<i64>,
}

impl FromQueryResult for ListedModel {
    fn from_query_result(row: &QueryResult, pre: &str) -> Result<Self, DbErr> {
        let todo = todos::Model::from_query_result(row, pre)?;
        Ok(Self { todo, until_at: row.try_get(pre, UNTIL_AT)? })
    }
}

impl TryFrom<ListedModel> for ListedTodo<Sealed> {
    type Error = InvalidRow;

    fn try_from(row: ListedModel) -> Result<Self, InvalidRow> {
        Ok(Self { todo: row.todo.try_into()?, until: row.until_at.map(at) })
    }
}

/// The unfinished todos of an actor, or of all, whose due date meets a condition, earliest first.
fn by_due_date(
    by: Admission,
    actor: Option<ActorId>,
    due: Expr,
) -> (MergedQuery<todos::Entity>, ListOrder<ListedTodo<Sealed>, 2>) {
    use todos::Column::{AccountId, ActorId, DueAt, TodoId};
    let rows = todos::Entity::shown(by.account)
        .filter(AccountId.eq(by.account.0))
        .filter(Expr::cust(IN_ORDER_OF_DUE_DATE))
        .filter(due)
        .expr_as(until(by.account), UNTIL_AT);
    let columns = [DueAt, TodoId].map(sorted_by);
    let order =
        ListOrder::ascending(columns, |row: &ListedTodo<_>| row.todo.position_by_due_date());
    (of_actor(rows, ActorId, actor, false), order)
}

#[async_trait]
impl TodoReader for Store {
    async fn todo(&self, by: Admission, id: TodoId) -> StoreResult<Option<Todo<Sealed>>> {
        use todos::Column::{AccountId, TodoId};
        static BY_ID: ById = ById::new();
        self.by_id::<todos::Entity, _>(&BY_ID, [AccountId, TodoId], by, id.0).await
    }

    async fn claim_until(&self, by: Admission, id: TodoId) -> StoreResult<Option<Timestamp>> {
        let asked = todos::Entity::find()
            .select_only()
            .expr_as(until(by.account), UNTIL_AT)
            .expr_as(auth_epoch_of(by.account), AUTH_EPOCH)
            .filter(todos::Column::AccountId.eq(by.account.0))
            .filter(todos::Column::TodoId.eq(id.0))
            .into_tuple::<(Option<i64>, Option<i64>)>();
        let Some((until, epoch)) = asked.one(&self.readers(by.account)).await.map_err(of_read)?
        else {
            self.check_epoch(by).await?;
            return Ok(None);
        };
        expect_epoch(by, epoch)?;
        Ok(until.map(at))
    }

    async fn todos(&self, query: &TodoQuery) -> StoreResult<Page<ListedTodo<Sealed>>> {
        use todos::Column::{AccountId, ActorId, CreatedAt, Priority, SessionId, Status, TodoId};
        let linked = query.session.is_some();
        let mut rows =
            todos::Entity::shown(query.by.account).filter(AccountId.eq(query.by.account.0));
        if let Some(status) = query.status {
            rows = rows.filter(is(Status, status.name(), linked));
        }
        if let Some(priority) = query.priority {
            rows = rows.filter(is(Priority, priority.level(), linked));
        }
        if let Some(session) = query.session {
            rows = linked_to(rows, SessionId, query.by.account.0, session);
        }
        let total = if linked {
            let of_actor = query.actor.map(|actor| is(ActorId, actor.0, linked));
            count(rows.clone().filter(Condition::all().add_option(of_actor)))
        } else {
            let labels = todo_labels(query.status, query.priority);
            let counts = counters_of(query.by.account, query.actor, counters::SUBJECT_TODOS)
                .filter(counters::Column::Label.is_in(labels));
            sum(counts, counters::Column::Count)
        };
        let rows = rows.expr_as(until(query.by.account), UNTIL_AT);
        let rows = of_actor(rows, ActorId, query.actor, linked);
        if query.priority.is_some() && !linked {
            // An index that begins with the priority sorts its rows by the other columns.
            let order = [CreatedAt, TodoId];
            return self
                .page_of::<_, ListedModel, _, 2>(query.by, rows, order, total, query.page)
                .await;
        }
        let order = [Priority, CreatedAt, TodoId];
        self.page_of::<_, ListedModel, _, 3>(query.by, rows, order, total, query.page).await
    }

    async fn session_todos(&self, query: &SessionTodos) -> StoreResult<Page<ListedTodo<Sealed>>> {
        use todos::Column::{AccountId, ActorId, CreatedAt, Priority as Level, SessionId, TodoId};
        let SessionTodos { by, actor, session, page } = *query;
        let rows = todos::Entity::shown(by.account).filter(AccountId.eq(by.account.0));
        let rows = linked_to(rows, SessionId, by.account.0, session);
        let of_actor = actor.map(|actor| is(ActorId, actor.0, true));
        let rows =
            rows.filter(Condition::all().add_option(of_actor)).expr_as(until(by.account), UNTIL_AT);
        // The index of a session orders the todos of each priority by their creation.
        let [lowest, others @ ..] = Priority::ALL.map(Priority::level);
        let rows = MergedQuery::of_each(&rows, Level, lowest, others);
        let columns = [CreatedAt, TodoId].map(sorted_by);
        let order =
            ListOrder::descending(columns, |row: &ListedTodo<_>| row.todo.position_by_creation());
        let total = rows.counted();
        self.page_of::<_, ListedModel, _, 2>(by, rows, order, total, page).await.map(counted_to_max)
    }

    async fn finished_todos(&self, query: &FinishedTodos) -> StoreResult<Page<ListedTodo<Sealed>>> {
        use todos::Column::{AccountId, ActorId, Priority, StatusSince, TodoId};
        let FinishedTodos { by, actor, status, priority, page } = *query;
        // The condition of the index names statuses, so the query must name one too.
        let is_finished = format!("status = '{}'", status.status().name());
        let of_priority = priority.map(|priority| is(Priority, priority.level(), false));
        let rows = todos::Entity::shown(by.account)
            .filter(AccountId.eq(by.account.0))
            .filter(Expr::cust(is_finished))
            .filter(Condition::all().add_option(of_priority))
            .expr_as(until(by.account), UNTIL_AT);
        let labels = todo_labels(Some(status.status()), priority);
        let counts = counters_of(by.account, actor, counters::SUBJECT_TODOS)
            .filter(counters::Column::Label.is_in(labels));
        let total = sum(counts, counters::Column::Count);
        let rows = of_actor(rows, ActorId, actor, false);
        let columns = [StatusSince, TodoId].map(sorted_by);
        let order = ListOrder::descending(columns, |row: &ListedTodo<_>| {
            row.todo.position_by_status_since()
        });
        self.page_of::<_, ListedModel, _, 2>(by, rows, order, total, page).await
    }

    async fn overdue_todos(&self, query: &OverdueTodos) -> StoreResult<Page<ListedTodo<Sealed>>> {
        let OverdueTodos { by, actor, now, page } = *query;
        let (rows, order) = by_due_date(by, actor, todos::Column::DueAt.lt(now.micros()));
        let total = rows.counted();
        self.page_of::<_, ListedModel, _, 2>(by, rows, order, total, page).await.map(counted_to_max)
    }

    async fn next_due(
        &self,
        by: Admission,
        actor: Option<ActorId>,
        now: Timestamp,
    ) -> StoreResult<Option<Timestamp>> {
        let (rows, order) = by_due_date(by, actor, todos::Column::DueAt.gte(now.micros()));
        let first = PageRequest::skipping(0, 1);
        let (rows, ..) =
            self.rows_of::<_, ListedModel, _, 2, 0>(by, rows, order, [], first).await?;
        Ok(rows.first().and_then(|row| row.todo.content.due_at))
    }

    async fn todo_stats(&self, query: &WorkQuery, zone: &Zone) -> StoreResult<TodoStats> {
        self.todo_stats_of(query, zone).await
    }

    async fn todo_log(
        &self,
        by: Admission,
        id: TodoId,
        after: Option<LogId>,
    ) -> StoreResult<Option<TodoLog>> {
        let Some(todo) = self.todo(by, id).await? else { return Ok(None) };
        // Ids count from 1.
        let after = after.map_or(0, |step| step.0);
        // One more than is returned, to know whether any follows.
        let log = todo_logs::Entity::find()
            .filter(todo_logs::Column::AccountId.eq(by.account.0))
            .filter(todo_logs::Column::TodoId.eq(id.0))
            .filter(todo_logs::Column::LogId.gt(after))
            .order_by(todo_logs::Column::LogId, Order::Asc)
            .limit(u64::from(LOG_CHUNK_STEPS) + 1);
        let mut steps: Vec<StatusChange<Sealed>> = self.all(by.account, log).await?;
        let is_last = steps.len() <= usize::from(LOG_CHUNK_STEPS);
        steps.truncate(LOG_CHUNK_STEPS.into());
        let next = steps.last().filter(|_| !is_last).map(|step| step.id);
        Ok(Some(TodoLog { todo, steps, next }))
    }
}

/// The condition of the indexes of todos that are due, word for word, so that the database sees
/// that it can use them.
const IN_ORDER_OF_DUE_DATE: &str =
    "due_at IS NOT NULL AND status <> 'done' AND status <> 'cancelled'";

/// The labels of the counts of todos of a status and a priority.
fn todo_labels(status: Option<TodoStatus>, priority: Option<Priority>) -> Vec<String> {
    let every = |status| {
        let levels = Priority::ALL.into_iter();
        levels
            .filter(move |level| priority.is_none_or(|wanted| wanted == *level))
            .map(move |level| counters::todo_label(status, level))
    };
    TodoStatus::ALL
        .into_iter()
        .filter(|one| status.is_none_or(|wanted| wanted == *one))
        .flat_map(every)
        .collect()
}
