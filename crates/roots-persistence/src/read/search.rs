//! Reads sealed texts to search them, in the order of indexes.

use async_trait::async_trait;
use roots_domain::model::id::{AccountId, ActorId, LogId, TodoId, Uid};
use roots_domain::model::page::SortKey;
use roots_domain::model::sealed::{Field, Sealed};
use roots_domain::model::todo::StatusChange;
use roots_domain::port::store::{
    Admission, ItemFilter, ItemPosition, ItemSource, NOTES_CHUNK_ROWS, SHORT_TEXTS_MAX_BYTES,
    SealedItem, SearchReader, StoreResult,
};
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, IdenStatic, Order, QueryFilter,
    QueryOrder, QueryResult, QuerySelect, QueryTrait, Select, Statement, Value,
};

use super::epoch::{AUTH_EPOCH, auth_epoch_of, expect_epoch};
use super::paging::{behind, of_actor};
use crate::errors::of_read;
use crate::store::Store;
use crate::table::shown::{Shown, is, linked_to};
use crate::table::{activities, at, sessions, todo_logs, todos};
use crate::write::filter::padded;

/// The column with the bytes of all texts of a row.
const TEXT_BYTES: &str = "text_bytes";
/// The position of that column in a row: behind the id, the uid, the actor and the time. The texts
/// follow.
const TEXT_BYTES_INDEX: usize = 4;

/// The columns of a table that a search reads. None of them shows a link to a session, so the rows
/// need not be read as shown.
struct ItemColumns<'a, C> {
    id: C,
    uid: C,
    actor: C,
    at: C,
    texts: &'a [(C, Field)],
}

#[async_trait]
impl SearchReader for Store {
    async fn items_before(
        &self,
        filter: &ItemFilter,
        source: ItemSource,
        before: ItemPosition,
        most: u32,
    ) -> StoreResult<Vec<SealedItem>> {
        let account = filter.by.account.0;
        let linked = filter.session.is_some();
        match source {
            ItemSource::Sessions => {
                use sessions::Column::{AccountId, ActorId, Notes, SessionId, StartedAt, Uid};
                let mut rows = sessions::Entity::find().filter(AccountId.eq(account));
                if let Some(session) = filter.session {
                    rows = rows.filter(SessionId.eq(session.0));
                }
                let texts = &[(Notes, Field::SessionNotes)];
                let columns =
                    ItemColumns { id: SessionId, uid: Uid, actor: ActorId, at: StartedAt, texts };
                self.items(filter, rows, columns, before, most).await
            }
            ItemSource::Todos { priority, status } => {
                use todos::Column::{
                    AccountId, ActorId, CreatedAt, Description, Priority, SessionId, Status, Title,
                    TodoId, Uid,
                };
                // With a priority, every index of todos is in the order of their creation.
                let mut rows = todos::Entity::find()
                    .filter(AccountId.eq(account))
                    .filter(Priority.eq(priority.level()));
                if let Some(status) = status {
                    rows = rows.filter(is(Status, status.name(), linked));
                }
                if let Some(session) = filter.session {
                    rows = linked_to(rows, SessionId, account, session);
                }
                let texts = &[(Title, Field::TodoTitle), (Description, Field::TodoDescription)];
                let columns =
                    ItemColumns { id: TodoId, uid: Uid, actor: ActorId, at: CreatedAt, texts };
                self.items(filter, rows, columns, before, most).await
            }
            ItemSource::Activities => {
                use activities::Column::{
                    AccountId, ActivityId, ActorId, Description, LoggedAt, SessionId, Uid,
                };
                let mut rows = activities::Entity::find().filter(AccountId.eq(account));
                if let Some(session) = filter.session {
                    rows = linked_to(rows, SessionId, account, session);
                }
                let texts = &[(Description, Field::ActivityDescription)];
                let columns =
                    ItemColumns { id: ActivityId, uid: Uid, actor: ActorId, at: LoggedAt, texts };
                self.items(filter, rows, columns, before, most).await
            }
        }
    }

    async fn notes_before(
        &self,
        by: Admission,
        todos: &[TodoId],
        before: Option<(TodoId, LogId)>,
    ) -> StoreResult<Vec<StatusChange<Sealed>>> {
        use todo_logs::Column::{AccountId, LogId, Note, TodoId};
        let is_left = |todo: &i64| before.is_none_or(|(last, _)| *todo <= last.0);
        let left: Vec<_> = todos.iter().map(|todo| todo.0).filter(is_left).collect();
        if left.is_empty() {
            return Ok(Vec::new());
        }
        // Each todo is looked up by its id: those of a chunk may be far apart.
        if self.readers(by.account).get_database_backend() == DbBackend::Postgres {
            let found = todo_logs::Entity::find()
                .from_raw_sql(notes_of_each(by.account, left, before))
                .all(&self.readers(by.account))
                .await
                .map_err(of_read)?;
            return Ok(found.into_iter().map(TryFrom::try_from).collect::<Result<_, _>>()?);
        }
        let mut notes = todo_logs::Entity::find()
            .filter(AccountId.eq(by.account.0))
            .filter(TodoId.is_in(padded(left)))
            .filter(Note.is_not_null());
        if let Some((todo, log)) = before {
            notes = notes.filter(TodoId.ne(todo.0).or(LogId.lt(log.0)));
        }
        let notes = notes
            .order_by(TodoId, Order::Desc)
            .order_by(LogId, Order::Desc)
            .limit(u64::from(NOTES_CHUNK_ROWS));
        self.all(by.account, notes).await
    }
}

