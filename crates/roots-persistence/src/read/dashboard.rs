//! Reads what a dashboard tells, all of one snapshot.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use roots_domain::model::account::Actor;
use roots_domain::model::activity::Activity;
use roots_domain::model::brief::claim_order;
use roots_domain::model::chart::{LaneSession, LaneSessions};
use roots_domain::model::dashboard::{
    AgentRow, DashboardCounts, DashboardRows, DashboardSpans, DashboardTodo, ExpiringKey,
    OpenSession, SOON_SECONDS, TodoSession,
};
use roots_domain::model::forecast::Spending;
use roots_domain::model::id::{ActorId, KeyId, SessionId};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::SessionStatusKind;
use roots_domain::model::text::ActivityType;
use roots_domain::model::time::{QuarterHour, Timestamp};
use roots_domain::model::todo::{Todo, TodoStatus};
use roots_domain::port::clock::Clock;
use roots_domain::port::store::{
    AGENTS_MAX, Admission, DashboardQuery, DashboardReader, EXPIRING_KEYS_MAX, LANE_SESSIONS_MAX,
    NEXT_UP_MAX, OVERDUE_MAX, QuarterHourQuery, StoreError, StoreResult, TimelineQuery,
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult, QueryResult, Statement};

use super::brief::{Text, read_or_long};
use super::brief_statements::{AT, AUTH_EPOCH, LAST_ACTIVE_AT, PART, Statements, UNTIL_AT};
use super::dashboard_statements::{
    BALANCE, LAST_ENTRY_AT, NEXT, NEXT_DUE_AT, OVERDUE, SPENT_LAST_DAY, SPENT_WHOLE_DAYS, WAITS,
    WORK_ENDED_AT, WORK_SESSION, WORK_STATUS,
};
use super::epoch::expect_epoch;
use crate::errors::of_read;
use crate::store::Store;
use crate::table::{activities, actors, at, counters, known, name, todos};

#[async_trait]
impl DashboardReader for Store {
    async fn dashboard(
        &self,
        query: &DashboardQuery,
        clock: Arc<dyn Clock>,
    ) -> StoreResult<DashboardRows<Text>> {
        let tx = self.snapshot(query.by.account).await?;
        let make = Statements {
            backend: tx.get_database_backend(),
            account: query.by.account,
            actor: query.actor,
            reader: None,
            rows: NEXT_UP_MAX,
        };
        let head = tx.query_one_raw(make.dashboard_head()).await.map_err(of_read)?;
        let epoch = head.as_ref().map(|row| number(row, AUTH_EPOCH)).transpose()?;
        expect_epoch(query.by, epoch)?;
        let head = head.ok_or_else(|| StoreError::Broken("an account is gone".to_owned()))?;
        let now = clock.shared_now(optional(&head, AT)?.map(at));
        let spans = DashboardSpans::of(now, &query.zone);
        let numbers = one(&tx, make.dashboard_numbers(now, &spans)).await?;
        let todos = todos(&tx, &make, now).await?;
        let (waiting, latest) = activities(&tx, &make).await?;
        let mut agents = all(&tx, make.agents(query.agents_after), agent).await?;
        let agents_max = usize::try_from(AGENTS_MAX).unwrap_or(usize::MAX);
        let has_more_agents = agents.len() > agents_max;
        agents.truncate(agents_max);
        let soon = make.expiring_keys(now, now.plus_seconds(SOON_SECONDS));
        let mut keys = all(&tx, soon, key).await?;
        let keys_max = usize::try_from(EXPIRING_KEYS_MAX).unwrap_or(usize::MAX);
        let has_more_keys = keys.len() > keys_max;
        keys.truncate(keys_max);
        let rows = DashboardRows {
            at: now,
            agents,
            has_more_agents,
            sessions: all(&tx, make.open_sessions(query.agents_after), open_session).await?,
            waiting,
            todos: todos.shown,
            has_more_overdue: todos.has_more_overdue,
            next_up: todos.next_up,
            next_due_at: optional(&numbers, NEXT_DUE_AT)?.map(at),
            latest,
            keys,
            has_more_keys,
            today: all(&tx, make.activities_by_actor(spans.today), counted).await?,
            spending: spending(number(&head, BALANCE)?, &numbers)?,
            counts: counts(&tx, &make).await?,
        };
        tx.commit().await.map_err(of_read)?;
        Ok(rows)
    }

    async fn spending(&self, by: Admission, spans: &DashboardSpans) -> StoreResult<Spending> {
        let (tx, make, balance) = self.admitted(by, None).await?;
        let numbers = one(&tx, make.dashboard_numbers(Timestamp::LAST, spans)).await?;
        tx.commit().await.map_err(of_read)?;
        spending(balance, &numbers)
    }

