//! Reads the rows of an account for exports, by primary key.

use async_trait::async_trait;
use roots_domain::model::activity::Activity;
use roots_domain::model::id::{AccountId, LogId, TodoId};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::Session;
use roots_domain::model::todo::{StatusChange, Todo};
use roots_domain::port::archive::{ArchiveReader, CHUNK_MAX_ROWS, ExportChunk, ExportScope};
use roots_domain::port::store::StoreResult;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};

use crate::store::Store;
use crate::table::shown::{Shown, is};
use crate::table::{InvalidRow, activities, sessions, todo_logs, todos};
use crate::write::filter::padded;

/// Most ids that one read scans: if an actor's rows are far apart, or most were deleted, a chunk
/// may be empty.
const STRIDE_IDS: i64 = 10_000;

/// The columns of a table that the read uses.
struct WalkColumns<C> {
    account: C,
    actor: C,
    id: C,
}

impl Store {
    async fn chunk<E, T>(
        &self,
        columns: WalkColumns<E::Column>,
        of: ExportScope,
        (after, given): (Option<i64>, i64),
        id: fn(&T) -> i64,
    ) -> StoreResult<ExportChunk<T>>
    where
        E: Shown,
        T: TryFrom<E::Model, Error = InvalidRow>,
    {
        // Ids count from 1.
        let after = after.unwrap_or(0);
        let upto = Ord::min(given, after.saturating_add(STRIDE_IDS));
        let mut rows = E::shown(of.account)
            .filter(columns.account.eq(of.account.0))
            .filter(columns.id.gt(after))
            .filter(columns.id.lte(upto));
        if let Some(actor) = of.actor {
            // By the primary key, not by an index of the actor's rows, which is in another order.
            rows = rows.filter(is(columns.actor, actor.0, true));
        }
        let rows = rows.order_by(columns.id, Order::Asc).limit(u64::from(CHUNK_MAX_ROWS));
        let rows: Vec<T> = self.all(of.account, rows).await?;
        let is_full = rows.len() == usize::from(CHUNK_MAX_ROWS);
        let through = rows.last().map(id).filter(|_| is_full).unwrap_or(upto);
        Ok(ExportChunk { rows, next: (through < given).then_some(through) })
    }
}

#[async_trait]
impl ArchiveReader for Store {
    async fn sessions_after(
        &self,
        of: ExportScope,
        after: Option<i64>,
    ) -> StoreResult<ExportChunk<Session<Sealed>>> {
        use sessions::Column::{AccountId, ActorId, SessionId};
        let columns = WalkColumns { account: AccountId, actor: ActorId, id: SessionId };
        let range = (after, of.given.session);
        self.chunk::<sessions::Entity, _>(columns, of, range, |row: &Session<_>| row.id.0).await
    }

    async fn todos_after(
        &self,
        of: ExportScope,
        after: Option<i64>,
    ) -> StoreResult<ExportChunk<Todo<Sealed>>> {
        use todos::Column::{AccountId, ActorId, TodoId};
        let columns = WalkColumns { account: AccountId, actor: ActorId, id: TodoId };
        let range = (after, of.given.todo);
        self.chunk::<todos::Entity, _>(columns, of, range, |row: &Todo<_>| row.id.0).await
    }

    async fn activities_after(
        &self,
        of: ExportScope,
        after: Option<i64>,
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
        after: Option<(TodoId, LogId)>,
    ) -> StoreResult<Vec<StatusChange<Sealed>>> {
        use todo_logs::Column::{AccountId, LogId, TodoId};
        // Ids count from 1.
        let (todo, log) = after.map_or((0, 0), |(todo, log)| (todo.0, log.0));
        let wanted: Vec<_> = todos.iter().map(|id| id.0).filter(|id| *id >= todo).collect();
        let Some((first, last)) = wanted.iter().min().zip(wanted.iter().max()) else {
            return Ok(Vec::new());
        };
        let place = Expr::tuple([Expr::col(TodoId), Expr::col(LogId)]);
        let rows = todo_logs::Entity::find()
            .filter(AccountId.eq(account.0))
            // The range limits the scan, whatever the plan is.
            .filter(TodoId.gte(*first))
            .filter(TodoId.lte(*last))
            .filter(TodoId.is_in(padded(wanted)))
            .filter(place.gt(Expr::tuple([Expr::value(todo), Expr::value(log)])))
            .order_by(TodoId, Order::Asc)
            .order_by(LogId, Order::Asc)
            .limit(u64::from(CHUNK_MAX_ROWS));
        self.all(account, rows).await
    }
}
