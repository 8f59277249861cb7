//! PostgreSQL: one or two writer queues for each process, and a blocked queue, which also takes
//! commands that form a batch by themselves. An account always uses the same queue. The accounts'
//! locks make several processes safe. On a Citus cluster each node has such queues of its own.

use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbErr, Statement};

use super::cluster_map::NodeAddress;
use super::open_pool;
use super::plan_cache::{self, PLAN_EACH_TIME};
use super::presence::Presence;
use super::routes::Routes;
use super::tls::{self, Protection};

/// So many serving threads share a writer queue. More queues mean fewer commands in a batch, and a
/// batch costs a dozen round trips whatever its size.
pub(super) const SERVING_THREADS_PER_QUEUE: usize = 4;
/// Most commands in a batch. Its total wait for locks is bounded by the time limits of statements
/// and of a batch.
pub(crate) const BATCH_MAX_COMMANDS: usize = 128;
/// Connections that read at the same time, and the minimum of a pool.
const READERS: usize = 8;
const READERS_MIN: usize = 2;
/// A connection that was idle for longer is tested before it is used, so that no request fails
/// because the database was away meanwhile.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// How long to wait for a connection before the database counts as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Older connections are closed when they come back to their pool: what a connection has cached
/// grows, and a new one may lead to another server.
const MAX_AGE: Duration = Duration::from_mins(30);
/// Prepared statements per connection: texts differ by the number of rows.
const PREPARED_STATEMENTS: usize = 512;

/// Every read has an index. So each statement is planned once, not once for each read, and plans
/// never sort or scan a whole table, as they would if the database, with missing or old statistics,
/// took a large table for a small one.
///
/// A transaction reads one snapshot, as it does in SQLite, and needs no statement to say so.
const READ_BY_INDEX: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_sort", "off"),
    ("enable_seqscan", "off"),
    ("default_transaction_isolation", "repeatable read"),
];

/// The same for batches, which find rows by their keys, and the next todos to claim by their order.
const WRITE_BY_INDEX: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_sort", "off"),
    ("enable_seqscan", "off"),
    READ_WHAT_IS_COMMITTED,
];
/// A batch reads what others have committed before it got its locks.
const READ_WHAT_IS_COMMITTED: (&str, &str) = ("default_transaction_isolation", "read committed");
/// For statements that remove many rows: they are planned each time within the transaction.
pub(crate) const PLAN_ANEW: &str = "SET LOCAL plan_cache_mode = force_custom_plan";

/// The same for a Citus cluster, where each statement is planned anew unless the node of its
/// account [keeps plans](plan_cache).
const READ_BY_INDEX_ON_CITUS: [(&str, &str); 4] = [
    PLAN_EACH_TIME,
    ("enable_sort", "off"),
    ("enable_seqscan", "off"),
    ("default_transaction_isolation", "repeatable read"),
];

