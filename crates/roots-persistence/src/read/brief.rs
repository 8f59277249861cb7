//! Reads what a brief tells, all of one snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use roots_domain::model::activity::Activity;
use roots_domain::model::brief::{
    BriefChange, BriefCounts, BriefRows, BriefSessions, COUNTED_MAX, claim_order,
};
use roots_domain::model::id::{ActorId, SessionId, Uid};
use roots_domain::model::sealed::{Field, Sealed};
use roots_domain::model::session::{ListedSession, Session, SessionStatusKind};
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{ListedTodo, StatusChange, Todo, TodoStatus};
use roots_domain::port::clock::Clock;
use roots_domain::port::store::{BriefQuery, BriefReader, LONG_TEXTS_MAX, StoreError, StoreResult};
use sea_orm::prelude::Uuid;
use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult, QueryResult, Statement};

use super::brief_statements::{
    AT, AUTH_EPOCH, IS_CLAIM_OPEN, LAST_ACTIVE_AT, NAMED, PART, STARTED, Statements, TODO_TITLE,
    TODO_UID, UNTIL_AT, WAITING,
};
use super::epoch::expect_epoch;
use crate::errors::of_read;
use crate::store::Store;
use crate::table::{activities, at, counters, sessions, todo_logs, todos};

/// A text, or none if it was too long to be read with the others.
pub(super) type Text = Option<Sealed>;

#[async_trait]
impl BriefReader for Store {
    async fn brief(
        &self,
        query: &BriefQuery,
        clock: Arc<dyn Clock>,
    ) -> StoreResult<BriefRows<Text>> {
        let BriefQuery { by, actor, reader, since, rows } = *query;
        let tx = self.snapshot(by.account).await?;
        let backend = tx.get_database_backend();
        let make = Statements { backend, account: by.account, actor, reader, rows };
        let head = one(&tx, make.head()).await?;
        expect_epoch(by, head.try_get("", AUTH_EPOCH).map_err(of_read)?)?;
        let shared: Option<i64> = head.try_get("", AT).map_err(of_read)?;
        let now = clock.shared_now(shared.map(at));
        let sessions = sessions(&tx, &make).await?;
        let since = since.or(sessions.last_end());
        let reported = since.map_or(i64::MIN, Timestamp::micros);
        let reader = sessions.named.as_ref().map(|named| named.session.id);
        let started = sessions.started.as_ref().map(|started| started.session.id);
        let session = sessions.shown();
        let (mut todos, working) = todos(&tx, &make, reader.or(started), now).await?;
        let mut counts = counts(&tx, &make).await?;
        add_numbers(&mut counts, &one(&tx, make.numbers(reported, now)).await?)?;
        let (mut waiting, mut reported_activities) = activities(&tx, &make, reported).await?;
        let status_changes = status_changes(&tx, &make, reported).await?;
        let mut room = LONG_TEXTS_MAX;
        add_long_descriptions(&tx, &make, &mut todos, &mut room).await?;
        add_long_descriptions(&tx, &make, &mut waiting, &mut room).await?;
        add_long_descriptions(&tx, &make, &mut reported_activities, &mut room).await?;
        tx.commit().await.map_err(of_read)?;
        let activities = reported_activities;
        Ok(BriefRows {
            at: now,
            since,
            reader,
            session,
            todos,
            working,
            waiting,
            activities,
            status_changes,
            counts,
        })
    }
}

async fn all(tx: &DatabaseTransaction, statement: Statement) -> StoreResult<Vec<QueryResult>> {
    tx.query_all_raw(statement).await.map_err(of_read)
}

async fn one(tx: &DatabaseTransaction, statement: Statement) -> StoreResult<QueryResult> {
    let row = tx.query_one_raw(statement).await.map_err(of_read)?;
    row.ok_or_else(|| StoreError::Broken("numbers of nothing".to_owned()))
}

/// A text, unless it was replaced by an empty one. No sealed text is empty.
#[expect(clippy::unnecessary_wraps, reason = "the rows map their texts by fallible functions")]
pub(super) fn read_or_long(_: Field, text: Sealed) -> StoreResult<Text> {
    Ok((!text.0.is_empty()).then_some(text))
}

