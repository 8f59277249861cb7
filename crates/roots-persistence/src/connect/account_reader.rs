//! Reads the rows of one account.

use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement,
};

use super::reader_pool::ReaderPool;
use super::shard::{AUTH_EPOCH, Shard};
use crate::errors;

/// PostgreSQL's code for a table that does not exist.
const UNDEFINED_TABLE: &str = "42P01";

/// Reads the rows of one account: on a cluster from the tables of its shard, as far as a result
/// shows that the shard is still there.
pub(crate) struct AccountReader<'a> {
    pool: &'a ReaderPool,
    /// The shard, and connections to its node that plan statements as on a server alone.
    shard: Option<(Arc<Shard>, &'a ReaderPool)>,
}

impl<'a> AccountReader<'a> {
    /// Reads from the only server.
    pub(crate) const fn of_server(pool: &'a ReaderPool) -> Self {
        Self { pool, shard: None }
    }

    /// Reads from a shard, and what can't be read from it alone from its node, by Citus.
    pub(crate) const fn of_shard(
        pool: &'a ReaderPool,
        shard: Arc<Shard>,
        direct: &'a ReaderPool,
    ) -> Self {
        Self { pool, shard: Some((shard, direct)) }
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        self.pool.begin().await
    }

    /// The rows of a statement from the shard. `None` if they do not show that the shard is there.
    async fn of_tables(&self, statement: &Statement) -> Result<Option<Vec<QueryResult>>, DbErr> {
        let Some((shard, direct)) = &self.shard else { return Ok(None) };
        let Some(text) = shard.read(&statement.sql) else { return Ok(None) };
        let asked = Statement {
            sql: text.to_string(),
            values: statement.values.clone(),
            db_backend: statement.db_backend,
        };
        match direct.query_all_raw(asked).await {
            Ok(rows) if rows.first().is_some_and(shows_epoch) => Ok(Some(rows)),
            Ok(_) => Ok(None),
            Err(error) if errors::code(&error).as_deref() == Some(UNDEFINED_TABLE) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn shows_epoch(row: &QueryResult) -> bool {
    row.try_get::<Option<i64>>("", AUTH_EPOCH).is_ok_and(|epoch| epoch.is_some())
}

#[async_trait]
impl ConnectionTrait for AccountReader<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.pool.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.pool.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match self.of_tables(&statement).await? {
            Some(rows) => Ok(rows.into_iter().next()),
            None => self.pool.query_one_raw(statement).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match self.of_tables(&statement).await? {
            Some(rows) => Ok(rows),
            None => self.pool.query_all_raw(statement).await,
        }
    }
}
