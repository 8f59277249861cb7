//! A pool of readers whose connections are available again as soon as a statement ends.
//!
//! sqlx's pool pings each connection that comes back to it, in a task of its own: a second exchange
//! with the database for each statement. So a connection whose statement succeeded is kept here for
//! the next one instead. It goes back to sqlx's pool where its statement failed or was abandoned,
//! where it was kept for longer than [`KEPT_FOR`], and after [`STATEMENTS_MAX`] statements; there
//! it is tested, and replaced when it is too old.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::{self, AssertSqlSafe, Postgres, Sqlite};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    ExecResult, QueryResult, RuntimeErr, Statement, TransactionTrait,
};
use sea_query_sqlx::SqlxValues;

use super::presence::Presence;

/// How long an idle connection is assumed to be open.
const KEPT_FOR: Duration = Duration::from_secs(1);
/// How many statements a connection serves before it goes back to sqlx's pool.
const STATEMENTS_MAX: u32 = 1_000;

/// A pool to read by.
pub(crate) struct ReaderPool {
    pool: DatabaseConnection,
    kept: Mutex<Kept>,
    /// Of a node of a cluster: its statements end when the node is away.
    presence: Option<Presence>,
    /// [`KEPT_FOR`], except in tests.
    kept_for: Duration,
    /// Whether statements use sqlx's pool, which reports each of them.
    #[cfg(test)]
    is_watched: bool,
}

#[derive(Default)]
struct Kept {
    /// The last used one is last.
    idle: Vec<PooledReader>,
    /// The number of tasks that wait for sqlx's pool. While there are any, all connections go back
    /// to it.
    waiting: usize,
}

/// A connection from sqlx's pool. Dropping it gives it back.
struct PooledReader {
    raw: Raw,
    statements: u32,
    used: Instant,
}

enum Raw {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// A task that waits for sqlx's pool.
struct PoolWaiter<'a>(&'a ReaderPool);

impl Drop for PoolWaiter<'_> {
    fn drop(&mut self) {
        self.0.kept().waiting -= 1;
    }
}

impl ReaderPool {
    pub(crate) fn new(pool: DatabaseConnection, presence: Option<Presence>) -> Self {
        Self {
            pool,
            presence,
            kept: Mutex::default(),
            kept_for: KEPT_FOR,
            #[cfg(test)]
            is_watched: false,
        }
    }

    /// A pool whose statements are reported to the pool's metric callback.
    #[cfg(test)]
    pub(super) fn watched(pool: DatabaseConnection) -> Self {
        Self { is_watched: true, ..Self::new(pool, None) }
    }

