//! Walks through what an account holds, by primary key; and what came into it from elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use roots_domain::command::Command;
use roots_domain::decide::WorkingSet;
use roots_domain::model::activity::Activity;
use roots_domain::model::id::{AccountId, ActorId, LogId, TodoId, Uid};
use roots_domain::model::import::{ImportRow, Origin};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::Session;
use roots_domain::model::todo::{StatusChange, Todo};
use roots_domain::port::archive::{
    ArchiveReader, CHUNK_MAX_ROWS, ExportChunk, Holdings, IMPORTED_MAX_IDS, ImportReader,
    ImportedId,
};
use roots_domain::port::store::StoreResult;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};

use crate::Store;
use crate::batch::padded;
use crate::entity::{activities, imports, sessions, todo_logs, todos};
use crate::errors::of_read;
use crate::read::is;
use crate::row::{self, InvalidRow};
use crate::unlink::Shown;

/// Most ids that one read goes through: where an actor's rows stand far apart, or most were deleted,
/// a chunk may come out empty.
const STRIDE_IDS: i64 = 10_000;

/// The columns of a table that a walk goes by.
struct WalkColumns<C> {
    account: C,
    actor: C,
    id: C,
}

impl Store {
    async fn chunk<E, T>(
        &self,
        columns: WalkColumns<E::Column>,
        of: Holdings,
        (after, given): (i64, i64),
        id: fn(&T) -> i64,
    ) -> StoreResult<ExportChunk<T>>
    where
        E: Shown,
        T: TryFrom<E::Model, Error = InvalidRow>,
    {
        let upto = Ord::min(given, after.saturating_add(STRIDE_IDS));
        let mut rows = E::shown()
            .filter(columns.account.eq(of.account.0))
            .filter(columns.id.gt(after))
            .filter(columns.id.lte(upto));
        if let Some(actor) = of.actor {
            // By the primary key, not by an index of the actor's rows, which is in another order.
            rows = rows.filter(is(columns.actor, actor.0, true));
        }
        let rows = rows.order_by(columns.id, Order::Asc).limit(u64::from(CHUNK_MAX_ROWS));
        let rows: Vec<T> = self.all(rows).await?;
        let is_full = rows.len() == usize::from(CHUNK_MAX_ROWS);
        let through = rows.last().map(id).filter(|_| is_full).unwrap_or(upto);
        Ok(ExportChunk { rows, next: (through < given).then_some(through) })
    }
}

impl Store {
    /// The rows of that kind with these ids; steps only of these todos, told with their actors.
    async fn rows_of_kind(
        &self,
        account: AccountId,
        kind: &str,
        ids: Vec<i64>,
        todos: &BTreeMap<i64, ActorId>,
    ) -> StoreResult<Vec<ImportRow>> {
        Ok(match Origin::from_parts(kind, 0) {
            Some(Origin::Session(_)) => {
                use sessions::Column::{AccountId, SessionId};
                let rows = sessions::Entity::shown().filter(AccountId.eq(account.0));
                let rows: Vec<Session<_>> = self.all(rows.filter(SessionId.is_in(ids))).await?;
                rows.into_iter().map(ImportRow::Session).collect()
            }
            Some(Origin::Todo(_)) => {
                use todos::Column::{AccountId, TodoId};
                let rows = todos::Entity::shown().filter(AccountId.eq(account.0));
                let rows: Vec<Todo<_>> = self.all(rows.filter(TodoId.is_in(ids))).await?;
                rows.into_iter().map(ImportRow::Todo).collect()
            }
            Some(Origin::Activity(_)) => {
                use activities::Column::{AccountId, ActivityId};
                let rows = activities::Entity::shown().filter(AccountId.eq(account.0));
                let rows: Vec<Activity<_>> = self.all(rows.filter(ActivityId.is_in(ids))).await?;
                rows.into_iter().map(ImportRow::Activity).collect()
            }
            Some(Origin::Step(_)) => {
                use todo_logs::Column::{AccountId, LogId, TodoId};
                let of_todos = padded(todos.keys().copied().collect());
                // By the primary key, which begins with the todo.
                let rows = todo_logs::Entity::find().filter(AccountId.eq(account.0));
                let rows = rows.filter(TodoId.is_in(of_todos)).filter(LogId.is_in(ids));
                let steps: Vec<StatusChange<_>> = self.all(rows).await?;
                let of_actor =
                    |step: StatusChange<_>| Some(ImportRow::Step(*todos.get(&step.todo.0)?, step));
                steps.into_iter().filter_map(of_actor).collect()
            }
            Some(Origin::Actor(_)) | None => Vec::new(),
        })
    }
}