    async fn activities_by_quarter_hour(
        &self,
        query: &QuarterHourQuery,
    ) -> StoreResult<Vec<(QuarterHour, i64)>> {
        let (tx, make, _) = self.admitted(query.by, query.actor).await?;
        let counted = make.activities_by_quarter_hour(query.quarter_hours);
        let found = all(&tx, counted, |row| {
            Ok((QuarterHour(number(row, "quarter")?), number(row, "count")?))
        });
        let found = found.await?;
        tx.commit().await.map_err(of_read)?;
        Ok(found)
    }

    async fn lane_sessions(&self, query: &TimelineQuery) -> StoreResult<LaneSessions> {
        let (tx, make, _) = self.admitted(query.by, query.actor).await?;
        let (since, until) = query.range;
        let found = all(&tx, make.lane_sessions(since, until), lane_session).await?;
        tx.commit().await.map_err(of_read)?;
        Ok(LaneSessions::newest(found, LANE_SESSIONS_MAX))
    }
}

impl Store {
    /// A snapshot in which the caller is still admitted, its statements, and the balance.
    async fn admitted(
        &self,
        by: Admission,
        actor: Option<ActorId>,
    ) -> StoreResult<(DatabaseTransaction, Statements, i64)> {
        let tx = self.snapshot(by.account).await?;
        let backend = tx.get_database_backend();
        let make = Statements { backend, account: by.account, actor, reader: None, rows: 0 };
        let head = tx.query_one_raw(make.dashboard_head()).await.map_err(of_read)?;
        let epoch = head.as_ref().map(|row| number(row, AUTH_EPOCH)).transpose()?;
        expect_epoch(by, epoch)?;
        let balance = head.map_or(Ok(0), |row| number(&row, BALANCE))?;
        Ok((tx, make, balance))
    }
}

async fn all<T>(
    tx: &DatabaseTransaction,
    statement: Statement,
    read: impl Fn(&QueryResult) -> StoreResult<T>,
) -> StoreResult<Vec<T>> {
    let rows = tx.query_all_raw(statement).await.map_err(of_read)?;
    rows.iter().map(read).collect()
}

async fn one(tx: &DatabaseTransaction, statement: Statement) -> StoreResult<QueryResult> {
    let row = tx.query_one_raw(statement).await.map_err(of_read)?;
    row.ok_or_else(|| StoreError::Broken("numbers of nothing".to_owned()))
}

fn number(row: &QueryResult, column: &str) -> StoreResult<i64> {
    row.try_get("", column).map_err(of_read)
}

fn optional(row: &QueryResult, column: &str) -> StoreResult<Option<i64>> {
    row.try_get("", column).map_err(of_read)
}

fn text(row: &QueryResult, column: &str) -> StoreResult<String> {
    row.try_get("", column).map_err(of_read)
}

fn spending(balance: i64, numbers: &QueryResult) -> StoreResult<Spending> {
    let whole_days = number(numbers, SPENT_WHOLE_DAYS)?;
    Ok(Spending { balance, whole_days, last_day: number(numbers, SPENT_LAST_DAY)? })
}

fn agent(row: &QueryResult) -> StoreResult<AgentRow> {
    let model = actors::Model::from_query_result(row, "").map_err(of_read)?;
    let last_entry_at = optional(row, LAST_ENTRY_AT)?.map(at);
    Ok(AgentRow { actor: Actor::try_from(model)?, last_entry_at })
}

fn open_session(row: &QueryResult) -> StoreResult<OpenSession> {
    let started_at = at(number(row, "started_at")?);
    Ok(OpenSession {
        id: SessionId(number(row, "session_id")?),
        actor: ActorId(number(row, "actor_id")?),
        started_at,
        last_active_at: optional(row, LAST_ACTIVE_AT)?.map_or(started_at, at),
    })
}

fn lane_session(row: &QueryResult) -> StoreResult<LaneSession> {
    let started_at = at(number(row, "started_at")?);
    Ok(LaneSession {
        id: SessionId(number(row, "session_id")?),
        actor: ActorId(number(row, "actor_id")?),
        started_at,
        ended_at: optional(row, "ended_at")?.map(at),
        last_active_at: optional(row, LAST_ACTIVE_AT)?.map_or(started_at, at),
    })
}

fn key(row: &QueryResult) -> StoreResult<ExpiringKey> {
    let label: Option<String> = row.try_get("", "label").map_err(of_read)?;
    Ok(ExpiringKey {
        id: KeyId(number(row, "key_id")?),
        actor: ActorId(number(row, "actor_id")?),
        prefix: text(row, "prefix")?,
        label: label.map(|label| name(label, "api_keys", "label")).transpose()?,
        expires_at: at(number(row, "expires_at")?),
    })
}

fn counted(row: &QueryResult) -> StoreResult<(ActorId, ActivityType, i64)> {
    let activity_type = activities::activity_type(text(row, "activity_type")?)?;
    Ok((ActorId(number(row, "actor_id")?), activity_type, number(row, "count")?))
}

/// The todos of a dashboard.
struct Todos {
    shown: Vec<DashboardTodo<Text>>,
    has_more_overdue: bool,
    next_up: Vec<DashboardTodo<Text>>,
}