    /// Begins a transaction, on a connection of sqlx's pool.
    pub(crate) async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        self.check()?;
        let waiting = self.wait();
        // It goes back: otherwise all connections could be kept here.
        drop(self.kept().idle.pop());
        // In a task of its own, which ends even if this reader gives up: sqlx rolls back no
        // transaction whose BEGIN was sent but not answered (transact-rs/sqlx#4393), and the
        // connection's next reader would fail.
        let pool = self.pool.clone();
        let begin = async move { pool.begin().await };
        let transaction = tokio::spawn(begin).await;
        drop(waiting);
        transaction.unwrap_or_else(|error| Err(DbErr::Custom(error.to_string())))
    }

    /// Checks that the node of a cluster is not away.
    fn check(&self) -> Result<(), DbErr> {
        if self.presence.as_ref().is_some_and(Presence::is_away) { Err(away()) } else { Ok(()) }
    }

    /// Waits for a statement, on a node of a cluster no longer than the node is there.
    async fn unless_away<T>(
        &self,
        statement: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        let Some(presence) = &self.presence else { return statement.await };
        self.check()?;
        tokio::select! {
            biased;
            answered = statement => answered,
            () = presence.lost() => Err(away()),
        }
    }

    /// Whether there is an idle connection, or a new one may be opened.
    pub(super) fn can_give(&self) -> bool {
        if !self.kept().idle.is_empty() {
            return true;
        }
        if self.get_database_backend() == DbBackend::Postgres {
            let pool = self.pool.get_postgres_connection_pool();
            return pool.num_idle() > 0 || pool.size() < pool.options().get_max_connections();
        }
        let pool = self.pool.get_sqlite_connection_pool();
        pool.num_idle() > 0 || pool.size() < pool.options().get_max_connections()
    }

    /// Closes all connections.
    pub(crate) async fn close(&self) {
        // From now on no connection is kept.
        let _waiting = self.wait();
        let idle = std::mem::take(&mut self.kept().idle);
        drop(idle);
        // Connections that fail to close are closed with the process.
        let _ = self.pool.clone().close().await;
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) -> PoolWaiter<'_> {
        self.kept().waiting += 1;
        PoolWaiter(self)
    }

    async fn take(&self) -> Result<PooledReader, DbErr> {
        let _waiting = {
            let mut kept = self.kept();
            let last = kept.idle.pop();
            if let Some(connection) = last.filter(|last| last.used.elapsed() < self.kept_for) {
                return Ok(connection);
            }
            // Under the same lock: a connection that comes back in between is not kept.
            kept.waiting += 1;
            PoolWaiter(self)
        };
        let raw = if self.get_database_backend() == DbBackend::Postgres {
            Raw::Postgres(self.pool.get_postgres_connection_pool().acquire().await.map_err(none)?)
        } else {
            Raw::Sqlite(self.pool.get_sqlite_connection_pool().acquire().await.map_err(none)?)
        };
        Ok(PooledReader { raw, statements: 0, used: Instant::now() })
    }

    /// Keeps a connection whose statement has succeeded.
    fn keep(&self, mut connection: PooledReader) {
        connection.statements += 1;
        connection.used = Instant::now();
        let mut kept = self.kept();
        if kept.waiting == 0 && connection.statements < STATEMENTS_MAX {
            kept.idle.push(connection);
        }
    }
}

/// The node of a cluster does not answer.
fn away() -> DbErr {
    let cause = io::Error::new(io::ErrorKind::NotConnected, "the database server is away");
    DbErr::Conn(RuntimeErr::SqlxError(sqlx::Error::from(cause).into()))
}

/// There is no connection.
fn none(error: sqlx::Error) -> DbErr {
    match error {
        sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
        error => DbErr::Conn(RuntimeErr::SqlxError(error.into())),
    }
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

#[async_trait]
impl ConnectionTrait for ReaderPool {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, _: Statement) -> Result<ExecResult, DbErr> {
        Err(DbErr::Custom("this pool reads".to_owned()))
    }

    async fn execute_unprepared(&self, _: &str) -> Result<ExecResult, DbErr> {
        Err(DbErr::Custom("this pool reads".to_owned()))
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        #[cfg(test)]
        if self.is_watched {
            return self.pool.query_one_raw(statement).await;
        }
        self.unless_away(async {
            let mut connection = self.take().await?;
            let (sql, values) = parts(&statement);
            let found = match &mut connection.raw {
                Raw::Sqlite(raw) => {
                    let row = sqlx::query_with(sql, values).fetch_optional(&mut **raw).await;
                    row.map_err(failed)?.map(QueryResult::from)
                }
                Raw::Postgres(raw) => {
                    let row = sqlx::query_with(sql, values).fetch_optional(&mut **raw).await;
                    row.map_err(failed)?.map(QueryResult::from)
                }
            };
            self.keep(connection);
            Ok(found)
        })
        .await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        #[cfg(test)]
        if self.is_watched {
            return self.pool.query_all_raw(statement).await;
        }
        self.unless_away(async {
            let mut connection = self.take().await?;
            let (sql, values) = parts(&statement);
            let found = match &mut connection.raw {
                Raw::Sqlite(raw) => {
                    let rows = sqlx::query_with(sql, values).fetch_all(&mut **raw).await;
                    rows.map_err(failed)?.into_iter().map(QueryResult::from).collect()
                }
                Raw::Postgres(raw) => {
                    let rows = sqlx::query_with(sql, values).fetch_all(&mut **raw).await;
                    rows.map_err(failed)?.into_iter().map(QueryResult::from).collect()
                }
            };
            self.keep(connection);
            Ok(found)
        })
        .await
    }
}