#[async_trait]
impl ImportReader for Store {
    async fn imported_actors(
        &self,
        account: AccountId,
        source: Uid,
    ) -> StoreResult<Vec<(ActorId, ActorId)>> {
        let actor = Origin::Actor(ActorId(0)).kind();
        let rows = imports::Entity::find()
            .filter(imports::Column::AccountId.eq(account.0))
            .filter(imports::Column::Source.eq(source.0))
            .filter(imports::Column::Kind.eq(actor));
        let rows = rows.all(self.readers()).await.map_err(of_read)?;
        Ok(rows.into_iter().map(|row| (ActorId(row.source_id), ActorId(row.id))).collect())
    }

    async fn imported_rows(
        &self,
        account: AccountId,
        source: Uid,
        origins: &[Origin],
    ) -> StoreResult<Vec<(Origin, ImportRow)>> {
        // Todos are read before the steps of their logs.
        let (mut rows, mut todos) = (Vec::new(), BTreeMap::new());
        for kind in Origin::KINDS {
            let ids = origins.iter().filter(|origin| origin.kind() == kind).map(|it| it.id());
            let ids: Vec<_> = ids.collect();
            if ids.is_empty() {
                continue;
            }
            let known = imports::Entity::find()
                .filter(imports::Column::AccountId.eq(account.0))
                .filter(imports::Column::Source.eq(source.0))
                .filter(imports::Column::Kind.eq(kind))
                .filter(imports::Column::SourceId.is_in(padded(ids)));
            let known = known.all(self.readers()).await.map_err(of_read)?;
            let mut origins = BTreeMap::new();
            for row in &known {
                origins.insert(row.id, row::imported(row)?.0.2);
            }
            if origins.is_empty() {
                continue;
            }
            let ids = padded(origins.keys().copied().collect());
            let found = self.rows_of_kind(account, kind, ids, &todos).await?;
            if kind == Origin::Todo(TodoId(0)).kind() {
                todos.extend(found.iter().map(|row| (row.origin().id(), row.actor())));
            }
            let told = |row: ImportRow| Some((*origins.get(&row.origin().id())?, row));
            rows.extend(found.into_iter().filter_map(told));
        }
        Ok(rows)
    }

    async fn imported_after(
        &self,
        account: AccountId,
        source: Uid,
        after: Origin,
    ) -> StoreResult<Vec<ImportedId>> {
        let came = imports::Entity::find()
            .filter(imports::Column::AccountId.eq(account.0))
            .filter(imports::Column::Source.eq(source.0))
            .filter(imports::Column::Kind.eq(after.kind()))
            .filter(imports::Column::SourceId.gt(after.id()))
            .order_by(imports::Column::SourceId, Order::Asc)
            .limit(u64::from(IMPORTED_MAX_IDS));
        let came = came.all(self.readers()).await.map_err(of_read)?;
        let ids: Vec<_> = came.iter().map(|row| row.id).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids = padded(ids);
        let standing: BTreeSet<i64> = match after {
            Origin::Session(_) => {
                use sessions::Column::{AccountId, SessionId};
                let rows = sessions::Entity::find().select_only().column(SessionId);
                let rows = rows.filter(AccountId.eq(account.0)).filter(SessionId.is_in(ids));
                rows.into_tuple().all(self.readers()).await
            }
            Origin::Todo(_) => {
                use todos::Column::{AccountId, TodoId};
                let rows = todos::Entity::find().select_only().column(TodoId);
                let rows = rows.filter(AccountId.eq(account.0)).filter(TodoId.is_in(ids));
                rows.into_tuple().all(self.readers()).await
            }
            Origin::Activity(_) => {
                use activities::Column::{AccountId, ActivityId};
                let rows = activities::Entity::find().select_only().column(ActivityId);
                let rows = rows.filter(AccountId.eq(account.0)).filter(ActivityId.is_in(ids));
                rows.into_tuple().all(self.readers()).await
            }
            Origin::Actor(_) | Origin::Step(_) => Ok(Vec::new()),
        }
        .map_err(of_read)?
        .into_iter()
        .collect();
        let told = came.iter().map(|row| {
            let ((.., origin), here) = row::imported(row)?;
            Ok(ImportedId { origin, here, stands: standing.contains(&here) })
        });
        told.collect::<Result<_, InvalidRow>>().map_err(Into::into)
    }