/// The sessions among which one is shown.
async fn sessions(tx: &DatabaseTransaction, make: &Statements) -> StoreResult<BriefSessions<Text>> {
    let mut found = BriefSessions::default();
    for row in all(tx, make.sessions()).await? {
        let part: i64 = row.try_get("", PART).map_err(of_read)?;
        let model = sessions::Model::from_query_result(&row, "").map_err(of_read)?;
        let last_active_at: Option<i64> = row.try_get("", LAST_ACTIVE_AT).map_err(of_read)?;
        let session = Session::<Sealed>::try_from(model)?;
        let last_active_at = last_active_at.map_or(session.started_at, at);
        let session = session.try_map_text(read_or_long)?;
        let place = match part {
            NAMED => &mut found.named,
            STARTED => &mut found.started,
            _ => &mut found.ended,
        };
        *place = Some(ListedSession { session, last_active_at });
    }
    Ok(found)
}

/// The first todos of every list, each once, and those sessions of their claims that are active.
async fn todos(
    tx: &DatabaseTransaction,
    make: &Statements,
    session: Option<SessionId>,
    now: Timestamp,
) -> StoreResult<(Vec<ListedTodo<Text>>, BTreeSet<SessionId>)> {
    let (mut found, mut working) = (BTreeMap::new(), BTreeSet::new());
    for row in all(tx, make.todos(session, now)).await? {
        let until: Option<i64> = row.try_get("", UNTIL_AT).map_err(of_read)?;
        let is_claim_open: Option<i16> = row.try_get("", IS_CLAIM_OPEN).map_err(of_read)?;
        let model = todos::Model::from_query_result(&row, "").map_err(of_read)?;
        if found.contains_key(&model.todo_id) {
            continue;
        }
        let todo = Todo::<Sealed>::try_from(model)?.try_map_text(read_or_long)?;
        let session = todo.claims.standing.and_then(|claim| claim.session);
        working.extend(session.filter(|_| is_claim_open == Some(1)));
        found.insert(todo.id.0, ListedTodo { todo, until: until.map(at) });
    }
    let mut found: Vec<_> = found.into_values().collect();
    found.sort_by_key(|listed| {
        (listed.todo.status != TodoStatus::InProgress, claim_order(&listed.todo))
    });
    Ok((found, working))
}

/// The stored counts.
async fn counts(tx: &DatabaseTransaction, make: &Statements) -> StoreResult<BriefCounts> {
    let mut counts = BriefCounts::default();
    let unknown = || StoreError::Broken("a counter of no status".to_owned());
    for row in all(tx, make.counts()).await? {
        let subject: String = row.try_get("", "subject").map_err(of_read)?;
        let label: String = row.try_get("", "label").map_err(of_read)?;
        let count: i64 = row.try_get("", "count").map_err(of_read)?;
        match subject.as_str() {
            counters::SUBJECT_TODOS => {
                let (status, _) = label.split_once('/').ok_or_else(unknown)?;
                let status = TodoStatus::from_name(status).ok_or_else(unknown)?;
                counts.todos.add(status, count);
            }
            counters::SUBJECT_SESSIONS => {
                let status = SessionStatusKind::from_name(&label).ok_or_else(unknown)?;
                counts.add_sessions(status, count);
            }
            _ => counts.activities += count,
        }
    }
    Ok(counts)
}

/// The counts that are not stored.
fn add_numbers(counts: &mut BriefCounts, row: &QueryResult) -> StoreResult<()> {
    let number = |name: &str| -> StoreResult<i64> {
        let number: i64 = row.try_get("", name).map_err(of_read)?;
        Ok(number.min(COUNTED_MAX))
    };
    counts.waiting = [number("questions")?, number("blocked")?];
    counts.older_questions = [number("older_questions")?, number("older_blocked")?];
    counts.overdue = number("overdue")?;
    counts.overdue_open = number("overdue_open")?;
    counts.activities_since = number("activities")?;
    counts.status_changes_since = number("status_changes")?;
    Ok(())
}