/// Batches on a Citus cluster. A batch of several accounts looks rows up by a join of given keys
/// with a table: only nested loops find each of them by its key. The coordinator tells the workers
/// the time limits that hold for a transaction.
const WRITE_BY_INDEX_ON_CITUS: [(&str, &str); 8] = [
    PLAN_EACH_TIME,
    READ_WHAT_IS_COMMITTED,
    ("enable_sort", "off"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("citus.multi_shard_modify_mode", "sequential"),
    ("citus.propagate_set_commands", "local"),
];

/// A PostgreSQL server.
#[derive(Debug, Clone)]
pub(crate) struct PostgresServer {
    /// The URL of the database.
    pub(crate) url: String,
    pub(crate) role: Role,
}

/// The role of a server.
#[derive(Debug, Clone)]
pub(crate) enum Role {
    /// It holds all accounts.
    Alone,
    /// The coordinator of a Citus cluster: the server of the URL. Commands that concern several
    /// nodes go by it.
    Coordinator,
    /// A node of a Citus cluster, for the accounts that it holds. It may be the coordinator's.
    Node {
        /// Its address, instead of the one in the URL.
        address: NodeAddress,
        presence: Presence,
        /// The ways to all shards.
        routes: Routes,
    },
    /// Such a node, whose shards' tables are read and written as those of a server alone.
    Shards { address: NodeAddress, presence: Presence },
}

impl PostgresServer {
    /// The server of a URL, for accounts that are not spread.
    pub(crate) const fn alone(url: String) -> Self {
        Self { url, role: Role::Alone }
    }

    pub(crate) const fn is_spread(&self) -> bool {
        matches!(self.role, Role::Coordinator | Role::Node { .. })
    }
}

/// All users of a database share one space of advisory locks: "Root" in the upper half keeps these
/// apart, as long as ids fit the lower one.
const LOCK_SPACE: i64 = 0x526f_6f74_0000_0000;

/// The lock of an account, or of the directory, whose id is 0. No two ids share a lock, even very
/// large ones: operators may name accounts that do not exist.
pub(crate) const fn lock_key(id: i64) -> i64 {
    LOCK_SPACE ^ id
}

/// Removes the time limit of statements within a transaction.
pub(crate) const NO_TIME_LIMIT: &str =
    "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0";
/// Takes locks in the order of their keys: a function scan keeps the order of its rows. Each row
/// has the database's time after its lock was taken, as [`LOCKED_AT`].
pub(crate) const LOCK: &str = "SELECT pg_advisory_xact_lock(k), \
    CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS locked_at \
    FROM unnest($1::bigint[]) AS k";
/// The column of [`LOCK`] with the time, in microseconds since 1970.
pub(crate) const LOCKED_AT: &str = "locked_at";
/// As [`LOCK`], but it waits for each lock at most several times as long as a lock is usually held.
/// The limit is set first and lasts to the end of the transaction.
pub(crate) const LOCK_BRIEFLY: &str = "SELECT set_config('lock_timeout', '500ms', true), \
    pg_advisory_xact_lock(k), \
    CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS locked_at \
    FROM unnest($1::bigint[]) AS k";
/// As [`LOCK`], and tells as [`SHARDS_HERE`] how many of the kept shards `$3` are on the node `$2`.
pub(crate) const LOCK_ON_SHARDS: &str = "SELECT pg_advisory_xact_lock(k), \
    CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS locked_at, \
    (SELECT COUNT(*) FROM pg_dist_placement AS place WHERE place.groupid = $2 \
    AND place.shardid = ANY($3::bigint[])) AS shards_here FROM unnest($1::bigint[]) AS k";
/// The column of [`LOCK_ON_SHARDS`] with the number of shards.
pub(crate) const SHARDS_HERE: &str = "shards_here";
/// Takes the lock of one account on the node that holds the account, from the coordinator.
pub(crate) const LOCK_ON_NODE: &str =
    "SELECT pg_advisory_xact_lock($2) FROM accounts WHERE account_id = $1";
/// Waits for locks as briefly as [`LOCK_BRIEFLY`], on all nodes.
pub(crate) const WAIT_BRIEFLY: &str = "SET LOCAL lock_timeout = '500ms'";
/// The lock for changes of the schema. It is negative, unlike that of any account.
const MIGRATION_LOCK: i64 = lock_key(i64::MIN);

fn options(server: &PostgresServer, more: &'static [(&str, &str)]) -> ConnectOptions {
    pooled(server, more, MAX_AGE)
}

/// The options of a pool whose connections are closed when they are older than `most`.
fn pooled(
    server: &PostgresServer,
    more: &'static [(&str, &str)],
    most: Duration,
) -> ConnectOptions {
    let mut options = connect_options(server, more);
    let is_node = matches!(server.role, Role::Node { .. });
    options.map_sqlx_postgres_pool_opts(move |pool| {
        let pool = pool
            .after_release(move |_, connection| Box::pin(async move { Ok(connection.age < most) }));
        if is_node {
            pool.after_connect(|connection, _| Box::pin(plan_cache::use_if_sound(connection)))
        } else {
            pool
        }
    });
    options
}

fn connect_options(server: &PostgresServer, more: &'static [(&str, &str)]) -> ConnectOptions {
    let mut options = ConnectOptions::new(&server.url);
    let address = match &server.role {
        Role::Node { address, .. } | Role::Shards { address, .. } => Some(address.clone()),
        Role::Alone | Role::Coordinator => None,
    };
    // The URL was checked before.
    let protection = match &address {
        Some(address) => tls::of_url_for_host(&server.url, &address.host),
        None => tls::of_url(&server.url).map(|(protection, _)| protection),
    };
    let protection = protection.unwrap_or(Protection::KnownServer);
    options
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .test_before_acquire_if_idle_for(TRUSTED_IDLE)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .map_sqlx_postgres_opts(move |options| {
            let options = tls::with_bare_host(options);
            let options = match &address {
                Some(address) => options.host(&address.host).port(address.port),
                None => options,
            };
            options
                .ssl_mode(protection.mode())
                .statement_cache_capacity(PREPARED_STATEMENTS)
                .application_name("roots")
                .options([
                    // Answered writes are durable, whatever the server's default is.
                    ("synchronous_commit", "on"),
                    ("statement_timeout", "15s"),
                    ("lock_timeout", "10s"),
                    ("idle_in_transaction_session_timeout", "30s"),
                    // Compiling a statement takes longer than running it.
                    ("jit", "off"),
                ])
                .options(more.iter().copied())
        });
    options
}

/// The connections of one worker: one, and another if the first hangs.
pub(crate) async fn writer(server: &PostgresServer) -> Result<DatabaseConnection, DbErr> {
    let more: &[_] = if server.is_spread() { &WRITE_BY_INDEX_ON_CITUS } else { &WRITE_BY_INDEX };
    let mut options = options(server, more);
    options.max_connections(2);
    open_pool(options).await
}

/// The connection of a command that spreads tables or reads the catalogue. It plans its statements
/// as the server likes, and has a name of its own: it is not one of a process that serves.
pub(crate) async fn operator(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = options(&PostgresServer::alone(url.to_owned()), &[]);
    options.max_connections(1);
    let db = open_pool(options).await?;
    db.execute_unprepared("SET application_name = 'roots-distribute'").await?;
    Ok(db)
}

/// Waits for the lock for changes of the schema, for as long as it takes. The transaction then has
/// no time limit.
pub(crate) async fn lock_for_migration(tx: &impl ConnectionTrait) -> Result<(), DbErr> {
    tx.execute_unprepared(NO_TIME_LIMIT).await?;
    let sql = "SELECT pg_advisory_xact_lock($1)";
    let lock = [MIGRATION_LOCK.into()];
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, lock);
    tx.query_all_raw(statement).await.map(drop)
}

