//! Rows by their ids, and lists of rows.

use std::sync::OnceLock;

use roots_domain::model::id::AccountId;
use roots_domain::port::store::{Admission, StoreResult};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, FromQueryResult,
    QueryFilter, QuerySelect, QueryTrait, Select, Statement, Value,
};

use super::epoch::{AUTH_EPOCH, auth_epoch_of, expect_epoch};
use crate::errors::of_read;
use crate::store::Store;
use crate::table::InvalidRow;
use crate::table::shown::Shown;
use crate::write::filter::look_ups;

/// The statement that finds a row by its id, for each database. It is built once. It binds the
/// account some times, and the id last.
pub(super) struct ById(OnceLock<(String, usize)>, OnceLock<(String, usize)>);

impl ById {
    pub(super) const fn new() -> Self {
        Self(OnceLock::new(), OnceLock::new())
    }

    fn statement<E: Shown>(
        &self,
        backend: DbBackend,
        [account, id]: [E::Column; 2],
        (of, row): (AccountId, i64),
    ) -> Statement {
        let known = if backend == DbBackend::Postgres { &self.0 } else { &self.1 };
        let (text, accounts) = known.get_or_init(|| {
            // No LIMIT: there is at most one row.
            let row = E::shown(AccountId(0)).filter(account.eq(0_i64)).filter(id.eq(0_i64));
            let built = row.expr_as(auth_epoch_of(AccountId(0)), AUTH_EPOCH).build(backend);
            let bound = built.values.map_or(0, |values| values.0.len());
            (built.sql, bound - 1)
        });
        let accounts = std::iter::repeat_n(Value::from(of.0), *accounts);
        Statement::from_sql_and_values(backend, text, accounts.chain([row.into()]))
    }
}

impl Store {
    /// The row with that account and id.
    pub(super) async fn by_id<E, T>(
        &self,
        statement: &ById,
        columns: [E::Column; 2],
        by: Admission,
        id: i64,
    ) -> StoreResult<Option<T>>
    where
        E: Shown,
        T: TryFrom<E::Model, Error = InvalidRow>,
    {
        let db = &self.readers(by.account);
        let backend = db.get_database_backend();
        let asked = statement.statement::<E>(backend, columns, (by.account, id));
        let Some(row) = db.query_one_raw(asked).await.map_err(of_read)? else {
            self.check_epoch(by).await?;
            return Ok(None);
        };
        expect_epoch(by, row.try_get("", AUTH_EPOCH).map_err(of_read)?)?;
        let row = E::Model::from_query_result(&row, "").map_err(of_read)?;
        Ok(Some(T::try_from(row)?))
    }

    pub(super) async fn one<E, T>(&self, of: AccountId, query: Select<E>) -> StoreResult<Option<T>>
    where
        E: EntityTrait,
        T: TryFrom<E::Model, Error = InvalidRow>,
    {
        let found = query.one(&self.readers(of)).await.map_err(of_read)?;
        Ok(found.map(T::try_from).transpose()?)
    }

    pub(crate) async fn all<E, T>(&self, of: AccountId, query: Select<E>) -> StoreResult<Vec<T>>
    where
        E: EntityTrait,
        T: TryFrom<E::Model, Error = InvalidRow>,
    {
        let found = query.all(&self.readers(of)).await.map_err(of_read)?;
        Ok(found.into_iter().map(T::try_from).collect::<Result<_, _>>()?)
    }

    /// The rows of an account with these values in these columns, the first of which is the
    /// account. Each is looked up separately.
    pub(super) async fn look_up<E, T, const N: usize>(
        &self,
        of: AccountId,
        columns: [E::Column; N],
        rows: &[[Value; N]],
    ) -> StoreResult<Vec<T>>
    where
        E: Shown,
        T: TryFrom<E::Model, Error = InvalidRow>,
    {
        let node = self.node_of(of);
        let (db, dialect) = (node.readers(), node.source().dialect());
        let mut found = Vec::new();
        for statement in look_ups::<E, N>(dialect, columns, rows) {
            for row in E::find().from_raw_sql(statement).all(db).await.map_err(of_read)? {
                found.push(T::try_from(row)?);
            }
        }
        Ok(found)
    }

    /// A transaction in which all statements read the same snapshot of an account.
    pub(crate) async fn snapshot(&self, of: AccountId) -> StoreResult<DatabaseTransaction> {
        self.readers(of).begin().await.map_err(of_read)
    }
}