async fn todos(tx: &DatabaseTransaction, make: &Statements, now: Timestamp) -> StoreResult<Todos> {
    let (mut shown, mut overdue, mut next) = (BTreeMap::new(), Vec::new(), Vec::new());
    for row in tx.query_all_raw(make.dashboard_todos(now)).await.map_err(of_read)? {
        let part = number(&row, PART)?;
        let session = work_session(&row)?;
        let claim_until = optional(&row, UNTIL_AT)?.map(at);
        let model = todos::Model::from_query_result(&row, "").map_err(of_read)?;
        let todo = Todo::<Sealed>::try_from(model)?;
        let order = claim_order(&todo);
        let todo = dashboard_todo(todo, session, claim_until);
        match part {
            NEXT => next.push((order, todo)),
            OVERDUE => overdue.push(todo),
            _ => _ = shown.insert(todo.id, todo),
        }
    }
    let overdue_max = usize::try_from(OVERDUE_MAX).unwrap_or(usize::MAX);
    let has_more_overdue = overdue.len() > overdue_max;
    overdue.sort_by_key(|todo| (todo.due_at, todo.id));
    shown.extend(overdue.into_iter().take(overdue_max).map(|todo| (todo.id, todo)));
    next.sort_by_key(|(order, _)| *order);
    next.truncate(usize::try_from(make.rows).unwrap_or(usize::MAX));
    Ok(Todos {
        shown: shown.into_values().collect(),
        has_more_overdue,
        next_up: next.into_iter().map(|(_, todo)| todo).collect(),
    })
}

fn dashboard_todo(
    todo: Todo<Sealed>,
    session: TodoSession,
    claim_until: Option<Timestamp>,
) -> DashboardTodo<Text> {
    DashboardTodo {
        id: todo.id,
        uid: todo.uid,
        actor: todo.actor,
        title: Some(todo.content.title),
        status: todo.status,
        status_since: todo.status_since,
        priority: todo.content.priority,
        due_at: todo.content.due_at,
        session,
        claimed_at: todo.claims.standing.map(|claim| claim.claimed_at),
        claim_until,
    }
}

/// The session in which the todo of a row is worked on.
fn work_session(row: &QueryResult) -> StoreResult<TodoSession> {
    let Some(id) = optional(row, WORK_SESSION)?.map(SessionId) else {
        return Ok(TodoSession::None);
    };
    let status: Option<String> = row.try_get("", WORK_STATUS).map_err(of_read)?;
    let Some(status) = status else { return Ok(TodoSession::Deleted) };
    let status = known(SessionStatusKind::from_name(&status), "sessions", "status")?;
    match (status, optional(row, WORK_ENDED_AT)?.map(at)) {
        (SessionStatusKind::Active, _) => Ok(TodoSession::Active(id)),
        (SessionStatusKind::Ended, Some(at)) => Ok(TodoSession::Ended { id, at }),
        (SessionStatusKind::Ended, None) => Ok(known(None, "sessions", "ended_at")?),
    }
}

/// What sessions wait for, and the newest activities, both with the newest first.
async fn activities(
    tx: &DatabaseTransaction,
    make: &Statements,
) -> StoreResult<(Vec<Activity<Text>>, Vec<Activity<Text>>)> {
    let (mut waiting, mut latest) = (Vec::new(), Vec::new());
    for row in tx.query_all_raw(make.dashboard_activities()).await.map_err(of_read)? {
        let part = number(&row, PART)?;
        let model = activities::Model::from_query_result(&row, "").map_err(of_read)?;
        let activity = Activity::<Sealed>::try_from(model)?.try_map_text(read_or_long)?;
        if part == WAITS { waiting.push(activity) } else { latest.push(activity) }
    }
    for list in [&mut waiting, &mut latest] {
        list.sort_by_key(|entry| Reverse((entry.logged_at, entry.id)));
    }
    Ok((waiting, latest))
}

/// The stored counts.
async fn counts(tx: &DatabaseTransaction, make: &Statements) -> StoreResult<DashboardCounts> {
    let mut counts = DashboardCounts::default();
    for row in tx.query_all_raw(make.counts()).await.map_err(of_read)? {
        let (subject, label) = (text(&row, "subject")?, text(&row, "label")?);
        let count = number(&row, "count")?;
        match subject.as_str() {
            counters::SUBJECT_TODOS => {
                let status = label.split_once('/').map(|(status, _)| status);
                let status = status.and_then(TodoStatus::from_name);
                counts.todos.add(known(status, "counters", "label")?, count);
            }
            counters::SUBJECT_SESSIONS => {
                let status = SessionStatusKind::from_name(&label);
                match known(status, "counters", "label")? {
                    SessionStatusKind::Active => counts.sessions_active += count,
                    SessionStatusKind::Ended => counts.sessions_ended += count,
                }
            }
            _ => counts.activities += count,
        }
    }
    Ok(counts)
}
