//! The transaction of a batch.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    Values,
};

use crate::connect::shard::Shard;
use crate::connect::source::Dialect;
use crate::errors::BatchError;

/// A transaction, and the forms of statements that its database takes.
pub(crate) struct BatchTransaction {
    pub(crate) transaction: DatabaseTransaction,
    pub(crate) dialect: Dialect,
    /// The shard whose tables it uses now, on a cluster.
    shard: Option<Arc<Shard>>,
    /// Inserts into the tables of the shard, which wait for each other: one statement does them
    /// all, which spares round trips. The first one, that of accounts, decides whether the others
    /// are done: it writes no account that was changed since it was loaded.
    waiting: Mutex<Vec<Insert>>,
}

/// A statement that inserts rows.
pub(super) struct Insert {
    pub(super) statement: Statement,
    pub(super) table: &'static str,
    pub(super) rows: u64,
}

impl BatchTransaction {
    pub(crate) fn new(transaction: DatabaseTransaction, dialect: Dialect) -> Self {
        Self { transaction, dialect, shard: None, waiting: Mutex::default() }
    }

    /// Uses the tables of that shard from now on. What was to be written before is
    /// [finished](Self::finish).
    pub(super) fn use_shard(&mut self, shard: Option<Arc<Shard>>) {
        self.shard = shard;
    }

    /// Inserts rows, at the latest before the next statement or when the transaction is
    /// [finished](Self::finish).
    pub(super) async fn insert(&self, insert: Insert) -> Result<(), BatchError> {
        if self.shard.is_none() {
            let met = self.execute_raw(insert.statement).await?.rows_affected();
            return expect_rows(insert.table, insert.rows, met);
        }
        // A statement does not see what another part of it inserts.
        if self.waiting().iter().any(|other| other.table == insert.table) {
            self.insert_all().await?;
        }
        self.waiting().push(insert);
        Ok(())
    }

    /// Does the inserts that wait.
    pub(super) async fn finish(&self) -> Result<(), BatchError> {
        Ok(self.insert_all().await?)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Insert>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn insert_all(&self) -> Result<(), DbErr> {
        let Some(shard) = &self.shard else { return Ok(()) };
        let inserts = std::mem::take(&mut *self.waiting());
        if inserts.is_empty() {
            return Ok(());
        }
        let mut expected = Vec::with_capacity(inserts.len());
        let mut statements = Vec::with_capacity(inserts.len());
        for Insert { statement, table, rows } in inserts {
            expected.push((table, rows));
            statements.push(statement);
        }
        let sql = shard.together(&statements).to_string();
        let values = statements.into_iter().filter_map(|statement| statement.values);
        let values = Values(values.flatten().collect());
        let statement = Statement { sql, values: Some(values), db_backend: DbBackend::Postgres };
        let Some(counts) = self.transaction.query_one_raw(statement).await? else {
            return Err(DbErr::RecordNotInserted);
        };
        for (at, (table, rows)) in expected.into_iter().enumerate() {
            let met: i64 = counts.try_get_by_index(at)?;
            if met.unsigned_abs() != rows {
                tracing::debug!(table, rows, met, "rows were changed since they were loaded");
                return Err(DbErr::RecordNotUpdated);
            }
        }
        Ok(())
    }

    /// The statement on the tables that the transaction uses.
    fn on_tables(&self, statement: Statement) -> Statement {
        match &self.shard {
            Some(shard) => {
                Statement { sql: shard.in_kept(&statement.sql).to_string(), ..statement }
            }
            None => statement,
        }
    }
}

/// Every write checks the number of its rows. A row that was loaded under the account's lock and is
/// missing now was changed without the lock: the batch is retried from the start.
pub(super) fn expect_rows(table: &str, expected: u64, met: u64) -> Result<(), BatchError> {
    if expected == met {
        return Ok(());
    }
    Err(BatchError::Contended(format!("{table}: {met} rows written instead of {expected}")))
}

#[async_trait]
impl ConnectionTrait for BatchTransaction {
    fn get_database_backend(&self) -> DbBackend {
        self.transaction.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.insert_all().await?;
        self.transaction.execute_raw(self.on_tables(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.insert_all().await?;
        self.transaction.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.insert_all().await?;
        self.transaction.query_one_raw(self.on_tables(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.insert_all().await?;
        self.transaction.query_all_raw(self.on_tables(statement)).await
    }
}

#[cfg(test)]
mod tests {
    use roots_domain::port::store::CommandStore;
    use roots_testkit::commands::Issuer;
    use roots_testkit::database::TestDatabase;
    use sea_orm::{EntityTrait, TransactionTrait};

    use super::*;
    use crate::connect::cluster_map::{ClusterMap, hash};
    use crate::connect::postgres::{self, PostgresServer};
    use crate::table::sessions;
    use crate::write::store::put;
    use crate::write::upsert::OnConflict::NewerBy;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn rows_of_a_shard_that_were_changed_meanwhile_fail_the_batch() {
        let db = TestDatabase::as_if_spread(1).await;
        let issuer = Issuer::new(&db.store, 100).await;
        db.store.apply(issuer.start_session()).await.unwrap();
        let writer = postgres::writer(&PostgresServer::alone(db.url.clone())).await.unwrap();
        let map = ClusterMap::read(&writer).await.unwrap().unwrap();
        let of_account = hash(issuer.account);
        let place = map.shards.iter().find(|place| of_account <= place.last).unwrap();
        let shard = Arc::new(Shard::new(place.group, place.parts.clone()));
        let row = sessions::Entity::find().one(&writer).await.unwrap().unwrap();
        let with_version = |version| sessions::Model { version, ..row.clone() };
        for (versions, is_told) in [([1, 2], false), ([1, 1], true), ([0, 1], true)] {
            let mut tx = BatchTransaction::new(writer.begin().await.unwrap(), Dialect::CitusShard);
            tx.use_shard(Some(Arc::clone(&shard)));
            let done = async {
                for more in versions {
                    let rows = [with_version(row.version + more)].into_iter();
                    put(&tx, rows, NewerBy(sessions::Column::Version)).await?;
                }
                let found: Vec<_> = sessions::Entity::find().all(&tx).await?;
                assert_eq!(found, [with_version(row.version + 2)]);
                tx.finish().await
            };
            let done = done.await;
            assert_eq!(matches!(done, Err(BatchError::Contended(_))), is_told, "{done:?}");
            tx.transaction.rollback().await.unwrap();
        }
    }
}
