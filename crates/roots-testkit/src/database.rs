//! A database per test, migrated and empty.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roots_domain::model::id::AccountId;
use roots_persistence::{DatabaseUrl, Store};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, SqliteTransactionMode,
    TransactionOptions, TransactionTrait, TryGetableMany,
};
use tempfile::TempDir;

use crate::ambient::TestClock;
use crate::citus_stand_in;
use crate::cluster::{self, Cluster, ClusterDatabase};
use crate::connection::{connect, rows};
use crate::connection_settings::Node;
use crate::context::TestContext;
use crate::postgres;
use crate::sql_proxy::SqlProxy;

/// A database for one test. A SQLite database is deleted on drop, a PostgreSQL database when its
/// server stops.
pub struct TestDatabase {
    /// The store, open and migrated.
    pub store: Store,
    /// The clock by which the store decides.
    pub clock: Arc<TestClock>,
    /// The URL of the database, without the proxy.
    pub url: String,
    /// The folder of its files; on PostgreSQL, a folder for the test to use.
    pub folder: TempDir,
    /// On PostgreSQL, the proxy that its stores connect through. Programs that the test runs
    /// connect to the server itself.
    pub sql_proxy: Option<SqlProxy>,
    /// The database on each node, if the tests run on a cluster. It is dropped with this value.
    pub cluster: Option<ClusterDatabase>,
    /// The nodes, if the database is a stand-in for a cluster: proxies to the same server.
    pub nodes: Vec<SqlProxy>,
}

impl TestDatabase {
    /// A SQLite database in a file.
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("roots.db").display());
        Self::open(url, folder, None, None).await
    }

    /// A PostgreSQL database on the server, or the cluster, that the tests run on.
    pub async fn postgres() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let name = new_name();
        if let Some(cluster) = Cluster::of_tests().await {
            let database = cluster.create(name).await;
            database.distribute().await;
            let url = database.url();
            let sql_proxy = SqlProxy::on(&url).await;
            return Self::open(url, folder, Some(sql_proxy), Some(database)).await;
        }
        Self::on_server(folder, &name).await
    }

    /// A PostgreSQL database on one server, even if the tests run on a cluster: for tests of what a
    /// cluster does not have, such as triggers on the tables of tenants.
    pub async fn on_one_server() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::on_server(folder, &new_name()).await
    }

    async fn on_server(folder: TempDir, name: &str) -> Self {
        let server = postgres::server_url();
        let admin = connect(&server).await;
        admin
            .execute_unprepared(&format!("CREATE DATABASE {name}"))
            .await
            .expect("a new database on the test server");
        admin.close().await.expect("closing the connection to the test server");
        let (base, _) = server.rsplit_once('/').expect("a URL with a database");
        let url = format!("{base}/{name}");
        let sql_proxy = SqlProxy::on(&url).await;
        Self::open(url, folder, Some(sql_proxy), None).await
    }

    async fn open(
        url: String,
        folder: TempDir,
        sql_proxy: Option<SqlProxy>,
        cluster: Option<ClusterDatabase>,
    ) -> Self {
        let clock = Arc::new(TestClock::default());
        let store =
            open(sql_proxy.as_ref().map_or(&url, |sql_proxy| &sql_proxy.url), clock.clone()).await;
        store.migrate().await.expect("the newest schema");
        if let Some(sql_proxy) = &sql_proxy {
            // The migration may touch all tenants at once.
            sql_proxy.forget();
        }
        Self { store, clock, url, folder, sql_proxy, cluster, nodes: Vec::new() }
    }

    /// A PostgreSQL database that looks to its stores like the coordinator of a Citus cluster with
    /// so many nodes, which hold its shards in turn. All of them are one database: what is shown is
    /// how a store finds the nodes, and that it sends each of them nothing that Citus would refuse.
    pub async fn as_if_spread(nodes: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let name = new_name();
        let mut alone = Self::on_server(folder, &name).await;
        for _ in 0..nodes {
            let mut node = SqlProxy::on(&alone.url).await;
            (node.judge_spread, node.node) = (true, Node::Worker);
            alone.nodes.push(node);
        }
        let ports: Vec<_> = alone.nodes.iter().map(|node| node.port).collect();
        alone.execute(&citus_stand_in::catalogue(&ports)).await;
        alone.store.close().await;
        if let Some(sql_proxy) = &mut alone.sql_proxy {
            sql_proxy.judge_spread = true;
        }
        alone.store = alone.another_store_by(alone.clock.clone()).await;
        if let Some(sql_proxy) = &alone.sql_proxy {
            sql_proxy.forget();
        }
        alone
    }

    /// Moves the shard of an account to a node of the stand-in for a cluster.
    pub async fn move_shard(&self, account: AccountId, node: usize) {
        self.execute(&citus_stand_in::moved(account, node)).await;
    }

    /// The services on its store and clock.
    #[must_use]
    pub fn context(&self) -> TestContext {
        TestContext::new(self.store.clone(), self.clock.clone())
    }

    /// Another store on the same database, as a second process would open, with its own clock.
    pub async fn another_store(&self) -> Store {
        self.another_store_by(Arc::default()).await
    }

    /// The services of a second process, with their own store and clock.
    pub async fn another_context(&self) -> TestContext {
        let clock = Arc::new(TestClock::default());
        TestContext::new(self.another_store_by(clock.clone()).await, clock)
    }

    async fn another_store_by(&self, clock: Arc<TestClock>) -> Store {
        open(self.sql_proxy.as_ref().map_or(&self.url, |sql_proxy| &sql_proxy.url), clock).await
    }

    /// A connection that bypasses the store, to inspect or damage its rows.
    pub async fn connection(&self) -> DatabaseConnection {
        connect(&self.url).await
    }

    /// Whether it is PostgreSQL.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres")
    }

    /// Runs a statement without the store and returns the number of affected rows.
    pub async fn execute(&self, sql: &str) -> u64 {
        let db = self.connection().await;
        let met = db.execute_unprepared(sql).await.expect("a statement that runs").rows_affected();
        db.close().await.expect("closing the connection");
        met
    }
}