/// The text and the values of a statement, which this crate has written.
fn parts(statement: &Statement) -> (AssertSqlSafe<&str>, SqlxValues) {
    let values = statement.values.clone().unwrap_or_else(|| sea_orm::Values(Vec::new()));
    (AssertSqlSafe(statement.sql.as_str()), SqlxValues(values))
}

#[cfg(test)]
mod tests {
    use roots_testkit::database::TestDatabase;

    use super::*;

    /// Pools that keep connections even on a slow machine.
    async fn pools() -> Vec<(TestDatabase, ReaderPool)> {
        let (sqlite, postgres) = (TestDatabase::sqlite().await, TestDatabase::postgres().await);
        let file = sqlite.folder.path().join("roots.db");
        let of_sqlite = crate::connect::sqlite::readers(&file).await.unwrap();
        let of_postgres = crate::connect::postgres::readers(
            &crate::connect::postgres::PostgresServer::alone(postgres.url.clone()),
            1,
        )
        .await
        .unwrap();
        let pool = |of| ReaderPool { kept_for: Duration::MAX, ..ReaderPool::new(of, None) };
        vec![(sqlite, pool(of_sqlite)), (postgres, pool(of_postgres))]
    }

    async fn take_all(pool: &ReaderPool) -> Vec<PooledReader> {
        let mut taken = Vec::new();
        while pool.can_give() {
            taken.push(pool.take().await.unwrap());
        }
        taken
    }

    async fn ask(pool: &ReaderPool, sql: &str) -> Result<Option<QueryResult>, DbErr> {
        pool.query_one_raw(Statement::from_string(pool.get_database_backend(), sql)).await
    }

    #[tokio::test]
    async fn transactions_reuse_the_connections_that_the_pool_keeps() {
        for (_db, pool) in pools().await {
            let taken = take_all(&pool).await;
            let most = taken.len();
            for connection in taken {
                pool.keep(connection);
            }
            assert_eq!(pool.kept().idle.len(), most);
            let mut transactions = Vec::new();
            for _ in 0..most {
                transactions.push(pool.begin().await.unwrap());
            }
            assert!(!pool.can_give() && pool.kept().idle.is_empty());
            drop(transactions);
            assert!(ask(&pool, "SELECT 1").await.unwrap().is_some());
        }
    }

    #[tokio::test]
    async fn a_transaction_that_is_given_up_while_it_begins_leaves_nothing_open() {
        for (_db, pool) in pools().await {
            let begin = || pool.begin();
            for polls in 1..=40 {
                let give_up = async {
                    for _ in 0..polls {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::select! {
                    biased;
                    _ = begin() => {}
                    () = give_up => {}
                }
            }
            // A statement in a transaction that was left open makes the next one's BEGIN fail.
            for _ in 0..20 {
                assert!(ask(&pool, "SELECT 1").await.unwrap().is_some());
                begin().await.unwrap().commit().await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_waiting_reader_gets_the_next_free_connection() {
        for (_db, pool) in pools().await {
            let mut taken = take_all(&pool).await;
            let give_one = async {
                assert_eq!(pool.kept().waiting, 1);
                pool.keep(taken.pop().unwrap());
            };
            let (found, ()) = tokio::join!(ask(&pool, "SELECT 1"), give_one);
            assert!(found.unwrap().is_some());
            // Each guard is in its own statement: two in one would deadlock.
            let waiting = pool.kept().waiting;
            assert_eq!((waiting, pool.kept().idle.len()), (0, 1));
        }
    }

    #[tokio::test]
    async fn a_connection_is_kept_until_a_statement_fails_or_1000_have_run() {
        for (_db, pool) in pools().await {
            for statements in 1..STATEMENTS_MAX {
                assert!(ask(&pool, "SELECT 1").await.unwrap().is_some());
                assert_eq!(pool.kept().idle[0].statements, statements);
            }
            assert!(ask(&pool, "SELECT 1").await.is_ok());
            assert!(pool.kept().idle.is_empty());
            assert!(ask(&pool, "SELECT 1").await.is_ok());
            assert_eq!(pool.kept().idle.len(), 1);
            assert!(ask(&pool, "SELECT nothing").await.is_err());
            assert!(pool.kept().idle.is_empty());
        }
    }
}