/// A pool of readers, one of `pools`. It connects when it is first used.
pub(crate) async fn readers(
    server: &PostgresServer,
    pools: usize,
) -> Result<DatabaseConnection, DbErr> {
    let more: &[_] = if server.is_spread() { &READ_BY_INDEX_ON_CITUS } else { &READ_BY_INDEX };
    let mut options = options(server, more);
    let most = (READERS / pools.max(1)).max(READERS_MIN);
    options.max_connections(u32::try_from(most).unwrap_or(u32::MAX)).connect_lazy(true);
    open_pool(options).await
}

#[cfg(test)]
mod tests {
    use roots_testkit::database::TestDatabase;

    use super::*;

    #[test]
    fn no_account_shares_a_lock_with_another_account_or_with_migrations() {
        let ids = [0, 1, 2, 1 << 32, (1 << 32) + 1, (1 << 34) + 1, 0x7400_0000_0001, i64::MAX];
        let keys = ids.map(lock_key);
        let distinct: std::collections::BTreeSet<_> = keys.into();
        assert_eq!(distinct.len(), ids.len());
        assert!(MIGRATION_LOCK < 0 && keys.iter().all(|key| *key >= 0));
        assert_eq!(lock_key(7), LOCK_SPACE | 7);
    }

    #[tokio::test]
    async fn a_connection_is_replaced_once_it_is_old() {
        let test = TestDatabase::postgres().await;
        let moved = async |most| -> bool {
            let mut options = pooled(&PostgresServer::alone(test.url.clone()), &[], most);
            options.max_connections(1);
            let db = open_pool(options).await.unwrap();
            let ask = async || -> i32 {
                let asked =
                    Statement::from_string(db.get_database_backend(), "SELECT pg_backend_pid()");
                db.query_one_raw(asked).await.unwrap().unwrap().try_get_by_index(0).unwrap()
            };
            let first = ask().await;
            let second = ask().await;
            db.close().await.unwrap();
            second != first
        };
        assert!(!moved(MAX_AGE).await);
        assert!(moved(Duration::ZERO).await);
    }

    /// "What was answered 2xx is durable" depends on this.
    #[tokio::test]
    async fn a_writer_commits_synchronously_whatever_the_database_prefers() {
        let test = TestDatabase::postgres().await;
        let (_, name) = test.url.rsplit_once('/').unwrap();
        test.execute(&format!("ALTER DATABASE {name} SET synchronous_commit = off")).await;
        let shown = async |db: DatabaseConnection| -> String {
            let show = "SHOW synchronous_commit";
            let statement = Statement::from_string(db.get_database_backend(), show);
            db.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
        };
        assert_eq!(shown(test.connection().await).await, "off");
        assert_eq!(
            shown(writer(&PostgresServer::alone(test.url.clone())).await.unwrap()).await,
            "on"
        );
    }
}