impl Store {
    /// The first `most` of `rows` before a position.
    async fn items<E: EntityTrait>(
        &self,
        filter: &ItemFilter,
        rows: Select<E>,
        columns: ItemColumns<'_, E::Column>,
        before: ItemPosition,
        most: u32,
    ) -> StoreResult<Vec<SealedItem>> {
        let ItemColumns { id, uid, actor, at: time, texts } = columns;
        let rows = match filter.since {
            Some(since) => rows.filter(time.gte(since.micros())),
            None => rows,
        };
        let lengths =
            texts.iter().map(|(text, _)| format!("COALESCE(LENGTH({}), 0)", text.as_str()));
        let bytes = format!("CAST({} AS BIGINT)", lengths.collect::<Vec<_>>().join(" + "));
        let position = SortKey([0, before.at.micros(), before.id]);
        let part = |rows: Select<E>| {
            let rows = rows.filter(behind([time, id], position)).select_only();
            let rows = rows.columns([id, uid, actor, time]);
            let rows = rows.expr_as(Expr::cust(bytes.clone()), TEXT_BYTES);
            let with_text = |rows: Select<E>, (text, _): &(E::Column, Field)| {
                let text = text.as_str();
                // A long text would take memory that no other row needs.
                let short = format!("CASE WHEN {bytes} <= {SHORT_TEXTS_MAX_BYTES} THEN {text} END");
                rows.expr_as(Expr::cust(short), text)
            };
            texts.iter().fold(rows, with_text).into_query()
        };
        let ordered = |mut rows: SelectStatement| {
            // By their names in the result: merged rows have no table.
            rows.order_by(time, Order::Desc).order_by(id, Order::Desc);
            rows
        };
        let linked = filter.session.is_some();
        let rows = of_actor(rows, actor, filter.actor, linked);
        let most = u64::from(most);
        let rows = rows.merged(
            self.readers(filter.by.account).get_database_backend(),
            most,
            part,
            ordered,
        );
        let mut asked = ordered(rows).limit(most).to_owned();
        asked.expr_as(auth_epoch_of(filter.by.account), AUTH_EPOCH);
        let found = self.readers(filter.by.account).query_all(&asked).await.map_err(of_read)?;
        if let Some(row) = found.first() {
            let epoch_index = TEXT_BYTES_INDEX + 1 + texts.len();
            expect_epoch(filter.by, row.try_get_by_index(epoch_index).map_err(of_read)?)?;
        } else {
            self.check_epoch(filter.by).await?;
        }
        let fields: Vec<_> = texts.iter().map(|(_, field)| *field).collect();
        // Each raw row is dropped once it is converted, so that texts are not held twice.
        let items = found.into_iter().map(|row| item(&row, &fields));
        items.collect::<Result<_, _>>().map_err(of_read)
    }
}

/// The statement for PostgreSQL that reads the last notes of these todos before a position.
///
/// A condition `todo_id IN (…)` would be a filter on a scan in the order of the key, which reads
/// the logs of all todos in between. Here the todos come in their order, so the statement ends as
/// soon as it has enough notes.
fn notes_of_each(
    account: AccountId,
    todos: Vec<i64>,
    before: Option<(TodoId, LogId)>,
) -> Statement {
    // No todo has the id 0.
    let (last_todo, last_log) = before.map_or((0, 0), |(todo, log)| (todo.0, log.0));
    let text = format!(
        "SELECT found.* FROM \
             (SELECT todo_id FROM UNNEST($2::bigint[]) AS todos (todo_id) \
                 ORDER BY todo_id DESC) AS given, \
             LATERAL (SELECT {columns} FROM todo_logs AS t \
                 WHERE t.account_id = $1 AND t.todo_id = given.todo_id AND t.note IS NOT NULL \
                     AND (t.todo_id <> $3 OR t.log_id < $4) \
                 ORDER BY t.log_id DESC LIMIT {NOTES_CHUNK_ROWS}) AS found \
         ORDER BY given.todo_id DESC, found.log_id DESC LIMIT {NOTES_CHUNK_ROWS}",
        columns = todo_logs::Entity::selected("t", "$1"),
    );
    let values: [Value; 4] = [account.0.into(), todos.into(), last_todo.into(), last_log.into()];
    Statement::from_sql_and_values(DbBackend::Postgres, text, values)
}

/// An item, from a row whose texts are in these fields. Columns are read by their positions, which
/// takes less time than by their names.
fn item(row: &QueryResult, fields: &[Field]) -> Result<SealedItem, DbErr> {
    let bytes: i64 = row.try_get_by_index(TEXT_BYTES_INDEX)?;
    let texts = if bytes <= SHORT_TEXTS_MAX_BYTES {
        let mut texts = Vec::with_capacity(fields.len());
        for (index, field) in fields.iter().enumerate() {
            let text: Option<Vec<u8>> = row.try_get_by_index(TEXT_BYTES_INDEX + 1 + index)?;
            texts.extend(text.map(|text| (*field, Sealed(text))));
        }
        Some(texts)
    } else {
        None
    };
    Ok(SealedItem {
        id: row.try_get_by_index(0)?,
        uid: Uid(row.try_get_by_index::<Uuid>(1)?),
        actor: ActorId(row.try_get_by_index(2)?),
        at: at(row.try_get_by_index(3)?),
        texts,
    })
}
