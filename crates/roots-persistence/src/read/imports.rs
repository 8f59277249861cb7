//! Reads what an account has imported.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use roots_domain::command::Command;
use roots_domain::decide::{ImportKey, WorkingSet};
use roots_domain::model::activity::Activity;
use roots_domain::model::id::{AccountId, ActorId, Uid};
use roots_domain::model::import::{ImportRow, Origin, OriginKind};
use roots_domain::model::session::Session;
use roots_domain::model::todo::{StatusChange, Todo};
use roots_domain::port::archive::{IMPORTED_MAX_IDS, ImportReader, ImportedId};
use roots_domain::port::store::{StoreError, StoreResult};
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, Value};

use crate::errors::of_read;
use crate::store::Store;
use crate::table::{InvalidRow, activities, imports, sessions, todo_logs, todos};
use crate::write::filter::padded;
use crate::write::load;
use crate::write::transaction::BatchTransaction;

impl Store {
    /// The rows of that kind with these ids. Steps are read only for these todos, with their
    /// actors.
    async fn rows_of_kind(
        &self,
        account: AccountId,
        kind: OriginKind,
        ids: impl Iterator<Item = i64>,
        todos: &BTreeMap<i64, ActorId>,
    ) -> StoreResult<Vec<ImportRow>> {
        let keys: Vec<[Value; 2]> = ids.map(|id| [account.0.into(), id.into()]).collect();
        Ok(match kind {
            OriginKind::Session => {
                use sessions::Column::{AccountId, SessionId};
                let columns = [AccountId, SessionId];
                let rows: Vec<Session<_>> =
                    self.look_up::<sessions::Entity, _, 2>(account, columns, &keys).await?;
                rows.into_iter().map(ImportRow::Session).collect()
            }
            OriginKind::Todo => {
                use todos::Column::{AccountId, TodoId};
                let columns = [AccountId, TodoId];
                let rows: Vec<Todo<_>> =
                    self.look_up::<todos::Entity, _, 2>(account, columns, &keys).await?;
                rows.into_iter().map(ImportRow::Todo).collect()
            }
            OriginKind::Activity => {
                use activities::Column::{AccountId, ActivityId};
                let columns = [AccountId, ActivityId];
                let rows: Vec<Activity<_>> =
                    self.look_up::<activities::Entity, _, 2>(account, columns, &keys).await?;
                rows.into_iter().map(ImportRow::Activity).collect()
            }
            OriginKind::Step => {
                use todo_logs::Column::{AccountId, LogId, TodoId};
                // A step is found by its todo, which may be any of these.
                let of_each = |todo: &i64| {
                    let todo = *todo;
                    keys.iter().map(move |[account, id]| [account.clone(), todo.into(), id.clone()])
                };
                let keys: Vec<_> = todos.keys().flat_map(of_each).collect();
                let columns = [AccountId, TodoId, LogId];
                let steps: Vec<StatusChange<_>> =
                    self.look_up::<todo_logs::Entity, _, 3>(account, columns, &keys).await?;
                let of_actor =
                    |step: StatusChange<_>| Some(ImportRow::Step(*todos.get(&step.todo.0)?, step));
                steps.into_iter().filter_map(of_actor).collect()
            }
            OriginKind::Actor => Vec::new(),
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
        let rows = imports::Entity::find()
            .filter(imports::Column::AccountId.eq(account.0))
            .filter(imports::Column::Source.eq(source.0))
            .filter(imports::Column::Kind.eq(OriginKind::Actor.name()));
        let rows = rows.all(&self.readers(account)).await.map_err(of_read)?;
        Ok(rows.into_iter().map(|row| (ActorId(row.source_id), ActorId(row.id))).collect())
    }

    async fn imported_rows(
        &self,
        account: AccountId,
        source: Uid,
        origins: &[Origin],
    ) -> StoreResult<Vec<(Origin, ImportRow)>> {
        // Todos are read before the steps of their logs, in the order of the kinds.
        let (mut rows, mut todos) = (Vec::new(), BTreeMap::new());
        for kind in OriginKind::ALL {
            let of_kind = origins.iter().filter(|origin| origin.kind() == kind);
            let keys: Vec<_> =
                of_kind.map(|origin| imports::values(&(account, source, *origin))).collect();
            let known: Vec<(ImportKey, i64)> =
                self.look_up::<imports::Entity, _, 4>(account, imports::KEY, &keys).await?;
            let origins: BTreeMap<_, _> =
                known.into_iter().map(|((.., origin), id)| (id, origin)).collect();
            let found = self.rows_of_kind(account, kind, origins.keys().copied(), &todos).await?;
            if kind == OriginKind::Todo {
                todos.extend(found.iter().map(|row| (row.origin().id(), row.actor())));
            }
            let matched = |row: ImportRow| Some((*origins.get(&row.origin().id())?, row));
            rows.extend(found.into_iter().filter_map(matched));
        }
        Ok(rows)
    }

    async fn imported_after(
        &self,
        account: AccountId,
        source: Uid,
        kind: OriginKind,
        after: Option<i64>,
    ) -> StoreResult<Vec<ImportedId>> {
        // Ids count from 1.
        let after = after.unwrap_or(0);
        let came = imports::Entity::find()
            .filter(imports::Column::AccountId.eq(account.0))
            .filter(imports::Column::Source.eq(source.0))
            .filter(imports::Column::Kind.eq(kind.name()))
            .filter(imports::Column::SourceId.gt(after))
            .order_by(imports::Column::SourceId, Order::Asc)
            .limit(u64::from(IMPORTED_MAX_IDS));
        let came = came.all(&self.readers(account)).await.map_err(of_read)?;
        let ids: Vec<_> = came.iter().map(|row| row.id).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids = padded(ids);
        let existing: BTreeSet<i64> = match kind {
            OriginKind::Session => {
                use sessions::Column::{AccountId, SessionId};
                let rows = sessions::Entity::find().select_only().column(SessionId);
                let rows = rows.filter(AccountId.eq(account.0)).filter(SessionId.is_in(ids));
                rows.into_tuple().all(&self.readers(account)).await
            }
            OriginKind::Todo => {
                use todos::Column::{AccountId, TodoId};
                let rows = todos::Entity::find().select_only().column(TodoId);
                let rows = rows.filter(AccountId.eq(account.0)).filter(TodoId.is_in(ids));
                rows.into_tuple().all(&self.readers(account)).await
            }
            OriginKind::Activity => {
                use activities::Column::{AccountId, ActivityId};
                let rows = activities::Entity::find().select_only().column(ActivityId);
                let rows = rows.filter(AccountId.eq(account.0)).filter(ActivityId.is_in(ids));
                rows.into_tuple().all(&self.readers(account)).await
            }
            OriginKind::Actor | OriginKind::Step => Ok(Vec::new()),
        }
        .map_err(of_read)?
        .into_iter()
        .collect();
        let imported = came.into_iter().map(|row| {
            let ((.., origin), here) = row.try_into()?;
            Ok(ImportedId { origin, here, exists: existing.contains(&here) })
        });
        imported.collect::<Result<_, InvalidRow>>().map_err(Into::into)
    }

    async fn working_set_for(&self, command: &Command) -> StoreResult<WorkingSet> {
        let account = command.account().ok_or_else(|| {
            StoreError::Broken("a command without an account can't be tried".to_owned())
        })?;
        let dialect = self.node_of(account).source().dialect();
        let transaction = self.snapshot(account).await?;
        let tx = BatchTransaction::new(transaction, dialect);
        let working_set = load::look(&tx, command).await?;
        tx.transaction.rollback().await.map_err(of_read)?;
        Ok(working_set)
    }
}
