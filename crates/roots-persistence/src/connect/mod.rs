//! Connections: which database a URL means, how to connect to it, and pools to read by.

use std::time::Duration;

use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};

pub(crate) mod account_reader;
pub(crate) mod cluster_map;
pub(crate) mod invalid_url;
mod plan_cache;
pub(crate) mod postgres;
pub(crate) mod presence;
pub(crate) mod reader_pool;
pub(crate) mod readers;
pub(crate) mod routes;
pub(crate) mod shard;
pub(crate) mod source;
pub(crate) mod sqlite;
pub(crate) mod sqlite_file;
pub(crate) mod tls;
pub(crate) mod url;
pub(crate) mod write_health;

/// Opens a pool of connections, none of which sqlx closes because of its age or idleness. For
/// either, sqlx 0.9.0 looks at them from time to time in a task that may take a thread for ever:
/// it counts them while another task gives one back (transact-rs/sqlx#3645).
#[expect(clippy::disallowed_methods, reason = "the place where pools are opened")]
async fn open_pool(mut options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    options.idle_timeout(None::<Duration>).max_lifetime(None::<Duration>);
    // In a box of its own: the compiler refuses futures that nest too deeply.
    Box::pin(Database::connect(options)).await
}