    async fn working_set_for(&self, command: &Command) -> StoreResult<WorkingSet> {
        let tx = self.snapshot().await?;
        let working_set = crate::batch::look(&tx, command).await?;
        tx.rollback().await.map_err(of_read)?;
        Ok(working_set)
    }
}

#[async_trait]
impl ArchiveReader for Store {
    async fn sessions_after(
        &self,
        of: Holdings,
        after: i64,
    ) -> StoreResult<ExportChunk<Session<Sealed>>> {
        use sessions::Column::{AccountId, ActorId, SessionId};
        let columns = WalkColumns { account: AccountId, actor: ActorId, id: SessionId };
        let range = (after, of.given.session);
        self.chunk::<sessions::Entity, _>(columns, of, range, |row: &Session<_>| row.id.0).await
    }

    async fn todos_after(
        &self,
        of: Holdings,
        after: i64,
    ) -> StoreResult<ExportChunk<Todo<Sealed>>> {
        use todos::Column::{AccountId, ActorId, TodoId};
        let columns = WalkColumns { account: AccountId, actor: ActorId, id: TodoId };
        let range = (after, of.given.todo);
        self.chunk::<todos::Entity, _>(columns, of, range, |row: &Todo<_>| row.id.0).await
    }

    async fn activities_after(
        &self,
        of: Holdings,
        after: i64,
    ) -> StoreResult<ExportChunk<Activity<Sealed>>> {
        use activities::Column::{AccountId, ActivityId, ActorId};
        let columns = WalkColumns { account: AccountId, actor: ActorId, id: ActivityId };
        let range = (after, of.given.activity);
        self.chunk::<activities::Entity, _>(columns, of, range, |row: &Activity<_>| row.id.0).await
    }

    async fn steps_of(
        &self,
        account: AccountId,
        todos: &[TodoId],
        (todo, log): (TodoId, LogId),
    ) -> StoreResult<Vec<StatusChange<Sealed>>> {
        use todo_logs::Column::{AccountId, LogId, TodoId};
        let wanted: Vec<_> = todos.iter().filter(|id| **id >= todo).map(|id| id.0).collect();
        let Some((first, last)) = wanted.iter().min().zip(wanted.iter().max()) else {
            return Ok(Vec::new());
        };
        let place = Expr::tuple([Expr::col(TodoId), Expr::col(LogId)]);
        let rows = todo_logs::Entity::find()
            .filter(AccountId.eq(account.0))
            // From here to there, so that no more is gone through whichever way it is found.
            .filter(TodoId.gte(*first))
            .filter(TodoId.lte(*last))
            .filter(TodoId.is_in(padded(wanted)))
            .filter(place.gt(Expr::tuple([Expr::value(todo.0), Expr::value(log.0)])))
            .order_by(TodoId, Order::Asc)
            .order_by(LogId, Order::Asc)
            .limit(u64::from(CHUNK_MAX_ROWS));
        self.all(rows).await
    }
}
