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

/// The statement that finds a row by its id, for each database. It is built once.
pub(super) struct ById(OnceLock<String>, OnceLock<String>);

impl ById {
    pub(super) const fn new() -> Self {
        Self(OnceLock::new(), OnceLock::new())
    }

    fn text<E: Shown>(&self, backend: DbBackend, [account, id]: [E::Column; 2]) -> &str {
        let known = if backend == DbBackend::Postgres { &self.0 } else { &self.1 };
        known.get_or_init(|| {
            // No LIMIT: there is at most one row.
            let row = E::shown().filter(account.eq(0_i64)).filter(id.eq(0_i64));
            row.expr_as(auth_epoch_of(AccountId(0)), AUTH_EPOCH).build(backend).sql
        })
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
        let db = self.readers();
        let backend = db.get_database_backend();
        let text = statement.text::<E>(backend, columns);
        let account: Value = by.account.0.into();
        let values = [account.clone(), account, id.into()];
        let asked = Statement::from_sql_and_values(backend, text, values);
        let Some(row) = db.query_one_raw(asked).await.map_err(of_read)? else {
            self.check_epoch(by).await?;
            return Ok(None);
        };
        expect_epoch(by, row.try_get("", AUTH_EPOCH).map_err(of_read)?)?;
        let row = E::Model::from_query_result(&row, "").map_err(of_read)?;
        Ok(Some(T::try_from(row)?))
    }

    pub(super) async fn one<E, T>(&self, query: Select<E>) -> StoreResult<Option<T>>
    where
        E: EntityTrait,
        T: TryFrom<E::Model, Error = InvalidRow>,
    {
        let found = query.one(self.readers()).await.map_err(of_read)?;
        Ok(found.map(T::try_from).transpose()?)
    }

    pub(crate) async fn all<E, T>(&self, query: Select<E>) -> StoreResult<Vec<T>>
    where
        E: EntityTrait,
        T: TryFrom<E::Model, Error = InvalidRow>,
    {
        let found = query.all(self.readers()).await.map_err(of_read)?;
        Ok(found.into_iter().map(T::try_from).collect::<Result<_, _>>()?)
    }

    /// The rows with these values in these columns, each looked up separately.
    pub(super) async fn look_up<E, T, const N: usize>(
        &self,
        columns: [E::Column; N],
        rows: &[[Value; N]],
    ) -> StoreResult<Vec<T>>
    where
        E: Shown,
        T: TryFrom<E::Model, Error = InvalidRow>,
    {
        let db = self.readers();
        let mut found = Vec::new();
        for statement in look_ups::<E, N>(db.get_database_backend(), columns, rows) {
            for row in E::find().from_raw_sql(statement).all(db).await.map_err(of_read)? {
                found.push(T::try_from(row)?);
            }
        }
        Ok(found)
    }

    /// A transaction in which all statements read the same snapshot.
    pub(crate) async fn snapshot(&self) -> StoreResult<DatabaseTransaction> {
        self.readers().begin().await.map_err(of_read)
    }
}