/// A name that no other test's database has.
#[expect(clippy::disallowed_methods, reason = "no test depends on it")]
fn new_name() -> String {
    format!("roots_{}", uuid::Uuid::now_v7().simple())
}

async fn open(url: &str, clock: Arc<TestClock>) -> Store {
    let url = DatabaseUrl::parse(url).expect("a database URL");
    Store::open(&url, clock).await.expect("an open database")
}

/// Roots' advisory locks: "Root" in the upper half, the account's id in the lower.
const LOCK_SPACE: i64 = 0x526f_6f74_0000_0000;

/// Blocks the writers of one account (on SQLite, all writers) until it is released.
pub struct Hold {
    tx: DatabaseTransaction,
    is_postgres: bool,
}

impl Hold {
    /// Waits until a writer waits for the lock. SQLite does not report that, so there it returns at
    /// once. A test must also pass if the writer has not yet taken its commands from the queue.
    pub async fn wait_until_blocking(&self) {
        if !self.is_postgres {
            return;
        }
        let waiting = "SELECT COUNT(*) FROM pg_stat_activity \
            WHERE datname = current_database() AND wait_event = 'advisory'";
        // A transaction reuses its first snapshot of the backends unless it is cleared.
        let forget = "SELECT CAST(pg_stat_clear_snapshot() AS TEXT)";
        until("a writer waits for the lock", async || {
            rows::<(String,)>(&self.tx, forget).await;
            rows::<(i64,)>(&self.tx, waiting).await != [(0,)]
        })
        .await;
    }

    /// Releases the lock.
    pub async fn release(self) {
        self.tx.rollback().await.expect("the end of a lock");
    }
}

/// How long a test waits for an event that must come. It is longer than the event takes on a
/// machine whose CPUs are all busy.
const PATIENCE: Duration = Duration::from_mins(2);

/// Waits until `holds` returns true, and panics after two minutes.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "timed out waiting until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl TestDatabase {
    /// The rows of a query that bypasses the store.
    pub async fn rows<T: TryGetableMany>(&self, sql: &str) -> Vec<T> {
        let db = self.connection().await;
        let found = rows(&db, sql).await;
        db.close().await.expect("closing the connection");
        found
    }

    /// The rows of every table as text, sorted.
    pub async fn dump(&self) -> BTreeMap<String, Vec<String>> {
        let db = self.connection().await;
        let tables = if self.is_postgres() {
            "SELECT CAST(table_name AS TEXT) FROM information_schema.tables \
                WHERE table_schema = 'public'"
        } else {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        };
        let mut dump = BTreeMap::new();
        for (table,) in rows::<(String,)>(&db, tables).await {
            let row = if self.is_postgres() {
                "CAST(t AS TEXT)".to_owned()
            } else {
                let columns = format!("SELECT name FROM pragma_table_info('{table}')");
                let columns = rows::<(String,)>(&db, &columns).await;
                let quoted = columns.iter().map(|(column,)| format!("quote({column})"));
                quoted.collect::<Vec<_>>().join(" || '|' || ")
            };
            let found = rows(&db, &format!("SELECT {row} FROM {table} AS t ORDER BY 1")).await;
            dump.insert(table, found.into_iter().map(|(row,)| row).collect());
        }
        db.close().await.expect("closing the connection");
        dump
    }

    /// Blocks the writers of an account. On a cluster their lock is on the account's node.
    pub async fn hold(&self, account: AccountId) -> Hold {
        let db = match &self.cluster {
            Some(on) => connect(&on.url_on(&cluster::node_of(&self.url, account).await)).await,
            None => self.connection().await,
        };
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let tx = db.begin_with_options(options).await.expect("a transaction");
        if self.is_postgres() {
            let key = LOCK_SPACE | account.0;
            let locked = format!("SELECT CAST(pg_advisory_xact_lock({key}) AS TEXT)");
            rows::<(String,)>(&tx, &locked).await;
        }
        Hold { tx, is_postgres: self.is_postgres() }
    }
}