/// What sessions wait for, and the newest activities, both with the newest first.
async fn activities(
    tx: &DatabaseTransaction,
    make: &Statements,
    since: i64,
) -> StoreResult<(Vec<Activity<Text>>, Vec<Activity<Text>>)> {
    let (mut waiting, mut reported) = (Vec::new(), Vec::new());
    for row in all(tx, make.activities(since)).await? {
        let part: i64 = row.try_get("", PART).map_err(of_read)?;
        let model = activities::Model::from_query_result(&row, "").map_err(of_read)?;
        let activity = Activity::<Sealed>::try_from(model)?.try_map_text(read_or_long)?;
        if part == WAITING { waiting.push(activity) } else { reported.push(activity) }
    }
    for list in [&mut waiting, &mut reported] {
        list.sort_by_key(|entry| std::cmp::Reverse((entry.logged_at, entry.id)));
    }
    Ok((waiting, reported))
}

/// The newest status changes, the newest first.
async fn status_changes(
    tx: &DatabaseTransaction,
    make: &Statements,
    since: i64,
) -> StoreResult<Vec<BriefChange<Text>>> {
    let mut found = Vec::new();
    for row in all(tx, make.status_changes(since)).await? {
        let title: Vec<u8> = row.try_get("", TODO_TITLE).map_err(of_read)?;
        let todo_uid = Uid(row.try_get::<Uuid>("", TODO_UID).map_err(of_read)?);
        let model = todo_logs::Model::from_query_result(&row, "").map_err(of_read)?;
        let actor = ActorId(model.actor_id);
        let change = StatusChange::<Sealed>::try_from(model)?.try_map_text(read_or_long)?;
        let title = Some(Sealed(title));
        found.push(BriefChange { actor, todo_uid, title, change });
    }
    found.sort_by_key(|step| std::cmp::Reverse((step.change.logged_at, step.change.id)));
    Ok(found)
}

/// A row whose description may be too long to be read with others.
trait Described {
    const TABLE: &'static str;
    const ID: &'static str;

    fn id(&self) -> i64;
    /// Where its description belongs, if it was not read.
    fn lacking(&mut self) -> Option<&mut Text>;
}

impl Described for ListedTodo<Text> {
    const TABLE: &'static str = "todos";
    const ID: &'static str = "todo_id";

    fn id(&self) -> i64 {
        self.todo.id.0
    }

    fn lacking(&mut self) -> Option<&mut Text> {
        self.todo.content.description.as_mut().filter(|text| text.is_none())
    }
}

impl Described for Activity<Text> {
    const TABLE: &'static str = "activities";
    const ID: &'static str = "activity_id";

    fn id(&self) -> i64 {
        self.id.0
    }

    fn lacking(&mut self) -> Option<&mut Text> {
        Some(&mut self.description).filter(|text| text.is_none())
    }
}

/// Reads the long descriptions of the first rows that have any, as many as there is room for.
async fn add_long_descriptions<R: Described>(
    tx: &DatabaseTransaction,
    make: &Statements,
    rows: &mut [R],
    room: &mut usize,
) -> StoreResult<()> {
    let lacking = rows.iter_mut().filter_map(|row| row.lacking().is_some().then(|| row.id()));
    let ids: Vec<_> = lacking.take(*room).collect();
    let Some(last) = ids.last() else { return Ok(()) };
    *room -= ids.len();
    let mut padded = [*last; LONG_TEXTS_MAX];
    padded[..ids.len()].copy_from_slice(&ids);
    let mut found = BTreeMap::new();
    for row in all(tx, make.descriptions(R::TABLE, R::ID, padded)).await? {
        let id: i64 = row.try_get("", "id").map_err(of_read)?;
        let text: Vec<u8> = row.try_get("", "description").map_err(of_read)?;
        found.insert(id, Sealed(text));
    }
    for row in rows {
        let id = row.id();
        if let Some(place) = row.lacking() {
            *place = found.remove(&id);
        }
    }
    Ok(())
}
