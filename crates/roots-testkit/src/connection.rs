//! Connections to databases that bypass the store.

use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement, TryGetableMany,
};

/// A connection to a test's database or server that bypasses the store.
///
/// Its pool has no limits of age or idleness. For either, sqlx 0.9.0 starts a task that may take
/// its thread for ever (transact-rs/sqlx#3645), and its test would not end.
///
/// # Panics
/// There is no database.
#[expect(clippy::disallowed_methods, reason = "the place where tests open pools")]
pub async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    options.idle_timeout(None::<Duration>).max_lifetime(None::<Duration>);
    Database::connect(options).await.expect("a connection to the test database")
}

/// The rows of a query.
pub(crate) async fn rows<T: TryGetableMany>(db: &impl ConnectionTrait, sql: &str) -> Vec<T> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let found = db.query_all_raw(statement).await.expect("a query that runs");
    let read = |row| T::try_get_many_by_index(row).expect("columns of these types");
    found.iter().map(read).collect()
}
